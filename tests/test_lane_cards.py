"""Service lane intent: a card counts what the list shows, and says how it stood seven days before."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from abm_project.dashboards import AccountFilter, hot_accounts, lane_cards
from accounts.resolution import merge
from tests.factories import DAY, make_company, make_snapshot

pytestmark = pytest.mark.django_db
WEEK_AGO = DAY - timedelta(days=7)


def account(domain, score=50, day=DAY, **fields):
    company = make_company(domain, **{name: fields.pop(name) for name in ("suppressed_as",) if name in fields})
    make_snapshot(company, day, intent_score=score, **fields)
    return company


def hot(domain, **fields):
    return account(domain, 90, intent_stage="Hot", **fields)


def cards(range="7d"):
    return {card.lane: card for card in lane_cards(range).cards}


def test_a_card_counts_the_stages_surges_and_the_average_of_scores_above_0():
    hot("a.example", surge_level="Exploding")
    hot("b.example", surge_level="Surging")
    account("c.example", 0, surge_level="Normal")
    account("d.example", 30, surge_level="Normal", top_lane="desks")

    office, desks = cards()["office"], cards()["desks"]
    assert (office.accounts, office.hot, office.surging, office.exploding) == (3, 2, 1, 1)
    assert office.average_score == 90.0
    assert (desks.accounts, desks.hot, desks.average_score) == (1, 0, 30.0)


@pytest.mark.parametrize("range", ["7d", "30d"])
def test_cards_equal_counts_over_the_list(range):
    for number in range_of_accounts():
        account(f"{number}.example", **number_fields(number))
    account("rival.example", suppressed_as="competitor")
    merge(account("merged.example"), account("kept.example", top_lane="rooms", top_lane_30d="desks"))

    found = cards(range)
    assert sum(card.accounts for card in found.values()) == hot_accounts(AccountFilter(range=range)).count
    for lane, card in found.items():
        counted = {
            "accounts": {},
            "hot": {"stage": "Hot"},
            "surging": {"surge": "Surging"},
            "exploding": {"surge": "Exploding"},
        }
        for name, chosen in counted.items():
            assert getattr(card, name) == hot_accounts(AccountFilter(range=range, lane=lane, **chosen)).count
        rows = hot_accounts(AccountFilter(range=range, lane=lane), limit=200).rows
        above = [row.intent_score for row in rows if row.intent_score]
        assert card.average_score == (pytest.approx(sum(above) / len(above)) if above else None)


def range_of_accounts():
    return range(24)


def number_fields(number):
    lanes = ("office", "desks", "rooms")
    return {
        "score": number * 4 if number % 5 else 0,
        "intent_stage": ("Hot", "Warm", "Cold")[number % 3],
        "surge_level": ("Exploding", "Surging", "Normal", "Normal")[number % 4],
        "top_lane": lanes[number % 3],
        "top_lane_30d": lanes[number % 2],
    }


def test_the_trend_is_how_many_more_are_hot_than_in_the_snapshots_of_seven_days_before():
    for number in range(3):
        company = hot(f"{number}.example")
        make_snapshot(company, WEEK_AGO, intent_score=20, intent_stage="Hot" if number == 0 else "Cold")
    make_snapshot(account("elsewhere.example"), WEEK_AGO, top_lane="desks", intent_stage="Hot")

    card, found = cards()["office"], lane_cards()
    assert (found.through, found.before) == (DAY, WEEK_AGO)
    assert (card.hot, card.hot_before, card.hot_change) == (3, 1, 2)
    assert card.average_score_before == 20.0
    assert card.average_change == pytest.approx((3 * 90 + 50) / 4 - 20)
    assert card.hot_trend == (*[None] * 22, 1, *[None] * 6, 3)


def test_without_a_snapshot_of_that_day_there_is_no_trend():
    hot("a.example")

    card = cards()["office"]
    assert (card.hot_before, card.hot_change, card.average_score_before, card.average_change) == (None,) * 4
    assert lane_cards().before is None


def test_a_lane_that_had_no_hot_account_had_none_not_an_unknown_number():
    make_snapshot(hot("a.example"), WEEK_AGO, top_lane="desks")

    assert cards()["office"].hot_change == 1


def test_the_hottest_lane_comes_first():
    account("c.example", 60, top_lane="c")
    hot("b.example", top_lane="b")
    hot("a.example", top_lane="a", surge_level="Exploding")
    account("d.example", 10, top_lane="d")

    assert [card.lane for card in lane_cards().cards] == ["a", "b", "c", "d"]


def test_an_empty_installation_has_no_cards():
    assert lane_cards() == lane_cards("30d")
    assert lane_cards().cards == ()


def test_forty_lanes_take_as_many_queries_as_one():
    account("0.example", top_lane="0")
    with CaptureQueriesContext(connection) as one:
        lane_cards()
    for number in range(1, 40):
        account(f"{number}.example", top_lane=str(number))
    with CaptureQueriesContext(connection) as forty:
        assert len(lane_cards().cards) == 40

    assert len(forty) == len(one) == 5
