"""Junk in the addresses and forms of Django admin: answered 400 or 404, never with a 500."""

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User

from registry.models import EventRule
from tests.factories import make_company, make_rule, make_user

pytestmark = pytest.mark.django_db
NOBODY = "01890000-0000-7000-8000-000000000000"
TABLES = sorted(f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in site._registry)
OTHER_FILTERS = (
    "id__regex=(",
    "pk__range=0",
    "created_at__year=0",
    "last_login__year=99999999999999999999",
    "password__startswith=x",
    "prospect_company__domain__regex=[",
)


@pytest.fixture
def admin(client):
    client.force_login(make_user("ada", role="internal_admin"))
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize("table", TABLES)
def test_a_comparison_the_page_does_not_offer_is_refused(admin, table):
    assert [admin.get(f"{table}?{query}").status_code for query in OTHER_FILTERS] == [400] * len(OTHER_FILTERS)


def test_every_filter_the_pages_offer_works(admin):
    make_company("acme.example")
    make_rule(lane="office")
    followed = 0
    for table in TABLES:
        changes = admin.get(table).context["cl"]
        for filters in changes.filter_specs:
            for choice in filters.choices(changes):
                query = choice.get("query_string")
                followed += 1
                assert query is None or admin.get(table + query).status_code == 200, table + query
    assert followed > 50


@pytest.mark.parametrize("table", TABLES)
def test_ten_thousand_words_are_searched_for_without_an_error(admin, table):
    assert admin.get(table, {"q": "a " * 10_000}).status_code == 200


def test_a_search_still_finds(admin):
    make_rule("/pricing", lane="office")
    make_rule("/other")

    assert b"1 event rule" in admin.get("/admin/registry/eventrule/", {"q": "offi"}).content


@pytest.mark.parametrize("key", ["junk", "%00", "9" * 30, "é", ""])
def test_an_action_on_a_row_that_cannot_exist_changes_nothing(admin, key):
    make_rule()
    for table in ("/admin/registry/eventrule/", "/admin/accounts/prospectcompany/", "/admin/auth/user/"):
        chosen = {"action": "delete_selected", "_selected_action": [key], "post": "yes"}
        assert admin.post(table, chosen).status_code in (302, 400)

    assert (EventRule.objects.count(), User.objects.filter(username="ada").count()) == (1, 1)


def test_an_action_on_chosen_rows_still_acts_on_them(admin):
    gone, kept = make_rule("/a"), make_rule("/b")
    admin.post(
        "/admin/registry/eventrule/", {"action": "delete_selected", "_selected_action": [gone.pk], "post": "yes"}
    )

    assert EventRule.objects.get() == kept


@pytest.mark.parametrize("address", ["junk/history/", "1/history/", "%00/history/", "junk/history/1/"])
def test_the_history_of_a_row_that_cannot_exist_is_not_found(admin, address):
    assert admin.get(f"/admin/registry/eventrule/{address}").status_code == 404


@pytest.mark.parametrize("version", ["junk", "9" * 30, "%00", "0"])
def test_a_version_that_cannot_exist_is_not_found(admin, version):
    rule = make_rule()

    assert admin.get(f"/admin/registry/eventrule/{rule.pk}/history/{version}/").status_code == 404


def test_the_versions_of_a_row_are_still_shown_also_of_one_that_is_gone(admin):
    rule = make_rule()
    key, version = rule.pk, rule.history.get().pk
    rule.delete()

    assert admin.get(f"/admin/registry/eventrule/{key}/history/").status_code == 200
    assert admin.get(f"/admin/registry/eventrule/{key}/history/{version}/").status_code == 200


@pytest.mark.parametrize("address", ["1/junk/", f"1/{NOBODY}/", "junk/junk/", "1/%00/", f"{'9' * 30}/1/"])
def test_the_view_on_site_address_of_what_has_no_page_is_not_found(admin, address):
    assert admin.get(f"/admin/r/{address}").status_code == 404


def test_a_filter_names_the_rows_that_have_no_value(client):
    client.force_login(make_user(role="internal_admin"))
    make_rule(lane="")
    make_rule("/docs", lane="rooms")

    assert '<a href="?lane=">(none)</a>' in client.get("/admin/registry/eventrule/").content.decode()
