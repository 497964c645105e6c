"""What we made of it, and when: one row of scores per account and day, and one row per run of a job."""

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from accounts.models import ProspectCompany
from registry.columns import AsciiCharField, ExactCharField, Record, new_id
from registry.models import RegistryRevision, ScoreConfig, one_when
from registry.transactions import transact
from registry.values import IntentStage, SurgeLevel
from scoring.moves import Impact

NIGHT, RECOMPUTE, PULL, PREVIEW = "night", "recompute", "pull", "preview"
ATTEMPTS = 3  # of a run that somebody asked for; a night is tried until it is done
CLAIM_PATIENCE = timedelta(seconds=4)  # with a dead run that somebody else is burying


class RunInProgress(Exception):
    """A bulk run goes on or waits, and there is never a second one; `run` is the one, the text says what to do."""

    def __init__(self, message: str, run: "JobRun | None" = None) -> None:
        super().__init__(message)
        self.run = run


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
        """Mark the dead failed, or queue them again where a worker does them: each by one conditional update, so that
        of several who try, one does it."""
        return transact(self._bury_dead)

    def _bury_dead(self) -> list["JobRun"]:
        # A locked row belongs to a batch that is being written: it lives, and nobody waits for it.
        found = self.select_for_update(skip_locked=True).filter(pk__in=list(self.dead().values_list("pk", flat=True)))
        return [
            run
            for run in found
            if self.dead()
            .filter(pk=run.pk)
            .update(state=run.state_after_death, message=run.last_word, finished_at=Now(), updated_at=Now())
        ]

    def refuse_bulk(self) -> None:
        """RunInProgress while a bulk run lives."""
        self.bury_dead()
        if running := self.filter(bulk_marker=1).first():
            raise RunInProgress(running.in_the_way, running)

    def ask(self, kind: str, now: datetime, *, is_bulk: bool, asked_by: str, params: dict[str, Any]) -> "JobRun":
        """Queue a run for a worker. RunInProgress while a bulk one goes on, or another one asked for waits already."""
        if is_bulk:
            self.refuse_bulk()
        queued = partial(
            self.create,
            kind=kind,
            state=JobRun.State.QUEUED,
            is_bulk=is_bulk,
            asked_by=asked_by,
            params_json=params,
            attempt=0,
            queued_at=now,
            started_at=now,
        )
        try:
            return self.get(pk=transact(transaction.atomic(queued)).pk)
        except IntegrityError:
            waiting = self.filter(waiting_marker=1).first()
            if waiting is None:
                raise RunInProgress("Another run has been queued this very moment. Try again.") from None
            raise RunInProgress(waiting.in_the_way, waiting) from None

    def night(self, slot: date, now: datetime) -> "JobRun":
        """The one row of the night of this slot, queued when it is new: however many ask, however often."""
        of_night = {"kind": NIGHT, "slot": slot}
        queued = {"state": JobRun.State.QUEUED, "is_bulk": True, "asked_by": "the schedule", "attempt": 0}
        defaults = {**queued, "queued_at": now, "started_at": now}
        return transact(partial(self.get_or_create, **of_night, defaults=defaults))[0]

    def queue_again(self, night: "JobRun", now: datetime) -> bool:
        """A night that failed or is held is tried again, unless it said not before when. Did it change?"""
        due = Q(not_before__isnull=True) | Q(not_before__lte=now)
        ended = self.filter(due, pk=night.pk, state__in=[JobRun.State.FAILED, JobRun.State.HELD])
        return bool(ended.update(state=JobRun.State.QUEUED, queued_at=now, finished_at=None, updated_at=Now()))

    def supersede(self, slot: date, now: datetime) -> int:
        """Nights before this slot's that never got done: the newer one makes up their dates. How many there were."""
        undone = self.filter(kind=NIGHT, slot__lt=slot, state__in=[JobRun.State.QUEUED, JobRun.State.HELD])
        message = f"Never done: the night of {slot} took its place and makes up its dates."
        return undone.update(state=JobRun.State.FAILED, message=message, finished_at=now, updated_at=Now())

    def due(self, now: datetime) -> "JobRunQuerySet":
        """Queued, and their time has come: the one asked for first comes first."""
        come = Q(not_before__isnull=True) | Q(not_before__lte=now)
        return self.filter(come, state=JobRun.State.QUEUED).order_by("queued_at", "id")

    def publish_anyway(self, run: "JobRun", now: datetime, asked_by: str) -> bool:
        """Let a held run go on with the volume it found, also while it is just being tried again. Did it change?"""
        params = {"params_json": {**run.params_json, "accepted_by": asked_by}, "was_held": False, "updated_at": Now()}
        held = self.filter(pk=run.pk, state=JobRun.State.HELD)
        queued = {"state": JobRun.State.QUEUED, "queued_at": now, "not_before": None, "finished_at": None}
        if held.update(**params, **queued):
            return True
        tried_again = self.filter(pk=run.pk, state__in=[JobRun.State.QUEUED, JobRun.State.RUNNING], was_held=True)
        return bool(tried_again.update(**params))

    def start(self, run: "JobRun", now: datetime) -> "JobRun | None":
        """Claim a queued run: one conditional update, so that of several workers one gets it. None for the others, and
        while another bulk run goes on; the run then stays queued."""
        self.bury_dead()
        claimed = partial(
            self.filter(pk=run.pk, state=JobRun.State.QUEUED).update,
            state=JobRun.State.RUNNING,
            token=new_id(),
            attempt=models.F("attempt") + 1,
            started_at=now,
            heartbeat_at=Now(),
            lease_until=lease_end(),
            finished_at=None,
            done_items=0,
            total_items=0,
            updated_at=Now(),
        )
        try:
            return self.get(pk=run.pk) if transact(transaction.atomic(claimed)) else None
        except IntegrityError:
            return None

    def claim(self, kind: str, now: datetime, *, is_bulk: bool, asked_by: str, params: dict[str, Any]) -> "JobRun":
        """Begin a run: dead ones are marked failed first, then the database decides who may (one bulk run at most).

        Tried again for a moment where the only one in the way is a dead run that somebody else is just burying.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(DeadInTheWay),
            stop=stop_after_delay(CLAIM_PATIENCE),  # by time: on a busy machine a burial outlasts any number of tries
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
            # Asked anew: since it was read, somebody may have buried it, and its successor is the one to be named.
            lives = self.filter(pk=running.pk, state=JobRun.State.RUNNING, lease_until__gte=Now()).exists()
            raise (RunInProgress if lives else DeadInTheWay)(running.in_the_way, running) from None
        return self.get(pk=run.pk)  # with the values that the database made


class JobRun(Record):
    """One run of a job: the truth about it, whoever asked for it. Redis only ever carries wake-ups.

    A run holds a lease and renews it in the transaction of every batch (`heartbeat`). One that is silent for longer is
    dead: the next one marks it failed. Should it wake up after all, its own next heartbeat stops it.

    A night has one row, whatever happens to it: queued → running → done; failed or held nights, and those whose process
    died, are queued again.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        HELD = "held", "held: waits for an admin"

    kind = models.CharField(max_length=32)
    slot = models.DateField(null=True, blank=True, help_text="Of a night: the UTC day at whose 02:00 it was due.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    is_bulk = models.BooleanField(default=False, help_text="Of all accounts: one such run at a time.")
    bulk_marker = one_when(state="running", is_bulk=True)
    waiting_marker = one_when(state="queued", is_bulk=True, slot__isnull=True)
    token = models.UUIDField(default=new_id, editable=False)
    attempt = models.PositiveIntegerField(default=1, help_text="Counts on when it follows a dead run of the same work.")
    phase = models.CharField(max_length=64, blank=True, default="", help_text="What it is at: pull, recompute …")
    asked_by = models.CharField(max_length=150, blank=True, default="")
    params_json = models.JSONField(default=dict)
    queued_at = models.DateTimeField(null=True, blank=True, help_text="When it was left to a worker, if it was.")
    was_held = models.BooleanField(default=False, help_text="At its last end; it is tried again until it is not.")
    not_before = models.DateTimeField(null=True, blank=True, help_text="PostHog asked for patience until then.")
    started_at = models.DateTimeField(help_text="Of the present attempt; while it is queued, when it was asked for.")
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
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "done", "failed", "held"]), name="job_run_state_known"
            ),
            # A running row without one would be in the way for ever.
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="job_run_running_has_lease"
            ),
            models.UniqueConstraint(fields=["bulk_marker"], name="job_run_one_bulk_run"),
            models.UniqueConstraint(fields=["waiting_marker"], name="job_run_one_bulk_run_waits"),
            models.UniqueConstraint(fields=["kind", "slot"], name="job_run_once_per_slot"),
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
    def state_after_death(self) -> str:
        """What a worker did, a worker does again; but not for ever, for it may be the run that kills them."""
        again = self.queued_at is not None and (self.kind == NIGHT or self.attempt < ATTEMPTS)
        return self.State.QUEUED if again else self.State.FAILED

    @property
    def in_the_way(self) -> str:
        if self.state == self.State.QUEUED:
            return (
                f"A {self.kind} of all accounts waits for a worker since {self.started_at:%Y-%m-%d %H:%M:%S} UTC, asked"
                f" for by {self.asked_by or 'nobody known'}. Wait for its end."
            )
        heard = self.heartbeat_at or self.started_at
        return (
            f"A {self.kind} of all accounts is under way since {self.started_at:%Y-%m-%d %H:%M:%S} UTC, asked for by"
            f" {self.asked_by or 'nobody known'}: {self.done_items:,} of {self.total_items:,} accounts of its present"
            f" date, last heard of at {heard:%H:%M:%S}. Wait for its end. Should its process be dead, try again"
            f" {settings.JOB_LEASE_SECONDS} s after that word: this run then takes its place."
        )

    def advance(self, done: int, total: int, phase: str = "") -> None:
        """Kept here; the next heartbeat writes it."""
        self.done_items, self.total_items, self.phase = done, total, phase

    def heartbeat(self) -> None:
        """Called first in every transaction of the run: the row stays locked until it ends, so that nobody takes over
        between this and what the transaction writes. LeaseLost when somebody has done so before."""
        self._update(heartbeat_at=Now(), lease_until=lease_end())

    def succeed(self, result: dict[str, object], now: datetime) -> None:
        self._update(
            state=self.State.DONE, result_json=result, message="", was_held=False, not_before=None, finished_at=now
        )

    def fail(self, message: str, now: datetime, *, not_before: datetime | None = None) -> None:
        ended = {"message": message, "result_json": self.result_json, "finished_at": now, "was_held": False}
        self._update(state=self.State.FAILED, not_before=not_before, **ended)

    def hold(self, message: str, now: datetime) -> None:
        """Nothing is written before an admin says so (`publish_anyway`) or a later attempt finds it in order."""
        ended = {"message": message, "result_json": self.result_json, "finished_at": now}
        self._update(state=self.State.HELD, was_held=True, **ended)

    def _update(self, **columns: Any) -> None:
        mine = type(self).objects.filter(pk=self.pk, token=self.token, state=self.State.RUNNING)
        progress = {"done_items": self.done_items, "total_items": self.total_items, "phase": self.phase}
        if not mine.update(**columns, **progress, updated_at=Now()):
            raise LeaseLost(
                f"This run was silent for more than {settings.JOB_LEASE_SECONDS} s and was taken for dead. It wrote"
                " nothing more since, and what it wrote before is whole. The run that followed does its work again."
            )


class DailyAccountIntent(Record):
    """One account on one day: a snapshot. Written by scoring.snapshots alone, removed by scoring.retention."""

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
            # The lanes' averages of a day, whose score moved since it, and the lanes' hot accounts of 30 days are read
            # from these two alone.
            models.Index(
                fields=["date", "prospect_company", "intent_score", "top_lane", "top_lane_30d"], name="snapshot_by_day"
            ),
            models.Index(fields=["intent_stage", "date", "top_lane", "top_lane_30d"], name="snapshot_by_stage"),
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


class ConfigPreview(Record):
    """What activating a score config would have moved on a date, kept with the config (`scoring.preview`).

    The digests are the names of the two registries that were compared: `before_digest` the one in force, `after_digest`
    the one with this config. Where either is no longer what it would be now, the preview is out of date. A recompute
    after the activation stamps its snapshots with a revision of the digest `after_digest`.
    """

    score_config = models.ForeignKey(ScoreConfig, on_delete=models.CASCADE, related_name="previews")
    job_run = models.ForeignKey(JobRun, null=True, on_delete=models.SET_NULL, related_name="+")
    date = models.DateField(help_text="The UTC day whose scores were compared.")
    before_digest = AsciiCharField(max_length=64)
    after_digest = AsciiCharField(max_length=64)
    impact_json = models.JSONField(help_text="scoring.moves.Impact")

    class Meta:
        db_table = "abm_config_previews"
        verbose_name = "preview"
        indexes = [models.Index(fields=["score_config", "created_at"], name="preview_latest")]

    def __str__(self) -> str:
        return f"{self.date} {self.after_digest[:12]}"

    @property
    def impact(self) -> Impact:
        return Impact.from_json(self.impact_json)
