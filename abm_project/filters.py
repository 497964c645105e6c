"""The query string of a list, strictly: what is not understood is refused, never ignored in silence."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest
from django.core.validators import RegexValidator
from django.http import QueryDict

from abm_project.dashboards import (
    DEFAULT_ORDERING,
    ORDERINGS,
    PEOPLE_DEFAULT_ORDERING,
    PEOPLE_ORDERINGS,
    RANGES,
    AccountFilter,
    PeopleFilter,
    account_id,
)
from abm_project.run_reads import RunFilter
from registry.values import IntentStage, Persona, SurgeLevel
from scoring.models import JobRun

LIMIT_MAX = 200
LIMIT_DEFAULT = 50
PAGE_SIZES = (25, LIMIT_DEFAULT, 100, LIMIT_MAX)  # offered below a list
PAGE_MAX = 1_000_000
ME = "me"
NAME_LENGTH = 150  # of a user


class OneOf(forms.ChoiceField):
    """A choice that may be left out and names the allowed values when it is something else."""

    def __init__(self, *values: str) -> None:
        allowed = ", ".join(values)
        super().__init__(
            choices=[(value, value) for value in values],
            required=False,
            error_messages={"invalid_choice": f"“%(value)s” is not one of: {allowed}."},
        )


class ListForm(forms.Form):
    """What every list takes: a page, and no filter twice."""

    page = forms.IntegerField(required=False, min_value=1, max_value=PAGE_MAX)

    def clean(self) -> dict[str, Any]:
        for name in self.fields:
            if isinstance(self.data, QueryDict) and len(self.data.getlist(name)) > 1:
                self.add_error(name, "Give it once.")
        return self.cleaned_data

    @property
    def page_number(self) -> int:
        return self.cleaned_data["page"] or 1

    def problems(self) -> list[str]:
        return [f"{name}: {' '.join(messages)}" for name, messages in self.errors.items()]


class RunListForm(ListForm):
    state = OneOf(*JobRun.State.values)
    kind = forms.CharField(
        required=False,
        max_length=32,
        validators=[RegexValidator(r"\A[a-z0-9_-]+\Z", "A kind is one word such as night.")],
    )

    def chosen(self) -> RunFilter:
        return RunFilter(state=self.cleaned_data["state"], kind=self.cleaned_data["kind"])


class LaneField(forms.CharField):
    def __init__(self) -> None:
        word = RegexValidator(r"\A[^\s\x00-\x1f/]+\Z", "A lane is one word such as private_office.")
        super().__init__(required=False, max_length=64, validators=[word])


class LaneListForm(ListForm):
    range = OneOf(*RANGES)
    lane = LaneField()

    def chosen(self) -> AccountFilter:
        return AccountFilter(range=self.cleaned_data["range"] or next(iter(RANGES)), lane=self.cleaned_data["lane"])


class AccountField(forms.CharField):
    """An account by its domain, a further domain, or one merged into it."""

    def __init__(self) -> None:
        super().__init__(required=False, max_length=253)

    def clean(self, value: Any) -> UUID | None:
        domain: str = super().clean(value)
        found = account_id(domain) if domain else None
        if domain and found is None:
            raise forms.ValidationError(f"There is no account {domain}.")
        return found


class OwnerField(forms.CharField):
    """Whose accounts: ME, or a user by name, of whom the key is taken."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "max_length": NAME_LENGTH, **options})

    def clean(self, value: Any) -> int | str:
        name: str = super().clean(value)
        if name in ("", ME):
            return name
        user = User.objects.filter(username=name).first()
        if user is None:
            raise forms.ValidationError(f"There is no user {name}: write a user name, or {ME}.", "unknown_user")
        return user.pk


def owner_id(said: int | str, viewer_id: int) -> int | None:
    """The user whom an `OwnerField` means; None where it was left out."""
    if said == ME:
        return viewer_id
    return said if isinstance(said, int) else None


class PeopleListForm(ListForm):
    range = OneOf(*RANGES)
    account = AccountField()
    lane = LaneField()
    category = forms.CharField(required=False, max_length=64)
    search = forms.CharField(required=False, max_length=200)
    owner = OwnerField()
    ordering = OneOf(*PEOPLE_ORDERINGS, *(f"-{column}" for column in PEOPLE_ORDERINGS))
    limit = forms.IntegerField(required=False, min_value=1, max_value=LIMIT_MAX)

    def chosen(self, user_id: int) -> PeopleFilter:
        given = self.cleaned_data
        return PeopleFilter(
            range=given["range"],
            account_id=given["account"],
            lane=given["lane"],
            category=given["category"],
            search=given["search"],
            owner_id=owner_id(given["owner"], user_id),
            ordering=given["ordering"] or PEOPLE_DEFAULT_ORDERING,
        )

    @property
    def page_size(self) -> int:
        return self.cleaned_data["limit"] or LIMIT_DEFAULT


class MoversForm(ListForm):
    since = forms.DateField(required=False, error_messages={"invalid": "Write the date as 2026-12-31."})
    owner = OwnerField()


class AccountListForm(ListForm):
    range = OneOf(*RANGES)
    stage = OneOf(*IntentStage)
    surge = OneOf(*SurgeLevel)
    lane = LaneField()
    search = forms.CharField(required=False, max_length=200)
    owner = OwnerField()
    suppressed = OneOf("1")
    snoozed = OneOf("1")
    ordering = OneOf(*ORDERINGS, *(f"-{column}" for column in ORDERINGS))
    limit = forms.IntegerField(required=False, min_value=1, max_value=LIMIT_MAX)

    def chosen(self, user_id: int, today: date) -> AccountFilter:
        given = self.cleaned_data
        return AccountFilter(
            range=given["range"] or next(iter(RANGES)),
            stage=given["stage"],
            lane=given["lane"],
            surge=given["surge"],
            search=given["search"],
            owner_id=owner_id(given["owner"], user_id),
            suppressed=bool(given["suppressed"]),
            viewer_id=user_id,
            today=today,
            snoozed=bool(given["snoozed"]),
            ordering=given["ordering"] or DEFAULT_ORDERING,
        )

    @property
    def page_size(self) -> int:
        return self.cleaned_data["limit"] or LIMIT_DEFAULT


def chosen_persona(query: Mapping[str, Any]) -> str:
    """For whom a brief is asked; sales where nothing is said."""
    persona = str(query.get("persona", Persona.SALES))
    if persona not in list(Persona):
        raise BadRequest("There is no such persona: choose sales, marketing or exec.")
    return persona
