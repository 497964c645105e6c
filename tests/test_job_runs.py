"""The rows of runs: one bulk run at a time, leases that run out, and processes that come back from the dead."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models.functions import Now

from abm_project.dashboards import freshness
from accounts.models import ProspectCompany
from scoring import runs
from scoring.models import DailyAccountIntent, JobRun, LeaseLost, RunInProgress
from scoring.rollup import recompute
from tests.factories import make_config, make_fact, make_pull, make_run, make_weight

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
PARAMS = {"dates": ["2026-11-21"], "domains": None, "restate": False}


@pytest.fixture
def yesterday():
    return datetime.now(UTC).date() - timedelta(days=1)


@pytest.fixture
def activity(yesterday):
    make_weight(make_config(), "page_view", 10)
    for age in range(31):
        make_pull(yesterday - timedelta(days=age))
    for name in ("acme", "beta", "cara"):
        make_fact(f"{name}.example", yesterday)


@pytest.fixture
def patient(monkeypatch):
    """Who finds a dead run waits for its burial, however slow the machine is."""
    monkeypatch.setattr("scoring.models.CLAIM_PATIENCE", timedelta(seconds=60))


def claim(**fields):
    options = {"is_bulk": True, "asked_by": "ann", "params": PARAMS}
    return JobRun.objects.claim("recompute", NOW, **(options | fields))


def let_die(run):
    JobRun.objects.filter(pk=run.pk).update(lease_until=Now() - timedelta(seconds=1))


def recompute_by_command(*args):
    out = io.StringIO()
    call_command("recompute_intent", *args, stdout=out, stderr=io.StringIO())
    return out.getvalue()


# --- One at a time ---
def test_the_database_itself_refuses_a_second_bulk_run():
    make_run(state="running")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_run(state="running")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_run(kind="another job", state="running")
    for state in ("done", "failed"):
        make_run(state=state)


def test_the_database_refuses_a_running_row_that_could_never_be_taken_over():
    with pytest.raises(IntegrityError), transaction.atomic():
        make_run(state="running", lease_until=None)


def test_a_second_bulk_run_is_told_which_one_goes_and_what_to_do(settings):
    settings.JOB_LEASE_SECONDS = 90
    first = claim()
    first.advance(3_000, 100_000)
    first.heartbeat()

    with pytest.raises(RunInProgress) as refused:
        claim(asked_by="bob")

    said = str(refused.value)
    assert f"since {NOW:%Y-%m-%d %H:%M:%S} UTC, asked for by ann: 3,000 of 100,000 accounts" in said
    assert "try again 90 s after" in said
    assert JobRun.objects.count() == 1


def test_the_command_ends_with_that_and_leaves_the_first_run_as_it_is(activity):
    first = claim()

    for options in ([], ["--backfill", "3"], ["--restate", "--no-input"]):
        with pytest.raises(CommandError, match=r"under way since .* asked for by ann") as refused:
            recompute_by_command(*options)
        assert refused.value.returncode == 1

    assert not DailyAccountIntent.objects.exists()
    first.heartbeat()


def test_a_run_of_chosen_accounts_goes_beside_a_bulk_run_and_beside_another(activity):
    bulk, other = claim(), claim(is_bulk=False)

    recompute_by_command("--accounts", "acme.example")

    assert DailyAccountIntent.objects.get().prospect_company.domain == "acme.example"
    assert JobRun.objects.latest("created_at").state == "done"
    bulk.heartbeat()
    other.heartbeat()


@pytest.mark.mariadb  # threads on the in-memory database of the tests are turned away, not made to wait
@pytest.mark.django_db(transaction=True)
def test_of_twenty_who_claim_at_once_one_wins_and_also_when_they_find_a_dead_run(patient):
    dead = make_run(state="running", lease_until=Now() - timedelta(seconds=1), params_json=PARAMS)
    start = Barrier(20)

    def attempt(number):
        try:
            start.wait(timeout=30)
            return claim(asked_by=f"thread {number}").asked_by
        except RunInProgress as refused:
            return str(refused)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        said = list(threads.map(attempt, range(20)))

    winner = JobRun.objects.get(state="running")
    assert [text for text in said if text.startswith("thread")] == [winner.asked_by]
    assert sum(f"asked for by {winner.asked_by}:" in text for text in said) == 19
    dead.refresh_from_db()
    assert (dead.state, JobRun.objects.count()) == ("failed", 2)


@pytest.mark.mariadb  # SQLite locks no rows
@pytest.mark.django_db(transaction=True)
def test_who_comes_while_a_dead_run_is_buried_slowly_waits_for_the_end_and_takes_its_place(patient):
    dead = claim()
    let_die(dead)

    def attempt():
        try:
            return claim(asked_by="bob").asked_by
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            list(JobRun.objects.select_for_update().filter(pk=dead.pk))  # as far as a burial on a busy machine got
            comer = threads.submit(attempt)
            time.sleep(2)  # the length of the burial
            JobRun.objects.bury_dead()
        assert comer.result(timeout=60) == "bob"


# --- The dead ---
def test_a_dead_run_is_marked_failed_and_its_work_counts_as_the_next_attempt():
    dead = claim()
    let_die(dead)

    second = claim(asked_by="bob")
    let_die(second)
    third = claim()

    dead.refresh_from_db()
    assert (dead.state, dead.finished_at is not None) == ("failed", True)
    assert dead.message.startswith(f"Stopped without a word after {dead.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC")
    assert (second.attempt, third.attempt) == (2, 3)
    let_die(third)
    assert claim(params=PARAMS | {"dates": ["2026-11-22"]}).attempt == 1


def test_a_dead_run_of_chosen_accounts_is_marked_too_and_a_living_one_is_not():
    dead, alive = claim(is_bulk=False), claim(is_bulk=False)
    let_die(dead)

    claim()

    assert set(JobRun.objects.filter(state="failed")) == {dead}
    alive.heartbeat()


def test_a_heartbeat_gives_the_whole_lease_again_by_the_clock_of_the_database(settings):
    settings.JOB_LEASE_SECONDS = 1000
    run = claim()
    let_die(run)

    run.advance(7, 9)
    run.heartbeat()

    ends = Now() + timedelta(seconds=980), Now() + timedelta(seconds=1000)
    left = JobRun.objects.filter(lease_until__range=ends)
    assert (left.get().done_items, left.get().total_items) == (7, 9)


def test_a_run_that_was_taken_for_dead_writes_nothing_more_and_leaves_the_other_alone(activity, settings, yesterday):
    settings.SCORING_BATCH_ACCOUNTS = 1
    zombie = claim()
    steps = recompute(yesterday, NOW, run=zombie, guard=zombie.heartbeat)
    next(steps)
    next(steps)
    before = list(DailyAccountIntent.objects.values())
    let_die(zombie)
    heir = claim(asked_by="bob")

    with pytest.raises(LeaseLost, match="taken for dead"):
        list(steps)
    with pytest.raises(LeaseLost):
        zombie.succeed({}, NOW)
    with pytest.raises(LeaseLost):
        zombie.fail("", NOW)

    assert len(before) == 1
    assert list(DailyAccountIntent.objects.values()) == before
    assert set(JobRun.objects.filter(state="running")) == {heir}
    zombie.refresh_from_db()
    assert zombie.message.startswith("Stopped without a word")


def test_a_run_that_lost_its_lease_before_it_made_an_account_makes_none(activity, yesterday):
    zombie = claim()
    let_die(zombie)
    claim()

    with pytest.raises(LeaseLost):
        list(recompute(yesterday, NOW, run=zombie, guard=zombie.heartbeat))
    assert not ProspectCompany.objects.exists()


def test_the_command_of_a_run_that_lost_its_lease_says_so_and_does_not_touch_the_row(activity, yesterday):
    def take_over(progress):
        if progress.done:
            let_die(JobRun.objects.get(state="running"))
            claim(asked_by="bob")

    with pytest.raises(LeaseLost):
        runs.run_recompute([yesterday], NOW, asked_by="ann", on_progress=take_over)

    ended = JobRun.objects.get(asked_by="ann")
    assert (ended.state, ended.message[:22]) == ("failed", "Stopped without a word")
    assert JobRun.objects.get(asked_by="bob").state == "running"


@pytest.mark.mariadb  # SQLite has one writer: nobody looks while a batch is written
@pytest.mark.django_db(transaction=True)
def test_a_batch_that_is_being_written_is_not_taken_over_though_its_lease_is_over():
    run = claim()
    let_die(run)

    def look():
        try:
            claim(asked_by="bob")
        except RunInProgress as refused:
            return str(refused)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        run.heartbeat()
        said = threads.submit(look).result(timeout=20)  # soon: it waits for no lock

    assert "asked for by ann" in said
    assert JobRun.objects.get().state == "running"


# --- What a failed run says ---
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OperationalError(2013, "Lost connection"), "The database stopped the run (2013 Lost connection)."),
        (KeyboardInterrupt(), "Stopped by hand."),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_a_run_that_fails_keeps_why_and_the_next_one_may_start(activity, error, said, yesterday):
    def stop(progress):
        raise error

    with pytest.raises(type(error)):
        runs.run_recompute([yesterday], NOW, asked_by="ann", on_progress=stop)

    failed = JobRun.objects.get()
    assert (failed.state, failed.message.startswith(said)) == ("failed", True)
    recompute_by_command()
    assert JobRun.objects.filter(state="done", attempt=1).exists()


def test_a_failed_run_keeps_its_message_when_others_follow(activity):
    failed = claim()
    failed.fail("No facts for 20 Nov.", NOW)

    recompute_by_command()

    failed.refresh_from_db()
    assert (failed.state, failed.message) == ("failed", "No facts for 20 Nov.")


# --- What the pages say ---
def test_the_pages_say_that_a_run_is_under_way_only_while_it_lives(django_assert_num_queries):
    today = date(2026, 11, 22)
    run = claim()
    assert (freshness(today).state, freshness(today).running) == ("empty", True)

    let_die(run)

    with django_assert_num_queries(2):
        found = freshness(today)
    assert (found.state, found.running, found.message) == ("failed", False, run.last_word)


def test_a_run_of_chosen_accounts_does_not_hide_that_the_night_failed():
    make_run(state="failed", message="No facts for 20 Nov.")
    claim(is_bulk=False).succeed({}, NOW)

    assert freshness(date(2026, 11, 22)).message == "No facts for 20 Nov."


# --- Held ---
def test_a_held_night_that_is_just_being_tried_again_can_be_published_too(yesterday):
    night = JobRun.objects.night(yesterday, NOW)
    JobRun.objects.start(night, NOW).hold("too few events", NOW)

    assert JobRun.objects.queue_again(night, NOW)
    trying = JobRun.objects.start(night, NOW)
    assert JobRun.objects.publish_anyway(trying, NOW, "ann")
    assert not JobRun.objects.publish_anyway(trying, NOW, "bob")

    trying.heartbeat()
    kept = JobRun.objects.get(pk=night.pk)
    assert (kept.state, kept.params_json, kept.message) == ("running", {"accepted_by": "ann"}, "too few events")


def test_a_night_that_was_not_held_cannot_be_published(yesterday):
    night = JobRun.objects.night(yesterday, NOW)

    assert not JobRun.objects.publish_anyway(night, NOW, "ann")
    JobRun.objects.start(night, NOW).fail("PostHog was away", NOW)
    assert not JobRun.objects.publish_anyway(night, NOW, "ann")
    assert JobRun.objects.get(pk=night.pk).params_json == {}
