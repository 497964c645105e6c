"""The formulas of the specification, every boundary from both sides. No database."""

import math

import pytest

from registry.values import ScoreParameters, SurgeLevel, Weights
from scoring.decay import decay, half_life
from scoring.normalize import intent_score
from scoring.stage import intent_stage
from scoring.surge import surge_level, surge_ratio
from scoring.weights import weigh
from scoring.why_hot import key_events, why_hot

DEFAULTS = ScoreParameters(id="1", name="default_v1")


@pytest.mark.parametrize(
    ("age", "rate", "left"),
    [(0, 0.10, 1.0), (1, 0.10, 0.9048374180359595), (7, 0.10, 0.4965853037914095), (29, 0.10, 0.05502322005640723),
     (10, 0.0, 1.0), (10, 1.0, 4.5399929762484854e-05)],
    ids=lambda value: f"spec_6_2-{value}",
)  # fmt: skip
def test_a_point_decays_exponentially_with_its_age(age, rate, left):
    assert decay(age, rate) == pytest.approx(left, rel=1e-15)


def test_spec_6_2_the_default_half_life_is_6_93_days():
    assert half_life(0.10) == pytest.approx(6.93, abs=0.005)
    assert half_life(0) is None


@pytest.mark.parametrize(
    ("raw", "k", "score"),
    [(0, 80, 0), (0.1, 80, 0), (0.5, 80, 1), (80, 80, 63), (10_000, 80, 100), (1, 1, 63), (96, 80, 70), (95, 80, 70),
     (94, 80, 69)],
    ids=lambda value: f"spec_6_4-{value}",
)  # fmt: skip
def test_the_score_is_normalised_to_100(raw, k, score):
    assert intent_score(raw, k) == score


def test_spec_6_4_a_half_rounds_away_from_zero_where_python_would_round_to_even():
    raw = -math.log(1 - 0.125) * 8
    exact = 100 * (1 - math.exp(-raw / 8))
    assert (exact, round(exact)) == (12.5, 12)

    assert intent_score(raw, 8) == 13


@pytest.mark.parametrize(
    ("score", "stage"),
    [(0, "Cold"), (34, "Cold"), (35, "Warm"), (69, "Warm"), (70, "Hot"), (100, "Hot")],
    ids=lambda value: f"spec_6_5-{value}",
)
def test_the_stage_changes_just_above_its_threshold(score, stage):
    assert intent_stage(score, 34, 69) == stage


@pytest.mark.parametrize(
    ("cold_max", "warm_max", "score", "stage"),
    [(10, 20, 10, "Cold"), (10, 20, 11, "Warm"), (10, 20, 20, "Warm"), (10, 20, 21, "Hot")],
    ids=lambda value: f"spec_6_5-{value}",
)
def test_the_thresholds_come_from_the_config(cold_max, warm_max, score, stage):
    assert intent_stage(score, cold_max, warm_max) == stage


@pytest.mark.parametrize(
    ("week", "week_before", "ratio"),
    [(0, 0, 1.0), (5, 0, 2.0), (0, 5, 0.5), (7.5, 0, 2.5)],
    ids=lambda value: f"spec_6_6-{value}",
)
def test_the_surge_ratio_compares_two_weeks(week, week_before, ratio):
    assert surge_ratio(week, week_before, 5) == ratio


@pytest.mark.parametrize(
    ("ratio", "level"),
    [
        (0.0, "Normal"), (math.nextafter(1.5, 0), "Normal"), (1.5, "Surging"), (2.5, "Surging"),
        (math.nextafter(2.5, 3), "Exploding"), (100.0, "Exploding"),
    ],
    ids=lambda value: f"spec_6_6-{value}",
)  # fmt: skip
def test_the_surge_level_includes_both_its_bounds_in_surging(ratio, level):
    assert surge_level(ratio, 50, DEFAULTS) == level


@pytest.mark.parametrize(("raw_7d", "level"), [(9.99, SurgeLevel.NORMAL), (10.0, SurgeLevel.EXPLODING)])
def test_below_a_minimum_of_points_nothing_surges(raw_7d, level):
    assert surge_level(3.0, raw_7d, ScoreParameters(id="1", name="x", surge_min_raw_7d=10)) == level


ALL_LEVELS = {
    ("cta_click", "pricing", "buy"): 5,
    ("cta_click", "", "buy"): 4,
    ("cta_click", "pricing", ""): 3,
    ("cta_click", "", ""): 2,
    ("page_view", "other", ""): 1,
}


@pytest.mark.parametrize(
    ("event", "content_type", "cta_id", "missing", "weight", "source"),
    [
        ("cta_click", "pricing", "buy", 0, 5, "cta_click + pricing + buy"),
        ("cta_click", "pricing", "buy", 1, 4, "cta_click + buy"),
        ("cta_click", "pricing", "buy", 2, 3, "cta_click + pricing"),
        ("cta_click", "pricing", "buy", 3, 2, "cta_click"),
        ("cta_click", "pricing", "buy", 4, 0, "no weight"),
        ("page_view", "never_heard_of", "", 0, 1, "page_view + other"),
        ("page_view", "", "", 0, 1, "page_view + other"),
        ("page_view", "", "", 5, 0, "no weight"),
        ("download", "other", "", 0, 0, "no weight"),
        ("cta_click", "", "", 0, 2, "cta_click"),
    ],
)
def test_spec_6_1_the_most_specific_weight_wins(event, content_type, cta_id, missing, weight, source):
    weights = Weights(dict(list(ALL_LEVELS.items())[missing:]))

    assert weigh(weights, event, content_type, cta_id) == (weight, source)


def test_an_override_beats_every_weight_even_when_it_is_0():
    assert weigh(Weights(ALL_LEVELS), "cta_click", "pricing", "buy", 0) == (0, "rule override")


@pytest.mark.parametrize(
    ("counts", "reasons"),
    [
        ({}, []),
        ({("page_view", "blog"): 9}, []),
        (
            {("page_view", "pricing"): 2, ("page_view", "security"): 1, ("form_started", "form_started"): 1},
            ["2× Pricing", "1× Security", "1× Form Started"],
        ),
        (
            {
                ("cta_click", "request_reservation"): 3, ("page_view", "request_reservation"): 3,
                ("page_view", "pricing"): 1, ("form_submitted", "form_submitted"): 1, ("page_view", "integrations"): 1,
            },
            ["3× Reservation Page", "3× Reservation Click", "1× Pricing"],
        ),
        ({("cta_click", "contact_sales"): 5, ("page_view", "integrations"): 1}, ["1× Integrations"]),
    ],
    ids=lambda value: f"spec_6_8-{len(value)}",
)  # fmt: skip
def test_the_reasons_are_the_three_commonest_in_the_specs_order(counts, reasons):
    assert why_hot(counts) == reasons


def test_spec_6_8_the_counts_of_the_seven_kinds_are_kept():
    counts = {("page_view", "pricing"): 2, ("page_view", "blog"): 4, ("form_started", "form_started"): 1}

    assert key_events(counts) == {"page_view:pricing": 2, "form_started": 1}
