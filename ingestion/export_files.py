"""PostHog batch-export files (JSON Lines, gzip or not) as account days.

Knows no Django: settings, registry and the clock come as arguments. The way of a line:
1. `_lines` cuts the file into lines and never holds more than one that is too long;
2. `_Reader` decides where a line counts: kept, left out for a reason, or bad. Every line ends in exactly one count;
3. `_Spill` keeps the counts in a temporary SQLite file, so that memory depends neither on the number of lines nor on
   their order;
4. `ActivityExport` hands out account days in order of (account key, date), as often as asked.
"""

import codecs
import gzip
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from accounts.domains import email_domain, is_personal, is_platform, normalize_domain_from_url
from ingestion.cells import MAX_ROW_TEXT, What, cta, fit, own_hosts, page_path, person_mark, stored_name
from ingestion.events import AccountDay, Cell
from ingestion.sources import (
    EXAMPLES,
    FUTURE,
    NO_ACCOUNT,
    NOT_A_DOMAIN,
    OTHER_EVENT,
    AccountSource,
    LeftOut,
    example,
)

LINE_LIMIT = 10_000_000
CHUNK = 1 << 20
SPILL_AT = 10_000  # events, or distinct values left out, held in memory; more keeps the garbage collector busy
SPILL_AT_TEXT = 500_000  # characters of paths among them; SQLite sorts with sixteen parts of an account day in memory
SPILL_CACHE_KB = 8_000
BAD_LINES_LISTED = 20
GROUP_TYPES_LISTED = 20
ENOUGH_EVENTS = 100  # without a property: fewer may be a quiet day of strangers, more is a name mistyped
LONGEST_GAP = 366  # days
YEARS = (2000, 2100)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_SECOND = timedelta(seconds=1)
_DAY = 86_400
_FIRST_SECOND, _END_SECOND = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (YEARS[0], YEARS[1] + 1))
# A whole escape at a time, so that the `\\` of `\\ud800` is not taken for the start of one.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class UnusableExport(Exception):
    """The files cannot be taken as they are; the message says which and why. Nothing was stored."""


class _BadLine(Exception):
    """A line that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that could not be used."""

    path: Path
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.number}: {self.reason}"


class ActivityExport:
    """What the files said: the days they cover, their account days in order, and where every line went.

    A context manager: leaving it closes the spill, which nothing outlives.
    """

    def __init__(self, reader: "_Reader", days: Sequence[date], today: date, max_cells: int) -> None:
        self.days, self.today = days, today
        self.lines, self.events, self.bad_lines = reader.lines, reader.kept, reader.bad_lines
        self.first_bad_lines = tuple(reader.first_bad_lines)
        self.personal_events, self.platform_events = reader.spill.personal, reader.spill.platform
        self._spill, self._max_cells = reader.spill, max_cells

    def __enter__(self) -> "ActivityExport":
        return self

    def __exit__(self, *exception: object) -> None:
        self._spill.close()

    def account_days(self) -> Iterator[AccountDay]:
        """Every account day, by (account key, date)."""
        for (key, day), rows in groupby(self._spill.facts(), key=itemgetter(0, 1)):
            yield self._account_day(key, day, (orjson.loads(row[2]) for row in rows))

    def _account_day(self, key: str, day: int, parts: Iterable[Any]) -> AccountDay:
        """One account day from the parts it was spilled in."""
        found: dict[What, int] = {}
        people: set[str] = set()
        cut = last_second = text = 0
        for cells, marks, second in parts:
            for what, count in cells:
                what = tuple(what)
                found[what] = found.get(what, 0) + count
                text += len(what[4])
            people.update(marks)
            last_second = max(last_second, second)
            if len(found) >= 4 * self._max_cells or text >= MAX_ROW_TEXT:  # made-up paths must not fill the memory
                cut += fit(found, self._max_cells)
                text = 0
        cut += fit(found, self._max_cells)
        people.discard("")
        return AccountDay(
            account_key=key,
            date=_date(day),
            cells=tuple(Cell(*what, count) for what, count in sorted(found.items())),
            people=tuple(sorted(people)),
            last_seen_at=_EPOCH + last_second * _SECOND,
            paths_cut=cut,
        )

    def unresolved(self) -> dict[date, dict[str, Any]]:
        """What was left out of each covered day, by reason, as `ActivityPull.unresolved_json` has it."""
        covered = set(self.days)
        found: dict[date, dict[str, Any]] = {}
        for (day, reason), rows in groupby(self._spill.left_out_by_day(), key=itemgetter(0, 1)):
            if _date(day) in covered:
                found.setdefault(_date(day), {})[reason] = _left_out(rows).as_json()
        return found

    def left_out(self) -> dict[str, LeftOut]:
        """What was left out of the whole, by reason, also on days that are not covered."""
        rows = self._spill.left_out()
        return {reason: _left_out(same) for reason, same in groupby(rows, key=itemgetter(1))}


def read(
    paths: Sequence[Path],
    source: AccountSource,
    *,
    aliases: Mapping[str, str],
    tracked: Collection[str],
    site_hosts: Collection[str],
    now: datetime,
    max_cells: int,
    interval: tuple[date, date] | None = None,
    progress: Callable[[int], object] = lambda read_bytes: None,
) -> ActivityExport:
    """Read the files whole. `progress` is told the bytes read; UnusableExport when nothing can be made of them."""
    reader = _Reader(source, aliases, tracked, site_hosts, now)
    try:
        covered: set[int] = set()
        for path in paths:
            covered |= reader.read(path, progress, gaps_allowed=interval is not None)
        reader.spill.flush()
        reader.refuse_unusable()
        days = tuple(map(_date, sorted(covered))) if interval is None else reader.days_of(interval)
    except BaseException:
        reader.spill.close()
        raise
    return ActivityExport(reader, days, now.astimezone(UTC).date(), max_cells)


class _Reader:
    """Decides where each line counts."""

    def __init__(
        self,
        source: AccountSource,
        aliases: Mapping[str, str],
        tracked: Collection[str],
        site_hosts: Collection[str],
        now: datetime,
    ) -> None:
        self.source, self.aliases, self.tracked = source, dict(aliases), frozenset(tracked)
        self.site_hosts = own_hosts(site_hosts)
        self.now = (now - _EPOCH) // _SECOND
        ways = {"group": self._group, "property": self._property, "person_email": _email}
        if source.kind not in ways:
            raise UnusableExport(f"{source}: export files carry no properties of groups. Name another account source.")
        self.find_account = ways[source.kind]
        self.to_key = email_domain if source.kind == "person_email" else normalize_domain_from_url
        self.spill = _Spill()
        self.lines = self.kept = self.bad_lines = 0
        self.first_bad_lines: list[BadLine] = []
        self.usable_by_day: Counter[int] = Counter()
        self.group_seen = self.property_seen = False
        self.without_property = 0
        self.other_group_types: set[str] = set()

    def read(self, path: Path, progress: Callable[[int], object], *, gaps_allowed: bool) -> set[int]:
        """Count every line of one file; the days it covers, from its first usable event to its last."""
        before, self.usable_by_day = self.usable_by_day, Counter()
        number = 0
        try:
            for number, line in enumerate(_lines(path, progress), start=1):
                try:
                    self._line(line)
                except _BadLine as problem:
                    self._bad(BadLine(path, number, str(problem)))
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or f"the gzip data is damaged or cut off ({error})"
            raise UnusableExport(
                f"{path}: {reason}, after line {number}." if number else f"{path}: {reason}."
            ) from error
        finally:
            self.lines += number
            days = sorted(self.usable_by_day)
            self.usable_by_day.update(before)
        if not gaps_allowed:
            _refuse_gap(path, days)
        return set(range(days[0], days[-1] + 1)) if days else set()

    def _bad(self, line: BadLine) -> None:
        self.bad_lines += 1
        if len(self.first_bad_lines) < BAD_LINES_LISTED:
            self.first_bad_lines.append(line)

    def _line(self, line: bytes | None) -> None:
        """One line into exactly one count."""
        row = _decoded(line)
        event = row.get("event")
        if not event or not isinstance(event, str):
            raise _BadLine("no event name")
        second = _utc_second(row.get("timestamp"))
        day = second // _DAY
        if second > self.now:
            self.spill.leave_out(day, FUTURE, _date(day).isoformat())
            return
        tracked_as = self.aliases.get(event, event)
        if tracked_as in self.tracked:
            self._tracked(row, tracked_as, day, second)
        else:
            self.spill.leave_out(day, OTHER_EVENT, event)
        self.usable_by_day[day] += 1  # last: a bad line makes no day a covered one

    def _tracked(self, row: dict[str, Any], event: str, day: int, second: int) -> None:
        properties = _object(row, "properties")
        account = self.find_account(row, properties)
        key = self.to_key(account)
        if key is None:
            said_nothing = account is None or (isinstance(account, str) and not account.strip())
            self.spill.leave_out(day, NO_ACCOUNT if said_nothing else NOT_A_DOMAIN, "" if said_nothing else account)
            return
        self.kept += 1
        what = (
            event,
            stored_name(properties.get("content_type")),
            stored_name(properties.get("service_lane")),
            cta(properties.get("cta_id")) if event == "cta_click" else "",
            page_path(properties, self.site_hosts),
        )
        self.spill.keep(key, day, what, second, person_mark(row.get("person_id"), row.get("distinct_id")))

    def _group(self, row: dict[str, Any], properties: dict[str, Any]) -> object:
        groups = properties.get("$groups")
        if not isinstance(groups, dict):
            return None
        if self.source.name in groups:
            self.group_seen = True
            return groups[self.source.name]
        if len(self.other_group_types) < GROUP_TYPES_LISTED:
            self.other_group_types.update(groups)
        return None

    def _property(self, row: dict[str, Any], properties: dict[str, Any]) -> object:
        self.without_property += self.source.name not in properties
        self.property_seen = self.property_seen or self.source.name in properties
        return properties.get(self.source.name)

    def refuse_unusable(self) -> None:
        """Files of which nothing, or the wrong thing, can be used: stored, they would call their days empty."""
        if not self.usable_by_day:
            raise UnusableExport(self._why_nothing())
        if self.source.kind == "group" and self.other_group_types and not self.group_seen:
            types = ", ".join(example(known) for known in sorted(self.other_group_types)[:GROUP_TYPES_LISTED])
            raise UnusableExport(f"No event has a group of type {self.source.name!r}; the events have: {types}.")
        if self.without_property >= ENOUGH_EVENTS and not self.property_seen:
            raise UnusableExport(f"None of {self.without_property:,} events has a property {self.source.name!r}.")

    def _why_nothing(self) -> str:
        if not self.lines:
            return "The files are empty: nothing could be used."
        if not self.bad_lines:
            return f"Nothing could be used: of {self.lines:,} lines every one lies in the future."
        bad = "\n".join(map(str, self.first_bad_lines))
        return f"Nothing could be used: {self.bad_lines:,} of {self.lines:,} lines are bad.\n{bad}"

    def days_of(self, interval: tuple[date, date]) -> tuple[date, ...]:
        first, last = (day.toordinal() - _EPOCH_DAY for day in interval)
        outside = sum(events for day, events in self.usable_by_day.items() if not first <= day <= last)
        if outside:
            found = f"{_date(min(self.usable_by_day))} to {_date(max(self.usable_by_day))}"
            raise UnusableExport(f"Events outside {interval[0]} to {interval[1]}: {outside:,}. They go from {found}.")
        return tuple(map(_date, range(first, last + 1)))


def _refuse_gap(path: Path, days: list[int]) -> None:
    """One event from a computer whose clock is years off must not declare all the years between empty."""
    for earlier, later in pairwise(days):
        if later - earlier > LONGEST_GAP:
            raise UnusableExport(
                f"{path}: no event between {_date(earlier)} and {_date(later)}. If these days were empty, name the"
                " export's interval (--from and --to); if not, remove the events with the wrong date."
            )


class _Held:
    """What is held in memory of one account day. A person without a mark is ''."""

    __slots__ = ("cells", "last_second", "people")

    def __init__(self) -> None:
        self.cells: dict[What, int] = {}
        self.people: set[str] = set()
        self.last_second = 0


class _Spill:
    """Counts that outgrow the memory. SQLite's nameless database is a file it deletes itself, even after a kill."""

    def __init__(self) -> None:
        self.personal = self.platform = 0
        self._held: dict[tuple[str, int], _Held] = {}
        self._held_events = self._held_text = 0
        self._left_out: dict[tuple[int, str, str], int] = {}
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.executescript(
            f"""
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
            PRAGMA cache_size = -{SPILL_CACHE_KB};
            CREATE TABLE fact (id INTEGER PRIMARY KEY, account_key, day, part);
            CREATE TABLE left_out (day, reason, value, events);
            BEGIN;
            """
        )

    def keep(self, key: str, day: int, what: What, second: int, mark: str) -> None:
        held = self._held.get((key, day))
        if held is None:
            held = self._held[key, day] = _Held()
        held.cells[what] = held.cells.get(what, 0) + 1
        held.people.add(mark)
        if second > held.last_second:
            held.last_second = second
        self._held_events += 1
        self._held_text += len(what[4])
        if self._held_events >= SPILL_AT or self._held_text >= SPILL_AT_TEXT:
            self.flush()

    def leave_out(self, day: int, reason: str, value: object) -> None:
        found = (day, reason, example(value))
        self._left_out[found] = self._left_out.get(found, 0) + 1
        if len(self._left_out) >= SPILL_AT:
            self.flush()

    def flush(self) -> None:
        for (key, _), held in self._held.items():
            kind = _kind(key)
            if kind:
                events = sum(held.cells.values())
                self.personal += events if kind == "personal" else 0
                self.platform += events if kind == "platform" else 0
        # One text a part, not one row a cell: the temporary file then takes a third of the time.
        parts = (
            (key, day, orjson.dumps((tuple(held.cells.items()), tuple(held.people), held.last_second)))
            for (key, day), held in self._held.items()
        )
        self._file.executemany("INSERT INTO fact (account_key, day, part) VALUES (?, ?, ?)", parts)
        left_out = ((*found, events) for found, events in self._left_out.items())
        self._file.executemany("INSERT INTO left_out VALUES (?, ?, ?, ?)", left_out)
        self._held.clear()
        self._held_events = self._held_text = 0
        self._left_out.clear()

    def facts(self) -> Iterator[Any]:
        return self._file.execute("SELECT account_key, day, part FROM fact ORDER BY account_key, day, id")

    def left_out_by_day(self) -> Iterator[Any]:
        return self._file.execute(
            "SELECT day, reason, value, sum(events) FROM left_out GROUP BY 1, 2, 3 ORDER BY 1, 2, 4 DESC, 3"
        )

    def left_out(self) -> Iterator[Any]:
        return self._file.execute(
            "SELECT NULL, reason, value, sum(events) FROM left_out GROUP BY 2, 3 ORDER BY 2, 4 DESC, 3"
        )

    def close(self) -> None:
        self._file.close()


def _left_out(rows: Iterable[Any]) -> LeftOut:
    """Rows of one reason, the commonest value first."""
    events = 0
    examples: dict[str, int] = {}
    for _, _, value, count in rows:
        events += count
        if value and len(examples) < EXAMPLES:
            examples[value] = count
    return LeftOut(events, examples)


@lru_cache(maxsize=65_536)
def _kind(account_key: str) -> str:
    if is_personal(account_key):
        return "personal"
    return "platform" if is_platform(account_key) else ""


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH_DAY)


def _lines(path: Path, progress: Callable[[int], object]) -> Iterator[bytes | None]:
    """Each line of the file; None for one that is too long. Cut from large chunks: half the time of `readline`."""
    rest, too_long = b"", False
    for chunk in _chunks(path, progress):
        pieces: list[bytes | None] = list((rest + chunk).split(b"\n"))
        rest = cast(bytes, pieces.pop())
        if too_long and pieces:
            pieces[0], too_long = None, False
        yield from pieces
        too_long = too_long or len(rest) > LINE_LIMIT
        if too_long:
            rest = b""
    if too_long or rest:
        yield None if too_long else rest


def _chunks(path: Path, progress: Callable[[int], object]) -> Iterator[bytes]:
    """The file's text, unpacked if it begins like gzip, whatever it is called."""
    with open(path, "rb") as file:
        zipped = file.peek(2)[:2] == b"\x1f\x8b"
        text = cast(BinaryIO, gzip.GzipFile(fileobj=file) if zipped else file)
        told = 0
        chunk = _after_mark(path, text.read(CHUNK))
        while chunk:
            progress(file.tell() - told)
            told = file.tell()
            yield chunk
            chunk = text.read(CHUNK)


def _after_mark(path: Path, start: bytes) -> bytes:
    """The first chunk without a byte order mark; refused when it is no UTF-8 text at all."""
    try:
        head = codecs.getincrementaldecoder("utf-8")().decode(start[:2])
    except UnicodeDecodeError:
        head = "\0"
    if "\0" in head:  # UTF-16 has one in every ASCII character
        raise UnusableExport(f"{path}: not UTF-8 text. JSON Lines in UTF-8, plain or gzip, can be read.")
    return start.removeprefix(codecs.BOM_UTF8)


def _decoded(line: bytes | None) -> dict[str, Any]:
    if line is None or len(line) > LINE_LIMIT:
        raise _BadLine(f"longer than {LINE_LIMIT:,} bytes")
    row = _json(line)
    if not isinstance(row, dict):
        raise _BadLine("not a JSON object")
    return row


def _json(text: bytes | str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("Not enough memory"):  # the line is as good as any, and must not be left out for it
            raise MemoryError(error.msg) from error
        repaired = _without_halved_characters(text)
        if repaired is None:
            raise _BadLine(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    return _json(repaired)


def _without_halved_characters(text: bytes | str) -> bytes | None:
    """The text with halves of surrogate pairs replaced, None if it has none.

    Browsers cut titles in the middle of an emoji, and orjson refuses what is left: that must not cost the event.
    """
    raw = text.encode() if isinstance(text, str) else text
    repaired = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], raw) if b"\\u" in raw else raw
    return None if repaired == raw else repaired


def _object(row: dict[str, Any], field: str) -> dict[str, Any]:
    """A JSON object, or one written as a string: exports have both."""
    found = row.get(field)
    if isinstance(found, str) and found:
        found = _json(found)
    if found is None or found == "":
        return {}
    if not isinstance(found, dict):
        raise _BadLine(f"{field} is not an object")
    return found


def _email(row: dict[str, Any], properties: dict[str, Any]) -> object:
    """The person's e-mail: as PostHog knew it at the time, as the event sets it, as a form sent it."""
    written = properties.get("$set")
    for found in (
        _object(row, "person_properties").get("email"),
        written.get("email") if isinstance(written, dict) else None,
        properties.get("email"),
    ):
        if found:
            return found
    return None


def _utc_second(text: object) -> int:
    """Seconds since 1970 of an ISO 8601 time with its zone; whole, because PostHog's own answers are."""
    if not text or not isinstance(text, str):
        raise _BadLine("no timestamp")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _spelled_utc(text)
    if moment.tzinfo is None:
        raise _BadLine("timestamp without zone")
    second = (moment - _EPOCH) // _SECOND
    if not _FIRST_SECOND <= second < _END_SECOND:
        raise _BadLine(f"timestamp outside the years {YEARS[0]} to {YEARS[1]}")
    return second


def _spelled_utc(text: str) -> datetime:
    """`2026-11-21 10:00:00.123456 UTC`, as some exports write it."""
    try:
        return datetime.fromisoformat(text[:-4] + "Z" if text.endswith(" UTC") else "")
    except ValueError as error:
        raise _BadLine(f"timestamp not understood: {example(text)!r}") from error
