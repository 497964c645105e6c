"""Guessing passwords: after five wrong ones a name is locked for the address they came from (reliability 25).

Name and address together: an attacker locks neither somebody else's name everywhere, nor everybody behind one proxy.
"""

from typing import Any

from axes.backends import AxesStandaloneBackend
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.throttling import BaseThrottle

from abm_project.pages import failure_page


class Lockout(AxesStandaloneBackend):
    """Looks at what comes over the web only: a test or a shell that asks has no address."""

    def authenticate(self, request: HttpRequest | None, *args: Any, **kwargs: Any) -> None:
        if request is not None:
            super().authenticate(request, *args, **kwargs)


def client_address(request: HttpRequest) -> str:
    """As the trusted proxies saw it; what a client writes into X-Forwarded-For itself counts for nothing."""
    return str(BaseThrottle().get_ident(request))  # type: ignore[arg-type]


def locked_out(request: HttpRequest, original: HttpResponse | None = None, *args: Any, **kwargs: Any) -> HttpResponse:
    minutes = settings.AXES_COOLOFF_TIME.total_seconds() // 60
    detail = f"Too many wrong passwords for this name from your address. Try again in {minutes:.0f} minutes."
    answer = failure_page(request, 429, "Wait a while", detail)
    answer["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return answer
