"""Every setting of Orbit, and the only module that reads the environment.

With nothing set it runs on SQLite with inline jobs (design 7). `.env.example` lists every variable; `./dev check` and
`tests/test_docs.py` hold the two together.
"""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
ENV_FILE = env.str("ENV_FILE", default=str(BASE_DIR / ".env"))
if os.path.exists(ENV_FILE):
    env.read_env(ENV_FILE)


def kept_secret(path: Path) -> str:
    """The secret of an installation that was given none: made once, kept, readable by its owner only."""
    path.parent.mkdir(exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(60))
    return path.read_text().strip()


def literal(name: str) -> str:
    """The variable as it is. django-environ takes a value that begins with `$` for the name of another variable: a
    secret key can begin so, and PostHog's event names do."""
    return str(env.ENVIRON.get(name, ""))


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = env.str(name, default=default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r}: choose one of {', '.join(allowed)}.")
    return value


def kept_days(name: str, days: int, least: int) -> int:
    """How long something is kept. 0: for ever."""
    if days and days < least:
        raise ImproperlyConfigured(f"{name}={days}: keep at least {least} days, or 0 for ever.")
    return days


# --- Django -----------------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = literal("SECRET_KEY")
SECRET_KEY_WAS_MADE_HERE = not SECRET_KEY
if SECRET_KEY_WAS_MADE_HERE:
    SECRET_KEY = kept_secret(VAR_DIR / "secret-key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
ROOT_URLCONF = "abm_project.urls"
WSGI_APPLICATION = "abm_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"  # not a choice: windows are UTC days (design 3); abm_project.checks refuses anything else
USE_TZ = True
LANGUAGE_CODE = "en"
USE_I18N = False

INSTALLED_APPS = [
    "abm_project",
    "registry",
    "accounts",
    "ingestion",
    "scoring",
    "ai_summaries",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "simple_history",
    "csp",
    "django_htmx",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
]

MIDDLEWARE = [
    "abm_project.request_ids.RequestIdMiddleware",
    "abm_project.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "abm_project.content_policy.ContentPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "abm_project.maintenance.MaintenanceMiddleware",  # its answers carry the headers of those above
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "abm_project.access.RoleRequiredMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "abm_project.pages.freshness",
            ],
        },
    },
]

# --- Database ---------------------------------------------------------------------------------------------------------
DATABASE_PROFILE = choice("DATABASE_PROFILE", "jobs", ("web", "jobs"))  # wsgi.py says web


def database() -> dict[str, Any]:
    """SQLite with nothing set; MySQL 8 or MariaDB 10.6+ by DATABASE_URL.

    The options are the measured ones: without read_timeout a frozen server hangs a page, without strict mode 300
    characters are cut to 255 in silence, without READ COMMITTED bulk writes deadlock on gap locks.
    """
    config: dict[str, Any] = env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'orbit.sqlite3'}")
    engine = config["ENGINE"]
    if engine == "django.db.backends.sqlite3":
        Path(config["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif engine == "django.db.backends.mysql":
        slow = DATABASE_PROFILE == "jobs"
        config["OPTIONS"] = {
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "init_command": (
                "SET sql_mode='STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE',"
                " innodb_strict_mode=1, time_zone='+00:00', innodb_lock_wait_timeout=10, lock_wait_timeout=5"
            ),
            "connect_timeout": 5 if slow else 2,
            "read_timeout": 300 if slow else 3,
            "write_timeout": 300 if slow else 3,
        }
        config["CONN_MAX_AGE"] = 60
        config["CONN_HEALTH_CHECKS"] = True
        config["TEST"] = {"CHARSET": "utf8mb4"}
    else:
        raise ImproperlyConfigured(f"DATABASE_URL names {engine}: Orbit runs on sqlite:// and mysql:// only.")
    return config


DATABASES = {"default": database()}


def quick(config: dict[str, Any]) -> dict[str, Any]:
    """The same database for /readyz: a fresh connection each time that waits a second, where a page waits three."""
    options = dict(config.get("OPTIONS", {}))
    waits = {"connect_timeout", "read_timeout", "write_timeout", "timeout"} & set(options)
    return {
        **config,
        "OPTIONS": options | dict.fromkeys(waits, 1),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "TEST": {"MIRROR": "default"},
    }


DATABASES["health"] = quick(DATABASES["default"])

# --- Jobs -------------------------------------------------------------------------------------------------------------
REDIS_URL = literal("REDIS_URL")
JOBS = "queue" if REDIS_URL else "inline"  # left to workers, or done by the process that is asked
REDIS_TIMEOUT_SECONDS = env.float("REDIS_TIMEOUT_SECONDS", default=0.4)
SCHEDULER_TICK_SECONDS = env.float("SCHEDULER_TICK_SECONDS", default=10.0)
SCHEDULER_BACKOFF_SECONDS = env.float("SCHEDULER_BACKOFF_SECONDS", default=30.0)
RECONCILE_SECONDS = env.int("RECONCILE_SECONDS", default=600)
JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", default=120)
SCHEDULER_SEEN_FILE = Path(literal("SCHEDULER_SEEN_FILE") or VAR_DIR / "scheduler-seen")
if REDIS_URL:
    INSTALLED_APPS.append("django_rq")  # for its command rqworker
    RQ_QUEUES = {"default": {"URL": REDIS_URL}}
    RQ = {"WORKER_CLASS": "scoring.workers.Worker"}
    RQ_SHOW_ADMIN_LINK = False  # its buttons act on wake-ups; the truth about jobs is in job_runs

# --- Who may come in, and over what -----------------------------------------------------------------------------------
HTTPS = env.bool("HTTPS", default=False)  # set behind TLS: secure cookies, HSTS, redirect
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # probes come from inside, without TLS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
MAINTENANCE = literal("MAINTENANCE")
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "hot_accounts"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = ["abm_project.lockout.Lockout", "abm_project.access.UserWithRoles"]
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "abm_project.lockout.client_address"
AXES_LOCKOUT_CALLABLE = "abm_project.lockout.locked_out"
AXES_ENABLE_ADMIN = False  # a name is let in again by time, or by axes_reset_username
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
CSRF_FAILURE_VIEW = "abm_project.failures.csrf_failure"

METRICS_TOKEN = literal("METRICS_TOKEN")
METRICS_DIR = VAR_DIR / "metrics" if METRICS_TOKEN else None  # where web processes add up what they count
if METRICS_DIR:
    METRICS_DIR.mkdir(parents=True, exist_ok=True)
    os.environ.update(PROMETHEUS_MULTIPROC_DIR=str(METRICS_DIR))  # prometheus_client looks there as it is loaded

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "abm_project.api.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["abm_project.api.auth.HasRole"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["abm_project.api.parsing.StrictJSONParser"],
    "EXCEPTION_HANDLER": "abm_project.api.errors.exception_handler",
    "DEFAULT_FILTER_BACKENDS": ["abm_project.api.lists.StrictFilters"],
    "DEFAULT_PAGINATION_CLASS": "abm_project.api.lists.Pages",
    "DEFAULT_SCHEMA_CLASS": "abm_project.api.description.Description",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "abm_project.api.negotiation.OneFormat",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "NUM_PROXIES": env.int("TRUSTED_PROXIES", default=0),
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Orbit",
    "VERSION": "1",
    "DESCRIPTION": "Accounts, lanes and people are read, leads come in and are worked on. docs/api.md has examples.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["abm_project.api.auth.HasRole"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "IntentStage": "registry.values.IntentStage",
        "SurgeLevel": "registry.values.SurgeLevel",
        "Persona": "registry.values.Persona",
        "ProblemType": "abm_project.api.description.PROBLEM_TYPES",
        "IdentityType": "accounts.models.ContactIdentity.Type",
        "LeadStatus": "ingestion.models.LeadRequest.Status",
        "RequestType": "ingestion.models.LeadRequest.RequestType",
        "RunState": "scoring.models.JobRun.State",
        "ConfigStatus": "registry.models.ScoreConfig.Status",
        "WeightKind": "registry.models.ScoreWeight.Kind",
        "DomainRuleKind": "registry.models.DomainRule.KINDS",
        "PromptPersona": "registry.models.PromptTemplate.PERSONAS",
        "PromptStage": "registry.models.PromptTemplate.STAGES",
    },
}

# --- The public hook --------------------------------------------------------------------------------------------------
LEAD_SECRETS = tuple(filter(None, literal("LEAD_SECRETS").split(",")))
ERASURE_KEY = literal("ERASURE_KEY") or SECRET_KEY  # by which an erased address is known again
LEAD_HONEYPOT = env.str("LEAD_HONEYPOT", default="company_fax")
CORS_ALLOWED_ORIGINS = env.list("LEAD_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/hooks/"
CORS_ALLOW_METHODS = ("POST", "OPTIONS")
CORS_ALLOW_HEADERS = ("content-type", "idempotency-key")
API_RATES = {
    "lead_per_address": env.str("LEAD_RATE_PER_ADDRESS", default="60/min"),
    "lead_unsigned_per_address": env.str("LEAD_RATE_UNSIGNED", default="20/min"),
    "lead_in_all": env.str("LEAD_RATE_IN_ALL", default="1200/min"),
}
CACHES = {
    "default": {
        "BACKEND": "abm_project.counters.RedisCounters",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": REDIS_TIMEOUT_SECONDS, "socket_connect_timeout": REDIS_TIMEOUT_SECONDS},
    }
    if REDIS_URL
    else {"BACKEND": "abm_project.counters.LocalCounters"}
}

# --- Mail -------------------------------------------------------------------------------------------------------------
EMAIL_URL = literal("EMAIL_URL")
EMAIL_GOES_OUT = bool(EMAIL_URL)  # else it is written to standard error
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="orbit@localhost")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
vars().update(env.email_url_config(EMAIL_URL or "consolemail://"))
EMAIL_TIMEOUT = 10  # seconds; a page waits for the mail server
PASSWORD_RESET_TIMEOUT = 24 * 3600

# --- Owners -----------------------------------------------------------------------------------------------------------
WITH_NEW_OWNERS = ("abm_project.ownership.remember",)  # in an import's transaction; by name, like AFTER_A_NIGHT

# --- Alerts -----------------------------------------------------------------------------------------------------------
AFTER_A_NIGHT = ("abm_project.alerts.send_due",)  # by name: scoring knows nothing of what lies above it (design 1)
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")  # for links in what is sent
ALERT_QUIET_DAYS = env.int("ALERT_QUIET_DAYS", default=7)
ALERT_RETRY_SECONDS = env.float("ALERT_RETRY_SECONDS", default=60.0)
ALERT_LEASE_SECONDS = env.int("ALERT_LEASE_SECONDS", default=120)
ALERT_PRIVATE_HOSTS = tuple(host.lower() for host in env.list("ALERT_PRIVATE_HOSTS", default=[]))
ALERT_CA_FILE = env.str("ALERT_CA_FILE", default="")

# --- Static files -----------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing folder
WHITENOISE_USE_FINDERS = True  # a fresh clone serves its files with no collectstatic

# --- Orbit: where activity comes from ---------------------------------------------------------------------------------
POSTHOG_HOST = env.str("POSTHOG_HOST", default="https://us.posthog.com")
POSTHOG_API_KEY = literal("POSTHOG_API_KEY")
POSTHOG_PROJECT_ID = env.str("POSTHOG_PROJECT_ID", default="")
POSTHOG_ACCOUNT = env.str("POSTHOG_ACCOUNT", default="group:company")
POSTHOG_GROUP_INDEX = env.int("POSTHOG_GROUP_INDEX", default=None)
POSTHOG_REPULL_DAYS = env.int("POSTHOG_REPULL_DAYS", default=30)
POSTHOG_PAGE_ROWS = env.int("POSTHOG_PAGE_ROWS", default=50_000)  # PostHog silently cuts above it
POSTHOG_ANSWER_SECONDS = env.float("POSTHOG_ANSWER_SECONDS", default=60.0)
POSTHOG_RETRY_SECONDS = env.float("POSTHOG_RETRY_SECONDS", default=1.0)
POSTHOG_PATIENCE_SECONDS = env.float("POSTHOG_PATIENCE_SECONDS", default=900.0)

# --- Orbit: the brief -------------------------------------------------------------------------------------------------
ANTHROPIC_API_KEY = literal("ANTHROPIC_API_KEY")
ANTHROPIC_BASE_URL = env.str("ANTHROPIC_BASE_URL", default="https://api.anthropic.com")
AI_MODEL = env.str("AI_MODEL", default="")
AI_REGENERATE_DELTA = env.int("AI_REGENERATE_DELTA", default=10)
AI_BRIEFS_PER_DAY = env.int("AI_BRIEFS_PER_DAY", default=500)
AI_BRIEFS_PER_USER_AND_DAY = env.int("AI_BRIEFS_PER_USER_AND_DAY", default=50)
AI_DEADLINE_SECONDS = env.float("AI_DEADLINE_SECONDS", default=45.0)
AI_RETRY_SECONDS = env.float("AI_RETRY_SECONDS", default=1.0)

# --- Orbit: which activity belongs to which account -------------------------------------------------------------------
ACCOUNT_KEY_SCOPE = choice("ACCOUNT_KEY_SCOPE", "host", ("host", "registrable"))
SITE_HOSTS = tuple(host.lower() for host in env.list("SITE_HOSTS", default=[]))
ACTIVITY_EVENTS = tuple(
    env.list("ACTIVITY_EVENTS", default=["page_view", "cta_click", "form_started", "form_submitted"])
)
ACTIVITY_EVENT_ALIASES = env.parse_value(literal("ACTIVITY_EVENT_ALIASES"), dict) or {"$pageview": "page_view"}
ACTIVITY_MAX_CELLS = 5_000  # per account and day; beyond it the rarest paths are cut to two segments
REGISTRY_TTL_SECONDS = env.int("REGISTRY_TTL_SECONDS", default=60)
SCORING_BATCH_ACCOUNTS = 1_000

# --- Orbit: how long what is kept -------------------------------------------------------------------------------------
# Facts: a new installation makes 30 snapshots of windows of 59 days.
FACT_RETENTION_DAYS = kept_days("FACT_RETENTION_DAYS", env.int("FACT_RETENTION_DAYS", default=120), least=90)
SNAPSHOT_RETENTION_DAYS = kept_days(
    "SNAPSHOT_RETENTION_DAYS", env.int("SNAPSHOT_RETENTION_DAYS", default=400), least=60
)
RUN_RETENTION_DAYS = kept_days("RUN_RETENTION_DAYS", env.int("RUN_RETENTION_DAYS", default=400), least=30)
HISTORY_RETENTION_DAYS = kept_days("HISTORY_RETENTION_DAYS", env.int("HISTORY_RETENTION_DAYS", default=730), least=30)
PAYLOAD_RETENTION_DAYS = kept_days("PAYLOAD_RETENTION_DAYS", env.int("PAYLOAD_RETENTION_DAYS", default=180), least=1)
BRIEF_RETENTION_DAYS = kept_days("BRIEF_RETENTION_DAYS", env.int("BRIEF_RETENTION_DAYS", default=400), least=30)
KEPT_FOR_A_WHILE = ("ai_summaries.retention.parts",)  # by name, like AFTER_A_NIGHT: what packages above scoring remove

LOG_FORMAT = choice("LOG_FORMAT", "line", ("line", "json"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "abm_project.logs.LineFormatter",
            "format": "{asctime} {levelname} {name} [{ids}] {message}",
            "style": "{",
        },
        "json": {"()": "abm_project.logs.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    # At DEBUG these would write whole requests: facts, prompts, keys.
    "loggers": {name: {"level": "WARNING"} for name in ("anthropic", "httpx2", "httpcore2")},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
}
