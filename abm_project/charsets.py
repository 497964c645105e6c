"""Text is UTF-8 or refused.

A request may name any codec that Python knows as its charset; some of them (`hex`, `idna`) raise where Django does not
expect it, and `unicode_escape` makes halves of characters that no database and no page takes.
"""

import codecs
from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse


class Utf8Middleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.encoding and codecs.lookup(request.encoding).name != "utf-8":
            request.encoding = "utf-8"  # for the page that says so
            raise BadRequest("Text must be sent as UTF-8.")
        return self.get_response(request)
