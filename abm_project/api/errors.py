"""The one error shape of the API (design 5), whatever went wrong and wherever.

`{"type", "code", "detail", "errors": [{"attr", "code", "detail"}], "request_id"}`: type is `validation_error`,
`client_error` or `server_error`; errors has one entry per field of a validation error and is empty otherwise.
"""

import logging
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as rest_framework_handler
from rest_framework.views import set_rollback

from abm_project import unreachable
from abm_project.request_ids import current
from registry.transactions import DATABASE_FAILED

log = logging.getLogger(__name__)


class DatabaseAway(exceptions.APIException):
    status_code = 503
    default_code = "unavailable"
    default_detail = "The database does not answer at the moment. Try again in a few seconds."
    wait = 5  # seconds; Django REST framework makes Retry-After of it


def body(kind: str, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"type": kind, "code": code, "detail": detail, "errors": errors or [], "request_id": current.get()}


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Django REST framework's answer (status and headers) in our shape; None lets a bug become the JSON 500."""
    if isinstance(exc, DATABASE_FAILED):
        log.error("The database does not answer: %s", " ".join(map(str, exc.args)))
        unreachable.note()
        set_rollback()
        exc = DatabaseAway()
    response = rest_framework_handler(exc, context)
    if response is None:
        return None
    if isinstance(exc, exceptions.ValidationError):
        errors = list(_flatten(exc.get_full_details()))
        response.data = body("validation_error", "invalid", "The request has errors.", errors)
        return response
    code, detail = _code_and_detail(exc)
    response.data = body("client_error" if response.status_code < 500 else "server_error", code, detail)
    return response


def _code_and_detail(exc: Exception) -> tuple[str, str]:
    if isinstance(exc, Http404):
        return "not_found", "Not found."
    if isinstance(exc, PermissionDenied):
        return "permission_denied", str(exc) or "You may not do this."
    assert isinstance(exc, exceptions.APIException)
    code = exc.get_codes()
    return (code if isinstance(code, str) else exc.default_code), str(exc.detail)


def _flatten(details: Any, attr: str = "") -> Iterator[dict[str, Any]]:
    """Nested details as one entry per message; `attr` is the dotted path of the field, None for the whole body."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        name = attr.removesuffix(".non_field_errors")
        yield {
            "attr": None if name in ("", "non_field_errors") else name,
            "code": details["code"],
            "detail": str(details["message"]),
        }
    elif isinstance(details, dict):
        for key, value in details.items():
            yield from _flatten(value, f"{attr}.{key}" if attr else str(key))
    else:
        for index, item in enumerate(details):
            # A list of messages belongs to the field itself; a list of objects is numbered.
            leaf = isinstance(item, dict) and set(item) == {"message", "code"}
            yield from _flatten(item, attr if leaf else f"{attr}.{index}".lstrip("."))


def json_error(status: int, kind: str, code: str, detail: str) -> JsonResponse:
    """The same shape for what fails outside a view: no such route, a bug, a missing CSRF token."""
    return JsonResponse(body(kind, code, detail), status=status)


def wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
