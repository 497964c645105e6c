"""What we say about an account: cached briefs, what they replaced, every attempt at one (spec 4.5, design 6)."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from accounts.models import ProspectCompany
from registry.columns import AsciiCharField, ExactCharField, Record
from registry.models import PromptTemplate, one_when
from registry.values import Persona

MARGIN_SECONDS = 15  # an attempt whose process died is in nobody's way for longer than its deadline and this
SILENT = "Its process died or lost the database before the brief was stored."


class Text(Record):
    """A text with all that it was made from."""

    intent_score = models.PositiveSmallIntegerField()
    surge_level = models.CharField(max_length=16)
    prompt_template = models.ForeignKey(PromptTemplate, on_delete=models.PROTECT, related_name="+")
    prompt_hash = AsciiCharField(max_length=64)
    prompt_version = ExactCharField(
        max_length=32, default="", db_default="", help_text="Of the template, when the text was made."
    )
    input_json = models.JSONField()
    summary_md = models.TextField()
    model = models.CharField(max_length=64)
    findings_json = models.JSONField(
        default=list, db_default=[], help_text="What the check against the facts found, in its order."
    )
    why = models.CharField(max_length=255, default="", db_default="", blank=True, help_text="Why it was made.")
    written_at = models.DateTimeField(null=True, help_text="When the text was made.")

    class Meta:
        abstract = True


class AccountAISummary(Text):
    """One brief with the facts it was written from. The persona is part of the key: sales and marketing differ."""

    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="ai_summaries")
    cache_date = models.DateField(help_text="The date of the snapshot the brief speaks of.")
    top_lane = ExactCharField(max_length=64)
    persona = models.CharField(max_length=16, default=Persona.SALES)

    class Meta:
        db_table = "account_ai_summaries"
        verbose_name = "AI summary"
        verbose_name_plural = "AI summaries"
        indexes = [models.Index(fields=["created_at"], name="ai_summary_by_age")]
        constraints = [
            models.UniqueConstraint(
                fields=["prospect_company", "cache_date", "top_lane", "persona"], name="ai_summary_once"
            ),
            models.CheckConstraint(
                condition=Q(intent_score__gte=0, intent_score__lte=100), name="ai_summary_score_range"
            ),
            models.CheckConstraint(condition=Q(persona__in=list(Persona)), name="ai_summary_persona_known"),
        ]

    def __str__(self) -> str:
        return f"{self.cache_date} {self.top_lane} {self.persona}"

    def replace_by(self, text: dict[str, Any]) -> None:
        """Take a newer text; the one it replaces is kept."""
        kept = {field.name: getattr(self, field.name) for field in Text._meta.fields if field.name not in KEY}
        ReplacedSummary.objects.create(summary=self, **kept)
        for name, value in text.items():
            setattr(self, name, value)
        self.save()


KEY = ("id", "created_at", "updated_at")


class ReplacedSummary(Text):
    """A text that a newer one of the same key took the place of."""

    summary = models.ForeignKey(AccountAISummary, on_delete=models.CASCADE, related_name="replaced")

    class Meta:
        db_table = "account_ai_summaries_replaced"
        verbose_name = "replaced AI summary"
        verbose_name_plural = "replaced AI summaries"
        indexes = [models.Index(fields=["created_at"], name="replaced_summary_by_age")]

    def __str__(self) -> str:
        return f"{self.summary_id} until {self.created_at:%Y-%m-%d %H:%M}"


def lease_end() -> Combinable:
    return Now() + timedelta(seconds=settings.AI_DEADLINE_SECONDS + MARGIN_SECONDS)


class AttemptQuerySet(models.QuerySet["BriefAttempt"]):
    def bury_dead(self) -> int:
        """Those that still run after their lease are over; whoever finds them says so."""
        dead = self.filter(state=BriefAttempt.State.RUNNING, lease_until__lt=Now())
        return dead.update(state=BriefAttempt.State.FAILED, reason=SILENT, finished_at=Now(), updated_at=Now())

    def of(self, company: UUID, persona: str) -> "AttemptQuerySet":
        """All at one brief, newest first."""
        return self.filter(prospect_company=company, persona=persona).order_by("-id")


class BriefAttempt(Record):
    """One attempt at a brief, by whoever asked. While it runs nobody else writes the same one: the database holds it
    to one running row per account and persona, and the others wait for its end and take its answer."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="brief_attempts")
    persona = models.CharField(max_length=16, default=Persona.SALES)
    asked_by = models.CharField(max_length=150, blank=True, default="")
    why = models.CharField(max_length=255, blank=True, default="")
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    running_marker = one_when(state="running")
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    summary = models.ForeignKey(AccountAISummary, null=True, on_delete=models.SET_NULL, related_name="attempts")
    reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it failed, in plain words.")
    calls = models.PositiveSmallIntegerField(default=0, help_text="Requests to the model's API, failed ones too.")
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        db_table = "account_ai_attempts"
        verbose_name = "brief attempt"
        indexes = [models.Index(fields=["created_at"], name="brief_attempt_by_age")]
        constraints = [
            models.UniqueConstraint(
                fields=["prospect_company", "persona", "running_marker"], name="brief_attempt_one_running"
            ),
            models.CheckConstraint(condition=Q(persona__in=list(Persona)), name="brief_attempt_persona_known"),
            models.CheckConstraint(
                condition=Q(state__in=["running", "done", "failed"]), name="brief_attempt_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="brief_attempt_running_has_lease"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} {self.persona} {self.state}"

    def succeed(self, summary: AccountAISummary, **spent: int) -> bool:
        return self._end(state=self.State.DONE, summary=summary, **spent)

    def fail(self, reason: str, **spent: int) -> bool:
        return self._end(state=self.State.FAILED, reason=reason[:500], **spent)

    def _end(self, **columns: Any) -> bool:
        """Whether it was still ours to end: not taken for dead, and nobody of the account erased meanwhile."""
        running = type(self).objects.filter(pk=self.pk, state=self.State.RUNNING)
        return bool(running.update(**columns, finished_at=Now(), updated_at=Now()))


class BudgetQuerySet(models.QuerySet["BriefBudget"]):
    def spend(self, day: date, holder: str, limit: int) -> bool:
        """One more brief, if there is one left: a conditional update, so that no two spend the last one."""
        self.get_or_create(day=day, holder=holder)
        return bool(self.filter(day=day, holder=holder, used__lt=limit).update(used=F("used") + 1, updated_at=Now()))

    def used_up(self, day: date, limits: Iterable[tuple[str, int]]) -> bool:
        """Whether one of these holders has no brief left."""
        used = dict(self.filter(day=day).values_list("holder", "used"))
        return any(used.get(holder, 0) >= limit for holder, limit in limits)


class BriefBudget(Record):
    """How many briefs a model wrote on a UTC day, for one user and for all."""

    ALL = "all"

    day = models.DateField()
    holder = AsciiCharField(max_length=40, help_text="all, or user: and the user's number.")
    used = models.PositiveIntegerField(default=0)

    objects = BudgetQuerySet.as_manager()

    class Meta:
        db_table = "account_ai_budgets"
        verbose_name = "brief budget"
        constraints = [models.UniqueConstraint(fields=["day", "holder"], name="brief_budget_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.holder} {self.used}"
