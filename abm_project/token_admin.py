"""API tokens in Django admin: made, shown once, renamed, revoked. A token is never made longer or stronger."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from abm_project.access import may_own
from abm_project.api_tokens import LONGEST, USUAL, covers, seal
from abm_project.models import ApiToken
from registry.strict_admin import StrictAdmin


class TokenForm(forms.ModelForm):
    def clean_expires_at(self) -> Any:
        expires_at, now = self.cleaned_data["expires_at"], timezone.now()
        if not now < expires_at <= now + LONGEST:
            raise ValidationError(f"Choose a time that is yet to come, at most {LONGEST.days} days from now.")
        return expires_at

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        user, role = given.get("user"), given.get("role")
        if user and role and not covers(user, role):
            self.add_error("role", f"{user} may not do what {role} may.")
        return given


@admin.register(ApiToken)
class ApiTokenAdmin(StrictAdmin):
    """Made in full, then only renamed or revoked."""

    form = TokenForm
    list_display = ("name", "user", "role", "state", "expires_at", "last_used_at", "made_by")
    list_filter = ("role",)
    search_fields = ("name", "key", "user__username")
    ordering = ("-created_at", "id")
    list_select_related = ("user",)
    fields = ("name", "user", "role", "expires_at")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        made = ("key", "state", "last_used_at", "made_by", "created_at", "revoked_at")
        return self.fields if obj is None else (*self.fields, *made)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return () if obj is None else [name for name in self.get_fields(request, obj) if name != "name"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk, "expires_at": timezone.now() + USUAL}

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Whoever is no superuser makes none that acts for one."""
        having = may_own() if request.user.is_superuser else may_own().filter(is_superuser=False)
        return super().formfield_for_foreignkey(db_field, request, queryset=having, **kwargs)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One button: whatever else it led to, the token would not be shown there."""
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**(extra_context or {}), **buttons})

    @admin.display(description="state")
    def state(self, token: ApiToken) -> str:
        if token.revoked_at:
            return "revoked"
        return "in force" if token.is_good(timezone.now()) else "expired"

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            request.token_text = seal(obj, request.user.get_username())  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that ever shows it; neither a message nor a cookie has it."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"API token {obj}",
            "opts": self.opts,
            "token": obj,
            "text": request.token_text,  # type: ignore[attr-defined]
        }
        answer = TemplateResponse(request, "admin/api_token.html", context)
        add_never_cache_headers(answer)
        return answer

    @admin.action(description="Revoke these tokens for good", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        now = timezone.now()
        for token in queryset:
            token.revoke(now)
        self.message_user(request, f"{len(queryset)} revoked: the next request with one of them is refused.")
