"""The tables of docs/scoring.md, computed by the real engine.

The example's inputs are read from the document too: change one there, and its results must follow.
"""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.events import AccountDay, Cell, LeadMark
from ingestion.lead_score import FULL, SAID
from registry.models import ScoreConfig
from registry.rules import RuleSet
from registry.seeds import LEAD_WEIGHTS, RULES, WEIGHTS
from registry.values import Rule, ScoreParameters, Weights
from scoring.decay import decay, half_life
from scoring.engine import AccountScore, Classifier, score_account
from scoring.explain import bridge, contributions
from scoring.normalize import intent_score
from scoring.stage import intent_stage
from tests.markdown import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scoring.md"
AS_OF = date(2026, 11, 21)
DEFAULTS = ScoreParameters(id="", name="default_v1")


def seeded_classifier() -> Classifier:
    rules = [
        Rule(name, 1000 + 10 * position, event, match_type, pattern, content_type, lane)
        for position, (name, event, match_type, pattern, content_type, lane) in enumerate(RULES)
    ]
    return Classifier(RuleSet(rules), Weights(WEIGHTS))


def rows(heading: str) -> list[dict[str, str]]:
    return table(PAGE, heading)


def example(previous_week: int = 1) -> tuple[list[AccountDay], list[LeadMark]]:
    """The example's account; the activity of the week before counted so many times."""
    by_day: dict[date, list[dict[str, str]]] = {}
    for row in rows("What happened"):
        by_day.setdefault(date.fromisoformat(row["day"]), []).append(row)
    days = []
    for day, of_day in by_day.items():
        times = previous_week if 7 <= (AS_OF - day).days < 14 else 1
        cells = tuple(
            Cell(row["event"], row["content type"], row["lane"], row["cta id"], row["path"], int(row["count"]) * times)
            for row in of_day
            if times
        )
        people = tuple(sorted({name for row in of_day for name in row["people"].split(", ")}))
        days.append(AccountDay("acme.example", day, cells, people, noon(day)))
    leads = [
        LeadMark(datetime.fromisoformat(row["submitted at"]).replace(tzinfo=UTC), row["lane"])
        for row in rows("The lead requests")
    ]
    return days, leads


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), tzinfo=UTC)


def score_points(points_by_age: dict[int, int], **parameters: Any) -> AccountScore:
    """An account with so many undecayed points at these ages: pages of the content type `other`, one point each."""
    days = [
        AccountDay("x.example", day, (Cell("page_view", "other", "", "", "/", points),), (), noon(day))
        for age, points in points_by_age.items()
        for day in [AS_OF - timedelta(days=age)]
    ]
    return score_account(days, [], seeded_classifier(), replace(DEFAULTS, **parameters), AS_OF)


def number(value: float, like: str) -> str:
    """The value written with as many decimals as the document shows, and a minus sign as it is printed."""
    return f"{value:.{len(like.partition('.')[2])}f}".replace("-", "−")


def test_the_example_contributions_are_those_of_explain() -> None:
    lines = contributions(*example(), seeded_classifier(), DEFAULTS.lambda_decay, AS_OF)

    computed = [
        {
            "day": str(line.date),
            "age": str(line.age),
            "event": line.event,
            "category": line.category,
            "lane": line.lane,
            "count × weight": f"{line.count} × {line.weight}",
            "decay": f"{line.decay:.4f}",
            "points": f"{line.points:.4f}",
            "weight from": line.weight_source,
        }
        for line in lines
    ]

    assert rows("What each event counts") == computed


def test_the_example_result_is_that_of_the_engine() -> None:
    score = score_account(*example(), seeded_classifier(), DEFAULTS, AS_OF)
    stated = {row["column"]: row["value"] for row in rows("The snapshot")}

    for name, text in stated.items():
        assert as_written(getattr(score, name), text) == text, name
    left_out = {field.name for field in fields(AccountScore)} - set(stated)
    assert left_out == {"last_seen_at"}  # the document says the rest, so a new column must be added there


def as_written(value: object, like: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, like)
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{name or '–'} {_cell(amount)}" for name, amount in value.items())
    return str(value)


def _cell(amount: object) -> str:
    if isinstance(amount, dict):
        return f"{amount['count']}× {amount['score']:.4f}"
    return f"{amount:.4f}" if isinstance(amount, float) else f"{amount}×"


def test_the_week_before_does_to_surge_what_the_document_says() -> None:
    computed = []
    for row in (stated := rows("The week before")):
        days, leads = example(previous_week=int(row["previous week"].removeprefix("× ")))
        plain = score_account(days, leads, seeded_classifier(), DEFAULTS, AS_OF)
        rebased = score_account(days, leads, seeded_classifier(), replace(DEFAULTS, surge_rebase_prev=True), AS_OF)
        raw_prev = {"raw_score_prev_7d": f"{plain.raw_score_prev_7d:.4f}"}
        computed.append({"previous week": row["previous week"]} | raw_prev | surges(plain, rebased))

    assert stated == computed


def surges(plain: AccountScore, rebased: AccountScore) -> dict[str, str]:
    return {
        "surge_ratio": f"{plain.surge_ratio:.2f}",
        "surge_level": str(plain.surge_level),
        "ratio, rebased": f"{rebased.surge_ratio:.2f}",
        "level, rebased": str(rebased.surge_level),
    }


def test_the_bridge_from_the_day_before_adds_up_as_the_document_says() -> None:
    days, leads = example()
    made_with = (seeded_classifier(), DEFAULTS)
    the_day_before = AS_OF - timedelta(days=1)
    previous = score_account(days, leads, *made_with, the_day_before)
    step = bridge(the_day_before, previous.raw_score_30d, days, leads, made_with, made_with, AS_OF)
    now = score_account(days, leads, *made_with, AS_OF)

    for row in rows("The bridge"):
        assert number(getattr(step, row["part"]), row["points"]) == row["points"], row["part"]
    parts = [step.restated, step.rules_changed, step.aged_out, step.decayed, step.new]
    assert math.fsum([step.previous_raw, *parts]) == pytest.approx(now.raw_score_30d, abs=1e-9)


def test_steady_traffic_reads_as_the_document_says() -> None:
    computed = []
    for row in (stated := rows("Steady traffic")):
        every_day = dict.fromkeys(range(30), int(row["points a day"].replace(",", "")))
        plain, rebased = score_points(every_day), score_points(every_day, surge_rebase_prev=True)
        computed.append({"points a day": row["points a day"]} | surges(plain, rebased))

    assert stated == computed


def test_a_first_visit_reads_as_the_document_says() -> None:
    computed = []
    for row in (stated := rows("A first visit")):
        visit = {int(row["age"]): int(row["points"])}
        plain, quieter = score_points(visit), score_points(visit, surge_min_raw_7d=20.0)
        computed.append(
            {
                "points": row["points"],
                "age": row["age"],
                "surge_ratio": f"{plain.surge_ratio:.2f}",
                "surge_level": str(plain.surge_level),
                "level with surge_min_raw_7d = 20": str(quieter.surge_level),
                "New": "yes" if plain.is_new else "no",
            }
        )

    assert stated == computed


def test_the_marks_of_surge_follow_from_the_default_config() -> None:
    """Solved by hand from (r7 + s) / (p7 + s): where steady and first visits cross each threshold."""
    s, surging, exploding = DEFAULTS.surge_smoothing, DEFAULTS.surge_surging_min, DEFAULTS.surge_exploding_min
    limit = 1 / decay(7, DEFAULTS.lambda_decay)
    week = math.fsum(decay(age, DEFAULTS.lambda_decay) for age in range(7))
    marks = {
        "steady traffic tends to the ratio e^(7 × λ)": limit,
        "steady traffic reads Surging from, points a day": s * (surging - 1) / (week * (1 - surging / limit)),
        "a first visit reads Surging from, points": s * (surging - 1),
        "a first visit reads Exploding above, points": s * (exploding - 1),
    }

    stated = {row["mark"]: row["value"] for row in rows("The marks")}

    assert stated == {name: number(value, stated[name]) for name, value in marks.items()}


def test_a_half_life_is_what_the_document_says() -> None:
    computed = []
    for row in (stated := rows("Half-life")):
        days = half_life(float(row["λ"]))
        left = {age: f"{100 * decay(age, float(row['λ'])):.1f}" for age in (1, 7, 29)}
        computed.append(
            {
                "λ": row["λ"],
                "half-life, days": "never" if days is None else f"{days:.2f}",
                "of 100 points after 1 day": left[1],
                "of 100 points after 7 days": left[7],
                "of 100 points after 29 days": left[29],
            }
        )

    assert stated == computed


def test_an_event_of_an_age_is_in_the_windows_the_document_says() -> None:
    computed = []
    for row in (stated := rows("Windows")):
        score = score_points({int(row["age"]): 10})
        found = {"7d": score.raw_score_7d, "previous 7d": score.raw_score_prev_7d, "30d": score.raw_score_30d}
        computed.append({"age": row["age"]} | {window: "yes" if raw else "no" for window, raw in found.items()})

    assert stated == computed


def test_halves_round_away_from_zero_where_python_would_not() -> None:
    computed = []
    for row in (stated := rows("Rounding")):
        exact = 100 * (1 - math.exp(-float(row["raw_30d"]) / DEFAULTS.normalize_k))
        ours, pythons = intent_score(float(row["raw_30d"]), DEFAULTS.normalize_k), round(exact)
        computed.append(
            {
                "raw_30d": row["raw_30d"],
                "before rounding": repr(exact),
                "intent_score": str(ours),
                "stage": stage(ours),
                "Python's round": str(pythons),
                "its stage": stage(pythons),
            }
        )

    assert stated == computed


def stage(score: int) -> str:
    return intent_stage(score, DEFAULTS.cold_max, DEFAULTS.warm_max)


def test_the_config_numbers_are_the_defaults_of_a_score_config() -> None:
    stated = {row["column"]: row["default"] for row in rows("The numbers of a config")}
    columns = {field.name for field in fields(ScoreParameters)} - {"id", "name"}

    assert set(stated) == columns
    for name, text in stated.items():
        default = ScoreConfig._meta.get_field(name).default
        assert default == getattr(DEFAULTS, name) or float(default) == getattr(DEFAULTS, name)
        assert float(text) == float(default), name


def test_the_weights_are_those_that_are_seeded() -> None:
    stated = {
        (row["event"], row["content type"], row["cta id"]): int(row["weight"]) for row in rows("The seeded weights")
    }

    assert stated == WEIGHTS


def test_the_order_of_facts_and_leads_changes_nothing_to_the_last_bit() -> None:
    days, leads = example()

    def backwards(items: Sequence[Any]) -> list[Any]:
        return list(reversed(items))

    turned = [replace(day, cells=tuple(backwards(day.cells))) for day in backwards(days)]
    there = score_account(days, leads, seeded_classifier(), DEFAULTS, AS_OF)
    back = score_account(turned, backwards(leads), seeded_classifier(), DEFAULTS, AS_OF)

    assert there == back


# --- The lead score ---------------------------------------------------------------------------------------------------
def test_the_points_of_a_lead_are_the_seeded_ones_and_reach_beyond_its_end() -> None:
    stated = {(row["criterion"], row["value"], ""): int(row["points"]) for row in rows("The points of a lead")}

    assert stated == LEAD_WEIGHTS
    assert sum(stated.values()) - 25 - 15 >= FULL  # a lead has one request type
    assert {criterion for criterion, _, _ in stated} == {"company_known", "request_type", *SAID}
