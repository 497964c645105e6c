"""Briefs, what they replaced, and the attempts at them, to look at: ai_summaries writes them."""

from django.contrib import admin

from ai_summaries.models import AccountAISummary, BriefAttempt, BriefBudget, ReplacedSummary
from registry.read_only import ReadOnlyAdmin


@admin.register(AccountAISummary)
class AccountAISummaryAdmin(ReadOnlyAdmin):
    list_display = ("prospect_company", "cache_date", "persona", "top_lane", "intent_score", "surge_level", "model")
    list_filter = ("persona", "surge_level", "model")
    list_select_related = ("prospect_company",)
    search_fields = ("prospect_company__domain", "prospect_company__name")
    ordering = ("-cache_date", "-id")


@admin.register(ReplacedSummary)
class ReplacedSummaryAdmin(ReadOnlyAdmin):
    list_display = ("summary", "created_at", "intent_score", "surge_level", "model", "why")
    list_filter = ("model",)
    list_select_related = ("summary",)
    search_fields = ("summary__prospect_company__domain",)
    ordering = ("-created_at", "-id")


@admin.register(BriefAttempt)
class BriefAttemptAdmin(ReadOnlyAdmin):
    list_display = ("prospect_company", "persona", "created_at", "state", "asked_by", "calls", "why", "reason")
    list_filter = ("state", "persona")
    list_select_related = ("prospect_company",)
    search_fields = ("prospect_company__domain", "asked_by", "reason")
    ordering = ("-created_at", "-id")


@admin.register(BriefBudget)
class BriefBudgetAdmin(ReadOnlyAdmin):
    list_display = ("day", "holder", "used")
    search_fields = ("holder",)
    ordering = ("-day", "holder")
