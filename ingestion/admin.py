"""What came in, to look at: facts are evidence and leads belong to sales, so nothing is edited here.

ActivityDay has a composite key, which Django's admin refuses; `explain_account` shows its rows.
"""

from django.contrib import admin

from ingestion.models import ActivityPull, LeadRequest
from registry.read_only import ReadOnlyAdmin


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
