"""A new password for who forgot theirs, and for who knows it."""

import re

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache

from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
NEW = "a quite different sentence"


@pytest.fixture(autouse=True)
def nobody_has_asked():
    cache.clear()


@pytest.fixture
def sam():
    return make_user("sam", email="sam@orbit.example")


def ask(client, email="sam@orbit.example"):
    return client.post("/password/forgotten", {"email": email}, follow=True)


def link():
    return re.search(r"http://testserver(/password/new/\S+)", mail.outbox[-1].body).group(1)


def test_the_login_page_leads_to_a_new_password_by_mail(client, sam):
    assert "/password/forgotten" in client.get("/login").content.decode()
    assert ask(client).redirect_chain == [("/password/sent", 302)]
    letter = mail.outbox[0]
    assert (letter.to, letter.subject) == (["sam@orbit.example"], "A new password for Orbit")
    assert "Your user name is sam." in letter.body

    page = client.get(link(), follow=True)
    answer = client.post(page.request["PATH_INFO"], {"new_password1": NEW, "new_password2": NEW}, follow=True)

    assert answer.redirect_chain == [("/login", 302)]
    assert "Your new password is set" in answer.content.decode()
    assert client.login(username="sam", password=NEW)


def test_a_link_works_once(client, sam):
    ask(client)
    page = client.get(link(), follow=True)
    client.post(page.request["PATH_INFO"], {"new_password1": NEW, "new_password2": NEW})

    assert "This link is used up" in client.get(link(), follow=True).content.decode()


@pytest.mark.parametrize("address", ["/password/new/x/y", "/password/new/MQ/set-password", "/password/new/%00/%FF"])
def test_a_link_that_never_was_says_so(client, sam, address):
    answer = client.get(address)

    assert answer.status_code == 200
    assert "This link is used up" in answer.content.decode()


def test_a_stranger_learns_nothing_about_who_has_a_user(client, sam):
    known, unknown = ask(client), ask(client, "nobody@orbit.example")

    assert known.content == unknown.content
    assert [letter.to for letter in mail.outbox] == [["sam@orbit.example"]]


def test_asking_again_at_once_sends_no_second_mail(client, sam):
    for _ in range(3):
        ask(client)
    assert len(mail.outbox) == 1

    cache.clear()  # five minutes later
    ask(client)
    assert len(mail.outbox) == 2


def test_an_installation_without_a_mail_server_says_where_the_mail_went(client, settings):
    assert "sends no mail" in client.get("/password/forgotten").content.decode()
    settings.EMAIL_GOES_OUT = True
    assert "sends no mail" not in client.get("/password/forgotten").content.decode()


def test_a_weak_password_is_refused_with_the_reason(client, sam):
    ask(client)
    page = client.get(link(), follow=True)
    answer = client.post(page.request["PATH_INFO"], {"new_password1": "short", "new_password2": "short"})

    assert "at least 12 characters" in answer.content.decode()
    assert User.objects.get().check_password(PASSWORD)


def test_whoever_is_signed_in_changes_the_password_and_stays_signed_in(client, sam):
    client.force_login(sam)
    assert 'href="/password"' in client.get("/").content.decode()
    wrong = {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}
    assert "entered incorrectly" in client.post("/password", wrong).content.decode()

    answer = client.post("/password", wrong | {"old_password": PASSWORD}, follow=True)

    assert "Your password is changed" in answer.content.decode()
    assert User.objects.get().check_password(NEW)


def test_a_stranger_changes_no_password(client):
    assert client.get("/password")["Location"] == "/login?next=/password"
