"""Service lane intent for programs (spec 8.1): a card for each lane, and the accounts of a chosen one."""

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from abm_project import dashboards
from abm_project.api.accounts import AccountRow
from abm_project.api.reads import Freshness, Page, Reads, all_written, lane, one_of


class LaneFilters(filters.FilterSet):
    range = one_of(
        dashboards.RANGES, "Which top lane an account is counted in: that of 7 days, unless said, or that of 30."
    )
    lane = lane("Also list the accounts of this lane; page and limit are theirs.")


class LaneCard(serializers.Serializer[dashboards.LaneCard]):
    """The accounts whose top lane this is: unsuppressed and not merged, so the list shows as many."""

    lane = serializers.CharField(help_text="The lane; other: accounts that are in none.")
    accounts = serializers.IntegerField(help_text="How many accounts.")
    hot = serializers.IntegerField(help_text="Of those, Hot.")
    surging = serializers.IntegerField(help_text="Of those, Surging.")
    exploding = serializers.IntegerField(help_text="Of those, Exploding.")
    average_score = serializers.FloatField(
        allow_null=True, help_text="The mean of the scores above 0, 0 to 100; null: there is none."
    )
    hot_before = serializers.IntegerField(
        allow_null=True, help_text="Hot accounts of this lane in the scores of before; null: no scores that day."
    )
    hot_change = serializers.IntegerField(
        allow_null=True, help_text="The trend: so many hot accounts more than before; null: not known."
    )
    average_score_before = serializers.FloatField(
        allow_null=True, help_text="The mean of the scores above 0 then; null: there is none."
    )
    average_change = serializers.FloatField(
        allow_null=True, help_text="Points that the mean moved since; null: not known."
    )
    hot_trend = serializers.ListField(
        child=serializers.IntegerField(allow_null=True),
        help_text="Hot accounts on each of the 30 days up to freshness.through, oldest first; null: no scores.",
    )


@extend_schema_serializer(many=False)
class LaneAccounts(Page):
    """One page of the chosen lane's accounts."""

    results = AccountRow(many=True, help_text="The rows of this page, the highest score first.")


@extend_schema_serializer(many=False)
class LanesAnswer(serializers.Serializer[Any]):
    """A card for each lane, the hottest first, and the accounts of the chosen one."""

    before = serializers.DateField(
        allow_null=True,
        help_text="The UTC day, seven before the newest, that trends are measured from; null: no scores.",
    )
    results = LaneCard(many=True, help_text="The cards: by hot, exploding, surging, then average.")
    accounts = LaneAccounts(allow_null=True, help_text="Of the chosen lane; null: none was chosen.")
    freshness = Freshness(help_text="How fresh the scores are.")


class Lanes(Reads):
    """The Service Lane Intent dashboard."""

    filters_of = {"list": LaneFilters}

    @extend_schema(operation_id="abm_lanes", responses=LanesAnswer)
    def list(self, request: Request) -> Response:
        """A card for each lane that is the top lane of an account."""
        asked, (page, limit) = self.asked(), self.page_asked()
        range = asked["range"] or next(iter(dashboards.RANGES))
        with dashboards.one_moment():
            found = dashboards.lane_cards(range)
            told: dict[str, Any] = {"before": found.before, "results": all_written(LaneCard, found.cards)}
            chosen = dashboards.AccountFilter(range=range, lane=asked["lane"])
            listed = dashboards.hot_accounts(chosen, page, limit) if asked["lane"] else None
            told["accounts"] = listed and self.page(AccountRow, listed, page)
            return Response(told | self.fresh())
