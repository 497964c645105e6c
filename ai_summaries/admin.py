"""Cached briefs, to look at: ai_summaries writes them."""

from django.contrib import admin

from ai_summaries.models import AccountAISummary
from registry.read_only import ReadOnlyAdmin


@admin.register(AccountAISummary)
class AccountAISummaryAdmin(ReadOnlyAdmin):
    list_display = ("prospect_company", "cache_date", "persona", "top_lane", "intent_score", "surge_level", "model")
    list_filter = ("persona", "surge_level", "model")
    list_select_related = ("prospect_company",)
    search_fields = ("prospect_company__domain", "prospect_company__name")
    ordering = ("-cache_date", "-id")
