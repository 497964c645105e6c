"""Twelve payloads in every text that strangers and colleagues give: shown as text, on every page (reliability 21)."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from abm_project.access import give_role
from abm_project.models import AccountAction
from accounts.models import Contact, ContactIdentity, IntentSignal, ProspectCompany
from ai_summaries.models import AccountAISummary
from ingestion.models import LeadRequest
from registry.models import DomainRule
from scoring.models import DailyAccountIntent, JobRun
from tests.factories import (
    at,
    make_config,
    make_fact,
    make_lead,
    make_prompt,
    make_pull,
    make_run,
    make_weight,
    score,
)
from tests.test_browser import chromium, page, pytestmark, sign_in  # noqa: F401

PAYLOADS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    '"><svg onload=window.hit=1>',
    "' onmouseover='window.hit=1",
    "javascript:window.hit=1",
    "<a href=javascript:window.hit=1>click</a>",
    "{{7*7}}{% debug %}${7*7}",
    "</title></textarea><script>window.hit=1</script>",
    "<iframe srcdoc='<script>parent.hit=1</script>'>",
    "<style>*{display:none}</style>",
    "<details open ontoggle=window.hit=1>",
    "<b hx-get=/password hx-trigger=load>x</b>",
)
MARKUP = (
    "main script, main style, iframe, img, main b[hx-get], [onerror], [onload], [ontoggle], [onmouseover],"
    " a[href^='javascript:']"
)
TEXTS = {
    LeadRequest: ("first_name", "last_name", "title", "organization_name", "message", "budget", "timeline", "location"),
    Contact: ("first_name", "last_name", "title", "phone"),
    IntentSignal: ("summary",),
    AccountAction: ("note", "done_by_name", "owner_before", "owner_after"),
}


@pytest.fixture
def hostile():
    """An account per payload, with the payload in every text of it and about it."""
    today = timezone.now().date()
    config = make_config()
    make_weight(config, weight=30)
    for age in range(1, 41):
        make_pull(today - timedelta(days=age))
    domains = [f"hostile-{number}.example" for number in range(len(PAYLOADS))]
    for domain in domains:
        for age in (1, 2, 8):
            make_fact(domain, today - timedelta(days=age))
    score(today - timedelta(days=2), today - timedelta(days=1))
    template = make_prompt()
    for domain, payload in zip(domains, PAYLOADS, strict=True):
        poison(ProspectCompany.objects.get(domain=domain), payload, today, template)
    return domains


def poison(company, payload, today, template):
    short = payload[:30]
    owner = User.objects.create_user(f"u {payload}"[:150])
    give_role(owner, "sales")
    lane = payload.replace(" ", "")[:60]
    ProspectCompany.objects.filter(pk=company.pk).update(
        name=payload, owner=owner, top_lane=lane, top_lane_30d=lane, salesforce_account_url=payload
    )
    DailyAccountIntent.objects.filter(prospect_company=company).update(
        why_hot_json=[payload],
        top_lane=lane,
        lane_scores_7d_json={lane: 3.0},
        top_pages_7d_json={payload: 2},
        top_categories_7d_json={payload: {"count": 1, "score": 2.0}},
    )
    contact = Contact.objects.create(
        prospect_company=company, email=f"{payload}@x", **dict.fromkeys(TEXTS[Contact], payload[:50])
    )
    ContactIdentity.objects.create(contact=contact, identity_type="crm_id", identity_value=payload)
    make_lead(company.domain, today, prospect_company=company, **dict.fromkeys(TEXTS[LeadRequest], payload))
    said = {"contact": contact, "kind": "x", "summary": payload, "occurred_at": at(today)}
    IntentSignal.objects.create(prospect_company=company, **said)
    texts = dict.fromkeys(TEXTS[AccountAction], payload)
    for kind in ("owned", "contacted"):
        AccountAction.objects.create(
            prospect_company=company, kind=kind, done_at=timezone.now(), done_by=owner, **texts
        )
    DomainRule.objects.create(domain=f"rule-{company.domain}", kind="competitor", reason=payload)
    AccountAISummary.objects.create(
        prospect_company=company,
        cache_date=today,
        top_lane=lane,
        intent_score=company.intent_score,
        surge_level="Normal",
        prompt_template=template,
        input_json={},
        summary_md=payload,
        model=short,
    )
    make_run(state="failed", message=payload, asked_by=short, started_at=timezone.now(), result_json={})


def test_no_text_becomes_markup_on_any_page(page, hostile):  # noqa: F811
    sign_in(page, "internal_admin")
    runs = [f"/runs/{run.pk}" for run in JobRun.objects.filter(state="failed")]
    lists = ["/", "/?search=hostile", "/lanes", "/people", "/people?search=<img", "/movers", "/runs", "/alerts"]
    admin = ["accounts/prospectcompany/", "accounts/contact/", "ingestion/leadrequest/", "registry/domainrule/"]
    pages = lists + [f"/accounts/{domain}" for domain in hostile] + runs[:3] + [f"/admin/{name}" for name in admin]
    page.on("dialog", lambda dialog: page.said.append(f"dialog: {dialog.message}"))
    for address in pages:
        page.goto(address)
        page.wait_for_load_state("networkidle")

        assert page.evaluate("window.hit") is None, address
        if not address.startswith("/admin"):  # which has scripts and pictures of its own
            assert page.locator(MARKUP).count() == 0, address
        assert page.said == [], address

    page.goto("/")
    shown = page.text_content("main")
    assert [payload for payload in PAYLOADS if payload not in shown] == []
    for domain, payload in zip(hostile, PAYLOADS, strict=True):
        page.goto(f"/accounts/{domain}")
        assert page.text_content("main").count(payload) >= 6, domain
