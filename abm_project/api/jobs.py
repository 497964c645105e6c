"""Jobs over the API, for admins: ask for a recompute, see the runs, publish a held night."""

import datetime
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from abm_project.api import errors
from abm_project.api.auth import IsInternalAdmin
from accounts.domains import normalize_domain_from_url
from scoring import jobs
from scoring.models import NIGHT, PULL, RECOMPUTE, JobRun, RunInProgress

BACKFILL_MAX = 3_660  # ten years, as the command
ACCOUNTS_MAX = 1_000
LIMIT_MAX, LIMIT_DEFAULT, PAGE_MAX = 200, 50, 1_000_000


class Strict(serializers.Serializer[Any]):
    """What is not understood is refused, never ignored in silence."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if hasattr(data, "keys") else set()
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(sorted(unknown), "There is no such field."), "unknown")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false, and not "yes" or 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Count(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class Domain(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        domain = normalize_domain_from_url(super().to_internal_value(data))
        if domain is None:
            raise serializers.ValidationError("This is no domain.", "invalid")
        return domain


class RecomputeBody(Strict):
    date = serializers.DateField(input_formats=["iso-8601"], required=False, allow_null=True, default=None)
    backfill = Count(min_value=1, max_value=BACKFILL_MAX, required=False, allow_null=True, default=None)
    restate = Flag(default=False)
    pull = Flag(default=False)
    accounts = serializers.ListField(
        child=Domain(max_length=253), min_length=1, max_length=ACCOUNTS_MAX, allow_null=True, default=None
    )

    def validate_date(self, day: datetime.date | None) -> str | None:
        if day and day > timezone.now().date():
            raise serializers.ValidationError(f"{day} lies in the future.", "future")
        return day and day.isoformat()

    def validate_accounts(self, domains: list[str] | None) -> list[str] | None:
        return domains and sorted(set(domains))


class ListQuery(Strict):
    page = serializers.IntegerField(min_value=1, max_value=PAGE_MAX, default=1)
    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT)
    kind = serializers.ChoiceField([NIGHT, RECOMPUTE, PULL], required=False)
    state = serializers.ChoiceField(JobRun.State.values, required=False)


class Run(serializers.ModelSerializer[JobRun]):
    params = serializers.JSONField(source="params_json")
    result = serializers.JSONField(source="result_json")
    progress = serializers.SerializerMethodField()

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

    def get_progress(self, run: JobRun) -> dict[str, Any]:
        done, total = run.done_items, run.total_items
        return {"phase": run.phase, "done": done, "total": total, "fraction": done / total if total else None}


class JobView(APIView):
    permission_classes = (IsInternalAdmin,)


class JobList(JobView):
    def get(self, request: Request) -> Response:
        query = valid(ListQuery(data=request.query_params.dict()))
        page, limit = query.pop("page"), query.pop("limit")
        runs = JobRun.objects.filter(**query)
        shown = runs.order_by("-started_at", "-id")[(page - 1) * limit : page * limit]
        return Response({"count": runs.count(), "page": page, "limit": limit, "results": Run(shown, many=True).data})


class JobDetail(JobView):
    def get(self, request: Request, id: UUID) -> Response:
        return Response(Run(get_object_or_404(JobRun, pk=id)).data)


class RecomputeIntent(JobView):
    def post(self, request: Request) -> Response:
        body = valid(RecomputeBody(data=request.data))
        try:
            run = jobs.ask_recompute(body, timezone.now(), request.user.get_username())
        except RunInProgress as refused:
            return conflict("run_in_progress", str(refused), refused.run)
        return Response(Run(run).data, status=202)


class PublishNight(JobView):
    def post(self, request: Request, id: UUID) -> Response:
        valid(Strict(data=request.data))
        run = get_object_or_404(JobRun, pk=id)
        published = jobs.publish_anyway(run, timezone.now(), request.user.get_username())
        run.refresh_from_db()
        if not published:
            return conflict("not_held", f"Only a held night can be published; this one is {run.state}.", run)
        return Response(Run(run).data, status=202)


def valid(serializer: Strict) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def conflict(code: str, detail: str, run: JobRun | None) -> Response:
    """The one error shape, and the run that is in the way."""
    return Response({**errors.body("client_error", code, detail), "run": run and Run(run).data}, status=409)
