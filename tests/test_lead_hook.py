"""The public door for leads: what it takes, what it refuses, and that a lead is stored once (spec 9)."""

import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from abm_project.api.signatures import signature
from accounts.models import CompanyDomain, Contact, ContactIdentity, IntentSignal, ProspectCompany
from ingestion.models import LeadRequest
from registry.seeds import seed
from tests.factories import make_company, make_domain_rule

pytestmark = pytest.mark.django_db
URL = "/api/hooks/lead-requests"
LEAD = {
    "work_email": "Ann@Acme.example",
    "first_name": "Ann",
    "last_name": "Archer",
    "title": "Head of Ops",
    "organization_name": "Acme",
    "organization_website": "https://www.acme.example/about",
    "service_lane": "event_space",
    "request_type": "reservation",
    "budget": "10k",
    "quantity": 40,
    "message": "A launch in March.",
    "consent": True,
    "utm_source": "newsletter",
    "tracking": {"posthog_distinct_id": "ph-1"},
}


@pytest.fixture(autouse=True)
def no_counts():
    cache.clear()


@pytest.fixture
def client():
    return APIClient()


def post(client, body=None, raw=None, **headers):
    data = raw if raw is not None else json.dumps(LEAD if body is None else body)
    content_type = headers.pop("content_type", "application/json")
    return client.post(URL, data, content_type=content_type, headers=headers)


def but(**changes):
    return {**LEAD, **changes}


# --- What is stored ---------------------------------------------------------------------------------------------------
def test_a_lead_is_stored_with_its_account_contact_identity_signal_and_score(client):
    seed()

    answer = post(client)

    assert answer.status_code == 201, answer.json()
    lead = LeadRequest.objects.get()
    assert answer.json() == {"id": str(lead.pk), "received_at": lead.submitted_at.isoformat()}
    assert lead.account_key == "acme.example"
    assert (lead.work_email, lead.lane, lead.request_type, lead.quantity) == (
        "ann@acme.example", "event_space", "reservation", 40,
    )  # fmt: skip
    assert lead.utm_json == {"utm_source": "newsletter"}
    assert lead.payload_json == LEAD
    company = ProspectCompany.objects.get()
    assert (company.domain, company.name, company.name_source) == ("acme.example", "Acme", "lead")
    contact = Contact.objects.get()
    assert (contact.email, contact.title, contact.prospect_company) == ("ann@acme.example", "Head of Ops", company)
    assert ContactIdentity.objects.get().identity_value == "ph-1"
    signal = IntentSignal.objects.get()
    assert signal.summary == "Reservation request by Ann Archer for event_space"
    assert (lead.prospect_company, lead.contact, signal.contact) == (company, contact, contact)
    assert lead.lead_score == sum(part["points"] for part in lead.lead_score_parts_json) == 75


@pytest.mark.parametrize(
    ("website", "email", "key"),
    [
        ("https://www.AcmeSpace.com/path", "ann@other.example", "acmespace.com"),
        ("", "ann@acme.example", "acme.example"),
        ("https://www.linkedin.com/company/acme", "ann@acme.example", "acme.example"),
        ("https://acme.wixsite.com/home", "ann@acme.example", "acme.example"),
        ("not a url", "ann@acme.example", "acme.example"),
        ("", "name@gmail.com", None),
        ("https://facebook.com/acme", "name@gmail.com", None),
        ("", "jörg@müller.example", "xn--mller-kva.example"),
        ("http://192.168.0.1/", "ann@localhost", None),
    ],
)
def test_spec_2_the_website_names_the_account_else_the_email_else_nobody(client, website, email, key):
    assert post(client, but(organization_website=website, work_email=email)).status_code == 201

    lead = LeadRequest.objects.get()
    assert lead.account_key == key
    assert (lead.prospect_company is None) == (key is None)


def test_domain_rules_and_further_domains_decide_too(client):
    make_domain_rule("acme.example", "personal")
    parent = make_company("parent.example")
    CompanyDomain.objects.create(prospect_company=parent, domain="child.example")

    post(client)
    post(client, but(organization_website="https://child.example"))

    first, second = LeadRequest.objects.order_by("created_at")
    assert first.account_key is None
    assert (second.account_key, second.prospect_company) == ("child.example", parent)


def test_a_second_lead_of_a_person_renews_what_is_known_and_leaves_what_it_does_not_say(client):
    post(client)
    post(client, but(title="", phone="+1 555", tracking={"posthog_distinct_id": "ph-2"}))

    contact = Contact.objects.get()
    assert (contact.title, contact.phone) == ("Head of Ops", "+1 555")
    assert contact.identities.count() == 2
    assert LeadRequest.objects.count() == 2


def test_a_browser_that_two_people_share_stays_the_first_ones(client):
    post(client)
    post(client, but(work_email="bob@acme.example"))

    assert ContactIdentity.objects.get().contact.email == "ann@acme.example"


@pytest.mark.parametrize(
    "field",
    ["id", "lead_score", "account_key", "status", "prospect_company", "prospect_company_id", "contact_id", "contact",
     "salesforce_lead_id", "salesforce_task_id", "submitted_at", "created_at", "payload_json", "dedupe_key",
     "body_sha256", "why_hot_json", "lead_score_parts_json", "lane", "tracking_json", "utm_json"],
)  # fmt: skip
def test_reliability_12_a_server_set_field_can_be_sent_and_sets_nothing(client, field):
    assert post(client, but(work_email="ann@gmail.com", organization_website="", **{field: "7"})).status_code == 201

    lead = LeadRequest.objects.get()
    assert lead.payload_json[field] == "7"
    assert (lead.account_key, lead.status, lead.lane, lead.salesforce_lead_id) == (None, "new", "event_space", None)
    assert str(lead.pk) != "7"


def test_the_honeypot_makes_spam_that_is_kept_answered_and_nobodys(client):
    assert post(client, but(company_fax="123")).status_code == 201

    lead = LeadRequest.objects.get()
    assert (lead.status, lead.account_key, lead.prospect_company) == ("spam", None, None)
    assert not ProspectCompany.objects.exists()
    assert not Contact.objects.exists()


# --- Once -------------------------------------------------------------------------------------------------------------
def test_reliability_2_the_same_body_again_is_the_same_lead_and_the_same_answer(client):
    first, second = post(client), post(client)

    assert second.status_code == first.status_code == 201
    assert second.json() == first.json()
    assert ("Idempotency-Replayed" in first, second["Idempotency-Replayed"]) == (False, "true")
    assert LeadRequest.objects.count() == IntentSignal.objects.count() == 1


def test_after_a_day_the_same_words_are_a_new_lead(client):
    post(client)
    LeadRequest.objects.update(submitted_at=LeadRequest.objects.get().submitted_at - timedelta(hours=24, seconds=1))

    assert "Idempotency-Replayed" not in post(client)
    assert "Idempotency-Replayed" in post(client)
    assert LeadRequest.objects.count() == 2


def test_an_idempotency_key_stands_for_one_body(client):
    first = post(client, idempotency_key="k-1")
    again = post(client, idempotency_key="k-1")
    other = post(client, but(message="else"), idempotency_key="k-1")
    fresh = post(client, idempotency_key="k-2")

    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert fresh.json()["id"] != first.json()["id"]
    assert LeadRequest.objects.count() == 2


def test_what_was_refused_may_come_again_under_the_same_key(client):
    assert post(client, but(work_email=""), idempotency_key="k-1").status_code == 400
    assert post(client, idempotency_key="k-1").status_code == 201


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_an_odd_idempotency_key_is_refused(client, key):
    assert post(client, idempotency_key=key).status_code == 400


# --- What is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"work_email": ""}, "work_email"),
        ({"work_email": None}, "work_email"),
        ({"work_email": 5}, "work_email"),
        ({"work_email": "a@b@c"}, "work_email"),
        ({"work_email": "ann"}, "work_email"),
        ({"work_email": "an n@acme.example"}, "work_email"),
        ({"work_email": "a@" + "x" * 253}, "work_email"),
        ({"first_name": 5}, "first_name"),
        ({"first_name": ["Ann"]}, "first_name"),
        ({"first_name": "x" * 101}, "first_name"),
        ({"message": "x" * 10_001}, "message"),
        ({"quantity": "5"}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 10**20}, "quantity"),
        ({"consent": "yes"}, "consent"),
        ({"consent": 1}, "consent"),
        ({"request_type": "party"}, "request_type"),
        ({"request_type": 7}, "request_type"),
        ({"tracking": "ph-1"}, "tracking"),
        ({"tracking": {"posthog_distinct_id": 7}}, "tracking.posthog_distinct_id"),
        ({"utm_source": {}}, "utm_source"),
    ],
)
def test_reliability_11_a_field_of_another_kind_is_named_and_nothing_is_stored(client, change, attr):
    answer = post(client, but(**change))

    assert answer.status_code == 400, answer.json()
    assert [error["attr"] for error in answer.json()["errors"]] == [attr]
    assert not LeadRequest.objects.exists()


def test_null_and_absent_are_the_same_for_what_may_be_left_out(client):
    assert post(client, {"work_email": "ann@acme.example", "first_name": None, "quantity": None}).status_code == 201
    assert LeadRequest.objects.get().first_name == ""


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"   ", 400, "empty"),
        (b"{", 400, "parse_error"),
        (b"[]", 400, "invalid"),
        (b'"text"', 400, "invalid"),
        (b"null", 400, "invalid"),
        (b'{"work_email":"a@b.example","work_email":"c@d.example"}', 400, "duplicate_key"),
        (b'{"x":{"a":1,"a":2}}', 400, "duplicate_key"),
        (b'{"message":"\\u0000"}', 400, "nul_character"),
        (b'{"a":[{"b":"\\ud800"}]}', 400, "lone_surrogate"),
        (b'{"\\udc00":1}', 400, "lone_surrogate"),
        (b'{"x":NaN}', 400, "parse_error"),
        (b'{"x":-Infinity}', 400, "parse_error"),
        (b'{"x":1e999}', 400, "number_too_large"),
        (b'{"x":' + b"9" * 5_000 + b"}", 400, "number_too_large"),
        (b'{"x":' + b"[" * 19 + b"]" * 19 + b"}", 400, "invalid"),
        (b'{"x":' + b"[" * 20 + b"]" * 20 + b"}", 400, "too_deep"),
        (b"[" * 60_000, 400, "too_deep"),
        (b'{"x":"' + b"[" * 40 + b'"}', 400, "invalid"),
        (json.dumps(LEAD).encode("utf-16"), 400, "not_utf8"),
        (b'{"x":"\xff"}', 400, "not_utf8"),
    ],
)
def test_reliability_5_to_11_what_is_not_strict_json_is_a_400_with_its_reason(client, raw, status, code):
    answer = post(client, raw=raw)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    assert not LeadRequest.objects.exists()


def test_a_leading_byte_order_mark_is_accepted(client):
    assert post(client, raw=b"\xef\xbb\xbf" + json.dumps(LEAD).encode()).status_code == 201


@pytest.mark.parametrize(("size", "status"), [(65_536, 201), (65_537, 413)])
def test_reliability_4_the_body_ends_at_64_kb(client, size, status):
    body = but(note="")
    padding = size - len(json.dumps(body))
    raw = json.dumps(but(note="x" * padding)).encode()
    assert len(raw) == size

    answer = post(client, raw=raw)

    assert answer.status_code == status
    assert LeadRequest.objects.count() == (status == 201)


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "application/json; charset=utf-16"},
        {"content_type": "application/json; charset=zzz"},
        {"content_encoding": "gzip"},
    ],
)
def test_reliability_8_only_plain_json_in_utf_8_is_understood(client, headers):
    answer = post(client, **headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_methods_are_405(client, method):
    assert getattr(client, method)(URL).status_code == 405


# --- Who may post -----------------------------------------------------------------------------------------------------
def signed(raw, at, secret="s1", separator=","):
    return f"t={int(at)}{separator}v1={signature(secret, int(at), raw)}"


def test_the_signature_is_the_documented_one():
    expected = hmac.new(b"s1", b"1700000000.{}", hashlib.sha256).hexdigest()

    assert signature("s1", 1_700_000_000, b"{}") == expected


@pytest.mark.parametrize(("age", "status"), [(0, 201), (295, 201), (-295, 201), (302, 401), (-302, 401)])
def test_reliability_1_a_signature_is_good_for_five_minutes(client, settings, age, status):
    settings.LEAD_SECRETS = ("s1", "s2")
    raw = json.dumps(LEAD).encode()

    for secret in settings.LEAD_SECRETS:
        answer = post(client, raw=raw, x_orbit_signature=signed(raw, time.time() - age, secret))
        assert answer.status_code == status


@pytest.mark.parametrize(
    "header",
    ["", "t=1", "v1=00", "t=x,v1=00", "t=1,t=2,v1=00", "t=" + "9" * 5_000 + ",v1=00", "t=²,v1=00", "v1=é,t=1", ",,,,"],
)
def test_reliability_1_a_forged_signature_is_401_with_nothing_to_learn_from(client, settings, header):
    settings.LEAD_SECRETS = ("s1",)

    answer = post(client, x_orbit_signature=header.encode().decode("latin-1"))

    assert (answer.status_code, answer.json()["detail"]) == (401, "Not accepted.")
    assert not LeadRequest.objects.exists()


def test_reliability_1_every_byte_counts(client, settings):
    settings.LEAD_SECRETS = ("s1",)
    raw = json.dumps(LEAD).encode()
    header = signed(raw, time.time())

    for position in range(0, len(raw), 7):
        tampered = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        cache.clear()
        assert post(client, raw=tampered, x_orbit_signature=header).status_code == 401


def test_with_a_secret_set_it_takes_the_secret_or_a_listed_origin(client, settings):
    settings.LEAD_SECRETS, settings.CORS_ALLOWED_ORIGINS = ("s1", "s2"), ["https://www.site.example"]

    assert post(client).status_code == 401
    assert post(client, x_lead_request_secret="s3").status_code == 401
    assert post(client, x_lead_request_secret="s2").status_code == 201
    assert post(client, but(message="b"), origin="https://www.site.example").status_code == 201
    assert post(client, but(message="c"), origin="https://evil.example").status_code == 401
    listed = {"origin": "https://www.site.example", "x_lead_request_secret": ""}
    assert post(client, but(message="d"), **listed).status_code == 401


def test_a_listed_site_may_post_from_the_browser_and_others_may_not(client, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://www.site.example"]
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}

    preflight = client.options(URL, headers={"origin": "https://www.site.example", **asked})
    stranger = client.options(URL, headers={"origin": "https://evil.example", **asked})
    posted = post(client, origin="https://www.site.example")

    assert preflight["Access-Control-Allow-Origin"] == "https://www.site.example"
    assert "Access-Control-Allow-Origin" not in stranger
    assert posted["Access-Control-Allow-Origin"] == "https://www.site.example"
    assert "Access-Control-Allow-Credentials" not in posted
    assert "Access-Control-Allow-Origin" not in client.get("/healthz", headers={"origin": "https://www.site.example"})


def test_reliability_13_an_address_is_slowed_down_and_a_forged_forwarded_for_changes_nothing(client, settings):
    settings.API_RATES = {**settings.API_RATES, "lead_per_address": "3/min"}

    codes = [post(client, but(message=str(n)), x_forwarded_for=f"10.0.0.{n}").status_code for n in range(5)]

    assert codes == [201, 201, 201, 429, 429]
    assert int(post(client)["Retry-After"]) > 0


def test_behind_one_proxy_the_address_it_saw_counts(client, settings):
    settings.API_RATES = {**settings.API_RATES, "lead_per_address": "1/min"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}

    codes = [
        post(client, but(message=str(n)), x_forwarded_for=chain).status_code
        for n, chain in enumerate(["6.6.6.6, 10.0.0.1", "7.7.7.7, 10.0.0.1", "6.6.6.6, 10.0.0.2"])
    ]

    assert codes == [201, 429, 201]


def test_all_together_are_slowed_down_too(client, settings):
    settings.API_RATES = {**settings.API_RATES, "lead_in_all": "2/min"}

    assert [post(client, but(message=str(n))).status_code for n in range(3)] == [201, 201, 429]


def test_with_a_secret_set_those_without_are_slowed_down_harder(client, settings):
    settings.LEAD_SECRETS, settings.CORS_ALLOWED_ORIGINS = ("s1",), ["https://www.site.example"]
    settings.API_RATES = {**settings.API_RATES, "lead_unsigned_per_address": "1/min"}

    codes = [post(client, but(message=str(n)), origin="https://www.site.example").status_code for n in range(2)]

    assert codes == [201, 429]
    assert post(client, but(message="3"), x_lead_request_secret="s1").status_code == 201


def test_reliability_14_without_redis_leads_are_stored(client, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "abm_project.counters.RedisCounters",
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
        }
    }

    assert post(client).status_code == 201
    assert LeadRequest.objects.exists()
