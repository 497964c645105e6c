"""Who may see what: two roles, and nothing for anybody else.

`sales` reads pages and the API, and says how far a lead is; `internal_admin` also gets Django admin, the jobs and all
leads or people as one file. A view that says nothing is closed: to open one takes `login_not_required`. Roles are
groups, made after every migration; an API token has one of them.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.management import create_permissions
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponseBase

SALES = "sales"
INTERNAL_ADMIN = "internal_admin"
ROLES = (SALES, INTERNAL_ADMIN)
EDITED_BY_ADMINS = {
    "registry": ("eventrule", "scoreconfig", "scoreweight", "prompttemplate", "domainrule"),
    "accounts": ("prospectcompany", "companydomain", "contact", "contactidentity"),
    "auth": ("user",),
    "abm_project": ("alertwebhook", "alertsubscription", "apitoken"),
}
SEEN_BY_ADMINS = ("registry", "accounts", "ingestion", "scoring", "ai_summaries", "abm_project")


def roles(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """The user's roles; a superuser has both. Remembered on the user, with whom a session's come already."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if not hasattr(user, "_orbit_roles"):
        _remember(user, user.groups.values_list("name", flat=True))  # type: ignore[attr-defined]
    found: frozenset[str] = user._orbit_roles  # type: ignore[union-attr]
    return found


def _remember(user: Any, groups: Iterable[str | None]) -> None:
    user._orbit_roles = frozenset(ROLES if user.is_superuser else groups) & frozenset(ROLES)


class UserWithRoles(ModelBackend):
    """Django's own users and passwords; the user of a session comes with their roles, in one query."""

    def get_user(self, user_id: int) -> User | None:
        rows = list(User.objects.filter(pk=user_id).annotate(group=F("groups__name")))
        if not rows or not self.user_can_authenticate(rows[0]):
            return None
        _remember(rows[0], (row.group for row in rows))
        return rows[0]


def act_as(user: User, role: str) -> None:
    """For this request the user has this role alone, also where they have others."""
    user._orbit_roles = frozenset((role,))  # type: ignore[attr-defined]


def is_admin(user: AbstractBaseUser | AnonymousUser) -> bool:
    return INTERNAL_ADMIN in roles(user)


def may_own() -> QuerySet[User]:
    """Active users with a role, by name: those to whom an account can be given."""
    having = Q(groups__name__in=ROLES) | Q(is_superuser=True)
    return User.objects.filter(having, is_active=True).distinct().order_by("username")


class RoleRequiredMiddleware(LoginRequiredMiddleware):
    """Default deny for pages: signed in, and with a role. API views decide by their permission classes."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        answer: HttpResponseBase | None = super().process_view(request, view_func, view_args, view_kwargs)
        if answer is not None or not getattr(view_func, "login_required", True):
            return answer
        if not roles(request.user):
            raise PermissionDenied("Your user has no role yet. Ask an admin to add you to the group sales.")
        return None


def give_role(user: User, role: str) -> None:
    """Put the user into the role's group; admins get staff, so that Django admin lets them in."""
    user.groups.add(Group.objects.get(name=role))
    keep_staff_in_step(user)


def keep_staff_in_step(user: User) -> None:
    """Staff is a consequence of the role, never set by hand."""
    staff = user.is_superuser or user.groups.filter(name=INTERNAL_ADMIN).exists()
    if staff != user.is_staff:
        user.is_staff = staff
        user.save(update_fields=["is_staff"])


def make_groups(sender: AppConfig, **kwargs: Any) -> None:
    """After a migration: both groups exist and internal_admin may do what Django admin offers. Safe to repeat."""
    for app in (*SEEN_BY_ADMINS, "auth"):
        create_permissions(apps.get_app_config(app), verbosity=0)  # on a first migrate they do not exist yet
    Group.objects.get_or_create(name=SALES)
    admins, _ = Group.objects.get_or_create(name=INTERNAL_ADMIN)
    wanted = [
        f"view_{model._meta.model_name}" for app in SEEN_BY_ADMINS for model in apps.get_app_config(app).get_models()
    ]
    wanted += [
        f"{verb}_{model}"
        for models in EDITED_BY_ADMINS.values()
        for model in models
        for verb in ("add", "change", "delete", "view")
    ]
    admins.permissions.set(
        Permission.objects.filter(content_type__app_label__in=[*SEEN_BY_ADMINS, "auth"], codename__in=wanted)
    )
