"""What a change of the registry moves: accounts between stages, surge levels and lanes, and along the scale. Pure.

Every account is added with its score before and after; counts are exact, and of each way the accounts with the best
scores are named.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from scoring.engine import AccountScore

NAMED = 200  # accounts of one way from a stage or surge level to another
NAMED_OF_LANES = 20
MOVERS = 20
BINS = 10  # of the histogram: 0 to 9, 10 to 19 … 90 to 100


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands."""

    score: int
    stage: str
    surge: str
    raw_30d: float
    top_lane: str

    @classmethod
    def of(cls, found: AccountScore) -> "Standing":
        return cls(
            found.intent_score,
            found.intent_stage.value,
            found.surge_level.value,
            found.raw_score_30d,
            found.top_lane,
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """What one kind of event brings into the 30-day raw score."""

    category: str
    event: str
    count: int
    points: float


@dataclass(frozen=True, slots=True)
class Move:
    """One account before and after. Reasons are known of the biggest movers alone."""

    domain: str
    before: Standing
    after: Standing
    name: str = ""
    reasons_before: tuple[Reason, ...] = ()
    reasons_after: tuple[Reason, ...] = ()

    @property
    def change(self) -> int:
        return self.after.score - self.before.score

    @property
    def reasons(self) -> list[tuple[str, str, Reason | None, Reason | None]]:
        """(category, event, before, after), largest first; None where it brings nothing."""
        sides = [
            {(line.category, line.event): line for line in lines} for lines in (self.reasons_before, self.reasons_after)
        ]
        found = [(*key, sides[0].get(key), sides[1].get(key)) for key in {**sides[0], **sides[1]}]
        return sorted(found, key=lambda row: (-max(line.points for line in row[2:] if line), row[0], row[1]))


@dataclass(frozen=True, slots=True)
class Way:
    """How many accounts go from one stage, surge level or lane to another; those with the best scores by name."""

    before: str
    after: str
    count: int
    accounts: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """All that a change moves on a date. `moved`: accounts whose score, stage, surge level or lane differs.

    `stage_counts` and `surge_counts`: name → (before, after), all accounts.
    """

    as_of: date
    accounts: int
    moved: int
    stage_counts: Mapping[str, tuple[int, int]]
    surge_counts: Mapping[str, tuple[int, int]]
    lane_counts: Mapping[str, tuple[int, int]]
    stages: tuple[Way, ...]
    surges: tuple[Way, ...]
    lanes: tuple[Way, ...]
    histogram_before: tuple[int, ...]
    histogram_after: tuple[int, ...]
    movers: tuple[Move, ...]

    def entering(self, name: str) -> list[Way]:
        """The ways into a stage or surge level."""
        return [way for way in (*self.stages, *self.surges) if way.after == name]

    def leaving(self, name: str) -> list[Way]:
        return [way for way in (*self.stages, *self.surges) if way.before == name]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"as_of": self.as_of.isoformat()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Impact":
        return cls(
            as_of=date.fromisoformat(stored["as_of"]),
            accounts=stored["accounts"],
            moved=stored["moved"],
            stage_counts=_pairs(stored["stage_counts"]),
            surge_counts=_pairs(stored["surge_counts"]),
            lane_counts=_pairs(stored["lane_counts"]),
            stages=tuple(map(_way, stored["stages"])),
            surges=tuple(map(_way, stored["surges"])),
            lanes=tuple(map(_way, stored["lanes"])),
            histogram_before=tuple(stored["histogram_before"]),
            histogram_after=tuple(stored["histogram_after"]),
            movers=tuple(map(_move, stored["movers"])),
        )


def _pairs(stored: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    return {name: (before, after) for name, (before, after) in stored.items()}


def _way(stored: Mapping[str, Any]) -> Way:
    return Way(stored["before"], stored["after"], stored["count"], tuple(map(_move, stored["accounts"])))


def _move(stored: Mapping[str, Any]) -> Move:
    return Move(
        stored["domain"],
        Standing(**stored["before"]),
        Standing(**stored["after"]),
        stored["name"],
        tuple(Reason(**line) for line in stored["reasons_before"]),
        tuple(Reason(**line) for line in stored["reasons_after"]),
    )


class Best:
    """The `most` moves that come first by `key`, however many are added."""

    def __init__(self, most: int, key: Callable[[Move], Any]) -> None:
        self.most, self.key, self.count = most, key, 0
        self._kept: list[Move] = []

    def add(self, move: Move) -> None:
        self.count += 1
        self._kept.append(move)
        if len(self._kept) > 2 * self.most + 100:
            self._kept = self.first()

    def first(self) -> list[Move]:
        return sorted(self._kept, key=self.key)[: self.most]


def _by_score(move: Move) -> Any:
    return -max(move.before.score, move.after.score), -max(move.before.raw_30d, move.after.raw_30d), move.domain


def _by_change(move: Move) -> Any:
    return -abs(move.change), -abs(move.after.raw_30d - move.before.raw_30d), move.domain


@dataclass
class Tally:
    """Adds accounts up to an `Impact`."""

    as_of: date
    named: int = NAMED
    accounts: int = 0
    moved: int = 0
    movers: Best = field(default_factory=lambda: Best(MOVERS, _by_change))
    bins: tuple[list[int], list[int]] = field(default_factory=lambda: ([0] * BINS, [0] * BINS))

    def __post_init__(self) -> None:
        self.ways = {
            "stage": defaultdict[tuple[str, str], Best](lambda: Best(self.named, _by_score)),
            "surge": defaultdict[tuple[str, str], Best](lambda: Best(self.named, _by_score)),
            "top_lane": defaultdict[tuple[str, str], Best](lambda: Best(min(self.named, NAMED_OF_LANES), _by_score)),
        }
        self.counts: dict[str, tuple[Counter[str], Counter[str]]] = {name: (Counter(), Counter()) for name in self.ways}

    def add(self, domain: str, before: Standing, after: Standing) -> None:
        self.accounts += 1
        for side, standing in enumerate((before, after)):
            self.bins[side][min(standing.score // 10, BINS - 1)] += 1
            self.counts["stage"][side][standing.stage] += 1
            self.counts["surge"][side][standing.surge] += 1
            self.counts["top_lane"][side][standing.top_lane] += 1
        if before == after:
            return
        move = Move(domain, before, after)
        differs = before.score != after.score
        for name, ways in self.ways.items():
            was, becomes = getattr(before, name), getattr(after, name)
            if was != becomes:
                differs = True
                ways[was, becomes].add(move)
        if differs:
            self.moved += 1
            self.movers.add(move)

    def shown(self) -> set[str]:
        """The accounts that the impact will name."""
        lists = [self.movers, *(best for ways in self.ways.values() for best in ways.values())]
        return {move.domain for best in lists for move in best.first()}

    def impact(
        self, names: Mapping[str, str], reasons: Mapping[str, tuple[tuple[Reason, ...], tuple[Reason, ...]]]
    ) -> Impact:
        """With the accounts' names, and the reasons of the biggest movers before and after."""
        return Impact(
            as_of=self.as_of,
            accounts=self.accounts,
            moved=self.moved,
            stage_counts=self._counts("stage"),
            surge_counts=self._counts("surge"),
            lane_counts=self._counts("top_lane"),
            stages=self._ways("stage", names),
            surges=self._ways("surge", names),
            lanes=self._ways("top_lane", names),
            histogram_before=tuple(self.bins[0]),
            histogram_after=tuple(self.bins[1]),
            movers=tuple(
                _named(move, names, reasons.get(move.domain, ((), ()))) for move in self.movers.first()
            ),
        )  # fmt: skip

    def _counts(self, name: str) -> dict[str, tuple[int, int]]:
        before, after = self.counts[name]
        return {key: (before[key], after[key]) for key in sorted({*before, *after})}

    def _ways(self, name: str, names: Mapping[str, str]) -> tuple[Way, ...]:
        found = [
            Way(was, becomes, best.count, tuple(_named(move, names) for move in best.first()))
            for (was, becomes), best in self.ways[name].items()
        ]
        return tuple(sorted(found, key=lambda way: (-way.count, way.before, way.after)))


def _named(move: Move, names: Mapping[str, str], reasons: tuple[Iterable[Reason], Iterable[Reason]] = ((), ())) -> Move:
    name = names.get(move.domain, move.domain)
    return Move(move.domain, move.before, move.after, name, tuple(reasons[0]), tuple(reasons[1]))
