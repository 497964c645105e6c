"""The one writer of facts: what a source says of some days becomes `ActivityDay` and `ActivityPull` rows.

A source (export files, or PostHog itself) is the whole truth for the days it covers. `store`, in one transaction:
1. locks the pulls of these days and refuses days that are in already, unless told to replace or to add;
2. walks the source's account days and the stored ones side by side, both in order of (account key, date);
3. writes the rows that changed and removes those that are gone;
4. notes each day in `ActivityPull`, also days without events, since a day is either pulled or not.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from ingestion.cells import fit, text_of
from ingestion.events import AccountDay, Cell
from ingestion.models import ActivityDay, ActivityPull
from ingestion.sources import EXAMPLES
from registry.transactions import transact

BATCH = 1_000
PAGE, PAGE_MIN = 5_000, 20  # stored rows in memory, over all days; and of one day at least
BATCH_TEXT = 4_000_000  # bytes of JSON: one statement stays below what MariaDB takes (16 MB)
SOURCE_LENGTH = 255
FACT_FIELDS = ["cells_json", "people_json", "last_seen_at", "paths_cut"]


class Mode(StrEnum):
    NEW = "new"
    REPLACE = "replace"
    ADD = "add"


class DaysAlreadyStored(Exception):
    """The source covers days whose facts are in already."""

    def __init__(self, days: Sequence[date]) -> None:
        self.days = days
        super().__init__(
            f"{len(days)} of the days have facts already ({days[0]} to {days[-1]}): say --replace if this source is the"
            " whole truth for them, or --add if it holds other events of the same days."
        )


class ActivitySource(Protocol):
    """What `store` needs of a source."""

    @property
    def days(self) -> Sequence[date]:
        """The UTC days it is the whole truth for, in order, also those without an event."""

    @property
    def today(self) -> date:
        """The UTC day that was not over when the source was read."""

    def account_days(self) -> Iterator[AccountDay]:
        """In order of (account key, date)."""

    def unresolved(self) -> Mapping[date, Mapping[str, Any]]:
        """Per covered day: reason → {"events": n, "examples": {value: n}}."""


@dataclass(slots=True)
class _Noted:
    """What the walk counts on its way."""

    keys: int = 0
    rows: int = 0
    written: int = 0
    removed: int = 0
    paths_cut: int = 0
    events_by_day: Counter[date] = field(default_factory=Counter)
    keys_by_day: Counter[date] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What a call to `store` left behind. `keys` and `account_days` are the source's; `events` are those now stored."""

    days: int
    empty_days: int
    partial_day: date | None
    keys: int
    account_days: int
    events: int
    written: int
    unchanged: int
    removed: int
    paths_cut: int


def store(
    source: ActivitySource, mode: Mode, label: str, progress: Callable[[int], object] = lambda rows: None
) -> StoreReport:
    """Make the facts say what the source says. `progress` is told the source's rows as they are done.

    When the database asks for it (a deadlock, a lock it waited for too long), all of it is done again.
    """
    days = source.days
    noted = transact(partial(_store, source, mode, label, progress))
    return StoreReport(
        days=len(days),
        empty_days=sum(not noted.events_by_day[day] for day in days),
        partial_day=source.today if source.today in days else None,
        keys=noted.keys,
        account_days=noted.rows,
        events=noted.events_by_day.total(),
        written=noted.written,
        unchanged=noted.rows - noted.written,
        removed=noted.removed,
        paths_cut=noted.paths_cut,
    )


def _store(source: ActivitySource, mode: Mode, label: str, progress: Callable[[int], object]) -> _Noted:
    days = source.days
    pulls = {pull.date: pull for pull in _of_days(ActivityPull.objects.select_for_update(), days).order_by("date")}
    with_facts = _days_with_facts(days)
    if mode is Mode.NEW:
        _refuse_stored(days, pulls, with_facts)
    noted = _write_facts(source, mode, _stored_facts(with_facts), progress)
    _write_pulls(source, mode, label, pulls, noted)
    return noted


def _of_days(rows: QuerySet[Any], days: Sequence[date]) -> QuerySet[Any]:
    """The rows of exactly these days. A run of days is a range: thousands of parameters are too many for SQLite."""
    if len(days) == 1:
        return rows.filter(date=days[0])
    if days and (days[-1] - days[0]).days == len(days) - 1:
        return rows.filter(date__range=(days[0], days[-1]))
    return rows.filter(date__in=days)


def _days_with_facts(days: Sequence[date]) -> set[date]:
    return set(_of_days(ActivityDay.objects.all(), days).values_list("date", flat=True).distinct())


def _refuse_stored(days: Sequence[date], pulls: dict[date, ActivityPull], with_facts: set[date]) -> None:
    """A day that was not over when it was pulled may be replaced by its whole; any other needs to be told."""
    unfinished = {day for day, pull in pulls.items() if pull.state == ActivityPull.State.PARTIAL}
    done = {day for day, pull in pulls.items() if pull.state in (ActivityPull.State.PULLED, ActivityPull.State.HELD)}
    taken = sorted((done | with_facts) - unfinished)
    if taken:
        raise DaysAlreadyStored(taken)


def _place(day: AccountDay) -> tuple[str, date]:
    return day.account_key, day.date


def _stored_facts(days: Collection[date]) -> Iterator[AccountDay]:
    """The facts of these days in order of (account key, date): one stream a day, merged.

    A query over several days would walk the primary key past every other day that is stored.
    """
    page = max(PAGE_MIN, PAGE // max(1, len(days)))
    return heapq.merge(*(_stored_day(day, page) for day in sorted(days)), key=_place)


def _stored_day(day: date, page: int) -> Iterator[AccountDay]:
    """By keyset, a page at a time. Not `iterator()`: on MariaDB that loads everything before the first row."""
    facts = ActivityDay.objects.filter(date=day).order_by("account_key").values_list("account_key", *FACT_FIELDS)
    after = ""
    while rows := list(facts.filter(account_key__gt=after)[:page]):
        for key, cells, people, last_seen_at, paths_cut in rows:
            yield AccountDay(key, day, tuple(Cell(*cell) for cell in cells), tuple(people), last_seen_at, paths_cut)
        after = rows[-1][0]


def _write_facts(
    source: ActivitySource, mode: Mode, stored: Iterator[AccountDay], progress: Callable[[int], object]
) -> _Noted:
    noted = _Noted()
    batch = _Batch()
    said = ((day, True) for day in source.account_days())
    known = ((day, False) for day in stored)
    last_key = ""
    for (key, day), same in groupby(heapq.merge(said, known, key=lambda pair: _place(pair[0])), lambda p: _place(p[0])):
        found = {is_new: account_day for account_day, is_new in same}
        new, old = found.get(True), found.get(False)
        fact = _outcome(new, old, mode)
        if new is not None:
            noted.rows += 1
            noted.keys += key != last_key
            last_key = key
            progress(1)
        if fact is None:
            batch.remove(key, day)
            noted.removed += 1
            continue
        noted.events_by_day[day] += sum(cell.count for cell in fact.cells)
        noted.keys_by_day[day] += 1
        if fact != old:
            batch.write(fact)
            noted.written += 1
            noted.paths_cut += fact.paths_cut
    batch.flush()
    return noted


def _outcome(new: AccountDay | None, old: AccountDay | None, mode: Mode) -> AccountDay | None:
    """What the row shall be; None when it shall not be."""
    if mode is not Mode.ADD or old is None:
        return new
    return old if new is None else _sum(new, old)


def _sum(new: AccountDay, old: AccountDay) -> AccountDay:
    """Both accounts of one day: other events of it came in another file."""
    counts = {tuple(cell[:5]): cell.count for cell in old.cells}
    for cell in new.cells:
        counts[cell[:5]] = counts.get(cell[:5], 0) + cell.count
    cut = fit(counts, settings.ACTIVITY_MAX_CELLS)
    return AccountDay(
        account_key=new.account_key,
        date=new.date,
        cells=tuple(Cell(*what, count) for what, count in sorted(counts.items())),
        people=tuple(sorted({*new.people, *old.people})),
        last_seen_at=max(new.last_seen_at, old.last_seen_at),
        paths_cut=new.paths_cut + old.paths_cut + cut,
    )


class _Batch:
    """Rows to write and remove, sent together. They come sorted by primary key: writers then cannot deadlock."""

    def __init__(self) -> None:
        self._rows: list[AccountDay] = []
        self._text = 0
        self._gone: list[tuple[str, date]] = []

    def write(self, row: AccountDay) -> None:
        text = sum(text_of(cell[:5]) for cell in row.cells) + 16 * len(row.people)
        if self._text + text > BATCH_TEXT:
            self.flush()
        self._rows.append(row)
        self._text += text
        if len(self._rows) >= BATCH:
            self.flush()

    def remove(self, key: str, day: date) -> None:
        self._gone.append((key, day))
        if len(self._gone) >= BATCH:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            _upsert(self._rows)
        by_day = sorted(self._gone, key=lambda place: place[1])
        for day, places in groupby(by_day, key=lambda place: place[1]):
            ActivityDay.objects.filter(date=day, account_key__in=[key for key, _ in places]).delete()
        self._rows, self._gone, self._text = [], [], 0


def _upsert(rows: list[AccountDay]) -> None:
    # MariaDB refuses to be told which unique key a conflict is about; SQLite must be told.
    target = ["account_key", "date"] if connection.features.supports_update_conflicts_with_target else None
    ActivityDay.objects.bulk_create(
        [
            ActivityDay(
                account_key=row.account_key,
                date=row.date,
                cells_json=list(map(list, row.cells)),
                people_json=list(row.people),
                last_seen_at=row.last_seen_at,
                paths_cut=row.paths_cut,
            )
            for row in rows
        ],
        update_conflicts=True,
        update_fields=FACT_FIELDS,
        unique_fields=target,
    )


def _write_pulls(
    source: ActivitySource, mode: Mode, label: str, pulls: dict[date, ActivityPull], noted: _Noted
) -> None:
    """One row a covered day; rows that would not change are left alone."""
    unresolved = source.unresolved()
    created = []
    for day in source.days:
        pull = pulls.get(day)
        left_out = dict(unresolved.get(day, {}))
        if mode is Mode.ADD and pull is not None:
            left_out = _summed(pull.unresolved_json, left_out)
        row = {
            "state": ActivityPull.State.PARTIAL if day == source.today else ActivityPull.State.PULLED,
            "source": label[:SOURCE_LENGTH],
            "events": noted.events_by_day[day],
            "keys": noted.keys_by_day[day],
            "unresolved_json": left_out,
            "message": "",
            "read_at": None,  # only what PostHog itself gave was read; ingestion.pull says so afterwards
        }
        if pull is None:
            created.append(ActivityPull(date=day, **row))
        elif any(getattr(pull, name) != value for name, value in row.items()):
            for name, value in row.items():
                setattr(pull, name, value)
            pull.save()
    # Plainly created, never upserted: two imports of the same new days end in one of them failing, not in a mixture.
    ActivityPull.objects.bulk_create(created)


def _summed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Events left out by reason, of both; of the examples the commonest."""
    summed = {}
    for reason in sorted({*old, *new}):
        both = [found[reason] for found in (old, new) if reason in found]
        examples: Counter[str] = Counter()
        for found in both:
            examples.update(found.get("examples", {}))
        commonest = sorted(examples.items(), key=lambda item: (-item[1], item[0]))[:EXAMPLES]
        summed[reason] = {"events": sum(found["events"] for found in both), "examples": dict(commonest)}
    return summed
