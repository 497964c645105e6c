"""What the Runs page reads: job runs as people read them. No HTTP here.

`JobRun.result_json` and `params_json` are read as what they are, JSON that another version may have written: a part
that is absent or odd counts as nothing, and never breaks the page that has to say what went wrong.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.db.models.functions import Now

from ingestion.models import ActivityPull
from scoring.jobs import due_slot
from scoring.models import NIGHT, PREVIEW, PULL, RECOMPUTE, JobRun, JobRunQuerySet
from scoring.nights import NIGHT_BEGINS

PAGE = 50
NAMED = 20  # domains of a run that are spelled out
REMOVED = {  # what `scoring.retention` counts, and `ai_summaries.retention`
    "facts": "Facts of an account and day",
    "snapshots": "Snapshots",
    "runs": "Runs",
    "history": "Lines of the registry’s history and the admin’s log",
    "payloads": "What a form sent, word for word",
    "sessions": "Ended sessions",
    "replaced_briefs": "Briefs replaced on their day",
    "older_briefs": "Briefs of earlier days",
    "brief_attempts": "Attempts at briefs",
    "brief_budgets": "Counts of a day’s briefs",
}


@dataclass(frozen=True, slots=True)
class RunFilter:
    state: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class ScoredDate:
    date: str
    accounts: int
    created: int
    changed: int
    unchanged: int
    kept: int
    removed: int


@dataclass(frozen=True, slots=True)
class Pull:
    """What a run read from PostHog, in all."""

    days: int
    events: int
    account_days: int
    requests: int
    bytes: int
    scanned: int  # by PostHog, which counts against its read budget
    seconds: float
    unresolved: tuple[tuple[str, int], ...]

    @property
    def events_unresolved(self) -> int:
        return _sum(self.unresolved)


@dataclass(frozen=True, slots=True)
class Result:
    dates: tuple[ScoredDate, ...]
    skipped: tuple[tuple[str, str], ...]
    pull: Pull | None
    named: int | None  # accounts that got a name
    contacts: int | None
    unresolved_keys: tuple[tuple[str, int], ...]
    unmatched_pages: tuple[tuple[str, int], ...]
    unweighed_events: tuple[tuple[str, int], ...]
    registry_problems: tuple[str, ...]
    removed: tuple[tuple[str, int], ...] | None  # for their age, in words; None where nobody looked
    removal_failed: str

    @property
    def rows_removed(self) -> int:
        return _sum(self.removed or ())

    @property
    def accounts(self) -> int:
        """Of the date that has most: a backfill scores the same accounts on every date."""
        return max((line.accounts for line in self.dates), default=0)

    @property
    def totals(self) -> ScoredDate:
        names = ("accounts", "created", "changed", "unchanged", "kept", "removed")
        return ScoredDate("", *(sum(getattr(line, name) for line in self.dates) for name in names))

    @property
    def keys_unresolved(self) -> int:
        return _sum(self.unresolved_keys)

    @property
    def views_unmatched(self) -> int:
        return _sum(self.unmatched_pages)


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `state` is the row's, except `silent`: it says that it runs, and its lease is over."""

    id: UUID
    kind: str
    title: str
    state: str
    asked_by: str
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None  # of the present attempt, so far
    heartbeat_at: datetime | None
    not_before: datetime | None
    attempt: int
    phase: str
    done: int
    total: int
    message: str
    accepted_by: str
    asked: tuple[tuple[str, str], ...]
    domains: tuple[str, ...]
    slot: date | None  # of a night: the UTC day of its 02:00
    is_due: bool  # of a night: no later one has taken its place
    result: Result

    @property
    def is_live(self) -> bool:
        """It may still change by itself."""
        return self.state in ("queued", "running", "silent")

    @property
    def can_be_published(self) -> bool:
        """What was pulled by hand has nothing to publish, and an older night's dates are a later one's."""
        return self.state == "held" and (self.is_due if self.kind == NIGHT else self.kind != PULL)

    @property
    def word(self) -> str:
        if self.state == "queued" and self.attempt:
            return "Queued again"
        return self.state.capitalize()

    @property
    def last_word(self) -> str:
        """What to call the message: of a run that is tried again it tells of the attempt before."""
        return "The last attempt: " if self.state in ("queued", "running") else ""

    @property
    def advice(self) -> str:
        """What to do, or what happens by itself."""
        if self.state == "held" and not self.can_be_published:
            return "A later night decides about these days, or finds them in order."
        if self.state == "held":
            return (
                "No score was changed: those of the night before stay. If the site's tracking is broken, mend it: a"
                " later attempt reads the days again. If the volume is right, publish anyway."
            )
        if self.state == "failed":
            if self.kind == NIGHT and not self.is_due:
                return "A later night makes up its dates."
            if self.kind == NIGHT:
                return "It is tried again by itself within minutes; until it succeeds the scores stay as they are."
            return "Mend the cause, then ask for it again."
        if self.state == "silent":
            return "It is tried again by itself within minutes." if self.kind == NIGHT else "Ask for it again."
        if self.state == "queued" and self.accepted_by:
            return f"{self.accepted_by} publishes it anyway: the next worker that is free goes on with it."
        return "It waits for a worker." if self.state == "queued" else ""


@dataclass(frozen=True, slots=True)
class Runs:
    rows: tuple[Run, ...]
    count: int
    page: int
    pages: int
    states: tuple[Choice, ...]
    kinds: tuple[Choice, ...]
    nothing_ran: bool


@dataclass(frozen=True, slots=True)
class PulledDay:
    date: date
    state: str
    events: int
    keys: int
    requests: int
    bytes: int
    seconds: float
    unresolved: tuple[tuple[str, int], ...]
    examples: tuple[str, ...]  # of values that were the cause
    message: str

    @property
    def events_unresolved(self) -> int:
        return _sum(self.unresolved)


def runs(chosen: RunFilter, now: datetime, page: int = 1) -> Runs:
    """Newest first; a page past the end is the last one. Two queries, whatever the number of rows."""
    counts = {
        (state, kind): number
        for state, kind, number in JobRun.objects.values_list("state", "kind").annotate(Count("id")).order_by()
    }
    count = sum(n for (state, kind), n in counts.items() if chosen.state in ("", state) and chosen.kind in ("", kind))
    pages = max(1, -(-count // PAGE))
    page = min(page, pages)
    found = _seen()
    if chosen.state:
        found = found.filter(state=chosen.state)
    if chosen.kind:
        found = found.filter(kind=chosen.kind)
    start = (page - 1) * PAGE
    states, kinds = Counter[str](), Counter[str]()
    for (state, kind), number in counts.items():
        states[state] += number * (chosen.kind in ("", kind))
        kinds[kind] += number * (chosen.state in ("", state))
    return Runs(
        rows=tuple(_run(row, now) for row in found.order_by("-started_at", "-id")[start : start + PAGE]),
        count=count,
        page=page,
        pages=pages,
        states=tuple(Choice(state, states[state]) for state in JobRun.State.values),
        kinds=tuple(Choice(kind, number) for kind, number in sorted(kinds.items())),
        nothing_ran=not counts,
    )


def run(id: UUID, now: datetime) -> Run | None:
    row = _seen().filter(pk=id).first()
    return _run(row, now) if row else None


def pulled_days(run: Run) -> tuple[PulledDay, ...]:
    """The days that this run was the last to read, in any of its attempts, newest first."""
    if run.started_at is None or not _pulls(run.kind, dict(run.asked)):
        return ()
    since = datetime.combine(run.slot, NIGHT_BEGINS) if run.slot else min(run.asked_at, run.started_at)
    until = {"lte": run.finished_at} if run.finished_at else {}
    read, failed = (
        Q(**{f"{column}__gte": since}, **{f"{column}__{way}": moment for way, moment in until.items()})
        for column in ("read_at", "updated_at")
    )
    troubled = Q(state__in=[ActivityPull.State.FAILED, ActivityPull.State.HELD])
    return tuple(
        PulledDay(
            date=day.date,
            state=day.state,
            events=day.events,
            keys=day.keys,
            requests=day.requests,
            bytes=day.bytes,
            seconds=day.seconds,
            unresolved=_counts(day.unresolved_json),
            examples=tuple(
                str(value)
                for why in _table(day.unresolved_json).values()
                for value in _table(_table(why).get("examples"))
            ),
            message=day.message,
        )
        for day in ActivityPull.objects.filter(read | failed & troubled).order_by("-date")
    )


def _seen() -> JobRunQuerySet:
    return JobRun.objects.annotate(silent=Q(state=JobRun.State.RUNNING, lease_until__lt=Now()))


def _run(row: Any, now: datetime) -> Run:
    asked = _table(row.params_json)
    domains = asked.get("accounts") or asked.get("domains")
    waits = row.state == JobRun.State.QUEUED
    began, ended = (None, None) if waits else (row.started_at, row.finished_at)
    until = row.heartbeat_at if row.silent else ended or now
    return Run(
        id=row.id,
        kind=row.kind,
        title=_title(row.kind, row.slot, asked),
        state="silent" if row.silent else row.state,
        asked_by=row.asked_by,
        asked_at=row.queued_at or row.started_at,
        started_at=began,
        finished_at=ended,
        seconds=max((until - began).total_seconds(), 0) if began and until else None,
        heartbeat_at=row.heartbeat_at,
        not_before=row.not_before,
        attempt=row.attempt,
        phase=row.phase,
        done=row.done_items,
        total=row.total_items,
        message=row.last_word if row.silent else row.message,
        accepted_by=str(asked.get("accepted_by") or ""),
        asked=tuple((name, "yes") for name in ("pull", "restate") if asked.get(name) is True),
        domains=tuple(map(str, domains)) if isinstance(domains, list) else (),
        slot=row.slot,
        is_due=row.kind == NIGHT and row.slot == due_slot(now),
        result=_result(_table(row.result_json)),
    )


def _title(kind: str, slot: date | None, asked: dict[str, Any]) -> str:
    """`Night of 22 Nov`, `Backfill of 30 dates`, `Recompute of Sat 21 Nov`, `Recompute of acme.example`."""
    if kind == NIGHT and slot:
        return f"Night of {slot.day} {slot:%b}"
    days = asked.get("days")
    if kind == PULL and isinstance(days, list) and days:
        return f"Pull of {len(days)} day{'s' if len(days) > 1 else ''}"
    if kind == PREVIEW and asked.get("name"):
        return f"Preview of {asked['name']}"
    if kind != RECOMPUTE:
        return kind.replace("_", " ").capitalize()
    domains = asked.get("accounts") or asked.get("domains")
    dates = asked.get("dates") if isinstance(asked.get("dates"), list) else []
    if isinstance(domains, list):
        return f"Recompute of {domains[0]}" if len(domains) == 1 else f"Recompute of {len(domains)} accounts"
    many = int(_number(asked.get("backfill"))) or len(dates)
    if many > 1:
        return f"Backfill of {many:,} dates"
    return f"Recompute of {_day(asked.get('date') or dates[0])}" if asked.get("date") or dates else "Recompute"


def _day(text: object) -> str:
    """A stored date as people write it; what is no date stays as it is."""
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return f"{day:%a} {day.day} {day:%b}"


def _pulls(kind: str, asked: dict[str, str]) -> bool:
    return kind in (NIGHT, PULL) or "pull" in asked


def _result(stored: dict[str, Any]) -> Result:
    people = _table(stored.get("people"))
    dates = stored.get("dates")
    problems = stored.get("registry_problems")
    return Result(
        dates=tuple(_scored(_table(line)) for line in dates) if isinstance(dates, list) else (),
        skipped=tuple((_day(day), str(why)) for day, why in _table(stored.get("skipped")).items()),
        pull=_pull(_table(stored["pull"])) if stored.get("pull") else None,
        named=int(_number(stored["named"])) if "named" in stored else None,
        contacts=int(_number(people["contacts"])) if "contacts" in people else None,
        unresolved_keys=_counts(stored.get("unresolved_keys")),
        unmatched_pages=_counts(stored.get("unmatched_pages")),
        unweighed_events=_counts(stored.get("unweighed_events")),
        registry_problems=tuple(map(str, problems)) if isinstance(problems, list) else (),
        removed=_removed(stored["purged"]) if "purged" in stored else None,
        removal_failed=str(stored.get("purge_failed") or ""),
    )


def _scored(line: dict[str, Any]) -> ScoredDate:
    names = ("accounts", "created", "changed", "unchanged", "kept", "removed")
    return ScoredDate(_day(line.get("date", "")), *(int(_number(line.get(name))) for name in names))


def _pull(stored: dict[str, Any]) -> Pull:
    names = ("days", "events", "account_days", "requests", "bytes", "scanned")
    return Pull(
        *(int(_number(stored.get(name))) for name in names),
        seconds=_number(stored.get("seconds")),
        unresolved=_counts(stored.get("unresolved")),
    )


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _counts(value: object) -> tuple[tuple[str, int], ...]:
    """Word → number, the largest first. Of a pulled day the number stands beside examples."""
    found = [(str(word), int(_number(_table(n).get("events", n)))) for word, n in _table(value).items()]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _removed(value: object) -> tuple[tuple[str, int], ...]:
    return tuple((REMOVED.get(what, what.replace("_", " ").capitalize()), n) for what, n in _counts(value) if n)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and isfinite(value) else 0


def _sum(counts: Iterable[tuple[str, int]]) -> int:
    return sum(number for _, number in counts)
