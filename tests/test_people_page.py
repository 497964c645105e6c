"""People inside accounts, on their page."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import DAY, at, make_company, make_person, make_snapshot, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client):
    client.force_login(make_user())
    return lambda query="": " ".join(client.get(f"/people{query}").content.decode().split())


def account(domain="acme.example", **fields):
    company = make_company(domain, name=domain.split(".")[0].title())
    make_snapshot(company, **{"top_categories_7d_json": {"pricing": {"count": 2, "score": 9.0}}} | fields)
    return company


def test_a_row_says_who_where_when_and_what_they_look_at(page):
    acme = account(unique_people_7d=5)
    person = {"first_name": "Ann", "last_name": "Lee", "title": "CFO", "last_seen_at": at(DAY)}
    make_person(acme, "ann@acme.example", "ph-1", **person, top_categories_7d_json=["security", "docs"])
    make_person(acme, "bob@acme.example")
    shown = page()

    assert all(word in shown for word in ("Ann Lee", "ann@acme.example", "CFO", "Acme", ">security<", ">docs<"))
    assert "4 anonymous" in shown
    assert 'title="ph-1">PostHog<' in shown
    assert shown.count(">inferred<") + shown.count("> inferred<") == 1  # Bob's, of the account


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?search=ann", {"ann"}),
        ("?account=acme.example", {"ann", "bob"}),
        ("?account=https://www.acme.example/x", {"ann", "bob"}),
        ("?lane=rooms", {"cid"}),
        ("?category=security", {"ann"}),
        ("?range=7d", {"ann"}),
        ("?ordering=email", {"ann", "bob", "cid"}),
        ("?owner=me", set()),
    ],
)
def test_filters_narrow_and_stand_in_the_address(page, query, found):
    acme, other = account(), account("other.example", top_lane="rooms")
    make_person(acme, "ann@acme.example", top_categories_7d_json=["security"], last_seen_at=at(DAY))
    make_person(acme, "bob@acme.example", last_seen_at=at(DAY - timedelta(days=20)))
    make_person(other, "cid@other.example")
    shown = page(query)

    assert {name for name in ("ann", "bob", "cid") if f">{name}@" in shown} == found
    assert ("Clear" in shown) == ("ordering" not in query)


def test_an_account_whose_people_are_all_anonymous_says_how_many(page):
    account(unique_people_7d=3)

    assert "<b>3 more</b> of Acme" in page("?account=acme.example")


def test_what_was_searched_stays_in_the_box_and_the_filters_beside_it(page):
    make_person(account(), "ann@acme.example")
    shown = page("?search=nobody&range=7d")

    assert 'value="nobody"' in shown
    assert '<input type="hidden" name="range" value="7d">' in shown
    assert "Nobody matches" in shown


def test_an_empty_installation_says_how_people_become_known(page):
    assert "Nobody is known by name yet" in page()


@pytest.mark.parametrize(
    "query",
    ["?account=nobody.example", "?account=%00", "?ordering=password", "?limit=1000000000", "?search=a&search=b"],
)
def test_hostile_queries_are_refused_in_words(client, query):
    client.force_login(make_user())
    answer = client.get(f"/people{query}")

    assert answer.status_code == 400
    assert "That filter does not exist" in answer.content.decode()


def test_forty_people_take_as_many_queries_as_one(client):
    client.force_login(make_user())
    make_person(account("0.example"), "0@x.example", "id-0")
    with CaptureQueriesContext(connection) as one:
        client.get("/people")
    for number in range(1, 40):
        make_person(account(f"{number}.example"), f"{number}@x.example", f"id-{number}")
    with CaptureQueriesContext(connection) as forty:
        page = client.get("/people").content.decode()

    assert page.count("<tr>") == 41
    assert len(forty) == len(one)


def test_text_of_strangers_is_never_markup(page):
    person = {"first_name": "<script>a()</script>", "title": "<img src=x>", "top_categories_7d_json": ["<b>x"]}
    make_person(account(), "ann@acme.example", "<i>id", **person)
    shown = page()

    assert not any(raw in shown for raw in ("<script>a", "<img", "<b>x", "<i>id"))
