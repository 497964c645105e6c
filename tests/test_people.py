"""Known people: when they were last seen and what they looked at in seven full UTC days (spec 8.1)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from accounts.models import Contact, ContactIdentity
from ingestion.posthog import PostHogError, Refused, TooMuch, connect
from ingestion.site import site_of_settings
from scoring import people
from scoring.models import LeaseLost
from scoring.people import known_ids, see_people
from tests.export_lines import event
from tests.factories import at, make_company, make_config, make_person, make_rule, make_weight
from tests.posthog_standin import PostHog, faults

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 21)
NOW = at(DAY + timedelta(days=1), 2)


@pytest.fixture(scope="module")
def standin():
    with PostHog(timezone="Asia/Kolkata", per_minute=None) as posthog:
        yield posthog


@pytest.fixture
def acme():
    config = make_config()
    make_weight(config, "page_view", 10, content_type="pricing")
    make_weight(config, "page_view", 1)
    make_weight(config, "cta_click", 5, cta_id="reserve")
    return make_company()


def see(now=NOW, guard=lambda: None):
    """How many contacts changed."""
    site = site_of_settings()
    return sum(see_people(connect(), site, DAY, now, guard))


def visit(who, when="2026-11-21T10:00:00Z", name="page_view", path="/", **properties):
    return {**event(None, when, name, path, **properties), "distinct_id": who}


def of(contact):
    contact.refresh_from_db()
    return contact.last_seen_at, contact.top_categories_7d_json


def test_nobody_known_is_nobody_asked_for(posthog, acme):
    Contact.objects.create(prospect_company=acme, email="a@acme.example")

    assert see() == 0
    assert posthog.requests == []


def test_all_ids_of_a_contact_count_for_it(posthog, acme):
    both = make_person(acme, "both@acme.example", "both-1", "both-2", "both-unseen")
    other = make_person(acme, "other@acme.example", "other-1")
    posthog.capture(
        [
            visit("both-1", "2026-11-20T10:00:00Z", content_type="pricing"),
            visit("both-2", "2026-11-21T11:30:15.900Z", content_type="Docs"),
            visit("other-1", "2026-11-18T00:00:00Z"),
            visit("stranger", "2026-11-21T12:00:00Z"),
        ]
    )

    assert see() == 2

    assert of(both) == (datetime(2026, 11, 21, 11, 30, 15, tzinfo=UTC), ["pricing", "docs"])
    assert of(other) == (datetime(2026, 11, 18, tzinfo=UTC), ["other"])


def test_the_second_time_nobody_changes(posthog, acme):
    contact = make_person(acme, "twice@acme.example", "twice")
    posthog.capture([visit("twice")])
    for run in range(2):
        assert see(NOW + timedelta(days=run)) == (0 if run else 1)
    contact.refresh_from_db()
    assert contact.updated_at == NOW


def test_only_seven_full_utc_days_count(posthog, acme):
    edges = {
        "too-old": "2026-11-14T23:59:59.999Z",
        "first": "2026-11-15T00:00:00Z",
        "last": "2026-11-21T23:59:59.999Z",
        "too-new": "2026-11-22T00:00:00Z",
    }
    people = {who: make_person(acme, f"{who}@acme.example", who) for who in edges}
    posthog.capture([visit(who, when) for who, when in edges.items()])

    assert see() == 2

    assert of(people["too-old"]) == of(people["too-new"]) == (None, [])
    assert of(people["first"])[0] == datetime(2026, 11, 15, tzinfo=UTC)
    assert of(people["last"])[0] == datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)


def test_who_did_not_come_keeps_when_they_did_and_loses_what_they_looked_at(posthog, acme):
    before = at(DAY - timedelta(days=30))
    contact = make_person(acme, "gone@acme.example", "gone", last_seen_at=before, top_categories_7d_json=["pricing"])

    assert see() == 1
    assert of(contact) == (before, [])


def test_a_later_sight_of_them_is_never_taken_back(posthog, acme):
    form = at(DAY + timedelta(days=1), 1)  # a lead of this very night
    contact = make_person(acme, "lead@acme.example", "lead", last_seen_at=form)
    posthog.capture([visit("lead", content_type="pricing")])

    see()

    assert of(contact) == (form, ["pricing"])


def test_categories_come_by_points_then_events_then_name(posthog, acme):
    make_rule("/cases", content_type="case_study", lane="office")
    contact = make_person(acme, "order@acme.example", "order")
    posthog.capture(
        [
            visit("order", content_type="pricing"),
            *[visit("order", name="cta_click", cta_id="reserve", content_type="pricing")] * 2,
            *[visit("order", content_type="zebra")] * 3,
            visit("order", path="/cases/acme"),
            visit("order", name="$pageview", content_type="blog"),
            *[visit("order", name="form_started")] * 4,
            visit("order", name="untracked"),
        ]
    )

    see()

    # 10, 10 and 3 points; 1 and 1; none for four events
    assert of(contact)[1] == ["reserve", "pricing", "zebra", "blog", "case_study", "form_started"]


def test_at_most_as_many_categories_as_a_snapshot_keeps(posthog, acme):
    contact = make_person(acme, "many@acme.example", "many")
    posthog.capture([visit("many", content_type=f"kind-{n:02}") for n in range(12)])

    see()

    assert of(contact)[1] == [f"kind-{n:02}" for n in range(10)]


def test_ids_are_asked_for_by_the_thousand_at_most(posthog, acme):
    every = [make_person(acme, f"p{n}@acme.example", f"p{n}-a", f"p{n}-b", f"p{n}-c", f"p{n}-d") for n in range(250)]
    posthog.capture([visit("p7-d"), visit("p249-a")])

    assert see() == 2
    assert [len(request.values["ids"]) for request in posthog.requests] == [1_000]

    posthog.forget_requests()
    ids = [f"p-more-{n}" for n in range(1_001)]
    make_person(acme, "more@acme.example", *ids)
    posthog.capture([visit(ids[0], "2026-11-19T10:00:00Z"), visit(ids[-1], "2026-11-20T10:00:00Z")])
    seen = see()

    more = Contact.objects.get(email="more@acme.example")
    assert of(more)[0] == at(date(2026, 11, 20), 10)
    assert seen == 1
    assert max(len(request.values["ids"]) for request in posthog.requests) <= 1_000
    assert sum(len(request.values["ids"]) for request in posthog.requests) == 2_001
    assert len(every) == 250


def test_a_thousand_and_one_ids_are_two_questions(posthog, acme):
    make_person(acme, "one@acme.example", *[f"one-{n}" for n in range(1_001)])
    see()
    assert len(posthog.requests) == 2


def test_every_contact_comes_in_one_batch_with_all_of_its_ids(acme, monkeypatch):
    monkeypatch.setattr(people, "IDS", 8)  # two contacts a batch
    expected = {}
    for name in "abcde":
        contact = make_person(acme, f"{name}@acme.example", f"{name}-1", f"{name}-2", f"{name}-3")
        expected |= {f"{name}-{n}": contact.pk for n in (1, 2, 3)}

    batches = list(known_ids())

    assert [len(set(batch.values())) for batch in batches] == [2, 2, 1]
    assert {key: value for batch in batches for key, value in batch.items()} == expected


def test_ids_of_other_kinds_are_nobodys_business(posthog, acme):
    contact = Contact.objects.create(prospect_company=acme, email="crm@acme.example")
    for kind in ("email", "hashed_email", "crm_id"):
        ContactIdentity.objects.create(contact=contact, identity_type=kind, identity_value="crm")

    assert see() == 0
    assert posthog.requests == []


def test_ids_differ_by_case_and_may_hold_any_character(posthog, acme):
    ids = ["case", "CASE", "cäse", "ca'se", 'ca"se', "ca\\se", "{from}", "ca\tse", "🙂"]
    every = [make_person(acme, f"case{n}@acme.example", who) for n, who in enumerate(ids)]
    posthog.capture([visit(who, f"2026-11-21T10:00:{n:02}Z") for n, who in enumerate(ids)])

    assert see() == len(ids)
    assert [of(contact)[0].second for contact in every] == list(range(len(ids)))


def test_where_posthog_takes_too_long_fewer_are_asked_for(posthog, acme):
    every = [make_person(acme, f"slow{n}@acme.example", f"slow-{n}") for n in range(4)]
    posthog.capture([visit(f"slow-{n}") for n in range(4)])
    posthog.faults.add(faults.answer(504), name="orbit people", times=2)

    assert see() == 4

    assert [len(request.values["ids"]) for request in posthog.requests] == [4, 2, 1, 1, 2]
    assert all(of(contact)[0] for contact in every)


def test_one_id_that_takes_too_long_is_given_up(posthog, acme):
    make_person(acme, "slow@acme.example", "slow-a", "slow-b")
    posthog.faults.add(faults.answer(512), name="orbit people", times=0)

    with pytest.raises(TooMuch):
        see()
    assert len(posthog.requests) == 2


@pytest.mark.parametrize(
    "row",
    [
        '["shape", [["page_view", "", "", "", "/", "", "", 1]], "soon"]',
        '["shape", [["page_view", 7, "", "", "/", "", "", 1]], 1]',
        '["shape", [["other", "", "", "", "/", "", "", 1]], 1]',
        '["shape", null, 1]',
        '["nobody that was asked for", [["page_view", "", "", "", "/", "", "", 1]], 1]',
    ],
)
def test_an_answer_of_another_kind_changes_nobody(posthog, acme, row):
    contact = make_person(acme, "shape@acme.example", "shape")
    body = f'{{"columns": ["visitor", "cells", "last_seen_unix"], "results": [{row}]}}'
    posthog.faults.add(faults.answer(200, body))

    with pytest.raises(PostHogError):
        see()
    assert of(contact) == (None, [])


def test_a_failure_after_the_first_batch_leaves_that_batch(posthog, acme, monkeypatch):
    monkeypatch.setattr(people, "IDS", 4)  # one contact a batch
    every = [make_person(acme, f"batch{n}@acme.example", f"batch-{n}") for n in range(3)]
    posthog.capture([visit(f"batch-{n}") for n in range(3)])
    posthog.faults.add(faults.answer(403), nth=2)

    with pytest.raises(Refused):
        see()

    assert sum(1 for contact in every if of(contact)[0]) == 1


def test_a_run_that_was_taken_for_dead_changes_nobody(posthog, acme):
    contact = make_person(acme, "dead@acme.example", "dead")
    posthog.capture([visit("dead")])

    def guard():
        raise LeaseLost("taken for dead")

    with pytest.raises(LeaseLost):
        see(guard=guard)
    assert of(contact) == (None, [])
