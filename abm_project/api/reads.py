"""What the dashboards' endpoints have in common: filters into a read, its values out, and how fresh they are."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, TypeVar

from django import forms
from django.core.validators import RegexValidator
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.viewsets import GenericViewSet

from abm_project import dashboards
from abm_project.api.lists import LIMIT_MAX, PAGING, page_asked, page_of, understood
from abm_project.filters import NAME_LENGTH, OwnerField
from accounts.models import ProspectCompany
from registry.values import IntentStage, SurgeLevel

Shape = TypeVar("Shape")
FRESHNESS = ("empty", "fresh", "stale", "failed", "held")


# --- What may be asked for --------------------------------------------------------------------------------------------
class OrderingField(forms.CharField):
    """Columns with commas between, each with a minus to turn it; none twice."""

    def __init__(self, *, columns: Sequence[str], **options: Any) -> None:
        self.columns = frozenset(columns)
        super().__init__(**options)

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        named = [part.removeprefix("-") for part in text.split(",")] if text else []
        unknown = sorted(set(named) - self.columns)
        if unknown:
            allowed = ", ".join(sorted(self.columns))
            raise forms.ValidationError(f"“{unknown[0][:50]}” is not one of: {allowed}.", "invalid_choice")
        if len(set(named)) < len(named):
            raise forms.ValidationError("A column stands twice.", "repeated")
        return text


class OrderingFilter(filters.Filter):
    field_class = OrderingField


def ordering(columns: Sequence[str], default: str) -> Any:
    one = f"-?({'|'.join(columns)})"
    schema = {"type": "string", "pattern": f"^{one}(,{one})*$", "maxLength": 200}
    meaning = f"Columns with commas between, a minus before one to turn it; {default} unless said."
    return described(OrderingFilter(columns=columns, max_length=200), schema, meaning)


def described(made: filters.Filter, schema: dict[str, Any], meaning: str) -> Any:
    return extend_schema_field({**schema, "description": meaning})(made)


def one_of(values: Iterable[str], meaning: str) -> Any:
    allowed = [str(value) for value in values]
    made = filters.ChoiceFilter(choices=[(value, value) for value in allowed])
    return described(made, {"type": "string", "enum": allowed}, meaning)


def text(max_length: int, meaning: str) -> Any:
    return described(filters.CharFilter(max_length=max_length), {"type": "string", "maxLength": max_length}, meaning)


def lane(meaning: str) -> Any:
    word = RegexValidator(r"\A[^\s\x00-\x1f/]+\Z", "A lane is one word such as private_office.")
    made = filters.CharFilter(max_length=64, validators=[word])
    return described(made, {"type": "string", "maxLength": 64}, meaning)


class OwnerFilter(filters.Filter):
    field_class = OwnerField


def owner(meaning: str) -> Any:
    return described(OwnerFilter(), {"type": "string", "maxLength": NAME_LENGTH}, meaning)


def day(meaning: str) -> Any:
    made = filters.DateFilter(input_formats=["%Y-%m-%d"])
    return described(made, {"type": "string", "format": "date"}, meaning)


# --- What is shown ----------------------------------------------------------------------------------------------------
def choice(values: type[StrEnum], **options: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField([(value.value, value.name) for value in values], **options)


def stage(**options: Any) -> serializers.ChoiceField:
    return choice(IntentStage, **options)


def surge(**options: Any) -> serializers.ChoiceField:
    return choice(SurgeLevel, **options)


class Freshness(serializers.Serializer[Any]):
    """Through which day there are scores, and is that as it should be?"""

    through = serializers.DateField(
        allow_null=True, help_text="The newest UTC day that all accounts are scored for; null: none yet."
    )
    computed_at = serializers.DateTimeField(allow_null=True, help_text="When those scores were made, UTC.")
    computed_by = serializers.UUIDField(allow_null=True, help_text="The run that made them; null: unknown.")
    state = serializers.ChoiceField(
        FRESHNESS,
        help_text="fresh: last night's scores. stale: older ones. failed, held: the newest run came to that, see "
        "message. empty: no scores yet.",
    )
    is_stale = serializers.SerializerMethodField(help_text="Whether state is anything but fresh.")
    message = serializers.CharField(allow_blank=True, help_text="Why the newest run failed or is held, for people.")
    going = serializers.ChoiceField(
        ["queued", "running"],
        allow_blank=True,
        help_text="Whether a run of all accounts waits or goes on now; empty: none.",
    )
    run_id = serializers.UUIDField(
        allow_null=True, help_text="The run that failed, is held, waits or goes on; null: none."
    )

    def get_is_stale(self, found: dashboards.Freshness) -> bool:
        return found.state != "fresh"


class Facet(serializers.Serializer[Any]):
    """How many rows there would be with one filter changed to this."""

    value = serializers.CharField(help_text="Of the filter.")
    count = serializers.IntegerField(help_text="Rows it would leave, the other filters as they are.")


class Page(serializers.Serializer[Any]):
    count = serializers.IntegerField(min_value=0, help_text="Rows that match, on all pages.")
    page = serializers.IntegerField(min_value=1, help_text="This page, from 1.")
    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, help_text="Rows of a page.")
    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last one.")
    previous = serializers.URLField(allow_null=True, help_text="The page before; null on the first one.")


class Plain(serializers.Serializer[Shape]):
    """For rows that are many, of values that are already what JSON makes of them: they are taken as they stand. To ask
    each field of each row, as Django REST framework does, takes a quarter of a long answer."""

    @cached_property
    def _values(self) -> Callable[[Any], tuple[Any, ...]]:
        return attrgetter(*self.fields)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return dict(zip(self.fields, self._values(instance), strict=True))


@cache
def _form_of(shape: type[filters.FilterSet]) -> type[forms.Form]:
    """One for all requests: django-filter copies every filter and makes a new class of form for each."""
    made: type[forms.Form] = shape(queryset=ProspectCompany.objects.none()).get_form_class()
    return made


# --- Answers ----------------------------------------------------------------------------------------------------------
@cache
def _writer(shape: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """One for all answers of a shape: Django REST framework copies every field for each, a tenth of a small answer."""
    return shape()


def written(shape: type[serializers.Serializer[Any]], found: Any) -> dict[str, Any]:
    """What an answer says of one found value."""
    return dict(_writer(shape).to_representation(found))


def all_written(shape: type[serializers.Serializer[Any]], found: Iterable[Any]) -> list[dict[str, Any]]:
    """The same of each of several."""
    return [written(shape, one) for one in found]


# --- Views ------------------------------------------------------------------------------------------------------------
class Reads(GenericViewSet[ProspectCompany]):
    """Endpoints over `dashboards`. Each action's filters stand in `filters_of`; every answer says how fresh it is."""

    queryset = ProspectCompany.objects.none()
    filters_of: dict[str, type[filters.FilterSet]] = {}
    paged: tuple[str, ...] = ("list",)

    @property
    def filterset_class(self) -> type[filters.FilterSet] | None:
        return self.filters_of.get(self.action)

    @property
    def pagination_class(self) -> Any:
        return super().pagination_class if self.action in self.paged else None

    def asked(self) -> dict[str, Any]:
        """The filters, understood, or a 400. What was not said is '' or None."""
        query = self.request.query_params
        return understood(_form_of(self.filters_of[self.action])(query), query, PAGING if self.pagination_class else ())

    def page_asked(self) -> tuple[int, int]:
        return page_asked(self.request)

    def page(self, shape: Any, found: Any, asked: int) -> dict[str, Any]:
        """A page of a read, which shows its last one to who asks beyond it; a program is told that there is no more."""
        rows = found.rows if found.page == asked else ()
        address = self.request.build_absolute_uri()
        return page_of(all_written(shape, rows), found.count, asked, found.limit, address)

    def fresh(self) -> dict[str, Any]:
        return {"freshness": written(Freshness, dashboards.freshness(dashboards.newest_due(timezone.now())))}
