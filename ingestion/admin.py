"""What came in, to look at: facts are evidence and leads belong to sales, so nothing is edited here.

ActivityDay has a composite key, which Django's admin refuses; `explain_account` shows its rows.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ingestion.models import ActivityPull, LeadRequest


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LeadRequest)
class LeadRequestAdmin(ReadOnlyAdmin):
    list_display = ("submitted_at", "organization_name", "work_email", "account_key", "lane", "status", "lead_score")
    list_filter = ("status", "lane")
    search_fields = ("organization_name", "work_email", "account_key")
    ordering = ("-submitted_at", "-id")


@admin.register(ActivityPull)
class ActivityPullAdmin(ReadOnlyAdmin):
    list_display = ("date", "state", "events", "keys", "source", "message")
    list_filter = ("state",)
    search_fields = ("source", "message")
    ordering = ("-date",)
