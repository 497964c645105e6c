"""Django admin of event rules, with the tester: which rule wins for an event, and what the winner did lately."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from abm_project.rule_tester import Asked, try_event
from registry.admin import EventRuleAdmin
from registry.editing import warnings
from registry.loader import RegistryUnusable, load_registry
from registry.models import EventRule
from scoring.rollup import scored_date


class EventForm(forms.Form):
    """An event as the site sends it."""

    page = forms.CharField(
        max_length=2_000, label="Page", widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
        help_text="Its address or its path. Example: https://acme.com/pricing/teams.",
    )  # fmt: skip
    event_name = forms.CharField(max_length=64, label="Event", initial="page_view", required=False)
    content_type = forms.CharField(max_length=64, required=False, help_text="If the event says it itself.")
    lane = forms.CharField(max_length=64, required=False, help_text="If the event says it itself.")
    cta_id = forms.CharField(max_length=64, required=False, label="Call to action", help_text="Of a click.")

    def asked(self) -> Asked:
        given = self.cleaned_data
        return Asked(**given | {"event_name": given["event_name"] or "page_view"})


admin.site.unregister(EventRule)


@admin.register(EventRule)
class TestedRuleAdmin(EventRuleAdmin):
    change_list_template = "admin/registry/eventrule/change_list.html"
    change_form_template = "admin/registry/eventrule/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        tester = self.admin_site.admin_view(self.test_view)
        return [path("test/", tester, name="registry_eventrule_test"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rule = self.get_object(request, unquote(object_id))
        own = {} if rule is None else {"shadowed": warnings(rule)}
        return super().change_view(request, object_id, form_url, {**own, **(extra_context or {})})

    def test_view(self, request: HttpRequest) -> HttpResponse:
        """What is asked stands in the address, so that an answer is a link."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = EventForm(request.GET if "page" in request.GET else None)
        context = {**self.admin_site.each_context(request), "title": "Test an event", "opts": self.opts, "form": form}
        if form.is_valid():
            try:
                found = try_event(form.asked(), load_registry(), scored_date(timezone.now()))
                known = {str(pk) for pk in EventRule.objects.values_list("pk", flat=True)}
                context |= {"found": found, "known": known}
            except RegistryUnusable as bad:
                context["problem"] = str(bad)
        status = 400 if form.is_bound and not form.is_valid() else 200
        return TemplateResponse(request, "admin/registry/eventrule/test.html", context, status=status)
