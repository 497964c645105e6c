"""The server-rendered pages: function views that read dashboards and render. The only readers of the clock here."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_safe

from abm_project import dashboards
from abm_project.access import is_admin, roles
from abm_project.charts import score_line, shares
from abm_project.filters import AccountListForm, ListForm
from abm_project.request_ids import current as current_request_id
from registry import csv_cells

NIGHT_IS_IN = timedelta(hours=3)  # it begins at 02:00 UTC; before 03:00 the scores of the night before are fresh
CSV_COLUMNS = (
    "rank",
    "domain",
    "name",
    "intent_score",
    "intent_stage",
    "surge_level",
    "surge_ratio",
    "is_new",
    "top_lane",
    "score_7d_raw",
    "score_30d_raw",
    "unique_people_7d",
    "why_hot",
    "last_seen_at",
    "last_lead_at",
    "owner",
    "suppressed_as",
    "snapshot_date",
)


def freshness(request: HttpRequest) -> dict[str, object]:
    """For every template: is what we show fresh, and what may this user do. Asked of the database only where shown."""
    user = getattr(request, "user", None)
    return {
        "freshness": SimpleLazyObject(lambda: dashboards.freshness((timezone.now() - NIGHT_IS_IN).date())),
        "has_role": SimpleLazyObject(lambda: bool(user and roles(user))),
        "is_internal_admin": SimpleLazyObject(lambda: bool(user and is_admin(user))),
    }


@require_safe
def hot_accounts(request: HttpRequest) -> HttpResponse:
    form = AccountListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    chosen = form.chosen(request.user.pk)
    found = dashboards.hot_accounts(chosen, form.page_number, form.page_size)
    context = {
        "chosen": chosen,
        "found": found,
        "ranges": dashboards.RANGES,
        "window": dashboards.RANGES[chosen.range],
        "columns": _columns(chosen),
        "filtered": any([chosen.stage, chosen.lane, chosen.surge, chosen.search, chosen.owner_id, chosen.suppressed]),
        "mine": chosen.owner_id is not None,
        "previous_page": found.page - 1,
        "next_page": found.page + 1,
        "now": timezone.now(),
    }
    return render(request, "hot_accounts.html", context)


@require_safe
def accounts_csv(request: HttpRequest) -> HttpResponseBase:
    """The whole list under the current filters, streamed; `page` and `limit` do not apply."""
    form = AccountListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    rows = dashboards.every_hot_account(form.chosen(request.user.pk))
    name = f"hot-accounts-{timezone.now():%Y-%m-%d}.csv"
    cells = ([getattr(row, column) for column in CSV_COLUMNS] for row in rows)
    return StreamingHttpResponse(
        csv_cells.lines(CSV_COLUMNS, cells),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_safe
def account(request: HttpRequest, domain: str) -> HttpResponse:
    canonical = dashboards.canonical_domain(domain)
    if canonical is None:
        raise Http404(f"There is no account {domain}.")
    if canonical != domain:
        return redirect("account", domain=canonical)
    found = dashboards.account_detail(domain)
    if found is None:
        raise Http404(f"There is no account {domain}.")
    line = score_line(
        [(day.date, day.score, _marks(day)) for day in found.timeline], cold_max=found.cold_max, warm_max=found.warm_max
    )
    bars_7d, bars_30d = (shares(lane.raw_7d for lane in found.lanes), shares(lane.raw_30d for lane in found.lanes))
    context = {
        "account": found,
        "line": line,
        "lanes": list(zip(found.lanes, bars_7d, bars_30d, strict=True)),
        "top_pages": list(zip(found.pages, shares(count for _, count in found.pages), strict=True)),
        "now": timezone.now(),
    }
    return render(request, "account.html", context)


def _marks(day: dashboards.TimelineDay) -> tuple[str, ...]:
    return (f"{day.leads} lead request{'s' if day.leads > 1 else ''}",) if day.leads else ()


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


def _columns(chosen: dashboards.AccountFilter) -> list[Column]:
    window = chosen.range

    def head(name: str, label: str) -> Head:
        """The first click on a number shows the highest first, on a word the first in the alphabet."""
        descending = chosen.ordering.startswith("-")
        if chosen.ordering.removeprefix("-") != name:
            return Head(label, name if name in ("name", "top_lane") else f"-{name}", "")
        return Head(label, name if descending else f"-{name}", "descending" if descending else "ascending")

    return [
        Column("name", links=(head("name", "Account"),)),
        Column("score", links=(head("intent_score", "Score"), head("raw_score", f"Points {window}"))),
        Column("stage", links=(head("intent_stage", "Stage"),)),
        Column("surge", links=(head("surge_ratio", "Surge"),)),
        Column("lane", links=(head("top_lane", f"Lane {window}"),)),
        Column("number people", links=(head("unique_people_7d", "People 7d"),)),
        Column("why", "Why hot"),
        Column("trend", "30 days"),
        Column("seen", links=(head("last_seen_at", "Last seen"),)),
    ]
