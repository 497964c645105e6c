"""The page of an account, and its buttons: take, hand over, let go, snooze, wake, contacted.

Each button is a form that works without script: done, it leads back to the account; refused, the page comes again with
what was typed and why not. htmx follows the same way and takes its panel out of the page.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from abm_project import dashboards, ownership
from abm_project.account_requests import ContactedForm, OwnerForm, SnoozeForm
from abm_project.api.lists import csv_answer
from abm_project.brief_reads import panel_of
from abm_project.charts import score_line, shares
from abm_project.filters import chosen_persona
from abm_project.score_changes import changes_by_day, mark
from accounts.models import ProspectCompany

FORM_EVENTS = "form_"
LEDGER_COLUMNS = (
    "date",
    "event",
    "category",
    "lane",
    "count",
    "weight",
    "decay",
    "points",
    "weight_source",
    "rule",
)


@dataclass(frozen=True, slots=True)
class Refused:
    """What an account's buttons were asked for in vain: the form as it was typed, and why where no field says it."""

    snooze: SnoozeForm | None = None
    contacted: ContactedForm | None = None
    problem: str = ""


NOTHING = Refused()


@require_safe
def account(request: HttpRequest, domain: str) -> HttpResponse:
    with dashboards.one_moment():
        company = dashboards.shown_under(domain)
        if company is None:
            raise Http404(f"There is no account {domain}.")
        if company.domain != domain:
            return redirect("account", domain=company.domain)
        return _page(request, company)


def _refused(request: HttpRequest, domain: str, refused: Refused, status: int) -> HttpResponse:
    """The page again, as things are now, after a button was pressed in vain."""
    with dashboards.one_moment():
        return _page(request, _account(domain), refused, status)


def _page(
    request: HttpRequest, company: ProspectCompany, refused: Refused = NOTHING, status: int = 200
) -> HttpResponse:
    now = timezone.now()
    family = dashboards.family_of(company)
    found = dashboards.detail_of(company, family, explain=True)
    handling = dashboards.handling_of(company, family, request.user.pk, now.date())
    forms = _forms(found)
    days = [day.date for day in found.timeline]
    changed = changes_by_day(found.id, days[0], days[-1]) if days else {}
    line = score_line(
        [
            (day.date, day.score, _marks(day, forms[day.date]) + mark(changed.get(day.date, [])))
            for day in found.timeline
        ],
        cold_max=found.cold_max,
        warm_max=found.warm_max,
    )
    bars_7d, bars_30d = (shares(lane.raw_7d for lane in found.lanes), shares(lane.raw_30d for lane in found.lanes))
    context = {
        "account": found,
        "handling": handling,
        "snooze": refused.snooze or SnoozeForm(today=now.date()),
        "contacted": refused.contacted or ContactedForm(),
        "problem": refused.problem,
        "line": line,
        "changed": sorted(changed.items()),
        "marked": [(day, forms[day.date]) for day in found.timeline],
        "lanes": list(zip(found.lanes, bars_7d, bars_30d, strict=True)),
        "top_pages": list(zip(found.pages, shares(count for _, count in found.pages), strict=True)),
        "panel": panel_of(company, chosen_persona(request.GET)),
        "now": now,
    }
    return render(request, "account.html", context, status=status)


def _forms(found: dashboards.AccountDetail) -> Counter[date]:
    """How many forms were begun or sent on each day of the ledger."""
    days: Counter[date] = Counter()
    for line in found.why.ledger.contributions if found.why else ():
        if line.event.startswith(FORM_EVENTS):
            days[line.date] += line.count
    return days


def _marks(day: dashboards.TimelineDay, forms: int) -> tuple[str, ...]:
    leads = (f"{day.leads} lead request{'s' * (day.leads > 1)}",) if day.leads else ()
    return leads + ((f"{forms} form event{'s' * (forms > 1)}",) if forms else ())


@require_safe
def ledger_csv(request: HttpRequest, domain: str) -> HttpResponseBase:
    """Every line that the account's score is the sum of."""
    found = dashboards.account_detail(domain)
    if found is None:
        raise Http404(f"There is no account {domain}.")
    return csv_answer(f"{domain}-ledger", LEDGER_COLUMNS, _ledger(found))


def _ledger(found: dashboards.AccountDetail) -> Iterator[list[object]]:
    for line in found.why.ledger.contributions if found.why else ():
        yield [getattr(line, column) for column in LEDGER_COLUMNS]


# --- Buttons ----------------------------------------------------------------------------------------------------------
@require_POST
def owner(request: HttpRequest, domain: str) -> HttpResponse:
    """To a user, or to nobody where `owner` is empty."""
    company, form = _account(domain), OwnerForm(request.POST)
    if not form.is_valid():
        return _refused(request, domain, Refused(problem="There is no such user."), 400)
    try:
        ownership.give(company.pk, form.cleaned_data["owner"], request.user, timezone.now(), form.cleaned_data["seen"])
    except ownership.OwnedMeanwhile as meanwhile:
        return _refused(request, domain, Refused(problem=f"{meanwhile} Nothing was changed."), 409)
    except ownership.NobodySuch as why:
        return _refused(request, domain, Refused(problem=str(why)), 400)
    return redirect("account", domain=domain)


@require_POST
def snooze(request: HttpRequest, domain: str) -> HttpResponse:
    """Until a day; or awake again, where `wake` is sent."""
    company, now = _account(domain), timezone.now()
    if "wake" in request.POST:
        ownership.wake(company.pk, request.user, now)
        return redirect("account", domain=domain)
    form = SnoozeForm(request.POST, today=now.date())
    if not form.is_valid():
        return _refused(request, domain, Refused(snooze=form), 400)
    ownership.snooze(company.pk, request.user, form.cleaned_data["until"], now)
    return redirect("account", domain=domain)


@require_POST
def contacted(request: HttpRequest, domain: str) -> HttpResponse:
    company, form = _account(domain), ContactedForm(request.POST)
    if not form.is_valid():
        return _refused(request, domain, Refused(contacted=form), 400)
    ownership.contacted(company.pk, request.user, form.cleaned_data["note"], timezone.now())
    return redirect("account", domain=domain)


def _account(domain: str) -> ProspectCompany:
    """By its own domain alone: the page that has the buttons stands there."""
    company = dashboards.shown_under(domain)
    if company is None or company.domain != domain:
        raise Http404(f"There is no account {domain}.")
    return company
