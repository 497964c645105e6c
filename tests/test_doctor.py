"""The doctor of an installation: each part, well and ill; it ends with what to do."""

import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from abm_project.models import AlertWebhook
from registry.models import ScoreConfig
from registry.seeds import seed
from scoring.models import NIGHT
from tests.anthropic_standin import faults
from tests.factories import make_rule, make_run, make_user
from tests.posthog_standin import PostHog
from tests.receivers import MailServer, serving
from tests.test_check_posthog import grouped

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "health"])


@pytest.fixture
def well(settings, tmp_path):
    """As a production without Redis, PostHog, a model and mail has it."""
    settings.REDIS_URL = settings.POSTHOG_API_KEY = settings.ANTHROPIC_API_KEY = ""
    settings.EMAIL_GOES_OUT = settings.DEBUG = False
    settings.SCHEDULER_SEEN_FILE = tmp_path / "seen"
    settings.SCHEDULER_SEEN_FILE.touch()
    seed()
    make_user("boss", "internal_admin")
    return settings


ROOT = Path(__file__).resolve().parent.parent


def examine(*options):
    """Its exit code, the bad lines, and all it said."""
    out, code = StringIO(), 0
    try:
        call_command("doctor", *options, stdout=out)
    except CommandError:
        code = 1
    said = out.getvalue()
    return code, [line.removeprefix("BAD  ") for line in said.splitlines() if line.startswith("BAD ")], said


def test_where_all_is_well_it_says_so_twice(well):
    answers = [examine() for _ in range(2)]

    assert [(code, bad) for code, bad, _ in answers] == [(0, []), (0, [])]
    said = answers[0][2]
    assert said.rstrip().endswith("All is well.")
    for part in ("Settings", "Database", "Jobs", "Registry", "PostHog", "Briefs", "Mail", "Alerts"):
        assert f"\n{part}\n" in said
    assert "All migrations are applied." in said and "The active config is default_v1" in said


def test_a_new_database_is_told_to_be_migrated_and_not_taken_for_one_that_is_away(tmp_path):
    settings = {"ENV_FILE": os.devnull, "DATABASE_URL": f"sqlite:///{tmp_path}/new.sqlite3", "PATH": os.environ["PATH"]}
    argv = [sys.executable, "manage.py", "doctor"]
    run = subprocess.run(argv, cwd=ROOT, env=settings, capture_output=True, text=True)

    assert run.returncode == 1 and "Run manage.py migrate." in run.stdout
    assert run.stdout.count("Not looked at: the tables are missing.") == 2  # the registry and the web hooks
    assert "The database does not answer:" not in run.stdout


@pytest.mark.mariadb
def test_it_names_version_collation_isolation_and_strict_mode(well):
    said = examine()[2]

    assert "MariaDB 10" in said and "or later is needed" in said
    assert "Transactions are READ-COMMITTED." in said and "Strict mode is on." in said and "utf8mb4" in said


@pytest.mark.mariadb
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("SET SESSION time_zone='+05:30'", "@@session.time_zone is +05:30"),
        ("SET SESSION sql_mode=''", "Strict mode is off."),
        ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "Transactions are REPEATABLE-READ."),
    ],
)
def test_a_session_that_is_not_as_scores_need_it_is_bad(well, change, expected):
    undo = "SET SESSION time_zone='+00:00', sql_mode='STRICT_TRANS_TABLES'"
    with connection.cursor() as cursor:
        cursor.execute(change)
        try:
            assert any(expected in line for line in examine()[1])
        finally:
            cursor.execute(undo)
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")


def test_no_admin_debug_and_a_dead_scheduler_each_say_what_to_do(well):
    well.DEBUG = True
    well.SCHEDULER_SEEN_FILE.unlink()
    well.POSTHOG_API_KEY, well.POSTHOG_PROJECT_ID = "phx_planted01234", "1"
    User.objects.all().delete()
    code, bad, said = examine("--skip-posthog")

    assert code == 1
    assert any("create_user NAME --role internal_admin" in line for line in bad)
    assert any("Start abm_scheduler" in line for line in bad)
    assert "Change these settings:\nDEBUG=False" in said and "To do:\n1. " in said
    assert "planted" not in said


def test_a_late_night_and_bad_rows_are_named(well):
    today, ended = timezone.now().date(), timezone.now() - timedelta(hours=30)
    make_run(NIGHT, day=today, slot=today, finished_at=ended)
    make_rule("(", match_type="path_regex")
    bad = examine()[1]

    assert any("30.0 hours ago" in line for line in bad)
    assert any("abm_event_rules" in line for line in bad)


def test_without_a_config_it_says_how_to_get_one(well):
    ScoreConfig.objects.all().delete()

    assert any("seed_registry" in line for line in examine()[1])


def test_posthog_is_asked_as_check_posthog_does(well):
    with PostHog() as standin:
        standin.capture(grouped())
        well.POSTHOG_HOST, well.POSTHOG_API_KEY = standin.url, standin.api_key
        well.POSTHOG_PROJECT_ID = str(standin.project_id)
        assert "Group type company is there" in examine()[2]
        well.POSTHOG_API_KEY = "phx_wrong_key"
        code, bad, _ = examine()

    assert code == 1 and any("does not know the key" in line for line in bad)


# --- Briefs ---
def test_without_a_key_briefs_come_from_rules_and_nobody_is_asked(well, anthropic_api):
    well.ANTHROPIC_API_KEY = ""
    code, _, said = examine()

    assert code == 0 and "ANTHROPIC_API_KEY is not set: briefs are made from rules." in said
    assert anthropic_api.requests == []


def test_a_key_without_a_model_is_bad(well, anthropic_api):
    well.AI_MODEL = ""

    assert any("AI_MODEL is not set" in line for line in examine()[1])
    assert anthropic_api.requests == []


def test_the_model_is_looked_up_over_the_wire_and_writes_nothing(well, anthropic_api):
    code, bad, said = examine()

    assert (code, bad) == (0, [])
    assert f"Briefs are written by claude-test: {anthropic_api.url} knows the key and the model." in said
    assert [(request.path, request.body) for request in anthropic_api.requests] == [("/v1/models/claude-test", None)]


def test_a_wrong_key_an_unknown_model_and_a_dead_address_each_say_what_to_do(well, anthropic_api):
    well.ANTHROPIC_API_KEY = "sk-ant-planted0123"
    code, bad, said = examine()
    assert code == 1 and "planted" not in said
    assert any("does not know the key (401). Look at ANTHROPIC_API_KEY." in line for line in bad)

    well.ANTHROPIC_API_KEY, well.AI_MODEL = anthropic_api.key, "claude-missing"
    assert any("knows no model claude-missing (404). Look at AI_MODEL" in line for line in examine()[1])

    well.ANTHROPIC_BASE_URL = "http://127.0.0.1:1"
    (line,) = examine()[1]
    assert "the connection to Anthropic failed" in line
    assert line.endswith("If that lasts, look at ANTHROPIC_BASE_URL, and at what this machine may reach.")

    well.ANTHROPIC_BASE_URL = "http://169.254.169.254"
    assert any("ANTHROPIC_BASE_URL: " in line for line in examine()[1])


def test_a_retired_model_is_bad_and_one_that_will_be_is_said(well, anthropic_api):
    anthropic_api.faults = [
        faults.Fault(changes={"lifecycle": "retired"}),
        faults.Fault(changes={"lifecycle": "deprecated", "retires_at": "2027-03-01T00:00:00Z"}),
    ]

    assert any("claude-test writes no more" in line for line in examine()[1])
    code, _, said = examine()
    assert code == 0 and "Anthropic means to retire it on 2027-03-01: choose another AI_MODEL by then." in said


def test_a_mail_server_is_greeted_and_one_that_is_away_is_bad(well):
    well.EMAIL_BACKEND, well.EMAIL_GOES_OUT = "django.core.mail.backends.smtp.EmailBackend", True
    well.EMAIL_USE_TLS, well.EMAIL_HOST_USER, well.EMAIL_HOST_PASSWORD = False, "", ""
    with serving(MailServer()) as server:
        well.EMAIL_HOST, well.EMAIL_PORT = "127.0.0.1", server.port
        assert examine()[1] == [] and server.mails == []
    bad = examine()[1]

    assert any("takes no mail" in line for line in bad)


def test_a_web_hook_that_leads_inside_is_bad(well):
    AlertWebhook.objects.create(name="inside", kind="json", url="https://localhost/x")

    assert any("inside: localhost leads to" in line for line in examine()[1])


def test_redis_that_may_throw_jobs_away_or_is_away_is_bad(well):
    well.REDIS_URL, well.JOBS = "redis://:hunter22@127.0.0.1:1/0", "queue"
    code, bad, said = examine()

    assert code == 1 and any("Redis: It does not answer." in line for line in bad)
    assert "hunter22" not in said
