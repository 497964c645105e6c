"""The public door: `POST /api/hooks/lead-requests`. A 2xx means that the lead is committed (reliability P1)."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import JsonResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from abm_project.api.description import Problem
from abm_project.api.parsing import parse, read_body
from abm_project.api.signatures import is_secret, is_signed
from abm_project.api.strict import OPTIONAL, Choice, Flag, Text, Whole
from abm_project.api.throttles import LeadThrottle
from ingestion.leads import InFlight, KeyReused, ingest_lead_request
from ingestion.models import LeadRequest
from scoring import jobs

KEY_LENGTH = 255
QUANTITY_MAX = 1_000_000_000
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


class Conflict(APIException):
    status_code = 409
    default_code = "in_flight"
    default_detail = "A request with this Idempotency-Key is being stored this moment. Try again in a second."


class Reused(APIException):
    status_code = 422
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key stands for another body."


class NotAccepted(APIException):
    """Django REST framework's own makes a 403 of it where no authentication scheme could be named."""

    status_code = 401
    default_code = "not_accepted"
    default_detail = "Not accepted."


class Busy(APIException):
    status_code = 503
    default_code = "busy"
    default_detail = "The same request is being stored. Try again in a second."
    wait = 1  # becomes Retry-After


@extend_schema_field({"type": "string", "pattern": r"^[^@\s]+@[^@\s]+$"})
class Address(Text):
    """An e-mail address as people have them: one @ and something on both sides. Lower case."""

    def to_internal_value(self, data: Any) -> str:
        address = super().to_internal_value(data).lower()
        name, at, host = address.partition("@")
        if not (name and at and host) or "@" in host or any(character.isspace() for character in address):
            raise ValidationError("This is no e-mail address.", "invalid")
        return address


class Tracking(serializers.Serializer[Any]):
    """Who the browser was."""

    posthog_distinct_id = Text(255, help_text="`posthog.get_distinct_id()`: ties earlier visits to the account.")


class LeadBody(serializers.Serializer[Any]):
    """A lead request. Fields that are not named here are kept with the payload and set nothing."""

    work_email = Address(254, required=True, help_text="Who asks. One @, no space; kept in lower case.")
    organization_name = Text(255, help_text="As the person wrote it.")
    organization_website = Text(500, help_text="Its domain names the account; else that of the e-mail does.")
    first_name = Text(100, help_text="Given name.")
    last_name = Text(100, help_text="Family name.")
    title = Text(150, help_text="Role at work, as the person wrote it.")
    phone = Text(50, help_text="As the person wrote it.")
    service_lane = Text(64, help_text="The service asked for, such as private_office.")
    request_type = Choice(
        LeadRequest.RequestType.values, default=LeadRequest.RequestType.OTHER.value, help_text="What is asked for."
    )
    budget = Text(255, help_text="In the person's own words; no number is read from it.")
    timeline = Text(255, help_text="When, in the person's own words.")
    quantity = Whole(
        min_value=0,
        max_value=QUANTITY_MAX,
        **OPTIONAL,
        help_text="How many, such as desks or guests.",
    )
    location = Text(255, help_text="Where, in the person's own words.")
    message = Text(10_000, help_text="What the person wrote.")
    consent = Flag(
        **OPTIONAL,
        help_text="Whether the person may be contacted; null: the form did not ask.",
    )
    page_url = Text(2_000, help_text="The page with the form.")
    referrer = Text(2_000, help_text="Where that page was reached from.")
    utm_source = Text(255, help_text="Of the campaign that led there.")
    utm_medium = Text(255, help_text="Of the campaign that led there.")
    utm_campaign = Text(255, help_text="Of the campaign that led there.")
    utm_term = Text(255, help_text="Of the campaign that led there.")
    utm_content = Text(255, help_text="Of the campaign that led there.")
    tracking = Tracking(required=False, default=dict, help_text="Who the browser was.")


LEAD_BODY = LeadBody()  # for all requests: it takes longer to make one than to check a lead with it


class Accepted(serializers.Serializer[Any]):
    """The lead is stored."""

    id = serializers.UUIDField(help_text="The lead request.")
    received_at = serializers.DateTimeField(help_text="When it was stored, UTC.")


def header(name: str, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, **options)


class LeadHook(APIView):
    """For everybody, so it takes no session: a signed-in browser gains nothing here, and CSRF nothing to attack."""

    authentication_classes = ()
    permission_classes = ()

    def get_throttles(self) -> list[BaseThrottle]:
        unsigned = settings.LEAD_SECRETS and not self._claims_a_secret()
        return [LeadThrottle("lead_unsigned_per_address" if unsigned else "lead_per_address")]

    @extend_schema(
        operation_id="lead_request_post",
        request=LeadBody,
        parameters=[
            header("Idempotency-Key", f"Your id of this lead, at most {KEY_LENGTH} printable characters."),
            header("X-Lead-Request-Secret", "One of the secrets, from a server over https."),
            header("X-Orbit-Signature", "Better: `t=<unix seconds>,v1=<hex>`, the HMAC-SHA256 of `t.body`."),
            header("Idempotency-Replayed", "true: this lead was stored before.", response=[201]),
        ],
        responses={
            201: Accepted,
            401: OpenApiResponse(Problem, "not_accepted: no valid secret or signature, and no listed origin."),
            409: OpenApiResponse(Problem, "in_flight: the same Idempotency-Key is being stored this moment."),
            422: OpenApiResponse(Problem, "idempotency_key_reused: the key stands for another body."),
            503: OpenApiResponse(Problem, "unavailable or busy: try again after Retry-After seconds."),
        },
    )
    def post(self, request: Request) -> JsonResponse:
        """Store a lead. A 201 means that it is committed; the same lead again, within a day, has the same answer."""
        raw = read_body(request._request, request.META)
        self._refuse_strangers(request, raw)
        payload = parse(raw)
        if not isinstance(payload, dict):
            raise ValidationError("Send one JSON object.", "not_an_object")
        found = self._ingest(LEAD_BODY.run_validation(payload), payload, raw, self._idempotency_key(request))
        lead = found.lead
        if found.is_new and lead.account_key:
            away = getattr(request, "throttle_store_is_away", False)
            transaction.on_commit(partial(jobs.rescore_soon, lead.account_key, redis_is_away=away))
        answer = JsonResponse({"id": str(lead.pk), "received_at": lead.submitted_at.isoformat()}, status=201)
        if not found.is_new:
            answer["Idempotency-Replayed"] = "true"
        patch_vary_headers(answer, ["Origin"])
        return answer

    def _ingest(self, form: Mapping[str, Any], payload: Mapping[str, Any], raw: bytes, key: str) -> Any:
        fields = {name: value for name, value in form.items() if name not in (*UTM, "service_lane", "tracking")}
        fields["lane"] = form["service_lane"]
        fields["utm_json"] = {name: form[name] for name in UTM if form[name]}
        fields["tracking_json"] = {name: value for name, value in dict(form["tracking"]).items() if value}
        is_spam = bool(payload.get(settings.LEAD_HONEYPOT))
        try:
            return ingest_lead_request(fields, payload, raw, timezone.now(), idempotency_key=key, is_spam=is_spam)
        except InFlight as error:
            raise (Conflict if key else Busy) from error
        except KeyReused as error:
            raise Reused from error

    def _idempotency_key(self, request: Request) -> str:
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > KEY_LENGTH or not key.isprintable():
            raise ValidationError({"Idempotency-Key": [f"At most {KEY_LENGTH} printable characters."]}, "invalid")
        return key

    def _claims_a_secret(self) -> bool:
        headers = self.request.headers
        return bool(headers.get("X-Lead-Request-Secret") or headers.get("X-Orbit-Signature"))

    def _refuse_strangers(self, request: Request, raw: bytes) -> None:
        """With a secret set: signed posts, and unsigned ones from listed origins. No detail to learn from."""
        secrets = settings.LEAD_SECRETS
        if not secrets:
            return
        secret, signed = request.headers.get("X-Lead-Request-Secret"), request.headers.get("X-Orbit-Signature")
        if secret is not None or signed is not None:
            if is_secret(secret or "", secrets) or is_signed(signed or "", raw, secrets, time.time()):
                return
        elif request.headers.get("Origin") in settings.CORS_ALLOWED_ORIGINS:
            return
        raise NotAccepted
