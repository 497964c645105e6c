"""Stitching: what known people did before they said who they are counts for their account, each event once."""

from datetime import UTC, date, datetime, timedelta

import pytest

from accounts.models import Contact, ContactIdentity
from ingestion.models import ActivityDay, ActivityPull
from ingestion.posthog import connect
from ingestion.pull import pull
from tests.factories import make_company
from tests.posthog_standin import faults

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
LAST = date(2026, 11, 21)


@pytest.fixture
def posthog(posthog):
    posthog.reset()
    posthog.set(timezone="US/Pacific", per_minute=None, per_hour=None)
    return posthog


def visit(who, age=0, account=None, path="/pricing"):
    moment = datetime(2026, 11, 21, 10, tzinfo=UTC) - timedelta(days=age)
    groups = {} if account is None else {"$groups": {"company": account}}
    properties = {"$pathname": path, **groups}
    return {"event": "$pageview", "distinct_id": who, "timestamp": moment.isoformat(), "properties": properties}


def know(company, *ids):
    contact, _ = Contact.objects.get_or_create(prospect_company=company, email=f"ann@{company.domain}")
    for value in ids:
        ContactIdentity.objects.create(contact=contact, identity_type="posthog_distinct_id", identity_value=value)
    return contact


def pull_days(number=10):
    days = [LAST - timedelta(days=age) for age in reversed(range(number))]
    return list(pull(connect(), days, NOW))[-1]


def events_of(account):
    days = ActivityDay.objects.filter(account_key=account).order_by("date")
    return {day.date: sum(cell[-1] for cell in day.cells_json) for day in days}


def test_ten_days_of_anonymous_browsing_count_for_the_account_from_the_next_pull_on(posthog):
    posthog.capture([visit("ph-1", age) for age in range(10)])
    before = pull_days()
    assert (before.unresolved, events_of("acme.example")) == ({"no_account": 10}, {})

    know(make_company("acme.example"), "ph-1")
    after = pull_days()

    assert events_of("acme.example") == {LAST - timedelta(days=age): 1 for age in range(10)}
    assert (after.unresolved, after.events, after.account_days) == ({}, 10, 10)
    assert len(ActivityDay.objects.first().people_json) == 1


def test_an_event_counts_once_and_one_with_an_account_of_its_own_stays_there(posthog):
    know(make_company("acme.example"), "ph-1")
    posthog.capture(
        [
            *[visit("ph-1"), visit("ph-1"), visit("stranger")],
            *[visit("ph-1", account="other.example"), visit("ph-1", account="acme.example")],
        ]
    )

    pulled = pull_days(1)

    assert (events_of("acme.example"), events_of("other.example")) == ({LAST: 3}, {LAST: 1})
    assert (pulled.events, pulled.unresolved) == (5, {"no_account": 1})
    assert ActivityPull.objects.get().events == 4


def test_several_ids_of_a_person_and_several_people_of_an_account_come_together(posthog):
    company = make_company("acme.example")
    know(company, "ph-1", "ph-2")
    know(make_company("beta.example"), "ph-3")
    posthog.capture([visit("ph-1"), visit("ph-2"), visit("ph-2", path="/blog"), visit("ph-3")])

    pull_days(1)

    assert (events_of("acme.example"), events_of("beta.example")) == ({LAST: 3}, {LAST: 1})
    assert len(ActivityDay.objects.get(account_key="acme.example").people_json) == 2


def test_when_the_contact_is_gone_the_next_pull_takes_its_activity_back(posthog):
    contact = know(make_company("acme.example"), "ph-1")
    posthog.capture([visit("ph-1")])
    pull_days(1)

    contact.delete()
    pull_days(1)

    assert events_of("acme.example") == {}


def test_ids_that_are_odd_travel_unharmed(posthog):
    odd = ["'; DROP", "a\\b", "ünïcode", "{from}", "@"]
    know(make_company("acme.example"), *odd)
    posthog.capture([visit(who) for who in odd])

    pull_days(1)

    assert events_of("acme.example") == {LAST: len(odd)}


def test_ten_thousand_known_people_cost_ten_questions_more_and_days_without_them_none(posthog):
    company = make_company("acme.example")
    contact = Contact.objects.create(prospect_company=company, email="ann@acme.example")
    ContactIdentity.objects.bulk_create(
        ContactIdentity(contact=contact, identity_type="posthog_distinct_id", identity_value=f"ph-{number:05}")
        for number in range(10_000)
    )
    posthog.capture([visit("ph-09999", 3), visit("ph-00000", 3)])
    posthog.forget_requests()

    pulled = pull_days(10)

    names = [request.name.partition("2026")[0].strip() for request in posthog.requests if request.name]
    assert {name: names.count(name) for name in set(names)} == {
        "orbit strangers": 10, "orbit group_key": 1, "orbit day": 10, "orbit count": 20,
    }  # fmt: skip
    asked = [request.values["known"] for request in posthog.requests if "known" in request.values]
    assert asked == [["ph-00000", "ph-09999"]]
    assert pulled.events == 2
    assert max(len(str(request.body)) for request in posthog.requests) < 262_144  # what ClickHouse parses by default


def test_where_posthog_takes_too_long_the_ids_are_asked_for_in_halves(posthog):
    know(make_company("acme.example"), "ph-1", "ph-2", "ph-3")
    posthog.capture([visit(f"ph-{number}", age) for number in (1, 2, 3) for age in (0, 1)])

    posthog.faults.add(faults.answer(504, {}), name="orbit strangers")

    pull_days(2)

    assert events_of("acme.example") == {LAST - timedelta(days=1): 3, LAST: 3}
