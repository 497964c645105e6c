"""A night: pull what is new, score every date that is due, and see who of the known people came by (spec 7).

What a worker does begins here, with a JobRun that it has claimed already. What fails is kept in the run, and raised.
"""

from datetime import date, datetime, timedelta

from django.utils import timezone

from scoring.models import DailyAccountIntent, JobRun
from scoring.rollup import last_full_day
from scoring.runs import backfill_dates, ending, recompute_dates

KEPT_UP = 30  # dates that a night still makes: of a new installation, and after a standstill


def perform_night(run: JobRun, now: datetime) -> None:
    """Pull, recompute, people: all that is due."""
    with ending(run):
        as_of = last_full_day(now)
        dates, skipped = backfill_dates(as_of, unpublished(as_of), now.date())
        outcome = recompute_dates(run, dates or [as_of], now, skipped=skipped)
        run.succeed(outcome.as_json(), timezone.now())


def unpublished(as_of: date) -> int:
    """How many dates up to `as_of` a night scores: one after an ordinary day, more after a standstill."""
    published = DailyAccountIntent.objects.filter(is_provisional=False, date__lt=as_of).order_by("-date")
    newest = published.values_list("date", flat=True).first()
    return KEPT_UP if newest is None else min((as_of - newest) // timedelta(days=1), KEPT_UP)


def perform_recompute(run: JobRun, now: datetime) -> None:
    """What somebody asked for. `run.params_json`: date (ISO or null), backfill (n or null), restate, pull, accounts."""
    with ending(run):
        asked = run.params_json
        as_of = date.fromisoformat(asked["date"]) if asked.get("date") else last_full_day(now)
        dates, skipped = [as_of], dict[date, str]()
        if asked.get("backfill"):
            dates, skipped = backfill_dates(as_of, asked["backfill"], now.date())
        outcome = recompute_dates(
            run, dates or [as_of], now, domains=asked.get("accounts"), restate=asked.get("restate", False),
            skipped=skipped,
        )  # fmt: skip
        run.succeed(outcome.as_json(), timezone.now())
