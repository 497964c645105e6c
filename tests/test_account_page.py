"""One account: whom, why and since when; under its own domain, with the whole of its merge family."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from abm_project.dashboards import account_by_id, account_detail, explained
from accounts.models import CompanyDomain, Contact, IntentSignal, ProspectCompany
from accounts.resolution import merge
from ai_summaries.models import AccountAISummary
from registry.models import DomainRule, RegistryRevision
from tests.factories import (
    DAY,
    at,
    make_company,
    make_config,
    make_fact,
    make_lead,
    make_prompt,
    make_pull,
    make_rule,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db
PRICING = ("page_view", "pricing", "office", "", "/pricing", 3)
HOME = ("page_view", "", "", "", "/", 2)


@pytest.fixture(autouse=True)
def installation():
    config = make_config()
    make_weight(config, weight=10)
    make_weight(config, content_type="pricing", weight=25)
    make_rule()
    for age in range(60):
        make_pull(DAY - timedelta(days=age))


@pytest.fixture
def get(client):
    client.force_login(make_user())
    return lambda domain, **options: client.get(f"/accounts/{domain}", **options)


def words(answer):
    """The text of a page as a reader sees it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_score_is_explained_down_to_count_weight_and_decay(get):
    make_fact("acme.example", DAY, PRICING, HOME)
    score()
    shown = words(get("acme.example"))

    assert "Why 70?" in shown
    assert "70 = 100 × (1 − e −95.0 / 80 )" in shown
    assert "pricing page view 3 25 1.00 75.0" in shown
    assert "other page view 2 10 1.00 20.0" in shown
    assert "Raw score, 30 days 95.0" in shown
    assert "loses half its worth every 6.9 days" in shown
    assert "the account's first snapshot" in shown.replace("&#x27;", "'")


def test_the_reasons_add_up_to_the_stored_raw_score():
    for age in (0, 1, 3, 29):
        make_fact("acme.example", DAY - timedelta(days=age), PRICING, HOME)
    score()
    found = account_detail("acme.example")

    assert sum(reason.points for reason in found.why.reasons) == pytest.approx(found.raw_30d, rel=1e-9)
    for reason in found.why.reasons:
        assert reason.count * reason.weight * reason.decay == pytest.approx(reason.points, rel=1e-9)
    assert not found.why.drifted


def test_the_way_from_yesterday_adds_up_to_today(get):
    make_fact("acme.example", DAY - timedelta(days=30), PRICING)
    make_fact("acme.example", DAY - timedelta(days=29), HOME)
    score(DAY - timedelta(days=1))
    make_fact("acme.example", DAY, PRICING)
    score()
    found = account_detail("acme.example")
    bridge = found.why.ledger.bridge

    assert bridge.previous_raw + sum(step.points for step in found.why.steps) == pytest.approx(found.raw_30d, rel=1e-9)
    assert [step.label for step in found.why.steps] == ["New activity", "Decay", "Aged out"]
    assert "New activity what happened since +75.0" in words(get("acme.example"))


def test_a_score_whose_facts_changed_afterwards_says_so(get):
    make_fact("acme.example", DAY, PRICING)
    score()
    make_fact("acme.example", DAY - timedelta(days=1), PRICING)

    assert "Facts or rules changed after this score was computed" in words(get("acme.example"))


@pytest.mark.parametrize("other", ["alias.example", "old.example", "older.example", "ACME.example", "www.acme.example"])
def test_every_name_of_an_account_leads_to_its_page(get, other):
    company = make_company("acme.example")
    CompanyDomain.objects.create(prospect_company=company, domain="alias.example")
    merged = make_company("old.example")
    merge(merged, company)
    merge(make_company("older.example"), merged)

    assert get(other)["Location"] == "/accounts/acme.example"
    assert "also alias.example, old.example, older.example" in words(get("acme.example"))


@pytest.mark.parametrize("domain", ["nobody.example", "localhost", "127.0.0.1", "%00", "ünknown.example", "a b", "-"])
def test_an_unknown_domain_is_a_404_page(get, domain):
    answer = get(domain)

    assert answer.status_code == 404
    assert "There is no account" in words(answer)


def test_people_leads_and_signals_of_the_family_are_shown_and_of_nobody_else(get):
    company, merged, other = (make_company(f"{name}.example") for name in ("acme", "old", "other"))
    merge(merged, company)
    for owner, name in ((company, "ann"), (merged, "bob"), (other, "zed")):
        contact = Contact.objects.create(prospect_company=owner, email=f"{name}@x.example", title=f"title-{name}")
        make_lead(owner.domain, first_name=f"lead-{name}", lane="office", lead_score=42, prospect_company=owner)
        IntentSignal.objects.create(
            prospect_company=owner, contact=contact, kind="form", summary=f"signal-{name}", occurred_at=at(DAY)
        )
    make_lead("old.example", first_name="unlinked")
    shown = words(get("acme.example"))

    for part in (
        "ann@x.example",
        "bob@x.example",
        "title-bob",
        "lead-ann",
        "lead-bob",
        "unlinked",
        "signal-bob",
        "lead score 42",
    ):
        assert part in shown
    assert "zed" not in shown


def test_the_timeline_has_a_line_and_the_same_as_a_table(get):
    make_fact("acme.example", DAY - timedelta(days=2), PRICING)
    make_lead("acme.example", DAY - timedelta(days=1))
    score(DAY - timedelta(days=2), DAY - timedelta(days=1), DAY)
    page = get("acme.example")

    assert [day.score for day in account_detail("acme.example").timeline[-4:]] == [None, 61, 57, 54]
    assert len(account_detail("acme.example").timeline) == 30
    assert '<polyline class="score"' in page.content.decode()
    assert "Fri 20 Nov 57 Warm" in words(page)


def test_a_suppressed_account_says_so_at_the_top(get):
    make_fact("acme.example", DAY, PRICING)
    score()
    DomainRule.objects.create(domain="acme.example", kind="competitor")
    score()
    shown = words(get("acme.example"))

    assert ProspectCompany.objects.get().suppressed_as == "competitor"
    assert "Suppressed as competitor." in shown
    assert shown.index("Suppressed as") < shown.index("Nobody owns it")


def test_an_account_without_a_score_says_so(get):
    make_company("acme.example", salesforce_account_url="https://crm.example/001")
    shown = get("acme.example")

    assert "not scored yet" in words(shown)
    assert 'href="https://crm.example/001"' in shown.content.decode()


def test_text_of_strangers_is_never_markup(get):
    company = make_company("acme.example", name="<script>alert(1)</script>")
    Contact.objects.create(prospect_company=company, email="<b>@x.example", title="<img src=x>")
    make_lead("acme.example", message='"><svg onload=x>', prospect_company=company)
    make_fact("acme.example", DAY, ("page_view", "<u>", "<i>lane", "", "/<s>", 1))
    score()
    shown = get("acme.example").content.decode()

    assert "&lt;script&gt;" in shown
    assert not any(raw in shown for raw in ("<script>alert", "<b>@", "<img", "<svg onload", "<u>", "<i>lane", "<s>"))


@pytest.mark.parametrize("number", [0, 49, 50, 51])
def test_what_is_counted_is_counted_beyond_what_is_shown(number):
    company, merged = make_company("acme.example"), make_company("old.example")
    merge(merged, company)
    people = [f"p{n}" for n in range(60)]
    make_fact("acme.example", DAY, PRICING, people=people)
    for n in range(number):
        seen = at(DAY - timedelta(days=7 * (n % 2)))  # every second one before the seven days
        Contact.objects.create(
            prospect_company=[company, merged][n % 3 == 0], email=f"{n}@x.example", last_seen_at=seen
        )
        make_lead("acme.example", DAY - timedelta(days=n % 2), prospect_company=[company, merged][n % 3 == 0])
    Contact.objects.create(prospect_company=company, email="never@x.example")
    score()

    found = account_detail("acme.example")

    assert (found.people_count, len(found.people)) == (number + 1, min(50, number + 1))
    assert (found.leads_count, len(found.leads)) == (number, min(50, number))
    assert found.unique_people_7d - found.anonymous_people_7d == -(-number // 2)
    assert [day.leads for day in found.timeline[-3:]] == [0, number // 2, -(-number // 2)]


def test_the_rules_of_a_score_are_read_once_for_all_its_readers():
    make_fact("acme.example", DAY, PRICING)
    score()
    id = ProspectCompany.objects.get().id
    first = explained(id)

    with CaptureQueriesContext(connection) as caught:
        assert explained(id) == first

    assert not [query["sql"] for query in caught if RegistryRevision._meta.db_table in query["sql"]]


def test_many_people_and_days_take_no_more_queries(get, django_assert_max_num_queries):
    company = make_company("acme.example")
    for number in range(40):
        contact = Contact.objects.create(prospect_company=company, email=f"{number}@x.example")
        IntentSignal.objects.create(
            prospect_company=company, contact=contact, kind="x", summary="s", occurred_at=at(DAY)
        )
        make_lead("acme.example", DAY - timedelta(days=number), prospect_company=company)
        make_fact("acme.example", DAY - timedelta(days=number), PRICING)
    score()
    get("acme.example")

    with django_assert_max_num_queries(36):
        get("acme.example")


def test_a_salesforce_address_that_is_no_web_address_is_no_link(get):
    make_company("acme.example", salesforce_account_url="javascript:alert(1)")

    assert b"javascript:alert" not in get("acme.example").content


def test_the_detail_is_whole_snapshot_briefs_and_ids_included():
    company = make_company("acme.example")
    merged = make_company("old.example")
    merge(merged, company)
    make_fact("acme.example", DAY, PRICING, HOME)
    lead = make_lead("acme.example", prospect_company=company, request_type="procurement")
    signal = IntentSignal.objects.create(prospect_company=company, kind="lead", summary="Asked", occurred_at=at(DAY))
    score()
    template = make_prompt(version="3")
    for day, persona, text in (
        (DAY, "sales", "new"),
        (DAY - timedelta(days=1), "sales", "old"),
        (DAY - timedelta(days=9), "exec", "x"),
    ):
        AccountAISummary.objects.create(
            prospect_company=company,
            cache_date=day,
            top_lane="office",
            persona=persona,
            intent_score=70,
            surge_level="Normal",
            prompt_template=template,
            prompt_hash="0",
            input_json={},
            summary_md=text,
            model="m",
        )
    found = account_by_id(company.id)

    assert account_by_id(merged.id) == found
    assert found.why is None
    assert found.snapshot.date == found.snapshot_date == DAY
    assert (found.snapshot.raw_score_30d, found.snapshot.intent_score) == (found.raw_30d, found.intent_score)
    assert [category.name for category in found.snapshot.top_categories_7d][:1] == ["pricing"]
    assert found.snapshot.key_events_7d[0] == ("page_view:pricing", 3)
    assert [(brief.persona, brief.summary_md) for brief in found.briefs] == [("exec", "x"), ("sales", "new")]
    assert ([shown.id for shown in found.leads], found.leads_count) == ([lead.pk], 1)
    assert ([shown.id for shown in found.signals], found.signals_count) == ([signal.pk], 1)


def test_the_score_of_a_past_day_is_explained_too():
    make_fact("acme.example", DAY - timedelta(days=1), PRICING)
    make_fact("acme.example", DAY, PRICING)
    score(DAY - timedelta(days=1), DAY)
    company = ProspectCompany.objects.get()

    assert explained(company.id).ledger.total == pytest.approx(company.score_30d_raw)
    assert explained(company.id, DAY - timedelta(days=1)).ledger.total == 75.0
    assert explained(company.id, DAY - timedelta(days=2)) is None
    assert explained(make_company("unscored.example").id) is None
