"""Accounts and people. Scores are never edited. Which domains belong to an account is decided on a page of
abm_project, which shows first what it would do."""

import base64
import binascii
from io import BytesIO
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from accounts.csv_import import COLUMNS, NotACsvFile, import_accounts
from accounts.domains import normalize_domain_from_url
from accounts.models import Contact, ContactIdentity, IntentSignal, ProspectCompany
from registry.read_only import ReadOnlyAdmin
from registry.strict_admin import StrictAdmin

UPLOAD_MAX = 1_500_000  # bytes; the confirming form carries the file back, and Django takes 2.5 MB
SHOWN = 500  # lines of an upload


class ProspectCompanyForm(forms.ModelForm):
    def clean_domain(self) -> str:
        return canonical(self.cleaned_data["domain"])


def canonical(text: str) -> str:
    domain = normalize_domain_from_url(text)
    if domain is None:
        raise forms.ValidationError("Write a domain such as example.com.")
    return domain


@admin.register(ProspectCompany)
class ProspectCompanyAdmin(StrictAdmin):
    form = ProspectCompanyForm
    list_display = (
        "domain",
        "name",
        "owner",
        "intent_score",
        "intent_stage",
        "surge_level",
        "top_lane",
        "snapshot_date",
        "suppressed_as",
        "merged_into",
    )
    list_filter = (
        "intent_stage",
        "surge_level",
        ("suppressed_as", admin.EmptyFieldListFilter),
        ("merged_into", admin.EmptyFieldListFilter),
    )
    list_select_related = ("owner", "merged_into")
    search_fields = ("domain", "name", "domains__domain")
    ordering = ("-intent_score", "-score_30d_raw", "domain")
    show_full_result_count = False
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    scores = (
        "snapshot_date",
        "intent_score",
        "intent_stage",
        "surge_level",
        "surge_ratio",
        "top_lane",
        "top_lane_30d",
        "score_7d_raw",
        "score_30d_raw",
        "unique_people_7d",
        "last_seen_at",
        "score_updated_at",
    )
    fieldsets = (
        (None, {"fields": ("domain", "name", "owner", "merged_into", "suppressed_as")}),
        ("Salesforce", {"fields": ("salesforce_account_id", "salesforce_account_url", "salesforce_owner_id")}),
        ("Scores", {"fields": scores}),
    )
    readonly_fields = ("merged_into", "suppressed_as", *scores)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The domain is the account's key: facts and leads refer to it."""
        return (*self.readonly_fields, "domain") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: ProspectCompany, form: Any, change: bool) -> None:
        if "name" in form.changed_data:
            obj.name_source = ProspectCompany.NameSource.ADMIN  # an admin's name is not replaced by a lead's
        super().save_model(request, obj, form, change)

    def get_urls(self) -> list[URLPattern]:
        upload = self.admin_site.admin_view(self.import_view)
        return [path("import/", upload, name="accounts_prospectcompany_import"), *super().get_urls()]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """A file comes twice: chosen, which shows what each line would do, and carried back by the confirming form."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Import accounts",
            "opts": self.opts,
            "columns": COLUMNS,
        }
        if request.method == "POST":
            try:
                content = sent_file(request)
                confirmed = "content" in request.POST
                report = import_accounts(
                    BytesIO(content), timezone.now().date(), by=request.user, dry_run=not confirmed
                )
            except (NotACsvFile, forms.ValidationError) as why:
                context["problem"] = " ".join(getattr(why, "messages", [str(why)]))
            else:
                if confirmed and not report.refused:
                    counts = ", ".join(f"{number:,} {word}" for word, number in report.counts.items() if number)
                    self.message_user(request, f"Imported: {counts}. It counts from the next scores on.")
                    return redirect("admin:accounts_prospectcompany_changelist")
                telling = [line for line in report.lines if line.does or line.problems]
                context |= {
                    "report": report,
                    "lines": sorted(telling, key=lambda line: (not line.problems, line.number))[:SHOWN],
                    "untold": len(telling) - SHOWN,
                    "content": "" if report.refused else base64.b64encode(content).decode(),
                }
        status = 400 if context.get("problem") or (context.get("report") and not context["content"]) else 200
        return TemplateResponse(request, "admin/accounts/prospectcompany/import.html", context, status=status)


def sent_file(request: HttpRequest) -> bytes:
    if "content" in request.POST:
        try:
            return base64.b64decode(request.POST["content"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise forms.ValidationError("Choose the file again.") from error
    file = request.FILES.get("file")
    if file is None:
        raise forms.ValidationError("Choose a file.")
    if file.size > UPLOAD_MAX:
        raise forms.ValidationError("The file is larger than 1.5 MB. Import it with manage.py import_accounts.")
    return bytes(file.read())


class ContactIdentityInline(admin.TabularInline):
    model = ContactIdentity
    extra = 0
    fields = ("identity_type", "identity_value")


@admin.register(Contact)
class ContactAdmin(StrictAdmin):
    list_display = ("email", "first_name", "last_name", "title", "prospect_company", "last_seen_at")
    list_select_related = ("prospect_company",)
    search_fields = ("email", "last_name", "prospect_company__domain")
    ordering = ("email", "id")
    raw_id_fields = ("prospect_company",)
    readonly_fields = ("last_seen_at", "top_categories_7d_json")
    inlines = (ContactIdentityInline,)


@admin.register(IntentSignal)
class IntentSignalAdmin(ReadOnlyAdmin):
    list_display = ("occurred_at", "prospect_company", "kind", "summary")
    list_filter = ("kind",)
    list_select_related = ("prospect_company",)
    search_fields = ("prospect_company__domain", "summary")
    ordering = ("-occurred_at", "-id")
