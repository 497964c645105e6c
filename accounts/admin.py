"""Accounts, their further domains and people. Scores are never edited; merges and aliases can be taken back."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.domains import normalize_domain_from_url
from accounts.models import CompanyDomain, Contact, ContactIdentity, IntentSignal, ProspectCompany
from accounts.resolution import CannotMerge, add_alias, unmerge
from registry.read_only import ReadOnlyAdmin
from registry.strict_admin import StrictAdmin


class ProspectCompanyForm(forms.ModelForm):
    """The account, and one domain to add to it."""

    further_domain = forms.CharField(
        required=False,
        max_length=255,
        help_text="A further domain of this account. One that is an account already is merged into this one. "
        "Both act on all history with the next scores, and both can be taken back.",
    )

    def clean_domain(self) -> str:
        return _canonical(self.cleaned_data["domain"])

    def clean_further_domain(self) -> str:
        text: str = self.cleaned_data["further_domain"]
        return _canonical(text) if text else ""


def _canonical(text: str) -> str:
    domain = normalize_domain_from_url(text)
    if domain is None:
        raise forms.ValidationError("Write a domain such as example.com.")
    return domain


class CompanyDomainInline(admin.TabularInline):
    """The further domains: taken back here, added by the field above, which knows about merges."""

    model = CompanyDomain
    extra = 0
    fields = ("domain", "created_at")
    readonly_fields = ("domain", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


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
    inlines = (CompanyDomainInline,)
    actions = ("take_merge_back",)
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
        (None, {"fields": ("domain", "name", "owner", "further_domain", "merged_into", "suppressed_as")}),
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
        if form.cleaned_data.get("further_domain"):
            try:
                add_alias(obj, form.cleaned_data["further_domain"])
            except CannotMerge as why:
                self.message_user(request, str(why), messages.ERROR)

    @admin.action(description="Take the merge of the chosen accounts back", permissions=["change"])
    def take_merge_back(self, request: HttpRequest, queryset: QuerySet[ProspectCompany]) -> None:
        merged = list(queryset.filter(merged_into__isnull=False))
        for company in merged:
            unmerge(company)
        self.message_user(request, f"{len(merged)} accounts stand on their own again from the next scores on.")


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
