"""The WSGI entry point: `gunicorn abm_project.wsgi`."""

import gc
import os
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")
os.environ.setdefault("DATABASE_PROFILE", "web")  # a page must not wait 300 s for a frozen database


class Utf8Request(WSGIRequest):
    """Text is read as UTF-8, whatever charset a request names.

    Django takes any codec of Python's: `hex` and `idna` raise before there is a request that could be answered 400, and
    `unicode_escape` makes halves of characters that no database takes.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            meta["CONTENT_TYPE"] = self.content_type = ""
            self.content_params = {}


application = get_wsgi_application()
application.request_class = Utf8Request
import_module(settings.ROOT_URLCONF)  # now, not in the first request
gc.collect()
gc.set_threshold(20_000, 20, 20)  # a request makes thousands of objects: looking for rings at every 700th took a fifth
gc.freeze()  # what is loaded stays, so that no collection walks through it again: an eighth of a lead's time
