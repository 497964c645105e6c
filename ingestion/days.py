"""One UTC day as PostHog gives it: all of it between two counts that agree, or nothing.

1. PostHog counts the day's events; 2. its accounts are read, a page at a time, halving the time range where PostHog
takes too long; 3. PostHog counts again. What was read must lie between the two counts, else the day is read again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from django.conf import settings

from ingestion import queries
from ingestion.cells import What, fit
from ingestion.events import AccountDay, Cell
from ingestion.posthog import Meter, PostHogClient, PostHogError, TooMuch, Unavailable
from ingestion.site import Site, tracked_cell
from ingestion.sources import EXAMPLES, NO_ACCOUNT, NOT_A_DOMAIN, LeftOut, example

READS = 3  # of one day, while its counts do not agree
SHORTEST = timedelta(minutes=15)


class _Found:
    """What was read of one account's day."""

    __slots__ = ("cells", "last_second", "people")

    def __init__(self) -> None:
        self.cells: dict[What, int] = {}
        self.people: set[str] = set()
        self.last_second = 0


class DayRead:
    """One UTC day as PostHog gave it: an ActivitySource. `until`: where it ends, for a day that is not over."""

    def __init__(self, day: date, today: date, site: Site) -> None:
        self.day, self.today, self._site = day, today, site
        self.days = (day,)
        self.events = 0
        self.meter = Meter()
        self.seconds = 0.0
        self._found: dict[str, _Found] = {}
        self._left_out: dict[str, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Rows of one time range; those of others are added to them. PostHogError for a row of another shape."""
        try:
            for said, cells, people, last_second in rows:
                self._add(said, cells, people, last_second)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise PostHogError(
                f"PostHog's answer for {self.day} has values of another kind than asked for ({error}). Nothing of the"
                " day was stored."
            ) from error

    def _add(self, said: str, cells: Sequence[Any], people: Sequence[str], last_second: int) -> None:
        events = sum(cell[-1] for cell in cells)
        self.events += events
        key = self._site.key(said) if said else None
        if key is None:
            self._leave_out(said, events)
            return
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = _Found()
        for *what, count in cells:
            kept = tracked_cell(what, self._site)
            found.cells[kept] = found.cells.get(kept, 0) + count
        found.people.update(people)
        found.last_second = max(found.last_second, last_second)

    def _leave_out(self, said: str, events: int) -> None:
        """A person without an address and a group without a domain name no account, just as an event without either."""
        nobody = not said or (self._site.domains is not None and not self._site.domains.get(said))
        examples = self._left_out.setdefault(NO_ACCOUNT if nobody else NOT_A_DOMAIN, {})
        shown = "" if nobody else example(said)
        examples[shown] = examples.get(shown, 0) + events

    def account_days(self) -> Iterator[AccountDay]:
        for key in sorted(self._found):
            found = self._found[key]
            cut = fit(found.cells, settings.ACTIVITY_MAX_CELLS)
            yield AccountDay(
                account_key=key,
                date=self.day,
                cells=tuple(Cell(*what, count) for what, count in sorted(found.cells.items())),
                people=tuple(sorted(found.people - {""})),
                last_seen_at=datetime.fromtimestamp(found.last_second, UTC),
                paths_cut=cut,
            )

    def unresolved(self) -> dict[date, dict[str, Any]]:
        reasons = {}
        for reason, values in sorted(self._left_out.items()):
            commonest = sorted(values.items(), key=lambda item: (-item[1], item[0]))
            shown = dict(islice(((value, count) for value, count in commonest if value), EXAMPLES))
            reasons[reason] = LeftOut(sum(values.values()), shown).as_json()
        return {self.day: reasons}


def read_day(client: PostHogClient, site: Site, day: date, now: datetime) -> DayRead:
    """All of a day, between two counts that agree with it. PostHogError when PostHog does not give it."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = min(begin + timedelta(days=1), now.replace(microsecond=0))
    meter, started = Meter(), time.monotonic()
    for _ in range(READS):
        before = _count(client, site, begin, end, meter)
        read = DayRead(day, now.date(), site)
        for rows in _halving(partial(_accounts, client, site, meter), begin, end):
            read.add(rows)
        after = _count(client, site, begin, end, meter)
        if min(before, after) <= read.events <= max(before, after):
            read.meter, read.seconds = meter, time.monotonic() - started
            return read
    raise Unavailable(
        f"PostHog's rows hold {read.events:,} events, its counts before and after say {before:,} and {after:,}, in"
        f" {READS} attempts. Nothing of the day was stored."
    )


def _count(client: PostHogClient, site: Site, begin: datetime, end: datetime, meter: Meter) -> int:
    def ask(begin: datetime, end: datetime) -> int:
        name, values = f"orbit count {begin:%Y-%m-%d}", window_values(site, begin, end)
        rows = client.query(name, queries.count(), values, queries.COUNT_COLUMNS, meter)
        if len(rows) != 1 or type(rows[0][0]) is not int:
            raise PostHogError("PostHog's count is no number.")
        return rows[0][0]

    return sum(_halving(ask, begin, end))


def _accounts(client: PostHogClient, site: Site, meter: Meter, begin: datetime, end: datetime) -> list[list[Any]]:
    """Every account of a time range, page after page."""
    found: list[list[Any]] = []
    limit, hosts = settings.POSTHOG_PAGE_ROWS, bool(site.hosts)
    known = list(site.strangers.get(begin.date(), ()))
    while True:
        text = queries.day(site.source, site.index, hosts=hosts, limit=limit, further=bool(found), known=bool(known))
        values = window_values(site, begin, end) | {"clicks": site.clicks} | ({"known": known} if known else {})
        if found:
            values["after"] = found[-1][0]
        rows = client.query(f"orbit day {begin:%Y-%m-%d}", text, values, queries.DAY_COLUMNS, meter)
        found += rows
        if len(rows) < limit:
            return found


def window_values(site: Site, begin: datetime, end: datetime) -> dict[str, object]:
    return {"from": instant(begin), "to": instant(end), "events": list(site.sent)}


def instant(moment: datetime) -> str:
    """As HogQL takes it in every time zone of a project."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _halving(ask: Callable[[datetime, datetime], Any], begin: datetime, end: datetime) -> Iterator[Any]:
    """What is known of a time range, in as many parts as PostHog needs. A cut in the middle of a second cuts nothing
    in two: both ends are whole seconds."""
    try:
        yield ask(begin, end)
    except TooMuch:
        if end - begin <= SHORTEST:
            raise
        middle = (begin + (end - begin) / 2).replace(microsecond=0)
        yield from _halving(ask, begin, middle)
        yield from _halving(ask, middle, end)
