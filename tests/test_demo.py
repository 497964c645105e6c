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
from accounts.models import CompanyDomain, Contact, ProspectCompany
from ingestion.demo import (
    BRANCH,
    BRANCH_OF,
    COMPETITOR,
    DEMO_COMPANIES,
    JUNK_KEYS,
    PERSONAL_KEYS,
    PROFILES,
    demo_events,
    demo_leads,
)
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
    few = {COMPETITOR.domain, *(company.domain for company in DEMO_COMPANIES[:5])}

    def of_few(companies: int) -> list[dict[str, Any]]:
        return [event for event in demo_events(DAY, companies=companies) if group_key(event) in few]

    assert of_few(100) == of_few(5)


@pytest.mark.parametrize("last_day", WEEK, ids=lambda day: f"{day:%a}")
@pytest.mark.parametrize("companies", [1, 100])
def test_every_day_of_the_window_has_events_and_no_other_day(last_day: date, companies: int) -> None:
    days = {datetime.fromisoformat(event["timestamp"]).date() for event in demo_events(last_day, companies=companies)}

    assert days == {last_day - timedelta(days=n) for n in range(90)}


def test_a_shorter_window_is_kept_too() -> None:
    days = {event["timestamp"][:10] for event in demo_events(DAY, days=5)}

    assert min(days) == f"{DAY - timedelta(days=4)}"
    assert max(days) == f"{DAY}"


def test_keys_are_invented_domains_or_deliberate_junk() -> None:
    keys = Counter(map(group_key, demo_events(DAY)))
    invented = {company.domain for company in (*DEMO_COMPANIES, BRANCH, COMPETITOR)}

    assert all(domain.endswith(".example") for domain in invented)
    assert set(keys) == invented | set(PERSONAL_KEYS) | set(JUNK_KEYS) | {None}


def test_lead_requests_come_from_invented_addresses() -> None:
    addresses = [lead.work_email for lead in demo_leads(DAY)]
    domains = Counter(address.rpartition("@")[2] for address in addresses)

    assert len(set(addresses)) == len(addresses) == 12
    assert [domain for domain in domains if not domain.endswith(".example")] == ["gmail.com"]


def test_a_tracked_lead_is_also_a_submitted_form_of_the_same_person() -> None:
    forms = {event["distinct_id"]: event for event in demo_events(DAY) if event["event"] == "form_submitted"}
    tracked = [lead for lead in demo_leads(DAY) if lead.tracking_json]

    assert len(forms) == len(tracked) == 8
    for lead in tracked:
        form = forms[lead.tracking_json["posthog_distinct_id"]]
        assert datetime.fromisoformat(form["timestamp"]) == lead.submitted_at
        assert form["properties"]["$groups"]["company"] == lead.work_email.rpartition("@")[2]


def test_events_have_the_shape_of_an_export_line() -> None:
    events = list(demo_events(DAY))
    sent = Counter(name for event in events for name in event["properties"])
    names = Counter(event["event"] for event in events)

    assert 6_000 < len(events) < 12_000
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


def test_every_profile_is_told_and_the_first_ten_companies_show_most_of_them() -> None:
    assert {company.profile for company in DEMO_COMPANIES} == set(PROFILES)
    assert len({company.profile for company in DEMO_COMPANIES[:10]}) >= 6
    assert len({company.domain for company in DEMO_COMPANIES}) == len(DEMO_COMPANIES) == 100


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
        User,
    )  # fmt: skip
    return {model.__name__: stable_rows(model) for model in tables}


@pytest.mark.django_db
def test_any_other_database_is_refused_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "sqlite":
        monkeypatch.setattr(demo, "connection", SimpleNamespace(vendor="mysql"))

    check_refusal()


@pytest.mark.django_db
@only_sqlite
def test_the_command_leaves_a_believable_day_and_the_same_rows_when_run_again() -> None:
    printed = run("--url", "http://localhost:9/")
    after_first = everything()
    check_spread()
    check_decisions()
    check_sign_in(printed)

    again = run()
    assert "there already" in again
    assert everything() == after_first
    check_sign_in(again)

    JobRun.objects.all().delete()  # as if the first run had been killed before its end
    assert "there already" not in run()
    assert everything() == after_first


def check_spread() -> None:
    listed = ProspectCompany.objects.listed()
    stages = Counter(listed.values_list("intent_stage", flat=True))
    surges = Counter(listed.values_list("surge_level", flat=True))

    assert stages["Hot"] >= 5
    assert stages["Warm"] >= 10
    assert stages["Cold"] > stages["Warm"]
    assert surges["Surging"] >= 3
    assert surges["Exploding"] >= 2
    assert listed.filter(is_new=True).count() >= 3
    assert DailyAccountIntent.objects.values("date").distinct().count() == 30


def check_decisions() -> None:
    """Names, owners, the rival, the branch and the leads are as the story says."""
    northwind = ProspectCompany.objects.get(domain=BRANCH_OF)
    rival = ProspectCompany.objects.get(domain=COMPETITOR.domain)

    assert (northwind.name, northwind.name_source) == ("Northwind Freight", "group")
    assert rival.suppressed_as == "competitor"
    assert not ProspectCompany.objects.filter(domain__in=[BRANCH.domain, *PERSONAL_KEYS, *JUNK_KEYS]).exists()
    assert Counter(ProspectCompany.objects.values_list("owner__username", flat=True))["demo"] >= 30
    assert LeadRequest.objects.count() == 12
    assert LeadRequest.objects.filter(account_key=None).count() == 1
    assert ProspectCompany.objects.get(domain="tessellate-robotics.example").intent_score > 0


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
    for model in (LeadRequest, ActivityDay, ActivityPull, ProspectCompany, JobRun):
        model.objects.all().delete()

    monkeypatch.setattr(demo, "yesterday", lambda: today - timedelta(days=3))
    run("--companies", "12")
    monkeypatch.undo()
    run("--companies", "12")

    assert LeadRequest.objects.count() == 12
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
