"""/api/abm/jobs: asking for a recompute, seeing the runs, publishing a held night."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rq import Queue

from scoring.models import JobRun
from tests.factories import DAY, make_run, make_user
from tests.test_jobs import activity, has_redis, nobody_wakes, redis  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db
LIST, ASK = "/api/abm/jobs", "/api/abm/jobs/recompute-intent"
TODAY = datetime.now(UTC).date()
UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def admin(client, nobody_wakes):  # noqa: F811
    client.force_login(make_user("ann", role="internal_admin"))
    return client


def post(client, address=ASK, body="{}"):
    return client.post(address, body, content_type="application/json")


def problems(answer):
    assert answer.status_code == 400
    return {error["attr"]: error["code"] for error in answer.json()["errors"]}


# --- Asking ---
def test_a_recompute_is_queued_and_answered_with_its_run(admin):
    answer = post(admin, body={"date": "2026-11-20", "backfill": 30, "restate": True, "pull": True})

    body = answer.json()
    assert answer.status_code == 202
    assert (body["kind"], body["state"], body["asked_by"], body["is_bulk"]) == ("recompute", "queued", "ann", True)
    wanted = {"date": "2026-11-20", "backfill": 30, "restate": True, "pull": True, "accounts": None}
    assert body["params"] == JobRun.objects.get(pk=body["id"]).params_json == wanted


def test_nothing_said_means_the_last_full_day_of_all_accounts(admin):
    params = post(admin).json()["params"]

    assert params == {"date": None, "backfill": None, "restate": False, "pull": False, "accounts": None}


def test_accounts_are_named_by_domain_and_several_such_runs_may_wait(admin):
    for _ in range(2):
        answer = post(admin, body={"accounts": ["https://www.Acme.example/x", "beta.example", "acme.example"]})

    assert answer.status_code == 202
    assert (answer.json()["params"]["accounts"], answer.json()["is_bulk"]) == (["acme.example", "beta.example"], False)
    assert JobRun.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({"dates": "2026-11-20"}, "dates", "unknown"),
        ({"date": "20.11.2026"}, "date", "invalid"),
        ({"date": "2026-02-30"}, "date", "invalid"),
        ({"date": 5}, "date", "invalid"),
        ({"date": str(TODAY + timedelta(days=2))}, "date", "future"),
        ({"backfill": 0}, "backfill", "min_value"),
        ({"backfill": 3_661}, "backfill", "max_value"),
        ({"backfill": "5"}, "backfill", "invalid"),
        ({"backfill": True}, "backfill", "invalid"),
        ({"restate": "yes"}, "restate", "invalid"),
        ({"restate": None}, "restate", "null"),
        ({"pull": 1}, "pull", "invalid"),
        ({"accounts": []}, "accounts", "min_length"),
        ({"accounts": "acme.example"}, "accounts", "not_a_list"),
        ({"accounts": ["acme.example", "no domain"]}, "accounts.1", "invalid"),
        ({"accounts": ["acme.example", None]}, "accounts.1", "null"),
        ({"accounts": ["acme.example"] * 1_001}, "accounts", "max_length"),
        ([], None, "invalid"),
        ("null", None, "null"),
        ("5", None, "invalid"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(admin, body, attr, code):
    assert problems(post(admin, body=body)) == {attr: code}
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_second_one_is_answered_with_the_run_that_is_in_the_way(admin, state):
    run = make_run(state=state, asked_by="bob")

    answer = post(admin)

    body = answer.json()
    assert (answer.status_code, body["type"], body["code"]) == (409, "client_error", "run_in_progress")
    assert (body["run"]["id"], body["run"]["state"], "bob" in body["detail"]) == (str(run.pk), state, True)
    assert JobRun.objects.count() == 1


@has_redis
def test_a_recompute_asked_for_over_the_api_is_done_by_a_worker(client, redis, activity):  # noqa: F811
    client.force_login(make_user("ann", role="internal_admin"))
    asked = post(client).json()

    (wake_up,) = Queue("default", connection=redis).jobs
    assert (wake_up.func_name, wake_up.args) == ("scoring.jobs.perform", (asked["id"],))
    wake_up.perform()

    run = client.get(f"{LIST}/{asked['id']}").json()
    assert (run["state"], run["attempt"], run["progress"]["fraction"]) == ("done", 1, 1.0)
    assert run["result"]["dates"][0]["accounts"] == 1


# --- Seeing ---
def test_a_run_shows_how_far_it_is(admin):
    run = make_run("night", "running", slot=DAY, attempt=2, phase="recompute 2026-11-20", done_items=3, total_items=12)

    body = admin.get(f"{LIST}/{run.pk}").json()

    assert body["progress"] == {"phase": "recompute 2026-11-20", "done": 3, "total": 12, "fraction": 0.25}
    assert (body["slot"], body["attempt"], body["finished_at"]) == ("2026-11-21", 2, None)


def test_a_run_that_knows_no_total_yet_has_no_fraction(admin):
    run = make_run(state="queued")

    assert admin.get(f"{LIST}/{run.pk}").json()["progress"]["fraction"] is None


def test_the_list_has_the_newest_first_in_pages_and_filters(admin):
    made = [make_run(day=DAY - timedelta(days=age), state="failed" if age % 2 else "done") for age in range(5)]
    night = make_run("night", slot=DAY, day=DAY - timedelta(days=9))

    def listed(query):
        body = admin.get(LIST, query).json()
        return body["count"], [run["id"] for run in body["results"]]

    ids = [str(run.pk) for run in made]
    assert listed({}) == (6, [*ids, str(night.pk)])
    assert listed({"page": 2, "limit": 2}) == (6, ids[2:4])
    assert listed({"page": 1_000_000, "limit": 200}) == (6, [])
    assert listed({"state": "failed"}) == (2, ids[1::2])
    assert listed({"kind": "night", "state": "done"}) == (1, [str(night.pk)])


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ("kind=dream", "kind"),
        ("state=asleep", "state"),
        ("page=0", "page"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("offset=1", "offset"),
    ],
)
def test_an_unknown_filter_is_refused(admin, query, attr):
    assert list(problems(admin.get(f"{LIST}?{query}"))) == [attr]


def test_one_run_and_forty_take_the_same_number_of_queries(admin):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin.get(LIST).status_code == 200
        return len(captured)

    make_run()
    one = queries()
    for _ in range(39):
        make_run()

    assert queries() == one <= 6


# --- Publishing ---
def test_a_held_night_is_published_and_says_by_whom(admin):
    night = make_run("night", "held", slot=DAY, message="Only 3 events.")

    answer = post(admin, f"{LIST}/{night.pk}/publish")

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.json()["params"] == {"accepted_by": "ann"}


@pytest.mark.parametrize("state", ["queued", "running", "done", "failed"])
def test_nothing_else_can_be_published(admin, state):
    run = make_run("night", state, slot=DAY)

    answer = post(admin, f"{LIST}/{run.pk}/publish")

    assert (answer.status_code, answer.json()["code"], answer.json()["run"]["state"]) == (409, "not_held", state)


def test_a_publication_takes_no_fields_and_a_run_that_exists(admin):
    night = make_run("night", "held", slot=DAY)

    assert problems(post(admin, f"{LIST}/{night.pk}/publish", {"force": True})) == {"force": "unknown"}
    assert post(admin, f"{LIST}/{UNKNOWN}/publish").status_code == 404
    assert admin.get(f"{LIST}/{UNKNOWN}").status_code == 404


# --- Who may ---
@pytest.mark.parametrize("role", [None, "sales", "anonymous"])
@pytest.mark.parametrize("address", [LIST, f"{LIST}/{UNKNOWN}", ASK, f"{LIST}/{UNKNOWN}/publish"])
def test_nobody_but_an_admin_reads_or_asks(client, role, address):
    if role != "anonymous":
        client.force_login(make_user(role=role))

    assert (client.get(address).status_code, post(client, address).status_code) == (403, 403)
    assert not JobRun.objects.exists()


def test_an_admin_needs_the_token_against_forged_requests():
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(role="internal_admin"))

    answer = post(client)

    assert (answer.status_code, "CSRF" in answer.json()["detail"]) == (403, True)
