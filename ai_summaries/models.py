"""What we say about an account: the cached briefs (spec 4.5, design 6)."""

from django.db import models
from django.db.models import Q

from accounts.models import ProspectCompany
from registry.columns import AsciiCharField, ExactCharField, Record
from registry.models import PromptTemplate
from registry.values import Persona


class AccountAISummary(Record):
    """One brief with the facts it was written from. The persona is part of the key: sales and marketing differ."""

    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="ai_summaries")
    cache_date = models.DateField(help_text="The date of the snapshot the brief speaks of.")
    top_lane = ExactCharField(max_length=64)
    persona = models.CharField(max_length=16, default=Persona.SALES)
    intent_score = models.PositiveSmallIntegerField()
    surge_level = models.CharField(max_length=16)
    prompt_template = models.ForeignKey(PromptTemplate, on_delete=models.PROTECT, related_name="+")
    prompt_hash = AsciiCharField(max_length=64)
    input_json = models.JSONField()
    summary_md = models.TextField()
    model = models.CharField(max_length=64)

    class Meta:
        db_table = "account_ai_summaries"
        verbose_name = "AI summary"
        verbose_name_plural = "AI summaries"
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
