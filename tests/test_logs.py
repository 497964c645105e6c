"""What a log line says, and what it never says (reliability 27, P8)."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.test import Client

from abm_project import logs
from abm_project.logs import JsonFormatter, LineFormatter, cut, redact
from scoring.models import JobRun
from scoring.run_ids import current
from scoring.runs import ending
from tests.factories import make_run

PLANTED = {
    "SECRET_KEY": "planted-secret-key-0123456789",
    "ERASURE_KEY": "planted-erasure-key",
    "POSTHOG_API_KEY": "phx_planted0123456789",
    "ANTHROPIC_API_KEY": "sk-ant-planted0123456789",
    "METRICS_TOKEN": "planted-metrics-token",
    "EMAIL_HOST_PASSWORD": "planted mail/password",
    "LEAD_SECRETS": ("planted-lead-one", "planted-lead-two"),
    "REDIS_URL": "redis://:planted-redis@127.0.0.1:6379/0",
}
LINE = LineFormatter("{levelname} {name} [{ids}] {message}", style="{")


@pytest.fixture
def planted(settings):
    for name, value in PLANTED.items():
        setattr(settings, name, value)
    logs.known_secrets.cache_clear()
    yield
    logs.known_secrets.cache_clear()


def record(message, *args, error=None):
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("scoring.jobs", logging.WARNING, __file__, 1, message, args, exc_info)


def every_secret():
    return [secret for value in PLANTED.values() for secret in ([value] if isinstance(value, str) else value)]


@pytest.mark.parametrize("formatter", [LINE, JsonFormatter()], ids=["line", "json"])
def test_no_secret_of_the_settings_gets_out_in_an_argument_or_a_traceback(planted, formatter):
    for secret in [*every_secret(), "planted%20mail%2Fpassword"]:
        try:
            raise OperationalError(1045, f"Access denied, {secret}")
        except OperationalError as error:
            said = formatter.format(record("it is %s.", secret, error=error))
        assert "planted" not in said, said
        assert said.count(logs.HIDDEN) >= 2


def test_passwords_of_the_databases_are_known_and_words_too_short_are_not_taken_apart():
    databases = {"default": {"PASSWORD": "hunter22"}, "other": {"PASSWORD": "a"}, "sqlite": {}}
    source = SimpleNamespace(DATABASES=databases, REDIS_URL="redis://:redis-pass@x", EMAIL_URL="")

    assert logs.secret_values(source) == {"hunter22", "redis-pass"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer (hidden)"),
        ("authorization: Token abcdef123456", "authorization: Token (hidden)"),
        ("mysql://orbit:hunter22@db/orbit", "mysql://orbit:(hidden)@db/orbit"),
        ("https://hooks.slack.com/services/T0/B0/xyzxyz", "https://hooks.slack.com/services/(hidden)"),
        ('{"password": "hunter22", "name": "x"}', '{"password": "(hidden)", "name": "x"}'),
        ("api_key=abcdef123 next", "api_key=(hidden) next"),
        ("phx_abcdef0123", "(hidden)"),
        ("Seen at https://docs.example/a:b, token missing", "Seen at https://docs.example/a:b, token missing"),
        ("3 of 8 accounts", "3 of 8 accounts"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_stays(text, said):
    assert redact(text) == said


def test_a_flood_is_cut():
    assert len(LINE.format(record("x" * 1_000_000))) < 21_000
    assert cut("short") == "short"


def test_json_is_one_object_a_line_with_the_ids_it_has():
    token = current.set("run-1")
    said = JsonFormatter().format(record("two\nlines %s", "é"))
    current.reset(token)

    assert "\n" not in said
    assert json.loads(said) | {"time": ""} == {
        "time": "",
        "level": "WARNING",
        "logger": "scoring.jobs",
        "run_id": "run-1",
        "message": "two\nlines é",
    }


@pytest.mark.django_db
def test_a_run_names_itself_in_the_lines_written_meanwhile():
    run = make_run(state="running")
    with pytest.raises(ValueError, match="odd"), ending(run):
        assert LINE.format(record("x")) == f"WARNING scoring.jobs [- {run.pk}] x"
        raise ValueError("odd")

    assert LINE.format(record("x")) == "WARNING scoring.jobs [- -] x"
    assert JobRun.objects.get().state == "failed"


@pytest.mark.django_db
def test_no_answer_holds_a_planted_secret(planted, settings):
    client = Client(raise_request_exception=False)
    for address in (
        "/login",
        "/nowhere",
        "/api/nowhere",
        "/api/abm/accounts",
        "/readyz",
        "/metrics",
        "/%00",
        "/admin/",
    ):
        answer = client.get(address)
        assert b"planted" not in answer.content, address
        assert "planted" not in str(answer.headers), address


def test_no_module_writes_logs_past_the_formatter():
    root = Path(__file__).resolve().parent.parent
    packages = ("abm_project", "registry", "accounts", "ingestion", "scoring", "ai_summaries")
    files = [path for package in packages for path in (root / package).rglob("*.py")]

    assert [path.name for path in files if "StreamHandler(" in path.read_text()] == []
