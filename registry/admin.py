"""Plain editing of the registry; pages that show consequences come from abm_project."""

import base64
import binascii
from io import BytesIO
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from registry import csv_cells
from registry.csv_import import TABLES, ImportRefused, export_rows, import_file
from registry.editing import Stale, because, check, check_together, lock, version_of, warnings
from registry.models import (
    REASON_LENGTH,
    DomainRule,
    EventRule,
    PromptTemplate,
    RegistryRevision,
    ScoreConfig,
    ScoreWeight,
)
from registry.read_only import ReadOnlyAdmin
from registry.strict_admin import StrictHistoryAdmin

UPLOAD_MAX = 1_500_000  # bytes; the confirming form carries the file back, and Django takes 2.5 MB
SHOWN = 500  # rows of an upload


class RegistryForm(forms.ModelForm):
    """Any row of the registry: says why for the history, and never overwrites what somebody else saved meanwhile."""

    change_reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        label="Why",
        help_text="Kept in the history beside your name. Example: pricing pages told us most last quarter.",
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self._stored()
        if stored is not None:  # as it is now, also where a former version is shown to be restored
            self.initial["seen"] = version_of(stored)

    def _stored(self) -> Any:
        return type(self.instance)._default_manager.filter(pk=self.instance.pk).first()

    def clean(self) -> Any:
        """The row stays locked till the page's transaction ends, so that of two who save at once one is told."""
        cleaned = super().clean()
        if self.cleaned_data.get("seen") and not self.instance._state.adding:
            try:
                with transaction.atomic():
                    lock(type(self.instance), self.instance.pk, self.cleaned_data["seen"])
            except Stale as stale:
                raise ValidationError(str(stale), "stale") from stale
            except self.instance.DoesNotExist as gone:
                raise ValidationError("Somebody deleted this row while you changed it.", "gone") from gone
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                check_together(self.instance)
            except ValidationError as error:
                self.add_error(None, error)


class RowOfList(forms.ModelForm):
    """A row of a list that is edited in place. What the admin did not touch is left alone, whatever it is by now; what
    they did touch is saved only where it still says what they saw."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = True  # in the page, so that "changed" means: by this admin
            field.widget.attrs["aria-label"] = f"{field.label} of {self.instance}"

    def clean(self) -> Any:
        cleaned = super().clean()
        for name in self.changed_data:
            if name in self.fields and name != self.instance._meta.pk.name:
                self._demand_unchanged(name)
        return cleaned

    def _demand_unchanged(self, name: str) -> None:
        field = self.fields[name]
        saw = field.hidden_widget().value_from_datadict(self.data, self.files, self.add_initial_prefix(name))
        if saw is not None and field.clean(saw) != self.initial.get(name):
            self.add_error(name, f"Somebody changed this to {self.initial.get(name)} meanwhile. Load the list again.")

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors and self.has_changed():
            try:
                check_together(self.instance)
            except ValidationError as error:
                self.add_error(None, error)


class RegistryAdmin(StrictHistoryAdmin):
    """Edits count in this process at once, elsewhere within REGISTRY_TTL_SECONDS; scores change at the next run."""

    form = RegistryForm
    readonly_fields = ("created_at", "updated_at")
    csv_kind = ""
    change_list_template = "admin/registry/change_list.html"

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": RowOfList, **kwargs})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        because(obj, form.cleaned_data.get("change_reason", ""))
        super().save_model(request, obj, form, change)
        for warning in warnings(obj):
            self.message_user(request, warning, messages.WARNING)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for row in formset.forms:
            because(row.instance, form.cleaned_data.get("change_reason", ""))
        super().save_formset(request, form, formset, change)

    # --- CSV ---
    def get_urls(self) -> list[URLPattern]:
        views = [("import", self.import_view), ("export", self.export_view)]
        own = [
            path(f"{name}/{kind}/", self.admin_site.admin_view(view), {"kind": kind}, name=f"registry_{kind}_{name}")
            for kind in filter(None, self.csv_kind.split())
            for name, view in views
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"csv_kinds": self.csv_kind.split(), **(extra_context or {})})

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """The whole table, in the columns that an import takes back."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        model = TABLES[kind].model
        relations = [name for name in TABLES[kind].columns if model._meta.get_field(name).is_relation]
        rows = model._default_manager.select_related(*relations).order_by(*TABLES[kind].key, "pk")
        return StreamingHttpResponse(
            csv_cells.lines(TABLES[kind].columns, export_rows(kind, rows)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{kind}.csv"'},
        )

    def import_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        """A file comes twice: chosen, which shows what each line would change, and carried back to be written."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": f"Import {kind.replace('_', ' ')}",
            "opts": self.opts,
            "kind": kind,
            "table": TABLES[kind],
            "required": sorted(TABLES[kind].required),
        }
        if request.method == "POST":
            try:
                name, content = sent_file(request)
                confirmed = "content" in request.POST
                report = import_file(kind, name, BytesIO(content), dry_run=not confirmed)
            except ImportRefused as refused:
                context["problems"] = refused.errors
            except ValidationError as why:
                context["problems"] = why.messages
            else:
                if confirmed:
                    done = f"{len(report.created):,} created, {len(report.updated):,} updated"
                    self.message_user(request, f"Imported: {done}. It counts from the next scores on.")
                    return redirect(admin_urlname(self.opts, "changelist"))
                context |= {
                    "report": report,
                    "lines": report.changes[:SHOWN],
                    "untold": len(report.changes) - SHOWN,
                    "name": name,
                    "content": base64.b64encode(content).decode() if report.changes else "",
                }
        status = 400 if context.get("problems") else 200
        return TemplateResponse(request, "admin/registry/import.html", context, status=status)


def sent_file(request: HttpRequest) -> tuple[str, bytes]:
    if "content" in request.POST:
        try:
            return request.POST.get("name", "file")[:60], base64.b64decode(request.POST["content"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValidationError("Choose the file again.") from error
    file = request.FILES.get("file")
    if file is None:
        raise ValidationError("Choose a file.")
    if file.size > UPLOAD_MAX:
        raise ValidationError("The file is larger than 1.5 MB. Import it with manage.py import_registry.")
    return str(file.name)[:60], bytes(file.read())


class SwitchedAdmin(RegistryAdmin):
    """Rows that are on or off: many at once, each with its history."""

    actions = ("enable", "disable")
    list_per_page = 200

    @admin.action(description="Enable the chosen rows", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Disable the chosen rows", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Any], *, on: bool) -> None:
        """All of them or none: a row that may not be on says why."""
        word = "enabled" if on else "disabled"
        try:
            with transaction.atomic():
                rows = list(queryset.select_for_update().filter(enabled=not on))
                for row in rows:
                    row.enabled = on
                    if on:
                        check(row)
                    because(row, f"{word} with {len(rows) - 1} others" if len(rows) > 1 else word)
                    row.save()
        except ValidationError as error:
            self.message_user(request, f"Nothing was {word}. {row}: {' '.join(error.messages)}", messages.ERROR)
        else:
            self.message_user(request, f"{len(rows):,} {word}.", messages.SUCCESS)


@admin.register(EventRule)
class EventRuleAdmin(SwitchedAdmin):
    csv_kind = "event_rules"
    list_display = (
        "match_value",
        "enabled",
        "priority",
        "event_name",
        "match_type",
        "content_type",
        "lane",
        "weight_override",
        "score_config",
    )
    list_display_links = ("match_value",)
    list_editable = ("enabled", "priority")
    list_select_related = ("score_config",)
    list_filter = (
        "enabled",
        "match_type",
        "event_name",
        "lane",
        "content_type",
        "score_config",
    )
    search_fields = ("match_value", "lane", "content_type", "notes")
    ordering = ("priority", "id")
    fieldsets = (
        ("If an event", {"fields": ("event_name", "match_type", "match_value")}),
        ("it counts as", {"fields": ("content_type", "lane", "weight_override")}),
        ("This rule", {"fields": ("enabled", "priority", "score_config", "notes")}),
        ("History", {"fields": ("change_reason", "created_at", "updated_at", "seen")}),
    )


class NamedWeights(forms.BaseInlineFormSet):
    """Every field has a name of its own: the heads of the columns are no labels to a screen reader."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        row = str(form.instance) if form.instance.event_name else "a new weight"
        for name, field in form.fields.items():
            if not field.widget.is_hidden:
                field.widget.attrs["aria-label"] = f"{field.label or name} of {row}".capitalize()
            if isinstance(field.widget, forms.TextInput) and name != "weight":
                field.widget.attrs["size"] = 20


class ScoreWeightInline(admin.TabularInline):
    model = ScoreWeight
    formset = NamedWeights
    extra = 0
    fields = ("kind", "event_name", "content_type", "cta_id", "weight")
    ordering = ("kind", "event_name", "content_type", "cta_id")


@admin.register(ScoreConfig)
class ScoreConfigAdmin(RegistryAdmin):
    csv_kind = "score_weights"
    list_display = ("name", "status", "lambda_decay", "normalize_k", "cold_max", "warm_max", "updated_at")
    list_filter = ("status",)
    search_fields = ("name",)
    ordering = ("name",)
    inlines = (ScoreWeightInline,)
    readonly_fields = (*RegistryAdmin.readonly_fields, "status")
    fieldsets = (
        (None, {"fields": ("name", "status")}),
        ("How fast interest fades, and what it adds up to", {"fields": ("lambda_decay", "normalize_k")}),
        ("Stages", {"fields": ("cold_max", "warm_max")}),
        (
            "Surge",
            {
                "fields": (
                    "surge_surging_min",
                    "surge_exploding_min",
                    "surge_smoothing",
                    "surge_min_raw_7d",
                    "surge_rebase_prev",
                    "new_account_days",
                )
            },
        ),
        ("History", {"fields": ("change_reason", "created_at", "updated_at", "seen")}),
    )

    def save_model(self, request: HttpRequest, obj: ScoreConfig, form: Any, change: bool) -> None:
        """A version restored from the history brings its old status along; which config is active stays as it is."""
        now = ScoreConfig.objects.filter(pk=obj.pk).values_list("status", flat=True).first()
        obj.status = now or ScoreConfig.Status.DRAFT
        super().save_model(request, obj, form, change)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The active config cannot be deleted, alone or among others: nothing could be scored any more."""
        deleted, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        active = [config for config in objs if config.status == ScoreConfig.Status.ACTIVE]
        return (
            deleted,
            counts,
            perms_needed,
            [
                *protected,
                *(f"{config.name} is the active score config: activate another one first." for config in active),
            ],
        )


@admin.register(PromptTemplate)
class PromptTemplateAdmin(SwitchedAdmin):
    csv_kind = "prompt_templates"
    list_display = ("lane", "persona", "intent_stage", "version", "enabled", "updated_at")
    list_filter = ("enabled", "persona", "intent_stage", "lane")
    search_fields = ("lane", "version", "user_prompt_template")
    ordering = ("lane", "persona", "intent_stage", "version")


@admin.register(DomainRule)
class DomainRuleAdmin(RegistryAdmin):
    csv_kind = "domain_rules"
    list_display = ("domain", "kind", "reason", "expires_on", "enabled")
    list_filter = ("enabled", "kind")
    search_fields = ("domain", "reason")
    ordering = ("domain", "kind")


@admin.register(RegistryRevision)
class RegistryRevisionAdmin(ReadOnlyAdmin):
    list_display = ("digest", "created_at", "in_force_at")
    ordering = ("-created_at",)
