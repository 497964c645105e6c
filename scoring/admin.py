"""Snapshots and job runs, to look at: scoring writes them."""

from django.contrib import admin

from registry.read_only import ReadOnlyAdmin
from scoring.models import DailyAccountIntent, JobRun


@admin.register(DailyAccountIntent)
class DailyAccountIntentAdmin(ReadOnlyAdmin):
    list_display = (
        "date",
        "prospect_company",
        "intent_score",
        "intent_stage",
        "surge_level",
        "top_lane",
        "raw_score_30d",
        "unique_people_7d",
        "is_provisional",
    )
    list_display_links = ("date", "prospect_company")
    list_filter = ("intent_stage", "surge_level", "is_provisional")
    list_select_related = ("prospect_company",)
    search_fields = ("prospect_company__domain", "prospect_company__name")
    ordering = ("-date", "-intent_score", "id")
    show_full_result_count = False  # a row per account and day: counting them all is slow


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at",
        "kind",
        "is_bulk",
        "state",
        "asked_by",
        "heartbeat_at",
        "finished_at",
        "done_items",
        "total_items",
        "message",
    )
    list_filter = ("kind", "state", "is_bulk")
    ordering = ("-started_at", "-id")
