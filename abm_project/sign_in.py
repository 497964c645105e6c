"""Getting in and out: the login, and a new password for who forgot theirs. Django's views in our templates."""

import logging
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
MAIL_AGAIN_SECONDS = 300  # whoever presses the button ten times, or for somebody else, sends one mail

login = views.LoginView.as_view(template_name="login.html", redirect_authenticated_user=True)
logout = views.LogoutView.as_view()


@login_not_required
@never_cache
def admin_login(request: HttpRequest) -> HttpResponse:
    """Django admin's login is the one login page; whoever is signed in already lacks the role."""
    if request.user.is_authenticated:
        raise PermissionDenied("This needs the role internal_admin. Ask an admin for it.")
    query = urlencode({"next": request.GET.get("next", reverse("admin:index"))})
    return redirect(f"{reverse('login')}?{query}")


class ForgottenForm(PasswordResetForm):
    def get_users(self, email: str) -> Iterator[User]:
        for user in super().get_users(email):
            if _may_be_mailed(user):
                yield user


def _may_be_mailed(user: User) -> bool:
    try:
        return bool(cache.add(f"password-mail:{user.pk}", 1, timeout=MAIL_AGAIN_SECONDS))
    except (RedisError, OSError) as error:
        log.warning("Mails about passwords are not counted: Redis does not answer (%s).", type(error).__name__)
        return True


class ForgottenView(views.PasswordResetView):
    template_name = "password/forgotten.html"
    form_class = ForgottenForm
    email_template_name = "password/mail.txt"
    subject_template_name = "password/mail_subject.txt"
    success_url = reverse_lazy("password_sent")

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        return super().get_context_data(mail_goes_out=settings.EMAIL_GOES_OUT, **more)


class SentView(views.PasswordResetDoneView):
    """Says the same whoever was asked for: who has a user here is nobody's business."""

    template_name = "password/sent.html"

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        hours = settings.PASSWORD_RESET_TIMEOUT // 3600
        return super().get_context_data(mail_goes_out=settings.EMAIL_GOES_OUT, hours=hours, **more)


class NewPasswordView(views.PasswordResetConfirmView):
    template_name = "password/new.html"
    success_url = reverse_lazy("login")

    def form_valid(self, form: object) -> HttpResponse:
        messages.success(self.request, "Your new password is set. Sign in with it.")
        return super().form_valid(form)


class ChangePasswordView(views.PasswordChangeView):
    template_name = "password/change.html"
    success_url = reverse_lazy("hot_accounts")

    def form_valid(self, form: object) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Other browsers are signed out.")
        return super().form_valid(form)


forgotten = ForgottenView.as_view()
sent = SentView.as_view()
new = NewPasswordView.as_view()
change = ChangePasswordView.as_view()
