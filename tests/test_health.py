"""/healthz and /readyz, as a probe sees them: with everything there, late, away or frozen."""

import os
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from scoring import jobs
from scoring.scheduler import NightScheduler
from tests.factories import make_run
from tests.test_jobs import has_redis, redis  # noqa: F401 - fixture

# Committed rows: the probe has a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "health"])
SECRET = "hunter2"


@pytest.fixture
def no_redis(settings, tmp_path):
    settings.JOBS, settings.REDIS_URL, settings.POSTHOG_API_KEY = "inline", "", ""
    settings.SCHEDULER_SEEN_FILE = tmp_path / "scheduler-seen"
    return settings


@pytest.fixture(autouse=True)
def patient_probe():
    """A database that is there is never called away because the machine has other work; gives the options that are
    changed."""
    probe = connections["health"]
    options = probe.settings_dict["OPTIONS"]
    probe.close()
    probe.settings_dict["OPTIONS"] = {name: 60 if name.endswith("timeout") else options[name] for name in options}
    yield options
    probe.close()
    probe.settings_dict["OPTIONS"] = options


def hours_ago(hours):
    return datetime.now(UTC) - timedelta(hours=hours)


def ready(client):
    """Its status, what is not well, and what it says."""
    answer = client.get("/readyz")
    body = answer.json()
    wrong = {name for name, check in body["checks"].items() if not check["ok"]}
    assert answer.status_code == (503 if wrong else 200)
    assert body["status"] == ("failing" if wrong else "ok")
    assert answer["Cache-Control"] and SECRET not in answer.content.decode()
    return wrong, {name: check["detail"] for name, check in body["checks"].items()}


@contextmanager
def nothing_answers():
    """A server that takes connections and says nothing, as one that is frozen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def shortest_of_three(work):
    """In seconds: the machine may be busy with something else in any one of them."""
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        work()
        seconds.append(time.monotonic() - start)
    return min(seconds)


# --- The process ---
def test_healthz_asks_nobody(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_probes_come_without_tls_and_read_only(client, no_redis, address):
    no_redis.SECURE_SSL_REDIRECT = True

    assert client.get(address).status_code == 200
    assert client.head(address).status_code == 200
    assert client.post(address).status_code == 405


# --- The night ---
def test_a_demo_is_ready_and_says_that_nights_do_not_come_by_themselves(client, no_redis):
    wrong, said = ready(client)

    assert wrong == set()
    assert said["night"] == "No night yet. The first follows the first day of activity."
    assert said["scheduler"] == "None has ever run here: nights do not come by themselves. Start abm_scheduler."


@pytest.mark.parametrize(("hours", "wrong"), [(1, set()), (25.9, set()), (26.1, {"night"}), (24 * 30, {"night"})])
def test_it_is_red_when_the_last_successful_night_is_26_hours_ago(client, no_redis, hours, wrong):
    made = hours_ago(hours)
    make_run("night", slot=made.date(), queued_at=made, finished_at=made)
    make_run("recompute", finished_at=hours_ago(0))

    assert ready(client)[0] == wrong


@pytest.mark.parametrize(("hours", "wrong"), [(25.9, set()), (26.1, {"night"})])
@pytest.mark.parametrize("state", ["queued", "running", "failed", "held"])
def test_with_no_success_yet_it_is_red_26_hours_after_the_first_was_due(client, no_redis, hours, wrong, state):
    made = hours_ago(hours)
    make_run("night", state, slot=made.date(), queued_at=made, finished_at=None)

    found, said = ready(client)
    assert found == wrong
    assert said["night"].startswith(f"No night has succeeded yet; the first was due {hours} hours ago.")


@pytest.mark.parametrize(
    ("state", "said"),
    [("failed", " The night of 2026-11-22 failed and is tried again."),
     ("held", " The night of 2026-11-22 is held and waits for an admin."),
     ("queued", "")],
)  # fmt: skip
def test_it_says_that_the_newest_night_failed_or_is_held_and_not_why(client, no_redis, state, said):
    make_run("night", slot="2026-11-21", finished_at=hours_ago(3))
    make_run("night", state, slot="2026-11-22", message=f"{SECRET} at db.internal")

    wrong, details = ready(client)
    assert wrong == set()
    assert details["night"] == "The last successful night ended 3.0 hours ago." + said


# --- The scheduler ---
def test_without_redis_a_scheduler_that_went_silent_is_red_unless_it_works_at_a_run(client, no_redis):
    no_redis.SCHEDULER_SEEN_FILE.touch()
    assert ready(client)[0] == set()

    os.utime(no_redis.SCHEDULER_SEEN_FILE, times=(0, time.time() - 31))  # three ticks are 30 s
    assert ready(client)[0] == {"scheduler"}

    make_run("night", "running", slot="2026-11-22", queued_at=hours_ago(1))
    assert ready(client)[0] == set()


@has_redis
def test_with_redis_there_must_be_a_scheduler(client, redis):  # noqa: F811
    wrong, said = ready(client)
    assert (wrong, said["redis"]) == ({"scheduler"}, "It answers.")

    NightScheduler(jobs.connect(), 10).tick()
    assert ready(client)[0] == set()


def test_with_a_key_of_posthog_somebody_expects_nights(client, no_redis):
    no_redis.POSTHOG_API_KEY = "phx_key"

    assert ready(client)[0] == {"scheduler"}


# --- Away and frozen ---
def test_redis_down_is_red_at_once(client, settings):
    settings.REDIS_URL = f"redis://:{SECRET}@127.0.0.1:1/0"

    assert ready(client)[0] == {"redis", "scheduler"}


def test_redis_frozen_is_red_in_time(client, settings):
    def is_red():
        assert ready(client)[0] == {"redis", "scheduler"}

    with nothing_answers() as port:
        settings.REDIS_URL = f"redis://:{SECRET}@127.0.0.1:{port}/0"
        assert shortest_of_three(is_red) < 2


@pytest.mark.mariadb
def test_the_database_frozen_is_red_in_time_and_green_again_afterwards(client, no_redis, patient_probe):
    def is_red():
        assert ready(client)[0] == {"database", "night"}

    database = connections["health"]
    database.close()
    kept = dict(database.settings_dict)
    with nothing_answers() as port:
        database.settings_dict |= {"HOST": "127.0.0.1", "PORT": str(port), "OPTIONS": patient_probe}
        try:
            assert shortest_of_three(is_red) < 3
            assert client.get("/healthz").status_code == 200
        finally:
            database.settings_dict |= kept
            database.close()

    assert ready(client)[0] == set()
