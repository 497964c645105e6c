"""When a night is due, who is woken, and what a scheduler keeps in Redis: what should be is compared with what is."""

import io
import logging
import os
import signal
import socket
import time
import warnings
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.db.models.functions import Now
from redis import Redis, RedisError
from rq import Queue
from rq.job import Job

from abm_project.dashboards import Freshness, freshness
from scoring import jobs
from scoring.models import DailyAccountIntent, JobRun, RunInProgress
from scoring.rollup import recompute
from scoring.scheduler import CRON, NIGHTLY, REGULAR, SEEN, NightScheduler, do_what_is_due, last_seen, next_night
from scoring.workers import Worker
from tests.factories import (
    make_company,
    make_config,
    make_fact,
    make_lead,
    make_pull,
    make_run,
    make_snapshot,
    make_weight,
)

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
BODY = {"date": None, "backfill": None, "restate": False, "pull": False, "accounts": None}
has_redis = pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis")


@pytest.fixture
def nobody_wakes(settings):
    """A Redis that is not there."""
    settings.JOBS, settings.REDIS_URL = "queue", "redis://127.0.0.1:1/0"


@pytest.fixture
def redis(settings, worker_id):
    """A database of Redis that no other process of this test run uses."""
    number = 5 + int(worker_id.removeprefix("gw") if worker_id != "master" else 0)
    settings.JOBS, settings.REDIS_URL = "queue", urlsplit(settings.REDIS_URL)._replace(path=f"/{number}").geturl()
    settings.REDIS_TIMEOUT_SECONDS = 10  # it is there, however busy the machine is
    client = Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def activity():
    make_weight(make_config(), "page_view", 10)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    for age in range(31):
        make_pull(yesterday - timedelta(days=age))
    make_fact("acme.example", yesterday)


@pytest.fixture
def begun():
    """Facts enough for a night to be due."""
    make_pull(TODAY - timedelta(days=2))


def reconcile(now=NOW):
    jobs.put_right(now)
    return [run.slot for run in JobRun.objects.due(now)]


def states():
    return list(JobRun.objects.order_by("slot").values_list("slot", "state"))


# --- Which night is due ---
@pytest.mark.parametrize(
    ("zone", "local", "slot"),
    [
        ("UTC", "2026-11-22T01:59:59", "2026-11-21"),
        ("UTC", "2026-11-22T02:00:00", "2026-11-22"),
        ("UTC", "2028-02-29T02:00:00", "2028-02-29"),
        ("UTC", "2028-03-01T01:59:59", "2028-02-29"),
        ("UTC", "2027-01-01T00:00:00", "2026-12-31"),
        ("Asia/Kolkata", "2026-11-22T07:29:59", "2026-11-21"),
        ("Asia/Kolkata", "2026-11-22T07:30:00", "2026-11-22"),
        ("America/New_York", "2026-03-07T20:59:59", "2026-03-07"),  # 01:59:59 UTC
        ("America/New_York", "2026-03-07T21:00:00", "2026-03-08"),
        ("America/New_York", "2026-03-08T21:59:59", "2026-03-08"),  # the clocks went forward
        ("America/New_York", "2026-03-08T22:00:00", "2026-03-09"),
        ("America/New_York", "2026-10-31T22:00:00", "2026-11-01"),
        ("America/New_York", "2026-11-01T20:59:59", "2026-11-01"),  # the clocks went back
        ("America/New_York", "2026-11-01T21:00:00", "2026-11-02"),
    ],
)
def test_the_due_slot_is_the_day_of_the_latest_two_o_clock_utc(zone, local, slot):
    now = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))

    assert jobs.due_slot(now) == date.fromisoformat(slot)
    assert next_night(now) == datetime.fromisoformat(f"{slot}T02:00:00+00:00") + timedelta(days=1)


# --- Reconciling ---
@pytest.mark.django_db
def test_a_new_installation_waits_for_its_first_whole_day_of_activity_and_nothing_fails():
    assert reconcile() == []
    make_lead(day=TODAY)
    make_snapshot(make_company("acme.example"), TODAY, is_provisional=True)
    assert reconcile(NOW + timedelta(hours=2)) == []
    assert freshness(TODAY) == Freshness("empty")

    assert reconcile(NOW + timedelta(days=1)) == [TODAY + timedelta(days=1)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pull(TODAY - timedelta(days=1)),
        lambda: make_snapshot(make_company("acme.example"), TODAY - timedelta(days=9)),
        lambda: make_run("night", slot=TODAY - timedelta(days=9)),
    ],
)
def test_where_there_ever_was_activity_a_score_or_a_night_the_next_one_is_due(make):
    make()

    assert reconcile() == [TODAY]


@pytest.mark.django_db
def test_with_posthog_the_first_night_is_due_at_once(settings):
    settings.POSTHOG_API_KEY = "phx_key"

    assert reconcile() == [TODAY]


@pytest.mark.django_db
def test_however_often_it_reconciles_a_night_has_one_row(begun):
    for _ in range(2):
        assert reconcile() == [TODAY]

    assert states() == [(TODAY, "queued")]
    assert reconcile(NOW - timedelta(seconds=1)) == [TODAY - timedelta(days=1), TODAY]  # another machine's slow clock


@pytest.mark.django_db
def test_a_night_that_is_done_stays_done():
    make_run("night", slot=TODAY)

    for _ in range(2):
        assert reconcile() == []
    assert states() == [(TODAY, "done")]


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["failed", "held"])
def test_a_night_that_failed_or_is_held_is_tried_again_when_posthog_allows_it(state):
    run = make_run("night", state, slot=TODAY, not_before=NOW + timedelta(minutes=30))

    assert reconcile() == []
    assert reconcile(NOW + timedelta(minutes=30)) == [TODAY]
    run.refresh_from_db()
    assert run.state == "queued"


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["queued", "held"])
def test_an_older_night_that_never_got_done_is_closed_by_the_newer_one(state):
    old = make_run("night", state, slot=TODAY - timedelta(days=3))
    failed = make_run("night", "failed", slot=TODAY - timedelta(days=2), message="No key.")

    for _ in range(2):
        assert reconcile() == [TODAY]

    assert [state for _, state in states()] == ["failed", "failed", "queued"]
    old.refresh_from_db()
    failed.refresh_from_db()
    assert old.message == f"Never done: the night of {TODAY} took its place and makes up its dates."
    assert failed.message == "No key."


@pytest.mark.django_db
def test_a_night_whose_process_died_is_queued_again_and_an_old_one_is_left_running_while_it_lives():
    past = Now() - timedelta(seconds=1)
    make_run("night", "running", slot=TODAY, queued_at=NOW, lease_until=past)
    assert reconcile() == [TODAY]

    JobRun.objects.update(slot=TODAY - timedelta(days=1), state="running", lease_until=Now() + timedelta(hours=1))
    assert reconcile() == [TODAY]
    assert states() == [(TODAY - timedelta(days=1), "running"), (TODAY, "queued")]


# --- Performing ---
@pytest.mark.django_db
def test_a_run_that_is_woken_twice_is_done_once(activity):
    reconcile(datetime.now(UTC))
    run = JobRun.objects.get()

    for _ in range(2):
        jobs.perform(run.pk)

    run.refresh_from_db()
    assert (run.state, run.attempt, run.message) == ("done", 1, "")


@pytest.mark.django_db
def test_a_night_waits_while_another_bulk_run_goes_on(activity):
    other = make_run("recompute", "running")
    reconcile(datetime.now(UTC))  # within the month of the fixture's facts
    run = JobRun.objects.get(kind="night")

    jobs.perform(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 0)

    other.refresh_from_db()
    other.succeed({}, NOW)
    jobs.perform(run.pk)
    run.refresh_from_db()
    assert run.state == "done"


@pytest.mark.django_db
def test_a_night_finishes_a_date_in_whose_middle_the_one_before_was_killed(activity, settings):
    settings.SCORING_BATCH_ACCOUNTS = 1
    now = datetime.now(UTC)
    day = now.date() - timedelta(days=3)
    for name in ("acme", "beta", "cara"):
        make_fact(f"{name}.example", day)
    killed = JobRun.objects.claim("recompute", now, is_bulk=True, asked_by="ann", params={})
    steps = recompute(day, now, run=killed, guard=killed.heartbeat)
    next(steps)
    next(steps)
    steps.close()  # after one account of three
    JobRun.objects.filter(pk=killed.pk).update(lease_until=Now() - timedelta(seconds=1))

    reconcile(now)
    jobs.perform(JobRun.objects.get(kind="night").pk)

    assert DailyAccountIntent.objects.filter(date=day).count() == 3


@pytest.mark.django_db
def test_a_run_that_fails_keeps_why_and_raises_nothing_that_a_queue_would_try_again(caplog):
    run = JobRun.objects.night(TODAY, NOW)

    jobs.perform(run.pk)
    jobs.perform("01890000-0000-7000-8000-000000000000")

    run.refresh_from_db()
    assert (run.state, "import_activity" in run.message) == ("failed", True)
    assert "failed. There is nothing to score yet" in caplog.text
    assert "Traceback" not in caplog.text  # the code is sound; the activity has gone


@pytest.mark.django_db
def test_without_redis_the_scheduler_does_what_is_due_and_a_failed_night_waits_for_the_next_reconciliation(
    settings, tmp_path
):
    settings.REDIS_URL, settings.SCHEDULER_SEEN_FILE = "", tmp_path / "seen"
    assert last_seen() is None
    JobRun.objects.night(TODAY, NOW)  # of activity that has gone since

    do_what_is_due(NOW, reconciling=True)
    do_what_is_due(NOW, reconciling=False)
    run = JobRun.objects.get()
    assert (run.state, run.attempt) == ("failed", 1)

    do_what_is_due(NOW, reconciling=True)
    run.refresh_from_db()
    assert run.attempt == 2
    assert datetime.now(UTC) - last_seen() < timedelta(minutes=1)


@pytest.mark.mariadb  # the in-memory database of the tests is one process's and one thread's
@pytest.mark.django_db(transaction=True)
def test_without_redis_a_request_returns_at_once_and_a_thread_does_the_run(activity, settings):
    settings.JOBS = "inline"

    run = jobs.ask_recompute(BODY, datetime.now(UTC), "ann")

    assert run.state == "queued"
    deadline = time.monotonic() + 20
    while run.state != "done" and time.monotonic() < deadline:
        time.sleep(0.02)
        run.refresh_from_db()
    assert (run.state, run.asked_by, run.message) == ("done", "ann", "")


# --- Asking ---
@pytest.mark.django_db
def test_a_second_recompute_of_all_accounts_is_told_which_one_waits(nobody_wakes):
    first = jobs.ask_recompute(BODY, NOW, "ann")

    with pytest.raises(RunInProgress) as refused:
        jobs.ask_recompute(BODY, NOW, "bob")

    assert refused.value.run == first
    assert jobs.ask_recompute({**BODY, "accounts": ["acme.example"]}, NOW, "bob").is_bulk is False


@has_redis
@pytest.mark.django_db
def test_whoever_is_refused_wakes_the_run_that_waits_because_nobody_woke_it(redis):
    make_run(state="queued", queued_at=NOW)

    with pytest.raises(RunInProgress):
        jobs.ask_recompute(BODY, NOW, "ann")

    assert len(Queue("default", connection=redis).job_ids) == 1


@pytest.mark.django_db
def test_only_a_held_night_can_be_published(nobody_wakes):
    night = make_run("night", "held", slot=TODAY, not_before=NOW + timedelta(hours=1))

    assert jobs.publish_anyway(night, NOW, "ann") is True
    assert jobs.publish_anyway(night, NOW, "ann") is False
    night.refresh_from_db()
    assert (night.state, night.params_json, night.not_before) == ("queued", {"accepted_by": "ann"}, None)


# --- Redis away ---
@pytest.mark.django_db
def test_a_run_stays_queued_while_redis_is_down(nobody_wakes, begun, caplog):
    jobs.reconcile(NOW)
    jobs.reconcile(NOW)

    assert states() == [(TODAY, "queued")]
    assert "The next reconciliation tries again" in caplog.text


@pytest.mark.django_db
def test_a_frozen_redis_keeps_nobody_waiting(settings):
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # takes connections and never answers
        settings.JOBS, settings.REDIS_URL = "queue", f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
        for _ in range(10):
            make_run("recompute", "queued", is_bulk=False, queued_at=NOW)

        jobs.ask_recompute(BODY, NOW, "ann")

        assert came_to(frozen) == 1  # one time-out for all of them
    assert JobRun.objects.filter(state="queued").count() == 11


def came_to(server):
    """How many connections were made."""
    server.setblocking(False)
    number = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            number += 1
    return number


# --- Wake-ups in Redis ---
@has_redis
@pytest.mark.django_db
def test_two_wake_ups_of_one_interval_are_one_and_a_leftover_is_not_in_the_way_of_the_next(redis, begun, settings):
    for _ in range(2):
        jobs.reconcile(NOW)
    queue = Queue("default", connection=redis)
    assert len(queue.job_ids) == 1

    redis.delete(queue.key)  # its worker took it and is dead: rq's record of it stays
    jobs.reconcile(NOW)
    assert queue.job_ids == []
    jobs.reconcile(NOW + timedelta(seconds=settings.RECONCILE_SECONDS))
    assert len(queue.job_ids) == 1


@has_redis
@pytest.mark.django_db
def test_a_wake_up_leaves_nothing_in_redis_for_long(redis, begun, settings):
    jobs.reconcile(NOW)

    (job,) = Queue("default", connection=redis).jobs
    assert 0 < redis.ttl(job.key) <= 2 * settings.RECONCILE_SECONDS
    assert (job.func_name, job.result_ttl, job.timeout) == ("scoring.jobs.perform", 0, 12 * 3600)


# --- Accounts whose leads came in ---
def waiting(redis):
    return redis.smembers(jobs.WAITING)


@has_redis
@pytest.mark.django_db
def test_of_a_burst_of_leads_the_first_wakes_a_worker_and_all_are_scored_by_it(redis, activity):
    make_fact("other.example", datetime.now(UTC).date() - timedelta(days=1))
    for domain in ("acme.example", "other.example", "acme.example"):
        jobs.rescore_soon(domain)
    queue = Queue("default", connection=redis)
    assert [job.func_name for job in queue.jobs] == ["scoring.jobs.rescore_waiting"]

    for _ in range(2):
        jobs.rescore_waiting()

    scored = DailyAccountIntent.objects.values_list("prospect_company__domain", "date")
    assert sorted(scored) == [(domain, datetime.now(UTC).date()) for domain in ("acme.example", "other.example")]
    assert not waiting(redis)
    jobs.rescore_soon("acme.example")
    assert len(queue.job_ids) == 2  # who comes after the worker was up wakes another


@has_redis
@pytest.mark.django_db
def test_what_a_dead_worker_left_waiting_is_found_by_the_next_lead_or_reconciliation(redis):
    jobs.rescore_soon("acme.example")
    queue = Queue("default", connection=redis)
    assert 0 < redis.ttl(jobs.WOKEN) <= jobs.WOKEN_SECONDS

    queue.empty()
    jobs.wake_due(NOW)
    assert [job.func_name for job in queue.jobs] == ["scoring.jobs.rescore_waiting"]
    queue.empty()
    redis.delete(jobs.WOKEN)  # its time is over
    jobs.rescore_soon("other.example")
    assert [job.func_name for job in queue.jobs] == ["scoring.jobs.rescore_waiting"]
    assert waiting(redis) == {b"acme.example", b"other.example"}


# --- The schedule in Redis ---
@pytest.fixture
def scheduler(redis):
    return NightScheduler(jobs.connect(), 10)


def due_at(redis, id):
    return redis.zscore(NightScheduler.scheduled_jobs_key, id)


@pytest.fixture
def nights():
    """When the next night is: as the test begins, and from then on."""
    first = next_night(datetime.now(UTC)).timestamp()
    return lambda: {first, next_night(datetime.now(UTC)).timestamp()}


@has_redis
def test_spec_step_8_the_night_is_registered_for_two_o_clock_utc_once_however_often(redis, scheduler, nights):
    for _ in range(2):
        scheduler.register()

    assert sorted(redis.zrange(scheduler.scheduled_jobs_key, 0, -1)) == [NIGHTLY.encode(), REGULAR.encode()]
    assert due_at(redis, NIGHTLY) in nights()
    night = Job.fetch(NIGHTLY, connection=redis)
    assert (night.func_name, night.meta["cron_string"], CRON) == ("scoring.jobs.reconcile", CRON, "0 2 * * *")


@has_redis
def test_an_overdue_entry_keeps_its_time_and_a_lost_one_comes_back(redis, scheduler, nights):
    scheduler.register()
    three_days_ago = time.time() - 3 * 86_400
    redis.zadd(scheduler.scheduled_jobs_key, {NIGHTLY: three_days_ago})
    redis.delete(f"rq:job:{NIGHTLY}")

    scheduler.register()

    assert due_at(redis, NIGHTLY) == pytest.approx(three_days_ago)
    redis.flushdb()
    scheduler.tick()
    assert due_at(redis, NIGHTLY) in nights()


@has_redis
def test_an_overdue_entry_is_queued_once_and_moves_on(redis, scheduler, nights):
    scheduler.register()
    redis.zadd(scheduler.scheduled_jobs_key, {NIGHTLY: 0, REGULAR: 0})

    for _ in range(2):
        scheduler.tick()

    assert sorted(Queue("default", connection=redis).job_ids) == [NIGHTLY, REGULAR]
    assert due_at(redis, NIGHTLY) in nights()
    assert due_at(redis, REGULAR) == pytest.approx(time.time() + 600, abs=5)


@has_redis
def test_while_no_worker_comes_one_reconciliation_waits_and_not_hundreds(redis, scheduler):
    for _ in range(5):
        scheduler.register()
        redis.zadd(scheduler.scheduled_jobs_key, {REGULAR: 0})
        scheduler.enqueue_jobs()

    assert Queue("default", connection=redis).job_ids == [REGULAR]


@has_redis
def test_entries_that_cannot_be_read_are_dropped_and_the_others_go_on(redis, scheduler, caplog):
    redis.hset("rq:job:corrupt", mapping={"data": b"\x80 no pickle", "created_at": "the other day"})
    redis.set("rq:job:no-hash", "text")
    redis.hset(f"rq:job:{NIGHTLY}", mapping={"data": b"junk", "created_at": "the other day"})
    poison = [b"\xff\xfe", "corrupt", "no-hash", "nothing", NIGHTLY]
    redis.zadd(scheduler.scheduled_jobs_key, dict.fromkeys(poison, 0))

    scheduler.tick()

    assert sorted(redis.zrange(scheduler.scheduled_jobs_key, 0, -1)) == [NIGHTLY.encode(), REGULAR.encode()]
    assert sorted(Queue("default", connection=redis).job_ids) == [NIGHTLY, REGULAR]
    assert caplog.text.count("cannot be read and is dropped") == 4


@has_redis
def test_one_scheduler_looks_at_a_time_and_frees_only_its_own_lock(redis, scheduler):
    with scheduler.turn() as mine, NightScheduler(jobs.connect(), 10).turn() as other:
        assert (bool(mine), bool(other)) == (True, False)
    with scheduler.turn():
        redis.set(scheduler.scheduler_lock_key, "another's")

    assert redis.get(scheduler.scheduler_lock_key) == b"another's"


@has_redis
def test_a_tick_says_that_the_scheduler_lives_and_for_how_long_it_counts(redis, scheduler):
    scheduler.tick()

    assert datetime.now(UTC) - last_seen() < timedelta(seconds=5)
    assert 20 < redis.ttl(SEEN) <= 30


def test_the_scheduler_passes_on_that_redis_is_away(nobody_wakes):
    with pytest.raises(RedisError):
        NightScheduler(jobs.connect(), 10).tick()
    with pytest.raises(RedisError):
        last_seen()


# --- The worker ---
@has_redis
def test_a_worker_throws_away_what_it_cannot_read_and_takes_the_next(redis, caplog):
    caplog.set_level(logging.ERROR, "rq.worker")
    queue = Queue("default", connection=redis)
    for id in ("queued", "fetched"):
        redis.hset(f"rq:job:{id}", mapping={"data": b"\x80 no pickle", "created_at": "the other day"})
    redis.rpush(queue.key, "queued")
    redis.rpush(queue.intermediate_queue.key, "fetched")
    wanted = queue.enqueue("builtins.print")
    worker = Worker([queue], connection=redis)

    with warnings.catch_warnings(action="ignore"):
        worker.clean_registries()
        job, _ = worker.dequeue_job_and_maintain_ttl(1)

    assert job == wanted
    assert not redis.exists("rq:job:queued")


class Stopping(Job):
    """A job over whose reading the worker is told to stop."""

    def refresh(self):
        os.kill(os.getpid(), signal.SIGTERM)
        super().refresh()


@pytest.fixture
def signals():
    """A worker that works takes them for itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@has_redis
def test_a_worker_that_is_told_to_stop_while_it_reads_a_job_stops_and_loses_none(redis, signals):
    queue = Queue("default", connection=redis)
    wanted = queue.enqueue("builtins.print")

    Worker([queue], connection=redis, job_class=Stopping).work(logging_level="ERROR")

    assert redis.exists(wanted.key)
    assert [*queue.job_ids, *queue.intermediate_queue.get_job_ids()] == [wanted.id]


@has_redis
def test_a_worker_that_is_told_to_stop_while_it_writes_its_log_stops_all_the_same(redis, signals):
    """What comes out of a signal handler while a line is written stays within logging."""

    class Told(logging.StreamHandler):
        def format(self, record):
            if "cleaning registries" in record.getMessage():
                os.kill(os.getpid(), signal.SIGTERM)
            return super().format(record)

    class Hasty(Worker):
        looks_up_every = 1

    told = Told(io.StringIO())
    log = logging.getLogger("rq.worker")
    log.addHandler(told)
    try:
        Hasty([Queue("default", connection=redis)], connection=redis).work(logging_level="INFO")
    finally:
        log.removeHandler(told)

    assert "warm shut down requested" in told.stream.getvalue()
