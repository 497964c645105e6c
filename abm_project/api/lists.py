"""What every list of the API does: filters that are understood or refused, pages, and the whole of it as CSV."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.forms import BaseForm
from django.http import HttpResponseBase, QueryDict, StreamingHttpResponse
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from abm_project.api.strict import valid
from registry import csv_cells

LIMIT_MAX, LIMIT_DEFAULT, PAGE_MAX = 200, 50, 1_000_000
CSV_BATCH = 500
Row = TypeVar("Row", bound=Model)


class PageQuery(serializers.Serializer[Any]):
    page = serializers.IntegerField(
        min_value=1, max_value=PAGE_MAX, default=1, help_text="Which page; one past the end is empty."
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT, help_text=f"Rows of a page, at most {LIMIT_MAX}."
    )


PAGING = tuple(PageQuery().fields)


def page_asked(request: Request) -> tuple[int, int]:
    """Page and limit."""
    given = {name: request.query_params[name] for name in PAGING if name in request.query_params}
    chosen = valid(PageQuery(data=given))
    return chosen["page"], chosen["limit"]


def page_of(results: Any, count: int, page: int, limit: int, address: str) -> dict[str, Any]:
    """What every list answers; `address` is the one that was asked for."""
    pages = max(1, -(-count // limit))
    return {
        "count": count,
        "page": page,
        "limit": limit,
        "next": _address(address, page + 1) if page < pages else None,
        "previous": _address(address, min(page - 1, pages)) if page > 1 else None,
        "results": results,
    }


def _address(address: str, page: int) -> str:
    if page == 1:
        return str(remove_query_param(address, "page"))
    return str(replace_query_param(address, "page", page))


class StrictFilters(DjangoFilterBackend):
    """An unknown name or value is an error, and so is a name that comes twice: which one would count?"""

    def filter_queryset(self, request: Request, queryset: QuerySet[Row], view: APIView) -> QuerySet[Row]:
        filters = self.get_filterset(request, queryset, view)
        if filters is None:
            return queryset
        understood(filters.form, request.query_params, PAGING if getattr(view, "pagination_class", None) else ())
        return filters.qs


def understood(form: BaseForm, query: QueryDict, besides: Container[str]) -> dict[str, Any]:
    """What the form of some filters found in the query, or a 400. `besides`: other names that may stand there."""
    problems: dict[str, Any] = {}
    for name in query:
        if name not in form.fields and name not in besides:
            problems[name] = [ErrorDetail("There is no such filter.", "unknown")]
        elif len(query.getlist(name)) > 1:
            problems[name] = [ErrorDetail("Give it once.", "repeated")]
    for name, errors in form.errors.get_json_data().items():
        problems.setdefault(name, [ErrorDetail(error["message"], error["code"] or "invalid") for error in errors])
    if problems:
        raise ValidationError(problems)
    return form.cleaned_data


class Pages(BasePagination):
    """`page` and `limit` in; count, page, limit, next, previous and results out."""

    def paginate_queryset(self, queryset: QuerySet[Row], request: Request, view: APIView | None = None) -> list[Row]:
        self.page, self.limit = page_asked(request)
        self.count, self.address = queryset.count(), request.build_absolute_uri()
        start = (self.page - 1) * self.limit
        # Ids in order first, then the rows of one page: to sort and skip whole rows takes ten times longer.
        ids = list(queryset.values_list("pk", flat=True)[start : start + self.limit]) if start < self.count else []
        found = queryset.in_bulk(ids)
        return [found[id] for id in ids if id in found]

    def get_paginated_response(self, data: Any) -> Response:
        return Response(page_of(data, self.count, self.page, self.limit, self.address))

    def get_paginated_response_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        properties: dict[str, Any] = {
            "count": {"type": "integer", "minimum": 0, "description": "Rows that match, on all pages."},
            "page": {"type": "integer", "minimum": 1, "description": "This page, from 1."},
            "limit": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "description": "Rows of a page."},
            "next": {**link, "description": "The next page; null on the last one."},
            "previous": {**link, "description": "The page before; null on the first one."},
            "results": {**schema, "description": "The rows of this page."},
        }
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        bounds = {"page": (1, PAGE_MAX, 1), "limit": (1, LIMIT_MAX, LIMIT_DEFAULT)}
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": str(PageQuery().fields[name].help_text),
                "schema": {"type": "integer", "minimum": least, "maximum": most, "default": default},
            }
            for name, (least, most, default) in bounds.items()
        ]


def in_batches(rows: QuerySet[Row]) -> Iterator[Row]:
    """Every row, a batch at a time, each beginning after the last row seen: no batch costs more for being late.

    The order must be two columns in one direction, without nulls, of which the second is unique.
    """
    first, second = rows.query.order_by
    column, unique = first.lstrip("-"), second.lstrip("-")
    side = "lt" if first.startswith("-") else "gt"
    batch = list(rows[:CSV_BATCH])
    while batch:
        yield from batch
        at, last = getattr(batch[-1], column), batch[-1].pk
        later = Q(**{f"{column}__{side}": at}) | Q(**{f"{unique}__{side}": last})
        batch = list(rows.filter(later, **{f"{column}__{side}e": at})[:CSV_BATCH])


def csv_answer(name: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> HttpResponseBase:
    return StreamingHttpResponse(
        csv_cells.lines(columns, rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{timezone.now():%Y-%m-%d}.csv"'},
    )
