"""/api/abm/lead-requests: the list and its filters, the CSV, one lead, and how far it is."""

import csv
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from abm_project.api import lists
from accounts.models import CompanyDomain, Contact, ContactIdentity, IntentSignal
from accounts.resolution import merge, unmerge
from ingestion.leads import ingest_lead_request, tie
from ingestion.models import LeadRequest
from registry.seeds import seed
from tests.factories import DAY, make_company, make_lead, make_person, make_user
from tests.test_jobs import nobody_wakes  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nobody_wakes")]
LIST, CSV = "/api/abm/lead-requests", "/api/abm/lead-requests.csv"
UNKNOWN = "01890000-0000-7000-8000-000000000000"
ID = "00Q5e00001AbCdEFGH"


@pytest.fixture
def sales(client):
    client.force_login(make_user("sam"))
    return client


@pytest.fixture
def admin(client):
    client.force_login(make_user("ann", role="internal_admin"))
    return client


def listed(client, **query):
    answer = client.get(LIST, query)
    assert answer.status_code == 200, answer.json()
    return [row["work_email"].partition("@")[0] for row in answer.json()["results"]]


def lead(name, key="acme.example", **fields):
    return make_lead(key, work_email=f"{name}@{key or 'gmail.com'}", **fields)


def patch(client, row, **body):
    return client.patch(f"{LIST}/{row.pk}", body, content_type="application/json")


def problems(answer):
    assert answer.status_code == 400, answer.status_code
    return {error["attr"]: error["code"] for error in answer.json()["errors"]}


# --- The list ---------------------------------------------------------------------------------------------------------
def test_a_row_says_who_asked_for_what_and_whose_account_it_is(sales):
    company = make_company("acme.example", name="Acme")
    row = lead("ann", prospect_company=company, lane="event_space", request_type="reservation", lead_score=75)

    body = sales.get(LIST).json()

    assert (body["count"], body["page"], body["limit"], body["next"], body["previous"]) == (1, 1, 50, None, None)
    (shown,) = body["results"]
    assert (shown["id"], shown["status"], shown["lane"], shown["lead_score"]) == (str(row.pk), "new", "event_space", 75)
    assert (shown["account"]["domain"], shown["account"]["name"]) == ("acme.example", "Acme")
    assert not {"payload", "message", "phone"} & set(shown)


def test_the_newest_come_first_and_other_orders_can_be_asked_for(sales):
    for age, (name, points) in enumerate([("new", 10), ("mid", None), ("old", 90)]):
        lead(name, day=DAY - timedelta(days=age), lead_score=points)

    assert listed(sales) == listed(sales, ordering="-submitted_at") == ["new", "mid", "old"]
    assert listed(sales, ordering="submitted_at") == ["old", "mid", "new"]
    assert listed(sales, ordering="-lead_score") == ["old", "new", "mid"]
    assert listed(sales, ordering="lead_score") == ["mid", "new", "old"]


def test_pages_lead_to_each_other_and_one_past_the_end_is_empty(sales):
    for number in range(5):
        lead(f"p{number}", day=DAY - timedelta(days=number))

    first = sales.get(f"{LIST}?limit=2&ordering=-submitted_at").json()
    second = sales.get(first["next"]).json()
    third = sales.get(second["next"]).json()
    beyond = sales.get(LIST, {"limit": 2, "page": 9}).json()

    seen = [row["work_email"] for page in (first, second, third) for row in page["results"]]
    assert seen == [f"p{number}@acme.example" for number in range(5)]
    assert (third["next"], first["previous"]) == (None, None)
    assert sales.get(second["previous"]).json() == first
    assert (beyond["count"], beyond["results"], sales.get(beyond["previous"]).json()["page"]) == (5, [], 3)


def test_status_lane_score_and_time_are_filters_that_add_up(sales):
    lead("a", status="working", lane="desk", lead_score=60)
    lead("b", status="working", lane="Desk", lead_score=59)
    lead("c", status="new", lane="desk", lead_score=61, day=DAY - timedelta(days=1))
    lead("d", lane="desk")

    assert listed(sales, status="working", ordering="-lead_score") == ["a", "b"]
    assert listed(sales, lane="desk", min_score=60) == ["a", "c"]
    assert listed(sales, min_score=0, ordering="lead_score") == ["b", "a", "c"]
    assert sorted(listed(sales, since=str(DAY))) == ["a", "b", "d"]
    assert listed(sales, since=f"{DAY}T12:00:01Z") == []
    assert len(listed(sales, since=f"{DAY}T13:00:00+01:00")) == 3
    assert listed(sales, status="new", lane="desk", min_score=61, since="2026-01-01") == ["c"]


def test_an_account_is_meant_by_any_of_its_domains_and_by_those_merged_into_it(sales):
    root = make_company("acme.example")
    CompanyDomain.objects.create(prospect_company=root, domain="acme.test")
    merged = make_company("bought.example", merged_into=root)
    lead("own", prospect_company=root)
    lead("alias", "acme.test")
    lead("bought", "bought.example", prospect_company=merged)
    lead("other", "other.example")
    lead("free", None)

    for domain in ("acme.example", "acme.test", "bought.example", "https://www.ACME.example/about"):
        assert sorted(listed(sales, account=domain)) == ["alias", "bought", "own"], domain
    assert listed(sales, account="other.example") == ["other"]
    assert listed(sales, account="unknown.example") == []
    assert listed(sales, account="acme.test", search="own", ordering="-lead_score") == ["own"]


def test_a_lead_of_a_merged_account_shows_the_account_one_sees_and_its_own_again_afterwards(sales):
    head, middle, bought = (make_company(f"{name}.example") for name in ("head", "middle", "bought"))
    merge(middle, head)
    merge(bought, middle)
    row = lead("bought", "bought.example", prospect_company=bought)
    lead("own", "head.example", prospect_company=head)

    def shown():
        rows = sales.get(LIST).json()["results"]
        return {found["work_email"].partition("@")[0]: found["account"]["domain"] for found in rows}

    assert shown() == {"bought": "head.example", "own": "head.example"}
    one = sales.get(f"{LIST}/{row.pk}").json()
    assert (one["account"]["id"], one["account_key"]) == (str(head.pk), "bought.example")
    unmerge(middle)
    assert shown() == {"bought": "middle.example", "own": "head.example"}
    assert LeadRequest.objects.get(pk=row.pk).prospect_company == bought


def test_leads_of_merged_accounts_take_two_more_queries_however_many(sales):
    def queries(count):
        for number in range(count):
            bought = make_company(f"b{count}x{number}.example", merged_into=head)
            lead(f"p{count}x{number}", bought.domain, prospect_company=bought)
        with CaptureQueriesContext(connection) as seen:
            sales.get(LIST, {"limit": 200})
        return len(seen)

    head = make_company("head.example")
    assert queries(1) == queries(39)


def test_a_search_looks_at_names_address_organisation_and_message(sales):
    lead("ann", first_name="Ann", last_name="Archer")
    lead("bob", organization_name="Archers & Sons")
    lead("cid", message="We are archers.\nAll of us.")
    lead("archer-d")
    lead("eve", title="archer")

    assert sorted(listed(sales, search="ARCHER")) == ["ann", "archer-d", "bob", "cid"]
    assert listed(sales, search="ann archer") == ["ann"]
    assert listed(sales, search="100%") == listed(sales, search="_") == []


@pytest.mark.parametrize(
    ("query", "attr", "code"),
    [
        ("status=hot", "status", "invalid_choice"),
        ("account=no domain", "account", "invalid"),
        ("account=192.168.0.1", "account", "invalid"),
        ("lane=" + "x" * 65, "lane", "max_length"),
        ("since=yesterday", "since", "invalid"),
        ("since=2026-02-30", "since", "invalid"),
        ("since=0001-01-01T00:00:00%2B10:00", "since", "invalid"),
        ("min_score=101", "min_score", "max_value"),
        ("min_score=-1", "min_score", "min_value"),
        ("min_score=x", "min_score", "invalid"),
        ("search=%00", "search", "null_characters_not_allowed"),
        ("search=" + "x" * 201, "search", "max_length"),
        ("ordering=password", "ordering", "invalid_choice"),
        ("page=0", "page", "min_value"),
        ("page=-1", "page", "min_value"),
        ("limit=201", "limit", "max_value"),
        ("limit=1000000000", "limit", "max_value"),
        ("offset=1", "offset", "unknown"),
        ("format=xml", "format", "unknown"),
        ("status=new&status=spam", "status", "repeated"),
        ("page=1&page=2", "page", "repeated"),
    ],
)
@pytest.mark.parametrize("address", [LIST, CSV])
def test_reliability_26_what_is_not_understood_is_refused_by_name(admin, address, query, attr, code):
    if address == CSV and attr in ("page", "limit"):
        code = "unknown"
    assert problems(admin.get(f"{address}?{query}")) == {attr: code}


def test_everything_that_is_wrong_is_said_at_once(sales):
    assert problems(sales.get(f"{LIST}?status=hot&since=x&nonsense=1")) == {
        "status": "invalid_choice", "since": "invalid", "nonsense": "unknown",
    }  # fmt: skip


def test_one_lead_and_forty_take_the_same_number_of_queries(sales):
    def queries(**query):
        with CaptureQueriesContext(connection) as captured:
            assert sales.get(LIST, query).status_code == 200
        return len(captured)

    def add(number):
        company = make_company(f"c{number}.example")
        lead(f"p{number}", company.domain, prospect_company=company)

    add(0)
    plain, filtered = queries(), queries(account="c0.example", search="p")
    for number in range(1, 40):
        add(number)

    assert queries() == plain == 5  # session, user, count, ids, rows
    assert queries(account="c0.example", search="p") == filtered == 9  # and: account, root, family twice


# --- The CSV ----------------------------------------------------------------------------------------------------------
def exported(client, **query):
    answer = client.get(CSV, query)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.streaming
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("ordering", ["-submitted_at", "submitted_at", "-lead_score", "lead_score"])
def test_the_csv_has_every_row_of_the_filter_in_its_order(admin, monkeypatch, ordering):
    monkeypatch.setattr(lists, "CSV_BATCH", 7)
    for number in range(40):
        points = number % 5 * 20 if number % 7 else None
        lead(f"p{number}", day=DAY - timedelta(days=number % 3), lead_score=points, lane="desk" if number % 2 else "")

    rows = [row["work_email"].partition("@")[0] for row in exported(admin, lane="desk", ordering=ordering)]

    assert len(rows) == 20
    assert rows == listed(admin, lane="desk", ordering=ordering, limit=200)


def test_reliability_23_the_csv_holds_text_that_no_spreadsheet_runs(admin):
    told = {
        "message": '=HYPERLINK("http://evil.example")',
        "phone": "+1 555",
        "title": " @SUM(A1)",
        "first_name": "é\n2",
    }
    lead("ann", **told, quantity=40)

    (row,) = exported(admin)

    assert (row["message"], row["phone"], row["title"]) == (f"'{told['message']}", "'+1 555", "' @SUM(A1)")
    assert (row["first_name"], row["quantity"], row["lead_score"]) == ("é\n2", "40", "")


def test_the_csv_comes_whatever_the_accept_header_says(admin):
    assert admin.get(CSV, headers={"accept": "text/csv"}).status_code == 200
    assert admin.get(f"{CSV}?x=1", headers={"accept": "text/csv"})["Content-Type"] == "application/json"


# --- One lead ---------------------------------------------------------------------------------------------------------
def full_lead():
    company = make_company("acme.example")
    return lead(
        "ann",
        prospect_company=company,
        contact=make_person(company, "ann@acme.example", title="Head"),
        message="A launch.",
        lead_score=30,
        lead_score_parts_json=[{"criterion": "company_known", "points": 20}, {"criterion": "phone", "points": 10}],
        utm_json={"utm_source": "mail"},
        tracking_json={"posthog_distinct_id": "ph-1"},
        payload_json={"work_email": "ann@acme.example", "extra": 1},
    )


def test_one_lead_has_all_a_salesperson_needs(sales):
    shown = sales.get(f"{LIST}/{full_lead().pk}").json()

    assert (shown["message"], shown["utm"], shown["has_tracking"]) == ("A launch.", {"utm_source": "mail"}, True)
    assert sum(part["points"] for part in shown["lead_score_parts"]) == shown["lead_score"] == 30
    assert (shown["contact"]["title"], shown["account"]["domain"]) == ("Head", "acme.example")
    assert (shown["payload"], shown["why_hot"]) == (None, None)


def test_an_admin_also_sees_what_was_sent(admin):
    assert admin.get(f"{LIST}/{full_lead().pk}").json()["payload"] == {"work_email": "ann@acme.example", "extra": 1}


def test_a_lead_of_nobody_is_shown_too(sales):
    shown = sales.get(f"{LIST}/{lead('ann', None).pk}").json()

    assert (shown["account"], shown["contact"], shown["account_key"], shown["has_tracking"]) == (
        None,
        None,
        None,
        False,
    )


def test_a_lead_that_does_not_exist_is_404_in_the_one_shape(sales):
    answer = sales.get(f"{LIST}/{UNKNOWN}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert sales.patch(f"{LIST}/{UNKNOWN}", {"status": "new"}, content_type="application/json").status_code == 404


# --- How far it is ----------------------------------------------------------------------------------------------------
def test_sales_says_how_far_a_lead_is(sales):
    row = lead("ann")

    answer = patch(sales, row, status="qualified")

    assert (answer.status_code, answer.json()["status"]) == (200, "qualified")
    row.refresh_from_db()
    assert (row.status, row.account_key) == ("qualified", "acme.example")


def test_an_admin_says_where_it_is_in_salesforce_and_sales_may_not(admin):
    row = lead("ann")

    assert patch(admin, row, salesforce_lead_id=ID, salesforce_task_id=ID).json()["salesforce_lead_id"] == ID
    assert patch(admin, row, salesforce_lead_id=None).json()["salesforce_task_id"] == ID
    admin.force_login(make_user("sam"))
    refused = patch(admin, row, salesforce_lead_id=ID, status="working")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    row.refresh_from_db()
    assert (row.status, row.salesforce_lead_id, row.salesforce_task_id) == ("new", None, ID)


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({"status": "hot"}, "status", "invalid_choice"),
        ({"status": None}, "status", "null"),
        ({"status": 1}, "status", "invalid_choice"),
        ({"status": ["new"]}, "status", "invalid_choice"),
        ({"salesforce_lead_id": "00Q5e00001AbCdE"}, "salesforce_lead_id", "invalid"),
        ({"salesforce_task_id": 123456789012345678}, "salesforce_task_id", "invalid"),
        ({"salesforce_task_id": ""}, "salesforce_task_id", "blank"),
        ({"note": "x"}, "note", "unknown"),
        ([], None, "invalid"),
        *(
            ({field.name: "7"}, field.name, "unknown")
            for field in LeadRequest._meta.concrete_fields
            if field.name not in ("status", "salesforce_lead_id", "salesforce_task_id")
        ),
    ],
)
def test_reliability_12_nothing_else_can_be_changed(admin, body, attr, code):
    row = lead("ann")
    before = LeadRequest.objects.values().get()

    answer = admin.patch(f"{LIST}/{row.pk}", body, content_type="application/json")

    assert problems(answer) == {attr: code}
    assert LeadRequest.objects.values().get() == before


def test_a_body_in_chunks_is_refused_and_not_taken_for_an_empty_one(admin):
    answer = admin.patch(f"{LIST}/{lead('ann').pk}", headers={"transfer-encoding": "chunked"})

    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


def test_what_becomes_spam_is_nobodys_and_comes_back_as_it_was(sales, django_capture_on_commit_callbacks):
    seed()
    row = lead("ann", phone="+1 555", message="Hello")
    tie(row)
    row.save()
    before = LeadRequest.objects.values("account_key", "prospect_company", "contact__email", "lead_score").get()

    spam = patch(sales, row, status="spam").json()

    nothing = (spam["account"], spam["account_key"], spam["contact"], spam["lead_score"], spam["lead_score_parts"])
    assert nothing == (None, None, None, None, [])
    assert not IntentSignal.objects.exists()
    patch(sales, row, status="working")
    after = LeadRequest.objects.values("account_key", "prospect_company", "contact__email", "lead_score").get()
    assert after == before
    assert IntentSignal.objects.get().detail_json == {"lead_request": str(row.pk)}
    assert Contact.objects.count() == 1


def test_somebody_known_by_spam_alone_is_nobody_and_is_somebody_again_when_it_is_no_spam(sales):
    one, other = (spoken(message) for message in ("one", "two"))
    assert Contact.objects.get().identities.count() == 1

    patch(sales, one, status="spam")
    assert Contact.objects.exists()  # the other lead is theirs
    patch(sales, other, status="spam")
    assert not Contact.objects.exists()
    assert not ContactIdentity.objects.exists()

    shown = patch(sales, other, status="new").json()
    assert (shown["contact"]["email"], shown["contact"]["first_name"]) == ("ann@acme.example", "Ann")
    assert Contact.objects.get().identities.get().identity_value == "ph-1"


def spoken(message):
    """A lead as the door stores it."""
    said = {"work_email": "ann@acme.example", "first_name": "Ann", "message": message}
    tracking = {"tracking_json": {"posthog_distinct_id": "ph-1"}}
    return ingest_lead_request({**said, **tracking}, said, message.encode(), timezone.now()).lead


@pytest.mark.parametrize("known_by", ["an admin", "Salesforce"])
def test_somebody_who_is_known_otherwise_stays_when_their_lead_is_spam(sales, known_by):
    if known_by == "an admin":
        Contact.objects.create(prospect_company=make_company("acme.example"), email="ann@acme.example")
    row = spoken("one")
    if known_by == "Salesforce":
        Contact.objects.update(salesforce_contact_id="003000000000001AAA")

    patch(sales, row, status="spam")

    assert Contact.objects.get().email == "ann@acme.example"


def test_a_false_alarm_of_the_honeypot_gets_its_account(sales):
    row = make_lead(None, status="spam", work_email="ann@acme.example", organization_name="Acme")

    shown = patch(sales, row, status="new").json()

    assert (shown["account_key"], shown["account"]["name"]) == ("acme.example", "Acme")
    assert shown["contact"]["email"] == "ann@acme.example"


def test_a_lead_whose_person_was_erased_gets_its_account_and_nobody(sales):
    row = make_lead(None, status="spam", organization_website="https://acme.example")

    shown = patch(sales, row, status="new").json()

    assert (shown["account"]["domain"], shown["contact"]) == ("acme.example", None)


def test_other_changes_of_status_do_not_touch_the_account(sales):
    row = lead("ann", prospect_company=make_company("acme.example"))
    tie(row)
    row.save()

    for status in ("working", "qualified", "disqualified", "new", "new"):
        patch(sales, row, status=status)

    assert IntentSignal.objects.count() == 1


def test_the_score_of_the_account_follows_when_a_lead_becomes_spam_and_back(sales, django_capture_on_commit_callbacks):
    row = lead("ann", prospect_company=make_company("acme.example"))

    def rescored(status):
        with django_capture_on_commit_callbacks() as callbacks:
            patch(sales, row, status=status)
        return [callback.args for callback in callbacks if hasattr(callback, "args")]

    assert rescored("working") == []
    assert rescored("spam") == [("acme.example",)]
    assert rescored("spam") == []
    assert rescored("new") == [("acme.example",)]


@pytest.mark.mariadb  # threads on the in-memory database of the tests are turned away, not made to wait
@pytest.mark.django_db(transaction=True)
def test_two_who_say_at_once_that_a_lead_is_no_spam_tie_it_once():
    row = make_lead(None, status="spam", work_email="ann@acme.example")
    user = make_user("sam")

    def say(status):
        client = Client()
        client.force_login(user)
        try:
            return patch(client, row, status=status).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(say, ["new", "working"] * 8)) == {200}
    for thread in threading.enumerate():  # its account is scored behind the answer
        if thread.name.startswith("rescore"):
            thread.join(10)

    assert IntentSignal.objects.count() == Contact.objects.count() == 1


# --- Who may ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", [None, "anonymous"])
def test_without_a_role_nobody_reads_or_changes(client, role):
    if role != "anonymous":
        client.force_login(make_user(role=role))
    row = lead("ann")

    assert {client.get(address).status_code for address in (LIST, CSV, f"{LIST}/{row.pk}")} == {403}
    assert patch(client, row, status="spam").status_code == 403


def test_names_and_addresses_of_all_leads_are_exported_by_admins_alone(sales):
    assert (sales.get(LIST).status_code, sales.get(CSV).status_code) == (200, 403)
