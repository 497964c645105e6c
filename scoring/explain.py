"""The ledger of a score: what each event added, and what changed since the snapshot before. Pure (design 3).

The contributions sum to the raw score, and the bridge leads from one raw score to the next; tests hold both to 1e-9.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ingestion.events import AccountDay, LeadMark
from registry.values import ScoreParameters
from scoring.decay import decay
from scoring.engine import MONTH, Classifier, cells_between


@dataclass(frozen=True, slots=True)
class Contribution:
    """Events of one kind on one day: `points` = count × weight × decay. `rule` is the pattern that classified them."""

    date: date
    age: int
    event: str
    category: str
    lane: str
    count: int
    weight: int
    weight_source: str
    rule: str
    decay: float
    points: float


@dataclass(frozen=True, slots=True)
class CategoryLine:
    """All contributions of one kind of event; `share` of the raw score is 0..1."""

    category: str
    event: str
    count: int
    points: float
    share: float


@dataclass(frozen=True, slots=True)
class Bridge:
    """From the raw score of the snapshot before to this one; the parts add up:

    previous_raw + restated + rules_changed + aged_out + decayed + new = raw.
    `restated`: the facts (or whose they are) changed since that snapshot was made. `rules_changed`: rules, weights or
    decay are no longer those it was made with. `aged_out`: days that left the 30-day window. `decayed`: days in both
    windows, a little older now. `new`: days since.
    """

    previous_date: date
    previous_raw: float
    restated: float
    rules_changed: float
    aged_out: float
    decayed: float
    new: float
    raw: float


def contributions(
    days: Iterable[AccountDay], leads: Sequence[LeadMark], classifier: Classifier, lambda_decay: float, as_of: date
) -> list[Contribution]:
    """Everything that counts in the 30-day raw score of `as_of`, newest and largest first."""
    counted: dict[tuple[date, int, str, str, str, int, str, str], int] = defaultdict(int)
    for day, cells in cells_between(days, leads, as_of - timedelta(days=MONTH - 1), as_of):
        age = (as_of - day).days
        for cell in cells:
            found_by = classifier.weigh(cell)
            rule = found_by.rule.match_value if found_by.rule else ""
            kind = (cell.event, found_by.category, found_by.lane, found_by.weight, found_by.weight_source, rule)
            counted[(day, age, *kind)] += cell.count
    found = []
    for (day, age, event, category, lane, weight, source, rule), count in counted.items():
        rate = decay(age, lambda_decay)
        points = count * weight * rate
        found.append(Contribution(day, age, event, category, lane, count, weight, source, rule, rate, points))
    return sorted(found, key=lambda line: (line.age, -line.points, line.event, line.category, line.lane, line.rule))


def total(lines: Iterable[Contribution]) -> float:
    return math.fsum(line.points for line in lines)


def by_category(lines: Sequence[Contribution]) -> list[CategoryLine]:
    """The contributions added up by kind of event, largest first."""
    grouped: dict[tuple[str, str], list[Contribution]] = defaultdict(list)
    for line in lines:
        grouped[line.category, line.event].append(line)
    whole = total(lines)
    found = [
        CategoryLine(
            category,
            event,
            sum(line.count for line in of_kind),
            total(of_kind),
            total(of_kind) / whole if whole else 0.0,
        )
        for (category, event), of_kind in grouped.items()
    ]
    return sorted(found, key=lambda line: (-line.points, -line.count, line.category, line.event))


def bridge(
    previous_date: date,
    previous_raw: float,
    days: Sequence[AccountDay],
    leads: Sequence[LeadMark],
    before: tuple[Classifier, ScoreParameters],
    now: tuple[Classifier, ScoreParameters],
    as_of: date,
) -> Bridge:
    """The bridge from a stored snapshot, made with `before`, to `as_of`, made with `now`.

    `days` must reach back 29 days before `previous_date`.
    """
    first = previous_date - timedelta(days=MONTH - 1)
    old = points_by_day(days, leads, before[0], first, previous_date)
    new = points_by_day(days, leads, now[0], first, as_of)
    old_rate, new_rate = before[1].lambda_decay, now[1].lambda_decay
    as_it_was = decayed_at(old, previous_date, old_rate)
    as_it_would_be = decayed_at(new, previous_date, new_rate)
    aged_out, decayed, fresh = [], [], []
    for day in new:
        today, then = (decayed_at({day: new[day]}, end, new_rate) for end in (as_of, previous_date))
        if day > previous_date:
            fresh.append(today)
        elif in_window(day, as_of):
            decayed.append(today - then)
        else:
            aged_out.append(-then)
    return Bridge(
        previous_date=previous_date,
        previous_raw=previous_raw,
        restated=as_it_was - previous_raw,
        rules_changed=as_it_would_be - as_it_was,
        aged_out=math.fsum(aged_out),
        decayed=math.fsum(decayed),
        new=math.fsum(fresh),
        raw=decayed_at(new, as_of, new_rate),
    )


def decayed_at(points: Mapping[date, int], as_of: date, lambda_decay: float) -> float:
    """The 30-day raw score of these days' points on a date."""
    return math.fsum(
        total * decay((as_of - day).days, lambda_decay) for day, total in points.items() if in_window(day, as_of)
    )


def in_window(day: date, as_of: date) -> bool:
    return 0 <= (as_of - day).days < MONTH


def points_by_day(
    days: Iterable[AccountDay], leads: Sequence[LeadMark], classifier: Classifier, first: date, last: date
) -> dict[date, int]:
    """Undecayed points of each day."""
    found: dict[date, int] = defaultdict(int)
    for day, cells in cells_between(days, leads, first, last):
        found[day] += sum(classifier.weigh(cell).weight * cell.count for cell in cells)
    return found
