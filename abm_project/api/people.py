"""People inside accounts for programs (spec 8.1): known ones by name, the others as a count per account."""

from typing import Any

from django.http import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from abm_project import dashboards
from abm_project.api.auth import IsInternalAdmin
from abm_project.api.lists import csv_answer
from abm_project.api.reads import (
    Facet,
    Freshness,
    Page,
    Reads,
    all_written,
    described,
    lane,
    one_of,
    ordering,
    owner,
    stage,
    surge,
    text,
    written,
)
from abm_project.filters import owner_id
from accounts.models import ContactIdentity


class PeopleFilters(filters.FilterSet):
    range = one_of(
        dashboards.RANGES,
        "People seen in the 7 or 30 days of the newest scores; everybody unless said. `lane` is the top lane of it.",
    )
    account_id = described(
        filters.UUIDFilter(), {"type": "string", "format": "uuid"}, "The people of this account, merged ones' too."
    )
    lane = lane("People of accounts whose top lane this is, such as private_office.")
    category = text(
        64, "People with this among their top two categories, or, where theirs are not known, among the account's."
    )
    search = text(200, "A part of the name, e-mail address, title, or the account's name or domain.")
    owner = owner("People of this user's accounts, by name; me: of the accounts you own.")
    ordering = ordering(tuple(dashboards.PEOPLE_ORDERINGS), dashboards.PEOPLE_DEFAULT_ORDERING)


class Identity(serializers.Serializer[dashboards.Identity]):
    """An id by which another system knows the person."""

    type = serializers.ChoiceField(ContactIdentity.Type.choices, help_text="What kind of id it is.")
    value = serializers.CharField(help_text="The id.")


class PersonAtAccount(serializers.Serializer[dashboards.Person]):
    """A known person."""

    id = serializers.UUIDField(help_text="The contact.")
    name = serializers.CharField(allow_blank=True, help_text="As a lead form said; empty: it did not.")
    email = serializers.CharField(help_text="Lower case.")
    title = serializers.CharField(allow_blank=True, help_text="Role at work as a lead form said, never guessed.")
    last_seen_at = serializers.DateTimeField(allow_null=True, help_text="When last seen, UTC; null: never.")
    categories = serializers.ListField(
        child=serializers.CharField(), help_text="The top two of 7 days, most points first."
    )
    inferred = serializers.BooleanField(help_text="The categories are the account's: the person's are not known.")
    identities = Identity(many=True, help_text="By which other systems know the person.")


class PersonAccount(serializers.Serializer[dashboards.PersonAccount]):
    """The account of a person."""

    id = serializers.UUIDField(help_text="The account.")
    domain = serializers.CharField(help_text="Its canonical domain.")
    name = serializers.CharField(help_text="Its name; the domain where none is known.")
    intent_score = serializers.IntegerField(min_value=0, max_value=100, help_text="0 to 100.")
    intent_stage = stage(help_text="The stretch of the scale that the score is in.")
    surge_level = surge(help_text="How much louder it is than the week before.")
    top_lane = serializers.CharField(allow_blank=True, help_text="The lane with most points in 7 days.")
    unique_people_7d = serializers.IntegerField(help_text="Different people of 7 days, known or not.")
    anonymous_people_7d = serializers.IntegerField(help_text="Of those, the ones not known by name.")


class PersonRow(PersonAtAccount):
    """A known person and their account."""

    account = PersonAccount(help_text="Where they are.")


@extend_schema_serializer(many=False)
class PeoplePage(Page):
    """One page of known people, and how fresh the scores are."""

    results = PersonRow(many=True, help_text="The rows of this page.")
    lanes = Facet(many=True, help_text="People by their account's top lane, most first, the other filters as they are.")
    account = PersonAccount(
        allow_null=True, help_text="The account that account_id asks for, also where nobody is known; null: none."
    )
    freshness = Freshness(help_text="How fresh the scores are.")


class People(Reads):
    """The People Inside Accounts dashboard."""

    filters_of = {"list": PeopleFilters, "csv": PeopleFilters}

    def get_permissions(self) -> list[BasePermission]:
        """All addresses as one file take internal_admin."""
        return [IsInternalAdmin()] if self.action == "csv" else super().get_permissions()

    @extend_schema(operation_id="abm_people", responses=PeoplePage)
    def list(self, request: Request) -> Response:
        """Known people of listed accounts, those seen last first. The others are a count at each account."""
        chosen, (page, limit) = chosen_people(request, self.asked()), self.page_asked()
        with dashboards.one_moment():
            found = dashboards.people(chosen, page, limit)
            told = {
                "lanes": all_written(Facet, found.lanes),
                "account": written(PersonAccount, found.account) if found.account else None,
            }
            return Response(self.page(PersonRow, found, page) | told | self.fresh())

    @extend_schema(
        operation_id="abm_people_csv",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "UTF-8 with a byte-order mark.")},
    )
    def csv(self, request: Request) -> HttpResponseBase:
        """All known people of a filter as one file, which is why it takes internal_admin; no cell is a formula."""
        chosen = chosen_people(request, self.asked())
        return csv_answer("people", dashboards.PEOPLE_COLUMNS, dashboards.people_cells(chosen))


def chosen_people(request: Request, asked: dict[str, Any]) -> dashboards.PeopleFilter:
    return dashboards.PeopleFilter(
        range=asked["range"],
        account_id=asked["account_id"],
        lane=asked["lane"],
        category=asked["category"],
        search=asked["search"],
        owner_id=owner_id(asked["owner"], request.user.pk),
        ordering=asked["ordering"] or dashboards.PEOPLE_DEFAULT_ORDERING,
    )
