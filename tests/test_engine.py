"""The engine: windows, lanes, leads and ties of one account's score. No database."""

import math
import random
from datetime import UTC, date, datetime, timedelta

import pytest

from ingestion.events import AccountDay, Cell, LeadMark
from registry.rules import RuleSet
from registry.values import Rule, ScoreParameters, Weights
from scoring.engine import Classifier, score_account

D = date(2026, 11, 21)
PARAMETERS = ScoreParameters(id="1", name="default_v1")
WEIGHTS = Weights(
    {
        ("page_view", "pricing", ""): 25,
        ("page_view", "security", ""): 18,
        ("page_view", "other", ""): 1,
        ("cta_click", "", "request_reservation"): 25,
        ("form_started", "", ""): 20,
        ("form_submitted", "", ""): 60,
    }
)
PRICING = Cell("page_view", "pricing", "office", "", "/pricing", 1)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def day_of(age: int, *cells: Cell, people: tuple[str, ...] = ()) -> AccountDay:
    day = D - timedelta(days=age)
    return AccountDay("acme.example", day, cells or (PRICING,), people, noon(day))


def lead_of(age: int, lane: str = "", hour: int = 9) -> LeadMark:
    return LeadMark(noon(D - timedelta(days=age)).replace(hour=hour), lane)


def score(days=(), leads=(), rules=(), parameters=PARAMETERS, **known):
    return score_account(list(days), list(leads), Classifier(RuleSet(rules), WEIGHTS), parameters, D, **known)


def test_spec_step_6_a_synthetic_set_of_events_gives_a_stable_score():
    days = [
        day_of(0, PRICING._replace(count=2), Cell("page_view", "security", "office", "", "/security", 1)),
        day_of(3, Cell("form_started", "", "events", "", "/request", 1)),
        day_of(8, PRICING),
        day_of(20, PRICING._replace(lane="events")),
    ]

    result = score(days)

    week = 68 + 20 * math.exp(-0.3)
    before = 25 * math.exp(-0.8)
    month = week + before + 25 * math.exp(-2.0)
    assert result.raw_score_7d == pytest.approx(week, rel=1e-14)
    assert result.raw_score_prev_7d == pytest.approx(before, rel=1e-14)
    assert result.raw_score_30d == pytest.approx(month, rel=1e-14)
    assert result.intent_score == round(100 * (1 - math.exp(-month / 80))) == 70
    assert (result.intent_stage, result.surge_level) == ("Hot", "Exploding")
    assert result.top_lane == result.top_lane_30d == "office"
    assert result.why_hot_json == ["2× Pricing", "1× Security", "1× Form Started"]


@pytest.mark.parametrize(
    ("age", "in_7d", "in_prev", "in_30d"),
    [
        (-1, 0, 0, 0), (0, 1, 0, 1), (6, 1, 0, 1), (7, 0, 1, 1),
        (13, 0, 1, 1), (14, 0, 0, 1), (29, 0, 0, 1), (30, 0, 0, 0),
    ],
    ids=lambda value: f"spec_6_3-{value}",
)  # fmt: skip
def test_windows_are_half_open_and_the_future_is_not_scored(age, in_7d, in_prev, in_30d):
    result = score([day_of(age, people=("a",))])

    found = (result.raw_score_7d > 0, result.raw_score_prev_7d > 0, result.raw_score_30d > 0)
    assert found == (bool(in_7d), bool(in_prev), bool(in_30d))
    assert result.unique_people_7d == in_7d


def test_the_same_person_on_two_days_and_two_domains_is_one_person():
    days = [
        day_of(0, people=("a", "b")),
        day_of(1, people=("b",)),
        day_of(0, people=("b", "c")),
        day_of(7, people=("z",)),
    ]

    assert score(days).unique_people_7d == 3


def test_the_order_of_the_facts_and_how_they_are_split_over_domains_changes_no_bit():
    days = [day_of(age, PRICING._replace(count=n, path=f"/{n}")) for age in range(30) for n in range(1, 6)]
    joined = [day_of(age, *(PRICING._replace(count=n, path=f"/{n}") for n in range(1, 6))) for age in range(30)]
    expected = score(joined)
    for seed in range(5):
        random.Random(seed).shuffle(days)

        assert score(days) == expected


@pytest.mark.parametrize(
    ("cells", "lane"),
    [
        ([], "other"),
        ([PRICING._replace(lane="")], "other"),
        ([PRICING._replace(lane="b"), PRICING._replace(lane="a")], "a"),
        ([PRICING._replace(lane="b", count=2), PRICING._replace(lane="a")], "b"),
        ([Cell("download", "", "zero", "", "/x", 1)], "zero"),
    ],
    ids=["none", "no_lane_said", "tie_goes_to_the_first_name", "most_points", "a_lane_of_weight_0_exists"],
)
def test_spec_6_7_the_top_lane_has_the_most_points_of_the_week(cells, lane):
    assert score([day_of(0, *cells)] if cells else []).top_lane == lane


def test_a_lane_of_three_weeks_ago_leads_the_month_and_not_the_week():
    result = score([day_of(20, PRICING._replace(lane="old", count=50)), day_of(0, PRICING._replace(lane="now"))])

    assert (result.top_lane, result.top_lane_30d) == ("now", "old")
    assert set(result.lane_scores_7d_json) == {"now"}
    assert set(result.lane_scores_30d_json) == {"now", "old"}


def test_lanes_sum_to_the_raw_score_where_every_event_has_one():
    result = score([day_of(age, PRICING._replace(lane=f"lane{age % 3}")) for age in range(30)])

    assert math.fsum(result.lane_scores_30d_json.values()) == pytest.approx(result.raw_score_30d, rel=1e-12)


def test_a_rule_fills_only_what_is_missing_and_its_override_is_the_weight():
    rules = [Rule("1", 1, "page_view", "path_prefix", "/p", "security", "vault", 7)]

    said_lane = score([day_of(0, Cell("page_view", "", "office", "", "/p", 1))], rules=rules)
    said_all = score([day_of(0, Cell("page_view", "pricing", "office", "", "/p", 1))], rules=rules)

    assert (said_lane.top_lane, said_lane.raw_score_7d) == ("office", 7)
    assert said_lane.key_events_7d_json == {"page_view:security": 1}
    assert (said_all.top_lane, said_all.raw_score_7d) == ("office", 25)


@pytest.mark.parametrize(
    ("seen", "leads", "points"),
    [(0, 1, 60), (1, 1, 60), (2, 1, 120), (1, 3, 180), (0, 0, 0)],
)
def test_a_lead_that_posthog_did_not_see_counts_and_one_it_saw_does_not_count_twice(seen, leads, points):
    days = [day_of(0, Cell("form_submitted", "", "", "", "/f", seen))] if seen else []

    assert score(days, [lead_of(0)] * leads).raw_score_7d == points


def test_of_the_leads_of_a_day_the_newest_are_the_ones_not_seen_each_with_its_own_lane():
    days = [day_of(2, Cell("form_submitted", "", "seen", "", "/f", 1))]
    leads = [lead_of(2, "early", hour=8), lead_of(2, "late", hour=17), lead_of(2, "noon", hour=12)]

    assert set(score(days, leads).lane_scores_7d_json) == {"seen", "late", "noon"}


def test_a_lead_counts_for_last_seen_and_not_for_people():
    result = score([], [lead_of(3)])

    assert (result.last_seen_at, result.unique_people_7d) == (lead_of(3).submitted_at, 0)


def test_a_lead_of_tomorrow_or_of_30_days_ago_is_not_scored():
    assert score([], [lead_of(-1), lead_of(30)]).raw_score_30d == 0


def test_steady_traffic_reads_surging_by_default_and_normal_when_the_previous_week_is_rebased():
    days = [day_of(age, PRICING) for age in range(30)]

    plain = score(days)
    rebased = score(days, parameters=ScoreParameters(id="1", name="x", surge_rebase_prev=True))

    assert 1.9 < plain.surge_ratio < math.exp(0.7)
    assert plain.surge_level == "Surging"
    assert (rebased.surge_ratio, rebased.surge_level) == (1.0, "Normal")


@pytest.mark.parametrize(
    ("oldest", "known", "new"),
    [(13, None, True), (14, None, False), (0, D - timedelta(days=100), False), (0, None, True)],
)
def test_an_account_is_new_when_first_seen_fewer_than_14_days_ago(oldest, known, new):
    assert score([day_of(0), day_of(oldest)], first_seen=known).is_new is new


def test_an_account_never_seen_is_not_new():
    assert score().is_new is False


def test_a_silent_account_scores_0_and_is_cold():
    result = score([day_of(30)])

    assert (result.raw_score_30d, result.intent_score, result.intent_stage) == (0, 0, "Cold")
    assert (result.surge_ratio, result.surge_level, result.top_lane) == (1.0, "Normal", "other")


def test_categories_pages_and_reasons_are_of_the_last_7_days():
    days = [
        day_of(0, PRICING._replace(count=3), Cell("cta_click", "", "", "request_reservation", "/pricing", 1)),
        day_of(7, Cell("page_view", "security", "", "", "/security", 9)),
    ]

    result = score(days)

    assert result.top_categories_7d_json == {
        "pricing": {"count": 3, "score": 75.0},
        "request_reservation": {"count": 1, "score": 25.0},
    }
    assert result.top_pages_7d_json == {"/pricing": 3}
    assert result.why_hot_json == ["3× Pricing", "1× Reservation Click"]


def test_what_no_rule_and_no_weight_knew_is_counted_for_the_operators():
    classifier = Classifier(RuleSet([]), WEIGHTS)
    days = [day_of(0, Cell("page_view", "", "", "", "/new", 4), Cell("download", "", "", "", "/x", 2))]

    score_account(days, [], classifier, PARAMETERS, D)

    assert classifier.unmatched == {"/new": 4}
    assert classifier.unweighed == {"download": 2}
