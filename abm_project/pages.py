"""The server-rendered pages: function views that read dashboards and render. The only readers of the clock here."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_safe

from abm_project import dashboards
from abm_project.access import is_admin, roles
from abm_project.filters import PAGE_SIZES, AccountListForm, ListForm, MoversForm, owner_id
from abm_project.ownership import owners
from abm_project.request_ids import current as current_request_id
from registry import csv_cells


def freshness(request: HttpRequest) -> dict[str, object]:
    """For every template: is what we show fresh, and what may this user do. Asked of the database only where shown."""
    user = getattr(request, "user", None)
    return {
        "freshness": SimpleLazyObject(lambda: dashboards.freshness(dashboards.newest_due(timezone.now()))),
        "has_role": SimpleLazyObject(lambda: bool(user and roles(user))),
        "is_internal_admin": SimpleLazyObject(lambda: bool(user and is_admin(user))),
    }


@require_safe
def hot_accounts(request: HttpRequest) -> HttpResponse:
    form = AccountListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    now = timezone.now()
    chosen = form.chosen(request.user.pk, now.date())
    found = dashboards.hot_accounts(chosen, form.page_number, form.page_size)
    context = {
        "chosen": chosen,
        "found": found,
        "ranges": dashboards.RANGES,
        "window": dashboards.RANGES[chosen.range],
        "columns": account_columns(chosen),
        "filtered": any(
            [chosen.stage, chosen.lane, chosen.surge, chosen.search, chosen.owner_id, chosen.suppressed, chosen.snoozed]
        ),
        "mine": chosen.owner_id == request.user.pk,
        "whose": request.GET.get("owner", ""),
        "owners": [user.get_username() for user in owners() if user.pk != request.user.pk],
        "sizes": PAGE_SIZES,
        "previous_page": found.page - 1,
        "next_page": found.page + 1,
        "now": now,
    }
    return render(request, "hot_accounts.html", context)


@require_safe
def movers(request: HttpRequest) -> HttpResponse:
    """What changed since the day before, or since a day that is asked for. Hot accounts takes its panel from here."""
    form = MoversForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    since, owner = form.cleaned_data["since"], owner_id(form.cleaned_data["owner"], request.user.pk)
    found = dashboards.movers(since, owner_id=owner)
    groups = (
        ("Entered Hot", "up", found.entered_hot),
        ("Left Hot", "down", found.left_hot),
        ("Newly exploding", "up", found.newly_exploding),
    )
    context = {
        "found": found,
        "groups": groups,
        "since": since,
        "mine": owner == request.user.pk,
        "whose": request.GET.get("owner", ""),
        "now": timezone.now(),
    }
    return render(request, "movers.html", context)


@require_safe
def accounts_csv(request: HttpRequest) -> HttpResponseBase:
    """The whole list under the current filters, streamed; `page` and `limit` do not apply."""
    form = AccountListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    now = timezone.now()
    name = f"hot-accounts-{now:%Y-%m-%d}.csv"
    cells = dashboards.account_cells(form.chosen(request.user.pk, now.date()))
    return StreamingHttpResponse(
        csv_cells.lines(dashboards.ACCOUNT_COLUMNS, cells),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def no_such_page(request: HttpRequest, **kwargs: str) -> HttpResponse:
    raise Http404


def failure_page(
    request: HttpRequest, status: int, title: str, detail: str, problems: Iterable[str] = ()
) -> HttpResponse:
    """What went wrong, in words, with the id under which our log has it."""
    context = {
        "status": status,
        "title": title,
        "detail": detail,
        "problems": list(problems),
        "request_id": current_request_id.get(),
    }
    return render(request, "error.html", context, status=status)


def bad_filters(request: HttpRequest, form: ListForm) -> HttpResponse:
    detail = "The address of this page contains a filter that Orbit does not know."
    return failure_page(request, 400, "That filter does not exist", detail, form.problems())


@dataclass(frozen=True, slots=True)
class Head:
    """A link in the table's head that sorts by a column, or turns the order where the table is sorted by it."""

    label: str
    ordering: str
    sorted: str


@dataclass(frozen=True, slots=True)
class Column:
    css: str
    label: str = ""
    links: tuple[Head, ...] = ()

    @property
    def sorted(self) -> str:
        return next((head.sorted for head in self.links if head.sorted), "")


def head(ordering: str, name: str, label: str, first_up: bool = False) -> Head:
    """The first click on a number shows the highest first, on a word the first in the alphabet."""
    descending = ordering.startswith("-")
    if ordering.removeprefix("-") != name:
        return Head(label, name if first_up else f"-{name}", "")
    return Head(label, name if descending else f"-{name}", "descending" if descending else "ascending")


def account_columns(chosen: dashboards.AccountFilter) -> list[Column]:
    """Of a table of accounts, as partials/accounts.html shows it."""
    order, window = chosen.ordering, chosen.range
    return [
        Column("name", links=(head(order, "name", "Account", first_up=True),)),
        Column("score", links=(head(order, "intent_score", "Score"), head(order, "raw_score", f"Points {window}"))),
        Column("number moved", "1 d"),
        Column("number moved", "7 d"),
        Column("stage", links=(head(order, "intent_stage", "Stage"),)),
        Column("surge", links=(head(order, "surge_ratio", "Surge"),)),
        Column("lane", links=(head(order, "top_lane", f"Lane {window}", first_up=True),)),
        Column("number people", links=(head(order, "unique_people_7d", "People"),)),
        Column("why", "Why hot, 7 d"),
        Column("trend", "30 days"),
        Column("seen", links=(head(order, "last_seen_at", "Last seen"),)),
    ]
