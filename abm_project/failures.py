"""Answers to what fails outside a view's own control: JSON in the one shape under /api/, a page elsewhere."""

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from abm_project import unreachable
from abm_project.api.errors import DatabaseAway, json_error, wants_json
from abm_project.pages import failure_page
from abm_project.request_ids import current as current_request_id
from registry.transactions import DATABASE_FAILED

CLOSED_SECONDS = 300


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    detail = "The form was too old or came from another site. Go back, reload the page and send it again."
    return _client_error(request, 403, "csrf_failed", "That form has expired", detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _client_error(request, 400, "bad_request", "We could not read that request", "The request was malformed.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    detail = str(exception) or "You may not see this."
    return _client_error(request, 403, "permission_denied", "Not for this user", detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    said = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    return _client_error(request, 404, "not_found", "Not found", said or "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the request: whatever broke (the database, say) must not break the page that says so."""
    if isinstance(sys.exception(), DATABASE_FAILED):
        unreachable.note()
        return database_away(request)
    if wants_json(request):
        return json_error(500, "server_error", "server_error", "Something went wrong on our side.")
    detail = "The error is in our log. Try again in a minute; if it stays, give an admin the id below."
    return _page_alone(500, "Something went wrong", detail)


def database_away(request: HttpRequest) -> HttpResponse:
    """It comes back: whoever asked, a person or a proxy, may ask again soon."""
    if wants_json(request):
        answer: HttpResponse = json_error(503, "server_error", DatabaseAway.default_code, DatabaseAway.default_detail)
    else:
        detail = "The database does not answer at the moment. Try again in a few seconds."
        answer = _page_alone(503, "Back in a moment", detail)
    answer["Retry-After"] = str(DatabaseAway.wait)
    return answer


def closed(request: HttpRequest, words: str) -> HttpResponse:
    """For a while, on purpose. Whoever posts a lead is told to come again, as when the database is away."""
    if wants_json(request):
        answer: HttpResponse = json_error(503, "server_error", "maintenance", words)
    else:
        answer = _page_alone(503, "Orbit is closed for maintenance", words)
    answer["Retry-After"] = str(CLOSED_SECONDS)
    return answer


def _page_alone(status: int, title: str, detail: str) -> HttpResponse:
    context = {"status": status, "title": title, "detail": detail, "request_id": current_request_id.get()}
    return HttpResponse(render_to_string("error.html", context), status=status)


def _client_error(request: HttpRequest, status: int, code: str, title: str, detail: str) -> HttpResponse:
    if wants_json(request):
        return json_error(status, "client_error", code, detail)
    return failure_page(request, status, title, detail)
