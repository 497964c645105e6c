"""Versions of the scoring model over the API: clone, preview, activate, and back to what scores were made with."""

from functools import partial
from typing import Any
from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from abm_project.api.auth import IsInternalAdmin
from abm_project.api.description import Problem
from abm_project.api.jobs import Run
from abm_project.api.registry import (
    IF_MATCH,
    VERSIONS,
    ConfigBody,
    ConfigRow,
    NoFilters,
    OnlyText,
    RegistryView,
    seen_version,
    write,
)
from abm_project.api.strict import OPTIONAL, Strict, Text, sent, valid
from registry.editing import because, lock
from registry.models import REASON_LENGTH, RegistryRevision, ScoreConfig
from registry.versions import roll_back
from scoring import jobs
from scoring.models import ConfigPreview
from scoring.runs import is_current


class CloneBody(Strict):
    name = OnlyText(max_length=64, help_text="Of the copy; no other config has it.")


class ActivateBody(Strict):
    instead_of = serializers.UUIDField(
        help_text="The config that is active as far as you know: 409 when it is another one by now."
    )
    change_reason = Text(REASON_LENGTH, help_text="Why; kept in the history.")


class PreviewBody(Strict):
    date = serializers.DateField(
        input_formats=["iso-8601"], **OPTIONAL, help_text="The UTC day to score. Null: the newest scored one."
    )


class ConfigAction(RegistryView):
    queryset = ScoreConfig.objects.all()
    row, body = ConfigRow, ConfigBody
    serializer_class = ConfigRow


class CloneConfig(ConfigAction):
    @extend_schema(request=CloneBody, responses={201: ConfigRow})
    def post(self, request: Request, id: UUID) -> Response:
        """Make a draft with the same numbers, weights and rules of its own."""
        name = valid(CloneBody(data=sent(request)))["name"]
        config = self.get_object()
        return self.answer(write(partial(config.clone, name)), 201)


class ActivateConfig(ConfigAction):
    @extend_schema(
        request=ActivateBody,
        parameters=[IF_MATCH],
        responses={200: ConfigRow, 409: OpenApiResponse(Problem, "activated_meanwhile."), **VERSIONS},
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Make it the active config, and archive the one that was. It decides the next scores."""
        seen, given = seen_version(request), valid(ActivateBody(data=sent(request)))
        self.get_object()

        def activate() -> ScoreConfig:
            # The active one first, as every activation: two that cross would wait for each other.
            list(ScoreConfig.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
            config = lock(ScoreConfig, id, seen)
            because(config, given["change_reason"])
            config.activate(instead_of=given["instead_of"])
            return ScoreConfig.objects.get(pk=id)

        return self.answer(write(activate))


class ReasonShown(serializers.Serializer[Any]):
    """What one kind of event brings into the 30-day raw score."""

    category = serializers.CharField(help_text="Content type, call to action or event.")
    event = serializers.CharField(help_text="The event's name.")
    count = serializers.IntegerField(help_text="How many.")
    points = serializers.FloatField(help_text="Weight × decay, all of them.")


class StandingShown(serializers.Serializer[Any]):
    """Where an account stands."""

    score = serializers.IntegerField(help_text="0 to 100.")
    stage = serializers.CharField(help_text="Cold, Warm or Hot.")
    surge = serializers.CharField(help_text="Normal, Surging or Exploding.")
    raw_30d = serializers.FloatField(help_text="Raw score of 30 days.")
    top_lane = serializers.CharField(help_text="Of 7 days.")


class MoveShown(serializers.Serializer[Any]):
    """One account before and after."""

    domain = serializers.CharField(help_text="The account.")
    name = serializers.CharField(help_text="Its name.")
    before = StandingShown(help_text="With what is in force.")
    after = StandingShown(help_text="With the config.")
    reasons_before = ReasonShown(many=True, help_text="Of the biggest movers; else empty.")
    reasons_after = ReasonShown(many=True, help_text="Of the biggest movers; else empty.")


class WayShown(serializers.Serializer[Any]):
    """From one stage, surge level or lane to another."""

    before = serializers.CharField(help_text="From.")
    after = serializers.CharField(help_text="To.")
    count = serializers.IntegerField(help_text="Accounts, all of them.")
    accounts = MoveShown(many=True, help_text="Those with the best scores.")


class ImpactShown(serializers.Serializer[Any]):
    """All that moves."""

    as_of = serializers.DateField(help_text="The day whose scores were compared.")
    accounts = serializers.IntegerField(help_text="Accounts with a score on that day.")
    moved = serializers.IntegerField(help_text="Those whose score, stage, surge level or lane differs.")
    stage_counts = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="Stage → [before, after]."
    )
    surge_counts = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="Surge level → [before, after]."
    )
    lane_counts = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="Top lane → [before, after]."
    )
    stages = WayShown(many=True, help_text="Who changes stage.")
    surges = WayShown(many=True, help_text="Who changes surge level.")
    lanes = WayShown(many=True, help_text="Whose top lane changes.")
    histogram_before = serializers.ListField(
        child=serializers.IntegerField(), help_text="Accounts with a score of 0 to 9, 10 to 19 … 90 to 100."
    )
    histogram_after = serializers.ListField(child=serializers.IntegerField(), help_text="The same, after.")
    movers = MoveShown(many=True, help_text="The biggest changes of score.")


class PreviewShown(serializers.ModelSerializer[ConfigPreview]):
    """The newest preview of a config."""

    is_current = serializers.SerializerMethodField(
        help_text="Neither the config nor what is in force has changed since: an activation does what it says."
    )
    impact = ImpactShown(source="impact_json", read_only=True, help_text="What it found.")

    class Meta:
        model = ConfigPreview
        fields = ("id", "created_at", "date", "before_digest", "after_digest", "is_current", "impact")
        read_only_fields = fields
        extra_kwargs = {
            "id": {"help_text": "The preview."},
            "created_at": {"help_text": "UTC."},
            "before_digest": {"help_text": "Names the registry that was in force."},
            "after_digest": {"help_text": "Names the registry with the config: snapshots made with it carry it."},
        }

    def get_is_current(self, made: ConfigPreview) -> bool:
        return is_current(made)


class PreviewConfig(ConfigAction):
    @extend_schema(responses=PreviewShown)
    def get(self, request: Request, id: UUID) -> Response:
        """The newest preview of the config; 404 while there is none."""
        made = ConfigPreview.objects.filter(score_config=self.get_object()).order_by("-created_at", "-id").first()
        if made is None:
            raise Http404
        return Response(PreviewShown(made).data)

    @extend_schema(request=PreviewBody, responses={202: Run})
    def post(self, request: Request, id: UUID) -> Response:
        """Ask what activating it would move. It is queued and answered at once; follow the run by its id."""
        given, now = valid(PreviewBody(data=sent(request))), timezone.now()
        if given["date"] and given["date"] > now.date():
            raise ValidationError({"date": [ErrorDetail(f"{given['date']} lies in the future.", "future")]})
        run = jobs.ask_preview(self.get_object(), given["date"], now, request.user.get_username())
        return Response(Run(run).data, status=202)


class RollBackBody(Strict):
    instead_of = serializers.UUIDField(
        help_text="The config that is active as far as you know: 409 when it is another one by now."
    )
    change_reason = Text(REASON_LENGTH, help_text="Why; kept in the history.")


class RevisionRow(serializers.ModelSerializer[RegistryRevision]):
    """What scores were made with."""

    score_config = serializers.SerializerMethodField(help_text="The name of its config.")

    class Meta:
        model = RegistryRevision
        fields = ("id", "digest", "score_config", "created_at", "in_force_at")
        read_only_fields = fields
        extra_kwargs = {
            "id": {"help_text": "The revision."},
            "digest": {"help_text": "Of its content."},
            "created_at": {"help_text": "UTC; when it was first used."},
        }

    def get_score_config(self, revision: RegistryRevision) -> str:
        config = revision.content_json.get("config") if isinstance(revision.content_json, dict) else None
        return str(config.get("name", "")) if isinstance(config, dict) else ""


class RevisionList(ListAPIView):
    """What scores were made with, newest first."""

    permission_classes = (IsInternalAdmin,)
    queryset = RegistryRevision.objects.order_by("-created_at", "-id")
    serializer_class = RevisionRow
    filterset_class = NoFilters


class RollBack(APIView):
    permission_classes = (IsInternalAdmin,)

    @extend_schema(
        request=RollBackBody,
        responses={200: ConfigRow, 409: OpenApiResponse(Problem, "activated_meanwhile, or cannot_roll_back.")},
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Bring back the config, weights and event rules of a revision, and make its config the active one."""
        given = valid(RollBackBody(data=sent(request)))
        revision = get_object_or_404(RegistryRevision, pk=id)
        config = write(
            partial(roll_back, revision, reason=given["change_reason"], instead_of=given["instead_of"])
        )  # fmt: skip
        return Response(ConfigRow(ScoreConfig.objects.get(pk=config.pk)).data)
