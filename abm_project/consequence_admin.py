"""Django admin of decisions about domains: nothing is saved before it was shown what it would do.

Registered in place of the plain pages of registry and accounts, which cannot know what lies above them.
"""

import hashlib
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from abm_project.access import may_own
from abm_project.consequences import Impact, family_change, impact_of_removal, impact_of_rule
from abm_project.ownership import give
from accounts.admin import ProspectCompanyAdmin, ProspectCompanyForm, canonical
from accounts.models import ProspectCompany
from accounts.resolution import CannotMerge, MergedElsewhere, add_alias, remove_alias
from registry.admin import DomainRuleAdmin, RegistryForm
from registry.models import DomainRule

SEEN = "impact_seen"  # the form's own field: which proposal the admin has seen the impact of
DECIDES = ("domain", "kind", "enabled", "expires_on")


# --- Domain rules -----------------------------------------------------------------------------------------------------
class DomainRuleForm(RegistryForm):
    """Saved at once where nothing changes; else the page comes back once, as typed, with the impact above it."""

    impact: Impact | None = None
    digest = ""

    def is_valid(self) -> bool:
        if not super().is_valid():
            return False
        self.digest = hashlib.sha256(repr([self.cleaned_data[name] for name in DECIDES]).encode()).hexdigest()
        if self.data.get(SEEN) == self.digest:
            return True
        self.impact = impact_of_rule(self.instance, timezone.now())
        return not self.impact


admin.site.unregister(DomainRule)


@admin.register(DomainRule)
class WeighedDomainRuleAdmin(DomainRuleAdmin):
    form = DomainRuleForm
    object_history_form_template = "admin/registry/domainrule/object_history_form.html"
    actions = ("delete_selected",)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        answer = super().delete_view(request, object_id, extra_context)
        return with_impact(answer, [answer.context_data["object"]]) if isinstance(answer, TemplateResponse) else answer

    @admin.action(description="Delete selected domain rules", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[DomainRule]) -> HttpResponse | None:
        answer = delete_selected(self, request, queryset)
        return with_impact(answer, list(queryset)) if isinstance(answer, TemplateResponse) else answer


def with_impact(page: TemplateResponse, rules: list[DomainRule]) -> TemplateResponse:
    """Django's question whether to delete, with what it does."""
    page.context_data["impact"] = impact_of_removal(rules, timezone.now())
    return page


# --- Accounts ---------------------------------------------------------------------------------------------------------
class FamilyForm(forms.Form):
    """A domain that shall belong to an account, or no longer."""

    domain = forms.CharField(max_length=255, label="Domain")
    change = forms.ChoiceField(choices=[("join", "join"), ("leave", "leave")])
    move = forms.BooleanField(required=False)

    def __init__(self, account: ProspectCompany, data: Any = None) -> None:
        super().__init__(data)
        self.account, self.elsewhere = account, ""

    @property
    def joins(self) -> bool:
        return bool(self.cleaned_data["change"] == "join")

    def clean_domain(self) -> str:
        return canonical(self.cleaned_data["domain"])

    def clean(self) -> None:
        """Tried and rolled back: what cannot be done says why before anybody confirms it."""
        if self.errors:
            return
        domain = self.cleaned_data["domain"]
        belongs = domain in {name for name, _ in family(self.account)}
        if belongs == self.joins:
            said = "belongs to {} already" if belongs else "is no domain of {}"
            self.add_error("domain", f"{domain} {said.format(self.account.domain)}.")
        if belongs or not self.joins:
            return
        try:
            with transaction.atomic():
                self.carry_out()
                transaction.set_rollback(True)
        except MergedElsewhere as why:
            self.elsewhere = str(why)
        except CannotMerge as why:
            self.add_error("domain", str(why))

    def carry_out(self) -> None:
        if self.joins:
            add_alias(self.account, self.cleaned_data["domain"], move=self.cleaned_data["move"])
        else:
            remove_alias(self.account, self.cleaned_data["domain"])


def family(account: ProspectCompany) -> list[tuple[str, str]]:
    """The domains that belong to the account and nothing between them, with what they are."""
    further = [(row.domain, "further domain") for row in account.domains.order_by("domain")]
    return further + [(row.domain, "merged account") for row in account.merged.order_by("domain")]


admin.site.unregister(ProspectCompany)


class AccountForm(ProspectCompanyForm):
    """Given to whom it can be given on its own page; who owns it already may keep it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "owner" in self.fields:  # not of those who may only look
            can_own = Q(pk__in=may_own().order_by().values("pk")) | Q(pk=self.instance.owner_id)
            self.fields["owner"].queryset = User.objects.filter(can_own).order_by("username")


@admin.register(ProspectCompany)
class AccountAdmin(ProspectCompanyAdmin):
    """Accounts, with a page for the domains that belong to one."""

    form = AccountForm

    def save_model(self, request: HttpRequest, account: ProspectCompany, form: Any, change: bool) -> None:
        """Whose an account is, one function writes, which leaves a line in the account's history."""
        given = "owner" in form.changed_data
        to = account.owner.get_username() if account.owner else ""
        if given:
            account.owner_id = form.initial.get("owner")
        super().save_model(request, account, form, change)
        if given:
            give(account.pk, to, request.user, timezone.now())

    def get_urls(self) -> list[URLPattern]:
        domains = path(
            "<path:object_id>/domains/",
            self.admin_site.admin_view(self.domains_view),
            name="accounts_prospectcompany_domains",
        )
        return [domains, *super().get_urls()]

    def domains_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows the family, and with a domain what the change would do; POST does it."""
        account = self.get_object(request, unquote(object_id))
        if account is None:
            raise Http404("There is no such account.")
        if not self.has_change_permission(request, account):
            raise PermissionDenied
        asked = request.POST if request.method == "POST" else request.GET if "domain" in request.GET else None
        form = FamilyForm(account, asked)
        change, status = None, 200
        if asked is not None and form.is_valid():
            if request.method == "POST" and not form.elsewhere:
                return self._carry_out(request, account, form)
            change = family_change(account, form.cleaned_data["domain"], form.joins, timezone.now())
        elif asked is not None:
            status = 400
        context = {
            **self.admin_site.each_context(request),
            "title": f"Domains of {account.domain}",
            "opts": self.opts,
            "account": account,
            "family": family(account),
            "form": form,
            "change": change,
        }
        return TemplateResponse(request, "admin/accounts/prospectcompany/domains.html", context, status=status)

    def _carry_out(self, request: HttpRequest, account: ProspectCompany, form: FamilyForm) -> HttpResponse:
        form.carry_out()
        domain = form.cleaned_data["domain"]
        said = f"{domain} counts for {account.domain}" if form.joins else f"{domain} stands on its own again"
        self.log_change(request, account, said)
        again = reverse("admin:accounts_prospectcompany_domains", args=[account.pk])
        self.message_user(
            request,
            format_html(
                'Done: {} from the next scores on. <a href="{}?domain={}&amp;change={}">Take it back</a>',
                said,
                again,
                domain,
                "leave" if form.joins else "join",
            ),
            messages.SUCCESS,
        )
        return redirect(again)
