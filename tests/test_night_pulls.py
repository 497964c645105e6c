"""Nights that pull, by real processes: PostHog failing, out of budget or suspiciously quiet, and workers killed in the
middle of a pull (reliability 29-31 and 36). Afterwards facts and scores are those of an import of the same events."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import orjson
import pytest
from django.conf import settings

from scoring.jobs import due_slot
from tests.installation import installation, write_events
from tests.posthog_standin import PostHog, faults
from tests.test_kills import dev, server  # noqa: F401 - fixtures
from tests.test_night_processes import (
    DONE,
    KOLKATA,
    NEW_YORK,
    NIGHT,
    QUICK,
    Crew,
    children,
    count,
    kill,
    let_the_clock_pass,
    redis,  # noqa: F401 - a fixture
    scored_day,
)

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="kills processes that use a MariaDB server"),
]
DAYS = 59
TABLES = ("activity_days", "activity_pulls", "daily_account_intent", "prospect_companies", "job_runs")
OF_THE_PULL = ("source", "unresolved_json", "requests", "bytes", "scanned", "seconds", "read_at")
PUBLISH = """
from django.contrib.auth.models import User
from django.test import Client
from abm_project.access import give_role
from scoring.models import JobRun
ann, _ = User.objects.get_or_create(username="ann")
give_role(ann, "internal_admin")
client = Client(headers={"host": "localhost"})
client.force_login(ann)
night = JobRun.objects.get(kind="night")
answer = client.post(f"/api/abm/jobs/{night.pk}/publish", {}, content_type="application/json")
assert answer.status_code == 202, answer.content
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    let_the_clock_pass()
    path = tmp_path_factory.mktemp("pulls") / "export.jsonl"
    return write_events(path, scored_day(), days=DAYS, accounts=40, seed=5)


@pytest.fixture(scope="module")
def posthog():
    with PostHog(timezone="US/Pacific", per_minute=None, per_hour=None) as running:
        yield running


@pytest.fixture(scope="module")
def pulled(redis, export, posthog):  # noqa: F811
    """An installation, and the facts and scores of an import of the same events."""
    address = {"host": DATABASE["HOST"], "port": int(DATABASE["PORT"] or 3306)}
    quick = QUICK | {
        "REDIS_URL": redis.url,
        "POSTHOG_HOST": posthog.url,
        "POSTHOG_API_KEY": posthog.api_key,
        "POSTHOG_PROJECT_ID": str(posthog.project_id),
        "POSTHOG_RETRY_SECONDS": "0.02",
        "POSTHOG_PATIENCE_SECONDS": "0.5",
    }
    with installation({**address, "user": DATABASE["USER"], "password": DATABASE["PASSWORD"]}, **quick) as home:
        last = scored_day()
        home.run("import_activity", export, "--from", last - timedelta(days=DAYS - 1), "--to", last)
        home.run("recompute_intent", "--date", last, "--backfill", "30")
        yield home, home.facts(*OF_THE_PULL), home.scores()


@pytest.fixture
def home(pulled, redis, posthog, export):  # noqa: F811
    made = pulled[0]
    made.empty("daily_account_intent", "prospect_companies", "job_runs", "activity_days", "activity_pulls")
    redis.client.flushall()
    posthog.reset()
    posthog.set(timezone="US/Pacific", per_minute=None, per_hour=None)
    posthog.capture(map(orjson.loads, export.read_bytes().splitlines()))
    return made


@pytest.fixture
def crew(home, tmp_path):
    made = Crew(home, tmp_path)
    yield made
    made.dismiss()


@pytest.fixture
def night_is_whole(home, pulled, crew):
    def check():
        crew.wait_until(lambda: count(home, DONE), seconds=300)
        ((slot, state, attempt),) = home.query(NIGHT)
        assert (slot, state) == (due_slot(datetime.now(UTC)), "done")
        assert home.facts(*OF_THE_PULL) == pulled[1]
        assert home.scores() == pulled[2]
        return attempt

    return check


def day_questions(posthog):
    return sum(request.name.startswith("orbit day") and request.status == 200 for request in posthog.requests)


def test_spec_step_7_a_night_pulls_and_scores_as_an_import_of_the_same_events(home, crew, posthog, night_is_whole):
    crew.schedulers(KOLKATA)
    crew.workers(NEW_YORK)

    assert night_is_whole() == 1

    assert day_questions(posthog) == DAYS
    result = json.loads(home.query("SELECT result_json FROM job_runs WHERE kind = 'night'")[0][0])
    assert result["pull"]["requests"] == 3 * DAYS + 2
    assert result["pull"]["events"] == sum(row[0] for row in home.query("SELECT events FROM activity_pulls"))


def test_posthog_away_changes_no_score_and_the_next_tick_heals_it(home, crew, posthog, night_is_whole):
    posthog.faults.add(faults.answer(503, {}), name="orbit day", times=40)
    crew.schedulers(NEW_YORK, KOLKATA)
    crew.workers(KOLKATA)
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM job_runs WHERE kind = 'night' AND message != ''"))

    (message,) = home.query("SELECT message FROM job_runs WHERE kind = 'night'")[0]
    assert "PostHog" in message
    assert count(home, "SELECT COUNT(*) FROM daily_account_intent") == 0

    assert night_is_whole() > 1


@pytest.mark.parametrize("whom", ["horse", "worker and horse"])
def test_a_night_killed_in_the_middle_of_its_pull_goes_on_where_it_was(home, crew, posthog, night_is_whole, whom):
    crew.schedulers(KOLKATA)
    crew.workers(NEW_YORK)
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM activity_pulls") > 10)

    (horse,) = children(crew.processes["worker-0"].pid)
    if "worker" in whom:
        crew.processes["worker-0"].kill()
    kill(horse)

    assert night_is_whole() == 2
    assert day_questions(posthog) <= DAYS + 4  # what was under way and not stored is read again


def test_out_of_budget_it_waits_as_long_as_posthog_says_and_reads_no_day_twice(home, crew, posthog, night_is_whole):
    posthog.faults.add(faults.budget_exceeded(retry_after=3), name="orbit day", nth=20)
    crew.schedulers(KOLKATA)
    crew.workers(KOLKATA)
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM job_runs WHERE not_before IS NOT NULL"))

    assert night_is_whole() == 2

    at = sorted(request.at for request in posthog.requests)
    assert max(later - earlier for earlier, later in pairwise(at)) >= timedelta(seconds=2)
    assert day_questions(posthog) <= DAYS + 2


def test_a_quiet_day_is_held_until_an_admin_publishes_it(home, crew, posthog):
    usual = [
        {
            "event": "page_view",
            "distinct_id": "u1",
            "timestamp": f"{scored_day() - timedelta(weeks=week)}T12:00:00Z",
            "properties": {"$pathname": "/", "$groups": {"company": "usual.example"}},
        }
        for week in range(1, 5)
        for _ in range(2_000)
    ]
    posthog.capture(usual)
    crew.schedulers(KOLKATA)
    crew.workers(KOLKATA)
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM job_runs WHERE was_held"))
    assert count(home, "SELECT COUNT(*) FROM daily_account_intent") == 0
    assert home.query("SELECT date, state FROM activity_pulls WHERE state != 'pulled'") == [(scored_day(), "held")]

    home.run("shell", "--no-imports", "-c", PUBLISH)

    crew.wait_until(lambda: count(home, DONE))
    assert home.query("SELECT COUNT(DISTINCT date) FROM daily_account_intent") == [(30,)]
    assert home.query("SELECT state FROM activity_pulls GROUP BY state") == [("pulled",)]
