"""What is right and wrong with an installation: its settings, and everything it talks to. Reads only.

Each part says what it found; what is bad says what to do. Nothing a part finds stops the others.
"""

import re
import smtplib
from collections.abc import Callable, Iterator
from datetime import datetime

from django.conf import settings
from django.core.checks import run_checks
from django.core.mail import get_connection
from django.db import Error, connection
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from redis import RedisError

from abm_project import health
from abm_project.access import INTERNAL_ADMIN
from abm_project.alerts import allowed_addresses
from abm_project.models import AlertWebhook
from abm_project.ownership import may_own
from ai_summaries import llm
from ingestion.doctor import Diagnosis
from ingestion.doctor import Doctor as PostHogDoctor
from ingestion.outgoing import NotAllowed, checked_url
from ingestion.posthog import PostHogError, connect
from registry.loader import RegistryUnusable, load_registry
from scoring import jobs

OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0)}
WANTED_SESSION = {"@@session.time_zone": "+00:00", "@@character_set_connection": "utf8mb4"}
STRICT = "STRICT_TRANS_TABLES"
MODEL_SECONDS = 20  # for what Anthropic says of the model, tries and waits included
Part = Callable[[Diagnosis, datetime], None]


def examine(now: datetime, *, ask_posthog: bool = True) -> Iterator[tuple[str, Diagnosis]]:
    """Part by part, in the order in which one thing needs the other."""
    parts: dict[str, Part] = {
        "Settings": configuration,
        "Database": database,
        "Jobs": work,
        "Registry": registry,
        "PostHog": posthog if ask_posthog else posthog_settings,
        "Briefs": briefs,
        "Mail": mail,
        "Alerts": webhooks,
    }
    for name, part in parts.items():
        found = Diagnosis()
        try:
            part(found, now)
        except Error as error:
            if tables_are_missing():
                found.note("Not looked at: the tables are missing.")
            else:
                found.bad(f"The database does not answer: {' '.join(map(str, error.args))}")
        yield name, found


def pending_migrations() -> list[tuple[Migration, bool]]:
    executor = MigrationExecutor(connection)  # reads only
    return executor.migration_plan(executor.loader.graph.leaf_nodes())


def tables_are_missing() -> bool:
    """A new database is no broken one: the part Database has said what to do."""
    try:
        return bool(pending_migrations())
    except Error:
        return False


def configuration(found: Diagnosis, now: datetime) -> None:
    """What `check --deploy` says, in words of one line each."""
    messages = run_checks(include_deployment_checks=True)
    for message in messages:
        text = " ".join(f"{message.msg} {message.hint or ''}".split())
        (found.bad if message.is_serious() else found.note)(f"{text} ({message.id})")
    if not any(message.is_serious() for message in messages):
        found.good(f"{len(messages)} warnings of check --deploy." if messages else "check --deploy has nothing to say.")
    if settings.DEBUG:
        found.bad("DEBUG shows settings to strangers.", DEBUG="False")
    if not settings.LEAD_SECRETS:
        found.note("LEAD_SECRETS is not set: everybody may post leads.")
    if not settings.PUBLIC_URL:
        found.note("PUBLIC_URL is not set: mails and web hooks carry no links.")


def database(found: Diagnosis, now: datetime) -> None:
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        found.note("SQLite: for trying out and for one machine. DATABASE_URL names MySQL or MariaDB.")
    else:
        server(found)
    if pending := pending_migrations():
        names = ", ".join(f"{migration.app_label} {migration.name}" for migration, _ in pending[:3])
        found.bad(f"{len(pending)} migrations are not applied ({names} …). Run manage.py migrate.")
        return
    found.good("All migrations are applied.")
    admins = may_own().filter(groups__name=INTERNAL_ADMIN).exists() or may_own().filter(is_superuser=True).exists()
    if not admins:
        found.bad("There is no admin. Run manage.py create_user NAME --role internal_admin.")


def server(found: Diagnosis) -> None:
    """The version, and whether the session is as scores need it."""
    said = str(ask("SELECT VERSION()"))
    kind = "MariaDB" if "MariaDB" in said else "MySQL"
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    oldest = ".".join(map(str, OLDEST[kind]))
    (found.good if version >= OLDEST[kind] else found.bad)(f"{kind} {said}; {oldest} or later is needed.")
    for name, wanted in WANTED_SESSION.items():
        is_so = ask(f"SELECT {name}")
        if is_so != wanted:
            found.bad(f"{name} is {is_so}, not {wanted}: something between Orbit and the server changes it.")
    isolation = ask(f"SELECT @@{'tx' if kind == 'MariaDB' else 'transaction'}_isolation")
    (found.good if isolation == "READ-COMMITTED" else found.bad)(f"Transactions are {isolation}.")
    modes = str(ask("SELECT @@session.sql_mode"))
    (found.good if STRICT in modes else found.bad)("Strict mode is on." if STRICT in modes else "Strict mode is off.")
    charset = ask("SELECT @@character_set_database")
    if charset != "utf8mb4":
        found.bad(f"The database is {charset}: ALTER DATABASE … CHARACTER SET utf8mb4, before migrate.")
    else:
        found.good(f"utf8mb4, {ask('SELECT @@collation_database')}.")


def ask(sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def work(found: Diagnosis, now: datetime) -> None:
    """Redis, the scheduler and the last night, as /readyz sees them."""
    try:
        nights = health.read_nights()
    except Error:
        nights = None
    for name, check in {**health.scheduler(nights, now), "night": health.night(nights, now)}.items():
        (found.good if check.ok else found.bad)(f"{name.capitalize()}: {check.detail}")
    if not settings.REDIS_URL:
        found.note("REDIS_URL is not set: abm_scheduler does the jobs itself.")
        return
    try:
        policy = jobs.connect().info("memory").get("maxmemory_policy")
        if policy != "noeviction":
            found.bad(f"Redis may throw away wake-ups (maxmemory-policy {policy}): set it to noeviction.")
        depth = jobs.queue_depth()
        found.note(f"{depth} wake-ups wait for a worker." if depth else "No wake-up waits for a worker.")
    except RedisError as error:
        found.note(f"Redis said no more ({type(error).__name__}).")


def registry(found: Diagnosis, now: datetime) -> None:
    try:
        loaded = load_registry()
    except RegistryUnusable as why:
        found.bad(f"{why} Run manage.py seed_registry, or mend the rows.")
        return
    for problem in loaded.alarm:
        found.bad(problem)
    if not loaded.alarm:
        found.good(f"The active config is {loaded.parameters.name}, with {len(loaded.rules)} event rules.")


def posthog_settings(found: Diagnosis, now: datetime) -> None:
    if settings.POSTHOG_API_KEY and settings.POSTHOG_PROJECT_ID:
        found.note(f"Not asked. Its key and project are set; the host is {settings.POSTHOG_HOST}.")
    else:
        found.note("No key or project: activity comes from files (import_activity).")


def posthog(found: Diagnosis, now: datetime) -> None:
    if not (settings.POSTHOG_API_KEY and settings.POSTHOG_PROJECT_ID):
        return posthog_settings(found, now)
    try:
        asked = PostHogDoctor(connect(), now).examine()
    except (PostHogError, RegistryUnusable) as why:
        return found.bad(str(why))
    found.findings += asked.findings
    found.settings |= asked.settings
    return None


def briefs(found: Diagnosis, now: datetime) -> None:
    """The model is looked up, which proves address, key and name; nothing is written, for that costs money."""
    if not llm.is_configured():
        found.note("ANTHROPIC_API_KEY is not set: briefs are made from rules.")
        return
    known = llm.look_up(llm.Deadline(MODEL_SECONDS))
    if isinstance(known, llm.Failed):
        lasting = " If that lasts, look at ANTHROPIC_BASE_URL, and at what this machine may reach."
        found.bad(f"{known.reason}{lasting if known.may_pass else ''}")
    elif known.lifecycle == "retired":
        found.bad(f"{known.model} writes no more: Anthropic has retired it. Set AI_MODEL to a model that is active.")
    else:
        found.good(f"Briefs are written by {known.model}: {settings.ANTHROPIC_BASE_URL} knows the key and the model.")
    if isinstance(known, llm.Known) and known.lifecycle == "deprecated":
        ends = f"on {known.retires_on}" if known.retires_on else "some day soon"
        found.note(f"Anthropic means to retire it {ends}: choose another AI_MODEL by then.")


def mail(found: Diagnosis, now: datetime) -> None:
    if not settings.EMAIL_GOES_OUT:
        found.note("EMAIL_URL is not set: alerts and new passwords do not go out by mail.")
        return
    try:
        with get_connection(fail_silently=False):
            found.good(f"{settings.EMAIL_HOST} takes mail from {settings.DEFAULT_FROM_EMAIL}, as far as it was asked.")
    except (smtplib.SMTPException, OSError) as error:
        found.bad(f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} takes no mail ({type(error).__name__}). See EMAIL_URL.")


def webhooks(found: Diagnosis, now: datetime) -> None:
    """Where they lead now; nothing is posted."""
    for webhook in AlertWebhook.objects.filter(enabled=True).order_by("name"):
        try:
            host = checked_url(webhook.url)
            allowed_addresses(host, 443)
            found.good(f"{webhook.name} leads to {host}.")
        except NotAllowed as why:
            found.bad(f"{webhook.name}: {why}")
        except OSError as error:
            found.bad(f"{webhook.name}: its host has no address ({error}).")
