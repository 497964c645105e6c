"""The registry over the API, for admins: read, made and changed as in Django admin, and checked by `registry.editing`.

A row is changed with the header `If-Match`, whose value is the `etag` that the row was read with: without it the answer
is 428, and 412 when somebody changed the row meanwhile.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError as Refused
from django.db import IntegrityError, models
from django.db.models import Q, QuerySet
from django.http import Http404
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.fields import get_error_detail
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from abm_project.api.auth import IsInternalAdmin
from abm_project.api.description import Problem
from abm_project.api.strict import Choice, Flag, Strict, Text, Whole, sent, valid
from registry.editing import Stale, because, check, lock, version_of, warnings, with_versions
from registry.history import Version, versions
from registry.models import (
    REASON_LENGTH,
    ActivatedMeanwhile,
    DomainRule,
    EventRule,
    PromptTemplate,
    ScoreConfig,
    ScoreWeight,
)
from registry.transactions import transact
from registry.values import IntentStage, MatchType, Persona
from registry.versions import CannotRollBack

MATCH = "If-Match"
IF_MATCH = OpenApiParameter(
    MATCH, str, OpenApiParameter.HEADER, description="The row's `etag` as you read it, bare or in quotation marks."
)
VERSIONS = {
    412: OpenApiResponse(Problem, "stale: somebody changed the row after you read it; nothing was changed."),
    428: OpenApiResponse(Problem, "precondition_required: send If-Match with the etag you read."),
}


# --- Errors -----------------------------------------------------------------------------------------------------------
class Changed(APIException):
    status_code = 412
    default_code = "stale"


class NoVersion(APIException):
    status_code = 428
    default_code = "precondition_required"
    default_detail = "Send If-Match with the row's etag as you read it, so that nobody else's change is lost."


class NotNow(APIException):
    status_code = 409
    default_code = "conflict"


def seen_version(request: Request) -> str:
    said = request.headers.get(MATCH, "").strip().removeprefix("W/").strip('"')
    if not said:
        raise NoVersion
    return said


def refusal(error: Refused) -> ValidationError:
    """A model's own words, in the API's shape."""
    details = get_error_detail(error)
    if isinstance(details, dict) and "__all__" in details:
        details["non_field_errors"] = details.pop("__all__")
    return ValidationError(details)


def write(work: Callable[[], Any]) -> Any:
    """In a transaction, tried again where the database asks for it; what is refused comes out as the API says it."""
    try:
        return transact(work, again=IntegrityError)
    except Refused as error:
        raise refusal(error) from error
    except Stale as error:
        raise Changed(str(error)) from error
    except ActivatedMeanwhile as error:
        raise NotNow(str(error), "activated_meanwhile") from error
    except ScoreConfig.DoesNotExist as error:
        raise Http404 from error
    except CannotRollBack as error:
        raise NotNow(str(error), "cannot_roll_back") from error


# --- Rows in and out --------------------------------------------------------------------------------------------------
class OnlyText(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number, never a text or a truth value."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return float(data)


class Exact(Number):
    """A number whose column keeps decimal places."""

    def __init__(self, **options: Any) -> None:
        for of_decimals in ("max_digits", "decimal_places"):
            options.pop(of_decimals, None)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Decimal:  # type: ignore[override]
        return Decimal(repr(super().to_internal_value(data)))


STRICT = {
    models.CharField: OnlyText,
    models.TextField: OnlyText,
    models.BooleanField: Flag,
    models.PositiveIntegerField: Whole,
    models.PositiveSmallIntegerField: Whole,
    models.FloatField: Number,
    models.DecimalField: Exact,
}


class Row(serializers.ModelSerializer[Any]):
    """What is read of a row."""

    serializer_field_mapping: ClassVar[Any] = serializers.ModelSerializer.serializer_field_mapping | STRICT
    etag = serializers.SerializerMethodField(help_text="For If-Match: another one after every change.")

    def get_etag(self, row: Any) -> str:
        return version_of(row)


class Body(Strict, serializers.ModelSerializer[Any]):
    """What may be sent of a row. What it must be is said by the model (`registry.editing.check`), in one place."""

    serializer_field_mapping: ClassVar[Any] = serializers.ModelSerializer.serializer_field_mapping | STRICT
    serializer_choice_field = Choice
    change_reason = Text(REASON_LENGTH, help_text="Why; kept in the history.")


def told(model: type[models.Model], names: Sequence[str], **more: str) -> dict[str, Any]:
    """A meaning for every field: the model's own help text, or these."""
    texts = {name: more.get(name) or str(model._meta.get_field(name).help_text) for name in names}
    return {name: {"help_text": text} for name, text in texts.items() if text}


RULE = (
    "enabled", "priority", "event_name", "match_type", "match_value", "content_type", "lane", "weight_override",
    "score_config", "notes",
)  # fmt: skip
RULE_TOLD = {
    "enabled": "A disabled rule is never tried.",
    "match_type": "How match_value is looked for in the path: at its start, anywhere, as all of it, or as RE2 pattern.",
    "notes": "For people.",
}
CONFIG = (
    "name", "lambda_decay", "normalize_k", "cold_max", "warm_max", "surge_surging_min", "surge_exploding_min",
    "surge_smoothing", "surge_min_raw_7d", "surge_rebase_prev", "new_account_days",
)  # fmt: skip
CONFIG_TOLD = {"name": "Of this version of the scoring model.", "status": "active, draft or archived; see activate."}
WEIGHT = ("score_config", "kind", "event_name", "content_type", "cta_id", "weight")
WEIGHT_TOLD = {
    "score_config": "The config it belongs to.",
    "kind": "event: of the intent score. lead: of a lead's own score.",
    "event_name": "The event, exactly.",
}
AUTO = ("id", "created_at", "updated_at")
AUTO_TOLD = {
    "id": {"help_text": "The row."},
    "created_at": {"help_text": "UTC."},
    "updated_at": {"help_text": "UTC; of its last change."},
}


class RuleRow(Row):
    """An event rule."""

    class Meta:
        model = EventRule
        fields = (*AUTO, *RULE, "etag")
        read_only_fields = fields
        extra_kwargs = AUTO_TOLD | told(EventRule, RULE, **RULE_TOLD)


class RuleDetail(RuleRow):
    """An event rule, and what is perhaps not meant about it."""

    warnings = serializers.SerializerMethodField(help_text="What is allowed and perhaps not meant, in sentences.")

    class Meta(RuleRow.Meta):
        fields = (*RuleRow.Meta.fields, "warnings")
        read_only_fields = fields

    def get_warnings(self, row: EventRule) -> list[str]:
        return warnings(row)


class RuleBody(Body):
    """An event rule; what is left out keeps its value, or gets the default."""

    class Meta:
        model = EventRule
        fields = (*RULE, "change_reason")
        extra_kwargs = told(EventRule, RULE, **RULE_TOLD)
        validators: ClassVar[list[Any]] = []


class ConfigRow(Row):
    """A score config. Its weights are rows of their own: `score-weights?score_config=<id>`."""

    class Meta:
        model = ScoreConfig
        fields = (*AUTO, "status", *CONFIG, "etag")
        read_only_fields = fields
        extra_kwargs = AUTO_TOLD | told(ScoreConfig, (*CONFIG, "status"), **CONFIG_TOLD)


class ConfigBody(Body):
    """A score config; a new one is a draft."""

    class Meta:
        model = ScoreConfig
        fields = (*CONFIG, "change_reason")
        extra_kwargs = told(ScoreConfig, CONFIG, **CONFIG_TOLD)
        validators: ClassVar[list[Any]] = []


class WeightRow(Row):
    """A weight of a score config."""

    class Meta:
        model = ScoreWeight
        fields = (*AUTO, *WEIGHT, "etag")
        read_only_fields = fields
        extra_kwargs = AUTO_TOLD | told(ScoreWeight, WEIGHT, **WEIGHT_TOLD)


class WeightBody(Body):
    """A weight. It stays in the config it was made in."""

    class Meta:
        model = ScoreWeight
        fields = (*WEIGHT, "change_reason")
        extra_kwargs = told(ScoreWeight, WEIGHT, **WEIGHT_TOLD)
        validators: ClassVar[list[Any]] = []

    def validate_score_config(self, config: ScoreConfig) -> ScoreConfig:
        if self.instance is not None and config.pk != self.instance.score_config_id:
            raise serializers.ValidationError("A weight stays in its config.", "immutable")
        return config


PROMPT = (
    "enabled",
    "lane",
    "persona",
    "intent_stage",
    "version",
    "system_prompt",
    "user_prompt_template",
    "max_words",
)
PROMPT_TOLD = {
    "enabled": "At most one is, of a lane, persona and stage.",
    "lane": "A lane, or * for any.",
    "persona": "Whom the brief is for, or * for any.",
    "intent_stage": "The account's stage, or * for any.",
    "version": "For people.",
    "system_prompt": "Who the model is, and what it must not do.",
    "max_words": "How long the brief may be, 20 to 2000.",
}


class PromptRow(Row):
    """A prompt template."""

    class Meta:
        model = PromptTemplate
        fields = (*AUTO, *PROMPT, "etag")
        read_only_fields = fields
        extra_kwargs = AUTO_TOLD | told(PromptTemplate, PROMPT, **PROMPT_TOLD)


class PromptBody(Body):
    """A prompt template."""

    class Meta:
        model = PromptTemplate
        fields = (*PROMPT, "change_reason")
        extra_kwargs = told(PromptTemplate, PROMPT, **PROMPT_TOLD)
        validators: ClassVar[list[Any]] = []


DOMAIN = ("enabled", "domain", "kind", "reason", "expires_on")
DOMAIN_TOLD = {
    "enabled": "A disabled rule says nothing.",
    "kind": "personal, not_personal, platform, or as what the account is suppressed.",
    "reason": "Why there is the rule, for people.",
}


class DomainRow(Row):
    """A domain rule."""

    class Meta:
        model = DomainRule
        fields = (*AUTO, *DOMAIN, "etag")
        read_only_fields = fields
        extra_kwargs = AUTO_TOLD | told(DomainRule, DOMAIN, **DOMAIN_TOLD)


class DomainBody(Body):
    """A domain rule."""

    expires_on = serializers.DateField(
        input_formats=["iso-8601"], required=False, allow_null=True, help_text="Last day on which it counts."
    )

    class Meta:
        model = DomainRule
        fields = (*DOMAIN, "change_reason")
        extra_kwargs = told(DomainRule, DOMAIN, **DOMAIN_TOLD)
        validators: ClassVar[list[Any]] = []


# --- Filters ----------------------------------------------------------------------------------------------------------
def truth(field: str, help_text: str) -> filters.ChoiceFilter:
    return filters.ChoiceFilter(
        field, choices=[("true", "yes"), ("false", "no")], method="by_truth", help_text=help_text
    )  # fmt: skip


class RowFilters(filters.FilterSet):
    looked_in: ClassVar[tuple[str, ...]] = ()

    def by_truth(self, rows: QuerySet[Any], name: str, said: str) -> QuerySet[Any]:
        return rows.filter(**{name: said == "true"})

    def matching(self, rows: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        asked = Q()
        for column in self.looked_in:
            asked |= Q(**{f"{column}__icontains": text})
        return rows.filter(asked)


def search(help_text: str) -> filters.CharFilter:
    return filters.CharFilter(method="matching", max_length=200, help_text=help_text)


class RuleFilters(RowFilters):
    looked_in = ("match_value", "lane", "content_type", "notes")
    enabled = truth("enabled", "Rules that are tried, or not.")
    event_name = filters.CharFilter(max_length=64, help_text="Rules with exactly this event name.")
    match_type = filters.ChoiceFilter(choices=[(k.value, k.value) for k in MatchType], help_text="Rules of this type.")
    content_type = filters.CharFilter(max_length=64, help_text="Rules that give exactly this content type.")
    lane = filters.CharFilter(max_length=64, help_text="Rules that give exactly this lane.")
    score_config = filters.UUIDFilter("score_config_id", help_text="Rules of this config alone.")
    search = search("Rules with this in pattern, lane, content type or notes.")


class ConfigFilters(RowFilters):
    looked_in = ("name",)
    status = filters.ChoiceFilter(choices=ScoreConfig.Status.choices, help_text="Configs in this state.")
    search = search("Configs with this in their name.")


class WeightFilters(RowFilters):
    looked_in = ("event_name", "content_type", "cta_id")
    score_config = filters.UUIDFilter("score_config_id", help_text="Weights of this config.")
    kind = filters.ChoiceFilter(choices=ScoreWeight.Kind.choices, help_text="Of the intent score, or of lead scores.")
    event_name = filters.CharFilter(max_length=64, help_text="Weights of exactly this event.")
    search = search("Weights with this in event, content type or call to action.")


class PromptFilters(RowFilters):
    looked_in = ("lane", "version", "user_prompt_template")
    enabled = truth("enabled", "Templates that are used, or not.")
    lane = filters.CharFilter(max_length=64, help_text="Templates of exactly this lane.")
    persona = filters.ChoiceFilter(
        choices=[(name, name) for name in ("*", *(persona.value for persona in Persona))], help_text="For this persona."
    )
    intent_stage = filters.ChoiceFilter(
        choices=[(name, name) for name in ("*", *(stage.value for stage in IntentStage))], help_text="For this stage."
    )
    search = search("Templates with this in lane, version or text.")


class DomainFilters(RowFilters):
    looked_in = ("domain", "reason")
    enabled = truth("enabled", "Rules that count, or not.")
    kind = filters.ChoiceFilter(choices=DomainRule.KINDS, help_text="Rules of this kind.")
    search = search("Rules with this in domain or reason.")


# --- Views of every table ---------------------------------------------------------------------------------------------
class RegistryView(GenericAPIView):
    permission_classes = (IsInternalAdmin,)
    body: ClassVar[type[Body]]
    row: ClassVar[type[Row]]
    lookup_field = "id"

    def answer(self, row: Any, status: int = 200) -> Response:
        data = self.row(row, context=self.get_serializer_context()).data
        return Response(data, status=status, headers={"ETag": f'"{data["etag"]}"'})

    def save(self, row: Any, changes: dict[str, Any], reason: str) -> Any:
        for name, value in changes.items():
            setattr(row, name, value)
        check(row)
        because(row, reason)
        row.save()
        row.__dict__.pop("weights_at", None)
        return row


class RegistryList(RegistryView, ListAPIView):
    def post(self, request: Request) -> Response:
        given = valid(self.body(data=sent(request)))
        reason = given.pop("change_reason", "")
        return self.answer(write(partial(self._make, given, reason)), 201)

    def _make(self, given: dict[str, Any], reason: str) -> Any:
        return self.save(self.body.Meta.model(), given, reason)  # type: ignore[attr-defined]


class RegistryDetail(RegistryView):
    def get(self, request: Request, id: UUID) -> Response:
        return self.answer(self.get_object())

    def patch(self, request: Request, id: UUID) -> Response:
        seen, body = seen_version(request), sent(request)
        self.get_object()
        return self.answer(write(partial(self._change, id, seen, body)))

    def _change(self, id: UUID, seen: str, body: Any) -> Any:
        row = lock(self.body.Meta.model, id, seen)  # type: ignore[attr-defined]
        given = valid(self.body(row, data=body, partial=True))
        reason = given.pop("change_reason", "")
        return self.save(row, given, reason)


class FieldChange(serializers.Serializer[Any]):
    """What one field said before and after."""

    field = serializers.CharField(help_text="Its name.")
    was = serializers.CharField(help_text="Before, as text; empty for a new row.")
    becomes = serializers.CharField(help_text="After, as text.")


class VersionRow(serializers.Serializer[Version]):
    """One change of a row."""

    at = serializers.DateTimeField(help_text="When, UTC.")
    by = serializers.CharField(help_text="Who; empty: a command or the seed.")
    kind = serializers.ChoiceField(["created", "changed", "deleted"], help_text="What happened to the row.")
    reason = serializers.CharField(help_text="Why, where somebody said so.")
    changes = FieldChange(many=True, help_text="What differs from the version before.")


class NoFilters(filters.FilterSet):
    """Pages alone: any other name is refused."""


class RegistryHistory(RegistryView):
    filterset_class = NoFilters

    def get(self, request: Request, id: UUID) -> Response:
        row = self.get_object()
        rows = row.history.select_related("history_user").order_by("-history_date", "-history_id")
        page = self.paginate_queryset(self.filter_queryset(rows))
        found = versions(page)
        return self.get_paginated_response(VersionRow(found, many=True).data)


def described(what: str, row: type[Row], body: type[Body]) -> Callable[[Any], Any]:
    """Request, answers and meaning of the views of one table."""

    def describe(view: Any) -> Any:
        if issubclass(view, RegistryList):
            return extend_schema_view(
                get=extend_schema(description=f"All {what}s.", responses=row(many=True)),
                post=extend_schema(description=f"Make a {what}.", request=body, responses={201: view.row}),
            )(view)
        if issubclass(view, RegistryHistory):
            return extend_schema_view(
                get=extend_schema(
                    description=f"What was changed about a {what}, newest first.", responses=VersionRow(many=True)
                )
            )(view)
        return extend_schema_view(
            get=extend_schema(description=f"One {what}.", responses=view.row),
            patch=extend_schema(
                description=f"Change a {what}; what is left out stays.",
                request=body,
                parameters=[IF_MATCH],
                responses={200: view.row, **VERSIONS},
            ),
        )(view)

    return describe


def _views(
    what: str,
    model: type[models.Model],
    row: type[Row],
    body: type[Body],
    filterset: type[RowFilters],
    order: tuple[str, ...],
    detail: type[Row] | None = None,
) -> tuple[Any, Any, Any]:
    """List, detail and history of one table: they differ in nothing else."""
    own = {
        "queryset": model._default_manager.order_by(*order),
        "serializer_class": row,
        "body": body,
        "row": detail or row,
    }
    name = model.__name__
    kinds = (("List", RegistryList), ("Detail", RegistryDetail), ("History", RegistryHistory))
    found = [
        type(f"{name}{kind}", (base,), own | ({"filterset_class": filterset} if kind == "List" else {}))
        for kind, base in kinds
    ]
    describe = described(what, row, body)
    return describe(found[0]), describe(found[1]), describe(found[2])


RuleList, RuleView, RuleHistory = _views(
    "event rule", EventRule, RuleRow, RuleBody, RuleFilters, ("priority", "id"), RuleDetail
)
ConfigList, ConfigView, ConfigHistory = _views(
    "score config", ScoreConfig, ConfigRow, ConfigBody, ConfigFilters, ("name", "id")
)
WeightList, WeightView, WeightHistory = _views(
    "score weight", ScoreWeight, WeightRow, WeightBody, WeightFilters,
    ("score_config", "kind", "event_name", "content_type", "cta_id", "id"),
)  # fmt: skip
PromptList, PromptView, PromptHistory = _views(
    "prompt template", PromptTemplate, PromptRow, PromptBody, PromptFilters,
    ("lane", "persona", "intent_stage", "version", "id"),
)  # fmt: skip
DomainRuleList, DomainRuleView, DomainRuleHistory = _views(
    "domain rule", DomainRule, DomainRow, DomainBody, DomainFilters, ("domain", "kind", "id")
)
ConfigList.queryset = with_versions(ConfigList.queryset)
