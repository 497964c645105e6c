"""Django admin of prompt templates, with a page that shows what a model would get: the exact texts for an account,
beside its last brief. A draft can be tried there, and nothing of it is stored.

Registered in place of the plain page of registry, which cannot know what lies above it.
"""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import mark_safe

from abm_project.brief_reads import panel_of
from abm_project.markdown import to_html
from accounts.domains import normalize_domain_from_url
from accounts.models import ProspectCompany
from ai_summaries import llm, summaries
from ai_summaries.grounding import serious
from ai_summaries.prompts import render_prompt
from registry.admin import PromptTemplateAdmin
from registry.models import PromptTemplate
from registry.registry import registry_problems
from registry.values import Persona, Prompt

CHARACTERS_OF_A_TOKEN = 4  # about, in English: an estimate, and called so


class PreviewForm(forms.Form):
    """An account, a persona, and the template's texts as they are or as a draft."""

    account = forms.CharField(
        max_length=255, label="Account", help_text="Its domain.", widget=forms.TextInput(attrs={"size": 40})
    )
    persona = forms.ChoiceField(choices=[(persona.value, persona.value) for persona in Persona])
    system_prompt = forms.CharField(widget=forms.Textarea(attrs={"rows": 5}), max_length=20_000)
    user_prompt_template = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 14}), max_length=20_000, strip=False, label="User prompt template"
    )
    max_words = forms.IntegerField(min_value=20, max_value=2000, label="Max words")

    def __init__(self, template: PromptTemplate, data: Any = None) -> None:
        texts = {name: getattr(template, name) for name in ("system_prompt", "user_prompt_template", "max_words")}
        persona = template.persona if template.persona in list(Persona) else Persona.SALES.value
        super().__init__(data, initial={**texts, "persona": persona, "account": hottest()})
        self.template = template

    def clean_account(self) -> ProspectCompany:
        domain = normalize_domain_from_url(self.cleaned_data["account"])
        found = ProspectCompany.objects.for_domain(domain).select_related("merged_into").first() if domain else None
        while found is not None and found.merged_into is not None:
            found = found.merged_into
        if found is None:
            raise forms.ValidationError("There is no such account.")
        if found.snapshot_date is None:
            raise forms.ValidationError(f"{found.domain} has no score yet, so there are no facts to show.")
        return found

    def clean(self) -> None:
        """The same demands as on a template that is saved."""
        if self.errors:
            return
        for problem in registry_problems([("The draft", self.draft())]):
            self.add_error(None, problem)

    def draft(self) -> Prompt:
        said = self.cleaned_data
        texts = {name: said[name].replace("\r\n", "\n") for name in ("system_prompt", "user_prompt_template")}
        return replace(self.template.value(), **texts, max_words=said["max_words"])


def hottest() -> str:
    """The account to begin with."""
    best = ProspectCompany.objects.listed().order_by("-intent_score", "-score_30d_raw", "domain").first()
    return best.domain if best else ""


admin.site.unregister(PromptTemplate)


@admin.register(PromptTemplate)
class PreviewedPromptTemplateAdmin(PromptTemplateAdmin):
    """Prompt templates, with the preview."""

    def get_urls(self) -> list[URLPattern]:
        preview = path(
            "<path:object_id>/preview/",
            self.admin_site.admin_view(self.preview_view),
            name="registry_prompttemplate_preview",
        )
        return [preview, *super().get_urls()]

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows the form; POST the exact texts for what it says and, asked to, what the model makes of them."""
        template = self.get_object(request, unquote(object_id))
        if template is None:
            raise Http404("There is no such prompt template.")
        if not self.has_change_permission(request, template):
            raise PermissionDenied
        asked = request.method == "POST"
        form = PreviewForm(template, request.POST if asked else None)
        shown: dict[str, Any] = {}
        if asked and form.is_valid():
            shown = preview(form)
            if "try" in request.POST:
                shown |= tried(form, request)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Preview of {template}",
            "opts": self.opts,
            "original": template,
            "form": form,
            "has_model": llm.is_configured(),
            **shown,
        }
        page = "admin/registry/prompttemplate/preview.html"
        return TemplateResponse(request, page, context, status=400 if asked and not form.is_valid() else 200)


def preview(form: PreviewForm) -> dict[str, Any]:
    """The exact texts, about how many tokens they are, which template is in force here, and the last brief."""
    company, persona = form.cleaned_data["account"], form.cleaned_data["persona"]
    rendered = render_prompt(form.draft(), summaries.facts_of(company))
    try:
        in_force: Prompt | None = summaries.template_of(company, persona)
    except summaries.NO_TEMPLATE:
        in_force = None
    return {
        "account": company,
        "rendered": rendered,
        "tokens": (len(rendered.system) + len(rendered.user)) // CHARACTERS_OF_A_TOKEN,
        "in_force": in_force,
        "is_in_force": in_force is not None and in_force.id == str(form.template.pk),
        "panel": panel_of(company, persona),
        "now": timezone.now(),
    }


def tried(form: PreviewForm, request: HttpRequest) -> dict[str, Any]:
    """What came of the try: a text with its findings, or why there is none."""
    try:
        draft = summaries.try_draft(form.cleaned_data["account"], form.draft(), timezone.now(), asked_by=request.user)
    except summaries.BudgetReached as reached:
        return {"failure": str(reached)}
    if isinstance(draft, llm.Failed):
        return {"failure": draft.reason}
    doubts = [finding.quote for finding in serious(draft.findings)]
    return {"draft": draft, "draft_html": mark_safe(to_html(draft.text, doubts))}
