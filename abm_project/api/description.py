"""What OpenAPI says of us beyond what views and serializers say themselves: every way in which a request can fail."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from abm_project.api.auth import TokenAuthentication
from abm_project.api.parsing import MAX_BYTES
from abm_project.api.strict import Strict

PROBLEM_TYPES = ("validation_error", "client_error", "server_error")


class Trouble(serializers.Serializer[Any]):
    """One thing that is wrong with a request."""

    attr = serializers.CharField(
        allow_null=True, help_text="The field, with dots inside objects and lists; null: the whole body."
    )
    code = serializers.CharField(help_text="A word for programs, such as required or max_length.")
    detail = serializers.CharField(help_text="A sentence for people.")


class Problem(serializers.Serializer[Any]):
    """The one shape of every error."""

    type = serializers.ChoiceField(
        PROBLEM_TYPES,
        help_text="validation_error: a field is wrong, see errors. client_error: the request is. server_error: we are.",
    )
    code = serializers.CharField(help_text="A word for programs; what it can be is said at the status.")
    detail = serializers.CharField(help_text="A sentence for people.")
    errors = Trouble(many=True, help_text="One per wrong field of a validation_error; empty otherwise.")
    request_id = serializers.CharField(help_text="Under which our log has it; also the header X-Request-ID.")


BAD_QUERY = "invalid: a filter is unknown, has a wrong value or is given twice; `errors` names it."
FAILURES = {
    400: "invalid, with the fields in `errors`; or the body is no strict JSON: empty, parse_error, not_utf8, too_deep, "
    "duplicate_key, nul_character, lone_surrogate, number_too_large.",
    401: "invalid_token: the API token is unknown, expired, revoked, or its user may not do this any more.",
    403: "not_authenticated: neither a token nor a session. permission_denied: not with your role, or the CSRF token "
    "is missing.",
    404: "not_found.",
    411: "length_required: send a Content-Length, not chunks.",
    413: f"too_large: the body has more than {MAX_BYTES:,} bytes.",
    415: "unsupported_media_type: send application/json in UTF-8, not compressed.",
    429: "throttled: wait for as many seconds as Retry-After says.",
    503: "unavailable: the database does not answer. Try again after Retry-After seconds.",
}
WAIT = {"schema": {"type": "integer"}, "description": "Seconds to wait before trying again."}


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        said = "An API token, made in the admin: `Authorization: Token orbit_…`."
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": said}


class Description(AutoSchema):
    """The class of every view. A view names what only it can answer; what its kind can answer is added here."""

    def get_tags(self) -> list[str]:
        return ["hook" if "/hooks/" in self.path else self.path.split("/")[3].removesuffix(".csv")]

    def get_filter_backends(self) -> list[Any]:
        """Also of a list that is no JSON: the CSV."""
        lists = self.method == "GET" and getattr(self.view, "filterset_class", None)
        return list(self.view.filter_backends) if lists else []

    def _get_pagination_parameters(self) -> list[dict[str, Any]]:
        """Also of a list whose page says more than rows."""
        paginator = self._get_paginator()
        return (
            list(paginator.get_schema_operation_parameters(self.view))
            if paginator and self.get_filter_backends()
            else []
        )

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for status in self._failures():
            failure = OpenApiResponse(Problem, BAD_QUERY if (status, self.method) == (400, "GET") else FAILURES[status])
            bodies.setdefault(str(status), self._get_response_for_code(failure, str(status), ["application/json"]))
        for status in {"429", "503"} & set(bodies):
            bodies[status]["headers"] = {"Retry-After": WAIT}
        return dict(sorted(bodies.items()))

    def _failures(self) -> list[int]:
        takes_body = self.method in ("POST", "PUT", "PATCH")
        can = {
            400: takes_body or bool(self.get_filter_backends()),
            401: TokenAuthentication in self.view.authentication_classes,
            403: bool(self.view.permission_classes),
            404: "{" in self.path,
            411: takes_body,
            413: takes_body,
            415: takes_body,
            429: bool(self.view.get_throttles()),
            503: True,
        }
        return [status for status, it_can in can.items() if it_can]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)
        if isinstance(serializer, Strict) or (isinstance(serializer, type) and issubclass(serializer, Strict)):
            schema["additionalProperties"] = False
        return schema
