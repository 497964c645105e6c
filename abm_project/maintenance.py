"""A closed door with a note on it: while MAINTENANCE says something, or the database was just found out of reach, only
the probes and the static files answer."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from abm_project.failures import closed, database_away
from abm_project.unreachable import is_left_alone

PROBES = ("/healthz", "/readyz")


class MaintenanceMiddleware:
    """Before sessions and users, so that the database may be away, be migrated or be restored meanwhile."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.MAINTENANCE and request.path not in PROBES:
            return closed(request, settings.MAINTENANCE)
        if is_left_alone() and request.path not in PROBES:
            return database_away(request)
        return self.get_response(request)
