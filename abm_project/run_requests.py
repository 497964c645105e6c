"""What an admin may ask for on the Runs page, checked before a run is queued or a domain decided."""

import datetime
from typing import Any

from django import forms

from accounts.domains import normalize_domain_from_url
from accounts.models import ProspectCompany
from registry.values import SUPPRESSING, DomainRuleKind

BACKFILL_MAX = 3_660  # ten years: a slip of the finger must not ask for a million dates
BACKFILL_USUAL = 30
DATE = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class RecomputeForm(forms.Form):
    """One date; none is the last full UTC day."""

    date = forms.DateField(
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=DATE,
        error_messages={"invalid": "Write the date as year-month-day, such as 2026-11-21."},
    )
    pull = forms.BooleanField(required=False)
    restate = forms.BooleanField(required=False)

    def __init__(self, data: Any = None, *, today: datetime.date) -> None:
        super().__init__(data, auto_id="recompute_%s")
        self.today = today

    def clean_date(self) -> datetime.date | None:
        day: datetime.date | None = self.cleaned_data["date"]
        if day and day > self.today:
            raise forms.ValidationError("That day has not come yet: choose today or a day before.")
        return day

    def body(self) -> dict[str, Any]:
        given = self.cleaned_data
        day = given["date"].isoformat() if given["date"] else None
        return {
            "date": day,
            "backfill": None,
            "restate": given["restate"],
            "pull": given["pull"],
            "accounts": None,
        }


class BackfillForm(forms.Form):
    """The last so many dates: those without scores get them, those with scores stay as they are."""

    dates = forms.IntegerField(
        min_value=1,
        max_value=BACKFILL_MAX,
        initial=BACKFILL_USUAL,
        error_messages={
            "required": "Say how many dates.",
            "invalid": "Write the number of dates in digits, such as 30.",
            "min_value": "At least one date.",
            "max_value": f"At most {BACKFILL_MAX:,} dates, which is ten years.",
        },
    )
    pull = forms.BooleanField(required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="backfill_%s")

    def body(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "date": None,
            "backfill": given["dates"],
            "restate": False,
            "pull": given["pull"],
            "accounts": None,
        }


class DomainForm(forms.Form):
    """What a domain is: further domain of an account, suppressed, personal, or not."""

    ALIAS, SUPPRESS = "alias", "suppress"

    domain = forms.CharField(max_length=253)
    decide = forms.ChoiceField(
        choices=[(name, name) for name in (ALIAS, SUPPRESS, DomainRuleKind.PERSONAL, DomainRuleKind.NOT_PERSONAL)]
    )
    account = forms.CharField(required=False, max_length=255)
    kind = forms.ChoiceField(required=False, choices=[(name, name) for name in sorted(SUPPRESSING)])

    def clean_domain(self) -> str:
        domain = normalize_domain_from_url(self.cleaned_data["domain"])
        if domain is None:
            raise forms.ValidationError("This is no domain.")
        return domain

    def clean(self) -> None:
        """An account is named by its domain, or by a further one of it."""
        wanted = self.cleaned_data.get("decide")
        if wanted == self.ALIAS:
            domain = normalize_domain_from_url(self.cleaned_data.get("account"))
            self.home = ProspectCompany.objects.for_domain(domain).first() if domain else None
            if self.home is None:
                self.add_error("account", "There is no such account: write its domain, such as acme.com.")
        elif wanted == self.SUPPRESS and not self.cleaned_data.get("kind"):
            self.add_error("kind", "Say as what.")
