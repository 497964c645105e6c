"""How the admin shows what a score config moves."""

from dataclasses import dataclass

from django import template

from registry.values import IntentStage, SurgeLevel
from scoring.moves import Impact, Move, Way

register = template.Library()
WIDTH, HEIGHT, FLOOR = 420, 170, 146
SHOWN = 4  # kinds of events of a mover


@dataclass(frozen=True, slots=True)
class Bar:
    side: str
    x: float
    y: float
    width: float
    height: float
    said: str


@dataclass(frozen=True, slots=True)
class Histogram:
    width: int
    height: int
    floor: int
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    label: str


@register.filter
def levels(impact: Impact) -> list[tuple[str, list[tuple[str, int, int, str]]]]:
    """Stages and surge levels with their accounts now, then, and the difference."""
    return [
        (title, [(name, *pair, f"{pair[1] - pair[0]:+,}") for name in names for pair in [counts.get(name, (0, 0))]])
        for title, names, counts in (
            ("Stage", [*reversed(IntentStage)], impact.stage_counts),
            ("Surge", [*reversed(SurgeLevel)], impact.surge_counts),
        )
    ]


@register.filter
def ways(impact: Impact) -> list[tuple[str, tuple[Way, ...]]]:
    found = [("Stage", impact.stages), ("Surge", impact.surges), ("Top lane", impact.lanes)]
    return [(title, ways) for title, ways in found if ways]


@register.filter
def histogram(impact: Impact) -> Histogram:
    """Two bars for each tenth of the scale."""
    sides = (("before", "now", impact.histogram_before), ("after", "then", impact.histogram_after))
    most, step = max(1, *impact.histogram_before, *impact.histogram_after), WIDTH / len(impact.histogram_before)
    bars, ticks = [], []
    for number in range(len(impact.histogram_before)):
        upper = 100 if number == 9 else 10 * number + 9
        ticks.append((round(step * (number + 0.5), 1), str(10 * number)))
        for place, (side, word, counts) in enumerate(sides):
            height = round((FLOOR - 20) * counts[number] / most, 1)
            x = round(step * number + 3 + place * (step / 2 - 3), 1)
            said = f"{10 * number} to {upper}, {word}: {counts[number]:,}"
            bars.append(Bar(side, x, round(FLOOR - 14 - height, 1), round(step / 2 - 4, 1), height, said))
    label = "Accounts by score. " + "; ".join(bar.said for bar in bars)
    return Histogram(WIDTH, HEIGHT, FLOOR + 6, tuple(bars), tuple(ticks), label)


@register.filter
def reasons(move: Move) -> str:
    """`pricing 60.0 → 120.0, docs 4.1`: the kinds of events that bring most, those that change first."""
    said = []
    for category, _, before, after in move.reasons:
        points = [round(side.points, 1) if side else 0.0 for side in (before, after)]
        changes = points[0] != points[1]
        text = f"{category} {points[0]:,} → {points[1]:,}" if changes else f"{category} {points[0]:,}"
        said.append((not changes, text))
    return ", ".join(text for _, text in sorted(said, key=lambda pair: pair[0])[:SHOWN])
