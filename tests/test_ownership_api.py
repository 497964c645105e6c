"""What the buttons of an account's page do, over the API."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from abm_project.models import AccountAction, Snooze
from accounts.models import ProspectCompany
from accounts.resolution import merge
from tests.factories import make_company, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_company("acme.example")


@pytest.fixture
def ask(client, acme):
    client.force_login(make_user("sam"))

    def send(method, what, body=None, status=200, id=None):
        address = f"/api/abm/accounts/{id or acme.id}/{what}"
        answer = getattr(client, method)(address, body or {}, content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    return send


def day(days):
    return f"{timezone.now().date() + timedelta(days=days)}"


def test_an_account_is_taken_handed_over_and_let_go(ask):
    make_user("maya")
    assert ask("put", "owner", {"owner": "sam"})["owner"] == "sam"
    assert ask("put", "owner", {"owner": "maya", "seen": "sam"})["owner"] == "maya"
    last = ask("put", "owner", {"owner": None})

    assert last["owner"] == ""
    assert [(line["owner_before"], line["owner_after"]) for line in last["history"]] == [
        ("maya", ""),
        ("sam", "maya"),
        ("", "sam"),
    ]
    assert last["owners"] == ["maya", "sam"]


def test_what_changed_meanwhile_is_a_409_and_stays(ask):
    make_user("maya")
    ask("put", "owner", {"owner": "maya"})
    refused = ask("put", "owner", {"owner": "sam", "seen": ""}, status=409)

    assert refused["code"] == "owned_meanwhile"
    assert ProspectCompany.objects.get().owner.username == "maya"


def test_a_snooze_is_for_the_user_who_asks_and_can_be_ended(ask):
    assert ask("put", "snooze", {"until": day(7)})["snoozed_until"] == day(7)
    assert Snooze.objects.get().user.username == "sam"
    assert ask("delete", "snooze")["snoozed_until"] is None


def test_who_was_in_touch_is_told_with_the_note(ask):
    told = ask("post", "contacted", {"note": "Call in March"}, status=201)

    assert (told["contacted"]["by"], told["contacted"]["note"]) == ("sam", "Call in March")
    assert ask("get", "handling")["history_count"] == 1


@pytest.mark.parametrize(
    ("method", "what", "body", "attr"),
    [
        ("put", "owner", {"owner": "nobody-such"}, "owner"),
        ("put", "owner", {"owner": 7}, "owner"),
        ("put", "owner", {"owner": "x" * 151}, "owner"),
        ("put", "owner", {"owned": "sam"}, "owned"),
        ("put", "snooze", {}, "until"),
        ("put", "snooze", {"until": "soon"}, "until"),
        ("put", "snooze", {"until": 20261231}, "until"),
        ("put", "snooze", {"until": "2020-01-01"}, "until"),
        ("put", "snooze", {"until": "9999-12-31"}, "until"),
        ("post", "contacted", {"note": "x" * 501}, "note"),
        ("post", "contacted", {"note": ["x"]}, "note"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(ask, method, what, body, attr):
    refused = ask(method, what, body, status=400)

    assert [error["attr"] for error in refused["errors"]] == [attr]
    assert not AccountAction.objects.exists()


def test_a_merged_account_is_the_one_it_counts_for(ask, acme):
    old = make_company("old.example")
    merge(old, acme)
    ask("put", "owner", {"owner": "sam"}, id=old.id)

    assert ProspectCompany.objects.get(pk=acme.pk).owner.username == "sam"


def test_an_account_that_is_not_there_is_not_found(ask):
    for method, what in (("get", "handling"), ("put", "owner"), ("delete", "snooze"), ("post", "contacted")):
        ask(method, what, {}, status=404, id=uuid4())
