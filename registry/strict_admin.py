"""What every page of Django admin has: junk in an address or a form gets a 400 or 404, never a 500.

Django hands lookups, search words and keys to the database as they were sent, and some of them it refuses.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.filters import AllValuesFieldListFilter, FieldListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import CharField, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from simple_history.admin import SimpleHistoryAdmin

SEARCH_LENGTH = 200  # SQLite refuses the condition that a thousand words make
COMPARISONS = ("", "__exact", "__isnull", "__isempty", "__id__exact")  # of the filters that Django has


class NamedValuesFilter(AllValuesFieldListFilter):
    """Of a text column without choices. Django's link for rows that have none is empty: nothing to read or to press."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield choice | {"display": choice["display"] or "(none)"}


FieldListFilter.register(
    lambda field: isinstance(field, CharField) and not field.flatchoices, NamedValuesFilter, take_priority=True
)


class _Strict:
    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only what the page's own filters ask: a regular expression or a year 0 would break the query."""
        offered = [entry[0] if isinstance(entry, tuple) else entry for entry in self.list_filter]  # type: ignore[attr-defined]
        return lookup in {f"{name}{comparison}" for name in offered for comparison in COMPARISONS}

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if len(search_term) > SEARCH_LENGTH:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)  # type: ignore[misc]

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        if not all(is_key(queryset.model, chosen) for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("A chosen row has no valid id.")
        return super().response_action(request, queryset)  # type: ignore[misc]


class StrictAdmin(_Strict, admin.ModelAdmin):
    """A table of ours in Django admin."""


class StrictHistoryAdmin(_Strict, SimpleHistoryAdmin):
    """A table of ours in Django admin, whose rows keep their former versions."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._demand_keys((self.model, unquote(object_id)))
        return super().history_view(request, object_id, extra_context)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._demand_keys((self.model, unquote(object_id)), (self.model.history.model, unquote(version_id)))
        return super().history_form_view(request, object_id, version_id, extra_context)

    def _demand_keys(self, *sent: tuple[type[Model], str]) -> None:
        if not all(is_key(model, text) for model, text in sent):
            raise Http404("There is no such row.")


def is_key(model: type[Model], text: str) -> bool:
    """Whether a row of the table could have this key."""
    try:
        model._meta.pk.clean(text, None)
    except ValidationError:
        return False
    return True
