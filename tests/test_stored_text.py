"""What strangers and admins wrote is text wherever it is shown (reliability 21)."""

import pytest

from accounts.models import Contact, IntentSignal
from ingestion.models import LeadRequest
from registry.models import DomainRule
from scoring.models import JobRun
from tests.factories import (
    DAY,
    at,
    make_company,
    make_config,
    make_fact,
    make_lead,
    make_pull,
    make_run,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db
PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><iframe src=javascript:alert(1)>",
    "</title><script>alert(1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "{{ settings }}{% now 'Y' %}",
    "<!--<b>",
    "&lt;script&gt;&#x3c;b>",
    '" autofocus onfocus=alert(1) x="',
    "<math><mtext><style><img onerror=alert(1)>",
    "javascript:alert(1)//<b>",
)
MARKUP = ("<script>alert", "<img src=x", "<svg onload", "<iframe", "<a href='javascript", "<!--<b>", "<math>", "//<b>")
ATTRIBUTES = ('" autofocus onfocus=', "'><iframe")
PAGES = (
    "/",
    "/accounts/acme.example",
    "/lanes",
    "/people",
    "/movers",
    "/runs",
    "/alerts",
    "/?search=%3Cscript%3Ealert(1)",
)
ADMIN = (
    *("accounts/prospectcompany", "accounts/contact", "accounts/intentsignal", "ingestion/leadrequest"),
    *("registry/domainrule", "scoring/jobrun"),
)
WRITTEN = (
    "first_name",
    "last_name",
    "title",
    "phone",
    "organization_name",
    "organization_website",
    "budget",
    "timeline",
)


@pytest.fixture(params=PAYLOADS)
def payload(request):
    """Everywhere at once where somebody can write."""
    text = request.param
    make_weight(make_config())
    make_pull()
    make_fact("acme.example", DAY, ("page_view", text[:60], text[:60], text[:60], text, 1))
    company = make_company(name=text)
    score()
    short = {name: text[: LeadRequest._meta.get_field(name).max_length] for name in WRITTEN}
    contact = Contact.objects.create(prospect_company=company, email="x@acme.example", first_name=text, title=text)
    lead = {"prospect_company": company, "contact": contact, "message": text, "page_url": text, "referrer": text}
    make_lead(**short, **lead, utm_json={"utm_source": text}, payload_json={text: text})
    IntentSignal.objects.create(prospect_company=company, kind="lead_request", summary=text, occurred_at=at(DAY))
    DomainRule.objects.create(domain="rule.example", kind="competitor", reason=text)
    make_run(state="failed", message=text, asked_by=text[:150], params_json={"accounts": [text]})
    return text


def test_what_strangers_and_admins_wrote_is_text_on_every_page(payload, client):
    client.force_login(make_user("boss", "internal_admin"))
    run = JobRun.objects.get().pk
    addresses = [*PAGES, f"/runs/{run}", *(f"/admin/{table}/" for table in ADMIN)]
    for address in addresses:
        answer = client.get(address)
        page = answer.content.decode()
        assert answer.status_code in (200, 400), address
        assert [found for found in (*MARKUP, *ATTRIBUTES) if found in page] == [], address
