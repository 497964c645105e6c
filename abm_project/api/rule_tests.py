"""The rule tester over the API."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from abm_project.api.auth import IsInternalAdmin
from abm_project.api.description import Problem
from abm_project.api.registry import OnlyText
from abm_project.api.strict import Strict, Text, sent, valid
from abm_project.rule_tester import Asked, try_event
from registry.loader import RegistryUnusable, load_registry
from scoring.rollup import scored_date


class Unusable(APIException):
    """The tables have bad rows, so there is nothing to test against."""

    status_code = 409
    default_code = "registry_unusable"


class TryBody(Strict):
    page = OnlyText(max_length=2_000, help_text="The page's address, or its path.")
    event_name = OnlyText(max_length=64, default="page_view", help_text="As the site sends it.")
    content_type = Text(64, help_text="What the event says itself.")
    lane = Text(64, help_text="What the event says itself.")
    cta_id = Text(64, help_text="Of a click.")


class RuleShown(serializers.Serializer[Any]):
    """A rule, as it is in force."""

    id = serializers.UUIDField(help_text="The rule.")
    priority = serializers.IntegerField(help_text="Lower is tried first.")
    event_name = serializers.CharField(help_text="Exact, or with a trailing *.")
    match_type = serializers.CharField(help_text="How it matches.")
    match_value = serializers.CharField(help_text="What it matches.")


class TouchedShown(serializers.Serializer[Any]):
    """What the winning rule classified in the last days."""

    first = serializers.DateField(help_text="From this day.")
    last = serializers.DateField(help_text="To this one.")
    events = serializers.IntegerField(help_text="Events.")
    accounts = serializers.IntegerField(help_text="Accounts they count for.")
    complete = serializers.BooleanField(help_text="False: there was too much to read all of it.")


class TryShown(serializers.Serializer[Any]):
    """What the rules in force make of an event."""

    path = serializers.CharField(help_text="The page as it would be stored.")
    event_name = serializers.CharField(help_text="The event as it would be stored.")
    winner = RuleShown(allow_null=True, help_text="The rule that wins; null: none.")
    next = RuleShown(allow_null=True, help_text="The rule that would win without it; null: none.")
    why = serializers.CharField(help_text="In a sentence.")
    content_type = serializers.CharField(help_text="What it counts as.")
    lane = serializers.CharField(help_text="Which lane it counts for; empty: none.")
    category = serializers.CharField(help_text="Under which the ledger shows it.")
    weight = serializers.IntegerField(help_text="Its points on its day.")
    weight_source = serializers.CharField(help_text="Which weight, or the rule's own.")
    touched = TouchedShown(allow_null=True, help_text="What the winner did lately; null without one.")


class TryRules(APIView):
    permission_classes = (IsInternalAdmin,)

    @extend_schema(
        request=TryBody,
        responses={
            200: TryShown,
            409: OpenApiResponse(Problem, "registry_unusable: it has bad rows, or no active config."),
        },
    )
    def post(self, request: Request) -> Response:
        """Which rule wins for an event, which would after it, and what the event is worth. Changes nothing."""
        asked = Asked(**valid(TryBody(data=sent(request))))
        try:
            found = try_event(asked, load_registry(), scored_date(timezone.now()))
        except RegistryUnusable as bad:
            raise Unusable(str(bad)) from bad
        shown = {name: getattr(found, name) for name in TryShown().fields if hasattr(found, name)}
        shown |= {"path": found.cell.path, "event_name": found.cell.event}
        shown |= {"touched": found.touched and asdict(found.touched)}
        return Response(TryShown(shown).data)
