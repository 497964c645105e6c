"""Every URL of the resolver for every kind of user: what is not opened on purpose is closed (reliability 20)."""

import re
from datetime import UTC, datetime

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests.factories import (
    make_company,
    make_config,
    make_fact,
    make_lead,
    make_pull,
    make_run,
    make_token,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db

UNKNOWN = "01890000-0000-7000-8000-000000000000"
FOR_ALL = {"login", "logout", "admin/login/", "admin/logout/", "healthz", "readyz", "metrics"}
FOR_ALL |= {"password/forgotten", "password/sent", "password/new/<uidb64>/<token>"}


def routes(patterns=None, prefix=""):
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            yield route


def address(route):
    route = route.replace("<str:domain>", "acme.example").replace("<path:content_type_id>", "1")
    route = re.sub("<[a-z:_]+>", UNKNOWN, route)
    return f"/{route}?domain=acme.example" if route.endswith("/lookup") else f"/{route}"


ROUTES = sorted(route for route in {*routes()} - FOR_ALL if "(?P" not in route)  # regular ones: admin's catch-alls
API = [route for route in ROUTES if route.startswith("api/")]
OF_ACCOUNT = [route for route in ROUTES if route.startswith("accounts/<str:domain>/")]
BUTTONS = [route for route in OF_ACCOUNT if not route.endswith((".csv", "/brief"))]
RUNS = [route for route in ROUTES if route.startswith("runs") or route == "people.csv"]  # the admins' pages
OTHERS = (*BUTTONS, *RUNS)
PAGES = [route for route in ROUTES if not route.startswith(("admin/", "api/")) and route not in OTHERS]
HOOK = "api/hooks/lead-requests"  # anybody may post a lead; nobody reads one there
ALL_AS_ONE_FILE = {"api/abm/lead-requests.csv", "api/abm/people.csv"}  # names and addresses
ADMIN_API = [route for route in API if route.startswith(("api/abm/jobs", "api/abm/admin")) or route in ALL_AS_ONE_FILE]
VERBS = ("ai-summary", "owner", "snooze", "contacted")
ASKED_FOR = {f"api/abm/accounts/<uuid:id>/{verb}" for verb in VERBS}  # open to all roles; not by GET
SALES_API = [route for route in API if route not in (HOOK, *ADMIN_API, *ASKED_FOR)]
ADMIN = [route for route in ROUTES if route.startswith("admin/")]
LIST = re.compile("admin/[a-z_]+/[a-z]+/")
DERIVED = re.compile("admin/(scoring/.+|ai_summaries/.+|ingestion/.+|accounts/intentsignal|.+/alertdelivery)/add/")


@pytest.fixture
def visit(client):
    make_weight(make_config())
    make_pull()
    make_company("acme.example", id=UNKNOWN)
    make_fact("acme.example")
    make_run(id=UNKNOWN)
    make_lead(id=UNKNOWN)
    score()

    def every_route(role, token=None):
        """Where each route leads a user of this role: a status, or `login`. `token`: fields of one they come with
        instead of a session."""
        headers = {}
        if token is not None:
            headers = {"Authorization": f"Token {make_token(make_user(role=role), role, **token)}"}
        elif role != "anonymous":
            client.force_login(make_user(role=role))
        answers = {route: client.get(address(route), headers=headers) for route in ROUTES}
        return {route: "login" if is_login(answer) else answer.status_code for route, answer in answers.items()}

    return every_route


def is_login(answer):
    return answer.status_code == 302 and "/login" in answer["Location"]


def test_the_matrix_sees_the_pages_and_the_tables_of_admin():
    assert {"", "accounts.csv", "accounts/<str:domain>", "lanes", "people", "movers", "password"} <= set(PAGES)
    assert {route.rpartition("/")[2] for route in BUTTONS} == {"owner", "snooze", "contacted"}
    parts = ("", "/domains", "/unmatched", "/<uuid:id>", "/<uuid:id>/row", "/<uuid:id>/progress")
    assert {"people.csv", *(f"runs{part}" for part in parts)} == set(RUNS)
    assert {"admin/accounts/prospectcompany/", "admin/scoring/dailyaccountintent/", "admin/auth/user/"} <= set(ADMIN)
    assert "admin/scoring/jobrun/add/" in filter(DERIVED.fullmatch, ADMIN)
    assert {"api/abm/jobs", "api/abm/jobs/<uuid:id>", "api/abm/lead-requests.csv"} <= set(ADMIN_API)
    assert {"api/abm/lead-requests", "api/abm/lead-requests/<uuid:id>", "api/schema/", "api/docs/"} <= set(SALES_API)
    assert HOOK in API


def test_a_stranger_is_sent_to_the_login_everywhere_and_refused_by_the_api(visit):
    assert visit("anonymous") == dict.fromkeys(ROUTES, "login") | dict.fromkeys(API, 403) | {HOOK: 405}


def test_a_user_without_a_role_sees_nothing(visit):
    seen = visit(None)

    assert {seen[route] for route in PAGES + BUTTONS + RUNS + ADMIN_API + SALES_API} == {403}
    assert {seen[route] for route in ADMIN} <= {403, "login"}


def test_sales_reads_every_page_but_the_runs_and_leads_but_not_all_at_once_and_nothing_of_admin(visit):
    seen = visit("sales")

    assert {seen[route] for route in PAGES + SALES_API} == {200}
    assert {seen[route] for route in BUTTONS} == {405}  # theirs to press
    assert {seen[route] for route in ASKED_FOR} == {405}
    assert {seen[route] for route in ADMIN} <= {403, "login"}
    assert {seen[route] for route in RUNS + ADMIN_API} == {403}


def test_an_admin_reads_every_page_and_every_list_of_admin_and_only_looks_at_what_is_derived(visit):
    seen = visit("internal_admin")

    assert {seen[route] for route in PAGES + RUNS} == {200}
    assert {seen[route] for route in API} <= {200, 404, 405}  # no such row; nothing to read there
    assert {seen[route] for route in ADMIN if LIST.fullmatch(route)} == {200}
    assert {seen[route] for route in ADMIN if DERIVED.fullmatch(route)} == {403}
    assert not {route: status for route, status in seen.items() if status == "login" or status >= 500}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_no_method_is_an_error_of_ours_anywhere(visit, client, method):
    """With a body that nobody asked for. A browser never sends some of these, a scanner does. Without the probe that
    asks the database from a thread of its own, which sees no rows of a test."""
    client.raise_request_exception = False
    client.force_login(make_user(role="internal_admin"))
    answers = {
        route: client.generic(method, address(route), "<x/>", content_type="text/xml")
        for route in {*ROUTES, *FOR_ALL} - {"logout", "admin/logout/", "readyz"}
    }

    assert [route for route, answer in answers.items() if answer.status_code == 500] == []


@pytest.mark.parametrize("role", ["sales", "internal_admin"])
def test_a_token_opens_the_api_as_its_role_does_and_no_page(visit, role):
    seen = visit(role, token={})

    assert {seen[route] for route in ROUTES if route not in API} == {"login"}
    assert {seen[route] for route in SALES_API} == {200}
    assert {seen[route] for route in ASKED_FOR} == {405}
    if role == "sales":
        assert {seen[route] for route in ADMIN_API} == {403}
    else:
        assert {seen[route] for route in ADMIN_API} <= {200, 404, 405}


@pytest.mark.parametrize("end", ["expires_at", "revoked_at"])
def test_a_token_that_expired_or_was_revoked_opens_nothing(visit, end):
    seen = visit("internal_admin", token={end: datetime(2026, 11, 21, tzinfo=UTC)})

    assert seen == dict.fromkeys(ROUTES, "login") | dict.fromkeys(API, 401) | {HOOK: 405}
