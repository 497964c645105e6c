"""The ledger: contributions sum to the raw score, and the bridge leads from one score to the next. No database."""

import math
import random
from datetime import date, timedelta

import pytest

from ingestion.events import Cell
from registry.rules import RuleSet
from registry.values import Rule, ScoreParameters, Weights
from scoring.engine import Classifier, score_account
from scoring.explain import bridge, by_category, contributions, total
from tests.test_engine import PARAMETERS, PRICING, WEIGHTS, D, day_of, lead_of

PARTS = ("previous_raw", "restated", "rules_changed", "aged_out", "decayed", "new")


def classifier(weights: Weights = WEIGHTS, rules: tuple[Rule, ...] = ()) -> Classifier:
    return Classifier(RuleSet(rules), weights)


def random_days(seed: int):
    pick = random.Random(seed)
    events = [
        ("page_view", "pricing", ""),
        ("page_view", "", ""),
        ("cta_click", "", "request_reservation"),
        ("x", "", ""),
    ]
    for age in range(-2, 40):
        cells = []
        for _ in range(pick.randint(0, 4)):
            event, content_type, cta = pick.choice(events)
            path = f"/{pick.randint(0, 9)}"
            cells.append(Cell(event, content_type, pick.choice(["", "a", "b"]), cta, path, pick.randint(1, 9)))
        if cells:
            yield day_of(age, *cells)


@pytest.mark.parametrize("seed", range(20))
def test_the_contributions_sum_to_the_raw_score(seed):
    days, leads = list(random_days(seed)), [lead_of(age % 30) for age in range(seed)]

    lines = contributions(days, leads, classifier(), PARAMETERS.lambda_decay, D)

    score = score_account(days, leads, classifier(), PARAMETERS, D)
    assert total(lines) == pytest.approx(score.raw_score_30d, abs=1e-9)
    assert math.fsum(line.points for line in by_category(lines)) == pytest.approx(score.raw_score_30d, abs=1e-9)
    assert all(line.points == line.count * line.weight * line.decay for line in lines)


def test_a_contribution_says_which_rule_and_which_weight_gave_it():
    rules = (Rule("1", 1, "page_view", "path_prefix", "/price", "pricing", "office"),)

    [line] = contributions(
        [day_of(2, Cell("page_view", "", "", "", "/prices", 3))],
        [],
        classifier(rules=rules),
        PARAMETERS.lambda_decay,
        D,
    )

    assert (line.age, line.count, line.weight, line.category, line.lane) == (2, 3, 25, "pricing", "office")
    assert (line.weight_source, line.rule) == ("page_view + pricing", "/price")


def test_the_shares_of_the_categories_sum_to_1_and_are_0_of_nothing():
    lines = contributions(list(random_days(3)), [], classifier(), PARAMETERS.lambda_decay, D)
    nothing = contributions([day_of(0, Cell("x", "", "", "", "/", 1))], [], classifier(), 0.1, D)

    assert math.fsum(line.share for line in by_category(lines)) == pytest.approx(1)
    assert [line.share for line in by_category(nothing)] == [0.0]


def bridge_between(first: date, last: date, days, old=None, new=None, stored=None):
    old = old or (classifier(), PARAMETERS)
    new = new or (classifier(), PARAMETERS)
    before = score_account(days, [], *old, first).raw_score_30d
    found = bridge(first, before if stored is None else stored, days, [], old, new, last)
    after = score_account(days, [], *new, last).raw_score_30d
    assert math.fsum(getattr(found, part) for part in PARTS) == pytest.approx(found.raw, abs=1e-9)
    assert found.raw == pytest.approx(after, abs=1e-9)
    return found


@pytest.mark.parametrize("gap", [1, 7, 29, 30, 31])
@pytest.mark.parametrize("seed", range(5))
def test_the_bridge_adds_up_over_any_gap(seed, gap):
    found = bridge_between(D - timedelta(days=gap), D, list(random_days(seed)))

    assert found.restated == pytest.approx(0, abs=1e-9)
    assert found.rules_changed == 0


def test_a_day_that_leaves_the_window_is_aged_out_and_the_others_decayed():
    found = bridge_between(D - timedelta(days=1), D, [day_of(30), day_of(5), day_of(0)])

    assert found.aged_out == pytest.approx(-25 * math.exp(-2.9))
    assert found.decayed == pytest.approx(25 * (math.exp(-0.5) - math.exp(-0.4)))
    assert found.new == 25


def test_a_change_of_weights_is_told_apart_from_new_events():
    doubled = Weights({key: 2 * weight for key, weight in WEIGHTS.points.items()})

    found = bridge_between(D - timedelta(days=1), D, [day_of(1), day_of(0)], new=(classifier(doubled), PARAMETERS))

    assert (found.rules_changed, found.new) == (25, 50)


def test_a_change_of_decay_counts_as_a_change_of_rules():
    slower = ScoreParameters(id="2", name="slow", lambda_decay=0.0)

    found = bridge_between(D - timedelta(days=1), D, [day_of(11)], new=(classifier(), slower))

    assert found.rules_changed == pytest.approx(25 - 25 * math.exp(-1))
    assert found.decayed == 0


def test_facts_that_changed_since_the_snapshot_are_called_restated():
    found = bridge_between(D - timedelta(days=1), D, [day_of(1, PRICING._replace(count=3))], stored=50.0)

    assert found.restated == 25
