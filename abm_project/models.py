"""Tables of the web layer alone: what people say about accounts, never what accounts did."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import ProspectCompany
from registry.columns import Record

NOTE_LENGTH = 500


class AccountAction(Record):
    """One line of an account's history with us: who took it, to whom it went, who called. Written once, never changed.

    Names are kept beside the users, so that a line still reads when a user is gone.
    """

    class Kind(models.TextChoices):
        OWNED = "owned"
        CONTACTED = "contacted"
        SNOOZED = "snoozed"
        WOKEN = "woken"

    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="actions")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    done_at = models.DateTimeField()
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="account_actions"
    )
    done_by_name = models.CharField(max_length=150)
    owner_before = models.CharField(max_length=150, blank=True, default="")
    owner_after = models.CharField(max_length=150, blank=True, default="")
    until = models.DateField(null=True)
    note = models.CharField(max_length=NOTE_LENGTH, blank=True, default="")

    class Meta:
        db_table = "abm_account_actions"
        indexes = [models.Index(fields=["prospect_company", "kind", "done_at"], name="action_by_account")]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["owned", "contacted", "snoozed", "woken"]), name="action_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(kind="snoozed", until__isnull=False) | ~Q(kind="snoozed") & Q(until__isnull=True),
                name="action_until_of_snoozes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.done_by_name}"


class Snooze(Record):
    """An account that one user does not want to see in their lists before a date. Others see it as ever."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="snoozes")
    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="snoozes")
    until = models.DateField()

    class Meta:
        db_table = "abm_snoozes"
        constraints = [models.UniqueConstraint(fields=["user", "prospect_company"], name="snoozed_once_per_user")]

    def __str__(self) -> str:
        return f"until {self.until}"
