"""Jobs over the API, for admins: ask for a recompute, see the runs, publish a held night."""

import datetime
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from abm_project.api import errors
from abm_project.api.auth import IsInternalAdmin
from abm_project.api.description import Problem
from abm_project.api.strict import OPTIONAL, Domain, Flag, Strict, Whole, sent, valid
from scoring import jobs
from scoring.models import NIGHT, PREVIEW, PULL, RECOMPUTE, JobRun, RunInProgress

BACKFILL_MAX = 3_660  # ten years, as the command
ACCOUNTS_MAX = 1_000


class RecomputeBody(Strict):
    date = serializers.DateField(
        input_formats=["iso-8601"],
        **OPTIONAL,
        help_text="The UTC day to score, not in the future. Null: yesterday, the last full day.",
    )
    backfill = Whole(
        min_value=1,
        max_value=BACKFILL_MAX,
        **OPTIONAL,
        help_text="So many days up to date, oldest first. Null: that day alone.",
    )
    restate = Flag(default=False, help_text="Also rewrite past snapshots that exist.")
    pull = Flag(default=False, help_text="Read the days anew from PostHog first.")
    accounts = serializers.ListField(
        child=Domain(max_length=253),
        min_length=1,
        max_length=ACCOUNTS_MAX,
        allow_null=True,
        default=None,
        help_text="Only these accounts, by domain. Null: all.",
    )

    def validate_date(self, day: datetime.date | None) -> str | None:
        if day and day > timezone.now().date():
            raise serializers.ValidationError(f"{day} lies in the future.", "future")
        return day and day.isoformat()

    def validate_accounts(self, domains: list[str] | None) -> list[str] | None:
        return domains and sorted(set(domains))


class RunFilters(filters.FilterSet):
    kind = filters.ChoiceFilter(
        choices=[(kind, kind) for kind in (NIGHT, RECOMPUTE, PULL, PREVIEW)], help_text="Runs of this kind."
    )
    state = filters.ChoiceFilter(choices=JobRun.State.choices, help_text="Runs in this state.")


class Progress(serializers.Serializer[Any]):
    """How far a run is."""

    phase = serializers.CharField(help_text="What it is at: pull, recompute …; empty before it starts.")
    done = serializers.IntegerField(help_text="Items of this phase that are done.")
    total = serializers.IntegerField(help_text="Items of this phase; 0 while it is not known.")
    fraction = serializers.FloatField(allow_null=True, help_text="done / total, 0 to 1; null while total is 0.")


class Run(serializers.ModelSerializer[JobRun]):
    """One run of a job."""

    params = serializers.DictField(source="params_json", help_text="What was asked for.")
    result = serializers.DictField(source="result_json", help_text="What it did, when it is done.")
    progress = serializers.SerializerMethodField(help_text="How far it is.")

    class Meta:
        model = JobRun
        fields = (
            "id",
            "kind",
            "state",
            "slot",
            "is_bulk",
            "attempt",
            "asked_by",
            "params",
            "queued_at",
            "not_before",
            "started_at",
            "heartbeat_at",
            "lease_until",
            "finished_at",
            "progress",
            "result",
            "message",
        )
        read_only_fields = fields
        extra_kwargs = {
            "id": {"help_text": "The run."},
            "kind": {"help_text": "night, recompute, pull or preview."},
            "state": {"help_text": "held waits for an admin; see publish."},
            "asked_by": {"help_text": "The user who asked for it; empty: nobody, it was due."},
            "heartbeat_at": {"help_text": "When it was last known to be alive."},
            "finished_at": {"help_text": "When it came to an end; null before."},
        }

    @extend_schema_field(Progress)
    def get_progress(self, run: JobRun) -> dict[str, Any]:
        done, total = run.done_items, run.total_items
        return {"phase": run.phase, "done": done, "total": total, "fraction": done / total if total else None}


class RunConflict(Problem):
    """The one shape of every error, and the run that is in the way."""

    run = Run(allow_null=True, help_text="The run that is in the way; null when it ended meanwhile.")


class JobView(APIView):
    permission_classes = (IsInternalAdmin,)


class JobList(JobView, ListAPIView):
    """The runs, newest first."""

    queryset = JobRun.objects.order_by("-started_at", "-id")
    serializer_class = Run
    filterset_class = RunFilters


class JobDetail(JobView, RetrieveAPIView):
    """One run."""

    queryset = JobRun.objects.all()
    serializer_class = Run
    lookup_field = "id"


class RecomputeIntent(JobView):
    """Ask for a recompute. It is queued and answered at once; follow it by its id."""

    @extend_schema(
        request=RecomputeBody,
        responses={202: Run, 409: OpenApiResponse(RunConflict, "run_in_progress: another run of all accounts waits.")},
    )
    def post(self, request: Request) -> Response:
        body = valid(RecomputeBody(data=sent(request)))
        try:
            run = jobs.ask_recompute(body, timezone.now(), request.user.get_username())
        except RunInProgress as refused:
            return conflict("run_in_progress", str(refused), refused.run)
        return Response(Run(run).data, status=202)


class PublishNight(JobView):
    """Let a held night go on with the volume it found. Takes no field."""

    @extend_schema(
        request=None,
        responses={202: Run, 409: OpenApiResponse(RunConflict, "not_held: only a held night can be published.")},
    )
    def post(self, request: Request, id: UUID) -> Response:
        valid(Strict(data=sent(request)))
        run = get_object_or_404(JobRun, pk=id)
        published = jobs.publish_anyway(run, timezone.now(), request.user.get_username())
        run.refresh_from_db()
        if not published:
            return conflict("not_held", f"Only a held night can be published; this one is {run.state}.", run)
        return Response(Run(run).data, status=202)


def conflict(code: str, detail: str, run: JobRun | None) -> Response:
    """The one error shape, and the run that is in the way."""
    return Response({**errors.body("client_error", code, detail), "run": run and Run(run).data}, status=409)
