"""Whose an account is, who put it aside and who was in touch: what the buttons of its page do, for programs.

Each answers how we stand to the account afterwards. An account that was merged is the one it counts for.
"""

from datetime import date
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from abm_project import dashboards, ownership
from abm_project.api.briefs import account
from abm_project.api.description import Problem
from abm_project.api.strict import Strict, Text, sent, valid
from abm_project.filters import NAME_LENGTH
from abm_project.models import NOTE_LENGTH, AccountAction


class OwnedMeanwhile(APIException):
    status_code = 409
    default_code = "owned_meanwhile"


class Day(serializers.DateField):
    """A date as a string, and nothing made into one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%d"], **options)

    def to_internal_value(self, value: Any) -> date:
        if not isinstance(value, str):
            self.fail("invalid", format="YYYY-MM-DD")
        found: date = super().to_internal_value(value)
        return found


class OwnerBody(Strict):
    owner = Text(NAME_LENGTH, help_text="A user name; empty, null or left out: nobody.")
    seen = Text(
        NAME_LENGTH,
        help_text="The owner you believe it has, empty for nobody; 409 where that is no longer so. Left out: any.",
    )


class SnoozeBody(Strict):
    until = Day(help_text="The UTC day on which it is back in your lists: after today, at most a year away.")

    def validate_until(self, until: date) -> date:
        today = timezone.now().date()
        if not today < until <= today + ownership.SNOOZE_MAX:
            raise serializers.ValidationError("A day after today, and at most a year from now.", "out_of_range")
        return until


class ContactedBody(Strict):
    note = Text(NOTE_LENGTH, help_text="What came of it.")


class Contact(serializers.Serializer[dashboards.Contacted]):
    """When one of us was in touch."""

    at = serializers.DateTimeField(help_text="UTC.")
    by = serializers.CharField(help_text="The user name.")
    note = serializers.CharField(allow_blank=True, help_text="What came of it.")


class Action(serializers.Serializer[dashboards.Action]):
    """A line of the account's history with us."""

    kind = serializers.ChoiceField(AccountAction.Kind.values, help_text="What was done.")
    at = serializers.DateTimeField(help_text="UTC.")
    by = serializers.CharField(help_text="The user name.")
    owner_before = serializers.CharField(allow_blank=True, help_text="Of owned: whose it was; empty: nobody's.")
    owner_after = serializers.CharField(allow_blank=True, help_text="Of owned: whose it became; empty: nobody's.")
    until = serializers.DateField(allow_null=True, help_text="Of snoozed: the day; null otherwise.")
    note = serializers.CharField(allow_blank=True, help_text="Of contacted: what came of it.")


class Handling(serializers.Serializer[dashboards.Handling]):
    """How we stand to the account."""

    owner = serializers.CharField(allow_blank=True, help_text="The user who owns it; empty: nobody.")
    snoozed_until = serializers.DateField(allow_null=True, help_text="The day you snoozed it to; null: you did not.")
    contacted = Contact(allow_null=True, help_text="The last time one of us was in touch; null: nobody was.")
    history = Action(many=True, help_text="The 20 newest lines, newest first.")
    history_count = serializers.IntegerField(help_text="How many lines there are.")
    owners = serializers.ListField(child=serializers.CharField(), help_text="The users it can be given to.")


def answer(company_id: UUID, request: Request) -> Response:
    return Response(Handling(dashboards.handling(company_id, request.user.pk, timezone.now().date())).data)


class HandlingView(APIView):
    @extend_schema(operation_id="abm_accounts_handling", responses=Handling)
    def get(self, request: Request, id: UUID) -> Response:
        """Whose it is, whether you snoozed it, who was in touch, and what was done."""
        return answer(account(id).pk, request)


class OwnerView(APIView):
    @extend_schema(
        operation_id="abm_accounts_owner",
        request=OwnerBody,
        responses={200: Handling, 409: OpenApiResponse(Problem, "owned_meanwhile: it is not whose you believed.")},
    )
    def put(self, request: Request, id: UUID) -> Response:
        """Make it a user's, or nobody's."""
        company, given = account(id), sent(request)
        body = valid(OwnerBody(data=given))
        seen = body["seen"] if "seen" in given else None
        try:
            ownership.give(company.pk, body["owner"], request.user, timezone.now(), seen)
        except ownership.OwnedMeanwhile as meanwhile:
            raise OwnedMeanwhile(str(meanwhile)) from meanwhile
        except ownership.NobodySuch as why:
            raise ValidationError({"owner": str(why)}, "unknown_user") from why
        return answer(company.pk, request)


class SnoozeView(APIView):
    @extend_schema(operation_id="abm_accounts_snooze", request=SnoozeBody, responses=Handling)
    def put(self, request: Request, id: UUID) -> Response:
        """Out of your lists until a day; others see it as ever."""
        company, body = account(id), valid(SnoozeBody(data=sent(request)))
        ownership.snooze(company.pk, request.user, body["until"], timezone.now())
        return answer(company.pk, request)

    @extend_schema(operation_id="abm_accounts_wake", responses={200: Handling})
    def delete(self, request: Request, id: UUID) -> Response:
        """Back into your lists."""
        company = account(id)
        ownership.wake(company.pk, request.user, timezone.now())
        return answer(company.pk, request)


class ContactedView(APIView):
    @extend_schema(operation_id="abm_accounts_contacted", request=ContactedBody, responses={201: Handling})
    def post(self, request: Request, id: UUID) -> Response:
        """Say that you were in touch."""
        company, body = account(id), valid(ContactedBody(data=sent(request)))
        ownership.contacted(company.pk, request.user, body["note"], timezone.now())
        done = answer(company.pk, request)
        done.status_code = 201
        return done
