"""What a lead does beyond its own row (spec 9.1-9.3): its account, its person, its score, and the account's score."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as project
from django.core.cache import cache
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Contact, ContactIdentity, IntentSignal, ProspectCompany
from ingestion.leads import tie_loose_leads
from ingestion.models import ActivityPull, LeadRequest
from registry.seeds import seed
from scoring.jobs import rescore
from scoring.models import DailyAccountIntent
from scoring.rollup import recompute
from tests.factories import make_company, make_fact, make_lead, make_pull
from tests.test_hook_faults import Web, a_lead, installed, redis, wait_until  # noqa: F401 - fixtures
from tests.test_jobs import has_redis
from tests.test_jobs import redis as nobody_reads_it  # noqa: F401
from tests.test_kills import dev, server  # noqa: F401
from tests.test_lead_hook import LEAD, URL, but
from tests.test_night_processes import Crew

pytestmark = pytest.mark.django_db
FORM = 60  # points of a form_submitted by the shipped weights; today's are not decayed
KEY = "acme.example"
SEEN_FORM = ("form_submitted", "", "event_space", "", "/request", 1)


@pytest.fixture
def client():
    cache.clear()
    return APIClient()


@pytest.fixture
def today(db):
    """A registry, and facts that are in up to yesterday, as on any morning after the night."""
    seed()
    day = datetime.now(UTC).date()
    for age in range(1, 40):
        make_pull(day - timedelta(days=age))
    return day


def send(client, body=LEAD):
    answer = client.post(URL, json.dumps(body), content_type="application/json")
    assert answer.status_code == 201, answer.json()
    return LeadRequest.objects.get(pk=answer.json()["id"])


def scored(key=KEY):
    """The account's points of this week, by its newest snapshot and its own columns alike."""
    company = ProspectCompany.objects.get(domain=key)
    snapshot = DailyAccountIntent.objects.filter(prospect_company=company).latest("date")
    assert company.score_7d_raw == snapshot.raw_score_7d
    assert company.intent_score == snapshot.intent_score
    return snapshot.raw_score_7d


# --- Spec 9.1 to 9.3 --------------------------------------------------------------------------------------------------
def test_spec_9_1_a_lead_stores_its_account_key_and_is_linked_to_its_company(client, today):
    known = make_company(KEY)

    lead, other = send(client), send(client, but(organization_website="https://www.new.example/"))

    assert (lead.account_key, lead.prospect_company) == (KEY, known)
    assert (other.account_key, other.prospect_company.domain) == ("new.example", "new.example")
    assert ProspectCompany.objects.count() == 2


def test_spec_9_1_a_lead_of_a_personal_address_is_kept_and_counts_for_nobody(client, today):
    lead = send(client, but(work_email="ann@gmail.com", organization_website=""))

    list(recompute(today, datetime.now(UTC)))

    assert (lead.account_key, lead.prospect_company) == (None, None)
    assert lead.lead_score > 0
    assert not ProspectCompany.objects.exists()


def test_spec_9_2_the_tracking_id_becomes_an_identity_of_the_contact_once(client, today):
    for message in ("one", "two"):
        send(client, but(message=message))

    identity = ContactIdentity.objects.get()
    assert (identity.identity_type, identity.identity_value) == ("posthog_distinct_id", "ph-1")
    assert identity.contact == Contact.objects.get(email="ann@acme.example", prospect_company__domain=KEY)


def test_who_fills_in_a_form_was_seen_then_and_a_later_visit_stays(client, today):
    first = send(client)
    contact = Contact.objects.get()
    assert contact.last_seen_at == first.submitted_at

    again = send(client, but(message="again"))
    contact.refresh_from_db()
    assert contact.last_seen_at == again.submitted_at > first.submitted_at

    visit = again.submitted_at + timedelta(hours=1)
    Contact.objects.update(last_seen_at=visit)
    send(client, but(message="once more"))
    contact.refresh_from_db()
    assert contact.last_seen_at == visit


def test_spec_9_3_a_lead_keeps_its_own_score_with_the_parts_that_make_it(client, today):
    rich, poor = send(client), send(client, {"work_email": "bob@acme.example"})

    for lead in (rich, poor):
        assert lead.lead_score == sum(part["points"] for part in lead.lead_score_parts_json)
    assert rich.lead_score > poor.lead_score > 0
    assert (rich.salesforce_lead_id, rich.salesforce_task_id) == (None, None)


# --- What it does to the account's score ------------------------------------------------------------------------------
def test_a_form_that_posthog_never_saw_counts_for_the_account(client, today):
    send(client)
    rescore(KEY)

    assert scored() == pytest.approx(FORM)
    company = ProspectCompany.objects.get()
    assert company.top_lane == "event_space"
    assert "Form" in json.dumps(DailyAccountIntent.objects.get().why_hot_json)


def test_a_form_that_both_saw_counts_once(client, today):
    make_fact(KEY, today, SEEN_FORM)
    rescore(KEY)
    before = scored()

    send(client)
    rescore(KEY)
    assert scored() == before == pytest.approx(FORM)

    send(client, but(message="And another."))
    rescore(KEY)
    assert scored() == pytest.approx(2 * FORM)


def test_a_lead_that_came_twice_counts_once(client, today):
    first, second = send(client), send(client)
    rescore(KEY)

    assert first == second
    assert scored() == pytest.approx(FORM)
    assert IntentSignal.objects.count() == Contact.objects.count() == 1


def test_spam_counts_for_nobody(client, today):
    make_fact(KEY, today, SEEN_FORM)
    rescore(KEY)

    lead = send(client, but(company_fax="1"))
    send(client, but(company_fax="1", message="Again."))
    rescore(KEY)

    assert (lead.status, lead.account_key, lead.lead_score) == ("spam", None, None)
    assert scored() == pytest.approx(FORM)
    assert not Contact.objects.exists()


def test_a_lead_before_the_nights_pull_is_stored_and_waits_for_the_night(client, today):
    yesterday = today - timedelta(days=1)
    ActivityPull.objects.get(date=yesterday).delete()
    send(client)
    rescore(KEY)
    assert not DailyAccountIntent.objects.exists()

    make_pull(yesterday)
    list(recompute(yesterday, datetime.now(UTC)))
    list(recompute(today, datetime.now(UTC)))

    assert scored() == pytest.approx(FORM)


def test_a_lead_that_could_not_be_tied_is_tied_by_the_night_once(today):
    fields = {"work_email": "ann@acme.example", "tracking_json": {"posthog_distinct_id": "ph-1"}, "lane": "office"}
    make_lead(KEY, today, organization_name="Acme", **fields)
    make_lead(None, today, work_email="ann@gmail.com")
    make_lead(None, today, status="spam")

    assert [tie_loose_leads() for _ in range(2)] == [1, 0]
    list(recompute(today, datetime.now(UTC)))

    lead = LeadRequest.objects.get(account_key=KEY)
    assert (lead.prospect_company.name, lead.contact.email) == ("Acme", "ann@acme.example")
    assert lead.lead_score > 0
    assert ContactIdentity.objects.get().contact == lead.contact
    assert IntentSignal.objects.get().occurred_at == lead.submitted_at
    assert scored() == pytest.approx(FORM)


REFUSE = "SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = 'not this one'"


@pytest.fixture
def no_contact_can_be_made(transactional_db):
    """The database itself refuses them."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON contacts FOR EACH ROW BEGIN {REFUSE}; END")
        yield
        cursor.execute("DROP TRIGGER refuse")


@has_redis
@pytest.mark.mariadb  # whose trigger it is
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_contact_can_be_made", "nobody_reads_it")  # no worker scores the account meanwhile
def test_a_lead_is_stored_though_its_contact_cannot_be_and_is_sent_again_as_the_same_one(client):
    seed()

    lead, again = send(client), send(client)

    assert lead == again
    assert (lead.account_key, lead.prospect_company, lead.contact, lead.lead_score) == (KEY, None, None, None)
    assert not ProspectCompany.objects.exists()  # nothing half made
    assert not IntentSignal.objects.exists()


# --- Within seconds ---------------------------------------------------------------------------------------------------
@pytest.mark.mariadb  # SQLite in memory has no second connection for the thread
@pytest.mark.django_db(transaction=True)
def test_inline_the_account_is_scored_again_by_the_process_that_took_the_lead(client, settings):
    settings.JOBS = "inline"
    seed()

    send(client)

    for thread in threading.enumerate():
        if thread.name == f"rescore {KEY}":
            thread.join(timeout=30)
    assert scored() == pytest.approx(FORM)


@pytest.mark.soak
@pytest.mark.skipif("mysql" not in project.DATABASES["default"]["ENGINE"], reason="starts a MariaDB of its own")
@pytest.mark.parametrize("jobs", ["by a worker", "by a worker that comes later", "inline"])
def test_within_seconds_of_a_lead_over_http_its_account_has_its_score(dev, installed, redis, tmp_path, jobs):  # noqa: F811
    crew = Crew(installed, tmp_path)
    chosen = {"REDIS_URL": ""} if jobs == "inline" else {}
    web = Web(dev, installed, tmp_path, DATABASE_PROFILE="jobs", **chosen)  # a slow machine is no frozen database
    sent = a_lead(jobs.replace(" ", "-"))
    try:
        if jobs == "by a worker":
            redis.client.delete("rq:workers")  # of those that were killed
            crew.workers({})
            wait_until(lambda: redis.client.scard("rq:workers"), said=crew.said, seconds=60)
        assert web.post(sent).status == 201
        if jobs == "by a worker that comes later":
            crew.workers({})
        key = sent["work_email"].partition("@")[2]
        score = f"SELECT score_7d_raw, intent_score > 0, top_lane FROM prospect_companies WHERE domain = '{key}'"
        wait_until(
            lambda: installed.query(score) == [(FORM, 1, "event_space")],
            said=lambda: f"{installed.query(score)} {web.said()} {crew.said()}",
            seconds=60,
        )
    finally:
        web.kill()
        crew.dismiss()
