"""Who gets in, and where to."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from abm_project.access import UserWithRoles, is_admin, roles
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def sign_in(client, name="sam", password=PASSWORD, to=""):
    return client.post("/login", {"username": name, "password": password, "next": to})


def test_a_page_sends_a_stranger_to_the_login_and_back(client):
    make_user("sam")
    answer = client.get("/?stage=Hot")
    assert (answer.status_code, answer["Location"]) == (302, "/login?next=/%3Fstage%3DHot")

    assert sign_in(client, to="/?stage=Hot")["Location"] == "/?stage=Hot"


@pytest.mark.parametrize(
    "evil",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example/",
        "http:evil.example",
        "https:///evil.example",
        r"/\evil.example",
        r"\\evil.example",
        r"\/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " //evil.example",
        "/\t/evil.example",
        "//evil.example\\@testserver",
        "http://testserver@evil.example/",
        "\x00//evil.example",
    ],
)
def test_the_login_never_leads_to_another_site(client, evil):
    make_user("sam")

    assert sign_in(client, to=evil)["Location"] == "/"


@pytest.mark.parametrize(
    "good", ["/?stage=Hot&range=30d", "/accounts/acme.example", "/people?search=%2F%2Fevil.example"]
)
def test_the_login_leads_to_any_page_of_ours(client, good):
    make_user("sam")

    assert sign_in(client, to=good)["Location"] == good


def test_the_way_to_a_page_survives_a_wrong_password(client):
    make_user("sam")
    answer = sign_in(client, password="wrong", to="/people")

    assert '<input type="hidden" name="next" value="/people">' in answer.content.decode()


def test_a_wrong_password_says_so_and_keeps_the_name(client):
    make_user("sam")
    answer = sign_in(client, password="wrong")

    assert answer.status_code == 200
    assert 'value="sam"' in answer.content.decode()
    assert "Please enter a correct username and password" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_an_inactive_user_does_not_get_in(client):
    make_user("sam", is_active=False)

    assert sign_in(client).status_code == 200
    assert client.get("/").status_code == 302


def test_a_user_without_a_role_is_told_what_is_missing_and_can_log_out(client):
    make_user("nina", role=None)
    sign_in(client, "nina")
    answer = client.get("/")

    assert answer.status_code == 403
    assert "Your user has no role yet" in answer.content.decode()
    assert "Log out" in answer.content.decode()
    assert "Data through" not in answer.content.decode()


def test_logging_out_needs_a_post_and_ends_the_session(client):
    client.force_login(make_user())

    assert client.get("/logout").status_code == 405
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_the_login_form_is_refused_without_its_token():
    make_user("sam")
    answer = sign_in(Client(enforce_csrf_checks=True))

    assert answer.status_code == 403
    assert "That form has expired" in answer.content.decode()


def test_the_session_key_changes_at_login(client):
    make_user("sam")
    client.get("/login")
    session = client.session
    session["visited"] = True
    session.save()
    before = session.session_key

    sign_in(client)

    assert client.session.session_key != before


def test_admin_has_no_login_page_of_its_own(client):
    assert client.get("/admin/", follow=True).redirect_chain[-1] == ("/login?next=%2Fadmin%2F", 302)


def test_sales_at_the_door_of_admin_is_told_which_role_it_needs(client):
    client.force_login(make_user())
    answer = client.get("/admin/", follow=True)

    assert answer.status_code == 403
    assert "internal_admin" in answer.content.decode()


@pytest.mark.parametrize(
    ("groups", "fields", "expected"),
    [
        ([], {}, set()),
        (["sales"], {}, {"sales"}),
        (["internal_admin"], {}, {"internal_admin"}),
        (["sales", "internal_admin", "other"], {}, {"sales", "internal_admin"}),
        (["other"], {}, set()),
        (["other"], {"is_superuser": True}, {"sales", "internal_admin"}),
        ([], {"is_superuser": True}, {"sales", "internal_admin"}),
    ],
)
def test_the_user_of_a_session_comes_with_their_roles_in_one_query(groups, fields, expected):
    user = make_user("sam", **fields)
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in groups])

    with CaptureQueriesContext(connection) as caught:
        found = UserWithRoles().get_user(user.pk)
        assert (found, roles(found), is_admin(found)) == (user, expected, "internal_admin" in expected)

    assert len(caught) == 1
    assert roles(type(user).objects.get(pk=user.pk)) == expected  # asked for where nobody did


def test_a_session_of_a_user_who_is_gone_or_inactive_is_nobodys():
    assert UserWithRoles().get_user(4711) is None
    assert UserWithRoles().get_user(make_user("sam", is_active=False).pk) is None
