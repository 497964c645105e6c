"""What the buttons of the account page send, checked."""

from datetime import date, timedelta
from typing import Any

from django import forms

from abm_project.models import NOTE_LENGTH
from abm_project.ownership import SNOOZE_MAX

WEEK = timedelta(days=7)


class OwnerForm(forms.Form):
    """`owner` is a user name, '' for nobody; `seen` the owner on the page that was looked at."""

    owner = forms.CharField(required=False, max_length=150)
    seen = forms.CharField(required=False, max_length=150)


class SnoozeForm(forms.Form):
    until = forms.DateField(
        label="Until",
        error_messages={"required": "Until when?", "invalid": "Write the date as 2026-12-31."},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, data: Any = None, *, today: date) -> None:
        super().__init__(data, initial={"until": today + WEEK})
        self.first, self.last = today + timedelta(days=1), today + SNOOZE_MAX
        self.fields["until"].widget.attrs |= {"min": f"{self.first}", "max": f"{self.last}"}

    def clean_until(self) -> date:
        until: date = self.cleaned_data["until"]
        if not self.first <= until <= self.last:
            raise forms.ValidationError("A day after today, and at most a year from now.")
        return until


class ContactedForm(forms.Form):
    note = forms.CharField(
        required=False,
        max_length=NOTE_LENGTH,
        label="What came of it",
        widget=forms.TextInput(attrs={"placeholder": "Such as: call back in March", "autocomplete": "off"}),
    )
