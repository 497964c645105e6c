"""Alerts in Django admin: webhooks, subscriptions of anybody, and the log of what was sent, with Send again."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from abm_project.access import is_admin
from abm_project.models import AlertDelivery, AlertSubscription, AlertWebhook
from ingestion.outgoing import NotAllowed, checked_url
from registry.read_only import ReadOnlyAdmin
from registry.strict_admin import StrictAdmin


class WebhookForm(forms.ModelForm):
    """The address is often a secret itself: it is taken, and never shown again."""

    url = forms.CharField(
        required=False,
        max_length=1000,
        label="Address",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "size": 80}),
        help_text="https only, to a public address. Not shown again; empty keeps the one there is.",
    )

    class Meta:
        model = AlertWebhook
        fields = ("name", "kind", "url", "enabled")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"] or self.instance.url
        try:
            checked_url(url)
        except NotAllowed as why:
            raise forms.ValidationError(str(why)) from why
        return url


@admin.register(AlertWebhook)
class AlertWebhookAdmin(StrictAdmin):
    form = WebhookForm
    list_display = ("name", "kind", "host", "enabled")
    ordering = ("name",)

    @admin.display(description="leads to")
    def host(self, webhook: AlertWebhook) -> str:
        try:
            return checked_url(webhook.url)
        except NotAllowed as why:
            return str(why)

    def save_model(self, request: HttpRequest, obj: AlertWebhook, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change and obj.kind == AlertWebhook.Kind.JSON:
            said = "Its secret, which is not shown again: {}"
            self.message_user(request, format_html(said, obj.secret), messages.WARNING)


@admin.register(AlertSubscription)
class AlertSubscriptionAdmin(StrictAdmin):
    list_display = ("recipient", "lane", "owner", "on_hot", "on_exploding", "muted_until")
    list_select_related = ("user", "webhook", "owner")
    list_filter = ("on_hot", "on_exploding")
    ordering = ("-created_at", "-id")

    @admin.display(description="to")
    def recipient(self, one: AlertSubscription) -> str:
        return str(one.user or one.webhook)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("night", "recipient_name", "state", "attempts", "sent_at", "message")
    list_select_related = ("night", "user", "webhook")
    list_filter = ("state",)
    ordering = ("-created_at", "-id")
    actions = ("send_again",)

    @admin.display(description="to")
    def recipient_name(self, delivery: AlertDelivery) -> str:
        return str(delivery.user or delivery.webhook)

    @admin.action(description="Send again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[AlertDelivery]) -> None:
        queued = AlertDelivery.objects.filter(pk__in=queryset.values("pk")).send_again(timezone.now())
        self.message_user(request, f"{queued} messages wait to be sent, with the next reconciliation.")

    def has_send_permission(self, request: HttpRequest) -> bool:
        return is_admin(request.user)
