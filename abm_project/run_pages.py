"""The Runs page of the admins: what ran, what runs, and the buttons that ask for more."""

from collections.abc import Callable
from datetime import datetime
from functools import partial, wraps
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRefresh

from abm_project import run_reads
from abm_project.access import is_admin
from abm_project.consequences import rules_in_force
from abm_project.filters import RunListForm
from abm_project.pages import bad_filters, failure_page
from abm_project.run_requests import BackfillForm, DomainForm, RecomputeForm
from abm_project.unmatched import unmatched
from abm_project.unresolved import unresolved
from accounts.resolution import CannotMerge, add_alias, load_resolver
from registry.domain_rules import decide
from registry.models import DomainRule
from registry.transactions import transact
from registry.values import SUPPRESSING
from scoring import jobs
from scoring.models import JobRun, RunInProgress

View = Callable[..., HttpResponse]


def for_admins(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_admin(request.user):
            raise PermissionDenied("This needs the role internal_admin. Ask an admin for it.")
        return view(request, *args, **kwargs)

    return guarded


@for_admins
@require_http_methods(["GET", "HEAD", "POST"])
def runs(request: HttpRequest) -> HttpResponse:
    """The list. A POST asks for a run; what cannot be asked for comes back as it was typed."""
    form = RunListForm(request.GET)
    if not form.is_valid():
        return bad_filters(request, form)
    now = timezone.now()
    asked = request.POST if request.method == "POST" else None
    recompute = RecomputeForm(asked if asked and asked.get("ask") == "recompute" else None, today=now.date())
    backfill = BackfillForm(asked if asked and asked.get("ask") == "backfill" else None)
    status = 200
    if asked is not None:
        wanted = next((wanted for wanted in (recompute, backfill) if wanted.is_bound), None)
        if wanted is None:
            return failure_page(request, 400, "Nothing was asked for", "Use one of the buttons of the Runs page.")
        status = 400
        if wanted.is_valid():
            try:
                run = jobs.ask_recompute(wanted.body(), now, request.user.get_username())
            except RunInProgress as refused:
                messages.warning(request, _in_the_way(refused))
                status = 409
            else:
                messages.success(request, _with_link("It is asked for.", run))
                return redirect("runs")
    found = run_reads.runs(form.chosen(), now, form.page_number)
    context = {
        "chosen": form.chosen(),
        "found": found,
        "recompute": recompute,
        "backfill": backfill,
        "previous_page": found.page - 1,
        "next_page": found.page + 1,
        "now": now,
    }
    return render(request, "runs.html", context, status=status)


@for_admins
@require_http_methods(["GET", "HEAD", "POST"])
def run(request: HttpRequest, id: UUID) -> HttpResponse:
    """All of one run. A POST publishes a held one."""
    if request.method == "POST":
        held = get_object_or_404(JobRun, pk=id)
        if jobs.publish_anyway(held, timezone.now(), request.user.get_username()):
            messages.success(request, "Published: the run goes on with the volume it found.")
        else:
            messages.warning(request, "This run is not held any more, so there is nothing to publish.")
        return redirect("run", id=id)
    now = timezone.now()
    found = _found(id, now)
    context = {"run": found, "days": run_reads.pulled_days(found), "now": now}
    return render(request, "run.html", context)


@for_admins
@require_safe
def row(request: HttpRequest, id: UUID) -> HttpResponse:
    """One run's row of the list, asked for again and again while the run lives."""
    now = timezone.now()
    return render(request, "partials/run_row.html", {"run": _found(id, now), "now": now, "polled": True})


@for_admins
@require_safe
def progress(request: HttpRequest, id: UUID) -> HttpResponse:
    """How far a run is, for its own page; when it has ended, the page is loaded anew with all that came of it."""
    now = timezone.now()
    found = _found(id, now)
    if not found.is_live:
        return HttpResponseClientRefresh()
    return render(request, "partials/run_progress.html", {"run": found, "now": now})


@for_admins
@require_http_methods(["GET", "HEAD", "POST"])
def domains(request: HttpRequest) -> HttpResponse:
    """Domains that are nobody's, by traffic. A POST decides about one, or leads an alias of a mailbox provider or a
    platform to the page that says what it would do; each decision can be taken back in Admin."""
    now = timezone.now()
    form, problem, status = DomainForm(request.POST or None), "", 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                if form.cleaned_data["decide"] == DomainForm.ALIAS and _is_nobodys(form.cleaned_data["domain"], now):
                    return redirect(_confirming(form))
                messages.success(request, _decided(form, now))
                return redirect("run_domains")
            except CannotMerge as why:
                problem = str(why)
        else:
            problem = " ".join(text for texts in form.errors.values() for text in texts)
    context = {"found": unresolved(now), "form": form, "problem": problem, "kinds": sorted(SUPPRESSING), "now": now}
    return render(request, "unresolved.html", context, status=status)


@for_admins
@require_safe
def unmatched_pages(request: HttpRequest) -> HttpResponse:
    """Pages that no event rule knew in the newest run, by traffic, each with the way to a rule."""
    return render(request, "unmatched.html", {"found": unmatched()})


def _is_nobodys(domain: str, now: datetime) -> bool:
    """A mailbox provider or a platform: all who come from there would count for one account."""
    return load_resolver(rules_in_force(), now.date()).resolve(domain).domain is None


def _confirming(form: DomainForm) -> str:
    """The page that says what the alias would do, and does it when somebody says yes."""
    asked = urlencode({"domain": form.cleaned_data["domain"], "change": "join"})
    return reverse("admin:accounts_prospectcompany_domains", args=[form.home.pk]) + f"?{asked}"


def _decided(form: DomainForm, now: datetime) -> str:
    """Carry it out; what was done, with the way to take it back."""
    domain, wanted = form.cleaned_data["domain"], form.cleaned_data["decide"]
    if wanted == DomainForm.ALIAS:
        add_alias(form.home, domain)
        said = f"{domain} counts for {form.home.domain} from the next scores on."
        address = reverse("admin:accounts_prospectcompany_domains", args=[form.home.pk]) + f"?domain={domain}"
        return format_html('{} <a href="{}&amp;change=leave">Take it back</a>', said, address)
    kind = form.cleaned_data["kind"] if wanted == DomainForm.SUPPRESS else wanted
    transact(partial(decide, {domain: (kind, "")}, now.date()), again=IntegrityError)  # two presses at once are one
    rule = DomainRule.objects.get(domain=domain, kind=kind)
    said = f"{domain} is {'suppressed as ' * (kind in SUPPRESSING)}{kind.replace('_', ' ')} from the next scores on."
    still = load_resolver(rules_in_force(), now.date()).resolve(domain)
    if still.domain is None:
        said += f" It counts for no account: it is a {still.reason} domain."
    return format_html(
        '{} <a href="{}">Its rule</a>', said, reverse("admin:registry_domainrule_change", args=[rule.pk])
    )


def _found(id: UUID, now: datetime) -> run_reads.Run:
    found = run_reads.run(id, now)
    if found is None:
        raise Http404("There is no such run.")
    return found


def _in_the_way(refused: RunInProgress) -> str:
    return _with_link(str(refused), refused.run) if refused.run else str(refused)


def _with_link(text: str, run: JobRun) -> str:
    return format_html('{} <a href="{}">See the run</a>', text, reverse("run", args=[run.pk]))
