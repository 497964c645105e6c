"""The Runs page of the admins: every run in words, what came of it, and the buttons that ask for more."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from abm_project.run_reads import RunFilter, pulled_days, run, runs
from abm_project.templatetags.runs import took, whole
from accounts.models import CompanyDomain
from accounts.resolution import add_alias
from registry.models import DomainRule
from scoring.jobs import due_slot
from scoring.models import JobRun
from tests.factories import (
    DAY,
    at,
    make_company,
    make_domain_rule,
    make_fact,
    make_pull,
    make_run,
    make_snapshot,
    make_user,
)

pytestmark = pytest.mark.django_db
TODAY = DAY + timedelta(days=1)
NOW = at(TODAY, 9)
RESULT = {
    "dates": [
        {"date": "2026-11-20", "accounts": 300, "created": 1, "changed": 7, "unchanged": 292, "kept": 0, "removed": 0},
        {
            "date": "2026-11-21",
            "accounts": 312,
            "created": 12,
            "changed": 280,
            "unchanged": 20,
            "kept": 0,
            "removed": 2,
        },
    ],
    "skipped": {"2026-11-19": "no facts for 2026-11-18"},
    "registry_problems": ["event rule 14 is no pattern"],
    "unresolved_keys": {"personal": 31},
    "unmatched_pages": {"/careers": 97, "/<b>": 3},
    "unweighed_events": {"video_played": 88},
    "named": 44,
    "people": {"contacts": 57, "requests": 2},
    "pull": {
        "days": 30,
        "events": 12480,
        "account_days": 1391,
        "requests": 31,
        "bytes": 4_400_000,
        "scanned": 9_000_000_000,
        "seconds": 41.5,
        "unresolved": {"no_account": 1803, "not_a_domain": 212},
    },
}

LEFT_OUT = {"no_account": {"events": 60, "examples": {"a room": 40}}}


def only(**chosen):
    (row,) = runs(RunFilter(**chosen), NOW).rows
    return row


@pytest.fixture
def no_workers(settings):
    """What is asked for stays queued: nobody is there to do it, and Redis cannot be reached."""
    settings.JOBS, settings.REDIS_URL, settings.RECONCILE_SECONDS = "queue", "redis://127.0.0.1:1", 600


@pytest.fixture
def admin(client, no_workers):
    client.force_login(make_user("ada", role="internal_admin"))
    return client


def shown(answer):
    return " ".join(answer.content.decode().split())


# --- What a run is called, and what it says ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"kind": "night", "slot": TODAY}, "Night of 22 Nov"),
        ({"kind": "pull"}, "Pull"),
        ({"kind": "pull", "params_json": {"days": ["2026-11-20", "2026-11-21"]}}, "Pull of 2 days"),
        ({}, "Recompute"),
        ({"params_json": {"date": "2026-11-21", "backfill": None}}, "Recompute of Sat 21 Nov"),
        ({"params_json": {"date": None, "backfill": 30, "accounts": None}}, "Backfill of 30 dates"),
        ({"params_json": {"dates": ["2026-11-20", "2026-11-21"], "domains": None}}, "Backfill of 2 dates"),
        ({"params_json": {"dates": ["2026-11-21"], "domains": ["acme.example"]}}, "Recompute of acme.example"),
        ({"params_json": {"accounts": ["a.example", "b.example"]}}, "Recompute of 2 accounts"),
        ({"params_json": {"date": "soon"}}, "Recompute of soon"),
        ({"params_json": ["odd"]}, "Recompute"),
    ],
)
def test_a_run_is_called_what_was_asked_for(fields, title):
    make_run(**fields)

    assert only().title == title


QUEUED = {"state": "queued", "finished_at": None, "attempt": 0}


@pytest.mark.parametrize(
    ("fields", "word", "says"),
    [
        (QUEUED, "Queued", "It waits for a worker."),
        (QUEUED | {"attempt": 2, "message": "429."}, "Queued again", "The last attempt: 429."),
        ({"state": "running"}, "Running", ""),
        ({"state": "done"}, "Done", ""),
        ({"state": "failed", "message": "No key."}, "Failed", "No key. Mend the cause, then ask for it again."),
        ({"state": "failed", "kind": "night", "slot": TODAY}, "Failed", "It is tried again by itself within minutes"),
        ({"state": "failed", "kind": "night", "slot": DAY}, "Failed", "A later night makes up its dates."),
        ({"state": "held", "kind": "night", "slot": TODAY, "message": "4 %."}, "Held", "4 %. No score was changed"),
        (QUEUED | {"params_json": {"accepted_by": "ada"}}, "Queued", "ada publishes it anyway"),
        ({"state": "running", "lease_until": at(DAY, 1)}, "Silent", "Stopped without a word"),
    ],
)
def test_a_state_is_a_word_with_what_happens_next(fields, word, says):
    make_run(**fields)
    found = only()

    assert found.word == word
    assert says in f"{found.last_word}{found.message} {found.advice}"


def test_patience_that_posthog_asked_for_is_told(admin):
    make_run(state="failed", message="429.", not_before=timezone.now() + timedelta(hours=1))

    assert "as PostHog asked." in shown(admin.get("/runs"))


def test_a_row_tells_accounts_events_what_was_left_out_and_what_posthog_cost(admin):
    make_run("night", slot=TODAY, started_at=at(TODAY, 2), finished_at=at(TODAY, 3), result_json=RESULT)
    text = shown(admin.get("/runs"))

    for part in (
        "2 dates: 13 new, 287 changed, 2 removed",
        "1 date left out",
        "registry problems",
        ">312<",
        ">12,480<",
        ">2,015<",
        ">100<",
        "31 requests",
        "4.2\xa0MB",
        "1 h 00 min",
        'title="2026-11-22 02:00:00 UTC"',
    ):
        assert part.replace("\xa0", " ") in text.replace("\xa0", " "), part


def test_a_run_has_a_page_with_the_whole_result(admin):
    made = make_run("night", slot=TODAY, started_at=at(TODAY, 2), finished_at=at(TODAY, 3), result_json=RESULT)
    make_pull(DAY, events=420, requests=2, bytes=2048, read_at=at(TODAY, 2), unresolved_json=LEFT_OUT)
    make_pull(DAY - timedelta(days=1), events=99_999, read_at=at(TODAY, 4))
    text = shown(admin.get(f"/runs/{made.pk}"))

    for part in ("Fri 20 Nov", "292", "Thu 19 Nov", "no facts for 2026-11-18", "event rule 14 is no pattern", "57"):
        assert part in text, part
    for part in (
        "no account",
        "1,803",
        "/careers",
        "/&lt;b&gt;",
        "video_played",
        "no account: 60 (such as a room)",
        "44",
        "8.4",
    ):
        assert part in text, part
    assert "99,999" not in text  # a later run has read that day again


def test_the_days_of_a_run_are_those_it_read_last_or_could_not_read():
    """What the first attempt of a night has read, the second does not read again."""
    made = make_run("night", slot=TODAY, started_at=at(TODAY, 4), finished_at=None, state="running", attempt=2)
    make_pull(DAY, read_at=at(TODAY, 3))
    make_pull(DAY - timedelta(days=1), read_at=at(TODAY, 1))
    make_pull(DAY - timedelta(days=2), state="failed", message="504.")
    days = pulled_days(run(made.pk, NOW))

    assert [(day.date, day.message) for day in days] == [(DAY, ""), (DAY - timedelta(days=2), "504.")]


def test_a_night_says_what_it_removed_for_its_age(admin):
    purged = {"facts": 12480, "snapshots": 0, "brief_attempts": 3, "moon_phases": 2}
    made = make_run("night", slot=TODAY, result_json={**RESULT, "purged": purged})

    assert run(made.pk, NOW).result.removed == (
        ("Facts of an account and day", 12480),
        ("Attempts at briefs", 3),
        ("Moon phases", 2),
    )
    page = shown(admin.get(f"/runs/{made.pk}"))
    assert "<dt>Old rows removed</dt><dd>12,485</dd>" in page
    assert "Snapshots</th>" not in page and "Attempts at briefs</th>" in page
    assert "Old rows" not in shown(admin.get(f"/runs/{make_run(result_json=RESULT).pk}"))


def test_a_night_whose_removal_failed_says_so_and_that_it_is_tried_again(admin):
    made = make_run("night", slot=TODAY, result_json={**RESULT, "purged": {"facts": 0}, "purge_failed": "No <disk>."})

    assert "old rows stay" in shown(admin.get("/runs"))
    page = shown(admin.get(f"/runs/{made.pk}"))
    assert "No &lt;disk&gt;." in page and "the next night tries again" in page
    assert "<dt>Old rows removed</dt><dd>0</dd>" in page


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"dates": None, "skipped": [], "pull": {}, "people": None},
        {"dates": [3, {}], "pull": "much", "people": {}, "unmatched_pages": {"/": "many"}, "registry_problems": "x"},
        {"pull": {"events": None, "bytes": "4", "unresolved": [1]}},
        ["odd"],
    ],
)
def test_a_result_of_another_version_breaks_no_page(admin, result):
    made = make_run("night", slot=TODAY, result_json=result)

    assert admin.get("/runs").status_code == 200
    assert admin.get(f"/runs/{made.pk}").status_code == 200


# --- The list ---------------------------------------------------------------------------------------------------------
def test_the_newest_run_comes_first_and_a_page_past_the_end_is_the_last_one():
    for hours in range(60):
        make_run(started_at=NOW - timedelta(hours=hours))
    first, last = runs(RunFilter(), NOW), runs(RunFilter(), NOW, page=9)

    assert (first.count, first.pages, last.page, len(first.rows), len(last.rows)) == (60, 2, 2, 50, 10)
    assert first.rows[0].asked_at == NOW
    assert last.rows[-1].asked_at == NOW - timedelta(hours=59)


def test_states_and_kinds_filter_and_count(admin):
    make_run("night", slot=TODAY)
    make_run(state="failed")
    make_run(state="failed", kind="pull")
    found = runs(RunFilter(state="failed"), NOW)

    assert found.count == 2
    assert {choice.value: choice.count for choice in found.kinds} == {"night": 0, "pull": 1, "recompute": 1}
    assert only(state="failed", kind="pull").title == "Pull"
    assert "No run matches" in shown(admin.get("/runs?state=held"))


@pytest.mark.parametrize("query", ["state=odd", "kind=A%20B", "page=0", "state=done&state=held"])
def test_an_unknown_filter_is_refused(admin, query):
    assert admin.get(f"/runs?{query}").status_code == 400


def test_forty_runs_take_as_many_queries_as_one(admin):
    """Six: session and user; two for the banner, two for the list."""

    def queries():
        with CaptureQueriesContext(connection) as asked:
            assert admin.get("/runs").status_code == 200
        return len(asked)

    make_run(state="running", result_json=RESULT)
    one = queries()
    for number in range(40):
        make_run(
            ("night", "recompute")[number % 2],
            state=("done", "failed", "held", "done")[number % 4],
            slot=DAY - timedelta(days=number) if number % 2 == 0 else None,
            result_json=RESULT,
        )
    assert queries() == one == 6


def test_a_page_of_one_run_takes_as_many_queries_for_forty_days_as_for_one(admin):
    """Six: session and user; two for the banner, the run and its days."""
    made = make_run("night", slot=TODAY, started_at=at(TODAY, 2), finished_at=at(TODAY, 3), result_json=RESULT)

    def queries():
        with CaptureQueriesContext(connection) as asked:
            assert admin.get(f"/runs/{made.pk}").status_code == 200
        return len(asked)

    make_pull(DAY, read_at=at(TODAY, 2))
    one = queries()
    for age in range(1, 40):
        make_pull(DAY - timedelta(days=age), read_at=at(TODAY, 2))
    assert queries() == one == 6


def test_an_installation_where_nothing_ran_says_when_it_will(admin):
    assert "Nothing has run yet" in shown(admin.get("/runs"))


def test_a_run_that_is_not_there_is_not_found(admin):
    for part in ("", "/row", "/progress"):
        assert admin.get(f"/runs/{uuid4()}{part}").status_code == 404


# --- The parts that change --------------------------------------------------------------------------------------------
def test_a_run_that_lives_is_asked_for_again_and_one_that_ended_is_not(admin):
    made = make_run(state="running", phase="recompute 2026-11-21", done_items=120, total_items=480)
    row = shown(admin.get(f"/runs/{made.pk}/row"))
    assert 'hx-trigger="every 2s"' in row
    assert 'max="480" value="120"' in row
    assert "recompute 2026-11-21 · 120 of 480" in row
    assert 'value="120"' in shown(admin.get(f"/runs/{made.pk}/progress"))

    JobRun.objects.filter(pk=made.pk).update(state="done", finished_at=Now())
    row = admin.get(f"/runs/{made.pk}/row")
    assert "hx-trigger" not in shown(row)
    assert 'id="freshness"' in shown(row)  # what every page says has changed with it
    assert admin.get(f"/runs/{made.pk}/progress")["HX-Refresh"] == "true"


# --- Asking -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ({"ask": "recompute"}, {"date": None, "backfill": None, "restate": False, "pull": False}),
        (
            {"ask": "recompute", "date": "2026-01-31", "pull": "on", "restate": "on"},
            {"date": "2026-01-31", "backfill": None, "restate": True, "pull": True},
        ),
        (
            {"ask": "backfill", "dates": "45", "pull": "on", "date": "2026-01-31", "restate": "on"},
            {"date": None, "backfill": 45, "restate": False, "pull": True},
        ),
    ],
)
def test_a_button_queues_the_run_it_names_for_whoever_pressed_it(admin, typed, asked):
    answer = admin.post("/runs", typed, follow=True)
    made = JobRun.objects.get()

    assert (made.state, made.asked_by, made.is_bulk) == ("queued", "ada", True)
    assert made.params_json == asked | {"accounts": None}
    assert answer.redirect_chain == [("/runs", 302)]
    assert f'<a href="/runs/{made.pk}">See the run</a>' in shown(answer)


@pytest.mark.parametrize(
    ("typed", "says", "kept"),
    [
        ({"ask": "recompute", "date": "31.1.2026", "pull": "on"}, "Write the date as year-month-day", "31.1.2026"),
        ({"ask": "recompute", "date": "2999-01-01"}, "That day has not come yet", "2999-01-01"),
        ({"ask": "backfill", "dates": "0"}, "At least one date.", 'value="0"'),
        ({"ask": "backfill", "dates": "5000"}, "At most 3,660 dates", 'value="5000"'),
        ({"ask": "backfill", "dates": "many"}, "Write the number of dates in digits", 'value="many"'),
        ({"ask": "backfill", "dates": ""}, "Say how many dates.", 'name="dates"'),
    ],
)
def test_what_cannot_be_asked_for_says_why_and_keeps_what_was_typed(admin, typed, says, kept):
    answer = admin.post("/runs", typed)

    assert answer.status_code == 400
    assert says in shown(answer)
    assert kept in shown(answer)
    assert 'aria-invalid="true"' in shown(answer)
    assert ("checked" in shown(answer)) is ("pull" in typed)
    assert not JobRun.objects.exists()


def test_a_run_in_the_way_is_named_and_what_was_typed_is_kept(admin):
    running = make_run(state="running", asked_by="bob")
    answer = admin.post("/runs", {"ask": "backfill", "dates": "7"})

    assert answer.status_code == 409
    assert "asked for by bob" in shown(answer)
    assert f'<a href="/runs/{running.pk}">See the run</a>' in shown(answer)
    assert 'value="7"' in shown(answer)


def test_a_form_without_a_button_of_ours_is_refused(admin):
    assert admin.post("/runs", {"ask": "anything"}).status_code == 400
    assert not JobRun.objects.exists()


# --- Publishing -------------------------------------------------------------------------------------------------------
def test_a_held_night_says_what_held_it_and_is_published_by_a_button(admin):
    due = due_slot(timezone.now())
    held = make_run("night", "held", slot=due, message="Sat 21 Nov has 4 % of the usual events.")
    for address in ("/runs", f"/runs/{held.pk}"):
        text = shown(admin.get(address))
        assert "Sat 21 Nov has 4 % of the usual events." in text
        assert f'action="/runs/{held.pk}"' in text
    answer = admin.post(f"/runs/{held.pk}", follow=True)
    held.refresh_from_db()

    assert (held.state, held.params_json["accepted_by"]) == ("queued", "ada")
    assert "the run goes on with the volume it found" in shown(answer)
    assert "Publish anyway" not in shown(answer)


@pytest.mark.parametrize("kind", ["pull", "night"])
def test_a_pull_by_hand_and_a_night_that_another_followed_have_nothing_to_publish(admin, kind):
    slot = due_slot(timezone.now()) - timedelta(days=1) if kind == "night" else None
    held = make_run(kind, "held", slot=slot, message="4 %.", result_json={"pull": RESULT["pull"]})

    for address in ("/runs", f"/runs/{held.pk}"):
        assert "4 %. " in shown(admin.get(address))
        assert "Publish" not in shown(admin.get(address))
    assert "Pulled: 12,480 events in 31 requests" in shown(admin.get("/runs"))


def test_what_is_not_held_any_more_is_not_published(admin):
    done = make_run("night", slot=TODAY)
    answer = admin.post(f"/runs/{done.pk}", follow=True)
    done.refresh_from_db()

    assert done.state == "done"
    assert "not held any more" in shown(answer)


# --- Who may ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("part", ["", "/{id}", "/{id}/row", "/{id}/progress"])
def test_sales_neither_sees_runs_nor_asks_for_them(client, part):
    held = make_run("night", "held", slot=TODAY)
    client.force_login(make_user())
    address = "/runs" + part.format(id=held.pk)

    assert client.get(address).status_code == 403
    assert client.post(address, {"ask": "recompute"}).status_code == 403
    assert JobRun.objects.get().state == "held"
    assert 'href="/runs"' not in shown(client.get("/"))


def test_the_bar_leads_admins_to_the_runs_and_says_where_they_are(admin):
    made = make_run()

    assert '<a href="/runs">Runs</a>' in shown(admin.get("/"))
    assert '<a href="/runs" aria-current="page">Runs</a>' in shown(admin.get("/runs"))
    assert '<a href="/runs" aria-current="true">Runs</a>' in shown(admin.get(f"/runs/{made.pk}"))


def test_a_form_of_another_site_asks_for_nothing():
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("ada", role="internal_admin"))

    assert strict.post("/runs", {"ask": "recompute"}).status_code == 403
    assert not JobRun.objects.exists()


def test_the_page_of_a_run_never_shows_text_of_strangers_as_markup(admin):
    make_snapshot(make_company())
    made = make_run(state="failed", message="<script>alert(1)</script>", asked_by="<i>", params_json={"date": "<b>"})

    for address in ("/runs", f"/runs/{made.pk}", "/"):
        assert "<script>alert" not in shown(admin.get(address))
        assert "<b><" not in shown(admin.get(address))


# --- How numbers are written ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (45_000, "12 h 30 min"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(seconds, text):
    assert took(seconds) == text


def test_large_numbers_are_grouped():
    assert [whole(None), whole(0), whole(1_135_500)] == ["", "0", "1,135,500"]


# --- Domains that are nobody's ----------------------------------------------------------------------------------------
@pytest.fixture
def loose_ends():
    """A personal and a platform domain with activity, and values that are no domain."""
    yesterday = timezone.now().date() - timedelta(days=1)
    make_pull(yesterday, unresolved_json={"not_a_domain": {"events": 9, "examples": {"<b>Acme</b>": 8, "n/a": 1}}})
    make_pull(yesterday - timedelta(days=1), unresolved_json=["odd"])
    make_fact("gmail.com", yesterday, ("page_view", "", "", "", "/", 7))
    make_fact("linkedin.com", yesterday)
    make_fact("acme.example", yesterday)


@pytest.mark.usefixtures("loose_ends")
def test_domains_that_are_nobodys_stand_by_traffic_with_values_that_are_no_domain(admin):
    text = shown(admin.get("/runs/domains"))

    assert text.index(">gmail.com</b>") < text.index(">linkedin.com</b>")
    assert "personal · 7 events on 1 day" in text
    assert ">acme.example</b>" not in text
    assert "&lt;b&gt;Acme&lt;/b&gt;" in text
    make_run()
    assert 'hx-get="/runs/domains"' in shown(admin.get("/runs"))


@pytest.mark.usefixtures("loose_ends")
@pytest.mark.parametrize(
    ("sent", "rules", "says"),
    [
        ({"decide": "not_personal"}, [("gmail.com", "not_personal")], "gmail.com is not personal from the next scores"),
        ({"decide": "personal"}, [("gmail.com", "personal")], "gmail.com is personal from the next scores on."),
        ({"decide": "suppress", "kind": "isp"}, [("gmail.com", "isp")], "gmail.com is suppressed as isp"),
    ],
)
def test_one_press_decides_about_a_domain_and_says_where_it_is_taken_back(admin, sent, rules, says):
    add_alias(make_company(), "acme.test")
    answer = admin.post("/runs/domains", {"domain": "gmail.com", **sent}, follow=True)

    assert answer.redirect_chain == [("/runs/domains", 302)]
    assert list(DomainRule.objects.values_list("domain", "kind")) == rules
    assert says in shown(answer)
    way_back = re.search(r'<a href="(/admin/[^"]+)">', shown(answer))[1].replace("&amp;", "&")
    assert admin.get(way_back).status_code == 200


@pytest.mark.usefixtures("loose_ends")
@pytest.mark.parametrize("domain", ["gmail.com", "linkedin.com"])
def test_an_alias_of_a_mailbox_provider_or_a_platform_says_first_what_it_does(admin, domain):
    add_alias(make_company(), "acme.test")
    sent = {"domain": domain, "decide": "alias", "account": "Acme.test"}
    answer = admin.post("/runs/domains", sent, follow=True)

    assert f"{domain} is a " in shown(answer)
    assert "Everybody who comes from there will count for acme.example." in shown(answer)
    assert not CompanyDomain.objects.filter(domain=domain).exists()
    admin.post(answer.request["PATH_INFO"], {"domain": domain, "change": "join"})
    assert CompanyDomain.objects.filter(domain=domain).exists()


def test_a_domain_that_is_no_mailbox_provider_is_aliased_at_once(admin):
    make_company()
    sent = {"domain": "acme-labs.example", "decide": "alias", "account": "acme.example"}
    answer = admin.post("/runs/domains", sent, follow=True)

    assert "acme-labs.example counts for acme.example from the next scores on." in shown(answer)
    assert CompanyDomain.objects.filter(domain="acme-labs.example").exists()


@pytest.mark.usefixtures("loose_ends")
@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"decide": "alias", "account": "nobody.example"}, "There is no such account"),
        ({"decide": "alias", "account": ""}, "There is no such account"),
        ({"decide": "alias", "account": "other.example"}, "gmail.com is a domain of acme.example already."),
        ({"decide": "suppress"}, "Say as what."),
        ({"decide": "suppress", "kind": "personal"}, "Select a valid choice"),
        ({"decide": "anything"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_decided_says_why_and_keeps_what_was_typed(admin, sent, says):
    make_company("other.example")
    make_domain_rule("gmail.com", "personal")
    if "already" in says:
        CompanyDomain.objects.create(domain="gmail.com", prospect_company=make_company())
    answer = admin.post("/runs/domains", {"domain": "gmail.com", **sent})

    assert answer.status_code == 400
    assert DomainRule.objects.count() == 1
    assert says in shown(answer)
    if "already" not in says:  # then it belongs to somebody, and has no line any more
        assert f'value="{sent.get("account", "")}"' in shown(answer)


def test_forty_domains_take_as_many_queries_as_one(admin):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            assert admin.get("/runs/domains").status_code == 200
        return len(asked)

    yesterday = timezone.now().date() - timedelta(days=1)
    make_fact("gmail.com", yesterday)
    one = queries()
    for number in range(40):
        make_fact(f"n{number}.linkedin.com", yesterday)
    assert queries() == one


def test_sales_decides_about_no_domain(client):
    client.force_login(make_user())

    assert client.get("/runs/domains").status_code == 403
    assert client.post("/runs/domains", {"domain": "gmail.com", "decide": "not_personal"}).status_code == 403
    assert not DomainRule.objects.exists()
