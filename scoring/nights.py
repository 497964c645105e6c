"""A night: pull what is new, score every date that is due, and see who of the known people came by (spec 7).

What a worker does begins here, with a JobRun that it has claimed already. What fails is kept in the run, and raised.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings
from django.utils import timezone

from accounts.naming import name_by_group
from ingestion.leads import tie_loose_leads
from ingestion.posthog import PostHogClient, connect
from ingestion.pull import Pulled, accept, days_to_read, hold_low_volume, pull
from ingestion.site import Site
from scoring.models import NIGHT, PULL, DailyAccountIntent, JobRun, LeaseLost
from scoring.people import see_people
from scoring.retention import purge
from scoring.rollup import check_window, first_lead_day, first_pulled_day, last_full_day
from scoring.runs import Held, backfill_dates, ending, plain, recompute_dates

log = logging.getLogger(__name__)
KEPT_UP = 30  # dates that a night still makes: of a new installation, and after a standstill
NIGHT_BEGINS = time(2, tzinfo=UTC)  # spec 7


@dataclass(frozen=True)
class Source:
    """PostHog, as far as a run has looked at it."""

    client: PostHogClient
    site: Site


def perform_night(run: JobRun, now: datetime) -> None:
    """Pull, recompute, names and people, and what is too old goes: all that is due.

    The night of a slot scores the day before it, whenever it is done: one that is tried again after midnight is still
    the night of its slot. A second attempt goes on where the first ended: days read since 02:00 are not read again.
    """
    assert run.slot is not None, "a night has a slot"
    with ending(run):
        result: dict[str, object] = {"tied": tie_loose_leads()}
        as_of, source = run.slot - timedelta(days=1), None
        if is_configured():
            days = days_to_read(run.slot, since=datetime.combine(run.slot, NIGHT_BEGINS))
            source = pull_days(run, days, as_of, now, result)
        check_window(as_of, now.date())  # first: a night that cannot score its own date changes no score at all
        dates, skipped = backfill_dates(as_of, unpublished(as_of), now.date())
        result |= recompute_dates(run, dates, now, skipped=skipped).as_json()
        if source is not None:
            meet(run, source, as_of, now, result)
        tidy_up(run, now, result)
        run.succeed(result, timezone.now())


def perform_recompute(run: JobRun, now: datetime) -> None:
    """What somebody asked for. `run.params_json`: date (ISO or null), backfill (n or null), restate, pull, accounts."""
    with ending(run):
        asked, result = run.params_json, dict[str, object]()
        as_of = date.fromisoformat(asked["date"]) if asked.get("date") else last_full_day(now)
        source = None
        if asked.get("pull"):
            days = days_to_read(now.date(), since=run.queued_at)
            source = pull_days(run, days, last_full_day(now), now, result)
        dates, skipped = [as_of], dict[date, str]()
        if asked.get("backfill"):
            dates, skipped = backfill_dates(as_of, asked["backfill"], now.date())
        domains, restate = asked.get("accounts"), bool(asked.get("restate"))
        outcome = recompute_dates(run, dates or [as_of], now, domains=domains, restate=restate, skipped=skipped)
        result |= outcome.as_json()
        if source is not None:
            meet(run, source, last_full_day(now), now, result)
        run.succeed(result, timezone.now())


def perform_pull(run: JobRun, now: datetime) -> None:
    """The days of `run.params_json` once more: a pull that was held, and that somebody lets through."""
    with ending(run):
        _pull_alone(run, [date.fromisoformat(day) for day in run.params_json["days"]], now, lambda pulled: None)


def run_pull(
    days: list[date], now: datetime, *, asked_by: str, on_progress: Callable[[Pulled], None] = lambda pulled: None
) -> None:
    """Pull the days under a JobRun that begins now. RunInProgress while another bulk run goes on; PostHogError and Held
    as they are kept in the run."""
    params = {"days": [str(day) for day in days]}
    run = JobRun.objects.claim(PULL, timezone.now(), is_bulk=True, asked_by=asked_by, params=params)
    with ending(run):
        _pull_alone(run, days, now, on_progress)


def _pull_alone(run: JobRun, days: list[date], now: datetime, on_progress: Callable[[Pulled], None]) -> None:
    result: dict[str, object] = {}
    source = pull_days(run, days, last_full_day(now), now, result, on_progress)
    result["named"] = name_by_group(source.site.names(), now, run.heartbeat)
    run.succeed(result, timezone.now())


def is_configured() -> bool:
    """Without a key nothing is pulled: activity comes from files then."""
    return bool(settings.POSTHOG_API_KEY)


def pull_days(
    run: JobRun,
    days: list[date],
    newest: date,
    now: datetime,
    result: dict[str, object],
    on_progress: Callable[[Pulled], None] = lambda pulled: None,
) -> Source:
    """As a part of a run. Held when the `newest` day looks broken, unless somebody accepted it."""
    client = connect()
    site = None
    for pulled in pull(client, days, now, guard=run.heartbeat):
        run.advance(pulled.days, pulled.total, "pull")
        result["pull"] = pulled.as_json()
        run.result_json = result
        site = pulled.site
        on_progress(pulled)
    if accepted_by := JobRun.objects.get(pk=run.pk).params_json.get("accepted_by"):  # perhaps a moment ago
        accept(newest, accepted_by)
    if why := hold_low_volume(newest):
        raise Held(why)
    return Source(client, site)


def meet(run: JobRun, source: Source, as_of: date, now: datetime, result: dict[str, object]) -> None:
    """What PostHog knows by name: accounts by their groups, and people by their ids."""
    run.advance(0, 0, "people")
    result["named"] = name_by_group(source.site.names(), now, run.heartbeat)
    asked_before = source.site.meter.requests
    changed = sum(see_people(source.client, source.site, as_of, now, run.heartbeat))
    result["people"] = {"contacts": changed, "requests": source.site.meter.requests - asked_before}


def tidy_up(run: JobRun, now: datetime, result: dict[str, object]) -> None:
    """What is too old goes. The scores are in: whatever fails here is said, and left to the next night."""
    run.advance(0, 0, "purge")
    try:
        for purged in purge(now, guard=run.heartbeat):
            result["purged"] = dict(purged)
    except LeaseLost:
        raise
    except Exception as error:
        log.exception("Old rows were not removed; the next night tries again.")
        result["purge_failed"] = plain(error)


def is_due(slot: date) -> bool:
    """A new installation waits for its first day of activity: a night before that would fail, and nothing is wrong.
    Where there ever was a night or a score, each night is due, and one that finds nothing says so."""
    published = DailyAccountIntent.objects.filter(is_provisional=False)
    if is_configured() or JobRun.objects.filter(kind=NIGHT).exists() or published.exists():
        return True
    begin = first_pulled_day() or first_lead_day()
    return begin is not None and begin < slot


def unpublished(as_of: date) -> int:
    """How many dates up to `as_of` a night scores: one after an ordinary day, more after a standstill.

    A date whose run was not finished counts too: it may hold some accounts and not others.
    """
    published = DailyAccountIntent.objects.filter(is_provisional=False, date__lt=as_of)
    newest = published.order_by("-date").values_list("date", flat=True).first()
    if newest is None:
        return KEPT_UP
    unfinished = published.filter(date=newest, job_run__isnull=False).exclude(job_run__state=JobRun.State.DONE)
    return min((as_of - newest) // timedelta(days=1) + unfinished.exists(), KEPT_UP)
