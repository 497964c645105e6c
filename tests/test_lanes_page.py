"""Lanes: a card for each, and the accounts of the one that was chosen."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import DAY, make_company, make_snapshot, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client):
    client.force_login(make_user())
    return lambda query="": " ".join(client.get(f"/lanes{query}").content.decode().split())


def account(domain, lane="private_office", **fields):
    company = make_company(domain)
    make_snapshot(
        company, **{"top_lane": lane, "top_lane_30d": lane, "intent_score": 80, "intent_stage": "Hot"} | fields
    )
    return company


def test_a_card_says_how_hot_its_lane_is_and_the_hottest_comes_first(page):
    for number in range(3):
        account(f"a{number}.example")
    cold = account("b.example", "meeting_rooms", intent_stage="Cold", intent_score=10, surge_level="Exploding")
    make_snapshot(cold, DAY - timedelta(days=7), top_lane="meeting_rooms", intent_stage="Hot")
    shown = page()

    assert shown.index("private office") < shown.index("meeting rooms")
    assert "<b>3</b> hot" in shown
    assert "<dt>Exploding</dt><dd>1</dd>" in shown
    assert "Hot accounts over 30 days" in shown
    assert "Choose a lane to see its accounts." in shown


def test_choosing_a_lane_lists_its_accounts_as_many_as_the_card_says(page):
    account("a.example")
    account("b.example")
    account("c.example", "meeting_rooms")
    shown = page("?lane=private_office")

    assert 'href="/accounts/a.example"' in shown
    assert 'href="/accounts/c.example"' not in shown
    assert '2<span class="hidden"> accounts</span>' in shown
    assert "2 accounts</span>" in shown
    assert 'href="/accounts.csv?lane=private_office"' in shown


def test_the_range_says_which_top_lane_is_meant(page):
    account("a.example", top_lane="desks", top_lane_30d="rooms")

    assert ">desks</a>" in page()
    assert ">rooms</a>" in page("?range=30d")


def test_a_lane_that_nobody_looks_at_says_so(page):
    account("a.example")

    assert "No account in this lane" in page("?lane=nothing")


def test_an_empty_installation_says_where_lanes_come_from(page):
    assert "No lanes yet" in page()


@pytest.mark.parametrize("query", ["?lane=a%20b", "?lane=", "?range=1d", "?lane=a&lane=b", "?page=0", "?lane=%00"])
def test_hostile_queries_are_refused_or_mean_nothing(client, query):
    client.force_login(make_user())

    assert client.get(f"/lanes{query}").status_code == (200 if query == "?lane=" else 400)


@pytest.mark.parametrize("query", ["", "?lane=lane-0"])
def test_forty_lanes_and_rows_take_as_many_queries_as_one(client, query):
    client.force_login(make_user())
    account("0.example", "lane-0")
    with CaptureQueriesContext(connection) as one:
        client.get(f"/lanes{query}")
    for number in range(1, 40):
        account(f"{number}.example", f"lane-{number % 20}")
    with CaptureQueriesContext(connection) as forty:
        client.get(f"/lanes{query}")

    assert len(forty) == len(one)
