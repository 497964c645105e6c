"""Users and roles in Django admin, its titles, and what reaches beyond one app. What edits an app's own tables is that
app's admin.py."""

from dataclasses import asdict
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from abm_project import (  # noqa: F401 - Django looks for admin pages in this module alone
    alert_admin,
    config_admin,
    consequence_admin,
    prompt_admin,
    rule_admin,
    token_admin,
)
from abm_project.access import keep_staff_in_step
from abm_project.erasure import erase_person
from accounts.admin import ContactAdmin
from accounts.models import Contact, ErasedPerson
from registry.read_only import ReadOnlyAdmin
from registry.strict_admin import StrictAdmin

admin.site.site_header = "Orbit admin"
admin.site.site_title = "Orbit"
admin.site.index_title = "What Orbit knows and how it scores"

admin.site.unregister(Group)  # the two roles are made by migrations; nothing here is to edit
admin.site.unregister(User)


@admin.register(User)
class UserAdmin(StrictAdmin, DjangoUserAdmin):
    """A user and their role. Whoever is no superuser neither makes one nor changes one."""

    list_display = ("username", "first_name", "last_name", "email", "role", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    ordering = ("username",)
    readonly_fields = ("is_staff", "last_login", "date_joined")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Role", {"fields": ("is_active", "groups", "is_staff")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2", "groups")}),
    )

    @admin.display(description="role")
    def role(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or ("superuser" if user.is_superuser else "none")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        keep_staff_in_step(form.instance)  # groups are only stored now

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_touch(request, obj)

    def _may_touch(self, request: HttpRequest, obj: User | None) -> bool:
        return obj is None or not obj.is_superuser or bool(request.user.is_superuser)


admin.site.unregister(Contact)


@admin.register(Contact)
class ErasableContactAdmin(ContactAdmin):
    """Contacts, who can be erased from every app."""

    actions = ("erase",)

    @admin.action(description="Erase these people everywhere…", permissions=["delete"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        """Asks first, with what there is of each."""
        emails = sorted(set(queryset.values_list("email", flat=True)))
        if "confirmed" not in request.POST:
            found = {email: asdict(erase_person(email, erased_by="", write=False)) for email in emails}
            context = {**self.admin_site.each_context(request), "title": "Erase people", "found": found}
            context["chosen"] = request.POST.getlist(ACTION_CHECKBOX_NAME)
            return TemplateResponse(request, "admin/erase_people.html", context)
        for email in emails:
            erase_person(email, erased_by=request.user.get_username())
        self.message_user(request, f"{len(emails)} people were erased. The receipts are under Erased people.")
        return None


@admin.register(ErasedPerson)
class ErasedPersonAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "email_hash", "erased_by")
    ordering = ("-created_at", "-id")
