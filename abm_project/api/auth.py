"""Permissions of the API: a role for everything, the admin role where a view says so."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from abm_project.access import is_admin, roles

if TYPE_CHECKING:  # rest_framework.views imports this module, by the name in settings, before it has an APIView
    from rest_framework.views import APIView


class HasRole(BasePermission):
    """The default of every API view: signed in and in one of the two groups."""

    message = "Your user has no role yet. Ask an admin to add you to the group sales."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return bool(roles(request.user))


class IsInternalAdmin(BasePermission):
    message = "This needs the role internal_admin."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return is_admin(request.user)
