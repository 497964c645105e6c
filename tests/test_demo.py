"""The demo's story is deterministic, harmless and believable, and the command that tells it may be run at any time."""

import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.models import Model

from abm_project.access import INTERNAL_ADMIN, SALES, roles
from abm_project.management.commands import demo
from abm_project.models import AccountAction, Snooze
from accounts.models import CompanyDomain, Contact, IntentSignal, ProspectCompany
from ingestion.demo import (
    EXTRAS,
    JUNK_KEYS,
    PERSONAL_KEYS,
    PROFILES,
    REQUESTS,
    demo_events,
    demo_leads,
)
from ingestion.demo_cast import BOUGHT, BOUGHT_BY, BRANCH, BRANCH_OF, COMPETITOR, DEMO_COMPANIES, LANES, SUPPRESSED
from ingestion.models import ActivityDay, ActivityPull, LeadRequest
from registry.models import DomainRule
from scoring.models import DailyAccountIntent, JobRun

from .factories import DAY, make_fact, make_pull

WEEK = [DAY - timedelta(days=n) for n in range(7)]


def group_key(event: dict[str, Any]) -> str | None:
    return event["properties"].get("$groups", {}).get("company")


# --- The story --------------------------------------------------------------------------------------------------------
def test_the_same_arguments_give_the_same_events_and_leads() -> None:
    assert list(demo_events(DAY)) == list(demo_events(DAY))
    assert demo_leads(DAY) == demo_leads(DAY)


def test_another_seed_tells_another_story() -> None:
    assert list(demo_events(DAY, seed=1)) != list(demo_events(DAY, seed=2))


def test_fewer_companies_change_nothing_for_the_others() -> None:
    few = {company.domain for company in (*EXTRAS, *DEMO_COMPANIES[:5])}

    def of_few(companies: int) -> list[dict[str, Any]]:
        return [event for event in demo_events(DAY, companies=companies) if group_key(event) in few]

    assert of_few(400) == of_few(5)


@pytest.mark.parametrize("last_day", WEEK, ids=lambda day: f"{day:%a}")
@pytest.mark.parametrize("companies", [1, 400])
def test_every_day_of_the_window_has_events_and_no_other_day(last_day: date, companies: int) -> None:
    days = {datetime.fromisoformat(event["timestamp"]).date() for event in demo_events(last_day, companies=companies)}

    assert days == {last_day - timedelta(days=n) for n in range(90)}


def test_a_shorter_window_is_kept_too() -> None:
    days = {event["timestamp"][:10] for event in demo_events(DAY, days=5)}

    assert min(days) == f"{DAY - timedelta(days=4)}"
    assert max(days) == f"{DAY}"


def test_keys_are_invented_domains_or_deliberate_junk() -> None:
    keys = Counter(map(group_key, demo_events(DAY)))
    invented = {company.domain for company in (*DEMO_COMPANIES, *EXTRAS)}

    assert all(domain.endswith(".example") for domain in invented)
    assert set(keys) == invented | set(PERSONAL_KEYS) | set(JUNK_KEYS) | {None}


def test_lead_requests_come_from_invented_people() -> None:
    leads = demo_leads(DAY)
    domains = Counter(lead.work_email.rpartition("@")[2] for lead in leads)

    assert 60 <= len(leads) <= 120
    assert [domain for domain in domains if not domain.endswith(".example")] == ["gmail.com"]
    assert all(lead.phone.startswith("+44 20 7946 0") for lead in leads if lead.phone)  # kept for fiction
    assert len(demo_leads(DAY, companies=1)) <= len(REQUESTS) + 1


def test_a_tracked_lead_is_also_a_submitted_form_of_the_same_person() -> None:
    forms = [event for event in demo_events(DAY) if event["event"] == "form_submitted"]
    submitted = {(event["distinct_id"], datetime.fromisoformat(event["timestamp"])): event for event in forms}
    tracked = [lead for lead in demo_leads(DAY) if lead.tracking_json]

    assert len(forms) == len(submitted) == len(tracked) >= 30
    for lead in tracked:
        form = submitted[lead.tracking_json["posthog_distinct_id"], lead.submitted_at]
        assert form["properties"]["$groups"]["company"] == lead.work_email.rpartition("@")[2]


def test_who_wrote_to_us_also_visits() -> None:
    known = {lead.tracking_json["posthog_distinct_id"] for lead in demo_leads(DAY) if lead.tracking_json}
    seen = {event["distinct_id"] for event in demo_events(DAY, days=7) if event["event"] == "page_view"}

    assert 10 <= len(known & seen) < len(known)


def test_events_have_the_shape_of_an_export_line() -> None:
    events = list(demo_events(DAY))
    sent = Counter(name for event in events for name in event["properties"])
    names = Counter(event["event"] for event in events)

    assert 12_000 < len(events) < 18_000
    assert set(names) == {"page_view", "$pageview", "cta_click", "form_started", "form_submitted"}
    assert json.loads(json.dumps(events)) == events
    for event in events:
        assert set(event) == {"uuid", "event", "distinct_id", "timestamp", "person_id", "properties"}
    # What the site often leaves out, event rules must supply.
    assert 0.2 < sent["content_type"] / len(events) < 0.5
    assert 0.1 < sent["service_lane"] / len(events) < 0.5


def test_companies_have_several_people_and_quiet_weekends() -> None:
    events = [event for event in demo_events(DAY) if group_key(event) == "northwind-freight.example"]
    by_weekday = Counter(datetime.fromisoformat(event["timestamp"]).weekday() for event in events)

    assert len({event["person_id"] for event in events}) >= 5
    assert by_weekday[5] + by_weekday[6] < by_weekday[1]


def test_every_profile_is_told_and_the_first_fifteen_companies_show_most_of_them() -> None:
    assert {company.profile for company in (*DEMO_COMPANIES, *EXTRAS)} == set(PROFILES)
    assert len({company.profile for company in DEMO_COMPANIES[:15]}) >= 8


def test_there_are_four_hundred_companies_in_six_lanes() -> None:
    every = (*DEMO_COMPANIES, *EXTRAS)

    assert len(DEMO_COMPANIES) == 400
    assert len({company.domain for company in every}) == len({company.name for company in every}) == len(every)
    assert len(LANES) == 6
    assert min(Counter(company.lane for company in DEMO_COMPANIES).values()) >= 30


# --- The command ------------------------------------------------------------------------------------------------------
def run(*args: str) -> str:
    out = io.StringIO()
    call_command("demo", *args, stdout=out)
    return out.getvalue()


def check_refusal() -> None:
    with pytest.raises(CommandError, match="only to SQLite"):
        run()
    assert not ActivityDay.objects.exists()
    assert not User.objects.exists()


def only_sqlite(test: Callable[..., None]) -> Callable[..., None]:
    """On any other database all that the command may do is refuse: there, that is what the test asserts."""

    def refused() -> None:
        check_refusal()

    return test if connection.vendor == "sqlite" else refused


def stable_rows(model: type[Model]) -> list[dict[str, Any]]:
    """Every row, without what names the run that wrote it."""
    passing = {"id", "created_at", "updated_at", "job_run", "score_updated_at", "seconds", "password"}
    names = [field.attname for field in model._meta.fields if field.name not in passing]
    return sorted(model._default_manager.values(*names), key=repr)


def everything() -> dict[str, list[dict[str, Any]]]:
    tables = (
        ProspectCompany, CompanyDomain, Contact, LeadRequest, ActivityDay, ActivityPull, DomainRule, DailyAccountIntent,
        User, AccountAction, Snooze,
    )  # fmt: skip
    return {model.__name__: stable_rows(model) for model in tables}


@pytest.mark.django_db
def test_any_other_database_is_refused_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "sqlite":
        monkeypatch.setattr(demo, "connection", SimpleNamespace(vendor="mysql"))

    check_refusal()


@pytest.mark.django_db
@only_sqlite
def test_the_demo_shows_every_state_there_is() -> None:
    printed = run("--url", "http://localhost:9/")

    check_spread()
    check_movers()
    check_decisions()
    check_leads()
    check_people()
    check_work()
    check_runs()
    check_sign_in(printed)
    assert "URL       http://localhost:9/" in printed


@pytest.mark.django_db
@only_sqlite
def test_run_again_it_leaves_the_same_rows() -> None:
    run("--companies", "30")
    after_first = everything()

    again = run("--companies", "30")
    assert "there already" in again
    assert everything() == after_first
    check_sign_in(again)
    assert "URL" not in again  # nobody said that somebody serves it

    JobRun.objects.filter(kind="recompute", state="done").delete()  # as if the first run had been killed before its end
    assert "there already" not in run("--companies", "30")
    assert everything() == after_first


def check_spread() -> None:
    """A handful is hot, some are warm, a long tail is cold; most are as busy as they were."""
    listed = ProspectCompany.objects.listed()
    stages = Counter(listed.values_list("intent_stage", flat=True))
    surges = Counter(listed.values_list("surge_level", flat=True))

    assert 395 <= listed.count() <= 410
    assert 12 <= stages["Hot"] <= 40
    assert 35 <= stages["Warm"] <= 80
    assert 20 <= surges["Surging"] <= 70
    assert 15 <= surges["Exploding"] <= 60
    assert 10 <= listed.filter(is_new=True).count() <= 40
    assert {*listed.values_list("top_lane", flat=True)} == {*LANES, "other"}
    assert listed.filter(intent_stage="Hot", surge_level="Normal").exists()
    assert listed.filter(intent_score=0).exists()
    assert set(listed.values_list("owner__username", flat=True)) == {"demo", "maya", "jonas", None}
    assert set(listed.values_list("name_source", flat=True)) == {"group", "lead"}
    assert DailyAccountIntent.objects.values("date").distinct().count() == 30


def check_movers() -> None:
    """Since the day before: accounts enter and leave Hot, surge and explode anew, cool and appear."""
    today = demo.yesterday()
    now, before = (
        {row[0]: row[1:] for row in snapshots.values_list("prospect_company", "intent_stage", "surge_level")}
        for snapshots in (DailyAccountIntent.objects.filter(date=today - timedelta(days=n)) for n in range(2))
    )
    was = {account: before.get(account, ("Cold", "Normal")) for account in now}

    assert any(stage == "Hot" != was[account][0] for account, (stage, _) in now.items())
    assert any(stage != "Hot" == was[account][0] for account, (stage, _) in now.items())
    for level in ("Surging", "Exploding"):
        assert any(surge == level and was[account][1] == "Normal" for account, (_, surge) in now.items())


def check_decisions() -> None:
    """Names, the suppressed, the branch and what was bought are as the story says."""
    northwind = ProspectCompany.objects.get(domain=BRANCH_OF)
    suppressed = ProspectCompany.objects.suppressed()

    assert (northwind.name, northwind.name_source) == ("Northwind Freight", "group")
    assert set(suppressed.values_list("suppressed_as", flat=True)) == set(SUPPRESSED)
    assert ProspectCompany.objects.get(domain=COMPETITOR.domain).suppressed_as == "competitor"
    assert not ProspectCompany.objects.filter(domain__in=[BRANCH.domain, *PERSONAL_KEYS, *JUNK_KEYS]).exists()
    bought = ProspectCompany.objects.get(merged_into__isnull=False)
    assert (bought.domain, bought.merged_into.domain) == (BOUGHT.domain, BOUGHT_BY)
    assert ActivityDay.objects.filter(account_key=BOUGHT.domain).exists()
    assert ProspectCompany.objects.get(domain="tessellate-robotics.example").intent_score > 0


def check_leads() -> None:
    """Of every kind and state, with and without an account; none came through a side door."""
    leads = LeadRequest.objects.all()
    rows = leads.values_list("status", "request_type", "lane")

    assert len(rows) == len(demo_leads(DAY))
    assert [set(column) for column in zip(*rows, strict=True)] == [
        set(LeadRequest.Status),
        set(LeadRequest.RequestType),
        {*LANES, ""},
    ]
    assert leads.filter(status="spam").count() == 2
    assert leads.filter(account_key=None).exclude(status="spam").get().work_email.endswith("@gmail.com")
    assert not leads.filter(dedupe_key=None).exists()
    assert leads.exclude(lead_score=None).values("lead_score").distinct().count() > 10
    assert IntentSignal.objects.count() == leads.exclude(account_key=None).count()


def check_people() -> None:
    """Known ones, lately seen or not, of the accounts' own, of a branch and of what was bought."""
    contacts = Contact.objects.all()

    assert contacts.count() >= 60
    assert contacts.exclude(top_categories_7d_json=[]).count() >= 10
    assert contacts.filter(top_categories_7d_json=[], last_seen_at__isnull=False).exists()
    assert contacts.filter(title="").exists()
    assert contacts.filter(prospect_company__domain=BOUGHT.domain).exists()
    latest = DailyAccountIntent.objects.filter(date=demo.yesterday())
    assert latest.filter(unique_people_7d__gt=2, prospect_company__contacts=None).exists()  # anonymous ones only


def check_work() -> None:
    assert set(AccountAction.objects.values_list("kind", flat=True)) == {"contacted", "snoozed", "owned"}
    assert Snooze.objects.filter(user__username="demo", until__gt=demo.yesterday()).count() == 2


def check_runs() -> None:
    runs = JobRun.objects.order_by("-started_at").values_list("kind", "state")
    assert list(runs) == [("recompute", "done"), ("recompute", "failed"), ("pull", "held")]


def check_sign_in(printed: str) -> None:
    password = printed.rpartition("Password")[2].split()[0]
    user = User.objects.get(username="demo")

    assert user.check_password(password)
    assert roles(user) == {SALES, INTERNAL_ADMIN}
    assert user.is_staff


@pytest.mark.django_db
@only_sqlite
def test_on_a_later_day_the_story_is_told_anew_up_to_that_day(monkeypatch: pytest.MonkeyPatch) -> None:
    today = demo.yesterday()
    run("--companies", "12")
    fresh = snapshots_up_to(today)
    ProspectCompany.objects.update(merged_into=None)
    for model in (LeadRequest, ActivityDay, ActivityPull, ProspectCompany, JobRun):
        model.objects.all().delete()

    monkeypatch.setattr(demo, "yesterday", lambda: today - timedelta(days=3))
    run("--companies", "12")
    monkeypatch.undo()
    run("--companies", "12")

    assert LeadRequest.objects.count() == len(demo_leads(today, companies=12))
    assert snapshots_up_to(today) == fresh


@pytest.mark.django_db
@only_sqlite
def test_activity_from_elsewhere_is_left_alone() -> None:
    make_pull(source="group:company in our-own-export.jsonl.gz")
    make_fact("acme.example")

    printed = run()

    assert "not the demo's" in printed
    assert list(ActivityDay.objects.values_list("account_key", flat=True)) == ["acme.example"]
    assert not LeadRequest.objects.exists()
    check_sign_in(printed)


def snapshots_up_to(last_day: date) -> list[tuple[Any, ...]]:
    """The scores of the last 30 days; not those of 0, which stay where an earlier story had scored an account."""
    month = (last_day - timedelta(days=29), last_day)
    rows = DailyAccountIntent.objects.filter(date__range=month, intent_score__gt=0)
    return sorted(rows.values_list("prospect_company__domain", "date", "intent_score", "surge_level", "why_hot_json"))
