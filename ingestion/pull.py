"""PostHog's days as facts, one after the other, each whole or not at all.

`pull` is a generator that yields after each day that is stored. Two threads ask PostHog (`ingestion.days`); this one
stores what they read, one day a transaction, and keeps the run alive meanwhile.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from statistics import median
from typing import TypeVar

from django.conf import settings

from ingestion.activity import Mode, StoreReport, store
from ingestion.days import DayRead, read_day
from ingestion.models import ActivityPull
from ingestion.posthog import Meter, PostHogClient, PostHogError
from ingestion.site import Site, look_at_site, site_of_settings
from ingestion.stitching import find_strangers, known_people
from registry.transactions import transact

T = TypeVar("T")
FIRST_DAYS = 59  # so that 30 past snapshots can be made, each of a window of 30 days
IN_FLIGHT = 2  # PostHog runs three queries of an organisation at a time, and people use it too
LOW_VOLUME, ORDINARY_VOLUME, WEEKS = 0.2, 200, 4  # the brake (design 2)


# --- Which days ---------------------------------------------------------------------------------------------------
def days_to_read(today: date, since: datetime | None = None, *, full: bool = False) -> list[date]:
    """The days a night reads, oldest first: those that may have changed and those that are not in.

    Of the last 59 days, each that is not in; of the last POSTHOG_REPULL_DAYS, each that PostHog gave before, since late
    events change the past. Days that were imported from files stay as they are. `since`: those read after it are done.
    `full`: all 59, whatever is known of them.
    """
    window = _window(today)
    if full:
        return window
    last = window[-1]
    pulls = {pull.date: pull for pull in ActivityPull.objects.filter(date__range=(window[0], last))}
    young = last - timedelta(days=settings.POSTHOG_REPULL_DAYS)
    return [day for day in window if _is_due(pulls.get(day), since, is_young=day > young)]


def days_from_files(today: date) -> int:
    """How many of the last 59 days `days_to_read` leaves out because they came from files."""
    window = _window(today)
    days = ActivityPull.objects.filter(date__range=(window[0], window[-1]), read_at=None)
    return days.filter(state=ActivityPull.State.PULLED).count()


def _window(today: date) -> list[date]:
    return [today - timedelta(days=age) for age in range(FIRST_DAYS, 0, -1)]


def _is_due(pull: ActivityPull | None, since: datetime | None, *, is_young: bool) -> bool:
    if pull is None or pull.state != ActivityPull.State.PULLED:
        return True
    return is_young and pull.read_at is not None and (since is None or pull.read_at < since)


# --- All days -----------------------------------------------------------------------------------------------------
@dataclass
class Pulled:
    """What a pull did so far."""

    total: int
    days: int = 0
    events: int = 0
    account_days: int = 0
    written: int = 0
    removed: int = 0
    seconds: float = 0
    meter: Meter = field(default_factory=Meter)
    unresolved: dict[str, int] = field(default_factory=dict)
    site: Site | None = None  # what PostHog said of it, once it did

    def note(self, read: DayRead, report: StoreReport | None) -> None:
        self.days += 1
        self.events += read.events
        self.account_days += len(read)
        self.meter += read.meter
        for reason, found in read.unresolved()[read.day].items():
            self.unresolved[reason] = self.unresolved.get(reason, 0) + found["events"]
        if report is not None:
            self.written += report.written
            self.removed += report.removed

    def as_json(self) -> dict[str, object]:
        counts = {name: getattr(self, name) for name in ("days", "events", "account_days", "written", "removed")}
        asked = {"requests": self.meter.requests, "bytes": self.meter.bytes, "scanned": self.meter.scanned}
        return {**counts, **asked, "seconds": round(self.seconds, 3), "unresolved": dict(self.unresolved)}


def pull(
    client: PostHogClient,
    days: Sequence[date],
    now: datetime,
    *,
    guard: Callable[[], None] = lambda: None,
    keep: bool = True,
) -> Iterator[Pulled]:
    """Read the days and replace their facts. `guard` keeps the run alive: it is called while PostHog is waited for and
    first in every transaction, and what it raises ends the pull. `keep=False` stores nothing.

    PostHogError names the day; the days before it are stored, and stay.
    """
    started = time.monotonic()
    site = site_of_settings()
    site.people = known_people()
    done = Pulled(len(days))
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="posthog") as pool:
        try:
            awaited(pool.submit(look_at_site, client, site), guard)
            awaited(pool.submit(find_strangers, client, site, days), guard)
            done.meter += site.meter
            done.site = site
            yield done
            ahead = ((day, pool.submit(read_day, client, site, day, now)) for day in days)
            open_reads = list(islice(ahead, IN_FLIGHT))
            while open_reads:
                day, future = open_reads.pop(0)
                read = _read(day, future, guard, keep=keep)
                open_reads += islice(ahead, 1)
                done.note(read, _keep(read, site, now, guard) if keep else None)
                done.seconds = time.monotonic() - started
                yield done
        except BaseException:
            client.stop.set()  # whatever ended this, the threads end too
            raise


def awaited(future: Future[T], guard: Callable[[], None]) -> T:
    """What a thread found. A run that waits for PostHog says meanwhile that it lives; what `guard` raises ends it."""
    while not wait([future], timeout=settings.JOB_LEASE_SECONDS / 4).done:
        guard()
    return future.result()


def _read(day: date, future: Future[DayRead], guard: Callable[[], None], *, keep: bool) -> DayRead:
    try:
        return awaited(future, guard)
    except PostHogError as error:
        error.args = (f"{day}: {error}",)
        if keep:
            _note_failure(day, str(error))
        raise


def _note_failure(day: date, message: str) -> None:
    """A day that was never read says why; one that was keeps its facts and its state."""
    failed = {"state": ActivityPull.State.FAILED, "message": message}
    transact(partial(ActivityPull.objects.get_or_create, date=day, defaults=failed))
    ActivityPull.objects.filter(date=day, state=ActivityPull.State.FAILED).update(message=message)


def _keep(read: DayRead, site: Site, now: datetime, guard: Callable[[], None]) -> StoreReport:
    def once() -> StoreReport:
        guard()
        report = store(read, Mode.REPLACE, f"PostHog {site.source}")
        asked = {"requests": read.meter.requests, "bytes": read.meter.bytes, "scanned": read.meter.scanned}
        ActivityPull.objects.filter(date=read.day).update(**asked, seconds=round(read.seconds, 3), read_at=now)
        return report

    return transact(once)


# --- The brake ----------------------------------------------------------------------------------------------------
def hold_low_volume(day: date) -> str:
    """Set the day aside if it has far fewer events than the same weekday of the four weeks before: no score is made of
    it then. Why, or '' where all is well, nothing is there to compare with, or somebody has accepted the day."""
    before = [day - timedelta(weeks=week) for week in range(1, WEEKS + 1)]
    of_day = ActivityPull.objects.filter(date=day, state=ActivityPull.State.PULLED, accepted_by="")
    events = of_day.values_list("events", flat=True).first()
    known = list(
        ActivityPull.objects.filter(date__in=before, state=ActivityPull.State.PULLED).values_list("events", flat=True)
    )
    if events is None or not is_low(events, known):
        return ""
    why = (
        f"{day} has {events:,} events, and the same weekday of the four weeks before had {median(known):,.0f}."
        " Something is likely broken on the way from the site to PostHog, so nothing was scored."
    )
    of_day.update(state=ActivityPull.State.HELD, message=why)
    return why


def accept(day: date, by: str) -> None:
    """The day counts as it is, also when it is read again later."""
    ActivityPull.objects.filter(date=day).update(accepted_by=by)


def is_low(events: int, before: Sequence[int]) -> bool:
    """Below 20 % of the median of four days whose median is at least 200 (design 2)."""
    return len(before) == WEEKS and median(before) >= ORDINARY_VOLUME and events < LOW_VOLUME * median(before)
