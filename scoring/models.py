"""What we made of it, and when: one row of scores per account and day, and one row per run of a job."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from accounts.models import ProspectCompany
from registry.columns import ExactCharField, Record, new_id
from registry.models import RegistryRevision, ScoreConfig, one_when
from registry.transactions import transact
from registry.values import IntentStage, SurgeLevel


class RunInProgress(Exception):
    """A bulk run goes on, and there is never a second one; the text says which, and what to do."""


class DeadInTheWay(RunInProgress):
    """The run in the way is dead or just ended: a moment later the way may be free."""


class LeaseLost(Exception):
    """This run was taken for dead while it was silent. It writes nothing more."""


def lease_end() -> Combinable:
    """By the database's clock, as every look at a lease: two machines' own clocks never agree."""
    return Now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)


class JobRunQuerySet(models.QuerySet["JobRun"]):
    def dead(self) -> "JobRunQuerySet":
        """Those that said they run, and said nothing for longer than the lease."""
        return self.filter(state=JobRun.State.RUNNING, lease_until__lt=Now())

    def bury_dead(self) -> list["JobRun"]:
        """Mark the dead failed, each by one conditional update: of several who try, one does it."""
        return transact(self._bury_dead)

    def _bury_dead(self) -> list["JobRun"]:
        # A locked row belongs to a batch that is being written: it lives, and nobody waits for it.
        found = self.select_for_update(skip_locked=True).filter(pk__in=list(self.dead().values_list("pk", flat=True)))
        return [
            run
            for run in found
            if self.dead()
            .filter(pk=run.pk)
            .update(state=JobRun.State.FAILED, message=run.last_word, finished_at=Now(), updated_at=Now())
        ]

    def refuse_bulk(self) -> None:
        """RunInProgress while a bulk run lives."""
        self.bury_dead()
        if running := self.filter(bulk_marker=1).first():
            raise RunInProgress(running.in_the_way)

    def claim(self, kind: str, now: datetime, *, is_bulk: bool, asked_by: str, params: dict[str, Any]) -> "JobRun":
        """Begin a run: dead ones are marked failed first, then the database decides who may (one bulk run at most).

        Tried again for a moment where the only one in the way is a dead run that somebody else is just burying.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(DeadInTheWay),
            stop=stop_after_attempt(8),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            reraise=True,
        )
        return attempts(self._claim, kind, now, is_bulk=is_bulk, asked_by=asked_by, params=params)

    def _claim(self, kind: str, now: datetime, *, is_bulk: bool, asked_by: str, params: dict[str, Any]) -> "JobRun":
        ended = self.bury_dead()
        tries = [run.attempt for run in ended if (run.kind, run.params_json) == (kind, params)]
        begin = partial(
            self.create,
            kind=kind,
            is_bulk=is_bulk,
            asked_by=asked_by,
            params_json=params,
            attempt=max(tries, default=0) + 1,
            started_at=now,
            heartbeat_at=Now(),
            lease_until=lease_end(),
        )
        try:
            run = transact(transaction.atomic(begin))
        except IntegrityError:
            running = self.filter(bulk_marker=1).first()
            if running is None:
                raise DeadInTheWay("Another run has ended this very moment. Try again.") from None
            dead = self.dead().filter(pk=running.pk).exists()
            raise (DeadInTheWay if dead else RunInProgress)(running.in_the_way) from None
        return self.get(pk=run.pk)  # with the values that the database made


class JobRun(Record):
    """One run of a job: the truth about it, whoever asked for it. Redis only ever carries wake-ups.

    A run holds a lease and renews it in the transaction of every batch (`heartbeat`). One that is silent for longer is
    dead: the next one marks it failed. Should it wake up after all, its own next heartbeat stops it.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    kind = models.CharField(max_length=32)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    is_bulk = models.BooleanField(default=False, help_text="Of all accounts: one such run at a time.")
    bulk_marker = one_when(state="running", is_bulk=True)
    token = models.UUIDField(default=new_id, editable=False)
    attempt = models.PositiveIntegerField(default=1, help_text="Counts on when it follows a dead run of the same work.")
    asked_by = models.CharField(max_length=150, blank=True, default="")
    params_json = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="Running and past it: dead.")
    finished_at = models.DateTimeField(null=True, blank=True)
    done_items = models.PositiveIntegerField(default=0)
    total_items = models.PositiveIntegerField(default=0)
    result_json = models.JSONField(default=dict)
    message = models.TextField(blank=True, default="", help_text="What went wrong and what to do, in plain words.")

    objects = JobRunQuerySet.as_manager()

    class Meta:
        db_table = "job_runs"
        indexes = [models.Index(fields=["kind", "started_at"], name="job_run_latest")]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["running", "done", "failed"]), name="job_run_state_known"),
            # A running row without one would be in the way for ever.
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="job_run_running_has_lease"
            ),
            models.UniqueConstraint(fields=["bulk_marker"], name="job_run_one_bulk_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M} {self.state}"

    @property
    def last_word(self) -> str:
        """Of a dead run."""
        heard = self.heartbeat_at or self.started_at
        return (
            f"Stopped without a word after {heard:%Y-%m-%d %H:%M:%S} UTC: its process died or lost the database."
            " The next run does its work again."
        )

    @property
    def in_the_way(self) -> str:
        heard = self.heartbeat_at or self.started_at
        return (
            f"A {self.kind} of all accounts is under way since {self.started_at:%Y-%m-%d %H:%M:%S} UTC, asked for by"
            f" {self.asked_by or 'nobody known'}: {self.done_items:,} of {self.total_items:,} accounts of its present"
            f" date, last heard of at {heard:%H:%M:%S}. Wait for its end. Should its process be dead, try again"
            f" {settings.JOB_LEASE_SECONDS} s after that word: this run then takes its place."
        )

    def advance(self, done: int, total: int) -> None:
        """Kept here; the next heartbeat writes it."""
        self.done_items, self.total_items = done, total

    def heartbeat(self) -> None:
        """Called first in every transaction of the run: the row stays locked until it ends, so that nobody takes over
        between this and what the transaction writes. LeaseLost when somebody has done so before."""
        self._update(heartbeat_at=Now(), lease_until=lease_end())

    def succeed(self, result: dict[str, object], now: datetime) -> None:
        self._update(state=self.State.DONE, result_json=result, finished_at=now)

    def fail(self, message: str, now: datetime) -> None:
        self._update(state=self.State.FAILED, message=message, finished_at=now)

    def _update(self, **columns: Any) -> None:
        mine = type(self).objects.filter(pk=self.pk, token=self.token, state=self.State.RUNNING)
        progress = {"done_items": self.done_items, "total_items": self.total_items, "updated_at": Now()}
        if not mine.update(**columns, **progress):
            raise LeaseLost(
                f"This run was silent for more than {settings.JOB_LEASE_SECONDS} s and was taken for dead. It wrote"
                " nothing more since, and what it wrote before is whole. The run that followed does its work again."
            )


class DailyAccountIntent(Record):
    """One account on one day: a snapshot. Written by scoring.snapshots alone; kept for ever."""

    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="snapshots")
    date = models.DateField(help_text="The last full UTC day the windows end in.")
    score_config = models.ForeignKey(ScoreConfig, on_delete=models.PROTECT, related_name="+")
    registry_revision = models.ForeignKey(RegistryRevision, on_delete=models.PROTECT, related_name="+")
    job_run = models.ForeignKey(JobRun, null=True, on_delete=models.SET_NULL, related_name="+")
    is_provisional = models.BooleanField(default=False, help_text="The day was not over; the night rewrites the row.")
    is_new = models.BooleanField(default=False)
    raw_score_7d = models.FloatField()
    raw_score_prev_7d = models.FloatField()
    raw_score_30d = models.FloatField()
    intent_score = models.PositiveSmallIntegerField()
    intent_stage = models.CharField(max_length=8)
    surge_ratio = models.FloatField()
    surge_level = models.CharField(max_length=16)
    unique_people_7d = models.PositiveIntegerField()
    top_lane = ExactCharField(max_length=64)
    top_lane_30d = ExactCharField(max_length=64)
    last_seen_at = models.DateTimeField(null=True)
    lane_scores_7d_json = models.JSONField(default=dict)
    lane_scores_30d_json = models.JSONField(default=dict)
    top_categories_7d_json = models.JSONField(default=dict)
    top_pages_7d_json = models.JSONField(default=dict)
    key_events_7d_json = models.JSONField(default=dict)
    why_hot_json = models.JSONField(default=list)

    class Meta:
        db_table = "daily_account_intent"
        verbose_name = "snapshot"
        indexes = [
            models.Index(fields=["date"], name="snapshot_by_date"),
            models.Index(fields=["intent_stage"], name="snapshot_by_stage"),
            models.Index(fields=["top_lane"], name="snapshot_by_lane"),
            models.Index(fields=["surge_level"], name="snapshot_by_surge"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["prospect_company", "date"], name="snapshot_once_per_day"),
            models.CheckConstraint(
                condition=Q(intent_score__gte=0, intent_score__lte=100), name="snapshot_score_range"
            ),
            models.CheckConstraint(condition=Q(intent_stage__in=list(IntentStage)), name="snapshot_stage_known"),
            models.CheckConstraint(condition=Q(surge_level__in=list(SurgeLevel)), name="snapshot_surge_known"),
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.intent_score}"
