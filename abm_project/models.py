"""Tables of the web layer alone: what people say about accounts, and what they want to be told of them."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from abm_project.access import ROLES, SALES
from accounts.models import ProspectCompany
from registry.columns import AsciiCharField, ExactCharField, Record, new_id

NOTE_LENGTH = 500
LAST_USED_TO_WITHIN = timedelta(minutes=10)
MESSAGE_LENGTH = 255


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


def make_webhook_secret() -> str:
    return secrets.token_urlsafe(32)


class AlertWebhook(Record):
    """Where alerts are posted to, besides people's mail. Admins alone make one: it lets Orbit call out."""

    class Kind(models.TextChoices):
        SLACK = "slack", "Slack, Mattermost and what takes their format"
        JSON = "json", "signed JSON"

    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    url = models.CharField(max_length=1000, help_text="https only, to a public address.")
    secret = models.CharField(max_length=64, default=make_webhook_secret, editable=False)
    enabled = models.BooleanField(default=True)

    class Meta:
        db_table = "abm_alert_webhooks"
        constraints = [models.CheckConstraint(condition=Q(kind__in=["slack", "json"]), name="alert_webhook_kind_known")]

    def __str__(self) -> str:
        return self.name


class AlertSubscription(Record):
    """Who wants to be told of which accounts: a user, by mail, or a webhook. Several of one recipient add up."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="alert_subscriptions"
    )
    webhook = models.ForeignKey(
        AlertWebhook, null=True, blank=True, on_delete=models.CASCADE, related_name="subscriptions"
    )
    lane = ExactCharField(max_length=64, blank=True, default="", help_text="Only accounts of this top lane.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Only accounts of this owner.",
    )
    on_hot = models.BooleanField(default=True, help_text="When an account becomes Hot.")
    on_exploding = models.BooleanField(default=True, help_text="When an account becomes Exploding.")
    muted_until = models.DateField(null=True, blank=True, help_text="No message before this day.")

    class Meta:
        db_table = "abm_alert_subscriptions"
        constraints = [
            models.CheckConstraint(
                # Not by XOR: of two empty fields Django makes `1` of it on MySQL, and the form lets them through.
                condition=Q(user__isnull=True, webhook__isnull=False) | Q(user__isnull=False, webhook__isnull=True),
                name="alert_subscription_one_recipient",
                violation_error_message="Choose a user or a webhook, not both.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user or self.webhook}: {self.lane or 'every lane'}"

    def wants(self, lane: str, owner_id: int | None, became_hot: bool, became_exploding: bool) -> bool:
        if (self.lane and self.lane != lane) or (self.owner_id and self.owner_id != owner_id):
            return False
        return (self.on_hot and became_hot) or (self.on_exploding and became_exploding)


class AlertNight(Record):
    """A published night whose messages were made: once, whoever tries. `told_until`: what the night before had told."""

    slot = models.DateField(unique=True)
    as_of = models.DateField()
    told_until = models.DateField()
    accounts = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "abm_alert_nights"

    def __str__(self) -> str:
        return str(self.slot)


class AlertDeliveryQuerySet(models.QuerySet["AlertDelivery"]):
    def due(self, now: datetime) -> "AlertDeliveryQuerySet":
        """Those whose time has come, and those whose sender died on the way."""
        waits = Q(state=AlertDelivery.State.QUEUED, not_before__lte=now)
        return self.filter(waits | Q(state=AlertDelivery.State.SENDING, lease_until__lt=Now()))

    def claim(self, delivery: "AlertDelivery", now: datetime) -> "AlertDelivery | None":
        """One conditional update, so that of several senders one gets it."""
        claimed = self.due(now).filter(pk=delivery.pk)
        lease = Now() + timedelta(seconds=settings.ALERT_LEASE_SECONDS)
        if not claimed.update(
            state=AlertDelivery.State.SENDING, token=new_id(), attempts=F("attempts") + 1, lease_until=lease
        ):
            return None
        return self.select_related("user", "webhook", "night").get(pk=delivery.pk)

    def send_again(self, now: datetime) -> int:
        """By an admin: everything but what is on its way."""
        ended = self.exclude(state=AlertDelivery.State.SENDING)
        return ended.update(state=AlertDelivery.State.QUEUED, attempts=0, not_before=now, message="", updated_at=now)


class AlertDelivery(Record):
    """One message of a night to one recipient: an outbox row, and afterwards the log of what became of it."""

    class State(models.TextChoices):
        QUEUED = "queued"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"

    night = models.ForeignKey(AlertNight, on_delete=models.CASCADE, related_name="deliveries")
    recipient = AsciiCharField(max_length=48, help_text="user:… or webhook:…")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    webhook = models.ForeignKey(AlertWebhook, null=True, on_delete=models.CASCADE, related_name="+")
    content_json = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField()
    token = models.UUIDField(default=new_id, editable=False)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    message = models.CharField(max_length=255, blank=True, default="", help_text="What went wrong at the last attempt.")

    objects = AlertDeliveryQuerySet.as_manager()

    class Meta:
        db_table = "abm_alert_deliveries"
        verbose_name_plural = "alert deliveries"
        indexes = [models.Index(fields=["state", "not_before"], name="alert_delivery_due")]
        constraints = [
            models.UniqueConstraint(fields=["night", "recipient"], name="alert_once_per_night_and_recipient"),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "sending", "sent", "failed"]), name="alert_delivery_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="sending") | Q(lease_until__isnull=False), name="alert_delivery_sending_has_lease"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.night} to {self.user or self.webhook}"

    def succeed(self, now: datetime) -> bool:
        return self._end(state=self.State.SENT, sent_at=now, message="")

    def try_again(self, message: str, at: datetime) -> bool:
        return self._end(state=self.State.QUEUED, not_before=at, message=message[:MESSAGE_LENGTH])

    def fail(self, message: str) -> bool:
        return self._end(state=self.State.FAILED, message=message[:MESSAGE_LENGTH])

    def _end(self, **columns: Any) -> bool:
        """Unless somebody took over because this sender was silent for too long."""
        mine = type(self).objects.filter(pk=self.pk, token=self.token, state=self.State.SENDING)
        return bool(mine.update(**columns, lease_until=None, updated_at=Now()))


class ApiToken(Record):
    """A key to the API: it acts for a user, with a role that is theirs too, until it expires or is revoked.

    Its text is shown once, when it is made; `key` finds the row again, and of the secret only a hash is kept.
    """

    name = models.CharField(max_length=100, help_text="What it is for, such as the program that has it.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="api_tokens",
        help_text="For whom it acts: what it does is theirs, and “me” is them. A program may have a user of its own.",
    )
    role = models.CharField(
        max_length=16,
        choices=[(role, role) for role in ROLES],
        default=SALES,
        help_text="What it may do; never more than its user may at the time.",
    )
    key = AsciiCharField(max_length=16, unique=True, editable=False)
    secret_hash = AsciiCharField(max_length=64, editable=False)
    expires_at = models.DateTimeField(help_text="UTC.")
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="To within ten minutes.")
    made_by = models.CharField(max_length=150, editable=False)

    class Meta:
        db_table = "abm_api_tokens"
        verbose_name = "API token"
        constraints = [
            models.CheckConstraint(condition=Q(role__in=["sales", "internal_admin"]), name="api_token_role_known"),
            models.CheckConstraint(condition=~Q(key="") & ~Q(secret_hash=""), name="api_token_has_a_secret"),
        ]

    def __str__(self) -> str:
        return self.name

    def is_good(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at

    def revoke(self, now: datetime) -> None:
        """For good; the time of the first revocation stays."""
        if self.revoked_at is None:
            self.revoked_at = now
            self.save(update_fields=["revoked_at", "updated_at"])

    def note_use(self, now: datetime) -> None:
        """At most one write in LAST_USED_TO_WITHIN, however often it is used."""
        if self.last_used_at is None or now - self.last_used_at >= LAST_USED_TO_WITHIN:
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)
