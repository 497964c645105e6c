"""What is kept for a while only: facts, snapshots, runs, history, what forms sent, ended sessions, and what packages
above name in settings (`KEPT_FOR_A_WHILE`).

A night ends with it (`scoring.nights`), and `purge_history` does it by hand. Each batch is a transaction of its own and
finds its rows by key, so that it can be killed anywhere and begun again, and never holds a lock for long.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Exists, Max, Min, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Length
from django.utils.module_loading import import_string

from ingestion.models import ActivityDay, ActivityPull, LeadRequest
from registry.transactions import transact
from scoring.models import NIGHT, DailyAccountIntent, JobRun

BATCH = 1_000
NOTHING_SENT = 2  # characters of {}


Purged = dict[str, int]  # what → how many rows went, or would go. `payloads`: of leads, which themselves stay
Do = Callable[[Callable[[], Any]], None]  # does one batch: guarded, in a transaction; or nothing, where it only counts


def purge(now: datetime, *, write: bool = True, guard: Callable[[], None] = lambda: None) -> Iterator[Purged]:
    """Remove what is older than its setting allows; yields after each batch. `guard` is called first in each of them.

    Runs that a kept snapshot names stay, and so does every account's newest snapshot, however old.
    """
    do = partial(_do, write, guard)
    parts: dict[str, Iterator[int]] = {
        "facts": _facts(_before(now, settings.FACT_RETENTION_DAYS), do),
        "snapshots": _snapshots(_before(now, settings.SNAPSHOT_RETENTION_DAYS), do),
        "runs": _runs(now, settings.RUN_RETENTION_DAYS, do),
        "history": _history(now, settings.HISTORY_RETENTION_DAYS, do),
        "payloads": _payloads(now, settings.PAYLOAD_RETENTION_DAYS, do),
        "sessions": delete(Session.objects.filter(expire_date__lt=now), do),
    }
    for name in settings.KEPT_FOR_A_WHILE:
        parts |= import_string(name)(now, do)
    purged = dict.fromkeys(parts, 0)
    yield purged
    for name, batches in parts.items():
        for rows in batches:
            purged[name] += rows
            yield purged


def _do(write: bool, guard: Callable[[], None], work: Callable[[], Any]) -> None:
    def guarded() -> None:
        guard()
        work()

    if write:
        transact(guarded)


def _before(now: datetime, days: int) -> date | None:
    """The first day that is kept; None where all are."""
    return now.date() - timedelta(days=days) if days else None


def _facts(first_kept: date | None, do: Do) -> Iterator[int]:
    """A day is marked first: from then on no date whose window holds it can be scored, so that none is ever scored from
    half of its facts."""
    if first_kept is None:
        return
    gone = ActivityPull.State.PURGED
    do(partial(ActivityPull.objects.filter(date__lt=first_kept).exclude(state=gone).update, state=gone))
    for day in _dates(ActivityDay, first_kept):
        of_day, after = ActivityDay.objects.filter(date=day), ""
        keys = of_day.order_by("account_key").values_list("account_key", flat=True)
        while page := list(keys.filter(account_key__gt=after)[:BATCH]):
            do(of_day.filter(account_key__gt=after, account_key__lte=page[-1]).delete)
            after = page[-1]
            yield len(page)


def _snapshots(first_kept: date | None, do: Do) -> Iterator[int]:
    """Lists show an account by its newest snapshot: that one stays."""
    if first_kept is None:
        return
    for day in _dates(DailyAccountIntent, first_kept):
        yield from delete(DailyAccountIntent.objects.filter(date=day, prospect_company__snapshot_date__gt=day), do)


def _dates(model: type[Model], end: date) -> Iterator[date]:
    """The dates before `end` that have rows, one seek in the index each."""
    rows = model._default_manager.filter(date__lt=end)
    day = rows.aggregate(first=Min("date"))["first"]
    while day is not None:
        yield day
        day = rows.filter(date__gt=day).aggregate(first=Min("date"))["first"]


def _runs(now: datetime, days: int, do: Do) -> Iterator[int]:
    if not days:
        return
    ended = JobRun.objects.filter(finished_at__lt=now - timedelta(days=days))
    named = DailyAccountIntent.objects.filter(job_run=OuterRef("pk"))
    last_night = JobRun.objects.filter(kind=NIGHT, state=JobRun.State.DONE).aggregate(last=Max("slot"))["last"]
    old = ended.filter(~Exists(named), state__in=[JobRun.State.DONE, JobRun.State.FAILED])
    yield from delete(old.exclude(kind=NIGHT, slot__gte=last_night) if last_night else old, do)


def _history(now: datetime, days: int, do: Do) -> Iterator[int]:
    """Who changed what in the registry, and the admin's log. What a row that is still there last became stays; so does
    that of a deleted default, by which the seeds know that it was there (decision 7)."""
    if not days:
        return
    end = now - timedelta(days=days)
    for model in _history_models():
        key = model.instance_type._meta.pk.attname  # type: ignore[attr-defined]
        later = model._default_manager.filter(**{key: OuterRef(key)}, history_id__gt=OuterRef("history_id"))
        gone = Q(history_type="-")
        if hasattr(model, "seed_key"):
            gone &= Q(seed_key__isnull=True)
        old = model._default_manager.filter(gone | Exists(later), history_date__lt=end)
        yield from delete(old, do)
    yield from delete(LogEntry.objects.filter(action_time__lt=end), do)


def _history_models() -> list[type[Model]]:
    tables = (model for app in apps.get_app_configs() for model in app.get_models())
    return [model for model in tables if hasattr(model, "history_type") and hasattr(model, "instance_type")]


def _payloads(now: datetime, days: int, do: Do) -> Iterator[int]:
    """The body as it was sent; what Orbit read from it stays."""
    if not days:
        return
    sent = LeadRequest.objects.annotate(size=Length("payload_json")).filter(size__gt=NOTHING_SENT)
    for page in _pages(sent.filter(submitted_at__lt=now - timedelta(days=days))):
        do(partial(LeadRequest.objects.filter(pk__in=page).update, payload_json={}))
        yield len(page)


def delete(rows: QuerySet[Any], do: Do) -> Iterator[int]:
    for page in _pages(rows):
        do(rows.model._default_manager.filter(pk__in=page).delete)
        yield len(page)


def _pages(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """Primary keys in order, a batch at a time."""
    keys = rows.order_by("pk").values_list("pk", flat=True)
    page = list(keys[:BATCH])
    while page:
        yield page
        page = list(keys.filter(pk__gt=page[-1])[:BATCH])


def purged_days(first: date, last: date) -> int:
    """How many of these days lost their facts to their age."""
    return ActivityPull.objects.filter(state=ActivityPull.State.PURGED, date__gte=first, date__lte=last).count()
