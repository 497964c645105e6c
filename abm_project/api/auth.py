"""Who asks, and may they? A token in the header or the session of the login page; a role for everything, the admin role
where a view says so."""

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from abm_project.access import is_admin, roles
from abm_project.api_tokens import Refused, holder

if TYPE_CHECKING:  # rest_framework.views imports this module, by the name in settings, before it has an APIView
    from rest_framework.views import APIView


SCHEME = "Token"


class NotAccepted(APIException):
    """Django REST framework's own becomes a 403 where a session might have been meant."""

    status_code = 401
    default_code = "invalid_token"
    auth_header = SCHEME  # it becomes WWW-Authenticate


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Token orbit_…`, and nowhere else: an address ends in logs. No CSRF token is needed with it, for
    no browser sends it by itself. A bad token is refused, also where the session would do."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        scheme, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != SCHEME.lower():
            return None
        try:
            return holder(text.strip(), timezone.now())
        except Refused as refused:
            raise NotAccepted(str(refused)) from refused


class HasRole(BasePermission):
    """The default of every API view: signed in and in one of the two groups."""

    message = "Your user has no role yet. Ask an admin to add you to the group sales."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return bool(roles(request.user))


class IsInternalAdmin(BasePermission):
    message = "This needs the role internal_admin."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return is_admin(request.user)
