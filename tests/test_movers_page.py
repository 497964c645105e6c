"""What moved since the day before, above the table of Hot accounts and on a page of its own."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import DAY, make_company, make_snapshot, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client):
    client.force_login(make_user("sam"))
    return lambda address="/movers": " ".join(client.get(address).content.decode().split())


def moved(domain, before="Warm", after="Hot", days=1, **fields):
    company = make_company(domain, **fields)
    for day, stage in ((DAY - timedelta(days=days), before), (DAY, after)):
        score = {"Hot": 80, "Warm": 50, "Cold": 10}[stage]
        surge = {"surge_level": "Normal", "surge_ratio": 1.0}
        make_snapshot(company, day, intent_stage=stage, intent_score=score, **surge)
    return company


def test_each_mover_is_one_line_with_its_scores_and_its_reason(page):
    moved("up.example", name="Up")
    moved("down.example", "Hot", "Cold", name="Down")
    shown = page()

    assert "Since Fri 20 Nov" in shown
    assert shown.index("Entered Hot") < shown.index(">Up</a>") < shown.index("Left Hot") < shown.index(">Down</a>")
    assert "50 → <b>80</b>" in shown
    assert "2× Pricing" in shown


def test_only_my_accounts_and_another_day_can_be_asked_for(page):
    moved("mine.example", owner=make_user("sam2"), name="Mine")
    moved("older.example", days=3, name="Older")

    assert ">Mine</a>" not in page("/movers?owner=me")
    assert "Since Wed 18 Nov" in page(f"/movers?since={DAY - timedelta(days=3)}")
    assert ">Older</a>" in page(f"/movers?since={DAY - timedelta(days=3)}")


@pytest.mark.parametrize(
    "query", ["?since=yesterday", "?since=%00", "?owner=maya", "?since=2026-11-20&since=2026-11-19"]
)
def test_what_is_not_understood_is_refused(client, query):
    client.force_login(make_user())

    assert client.get(f"/movers{query}").status_code == 400


def test_the_first_page_has_their_place_and_a_link_for_who_has_no_script(page):
    moved("up.example")
    shown = page("/")

    assert 'hx-get="/movers"' in shown
    assert '<a href="/movers">See what moved' in shown
    assert 'hx-get="/movers"' not in page("/?stage=Hot")


def test_one_day_of_scores_has_nothing_to_compare_with(page):
    make_snapshot(make_company())

    assert "movers appear with the second day of scores" in page()


def test_forty_movers_take_as_many_queries_as_one(client):
    client.force_login(make_user())
    moved("0.example")
    with CaptureQueriesContext(connection) as one:
        client.get("/movers")
    for number in range(1, 40):
        moved(f"{number}.example")
    with CaptureQueriesContext(connection) as forty:
        page = client.get("/movers").content.decode()

    assert "and 36 more" in page
    assert len(forty) == len(one)
