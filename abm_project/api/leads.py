"""Lead requests for those who work on them: the list, the whole of it as CSV, one of them, and how far it is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Concat
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from abm_project.access import is_admin
from abm_project.api.auth import IsInternalAdmin
from abm_project.api.lists import csv_answer, in_batches
from abm_project.api.strict import Choice, Strict, sent, valid
from abm_project.dashboards import lead_requests_of, show_heads
from accounts.domains import normalize_domain_from_url
from accounts.models import Contact, ProspectCompany
from ingestion.leads import set_status
from ingestion.models import LeadRequest
from registry.transactions import transact
from scoring import jobs

UNSCORED = -1  # a lead without a score comes after all that have one
ORDERINGS = {
    "-submitted_at": "newest first",
    "submitted_at": "oldest first",
    "-lead_score": "highest score first",
    "lead_score": "lowest score first, after those without one",
}
CSV_COLUMNS = (
    "id",
    "submitted_at",
    "status",
    "account_key",
    "organization_name",
    "organization_website",
    "work_email",
    "first_name",
    "last_name",
    "title",
    "phone",
    "lane",
    "request_type",
    "budget",
    "timeline",
    "quantity",
    "location",
    "message",
    "consent",
    "page_url",
    "referrer",
    "lead_score",
    "salesforce_lead_id",
    "salesforce_task_id",
)


# --- What may be asked for --------------------------------------------------------------------------------------------
class DomainField(forms.CharField):
    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        domain = normalize_domain_from_url(text) if text else ""
        if domain is None:
            raise forms.ValidationError("This is no domain.", "invalid")
        return domain


class SinceField(IsoDateTimeField):
    default_error_messages = {"invalid": "Write a date or time as ISO 8601, a + in it as %2B."}

    def to_python(self, value: Any) -> datetime | None:
        try:
            found: datetime | None = super().to_python(value)
            return found and found.astimezone(UTC)  # the first and last day of the calendar have no UTC everywhere
        except OverflowError as error:
            raise forms.ValidationError(self.error_messages["invalid"], "invalid") from error


class DomainFilter(filters.CharFilter):
    field_class = DomainField


@extend_schema_field(
    {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
        "description": "Leads of this day or time and later; UTC where it names no zone.",
    }
)
class SinceFilter(filters.IsoDateTimeFilter):
    field_class = SinceField


@extend_schema_field(
    {"type": "integer", "minimum": 0, "maximum": 100, "description": "Leads with at least this score, 0 to 100."}
)
class ScoreFilter(filters.Filter):
    field_class = forms.IntegerField


class LeadFilters(filters.FilterSet):
    """Applied in this order, the ordering last: what it adds to the rows cannot be combined with another query."""

    status = filters.ChoiceFilter(choices=LeadRequest.Status.choices, help_text="Leads that are this far.")
    account = DomainFilter(
        method="of_account",
        max_length=500,
        help_text="Leads of the account that a domain, a further domain or a merged account belongs to.",
    )
    lane = filters.CharFilter(max_length=64, help_text="Leads for exactly this service.")
    since = SinceFilter("submitted_at", "gte")
    min_score = ScoreFilter("lead_score", "gte", min_value=0, max_value=100)
    search = filters.CharFilter(
        method="matching", max_length=200, help_text="Leads with this in name, e-mail, organisation or message."
    )
    ordering = filters.ChoiceFilter(
        method="ordered",
        choices=list(ORDERINGS.items()),
        help_text="The order; without it, newest first.",
    )

    def of_account(self, leads: QuerySet[LeadRequest], name: str, domain: str) -> QuerySet[LeadRequest]:
        return leads & lead_requests_of(domain)

    def matching(self, leads: QuerySet[LeadRequest], name: str, text: str) -> QuerySet[LeadRequest]:
        named = leads.alias(whole_name=Concat("first_name", Value(" "), "last_name"))
        return named.filter(
            Q(whole_name__icontains=text)
            | Q(work_email__contains=text.lower())
            | Q(organization_name__icontains=text)
            | Q(message__icontains=text)
        )

    def ordered(self, leads: QuerySet[LeadRequest], name: str, ordering: str) -> QuerySet[LeadRequest]:
        descending, column = "-" * ordering.startswith("-"), ordering.removeprefix("-")
        if column == "lead_score":
            leads, column = leads.annotate(rank=Coalesce(F("lead_score"), Value(UNSCORED))), "rank"
        return leads.order_by(f"{descending}{column}", f"{descending}id")


# --- What is shown ----------------------------------------------------------------------------------------------------
class Account(serializers.ModelSerializer[ProspectCompany]):
    """The account a lead counts for: where the one it is tied to was merged into another, that one."""

    class Meta:
        model = ProspectCompany
        fields = ("id", "domain", "name", "intent_score", "intent_stage")
        read_only_fields = fields
        extra_kwargs = {
            "id": {"help_text": "The account."},
            "domain": {"help_text": "Its canonical domain."},
            "name": {"help_text": "Its name; the domain where none is known."},
            "intent_score": {"help_text": "Of its latest snapshot, 0 to 100."},
            "intent_stage": {"help_text": "Cold, Warm or Hot."},
        }


class Person(serializers.ModelSerializer[Contact]):
    """What is known of the person, from all leads."""

    class Meta:
        model = Contact
        fields = ("id", "email", "first_name", "last_name", "title", "phone")
        read_only_fields = fields
        extra_kwargs = {
            name: {"help_text": f"The latest {name.replace('_', ' ')} that a form said."} for name in fields
        }


class LeadRow(serializers.ModelSerializer[LeadRequest]):
    """A lead request, as lists show it."""

    account = Account(source="prospect_company", read_only=True, allow_null=True, help_text="Null: no account's.")

    class Meta:
        model = LeadRequest
        fields: tuple[str, ...] = (
            "id",
            "submitted_at",
            "status",
            "account_key",
            "account",
            "organization_name",
            "organization_website",
            "work_email",
            "first_name",
            "last_name",
            "title",
            "lane",
            "request_type",
            "lead_score",
            "salesforce_lead_id",
            "salesforce_task_id",
        )
        read_only_fields = fields
        extra_kwargs = {
            "id": {"help_text": "The lead request."},
            "submitted_at": {"help_text": "When it came in, UTC."},
            "status": {"help_text": "How far it is. Spam belongs to no account."},
            "organization_name": {"help_text": "As the person wrote it."},
            "organization_website": {"help_text": "As the person wrote it."},
            "work_email": {"help_text": "Lower case."},
            "first_name": {"help_text": "Given name."},
            "last_name": {"help_text": "Family name."},
            "title": {"help_text": "Role at work, as the person wrote it."},
            "request_type": {"help_text": "What is asked for."},
            "lead_score": {"help_text": "How promising it is by what it says, 0 to 100; null: spam, or not yet."},
            "salesforce_lead_id": {"help_text": "Its Lead there, 18 characters."},
            "salesforce_task_id": {"help_text": "Its Task there, 18 characters."},
        }


class ScorePart(serializers.Serializer[Any]):
    """What a lead score is made of."""

    criterion = serializers.CharField(help_text="Such as phone, or request_type:reservation.")
    points = serializers.IntegerField(help_text="What it added; all of them add up to the score, or beyond 100.")


class Lead(LeadRow):
    """All of a lead request."""

    contact = Person(read_only=True, allow_null=True, help_text="Null where it has no account.")
    lead_score_parts = ScorePart(
        source="lead_score_parts_json", many=True, read_only=True, help_text="How the lead score came about."
    )
    why_hot = serializers.ListField(
        source="why_hot_json",
        child=serializers.CharField(),
        read_only=True,
        allow_null=True,
        help_text="Why the account was hot when it came; null: unknown.",
    )
    utm = serializers.DictField(
        source="utm_json", child=serializers.CharField(), read_only=True, help_text="utm_source and so on."
    )
    has_tracking = serializers.SerializerMethodField(help_text="Whether the form said which browser it was.")
    payload = serializers.SerializerMethodField(
        help_text="Everything that was sent, as it was sent; for internal_admin, null for others."
    )

    class Meta(LeadRow.Meta):
        fields = (
            *LeadRow.Meta.fields,
            "phone",
            "budget",
            "timeline",
            "quantity",
            "location",
            "message",
            "consent",
            "page_url",
            "referrer",
            "utm",
            "contact",
            "lead_score_parts",
            "why_hot",
            "has_tracking",
            "payload",
            "updated_at",
        )
        read_only_fields = fields
        extra_kwargs = LeadRow.Meta.extra_kwargs | {
            "phone": {"help_text": "As the person wrote it."},
            "budget": {"help_text": "In the person's own words."},
            "timeline": {"help_text": "When, in the person's own words."},
            "quantity": {"help_text": "How many, such as desks or guests; null: not said."},
            "location": {"help_text": "Where, in the person's own words."},
            "message": {"help_text": "What the person wrote."},
            "page_url": {"help_text": "The page with the form."},
            "referrer": {"help_text": "Where that page was reached from."},
            "updated_at": {"help_text": "When anything of it last changed, UTC."},
        }

    def get_has_tracking(self, lead: LeadRequest) -> bool:
        return bool(lead.tracking_json)

    @extend_schema_field({"type": "object", "additionalProperties": {}, "nullable": True})
    def get_payload(self, lead: LeadRequest) -> Any:
        return lead.payload_json if is_admin(self.context["request"].user) else None


# --- What may be changed ----------------------------------------------------------------------------------------------
class SalesforceId(serializers.RegexField):
    """The form with 18 characters (docs/salesforce.md)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(r"^[A-Za-z0-9]{18}\Z", required=False, allow_null=True, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class LeadChange(Strict):
    """What is left out stays."""

    status = Choice(LeadRequest.Status.values, required=False, help_text="How far the lead is.")
    salesforce_lead_id = SalesforceId(help_text="18 characters, or null; for internal_admin.")
    salesforce_task_id = SalesforceId(help_text="18 characters, or null; for internal_admin.")


def change(id: UUID, changes: dict[str, Any]) -> LeadRequest:
    """Locked, so that two who change it at once do not tie it twice."""
    lead = get_object_or_404(LeadRequest.objects.select_for_update(), pk=id)
    for name in changes.keys() - {"status"}:
        setattr(lead, name, changes[name])
    affected = set_status(lead, changes.get("status", lead.status))
    if affected:
        transaction.on_commit(partial(jobs.rescore_soon, affected))
    return lead


# --- Views ------------------------------------------------------------------------------------------------------------
class LeadList(ListAPIView):
    """Lead requests, newest first."""

    queryset = LeadRequest.objects.select_related("prospect_company").order_by("-submitted_at", "-id")
    serializer_class = LeadRow
    filterset_class = LeadFilters

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        show_heads(page or [])
        return page


class LeadsCSV(GenericAPIView):
    """All lead requests of a filter, names and addresses included, which is why it takes internal_admin."""

    permission_classes = (IsInternalAdmin,)
    queryset = LeadRequest.objects.order_by("-submitted_at", "-id")
    filterset_class = LeadFilters
    pagination_class = None

    @extend_schema(
        operation_id="abm_lead_requests_csv",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "UTF-8 with a byte-order mark.")},
    )
    def get(self, request: Request) -> HttpResponseBase:
        leads = in_batches(self.filter_queryset(self.get_queryset()).only(*CSV_COLUMNS))
        return csv_answer("lead-requests", CSV_COLUMNS, self._rows(leads))

    def _rows(self, leads: Iterator[LeadRequest]) -> Iterator[list[object]]:
        for lead in leads:
            yield [getattr(lead, column) for column in CSV_COLUMNS]


class LeadDetail(GenericAPIView):
    queryset = LeadRequest.objects.select_related("prospect_company", "contact")
    serializer_class = Lead
    lookup_field = "id"

    def get(self, request: Request, id: UUID) -> Response:
        """One lead request."""
        lead = self.get_object()
        show_heads([lead])
        return Response(self.get_serializer(lead).data)

    @extend_schema(request=LeadChange)
    def patch(self, request: Request, id: UUID) -> Response:
        """Say how far it is; as internal_admin, also where it is in Salesforce."""
        changes = valid(LeadChange(data=sent(request)))
        if changes.keys() - {"status"} and not is_admin(request.user):
            raise PermissionDenied("Salesforce ids need the role internal_admin.")
        transact(partial(change, id, changes))
        return self.get(request, id)
