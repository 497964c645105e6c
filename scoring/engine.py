"""The score of one account on one day: a pure function of its facts, its lead requests and the registry (spec 6).

Points are integers (weight × count) summed per day and lane; each day's sum is multiplied by its decay once and the
days are added with `math.fsum`. So the result does not depend on the order of the facts, on the database, or on how
many domains the account's activity came in under: run twice, the same to the last bit.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from ingestion.events import AccountDay, Cell, LeadMark
from registry.rules import RuleSet
from registry.values import IntentStage, Rule, ScoreParameters, SurgeLevel, Weights
from scoring.decay import decay
from scoring.normalize import intent_score
from scoring.stage import intent_stage
from scoring.surge import surge_level, surge_ratio
from scoring.weights import NO_WEIGHT, PAGE_VIEW, weigh
from scoring.why_hot import key_events, why_hot

WEEK, MONTH = 7, 30  # the windows' lengths are in the columns' names
KEPT = 10  # categories and pages a snapshot keeps
NOTED = 10_000  # distinct unmatched paths a run keeps count of
NO_LANE = "other"
FORM_SUBMITTED = "form_submitted"


class Weighed(NamedTuple):
    """What one event of a cell counts as."""

    content_type: str
    lane: str
    category: str
    weight: int
    weight_source: str
    rule: Rule | None
    noted: bool  # no weight, or a page no rule knew: the operators want to hear of it


class Classifier:
    """Rules and weights over cells, each distinct cell decided once.

    `unmatched` and `unweighed` collect, for the operators, page views no rule knew and events no weight knew.
    """

    def __init__(self, rules: RuleSet, weights: Weights) -> None:
        self.rules, self.weights = rules, weights
        self.unmatched: Counter[str] = Counter()
        self.unweighed: Counter[str] = Counter()
        self._decided: dict[tuple[str, str, str, str, str], Weighed] = {}

    def weigh(self, cell: Cell) -> Weighed:
        key = cell[:5]
        decided = self._decided.get(key)
        if decided is None:
            if len(self._decided) >= 200_000:  # bounds memory over millions of distinct paths
                self._decided.clear()
            decided = self._decided[key] = self._decide(cell)
        if decided.noted:
            if decided.weight_source == NO_WEIGHT:
                note(self.unweighed, cell.event, cell.count)
            if is_unmatched(cell, decided.rule):
                note(self.unmatched, cell.path, cell.count)
        return decided

    def _decide(self, cell: Cell) -> Weighed:
        found = self.rules.classify(cell.event, cell.path, cell.content_type, cell.lane)
        weight, source = weigh(self.weights, cell.event, found.content_type, cell.cta_id, found.weight_override)
        category = category_of(cell.event, found.content_type, cell.cta_id)
        noted = source == NO_WEIGHT or is_unmatched(cell, found.rule)
        return Weighed(found.content_type, found.lane, category, weight, source, found.rule, noted)


def is_unmatched(cell: Cell, rule: Rule | None) -> bool:
    return cell.event == PAGE_VIEW and rule is None and not cell.content_type


def note(tally: Counter[str], what: str, count: int) -> None:
    """Count for the operators, without letting a million distinct paths fill the memory."""
    if what in tally or len(tally) < NOTED:
        tally[what] += count


def category_of(event: str, content_type: str, cta_id: str) -> str:
    """The content type of a page view, else the cta of a click, else the event's name."""
    if event == PAGE_VIEW:
        return content_type or NO_LANE
    return cta_id or event


@dataclass(frozen=True, slots=True)
class AccountScore:
    """One snapshot's values; the fields are the columns of `daily_account_intent`."""

    raw_score_7d: float
    raw_score_prev_7d: float
    raw_score_30d: float
    intent_score: int
    intent_stage: IntentStage
    surge_ratio: float
    surge_level: SurgeLevel
    unique_people_7d: int
    top_lane: str
    top_lane_30d: str
    is_new: bool
    last_seen_at: datetime | None
    lane_scores_7d_json: dict[str, float] = field(default_factory=dict)
    lane_scores_30d_json: dict[str, float] = field(default_factory=dict)
    top_categories_7d_json: dict[str, dict[str, float]] = field(default_factory=dict)
    top_pages_7d_json: dict[str, int] = field(default_factory=dict)
    key_events_7d_json: dict[str, int] = field(default_factory=dict)
    why_hot_json: list[str] = field(default_factory=list)


def cells_between(
    days: Iterable[AccountDay], leads: Sequence[LeadMark], first: date, last: date
) -> Iterator[tuple[date, Sequence[Cell]]]:
    """The cells of the days `first`..`last`, and one for each lead request that the activity did not show (design 3).

    Ad blockers hide form submissions: per day, extra = max(0, leads − form_submitted events), the newest leads first.
    """
    within = [day for day in days if first <= day.date <= last]
    for day in within:
        yield day.date, day.cells
    by_day: dict[date, list[LeadMark]] = defaultdict(list)
    for lead in sorted(leads, key=lambda lead: (lead.submitted_at, lead.lane), reverse=True):
        by_day[lead.submitted_at.date()].append(lead)
    for of_day, marks in by_day.items():
        if first <= of_day <= last:
            seen = sum(c.count for day in within if day.date == of_day for c in day.cells if c.event == FORM_SUBMITTED)
            yield (
                of_day,
                [Cell(FORM_SUBMITTED, "", lead.lane, "", "", 1) for lead in marks[: max(0, len(marks) - seen)]],
            )


def score_account(
    days: Sequence[AccountDay],
    leads: Sequence[LeadMark],
    classifier: Classifier,
    parameters: ScoreParameters,
    as_of: date,
    *,
    first_seen: date | None = None,
) -> AccountScore:
    """Score an account for the UTC day `as_of` from its facts and leads of the 31 days up to it.

    `first_seen` is its first day of activity or lead ever, where that is known to be earlier than what is passed.
    Facts after `as_of` are not scored.
    """
    per_day: dict[int, int] = {}  # age → points: weight × count, exact
    lanes: dict[str, dict[int, int]] = {}  # lane → age → points
    week: dict[str, dict[int, int]] = {}  # category → age → points, of the last 7 days
    counts: dict[tuple[str, str], int] = {}  # (event, category) → events, of the last 7 days
    pages: dict[str, int] = {}
    weigh_cell = classifier.weigh
    for day, cells in cells_between(days, leads, as_of - timedelta(days=MONTH - 1), as_of):
        age = (as_of - day).days
        for cell in cells:
            event, _, _, _, path, count = cell
            _, lane, category, weight, _, _, _ = weigh_cell(cell)
            worth = weight * count
            per_day[age] = per_day.get(age, 0) + worth
            if lane:
                of_lane = lanes.setdefault(lane, {})
                of_lane[age] = of_lane.get(age, 0) + worth
            if age < WEEK:
                of_category = week.setdefault(category, {})
                of_category[age] = of_category.get(age, 0) + worth
                counts[event, category] = counts.get((event, category), 0) + count
                if event == PAGE_VIEW:
                    pages[path] = pages.get(path, 0) + count

    rates = decay_rates(parameters.lambda_decay)
    raw_7d, raw_30d = decayed(per_day, rates, WEEK), decayed(per_day, rates, MONTH)
    before = {age: points for age, points in per_day.items() if WEEK <= age < 2 * WEEK}
    if parameters.surge_rebase_prev:
        before = {age - WEEK: points for age, points in before.items()}
    raw_prev = decayed(before, rates, MONTH)
    score = intent_score(raw_30d, parameters.normalize_k)
    ratio = surge_ratio(raw_7d, raw_prev, parameters.surge_smoothing)
    # A lane exists from its first event on, even one of weight 0; '' is no lane.
    lanes_30d = {lane: decayed(lanes[lane], rates, MONTH) for lane in sorted(lanes)}
    lanes_7d = {lane: decayed(lanes[lane], rates, WEEK) for lane in sorted(lanes) if min(lanes[lane]) < WEEK}
    return AccountScore(
        raw_score_7d=raw_7d,
        raw_score_prev_7d=raw_prev,
        raw_score_30d=raw_30d,
        intent_score=score,
        intent_stage=intent_stage(score, parameters.cold_max, parameters.warm_max),
        surge_ratio=ratio,
        surge_level=surge_level(ratio, raw_7d, parameters),
        unique_people_7d=len({mark for day in days if 0 <= (as_of - day.date).days < WEEK for mark in day.people}),
        top_lane=top_lane(lanes_7d),
        top_lane_30d=top_lane(lanes_30d),
        is_new=is_new(days, leads, parameters, as_of, first_seen),
        last_seen_at=last_seen(days, leads, as_of),
        lane_scores_7d_json=lanes_7d,
        lane_scores_30d_json=lanes_30d,
        top_categories_7d_json=top_categories(week, counts, rates),
        top_pages_7d_json=dict(sorted(pages.items(), key=lambda page: (-page[1], page[0]))[:KEPT]),
        key_events_7d_json=key_events(counts),
        why_hot_json=why_hot(counts),
    )


@lru_cache(maxsize=64)
def decay_rates(lambda_decay: float) -> tuple[float, ...]:
    """The decay of ages 0..29."""
    return tuple(decay(age, lambda_decay) for age in range(MONTH))


def decayed(points: Mapping[int, int], rates: Sequence[float], window: int) -> float:
    """The points of ages below `window`, each multiplied by its rate, added exactly and rounded once."""
    return math.fsum([total * rates[age] for age, total in points.items() if age < window])


def top_lane(lanes: dict[str, float]) -> str:
    """The lane with the highest raw score (spec 6.7); the name that sorts first among equals, `other` when none."""
    return min(lanes, key=lambda lane: (-lanes[lane], lane), default=NO_LANE)


def top_categories(
    week: Mapping[str, Mapping[int, int]], counts: Mapping[tuple[str, str], int], rates: Sequence[float]
) -> dict[str, dict[str, float]]:
    """The categories of the week by score, each with its events of whatever name."""
    events: dict[str, int] = {}
    for (_, category), count in counts.items():
        events[category] = events.get(category, 0) + count
    scored = {name: {"count": events[name], "score": decayed(points, rates, WEEK)} for name, points in week.items()}
    return dict(sorted(scored.items(), key=lambda item: (-item[1]["score"], -item[1]["count"], item[0]))[:KEPT])


def is_new(
    days: Sequence[AccountDay],
    leads: Sequence[LeadMark],
    parameters: ScoreParameters,
    as_of: date,
    first_seen: date | None,
) -> bool:
    """Seen for the first time fewer than `new_account_days` ago."""
    seen = [day.date for day in days if day.date <= as_of]
    seen += [lead.submitted_at.date() for lead in leads if lead.submitted_at.date() <= as_of]
    if first_seen is not None:
        seen.append(first_seen)
    return bool(seen) and (as_of - min(seen)).days < parameters.new_account_days


def last_seen(days: Sequence[AccountDay], leads: Sequence[LeadMark], as_of: date) -> datetime | None:
    seen = [day.last_seen_at for day in days if day.date <= as_of]
    seen += [lead.submitted_at for lead in leads if lead.submitted_at.date() <= as_of]
    return max(seen, default=None)
