"""Django admin keeps the promises the pages rely on: staff follows the role and scores are not edited."""

import pytest
from django.contrib.auth.models import Group, User

from accounts.models import ProspectCompany
from tests.factories import make_company, make_snapshot, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    client.force_login(make_user("ada", role="internal_admin"))
    return client


def save_user(client, user, *roles, **fields):
    groups = [Group.objects.get(name=role).pk for role in roles]
    data = {"username": user.username, "is_active": "on", "groups": groups, **fields}
    return client.post(f"/admin/auth/user/{user.pk}/change/", data)


def save_company(client, company, **fields):
    data = {"name": company.name, **fields}
    return client.post(f"/admin/accounts/prospectcompany/{company.pk}/change/", data, follow=True)


def test_staff_follows_the_role(admin):
    user = make_user("sam")
    for roles, staff in (
        (["internal_admin"], True),
        (["sales"], False),
        (["sales", "internal_admin"], True),
        ([], False),
    ):
        assert save_user(admin, user, *roles).status_code == 302
        user.refresh_from_db()
        assert user.is_staff == staff


def test_an_admin_cannot_make_a_superuser_nor_touch_one(admin):
    user, root = make_user("sam"), User.objects.create_superuser("root")
    save_user(admin, user, "sales", is_superuser="on", is_staff="on")
    user.refresh_from_db()

    assert (user.is_superuser, user.is_staff) == (False, False)
    assert save_user(admin, root, "sales").status_code == 403
    assert admin.get(f"/admin/auth/user/{root.pk}/password/").status_code == 403
    assert admin.post(f"/admin/auth/user/{root.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_new_user_made_in_admin_has_its_role_at_once(admin):
    role = Group.objects.get(name="internal_admin")
    password = {"usable_password": "true", "password1": "quite a long one", "password2": "quite a long one"}
    admin.post("/admin/auth/user/add/", {"username": "new", "groups": [role.pk], **password})

    assert User.objects.get(username="new").is_staff


def test_an_admins_name_of_an_account_is_marked_as_theirs(admin):
    company = make_company("acme.example")
    save_company(admin, company, name="Acme", intent_score=99)
    company.refresh_from_db()

    assert (company.name, company.name_source, company.intent_score) == ("Acme", "admin", 0)


def test_an_account_with_snapshots_is_not_deleted(admin):
    company = make_company("acme.example")
    make_snapshot(company)
    admin.post(f"/admin/accounts/prospectcompany/{company.pk}/delete/", {"post": "yes"})

    assert ProspectCompany.objects.filter(pk=company.pk).exists()
