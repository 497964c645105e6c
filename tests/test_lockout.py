"""Guessing passwords: the sixth try is refused, for one name from one address, whatever a client says of itself
(reliability 25); and what the session's cookies say (28)."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.test import Client
from django.utils import timezone

from tests.factories import PASSWORD, make_user
from tests.test_login import sign_in

pytestmark = pytest.mark.django_db
HERE, THERE = "198.51.100.1", "198.51.100.2"


def guess(name="sam", address=HERE, password="wrong", **headers):
    return Client(REMOTE_ADDR=address, headers=headers).post("/login", {"username": name, "password": password})


def test_the_sixth_guess_is_refused_and_so_is_then_the_right_password():
    make_user("sam")
    assert [guess().status_code for _ in range(6)] == [200] * 4 + [429] * 2
    answer = guess(password=PASSWORD)

    assert (answer.status_code, answer["Retry-After"]) == (429, "900")
    assert "Too many wrong passwords for this name from your address" in answer.content.decode()


def test_the_same_name_from_elsewhere_and_another_name_from_here_still_get_in():
    make_user("sam")
    make_user("ann")
    for _ in range(6):
        guess()

    assert guess(address=THERE, password=PASSWORD).status_code == 302
    assert guess("ann", password=PASSWORD).status_code == 302
    assert guess(password=PASSWORD).status_code == 429


def test_a_name_that_nobody_has_is_treated_alike():
    assert [guess("nobody").status_code for _ in range(6)] == [200] * 4 + [429] * 2


def test_without_proxies_what_x_forwarded_for_says_counts_for_nothing():
    make_user("sam")
    answers = [guess(**{"x-forwarded-for": f"203.0.113.{n}"}).status_code for n in range(6)]

    assert answers[-1] == 429
    assert set(AccessAttempt.objects.values_list("ip_address", flat=True)) == {HERE}


def test_behind_one_proxy_the_last_address_counts_and_an_invented_first_one_does_not(settings):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    make_user("sam")
    forged = [guess(address="10.0.0.1", **{"x-forwarded-for": f"203.0.113.{n}, {HERE}"}) for n in range(6)]

    assert forged[-1].status_code == 429
    other = guess(address="10.0.0.1", password=PASSWORD, **{"x-forwarded-for": THERE})
    assert other.status_code == 302


def test_the_right_password_forgets_the_wrong_ones_and_so_does_time():
    make_user("sam")
    for _ in range(2):
        for _ in range(4):
            guess()
        assert guess(password=PASSWORD).status_code == 302
    for _ in range(6):
        guess()
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))

    assert guess(password=PASSWORD).status_code == 302


def test_no_password_is_kept_of_a_guess():
    guess(password="almost right")

    (kept,) = AccessAttempt.objects.values()
    assert "almost right" not in str(kept)


# --- Sessions and CSRF (reliability 28) ---
def test_the_cookies_are_for_this_site_over_tls_and_not_for_scripts(client, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    make_user("sam")
    client.get("/login")
    cookies = sign_in(client).cookies

    session = cookies["sessionid"]
    assert (session["samesite"], session["httponly"], session["secure"]) == ("Lax", True, True)
    assert client.cookies["csrftoken"]["samesite"] == "Lax" and client.cookies["csrftoken"]["secure"]


def test_a_session_in_the_address_is_nobodys(client):
    make_user("sam")
    sign_in(client)
    key = client.session.session_key

    assert Client().get(f"/?sessionid={key}").status_code == 302
    assert Client().get(f"/api/abm/lead-requests?sessionid={key}&token={key}").status_code == 403


def test_a_write_of_another_site_with_our_cookie_is_refused():
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("boss", "internal_admin"))
    client.get("/")
    answer = client.post("/api/abm/jobs/recompute-intent", "{}", content_type="application/json")

    assert answer.status_code == 403
    assert client.post("/alerts", {"do": "add", "on_hot": "on"}).status_code == 403
