"""The brief of an account over the API: the stored one, or a new one where that is due (spec 8.3)."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from abm_project.access import is_admin
from abm_project.api import errors
from abm_project.api.description import Problem
from abm_project.api.strict import Choice, Flag, Strict, sent, valid
from accounts.models import ProspectCompany
from ai_summaries import summaries
from registry.values import Persona


class BriefBody(Strict):
    persona = Choice(
        choices=[(persona.value, persona.value) for persona in Persona],
        default=Persona.SALES.value,
        help_text="For whom it is written.",
    )
    force = Flag(default=False, help_text="Write it anew although the stored one still holds; for admins alone.")


class BriefFinding(serializers.Serializer[Any]):
    """Something in the text that the check against the facts did not find there, or a fault of its form."""

    kind = serializers.CharField(
        help_text="figure, date, path, lane, name, address; length, cut_off; or heading, a warning."
    )
    quote = serializers.CharField(help_text="As it stands in the text; empty for a fault of the whole.")
    detail = serializers.CharField(help_text="A sentence for people.")
    is_warning = serializers.BooleanField(help_text="True: nothing in the text is doubtful for it.")


class AccountBrief(serializers.Serializer[Any]):
    """A stored brief."""

    id = serializers.UUIDField(help_text="The brief.")
    persona = serializers.CharField(help_text="For whom it is written.")
    cache_date = serializers.DateField(help_text="The date of the snapshot it speaks of.")
    top_lane = serializers.CharField(help_text="The account's top lane then.")
    intent_score = serializers.IntegerField(help_text="The account's score then.")
    surge_level = serializers.CharField(help_text="Its surge level then.")
    summary_md = serializers.CharField(help_text="The text, in Markdown. Written by a model: render it as untrusted.")
    model = serializers.CharField(help_text="The model that wrote it; rules: none is configured, and rules made it.")
    prompt_template_id = serializers.UUIDField(source="template_id", help_text="The prompt template.")
    prompt_version = serializers.CharField(source="template_version", help_text="The template's version then.")
    why = serializers.CharField(help_text="Why it was made.")
    written_at = serializers.DateTimeField(help_text="When it was asked for.")
    findings = BriefFinding(many=True, help_text="What the check found; empty when every figure stands in the facts.")


class BriefAnswer(serializers.Serializer[Any]):
    """The brief, and whether it was written just now."""

    state = serializers.ChoiceField(
        [summaries.MADE, summaries.CACHED], help_text="made: written for this request or one like it; cached: stored."
    )
    brief = AccountBrief(help_text="The brief.")


class BriefFailed(Problem):
    """The one shape of every error, and the last good brief."""

    brief = serializers.SerializerMethodField(help_text="The last good brief of this persona; null when there is none.")

    @extend_schema_field(AccountBrief(allow_null=True))
    def get_brief(self, problem: Any) -> Any:
        return problem["brief"] and AccountBrief(problem["brief"]).data


class NoBriefLeft(exceptions.APIException):
    status_code = 429
    default_code = "budget_reached"

    def __init__(self, detail: str, wait: float) -> None:
        super().__init__(detail)
        self.wait = wait  # seconds; Django REST framework makes Retry-After of it


class AISummary(APIView):
    """The account's brief: the stored one, or one that is written now (up to 45 seconds) where that is due."""

    @extend_schema(
        request=BriefBody,
        responses={
            200: BriefAnswer,
            409: OpenApiResponse(Problem, "not_scored: the account has no score to speak of."),
            429: OpenApiResponse(Problem, "budget_reached: the day's briefs are used up; Retry-After says how long."),
            502: OpenApiResponse(BriefFailed, "brief_failed: the model gave none; detail says why, brief is the last."),
        },
    )
    def post(self, request: Request, id: UUID) -> Response:
        body = valid(BriefBody(data=sent(request)))
        if body["force"] and not is_admin(request.user):
            raise PermissionDenied("Only the role internal_admin may have a brief written anew.")
        company, now = account(id), timezone.now()
        try:
            outcome = summaries.get_or_generate_summary(
                company, body["persona"], now, asked_by=request.user, force=body["force"]
            )
        except summaries.NotScored as error:
            return Response(errors.body("client_error", "not_scored", str(error)), status=409)
        except summaries.BudgetReached as error:
            raise NoBriefLeft(str(error), (error.until - now).total_seconds()) from error
        if outcome.state == summaries.FAILED:
            failed = errors.body("server_error", "brief_failed", outcome.failure)
            return Response(BriefFailed({**failed, "brief": outcome.brief}).data, status=502)
        return Response(BriefAnswer(outcome).data)


def account(id: UUID) -> ProspectCompany:
    """The account of this id; of one that was merged, the account it counts for."""
    company = get_object_or_404(ProspectCompany.objects.select_related("merged_into"), pk=id)
    while company.merged_into is not None:
        company = company.merged_into
    return company
