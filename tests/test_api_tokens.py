"""API tokens: what they open, for whom and how long; and that nobody finds one where it should not be."""

import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from abm_project import api_tokens
from abm_project.access import is_admin, roles
from abm_project.api_tokens import holder
from abm_project.models import ApiToken
from ingestion.models import LeadRequest
from tests.factories import make_company, make_lead, make_run, make_snapshot, make_token, make_user
from tests.test_jobs import nobody_wakes  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
ACCOUNTS, LEADS, JOBS = "/api/abm/accounts", "/api/abm/lead-requests", "/api/abm/jobs"
NOW = datetime.now(UTC)


@pytest.fixture
def sam():
    return make_user("sam")


@pytest.fixture
def ada():
    return make_user("ada", role="internal_admin")


def get(address, text, scheme="Token", **headers):
    return Client().get(address, headers={"Authorization": f"{scheme} {text}", **headers})


# --- What they open ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", [ACCOUNTS, f"{ACCOUNTS}.csv", LEADS, "/api/schema/", "/api/docs/"])
def test_a_token_of_sales_reads_what_sales_reads(sam, address):
    assert get(address, make_token(sam)).status_code == 200


@pytest.mark.usefixtures("nobody_wakes")
def test_it_changes_what_its_role_may_change_without_a_csrf_token_and_in_its_users_name(sam, ada):
    lead = make_lead()
    text = make_token(ada, "internal_admin")
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Token {text}"})
    answer = client.patch(f"{LEADS}/{lead.pk}", {"status": "working"}, content_type="application/json")

    assert answer.status_code == 200
    assert LeadRequest.objects.get().status == "working"
    asked = client.post(f"{JOBS}/recompute-intent", {"accounts": ["acme.example"]}, content_type="application/json")
    assert (asked.status_code, asked.json()["asked_by"]) == (202, "ada")


def test_a_weak_token_of_a_strong_user_is_weak(ada):
    make_run()

    assert get(JOBS, make_token(ada, "sales")).status_code == 403
    assert get(JOBS, make_token(ada, "internal_admin")).status_code == 200


def test_a_superusers_token_has_its_own_role_alone(ada):
    ada.is_superuser = True
    ada.save()
    user, _ = holder(make_token(ada, "sales"), NOW)

    assert roles(user) == {"sales"}
    assert not is_admin(user)


def test_owner_me_is_the_user_it_acts_for(sam):
    make_snapshot(make_company("mine.example", owner=sam))
    make_snapshot(make_company("other.example"))
    found = get(f"{ACCOUNTS}?owner=me", make_token(sam)).json()

    assert [row["domain"] for row in found["results"]] == ["mine.example"]


def test_it_opens_no_page_and_no_admin(ada):
    text = make_token(ada, "internal_admin")

    for address in ("/", "/accounts.csv", "/runs", "/admin/"):
        answer = get(address, text)
        assert (answer.status_code, "/login" in answer.get("Location", "")) == (302, True)


# --- What they do not -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", [ACCOUNTS, JOBS, "/api/schema/"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda token, user: token.update(expires_at=NOW - timedelta(seconds=1)),
        lambda token, user: token.update(revoked_at=NOW),
        lambda token, user: token.update(secret_hash="0" * 64),
        lambda token, user: token.delete(),
        lambda token, user: user.groups.clear(),
        lambda token, user: type(user).objects.filter(pk=user.pk).update(is_active=False),
        lambda token, user: user.delete(),
    ],
    ids=["expired", "revoked", "another secret", "gone", "no role any more", "inactive user", "no user any more"],
)
def test_what_is_not_good_any_more_is_a_401(sam, spoil, address):
    text = make_token(sam, role="sales")
    spoil(ApiToken.objects.all(), sam)
    answer = get(address, text)

    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")
    assert "invalid_token" in answer.content.decode()
    assert text not in answer.content.decode()


def test_a_user_who_is_admin_no_more_has_no_admin_token_any_more(ada):
    text = make_token(ada, "internal_admin")
    ada.groups.clear()
    ada.groups.add(make_user("sam").groups.get())

    assert get(JOBS, text).status_code == get(ACCOUNTS, text).status_code == 401


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orbit_",
        "orbit_0123456789abcdef_" + "A" * 43,
        "orbit_0123456789abcdef_" + "A" * 44,
        "x" * 5000,
        "é",
        "orbit_%00",
        "a b",
        "' OR 1=1",
    ],
)
def test_what_is_no_token_is_a_401_also_beside_a_good_session(client, sam, text):
    client.force_login(sam)

    assert client.get(ACCOUNTS).status_code == 200
    assert client.get(ACCOUNTS, headers={"Authorization": f"Token {text}"}).status_code == 401


def test_another_scheme_is_none_of_ours(client, sam):
    text = make_token(sam)

    assert get(ACCOUNTS, text, scheme="Bearer").status_code == 403
    client.force_login(sam)
    assert client.get(ACCOUNTS, headers={"Authorization": f"Bearer {text}"}).status_code == 200


def test_an_address_opens_nothing(sam):
    text = make_token(sam)

    assert Client().get(ACCOUNTS, {"token": text}).status_code == 403
    assert get(f"{ACCOUNTS}?token={text}", text).status_code == 400


def test_the_hook_takes_no_notice_of_one(sam):
    cache.clear()
    answer = Client().post(
        "/api/hooks/lead-requests",
        {"work_email": "a@b.example"},
        content_type="application/json",
        headers={"Authorization": "Token nonsense"},
    )

    assert answer.status_code == 201


# --- How they are kept ------------------------------------------------------------------------------------------------
def test_only_a_hash_is_stored_and_no_log_has_it(sam, caplog):
    caplog.set_level(logging.DEBUG)
    text = make_token(sam)
    get(ACCOUNTS, text)
    get(ACCOUNTS, text + "x")
    secret = text.split("_", 2)[2]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM abm_api_tokens")
        stored = repr(cursor.fetchall())

    assert secret not in stored
    assert api_tokens.hash_of(secret) in stored
    assert secret not in caplog.text
    assert len(secret) == 43  # 256 bits


def test_two_tokens_have_nothing_in_common(sam):
    one, two = make_token(sam), make_token(sam)

    assert one.split("_")[1:] != two.split("_")[1:]
    assert {holder(text, NOW)[1].key for text in (one, two)} == set(ApiToken.objects.values_list("key", flat=True))


def test_using_it_is_noted_at_most_every_ten_minutes(sam):
    text = make_token(sam)
    start = datetime(2026, 11, 21, tzinfo=UTC)
    ApiToken.objects.update(expires_at=start + timedelta(days=1))
    noted = []
    for seconds in (0, 1, 599, 600, 601):
        with CaptureQueriesContext(connection) as caught:
            holder(text, start + timedelta(seconds=seconds))
        noted.append(any(query["sql"].startswith("UPDATE") for query in caught))

    assert noted == [True, False, False, True, False]
    assert ApiToken.objects.get().last_used_at == start + timedelta(seconds=600)


@pytest.mark.parametrize("fields", [{"role": "root"}, {"key": ""}, {"secret_hash": ""}])
def test_the_database_refuses_what_makes_no_sense(sam, fields):
    make_token(sam)
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiToken.objects.update(**fields)


def test_a_key_is_there_once(sam):
    make_token(sam)
    token = ApiToken.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiToken.objects.create(name="copy", user=sam, key=token.key, secret_hash="1", expires_at=NOW)


# --- The admin --------------------------------------------------------------------------------------------------------
ADMIN = "/admin/abm_project/apitoken/"


@pytest.fixture
def admin(client, ada):
    client.force_login(ada)
    return client


def add(admin, user, role="sales", days=30.0, name="Zapier"):
    end = datetime.now(UTC) + timedelta(days=days)
    when = {"expires_at_0": f"{end:%Y-%m-%d}", "expires_at_1": f"{end:%H:%M:%S}"}
    return admin.post(f"{ADMIN}add/", {"name": name, "user": user.pk, "role": role, **when})


def test_an_admin_makes_one_and_sees_it_once(admin, sam):
    answer = add(admin, sam)
    (text,) = re.findall(r"orbit_[0-9a-f]{16}_[\w-]{43}", answer.content.decode())
    token = ApiToken.objects.get()

    assert (token.name, token.user, token.role, token.made_by) == ("Zapier", sam, "sales", "ada")
    assert "no-store" in answer["Cache-Control"]
    assert get(ACCOUNTS, text).status_code == 200
    secret = text.split("_", 2)[2]
    for address in (ADMIN, f"{ADMIN}{token.pk}/change/", f"{ADMIN}{token.pk}/history/", "/admin/"):
        assert secret not in admin.get(address).content.decode()
    assert secret not in "".join(morsel.value for morsel in admin.cookies.values())


@pytest.mark.parametrize(
    ("role", "days", "said"),
    [
        ("internal_admin", 30, "sam may not do what internal_admin may"),
        ("sales", -1, "yet to come"),
        ("sales", 367, "at most 366 days"),
        ("root", 30, "Select a valid choice"),
    ],
)
def test_one_that_makes_no_sense_is_not_made(admin, sam, role, days, said):
    assert said in add(admin, sam, role, days).content.decode()
    assert not ApiToken.objects.exists()


def test_one_for_a_superuser_is_made_by_superusers_alone(admin, ada):
    root = make_user("root", is_superuser=True)
    assert "Select a valid choice" in add(admin, root).content.decode()

    admin.force_login(root)
    root.is_staff = True
    root.save()
    assert add(admin, root).status_code == 200
    assert ApiToken.objects.get().user == root


def test_it_is_renamed_and_never_made_stronger(admin, sam, ada):
    make_token(sam)
    token = ApiToken.objects.get()
    sent = {
        "name": "new",
        "role": "internal_admin",
        "user": ada.pk,
        "expires_at_0": "2099-01-01",
        "expires_at_1": "00:00",
    }
    admin.post(f"{ADMIN}{token.pk}/change/", sent)
    changed = ApiToken.objects.get()

    assert changed.name == "new"
    assert (changed.role, changed.user, changed.expires_at, changed.key, changed.secret_hash) == (
        token.role, token.user, token.expires_at, token.key, token.secret_hash
    )  # fmt: skip


def test_it_is_revoked_at_once_and_for_good(admin, sam):
    text = make_token(sam)
    assert get(ACCOUNTS, text).status_code == 200
    sent = {"action": "revoke", "_selected_action": [str(ApiToken.objects.get().pk)]}
    admin.post(ADMIN, sent)
    first = ApiToken.objects.get().revoked_at
    admin.post(ADMIN, sent)

    assert get(ACCOUNTS, text).status_code == 401
    assert ApiToken.objects.get().revoked_at == first
    assert "revoked" in admin.get(ADMIN).content.decode()


def test_sales_make_none(client, sam):
    client.force_login(sam)

    assert add(client, sam).status_code in (302, 403)
    assert not ApiToken.objects.exists()


def test_forty_tokens_take_as_many_queries_as_one(admin, sam):
    counts = []
    admin.get(ADMIN)
    for number in (1, 39):
        for _ in range(number):
            make_token(sam)
        with CaptureQueriesContext(connection) as caught:
            admin.get(ADMIN)
        counts.append(len(caught))

    assert counts[0] == counts[1]
