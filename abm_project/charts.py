"""Numbers into SVG geometry: the sparkline of a row and the 30-day score line over its stage bands. Pure.

Scores are 0 to 100 on a fixed scale, so that two pictures side by side can be compared. A day without a score is a gap,
never a zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

FULL_SCORE = 100


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Each segment is the `points` of one polyline; `x`, `y` is its last day; `label` says it in words."""

    width: int
    height: int
    segments: tuple[str, ...]
    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """A stage's stretch of the scale, from the score `low` to the score `high`."""

    stage: str
    low: int
    high: int
    y: float
    height: float
    middle: float


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the line: where it stands, and the column of the picture that belongs to it."""

    date: date
    score: int | None
    marks: tuple[str, ...]
    x: float
    y: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class ScoreLine:
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    inner_width: int
    inner_height: int
    bands: tuple[Band, ...]
    days: tuple[Day, ...]
    segments: tuple[str, ...]
    labelled: tuple[Day, ...]


def sparkline(scores: Sequence[int | None], width: int = 96, height: int = 24, margin: int = 3) -> Sparkline | None:
    """None where there is nothing to draw."""
    known = [score for score in scores if score is not None]
    if not known:
        return None
    label = f"Score over {len(scores)} days: from {known[0]} to {known[-1]}, highest {max(known)}"
    return _spark(scores, label, width, height, margin)


def _spark(scores: Sequence[float | None], label: str, width: int, height: int, margin: int) -> Sparkline:
    step = (width - 2 * margin) / max(len(scores) - 1, 1)
    points = [
        None if score is None else (_round(margin + index * step), _height(score, margin, height - 2 * margin))
        for index, score in enumerate(scores)
    ]
    x, y = [point for point in points if point is not None][-1]
    return Sparkline(width, height, tuple(map(_text, _runs(points))), x, y, label)


def count_line(
    counts: Sequence[int | None], highest: int, width: int = 230, height: int = 36, margin: int = 3
) -> Sparkline | None:
    """The same of counts, on a scale from 0 to `highest`, which is one for all pictures of a page."""
    scaled = [None if count is None else FULL_SCORE * count / max(highest, 1) for count in counts]
    known = [count for count in counts if count is not None]
    if not known:
        return None
    label = f"Hot accounts over {len(counts)} days: from {known[0]} to {known[-1]}, at most {max(known)}"
    return _spark(scaled, label, width, height, margin)


def score_line(
    days: Sequence[tuple[date, int | None, tuple[str, ...]]],
    cold_max: int,
    warm_max: int,
    width: int = 1000,
    height: int = 240,
) -> ScoreLine:
    """The line of (day, score or None, marks), oldest first, over the bands Cold, Warm and Hot."""
    left, right, top, bottom = 34, 52, 14, 28
    inner_width, inner_height = width - left - right, height - top - bottom
    column = inner_width / max(len(days), 1)
    placed = tuple(
        Day(
            date=day,
            score=score,
            marks=marks,
            x=_round(left + (index + 0.5) * column),
            y=_height(score or 0, top, inner_height),
            left=_round(left + index * column),
            width=_round(column),
        )
        for index, (day, score, marks) in enumerate(days)
    )
    runs = _runs([None if day.score is None else (day.x, day.y) for day in placed])
    return ScoreLine(
        width=width,
        height=height,
        left=left,
        right=width - right,
        top=top,
        bottom=top + inner_height,
        inner_width=inner_width,
        inner_height=inner_height,
        bands=_bands(cold_max, warm_max, top, inner_height),
        days=placed,
        segments=tuple(map(_text, runs)),
        # A label a week, counted back from the newest day, which is the one people look for.
        labelled=placed[::-1][::7][::-1],
    )


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A function drawn as one polyline, with ticks on both axes and horizontal `lines` at heights that mean something;
    `label` says it in words."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    points: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    lines: tuple[Tick, ...]
    label: str


def curve(
    values: Sequence[tuple[float, float]],
    across: Sequence[float],
    up: Sequence[tuple[float, str]],
    lines: Sequence[tuple[float, str]],
    label: str,
    width: int = 420,
    height: int = 190,
) -> Curve:
    """Values (x, y from 0 to 100), x ascending from 0."""
    left, right, top, bottom = 38, width - 52, 10, height - 24
    farthest = values[-1][0] or 1

    def x(value: float) -> float:
        return _round(left + (right - left) * value / farthest)

    def y(value: float) -> float:
        return _height(value, top, bottom - top)

    return Curve(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        points=_text((x(at), y(value)) for at, value in values),
        across=tuple(Tick(x(at), f"{at:g}") for at in across),
        up=tuple(Tick(y(at), said) for at, said in up),
        lines=tuple(Tick(y(at), said) for at, said in lines),
        label=label,
    )


def shares(values: Iterable[float]) -> list[float]:
    """Each value as a percentage of the largest, for bars; all 0 where nothing is above 0."""
    numbers = list(values)
    largest = max(numbers, default=0)
    return [_round(100 * max(number, 0) / largest) if largest > 0 else 0.0 for number in numbers]


def _bands(cold_max: int, warm_max: int, top: float, height: float) -> tuple[Band, ...]:
    """Half a point belongs to each neighbour, so that the bands meet and the line of a stage runs inside its own."""
    edges = [0, cold_max + 0.5, warm_max + 0.5, FULL_SCORE]
    named = [("Hot", warm_max + 1, FULL_SCORE), ("Warm", cold_max + 1, warm_max), ("Cold", 0, cold_max)]
    bands = []
    for (stage, low, high), upper, lower in zip(named, edges[:0:-1], edges[-2::-1], strict=True):
        y, floor = _height(upper, top, height), _height(lower, top, height)
        bands.append(Band(stage, low, high, y, _round(floor - y), _round((y + floor) / 2)))
    return tuple(bands)


def _height(score: float, top: float, height: float) -> float:
    return _round(top + height * (1 - score / FULL_SCORE))


def _runs(points: Sequence[tuple[float, float] | None]) -> Iterable[list[tuple[float, float]]]:
    """The unbroken stretches between gaps."""
    for missing, run in groupby(points, key=lambda point: point is None):
        if not missing:
            yield [point for point in run if point is not None]


def _text(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _round(number: float) -> float:
    return round(number, 1)
