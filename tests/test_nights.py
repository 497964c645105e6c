"""A night from its claim to its end: what is pulled, which dates are scored, and what a failure leaves as it was."""

from datetime import date, timedelta
from itertools import count

import pytest

from accounts.models import Contact, ProspectCompany
from ingestion.models import ActivityDay, ActivityPull
from ingestion.posthog import NotConfigured, OutOfBudget, Refused
from registry.loader import RegistryUnusable
from registry.models import ScoreConfig
from scoring.models import NIGHT, RECOMPUTE, DailyAccountIntent, JobRun, LeaseLost
from scoring.nights import KEPT_UP, perform_night, perform_recompute, unpublished
from scoring.rollup import CannotScore
from scoring.runs import Held
from tests.export_lines import event
from tests.factories import at, make_config, make_fact, make_person, make_pull, make_snapshot, make_weight, score
from tests.posthog_standin import faults
from tests.test_pull import asked, days_before, facts, scores

pytestmark = pytest.mark.django_db
ROOM = 70  # days between the tonights of two tests: they share a stand-in, which forgets nothing
_tonights = (date(2020, 4, 1) + timedelta(days=ROOM * n) for n in count())
WORLD = (ProspectCompany, ActivityDay, ActivityPull, DailyAccountIntent, Contact)


@pytest.fixture
def posthog(posthog, settings):
    settings.POSTHOG_REPULL_DAYS = 3
    return posthog


@pytest.fixture
def tonight():
    """The slot of this test alone."""
    return next(_tonights)


@pytest.fixture
def config():
    config = make_config()
    make_weight(config, "page_view", 10)
    return config


@pytest.fixture
def scored(config, tonight):
    """An installation that went through the night before: a month of facts is in, and its date is published."""
    for day in days_before(tonight, 59)[:-1]:
        make_pull(day, events=1_000, read_at=at(tonight - timedelta(days=1), 2))
    company = ProspectCompany.objects.create(domain="acme.example", name="acme.example")
    make_snapshot(company, tonight - timedelta(days=2))
    return company


def night(slot, now=None):
    """The night's run as a worker has it."""
    now = now or at(slot, 2)
    run = JobRun.objects.night(slot, now)
    if run.state != JobRun.State.QUEUED:
        assert JobRun.objects.queue_again(run, now)
    return JobRun.objects.start(run, now)


def perform(slot, now=None):
    run = night(slot, now)
    try:
        perform_night(run, now or at(slot, 2))
    finally:
        run.refresh_from_db()
    return run


def world():
    return [list(model.objects.order_by("pk").values()) for model in WORLD]


def scored_world():
    """Everything that a failed or held night may not change: snapshots and what accounts say of themselves."""
    return [list(model.objects.order_by("pk").values()) for model in (ProspectCompany, DailyAccountIntent, Contact)]


def published():
    return sorted(set(DailyAccountIntent.objects.values_list("date", flat=True)))


def visits(day, number=1, account="acme.example", hour=10, **properties):
    return [event(account, f"{day}T{hour:02}:00:00Z", **properties)] * number


# --- Which dates ---
def test_the_first_night_of_an_installation_makes_thirty_dates(posthog, config, tonight):
    days = days_before(tonight, 59)
    posthog.capture([one for day in days for one in visits(day)])

    run = perform(tonight)

    assert published() == days[-KEPT_UP:]
    assert (run.state, run.message, run.attempt) == ("done", "", 1)
    assert [one["date"] for one in run.result_json["dates"]] == [str(day) for day in days[-KEPT_UP:]]
    assert run.result_json["skipped"] == {}
    assert run.result_json["pull"]["days"] == 59
    assert run.result_json["pull"]["requests"] == len(posthog.requests) == 2 + 59 * 3
    assert not DailyAccountIntent.objects.filter(is_provisional=True).exists()


def test_a_first_night_with_a_week_of_files_names_the_dates_before_them(settings, config, tonight):
    settings.POSTHOG_API_KEY = ""
    for day in days_before(tonight, 7):
        make_pull(day)
        make_fact("acme.example", day)

    run = perform(tonight)

    assert run.state == "done"
    assert published() == days_before(tonight, 7)
    assert list(run.result_json["skipped"]) == [str(day) for day in days_before(tonight, KEPT_UP)[:-7]]


def test_an_ordinary_night_makes_one_date(posthog, scored, tonight):
    posthog.capture(visits(tonight - timedelta(days=1), 300))

    run = perform(tonight)

    assert published() == days_before(tonight, 2)
    assert run.result_json["pull"]["days"] == 3
    assert {request.name for request in asked(posthog, "orbit day")} == {
        f"orbit day {day}" for day in days_before(tonight, 3)
    }
    scored.refresh_from_db()
    assert scored.snapshot_date == tonight - timedelta(days=1)


def test_a_night_after_a_standstill_of_three_days_makes_up_what_is_missing(posthog, scored, tonight):
    later = tonight + timedelta(days=3)
    missed = days_before(later, 4)
    posthog.capture([one for day in missed for one in visits(day, 300)])

    run = perform(later)

    assert published() == [tonight - timedelta(days=2), *missed]
    assert run.result_json["pull"]["days"] == 4
    assert unpublished(missed[-1]) == 1
    scored.refresh_from_db()
    assert scored.snapshot_date == missed[-1]


@pytest.mark.parametrize(("age", "dates"), [(1, 1), (2, 2), (29, 29), (30, 30), (31, 30), (400, 30)])
def test_how_many_dates_a_night_makes_depends_on_the_newest_that_is_published(config, age, dates):
    day = date(2026, 11, 21)
    company = ProspectCompany.objects.create(domain="acme.example")
    make_snapshot(company, day - timedelta(days=age))
    make_snapshot(company, day, is_provisional=True)
    assert unpublished(day) == dates


def test_a_night_twice_leaves_the_same_rows(posthog, scored, tonight):
    posthog.capture(visits(tonight - timedelta(days=1), 300))
    for again in range(2):
        run = perform(tonight)
        if not again:
            before = facts(), scores()
            JobRun.objects.filter(pk=run.pk).update(state="failed")
            ActivityPull.objects.filter(read_at=at(tonight, 2)).update(read_at=at(tonight, 1))

    assert (facts(), scores()) == before
    assert run.attempt == 2
    assert run.result_json["pull"]["days"] == 3
    assert run.result_json["pull"]["written"] == 0


def test_scores_of_a_night_are_those_of_a_recompute_by_hand(posthog, scored, tonight):
    day = tonight - timedelta(days=1)
    posthog.capture([*visits(day, 200), *visits(day, 100, "new.example", content_type="pricing")])
    perform(tonight)
    by_night = scores()

    score(day)

    assert scores() == by_night
    assert {row["prospect_company__domain"] for row in by_night} == {"acme.example", "new.example"}


def test_without_a_key_a_night_scores_what_came_from_files(settings, config, tonight):
    settings.POSTHOG_API_KEY = ""
    for day in days_before(tonight, 31):
        make_pull(day)

    run = perform(tonight)

    assert run.state == "done"
    assert "pull" not in run.result_json
    assert "people" not in run.result_json


# --- What fails changes no score ---
FAILURES = {
    "a refused key": (faults.answer(401), "", Refused),
    "a used up plan": (faults.answer(402), "orbit day", Refused),
    "a used up budget": (faults.throttled(3_000), "orbit count", OutOfBudget),
}


@pytest.mark.parametrize(("fault", "name", "error"), FAILURES.values(), ids=FAILURES)
def test_a_pull_that_fails_changes_no_score_and_says_what_it_took(posthog, scored, tonight, fault, name, error):
    make_person(scored, "a@acme.example", "visitor-1")
    posthog.capture(visits(tonight - timedelta(days=1), 300))
    before = scored_world()
    posthog.faults.add(fault, name=name and f"{name} {tonight - timedelta(days=1)}", path="/query/")

    with pytest.raises(error) as failed:
        perform(tonight)

    assert scored_world() == before
    run = JobRun.objects.get()
    assert (run.state, run.message) == ("failed", str(failed.value))
    taken = run.result_json.get("pull", {"requests": 0, "bytes": 0})
    assert bool(name) == bool(taken["requests"] and taken["bytes"])


def test_a_night_without_the_newest_day_changes_no_score(settings, scored, tonight):
    settings.POSTHOG_API_KEY = ""
    before = scored_world()

    with pytest.raises(CannotScore, match=f"no facts for {tonight - timedelta(days=1)}"):
        perform(tonight)

    assert scored_world() == before
    assert JobRun.objects.get().state == "failed"


def test_a_night_without_a_project_says_so(posthog, settings, scored, tonight):
    settings.POSTHOG_PROJECT_ID = ""

    with pytest.raises(NotConfigured, match=r"^POSTHOG_PROJECT_ID must be set"):
        perform(tonight)

    assert "POSTHOG_PROJECT_ID" in JobRun.objects.get().message


def test_a_night_without_a_config_says_so(posthog, scored, tonight):
    ScoreConfig.objects.update(status="archived")
    posthog.capture(visits(tonight - timedelta(days=1), 300))

    with pytest.raises(RegistryUnusable):
        perform(tonight)

    assert published() == [tonight - timedelta(days=2)]
    assert JobRun.objects.get().state == "failed"


def test_a_night_that_was_taken_for_dead_writes_nothing_more(posthog, scored, tonight):
    posthog.capture(visits(tonight - timedelta(days=1), 300))
    before = world()
    run = night(tonight)
    JobRun.objects.filter(pk=run.pk).update(token="00000000-0000-0000-0000-000000000001")

    with pytest.raises(LeaseLost):
        perform_night(run, at(tonight, 2))

    assert world() == before
    assert JobRun.objects.get().state == "running"  # whoever took it over


# --- The next attempt ---
def test_the_next_attempt_reads_only_what_was_not_read_since(posthog, config, tonight):
    days = days_before(tonight, 59)
    for day in days[:-6]:
        make_pull(day)
    posthog.capture([one for day in days[-3:] for one in visits(day)])
    posthog.faults.add(faults.answer(402), name=f"orbit day {days[-2]}")
    with pytest.raises(Refused):
        perform(tonight, at(tonight, 2) + timedelta(minutes=1))
    first = JobRun.objects.get()
    assert first.result_json["pull"]["days"] == 4
    assert published() == []
    posthog.forget_requests()

    run = perform(tonight, at(tonight, 2) + timedelta(minutes=11))

    assert (run.pk, run.state, run.attempt, run.message) == (first.pk, "done", 2, "")
    assert run.result_json["pull"]["days"] == 2
    assert {request.name[-10:] for request in asked(posthog, "orbit day")} == {str(day) for day in days[-2:]}
    assert len(run.result_json["dates"]) == KEPT_UP
    assert published() == days[-3:]


def test_a_night_that_ran_out_of_budget_goes_on_when_posthog_said(posthog, scored, tonight):
    day = tonight - timedelta(days=1)
    posthog.capture(visits(day, 300))
    body = '{"code": "api_queries_budget_exceeded", "detail": "x"}'
    posthog.faults.add(faults.answer(429, body, Retry_After="1800"), name=f"orbit day {day}")
    with pytest.raises(OutOfBudget):
        perform(tonight)

    run = JobRun.objects.get()
    assert run.not_before == run.finished_at + timedelta(seconds=1800)
    assert not JobRun.objects.queue_again(run, run.not_before - timedelta(microseconds=1))
    assert JobRun.objects.queue_again(run, run.not_before)
    started = JobRun.objects.start(run, run.not_before)
    perform_night(started, at(tonight, 3))
    run.refresh_from_db()
    assert (run.state, run.not_before) == ("done", None)
    assert published()[-1] == day


# --- The brake ---
@pytest.fixture
def quiet(posthog, scored, tonight):
    """Yesterday had 3 events, and every day before 1,000."""
    posthog.capture(visits(tonight - timedelta(days=1), 3))
    return tonight


def hold(slot):
    with pytest.raises(Held) as held:
        perform(slot)
    return str(held.value)


def test_a_held_night_changes_no_score_and_says_why(posthog, scored, quiet):
    make_person(scored, "a@acme.example", "visitor-1")
    before = scored_world()

    why = hold(quiet)

    assert scored_world() == before
    run = JobRun.objects.get()
    assert (run.state, run.message) == ("held", why)
    assert f"{quiet - timedelta(days=1)} has 3 events" in why
    assert run.result_json["pull"]["requests"] == len(posthog.requests)
    assert run.result_json["pull"]["bytes"] > 0


def test_a_held_night_goes_on_when_somebody_lets_it(posthog, quiet):
    hold(quiet)
    held = JobRun.objects.get()
    posthog.forget_requests()

    assert JobRun.objects.publish_anyway(held, at(quiet, 9), "ann")
    assert not JobRun.objects.publish_anyway(held, at(quiet, 9), "bob")
    run = JobRun.objects.start(held, at(quiet, 9))
    perform_night(run, at(quiet, 9))

    run.refresh_from_db()
    assert (run.state, run.params_json["accepted_by"], run.message) == ("done", "ann", "")
    assert published() == days_before(quiet, 2)
    assert ActivityPull.objects.get(date=quiet - timedelta(days=1)).state == "pulled"


def test_a_day_that_was_let_through_is_not_held_again_when_it_is_read_again(posthog, quiet):
    hold(quiet)
    held = JobRun.objects.get()
    JobRun.objects.publish_anyway(held, at(quiet, 9), "ann")
    perform_night(JobRun.objects.start(held, at(quiet, 9)), at(quiet, 9))
    posthog.forget_requests()

    asked = {"date": None, "backfill": None, "restate": False, "pull": True, "accounts": None}
    again = JobRun.objects.ask("recompute", at(quiet, 10), is_bulk=True, asked_by="bob", params=asked)
    perform_recompute(JobRun.objects.start(again, at(quiet, 10)), at(quiet, 10))

    assert f"orbit day {quiet - timedelta(days=1)}" in {request.name for request in posthog.requests}
    assert JobRun.objects.get(pk=again.pk).state == "done"
    day = ActivityPull.objects.get(date=quiet - timedelta(days=1))
    assert (day.state, day.accepted_by) == ("pulled", "ann")


def test_a_night_that_is_tried_again_after_midnight_is_still_the_night_of_its_slot(posthog, quiet):
    hold(quiet)
    late = at(quiet + timedelta(days=1), 1)
    posthog.capture([*visits(quiet - timedelta(days=1), 500, hour=11), *visits(quiet, 300)])

    run = perform(quiet, late)

    assert (run.state, run.slot) == ("done", quiet)
    assert published() == days_before(quiet, 2)
    assert not ActivityPull.objects.filter(date=quiet).exists()


def test_a_held_night_goes_on_by_itself_when_the_events_have_come(posthog, quiet):
    hold(quiet)
    posthog.capture(visits(quiet - timedelta(days=1), 500, hour=11))

    run = perform(quiet, at(quiet, 3))

    assert run.state == "done"
    assert published() == days_before(quiet, 2)
    assert run.params_json == {}


def test_a_held_night_that_is_still_low_is_held_again(posthog, quiet):
    for _ in range(2):
        hold(quiet)
    assert JobRun.objects.get().attempt == 2
    assert published() == [quiet - timedelta(days=2)]


# --- People and names ---
def test_a_night_notes_people_and_names(posthog, scored, tonight):
    day = tonight - timedelta(days=1)
    contact = make_person(scored, "a@acme.example", "known-to-nights")
    group = {"$group_type": "company", "$group_key": "acme.example", "$group_set": {"name": "Acme Inc."}}
    stamp = f"{day}T09:00:00Z"
    posthog.capture(
        [
            {"event": "$groupidentify", "distinct_id": "s", "timestamp": stamp, "properties": group},
            *visits(day, 300),
            {**visits(day, content_type="pricing")[0], "distinct_id": "known-to-nights"},
        ]
    )

    run = perform(tonight)

    contact.refresh_from_db()
    scored.refresh_from_db()
    assert (contact.last_seen_at, contact.top_categories_7d_json) == (at(day, 10), ["pricing"])
    assert scored.name == "Acme Inc."
    assert run.result_json["people"] == {"contacts": 1, "requests": 1}
    assert run.result_json["named"] == 1


# --- What somebody asked for ---
BODY = {"date": None, "backfill": None, "restate": False, "pull": False, "accounts": None}


def recompute(now, **body):
    run = JobRun.objects.ask(RECOMPUTE, now, is_bulk=not body.get("accounts"), asked_by="ann", params=BODY | body)
    claimed = JobRun.objects.start(run, now)
    try:
        perform_recompute(claimed, now)
    finally:
        claimed.refresh_from_db()
    return claimed


@pytest.fixture
def month(config, tonight):
    """31 days of facts of two accounts."""
    for day in days_before(tonight, 31):
        make_pull(day)
        for key in ("acme.example", "beta.example"):
            make_fact(key, day)
    return tonight


def test_without_a_body_the_last_full_day_is_scored(month):
    run = recompute(at(month, 9))

    assert published() == days_before(month, 1)
    assert (run.state, run.kind) == ("done", "recompute")
    assert [one["accounts"] for one in run.result_json["dates"]] == [2]


def test_a_date_is_scored_alone(month):
    day = month - timedelta(days=5)
    recompute(at(month, 9), date=str(day))
    assert published() == [day]


def test_a_backfill_makes_the_dates_up_to_the_date(month):
    run = recompute(at(month, 9), date=str(month - timedelta(days=2)), backfill=3)
    assert published() == days_before(month, 4)[:3]
    assert len(run.result_json["dates"]) == 3


def test_a_backfill_names_the_dates_that_cannot_be_scored(month):
    ActivityPull.objects.filter(date=month - timedelta(days=31)).update(state="failed")
    run = recompute(at(month, 9), backfill=32)
    assert published() == days_before(month, 30)
    assert list(run.result_json["skipped"]) == [str(day) for day in days_before(month, 32)[:2]]


def test_a_date_that_cannot_be_scored_fails_and_says_why(month):
    with pytest.raises(CannotScore):
        recompute(at(month, 9), date=str(month + timedelta(days=1)))
    assert "lies in the future" in JobRun.objects.get().message


def test_today_so_far_is_provisional(month):
    make_pull(month, "partial")
    recompute(at(month, 9), date=str(month))
    assert set(DailyAccountIntent.objects.values_list("date", "is_provisional")) == {(month, True)}


def test_history_changes_only_when_it_is_restated(month):
    now, day = at(month, 9), month - timedelta(days=1)
    recompute(now, backfill=2)
    before = scores()
    ActivityDay.objects.filter(account_key="acme.example").update(cells_json=[["page_view", "", "", "", "/", 9]])

    recompute(now, date=str(day - timedelta(days=1)))
    assert scores() == before

    recompute(now, date=str(day - timedelta(days=1)), restate=True)
    changed = [row["date"] for row, old in zip(scores(), before, strict=True) if row != old]
    assert changed == [day - timedelta(days=1)]


def test_some_accounts_are_scored_alone_beside_a_bulk_run(month):
    now = at(month, 9)
    JobRun.objects.claim(NIGHT, now, is_bulk=True, asked_by="another", params={})

    run = recompute(now, accounts=["beta.example"])

    assert run.is_bulk is False
    assert [row["prospect_company__domain"] for row in scores()] == ["beta.example"]


def test_a_recompute_that_pulls_reads_first_and_meets_people(posthog, month):
    now, day = at(month, 9), month - timedelta(days=1)
    ActivityPull.objects.filter(date=day).delete()
    ActivityDay.objects.filter(date=day).delete()
    company = ProspectCompany.objects.create(domain="acme.example", name="acme.example")
    contact = make_person(company, "a@acme.example", "known-to-recompute")
    posthog.capture([{**visits(day)[0], "distinct_id": "known-to-recompute"}])
    for early in days_before(month, 59)[:28]:
        make_pull(early)

    run = recompute(now, pull=True)

    assert run.result_json["pull"]["days"] == 1
    assert run.result_json["people"] == {"contacts": 1, "requests": 1}
    contact.refresh_from_db()
    assert contact.last_seen_at == at(day, 10)
    assert DailyAccountIntent.objects.get(prospect_company=company).raw_score_7d > 10


def test_a_recompute_whose_pull_fails_scores_nothing(posthog, month):
    ActivityPull.objects.filter(date=month - timedelta(days=1)).delete()
    posthog.faults.add(faults.answer(401), name="orbit")

    with pytest.raises(Refused):
        recompute(at(month, 9), pull=True)

    assert (published(), JobRun.objects.get().state) == ([], "failed")


def test_a_recompute_that_pulls_needs_a_key(settings, month):
    settings.POSTHOG_API_KEY = ""
    with pytest.raises(NotConfigured):
        recompute(at(month, 9), pull=True)
    assert published() == []
