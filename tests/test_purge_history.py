"""What goes with time, and what must never be made from what is left (design 2)."""

from datetime import date, timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError

from abm_project.settings import kept_days
from ingestion.models import ActivityDay, ActivityPull, LeadRequest
from registry.models import EventRule
from scoring import nights, retention
from scoring.ledger import account_ledger
from scoring.models import NIGHT, DailyAccountIntent, JobRun
from scoring.retention import purge
from scoring.rollup import CannotScore, check_window
from tests.factories import (
    DAY,
    at,
    make_company,
    make_config,
    make_fact,
    make_lead,
    make_pull,
    make_rule,
    make_run,
    make_snapshot,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db
NOW = at(DAY)


def ago(days):
    return DAY - timedelta(days=days)


def purged(now=NOW, **options):
    *_, last = purge(now, **options)
    return {name: rows for name, rows in last.items() if rows}


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 3)


@pytest.fixture
def old_and_new(small_batches):
    """Of each kind of row some that must go and some that must stay, on both sides of the edge."""
    company = make_company()
    for age in (119, 120, 121, 130):
        make_pull(ago(age))
        for number in range(4):
            make_fact(f"c{number}.example", ago(age))
    run, night = make_run(day=ago(500)), make_run(NIGHT, day=ago(500), slot=ago(500))
    for age in (0, 400, 401, 500):
        make_snapshot(company, ago(age))
    quiet = make_company("quiet.example")
    make_snapshot(quiet, ago(600), job_run=run)
    make_run(day=ago(401))
    make_run(state="failed", day=ago(401))
    make_run(day=ago(399))
    rule = make_rule("/old")
    EventRule.history.update(history_date=at(ago(800)))
    rule.save()
    EventRule.history.filter(history_type="~").update(history_date=at(ago(750)))
    deleted = make_rule("/gone")
    deleted.delete()
    EventRule.history.filter(match_value="/gone").update(history_date=at(ago(731)))
    user = make_user()
    for age in (731, 729):
        kind = ContentType.objects.get_for_model(EventRule)
        LogEntry.objects.create(user=user, content_type=kind, object_id="1", object_repr="x", action_flag=ADDITION)
        LogEntry.objects.filter(action_time__gt=at(ago(1))).update(action_time=at(ago(age)))
    make_lead(day=ago(181), payload_json={"shoe_size": 44})
    make_lead(day=ago(180), payload_json={"shoe_size": 45})
    Session.objects.create(session_key="over", session_data="", expire_date=at(ago(1)))
    Session.objects.create(session_key="live", session_data="", expire_date=at(ago(-1)))
    return night


def test_what_is_too_old_goes_and_the_rest_stays(old_and_new):
    for _ in range(2):
        purged()

    assert set(ActivityDay.objects.values_list("date", flat=True)) == {ago(119), ago(120)}
    assert set(ActivityPull.objects.filter(state="purged").values_list("date", flat=True)) == {ago(121), ago(130)}
    kept = DailyAccountIntent.objects.values_list("prospect_company__domain", "date")
    assert set(kept) == {("acme.example", DAY), ("acme.example", ago(400)), ("quiet.example", ago(600))}
    runs = JobRun.objects.values_list("kind", "finished_at__date")
    assert set(runs) == {("recompute", ago(500)), ("night", ago(500)), ("recompute", ago(399))}
    assert list(EventRule.history.values_list("match_value", "history_type")) == [("/old", "~")]
    assert LogEntry.objects.count() == 1
    assert sorted(lead.payload_json.get("shoe_size", 0) for lead in LeadRequest.objects.all()) == [0, 45]
    assert list(Session.objects.values_list("session_key", flat=True)) == ["live"]


def test_it_says_how_much_and_a_second_time_there_is_nothing(old_and_new):
    first = purged()

    assert first == {"facts": 8, "snapshots": 2, "runs": 2, "history": 4, "payloads": 1, "sessions": 1}
    assert purged() == {}


def test_a_dry_run_counts_the_same_and_removes_nothing(old_and_new):
    said = [StringIO(), StringIO()]
    rows = ActivityDay.objects.count(), ActivityPull.objects.filter(state="purged").count(), JobRun.objects.count()
    counted = purged(write=False)

    for out in said:
        call_command("purge_history", "--dry-run", stdout=out)
    now = ActivityDay.objects.count(), ActivityPull.objects.filter(state="purged").count(), JobRun.objects.count()
    assert now == rows
    assert said[0].getvalue() == said[1].getvalue()
    assert counted == purged()


def test_a_newer_night_lets_the_old_one_go(old_and_new):
    make_run(NIGHT, day=DAY, slot=DAY)
    purged()

    assert not JobRun.objects.filter(pk=old_and_new.pk).exists()


def test_zero_keeps_everything(old_and_new, settings):
    for name in ("FACT", "SNAPSHOT", "RUN", "HISTORY", "PAYLOAD", "BRIEF"):
        setattr(settings, f"{name}_RETENTION_DAYS", 0)

    assert purged() == {"sessions": 1}


@pytest.mark.parametrize(("days", "least"), [(89, 90), (1, 2), (-1, 1)])
def test_a_time_below_what_a_score_needs_is_refused(days, least):
    assert kept_days("FACT_RETENTION_DAYS", 90, least=90) == 90
    assert kept_days("FACT_RETENTION_DAYS", 0, least=90) == 0
    with pytest.raises(ImproperlyConfigured, match=f"FACT_RETENTION_DAYS={days}: keep at least {least} days"):
        kept_days("FACT_RETENTION_DAYS", days, least=least)


# --- What is left is never taken for the whole ---
@pytest.fixture
def long_record():
    """150 days of facts and their scores, of which the first 29 days are too old."""
    make_weight(make_config())
    for age in range(149, -1, -1):
        make_pull(ago(age))
        make_fact("acme.example", ago(age))
    score(ago(110), ago(109), ago(91), ago(90), DAY)
    assert purged()["facts"] == 29  # ages 149 to 121


def test_a_date_whose_window_reaches_into_purged_days_is_not_scored_again(long_record):
    before = list(DailyAccountIntent.objects.order_by("date").values())

    check_window(ago(91), DAY)  # its first day is the oldest one kept
    with pytest.raises(CannotScore, match="older than FACT_RETENTION_DAYS"):
        check_window(ago(92), DAY)
    with pytest.raises(CommandError, match="Its snapshots stay as they are"):
        call_command("recompute_intent", "--date", str(ago(110)), "--restate", "--no-input", stdout=StringIO())
    assert list(DailyAccountIntent.objects.order_by("date").values()) == before


def test_the_ledger_of_an_old_score_says_that_its_facts_are_gone(long_record):
    company = DailyAccountIntent.objects.first().prospect_company

    assert (account_ledger(company, ago(90)).purged, account_ledger(company, DAY).purged) == (0, 0)
    old = account_ledger(company, ago(109))
    assert old.purged == 19 and old.bridge is None  # 138 days ago to 110: the window of the day before
    said = StringIO()
    call_command("explain_account", "acme.example", "--date", str(ago(109)), stdout=said)
    assert "The facts of 19 days before it are too old to be kept" in said.getvalue()


def test_the_page_of_an_account_says_so_too(long_record, client):
    DailyAccountIntent.objects.filter(date__gt=ago(109)).delete()
    company = DailyAccountIntent.objects.first().prospect_company
    company.snapshot_date = ago(109)
    company.save()
    client.force_login(make_user())
    page = client.get("/accounts/acme.example").content.decode()

    assert "can no longer be taken apart in full" in page
    assert "first snapshot" not in page


# --- By hand and by night ---
def test_by_hand_it_refuses_while_a_bulk_run_goes_on(old_and_new):
    make_run(state="running")
    with pytest.raises(CommandError, match="under way"):
        call_command("purge_history")

    assert ActivityDay.objects.count() == 16


@pytest.fixture
def night(settings):
    """The night of DAY, claimed, over facts from files; old ones among them."""
    settings.POSTHOG_API_KEY = ""
    make_weight(make_config())
    for age in (*range(31, 0, -1), 121):
        make_pull(ago(age))
        make_fact("acme.example", ago(age))
    now = at(DAY, 2)
    return JobRun.objects.start(JobRun.objects.night(DAY, now), now)


def test_a_night_ends_with_it_and_keeps_the_counts(night):
    nights.perform_night(night, at(DAY, 2))
    night.refresh_from_db()

    assert night.state == "done"
    assert night.result_json["purged"]["facts"] == 1
    assert not ActivityDay.objects.filter(date=ago(121)).exists()


def test_a_night_is_done_also_where_it_fails(night, monkeypatch, caplog):
    def broken(now, **options):
        raise OperationalError(1205, "Lock wait timeout exceeded")
        yield

    monkeypatch.setattr(nights, "purge", broken)
    nights.perform_night(night, at(DAY, 2))
    night.refresh_from_db()

    assert night.state == "done"
    assert "Lock wait timeout" in night.result_json["purge_failed"]
    assert DailyAccountIntent.objects.filter(date=ago(1)).exists()
    assert "the next night tries again" in caplog.text


def test_dates_are_days_of_utc():
    assert retention._before(at(date(2026, 3, 1), 0), 1) == date(2026, 2, 28)


def test_a_default_that_an_admin_deleted_does_not_come_back_when_its_history_is_old():
    call_command("seed_registry")
    deleted = EventRule.objects.order_by("priority").first()
    EventRule.objects.get(pk=deleted.pk).delete()
    EventRule.history.update(history_date=at(ago(800)))

    for _ in range(2):
        call_command("purge_history")
        call_command("seed_registry")

    assert not EventRule.objects.filter(seed_key=deleted.seed_key).exists()
