"""Plain editing of the registry; pages that show consequences come from abm_project."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from registry.editing import check_together
from registry.models import (
    DomainRule,
    EventRule,
    PromptTemplate,
    RegistryRevision,
    ScoreConfig,
    ScoreWeight,
)
from registry.read_only import ReadOnlyAdmin
from registry.strict_admin import StrictHistoryAdmin


class RegistryAdmin(StrictHistoryAdmin):
    """Edits count in this process at once, elsewhere within REGISTRY_TTL_SECONDS; scores change at the next run."""

    readonly_fields = ("created_at", "updated_at")


class EventRuleForm(forms.ModelForm):
    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                check_together(self.instance)
            except ValidationError as error:
                self.add_error(None, error)


@admin.register(EventRule)
class EventRuleAdmin(RegistryAdmin):
    form = EventRuleForm
    list_display = (
        "priority",
        "event_name",
        "match_type",
        "match_value",
        "content_type",
        "lane",
        "weight_override",
        "enabled",
    )
    list_display_links = ("match_value",)
    list_filter = ("enabled", "match_type", "event_name", "lane", "content_type")
    search_fields = ("match_value", "lane", "content_type", "notes")
    ordering = ("priority", "id")


class ScoreWeightInline(admin.TabularInline):
    model = ScoreWeight
    extra = 0
    fields = ("kind", "event_name", "content_type", "cta_id", "weight")
    ordering = ("kind", "event_name", "content_type", "cta_id")


@admin.register(ScoreConfig)
class ScoreConfigAdmin(RegistryAdmin):
    list_display = ("name", "status", "lambda_decay", "normalize_k", "cold_max", "warm_max", "updated_at")
    list_filter = ("status",)
    ordering = ("name",)
    inlines = (ScoreWeightInline,)
    readonly_fields = (*RegistryAdmin.readonly_fields, "status")
    actions = ("activate",)

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

    @admin.action(description="Activate the chosen config (archives the active one)")
    def activate(self, request: HttpRequest, queryset: QuerySet[ScoreConfig]) -> None:
        chosen = list(queryset)
        if len(chosen) != 1:
            self.message_user(request, "Choose exactly one config.", messages.ERROR)
            return
        chosen[0].activate()
        self.message_user(request, f"{chosen[0].name} is active and decides the next scores.", messages.SUCCESS)


@admin.register(PromptTemplate)
class PromptTemplateAdmin(RegistryAdmin):
    list_display = ("lane", "persona", "intent_stage", "version", "enabled", "updated_at")
    list_filter = ("enabled", "persona", "intent_stage", "lane")
    search_fields = ("lane", "version", "user_prompt_template")
    ordering = ("lane", "persona", "intent_stage", "version")


@admin.register(DomainRule)
class DomainRuleAdmin(RegistryAdmin):
    list_display = ("domain", "kind", "reason", "expires_on", "enabled")
    list_filter = ("enabled", "kind")
    search_fields = ("domain", "reason")
    ordering = ("domain", "kind")


@admin.register(RegistryRevision)
class RegistryRevisionAdmin(ReadOnlyAdmin):
    list_display = ("digest", "created_at", "in_force_at")
    ordering = ("-created_at",)
