"""Take, hand over, snooze, contacted: what each leaves, and who sees it. On the pages' way: a form, with or without
script."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from abm_project import ownership
from abm_project.dashboards import AccountFilter, handling, hot_accounts
from abm_project.models import AccountAction, Snooze
from accounts.models import ProspectCompany
from accounts.resolution import merge
from tests.factories import make_company, make_config, make_fact, make_pull, make_user, make_weight, score

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    make_weight(make_config())
    make_pull()
    make_fact("acme.example")
    company = make_company("acme.example", name="Acme")
    score()
    return company


@pytest.fixture
def sam():
    return make_user("sam")


@pytest.fixture
def press(client, sam, acme):
    """Press a button of the account's page as sam; the page that comes of it."""
    client.force_login(sam)

    def do(button, **fields):
        return client.post(f"/accounts/acme.example/{button}", fields, follow=True)

    return do


def words(answer):
    return answer.content.decode()


def owner():
    return ProspectCompany.objects.get(domain="acme.example").owner


# --- Owner ------------------------------------------------------------------------------------------------------------
def test_an_account_is_taken_with_one_press_and_given_back(press, client, sam):
    assert "Nobody owns it" in words(client.get("/accounts/acme.example"))
    answer = press("owner", owner="sam", seen="")
    assert answer.redirect_chain == [("/accounts/acme.example", 302)]
    assert owner() == sam
    assert "<b>Yours</b>" in words(answer)
    assert "Acme" in words(client.get("/?owner=me"))

    answer = press("owner", owner="", seen="sam")
    assert owner() is None
    assert "let it go" in words(answer)


def test_it_is_handed_over_and_the_history_says_by_whom(press, acme):
    make_user("maya")
    ownership.give(acme.id, "sam", make_user("ada", role="internal_admin"), timezone.now())
    answer = press("owner", owner="maya", seen="sam")

    assert owner().username == "maya"
    assert "handed it over" in words(answer)
    assert "to maya" in words(answer)
    lines = AccountAction.objects.order_by("done_at", "id").values_list("done_by_name", "owner_before", "owner_after")
    assert list(lines) == [("ada", "", "sam"), ("sam", "sam", "maya")]


def test_what_somebody_did_meanwhile_is_not_undone_in_ignorance(press, acme):
    maya = make_user("maya")
    ownership.give(acme.id, "maya", maya, timezone.now())
    answer = press("owner", owner="sam", seen="")

    assert answer.status_code == 409
    assert "Meanwhile this account became maya&#x27;s. Nothing was changed." in words(answer)
    assert owner() == maya


def test_pressing_twice_leaves_one_line(press):
    for _ in range(2):
        press("owner", owner="sam", seen="")

    assert AccountAction.objects.count() == 1


@pytest.mark.parametrize("name", ["nobody-such", "idle", "strange", "x" * 151])
def test_an_account_is_given_to_nobody_who_may_not_see_it(press, name):
    make_user("idle", is_active=False)
    make_user("strange", role=None)
    answer = press("owner", owner=name, seen="")

    assert answer.status_code == 400
    assert "There is no" in words(answer)
    assert owner() is None


def test_the_list_to_give_to_has_users_with_a_role(press, client):
    make_user("strange", role=None)
    make_user("ada", role="internal_admin")
    page = words(client.get("/accounts/acme.example"))

    assert '<option value="ada">' in page
    assert '<option value="strange">' not in page


# --- Snooze -----------------------------------------------------------------------------------------------------------
def in_days(days):
    return timezone.now().date() + timedelta(days=days)


def test_a_snoozed_account_leaves_my_list_and_nobody_elses(press, client):
    answer = press("snooze", until=f"{in_days(7)}")
    assert "snoozed for you until" in words(answer)

    assert "/accounts/acme.example" not in words(client.get("/"))
    assert b"acme" not in client.get("/accounts.csv").getvalue()
    assert "/accounts/acme.example" in words(client.get("/?snoozed=1"))
    assert "/accounts/acme.example" in words(client.get("/?search=acme"))
    client.force_login(make_user("maya"))
    assert "/accounts/acme.example" in words(client.get("/"))


def test_it_comes_back_on_its_day_and_when_woken(press, sam, acme):
    press("snooze", until=f"{in_days(1)}")

    def seen(day):
        return [row.domain for row in hot_accounts(AccountFilter(viewer_id=sam.pk, today=day)).rows]

    assert seen(in_days(0)) == []
    assert seen(in_days(1)) == ["acme.example"]
    answer = press("snooze", wake="1")
    assert seen(in_days(0)) == ["acme.example"]
    assert "woke it" in words(answer)


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_a_day_that_makes_no_sense_is_refused_and_kept_in_the_field(press, days):
    answer = press("snooze", until=f"{in_days(days)}")

    assert answer.status_code == 400
    assert f'value="{in_days(days)}"' in words(answer)
    assert "A day after today" in words(answer)
    assert not Snooze.objects.exists()


def test_words_for_a_day_are_refused(press):
    assert "Write the date as" in words(press("snooze", until="tomorrow"))
    assert "Until when?" in words(press("snooze"))


def test_snoozing_twice_keeps_the_later_press(press):
    for days in (7, 3):
        press("snooze", until=f"{in_days(days)}")

    assert Snooze.objects.get().until == in_days(3)


# --- Contacted --------------------------------------------------------------------------------------------------------
def test_who_was_in_touch_stands_on_the_page_and_in_the_row(press, client):
    answer = press("contacted", note="Call back <b>in March</b>")

    assert "contacted" in words(answer)
    assert "Call back &lt;b&gt;in March&lt;/b&gt;" in words(answer)
    assert "Contacted just now." in words(client.get("/"))


def test_a_note_too_long_comes_back_as_it_was_typed(press):
    note = "word " * 200
    answer = press("contacted", note=note)

    assert answer.status_code == 400
    assert note.strip() in words(answer)
    assert not AccountAction.objects.exists()


# --- All of it --------------------------------------------------------------------------------------------------------
def test_the_history_of_a_merged_account_stands_at_its_new_home(acme, sam):
    old = make_company("old.example")
    ownership.contacted(old.id, sam, "Before the merger", timezone.now())
    merge(old, acme)

    found = handling(acme.id, sam.pk, in_days(0))
    assert found.contacted.note == "Before the merger"
    assert [action.note for action in found.history] == ["Before the merger"]


def test_a_line_still_says_who_when_the_user_is_gone(press, acme, sam):
    press("contacted")
    sam.delete()

    assert AccountAction.objects.get().done_by_name == "sam"
    assert AccountAction.objects.get().done_by is None


@pytest.mark.parametrize("button", ["owner", "snooze", "contacted"])
def test_buttons_take_a_post_with_its_token_from_somebody_with_a_role(button, client, acme, sam):
    address = f"/accounts/acme.example/{button}"
    assert client.post(address)["Location"] == f"/login?next={address}"
    client.force_login(make_user("strange", role=None))
    assert client.post(address).status_code == 403
    client.force_login(sam)
    assert client.get(address).status_code == 405
    checked = Client(enforce_csrf_checks=True)
    checked.force_login(sam)
    assert checked.post(address).status_code == 403
    assert not AccountAction.objects.exists()


@pytest.mark.parametrize("domain", ["nobody.example", "alias.example", "%C3%A9.example", "old.example"])
def test_there_are_no_buttons_but_at_the_accounts_own_domain(client, acme, sam, domain):
    merge(make_company("old.example"), acme)
    acme.domains.create(domain="alias.example")
    client.force_login(sam)

    assert client.post(f"/accounts/{domain}/contacted").status_code == 404


@pytest.mark.parametrize(
    "row", [{"kind": "danced"}, {"kind": "snoozed"}, {"kind": "contacted", "until": timezone.now().date()}]
)
def test_the_history_holds_only_lines_that_mean_something(acme, sam, row):
    with pytest.raises(IntegrityError), transaction.atomic():
        AccountAction.objects.create(prospect_company=acme, done_at=timezone.now(), done_by=sam, **row)


def test_a_user_snoozes_an_account_once(acme, sam):
    Snooze.objects.create(user=sam, prospect_company=acme, until=in_days(1))
    with pytest.raises(IntegrityError), transaction.atomic():
        Snooze.objects.create(user=sam, prospect_company=acme, until=in_days(2))


# --- In Django admin --------------------------------------------------------------------------------------------------
@pytest.fixture
def change(client, acme):
    """Saves the account's form in Django admin, with this owner."""
    client.force_login(make_user("ada", role="internal_admin"))

    def save(user, **fields):
        typed = {"name": acme.name, "owner": user.pk if user else "", **fields}
        return client.post(f"/admin/accounts/prospectcompany/{acme.pk}/change/", typed)

    return save


def history():
    return list(AccountAction.objects.order_by("id").values_list("done_by_name", "owner_before", "owner_after"))


def test_an_owner_who_is_set_in_the_admin_stands_in_the_history_like_any_other(change, acme, sam):
    maya = make_user("maya")
    for user, name in ((sam, acme.name), (sam, "Acme Inc."), (maya, "Acme Inc."), (None, "Acme Inc.")):
        assert change(user, name=name).status_code == 302

    assert history() == [("ada", "", "sam"), ("ada", "sam", "maya"), ("ada", "maya", "")]
    assert (owner(), ProspectCompany.objects.get().name) == (None, "Acme Inc.")


def test_a_new_account_gets_its_owner_in_the_admin_with_a_line_too(client, change, sam):
    typed = {"domain": "new.example", "name": "New", "owner": sam.pk}

    assert client.post("/admin/accounts/prospectcompany/add/", typed).status_code == 302
    assert ProspectCompany.objects.get(domain="new.example").owner == sam
    assert history() == [("ada", "", "sam")]


def test_the_admin_gives_to_nobody_who_may_not_own_but_leaves_an_owner_of_before(change, acme, sam):
    gone = make_user("gone", role=None)
    assert "Select a valid choice" in change(gone).content.decode()
    assert owner() is None

    ProspectCompany.objects.update(owner=gone)
    assert change(gone, name="Acme Inc.").status_code == 302
    assert (owner(), history()) == (gone, [])
