"""The server-rendered pages: function views that read dashboards and render."""

from django.http import HttpRequest, HttpResponse


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return HttpResponse("csrf", status=403)


def freshness(request: HttpRequest) -> dict[str, object]:
    return {}
