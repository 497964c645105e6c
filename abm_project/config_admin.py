"""Django admin of the scoring model's versions: clone, see first what would move, activate, and go back.

Registered in place of the plain pages of registry, which cannot know what lies above it.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from abm_project.charts import Curve, curve
from registry.admin import RegistryRevisionAdmin, ScoreConfigAdmin
from registry.changes import config_changes
from registry.differences import Difference, differences
from registry.editing import Stale, because, lock, version_of
from registry.loader import RegistryUnusable, load_registry
from registry.models import REASON_LENGTH, ActivatedMeanwhile, RegistryRevision, ScoreConfig
from registry.revisions import registry_of
from registry.transactions import transact
from registry.versions import CannotRollBack, earlier, roll_back
from scoring import jobs
from scoring.decay import decay, half_life
from scoring.engine import MONTH
from scoring.models import PREVIEW, ConfigPreview, DailyAccountIntent, JobRun
from scoring.normalize import intent_score
from scoring.rollup import last_full_day
from scoring.runs import is_current

CHANGES_SHOWN = timedelta(days=30)


# --- Pictures of the numbers ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Pictures:
    half_life: str
    decay: Curve
    score: Curve


def pictures(config: ScoreConfig) -> Pictures:
    """What λ and k mean: how much of an event is left after so many days, and which points make which score."""
    rate, k = float(config.lambda_decay), config.normalize_k
    days = half_life(rate)
    said = f"{days:.2f} days" if days is not None else "never: nothing fades"
    left = [(age, 100 * decay(age, rate)) for age in range(MONTH)]
    points = [4 * k * n / 80 for n in range(81)]
    bands = [(config.cold_max + 1, "Warm"), (config.warm_max + 1, "Hot")]
    return Pictures(
        said,
        curve(
            left,
            across=(0, 7, 14, 21, 28),
            up=((0, "0 %"), (50, "50 %"), (100, "100 %")),
            lines=((50, ""),),
            label=f"What is left of an event's points by age in days: {left[7][1]:.0f} % after 7 days,"
            f" {left[14][1]:.0f} % after 14, {left[28][1]:.0f} % after 28",
        ),
        curve(
            [(raw, intent_score(raw, k)) for raw in points],
            across=[k * n for n in range(5)],
            up=((0, "0"), (50, "50"), (100, "100")),
            lines=bands,
            label="Score by raw points: "
            + ", ".join(f"{n * k:,} points give {intent_score(n * k, k)}" for n in (1, 2, 3)),
        ),
    )


# --- Forms ------------------------------------------------------------------------------------------------------------
class CloneForm(forms.Form):
    name = forms.CharField(max_length=64, label="Name of the draft")


class ReasonForm(forms.Form):
    """What somebody saw before they pressed the button, and why they press it."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    instead_of = forms.CharField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(
        required=False, max_length=REASON_LENGTH, label="Why", help_text="Kept in the history beside your name."
    )


class DateForm(forms.Form):
    date = forms.DateField(
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date"}),
        label="Day",
        help_text="Empty: the newest scored one.",
    )

    def clean_date(self) -> Any:
        day = self.cleaned_data["date"]
        if day and day > timezone.now().date():
            raise ValidationError("That day has not come yet.")
        return day


# --- Score configs ----------------------------------------------------------------------------------------------------
def active_config() -> ScoreConfig | None:
    return ScoreConfig.objects.filter(status=ScoreConfig.Status.ACTIVE).first()


def latest_preview(config: ScoreConfig) -> ConfigPreview | None:
    return ConfigPreview.objects.filter(score_config=config).order_by("-created_at", "-id").first()


admin.site.unregister(ScoreConfig)


@admin.register(ScoreConfig)
class VersionedConfigAdmin(ScoreConfigAdmin):
    change_form_template = "admin/registry/scoreconfig/change_form.html"
    change_list_template = "admin/registry/scoreconfig/change_list.html"
    list_display = (
        "name",
        "status",
        "lambda_decay",
        "half_life",
        "normalize_k",
        "cold_max",
        "warm_max",
        "previewed",
        "updated_at",
    )
    actions = ("activate",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScoreConfig]:
        return super().get_queryset(request).annotate(preview_at=Max("previews__created_at"))

    @admin.display(description="half-life")
    def half_life(self, config: ScoreConfig) -> str:
        days = half_life(float(config.lambda_decay))
        return f"{days:.2f} days" if days is not None else "none"

    @admin.display(description="previewed", ordering="preview_at")
    def previewed(self, config: Any) -> str:
        return f"{config.preview_at:%Y-%m-%d %H:%M} UTC" if config.preview_at else "not yet"

    def get_urls(self) -> list[URLPattern]:
        pages = {"clone": self.clone_view, "preview": self.preview_view, "activate": self.activate_view}
        own = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"registry_scoreconfig_{name}")
            for name, view in pages.items()
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        config = self.get_object(request, unquote(object_id))
        own = {} if config is None else {"pictures": pictures(config), **self._preview_of(config)}
        return super().change_view(request, object_id, form_url, {**own, **(extra_context or {})})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        found = {"earlier": earlier(5), "changes": config_changes(timezone.now() - CHANGES_SHOWN)[::-1][:20]}
        return super().changelist_view(request, {**found, **(extra_context or {})})

    @admin.action(description="Activate the chosen config…", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[ScoreConfig]) -> HttpResponse | None:
        """Asks first, with what it would move."""
        chosen = list(queryset)
        if len(chosen) == 1:
            return redirect("admin:registry_scoreconfig_activate", chosen[0].pk)
        self.message_user(request, "Choose exactly one config.", messages.ERROR)
        return None

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A config that scores were made with is kept with them; there may be a million, so they are not listed."""
        used = [config for config in objs if DailyAccountIntent.objects.filter(score_config=config).exists()]
        if used:
            said = [f"{config.name} has made scores, and is kept to explain them." for config in used]
            return [], {}, set(), said
        return super().get_deleted_objects(objs, request)

    # --- Pages ---
    def _config(self, request: HttpRequest, object_id: str) -> ScoreConfig:
        config = self.get_object(request, unquote(object_id))
        if config is None:
            raise Http404("There is no such score config.")
        if not self.has_change_permission(request, config):
            raise PermissionDenied
        return config

    def _preview_of(self, config: ScoreConfig) -> dict[str, Any]:
        """The newest preview, whether it is up to date, and the newest run that makes or failed to make one."""
        made = latest_preview(config)
        runs = JobRun.objects.filter(kind=PREVIEW).order_by("-started_at", "-id")[:50]
        run = next((run for run in runs if run.params_json.get("config") == str(config.pk)), None)
        newer = run if run and (made is None or run.pk != made.job_run_id) and run.state != JobRun.State.DONE else None
        return {"preview": made, "preview_is_current": made is not None and is_current(made), "preview_run": newer}

    def _page(
        self, request: HttpRequest, name: str, config: ScoreConfig, status: int = 200, **more: Any
    ) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "config": config, **more}
        return TemplateResponse(request, f"admin/registry/scoreconfig/{name}.html", context, status=status)

    def clone_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        config = self._config(request, object_id)
        form = CloneForm(request.POST or None, initial={"name": free_name(config.name)})
        if form.is_valid():
            try:
                made = config.clone(form.cleaned_data["name"])
            except ValidationError as error:
                form.add_error("name", " ".join(error.messages))
            else:
                said = f"{made.name} is a draft with everything of {config.name}. Change it, then preview it."
                self.message_user(request, said, messages.SUCCESS)
                return redirect("admin:registry_scoreconfig_change", made.pk)
        status = 400 if form.is_bound else 200
        return self._page(request, "clone", config, status, form=form, title=f"Clone {config.name}")

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows the newest preview; POST asks for one."""
        config = self._config(request, object_id)
        form = DateForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            run = jobs.ask_preview(config, form.cleaned_data["date"], timezone.now(), request.user.get_username())
            said = format_html('The preview is asked for. <a href="{}">Its run</a>', reverse("run", args=[run.pk]))
            self.message_user(request, said, messages.SUCCESS)
            return redirect("admin:registry_scoreconfig_preview", config.pk)
        found, status = self._preview_of(config), 400 if form.is_bound else 200
        return self._page(
            request, "preview", config, status, form=form, title=f"What {config.name} would move", **found
        )

    def activate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows what it would move; POST does it, if the admin saw the draft and the active config as they are."""
        config, active, problem = self._config(request, object_id), active_config(), ""
        if request.method == "POST":
            form = ReasonForm(request.POST)
            if form.is_valid():
                try:
                    transact(partial(self._activate, config, form.cleaned_data))
                except (Stale, ActivatedMeanwhile, ScoreConfig.DoesNotExist) as why:
                    problem = str(why)
                else:
                    said = f"{config.name} is active and decides the next scores."
                    self.message_user(request, said, messages.SUCCESS)
                    return redirect("admin:registry_scoreconfig_changelist")
        fresh = ReasonForm(initial={"seen": version_of(config), "instead_of": str(active.pk) if active else ""})
        return self._page(
            request,
            "activate",
            config,
            409 if problem else 200,
            form=fresh,
            active=active,
            problem=problem,
            title=f"Activate {config.name}",
            **self._preview_of(config),
        )

    def _activate(self, config: ScoreConfig, given: dict[str, Any]) -> None:
        list(ScoreConfig.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        locked = lock(ScoreConfig, config.pk, given["seen"])
        because(locked, given["reason"])
        locked.activate(instead_of=given["instead_of"] or None)


def free_name(name: str) -> str:
    """`default_v1` → `default_v2`, or the next that nobody has."""
    stem, _, number = name.rpartition("_v")
    stem, start = (stem, int(number)) if stem and number.isdigit() and len(number) < 6 else (name, 1)
    taken = set(ScoreConfig.objects.filter(name__startswith=stem[:56]).values_list("name", flat=True))
    return next(wanted for n in range(start + 1, start + 1000) if (wanted := f"{stem[:56]}_v{n}") not in taken)


# --- What scores were made with ---------------------------------------------------------------------------------------
admin.site.unregister(RegistryRevision)


@admin.register(RegistryRevision)
class VersionedRevisionAdmin(RegistryRevisionAdmin):
    list_display = ("digest", "config_name", "created_at", "in_force_at")
    change_form_template = "admin/registry/registryrevision/change_form.html"
    fields = ("digest", "config_name", "created_at", "in_force_at")
    readonly_fields = fields

    @admin.display(description="score config")
    def config_name(self, revision: RegistryRevision) -> str:
        stored = revision.content_json.get("config") if isinstance(revision.content_json, dict) else None
        return str(stored.get("name", "")) if isinstance(stored, dict) else ""

    def get_urls(self) -> list[URLPattern]:
        back = self.admin_site.admin_view(self.roll_back_view)
        own = path("<path:object_id>/roll-back/", back, name="registry_registryrevision_roll_back")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        revision = self.get_object(request, unquote(object_id))
        own = {} if revision is None else self._compared(revision)
        return super().change_view(request, object_id, form_url, {**own, **(extra_context or {})})

    def _compared(self, revision: RegistryRevision) -> dict[str, Any]:
        """What it says otherwise than the registry in force, and what is sent back with the button."""
        active = active_config()
        form = ReasonForm(initial={"instead_of": str(active.pk) if active else ""})
        found: list[Difference] = []
        problem = ""
        try:
            found = differences(load_registry(), registry_of(revision))
        except RegistryUnusable as bad:
            problem = str(bad)
        except (KeyError, ValueError, TypeError):
            problem = "This revision was written by another version of Orbit and cannot be compared."
        restored = [line for line in found if line.part != "domain rules"]
        return {
            "differences": found,
            "restored": len(restored),
            "problem": problem,
            "rollback_form": form,
            "scored_day": last_full_day(timezone.now()),
        }

    def roll_back_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        revision = self.get_object(request, unquote(object_id))
        if revision is None:
            raise Http404("There is no such revision.")
        if not request.user.has_perm("registry.change_scoreconfig"):
            raise PermissionDenied
        here = redirect("admin:registry_registryrevision_change", revision.pk)
        form = ReasonForm(request.POST)
        if request.method != "POST" or not form.is_valid():
            return here
        given = form.cleaned_data
        try:
            back = partial(roll_back, revision, reason=given["reason"], instead_of=given["instead_of"] or None)
            config = transact(back)
        except (CannotRollBack, ActivatedMeanwhile) as why:
            self.message_user(request, str(why), messages.ERROR)
            return here
        said = f"Rolled back: {config.name} is active with the numbers, weights and event rules of {revision}."
        self.message_user(request, f"{said} Recompute, and the scores are what they were.", messages.SUCCESS)
        return redirect("admin:registry_scoreconfig_changelist")
