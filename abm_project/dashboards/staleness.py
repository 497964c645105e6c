"""Is what we show fresh?"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from scoring.models import NIGHT, RECOMPUTE, DailyAccountIntent, JobRun

NIGHT_IS_IN = timedelta(hours=3)  # it begins at 02:00 UTC; before 03:00 the scores of the night before are fresh
LIVE_RUNS = 3  # one bulk run goes on at a time, one that was asked for waits, and so may the night


@dataclass(frozen=True, slots=True)
class Freshness:
    """Through which day there are scores, when and by which run they were made, and is that as it should be?"""

    state: str  # empty, fresh, stale, failed, held
    through: date | None = None
    computed_at: datetime | None = None
    computed_by: UUID | None = None
    message: str = ""
    going: str = ""  # a bulk run is queued or, rather, running
    run_id: UUID | None = None  # of the run that failed or is held, else of the one that goes on

    @property
    def computed_the_night_after(self) -> bool:
        return bool(self.through and self.computed_at and (self.computed_at.date() - self.through).days == 1)

    @property
    def running(self) -> bool:
        return self.going == "running"


def newest_due(now: datetime) -> date:
    """The newest day whose night should be in."""
    return (now - NIGHT_IS_IN).date()


def freshness(today: date) -> Freshness:
    """Two queries. `today` is the newest day whose night should be in.

    The newest bulk run that came to an end decides; what scores single accounts, a lead during the day or an admin,
    says nothing about the night. A run that died without a word has failed, though nobody has marked it yet. One that
    failed or was held and is tried again keeps its message until it succeeds, unless an admin accepted what held it.
    """
    newest = (
        DailyAccountIntent.objects.filter(is_provisional=False)
        .order_by("-date")
        .values_list("date", "updated_at", "job_run__finished_at", "job_run")
        .first()
    )
    runs = (
        JobRun.objects.filter(kind__in=[NIGHT, RECOMPUTE], is_bulk=True)
        .only("state", "message", "params_json", "heartbeat_at", "started_at")  # every answer says how fresh it is
        .annotate(silent=Q(state=JobRun.State.RUNNING, lease_until__lt=Now()))
        .order_by("-started_at", "-id")[: LIVE_RUNS + 1]
    )
    through, written_at, finished_at, made_by = newest or (None, None, None, None)
    found = Freshness("empty", through, finished_at or written_at, made_by)
    for run in runs:
        going = not run.silent and run.state in (JobRun.State.QUEUED, JobRun.State.RUNNING)
        if going and found.going != JobRun.State.RUNNING:
            found = replace(found, going=run.state, run_id=run.pk)
        if going and (not run.message or "accepted_by" in run.params_json):
            continue  # what came before it still holds
        if run.state == JobRun.State.HELD:
            return replace(found, state="held", message=run.message, run_id=run.pk)
        if run.state != JobRun.State.DONE:
            message = run.last_word if run.silent else run.message
            return replace(found, state="failed", message=message, run_id=run.pk)
        break
    if through is None:
        return found
    return replace(found, state="fresh" if through >= today - timedelta(days=1) else "stale")
