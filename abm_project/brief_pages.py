"""The brief on the account page: its tabs, and the button that has it written. Works without a script, too."""

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from abm_project.access import is_admin
from abm_project.brief_reads import panel_of
from abm_project.filters import chosen_persona
from accounts.models import ProspectCompany
from ai_summaries import summaries

SAID = {
    summaries.MADE: "The brief was written just now.",
    summaries.CACHED: "The brief still holds: nothing it speaks of has changed.",
}


@require_http_methods(["GET", "HEAD", "POST"])
def brief(request: HttpRequest, domain: str) -> HttpResponse:
    """One persona's brief. A POST has it written where that is due, or where an admin insists."""
    company = get_object_or_404(ProspectCompany, domain=domain, merged_into__isnull=True)
    if request.method != "POST":
        return _fragment(request, company, chosen_persona(request.GET))
    persona, force = chosen_persona(request.POST), request.POST.get("force") == "1"
    if force and not is_admin(request.user):
        raise PermissionDenied("Only the role internal_admin may have a brief written anew.")
    good, said = _written(request, company, persona, force)
    if request.headers.get("HX-Request"):
        return _fragment(request, company, persona, good=good, said=said)
    (messages.success if good else messages.warning)(request, said)
    return redirect(f"{reverse('account', args=[domain])}?{urlencode({'persona': persona})}#brief")


def _written(request: HttpRequest, company: ProspectCompany, persona: str, force: bool) -> tuple[bool, str]:
    """Whether it went well, and what became of it."""
    try:
        outcome = summaries.get_or_generate_summary(
            company, persona, timezone.now(), asked_by=request.user, force=force
        )
    except summaries.BudgetReached as reached:
        return False, str(reached)
    except summaries.NotScored as nothing:
        raise Http404(str(nothing)) from nothing
    if outcome.state == summaries.FAILED:
        return False, outcome.failure
    return True, SAID[outcome.state]


def _fragment(
    request: HttpRequest, company: ProspectCompany, persona: str, *, good: bool = True, said: str = ""
) -> HttpResponse:
    panel = panel_of(company, persona)
    context = {"panel": panel, "good": good, "said": said, "now": timezone.now()}
    return render(request, "partials/brief.html", context)
