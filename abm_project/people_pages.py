"""People inside accounts: the known ones by name, and how many more there are."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from abm_project import dashboards
from abm_project.access import is_admin
from abm_project.api.lists import csv_answer
from abm_project.filters import PAGE_SIZES, PeopleListForm
from abm_project.pages import Column, bad_filters, head


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    form = PeopleListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    chosen = form.chosen(request.user.pk)
    found = dashboards.people(chosen, form.page_number, form.page_size)
    narrowed = [chosen.range, chosen.account_id, chosen.lane, chosen.category, chosen.search, chosen.owner_id]
    context = {
        "chosen": chosen,
        "found": found,
        "ranges": dashboards.RANGES,
        "columns": _columns(chosen.ordering),
        "filtered": any(narrowed),
        "mine": chosen.owner_id == request.user.pk,
        "whose": request.GET.get("owner", ""),
        "sizes": PAGE_SIZES,
        "account": request.GET.get("account", ""),
        "previous_page": found.page - 1,
        "next_page": found.page + 1,
        "now": timezone.now(),
    }
    return render(request, "people.html", context)


@require_safe
def people_csv(request: HttpRequest) -> HttpResponseBase:
    """Everybody under the current filters, addresses and all, which is why it takes internal_admin, as over the API."""
    if not is_admin(request.user):
        raise PermissionDenied("All people as one file need the role internal_admin. Ask an admin for it.")
    form = PeopleListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    rows = dashboards.people_cells(form.chosen(request.user.pk))
    return csv_answer("people", dashboards.PEOPLE_COLUMNS, rows)


def _columns(ordering: str) -> list[Column]:
    return [
        Column("name", links=(head(ordering, "name", "Person", first_up=True),)),
        Column("title", "Title"),
        Column("account", links=(head(ordering, "domain", "Account", first_up=True),)),
        Column("score", links=(head(ordering, "intent_score", "Score"),)),
        Column("topics", "Looks at"),
        Column("known", "Known by"),
        Column("seen", links=(head(ordering, "last_seen_at", "Last seen"),)),
    ]
