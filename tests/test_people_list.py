"""People inside accounts: who is known, what they look at, and how many are not known by name."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from abm_project.dashboards import PEOPLE_ORDERINGS, PeopleFilter, account_by_id, people, people_list
from abm_project.dashboards.people_list import every_person
from accounts.models import Contact, ContactIdentity, ProspectCompany
from accounts.resolution import merge
from tests.factories import DAY, at, make_company, make_person, make_snapshot, make_user

pytestmark = pytest.mark.django_db
CATEGORIES = {
    "security": {"count": 1, "score": 5.0},
    "pricing": {"count": 9, "score": 20.0},
    "other": {"count": 2, "score": 0.5},
}


def account(domain="acme.example", **fields):
    names = ("name", "owner", "suppressed_as")
    company = make_company(domain, **{name: fields.pop(name) for name in names if name in fields})
    make_snapshot(company, **{"top_categories_7d_json": CATEGORIES, **fields})
    return company


def emails(**chosen):
    return [person.email for person in people(PeopleFilter(**chosen)).rows]


def test_a_person_has_a_name_a_title_an_account_and_the_ids_they_are_known_by():
    company = account(name="Acme", intent_score=80, intent_stage="Hot")
    known = make_person(
        company, "ann@acme.example", "id-1", first_name="Ann", last_name="Lee", title="CFO", last_seen_at=at(DAY)
    )
    ContactIdentity.objects.create(contact=known, identity_type="crm_id", identity_value="003")
    (person,) = people(PeopleFilter()).rows

    assert (person.id, person.name, person.title, person.last_seen_at) == (known.pk, "Ann Lee", "CFO", at(DAY))
    assert [(identity.type, identity.value) for identity in person.identities] == [
        ("crm_id", "003"),
        ("posthog_distinct_id", "id-1"),
    ]
    assert (person.account.domain, person.account.name, person.account.intent_score) == ("acme.example", "Acme", 80)


def test_categories_are_the_persons_own_or_the_accounts_and_then_marked():
    company = account()
    make_person(company, "own@acme.example", top_categories_7d_json=["integrations", "pricing", "docs"])
    make_person(company, "inferred@acme.example")
    make_person(account("quiet.example", top_categories_7d_json={}), "nothing@quiet.example")
    found = {person.email: (person.categories, person.inferred) for person in people(PeopleFilter()).rows}

    assert found == {
        "own@acme.example": (("integrations", "pricing"), False),
        "inferred@acme.example": (("pricing", "security"), True),
        "nothing@quiet.example": ((), False),
    }


def test_anonymous_people_are_those_of_seven_days_that_are_not_known_and_never_fewer_than_none():
    company = account(unique_people_7d=5)
    make_person(company, "now@acme.example", last_seen_at=at(DAY - timedelta(days=6)))
    make_person(company, "before@acme.example", last_seen_at=at(DAY - timedelta(days=7)))
    make_person(company, "later@acme.example", last_seen_at=at(DAY + timedelta(days=1)))
    make_person(company, "never@acme.example")
    few = account("few.example", unique_people_7d=0)
    make_person(few, "now@few.example", last_seen_at=at(DAY))
    found = {person.account.domain: person.account.anonymous_people_7d for person in people(PeopleFilter()).rows}

    assert found == {"acme.example": 4, "few.example": 0}
    assert account_by_id(company.id).anonymous_people_7d == 4


def test_an_account_where_nobody_is_known_still_says_how_many_there_are():
    company = account(unique_people_7d=3)
    found = people(PeopleFilter(account_id=company.id))

    assert found.rows == ()
    assert found.account.anonymous_people_7d == 3


def test_accounts_that_are_merged_in_a_ring_are_listed_nowhere_and_neither_are_their_people():
    here, there = account(), account("there.example")
    make_person(here, "ann@acme.example")
    for one, other in ((here, there), (there, here)):
        ProspectCompany.objects.filter(pk=one.pk).update(merged_into=other)  # no verb of ours does it

    assert emails(account_id=here.id) == emails() == []


def test_the_people_of_a_merged_account_are_the_accounts():
    company = account(top_lane="rooms")
    merged = account("old.example", top_lane="desks")
    merge(merged, company)
    make_person(merged, "ann@old.example")
    (person,) = people(PeopleFilter(account_id=merged.id)).rows

    assert person.account.domain == "acme.example"
    assert emails(account_id=company.id) == emails(lane="rooms") == ["ann@old.example"]
    assert emails(lane="desks") == []
    assert [(facet.value, facet.count) for facet in people(PeopleFilter()).lanes] == [("rooms", 1)]


def test_people_of_suppressed_accounts_are_not_listed():
    make_person(account(suppressed_as="competitor"), "spy@acme.example")

    assert emails() == []


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"lane": "office"}, ["ann", "bob"]),
        ({"lane": "desks"}, []),
        ({"lane": "desks", "range": "30d"}, ["bob", "ann"]),
        ({"lane": "rooms", "range": "7d"}, []),
        ({"range": "7d"}, ["ann"]),
        ({"range": "30d"}, ["ann", "bob"]),
        ({"category": "pricing"}, ["bob"]),
        ({"category": "integrations"}, ["ann"]),
        ({"category": "docs"}, []),
        ({"category": 'x"]'}, []),
        ({"search": "ann lee"}, ["ann"]),
        ({"search": "LEE"}, ["ann"]),
        ({"search": "cfo"}, ["ann"]),
        ({"search": "acme"}, ["ann", "bob"]),
        ({"search": "ü"}, []),
        ({"search": "%"}, []),
    ],
)
def test_filters_say_who_is_shown(chosen, found):
    company = account(top_lane_30d="desks")
    make_person(
        company,
        "ann@acme.example",
        first_name="Ann",
        last_name="Lee",
        title="CFO",
        last_seen_at=at(DAY - timedelta(days=6)),
        top_categories_7d_json=["integrations", "security", "docs"],
    )
    make_person(company, "bob@acme.example", last_seen_at=at(DAY - timedelta(days=20)))

    assert sorted(emails(**chosen)) == sorted(f"{name}@acme.example" for name in found)


def test_my_people_are_those_of_the_accounts_i_own():
    me = make_user("me")
    make_person(account("mine.example", owner=me), "a@mine.example")
    make_person(account("theirs.example"), "b@theirs.example")

    assert emails(owner_id=me.pk) == ["a@mine.example"]


@pytest.mark.parametrize("ordering", [f"{sign}{name}" for name in PEOPLE_ORDERINGS for sign in ("", "-")])
def test_every_column_sorts_both_ways_and_who_was_never_seen_comes_last(ordering):
    first = account("a.example", intent_score=10)
    second = account("b.example", intent_score=20)
    make_person(first, "a@a.example", first_name="ada", last_seen_at=at(DAY - timedelta(days=1)))
    make_person(second, "b@b.example", first_name="Bea", last_seen_at=at(DAY))
    make_person(second, "c@b.example", first_name="Cy")

    expected = ["a@a.example", "b@b.example", "c@b.example"]
    if ordering in ("-name", "-email"):
        expected.reverse()
    elif ordering in ("-domain", "-intent_score"):
        expected = ["b@b.example", "c@b.example", "a@a.example"]
    elif ordering == "-last_seen_at":
        expected = ["b@b.example", "a@a.example", "c@b.example"]
    assert emails(ordering=ordering) == expected


def test_two_orderings_sort_one_within_the_other():
    for email in ("b@b.example", "a@b.example", "z@a.example"):
        domain = email.partition("@")[2]
        company = Contact.objects.filter(prospect_company__domain=domain).first()
        make_person(company.prospect_company if company else account(domain), email)

    assert emails(ordering="-domain,email") == ["a@b.example", "b@b.example", "z@a.example"]


def test_pages_do_not_overlap_and_an_export_is_all_of_them(monkeypatch):
    monkeypatch.setattr(people_list, "CSV_BATCH", 2)
    company = account()
    for number in range(5):
        make_person(company, f"{number}@acme.example")
    found = [people(PeopleFilter(), page, limit=2) for page in (1, 2, 3, 99)]

    assert [len(page.rows) for page in found] == [2, 2, 1, 1]
    assert found[0].count == 5
    assert [person for page in found[:3] for person in page.rows] == list(every_person(PeopleFilter()))


@pytest.mark.parametrize("chosen", [{}, {"search": "example", "category": "pricing", "range": "7d", "lane": "office"}])
def test_forty_people_take_as_many_queries_as_one(chosen):
    def add(number):
        company = account(f"{number}.example")
        make_person(company, f"x@{number}.example", f"id-{number}", last_seen_at=at(DAY))
        merged = make_company(f"old-{number}.example")
        merge(merged, company)
        make_person(merged, f"y@{number}.example", last_seen_at=at(DAY))

    add(0)
    with CaptureQueriesContext(connection) as one:
        people(PeopleFilter(**chosen))
    for number in range(1, 40):
        add(number)
    with CaptureQueriesContext(connection) as forty:
        assert people(PeopleFilter(**chosen), limit=200).count == 80

    assert len(forty) == len(one)
