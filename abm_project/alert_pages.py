"""What a user wants to be told of: their own subscriptions, by mail."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from abm_project.models import AlertSubscription
from accounts.models import ProspectCompany

MOST = 20  # subscriptions of one user


class SubscriptionForm(forms.Form):
    """Which accounts, and which of the two changes."""

    lane = forms.ChoiceField(required=False, error_messages={"invalid_choice": "No account has this lane."})
    mine = forms.BooleanField(required=False)
    on_hot = forms.BooleanField(required=False, initial=True)
    on_exploding = forms.BooleanField(required=False, initial=True)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="alert_%s")
        lanes = ProspectCompany.objects.listed().exclude(top_lane="").values_list("top_lane", flat=True).distinct()
        self.fields["lane"].choices = [("", "Every lane"), *((lane, lane.replace("_", " ")) for lane in sorted(lanes))]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean()
        if not (given.get("on_hot") or given.get("on_exploding")):
            raise forms.ValidationError("Choose at least one of Hot and Exploding.")
        return given


class MuteForm(forms.Form):
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])


@require_http_methods(["GET", "HEAD", "POST"])
def alerts(request: HttpRequest) -> HttpResponse:
    """The list. A POST adds, mutes or removes one of the user's own."""
    mine = AlertSubscription.objects.filter(user=request.user)
    form, status = SubscriptionForm(), 200
    if request.method == "POST":
        verb = request.POST.get("do")
        if verb == "add":
            form = SubscriptionForm(request.POST)
            if form.is_valid() and _add(request, form.cleaned_data):
                return redirect("alerts")
            status = 400
        elif verb in ("mute", "remove"):
            _change(request, verb, mine)
            return redirect("alerts")
        else:
            status = 400
    context = {
        "subscriptions": mine.select_related("owner").order_by("created_at", "id"),
        "form": form,
        "today": timezone.now().date(),
    }
    return render(request, "alerts.html", context, status=status)


def _add(request: HttpRequest, given: dict[str, Any]) -> bool:
    mine = AlertSubscription.objects.filter(user=request.user)
    wanted = {"lane": given["lane"], "owner": request.user if given["mine"] else None}
    wanted |= {"on_hot": given["on_hot"], "on_exploding": given["on_exploding"]}
    if mine.count() >= MOST:
        messages.warning(request, f"You have {MOST} subscriptions: remove one first.")
        return False
    if mine.filter(**wanted).exists():
        messages.warning(request, "You have this one already.")
        return False
    AlertSubscription.objects.create(user=request.user, **wanted)
    messages.success(request, "You will be told after the next night.")
    return True


def _change(request: HttpRequest, verb: str, mine: Any) -> None:
    try:
        found = mine.get(pk=forms.UUIDField().clean(request.POST.get("id")))
    except (forms.ValidationError, AlertSubscription.DoesNotExist):
        raise Http404("You have no such subscription.") from None
    if verb == "remove":
        found.delete()
        messages.success(request, "Removed.")
        return
    form = MuteForm(request.POST)
    if not form.is_valid():
        messages.warning(request, "Write the day as year-month-day, such as 2026-11-21.")
        return
    found.muted_until = form.cleaned_data["until"]
    found.save(update_fields=["muted_until", "updated_at"])
    messages.success(request, f"Quiet until {found.muted_until}." if found.muted_until else "Not quiet any more.")
