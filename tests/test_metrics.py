"""/metrics: for who knows the token, what was answered and what is so."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connections
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from ingestion.models import LeadRequest
from tests.factories import make_company, make_config, make_lead, make_pull, make_run, make_snapshot
from tests.test_health import patient_probe  # noqa: F401 - a fixture of every test

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "health"])
ROOT = Path(__file__).resolve().parent.parent
TOKEN = "metrics-token"


@pytest.fixture(autouse=True)
def token(settings):
    settings.METRICS_TOKEN, settings.REDIS_URL = TOKEN, ""


def read(client):
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.content.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"bearer{TOKEN}"])
def test_who_does_not_know_the_token_learns_nothing(client, given):
    assert client.get("/metrics", headers={"authorization": given} if given else {}).status_code == 404


def test_without_a_token_in_the_settings_nobody_reads_it(client, settings):
    settings.METRICS_TOKEN = ""

    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


def test_answers_are_counted_by_route_and_status_and_never_by_address(client):
    before = read(client)
    for path in ("/accounts/a.example", "/accounts/b.example", "/nowhere/1", "/nowhere/2"):
        client.get(path)
    client.post("/api/hooks/lead-requests", "{", content_type="application/json")
    client.generic("DANCE", "/login")
    after = read(client)

    def grown(*labels):
        same = [key for key in after if key[0] == "orbit_http_answers_total" and set(key[1:]) == set(labels)]
        return sum(after[key] - before.get(key, 0) for key in same)

    assert grown("GET", "/accounts/<str:domain>", "302") == 2
    assert grown("GET", "none", "404") == 2
    assert grown("POST", "/api/hooks/lead-requests", "400") == 1
    assert grown("other", "/login", "405") == 1
    assert not any("a.example" in str(key) or "nowhere" in str(key) for key in after)


def test_it_says_what_stands_in_the_rows(client):
    now = timezone.now()
    make_config()
    make_snapshot(make_company(), now.date() - timedelta(days=1))
    make_run("night", day=now.date(), slot=now.date(), finished_at=now - timedelta(hours=3))
    make_run(state="failed")
    make_pull(now.date() - timedelta(days=2))
    unresolved = {"not_a_domain": {"events": 25, "examples": {}}}
    make_pull(now.date() - timedelta(days=1), events=75, unresolved_json=unresolved)
    make_pull(now.date() - timedelta(days=3), state="failed")
    make_lead(day=now.date() - timedelta(days=2))
    LeadRequest.objects.create(submitted_at=now)
    said = read(client)

    assert said[("orbit_database_up",)] == 1
    assert said[("orbit_runs", "recompute", "failed")] == 1
    assert said[("orbit_night_age_seconds",)] == pytest.approx(3 * 3600, abs=60)
    assert said[("orbit_scores_age_days",)] == 1
    assert (said[("orbit_pulled_days", "pulled")], said[("orbit_pulled_days", "failed")]) == (2, 1)
    assert said[("orbit_unresolved_share",)] == 0.25
    assert said[("orbit_leads_last_day", "new")] == 1


def test_with_the_database_away_it_says_so_and_still_counts(client, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError(2002, "away")

    monkeypatch.setattr(connections["health"], "cursor", away)
    said = read(client)

    assert said[("orbit_database_up",)] == 0
    assert any(key[0] == "orbit_http_answers_total" for key in said)


def test_processes_are_added_up(tmp_path):
    """Each in its own process, as gunicorn's are."""
    program = (
        "import django; django.setup()\n"
        "from django.conf import settings; from pathlib import Path\n"
        "from abm_project.metrics import ANSWERS, counted\n"
        "from prometheus_client import generate_latest\n"
        "ANSWERS.labels('/x', 'GET', 200).inc()\n"
        f"settings.METRICS_DIR = Path({str(tmp_path)!r})\n"
        "print(generate_latest(counted()).decode())"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "DATABASE_URL": "sqlite://:memory:",
        "DJANGO_SETTINGS_MODULE": "abm_project.settings",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )

    assert 'orbit_http_answers_total{method="GET",route="/x",status="200"} 3.0' in run.stdout
