"""What we made of it, and when: one row of scores per account and day, and one row per run of a job."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from accounts.models import ProspectCompany
from registry.columns import ExactCharField, Record
from registry.models import RegistryRevision, ScoreConfig
from registry.values import IntentStage, SurgeLevel


class JobRun(Record):
    """One run of a job: the truth about it, whoever asked for it. Redis only ever carries wake-ups."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    kind = models.CharField(max_length=32)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    asked_by = models.CharField(max_length=150, blank=True, default="")
    params_json = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    done_items = models.PositiveIntegerField(default=0)
    total_items = models.PositiveIntegerField(default=0)
    result_json = models.JSONField(default=dict)
    message = models.TextField(blank=True, default="", help_text="What went wrong and what to do, in plain words.")

    class Meta:
        db_table = "job_runs"
        indexes = [models.Index(fields=["kind", "started_at"], name="job_run_latest")]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["running", "done", "failed"]), name="job_run_state_known")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M} {self.state}"

    def advance(self, done: int, total: int) -> None:
        self.done_items, self.total_items = done, total
        self.save(update_fields=["done_items", "total_items", "updated_at"])

    def succeed(self, result: dict[str, object], now: datetime) -> None:
        self.state, self.result_json, self.finished_at = self.State.DONE, result, now
        self.save(update_fields=["state", "result_json", "finished_at", "updated_at"])

    def fail(self, message: str, now: datetime) -> None:
        self.state, self.message, self.finished_at = self.State.FAILED, message, now
        self.save(update_fields=["state", "message", "finished_at", "updated_at"])


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
