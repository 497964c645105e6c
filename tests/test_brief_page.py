"""The brief on the account page: every state it can be in, and its button with and without a script."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import ProspectCompany
from ai_summaries.models import AccountAISummary
from registry.models import PromptTemplate
from registry.seeds import seed
from tests.anthropic_standin import faults
from tests.factories import DAY, make_company, make_fact, make_pull, make_user, score

pytestmark = pytest.mark.django_db
PAGE, BRIEF = "/accounts/acme.example", "/accounts/acme.example/brief"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def acme():
    seed()
    for age in range(30):
        make_pull(DAY - timedelta(days=age))
    make_fact("acme.example", DAY, ("page_view", "", "", "", "/services/office", 3))
    score()
    return ProspectCompany.objects.get()


@pytest.fixture
def sam(client, acme):
    client.force_login(make_user())
    return client


@pytest.fixture
def ada(client, acme):
    client.force_login(make_user("ada", "internal_admin"))
    return client


def html(answer):
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def write(client, persona="sales", **fields):
    return html(client.post(BRIEF, {"persona": persona, **fields}, headers=HTMX))


def test_before_the_first_one_the_page_offers_to_write_it(sam):
    page = html(sam.get(PAGE))

    assert "Write the brief" in page
    assert "No language model is configured, so it is made from rules" in page
    assert 'data-copy="brief-text"' not in page


def test_one_from_rules_says_so(sam):
    said = write(sam)

    assert "Made from rules; no language model configured" in said
    assert "The brief was written just now." in said
    assert "<strong>Why they’re hot</strong>" in said
    assert "template v1" in said
    assert "Up to date: a new one is written when" in said
    assert "Write anew" not in said


def test_one_of_a_model_says_which_and_that_its_figures_are_in_the_facts(sam, anthropic_api):
    anthropic_api.writes = lambda facts: f"- Intent score {facts['score']['intent_score']}, **hot**"
    said = write(sam)

    assert "by claude-test" in said
    assert "every figure is in the facts" in said
    assert "<strong>hot</strong>" in said
    assert "7 headings of the template missing" in said
    assert 'data-copy="brief-text"' in said


def test_what_is_not_in_the_facts_is_marked_where_it_stands_and_listed(sam, anthropic_api):
    anthropic_api.faults = [faults.says("- 900 visits to /secret")] * 2
    said = write(sam)

    assert "<li><mark>900</mark> visits to <mark>/secret</mark></li>" in said
    assert "2 things in this text are not in the facts" in said
    assert "The figure 900 is not in the facts." in said
    assert "every figure is in the facts" not in said


def test_a_failure_is_told_and_the_last_good_one_stays(sam, acme, anthropic_api):
    write(sam)
    acme.snapshots.update(surge_level="Normal" if acme.surge_level != "Normal" else "Surging")
    anthropic_api.faults = [faults.error(403)]

    assert "Anthropic&#x27;s key may not do this (403)." in write(sam)
    page = html(sam.get(PAGE))
    assert "The last attempt failed" in page
    assert "What follows is the last good one." in page
    assert "Why they’re hot" in page
    assert "Bring up to date" in page


def test_a_used_up_budget_is_told_beside_the_last_good_one(sam, acme, anthropic_api, settings):
    write(sam)
    settings.AI_BRIEFS_PER_DAY = 1
    acme.snapshots.update(surge_level="Normal" if acme.surge_level != "Normal" else "Surging")

    said = write(sam)

    assert "No more today: this installation may ask for 1 briefs a day." in said
    assert "Why they’re hot" in said


def test_why_a_new_one_is_due_is_said(sam):
    write(sam)
    template = PromptTemplate.objects.get()
    template.max_words = 150
    template.save()

    page = html(sam.get(PAGE))

    assert "Bring up to date" in page
    assert "The prompt template changed." in page


def test_an_older_one_says_of_which_day_it_speaks(sam, acme):
    write(sam)
    AccountAISummary.objects.update(cache_date=DAY - timedelta(days=2))

    assert "(the scores go through Sat 21 Nov)" in html(sam.get(PAGE))


def test_each_persona_has_a_tab_with_an_address_of_its_own(sam):
    write(sam, "exec")

    assert "Write the brief" in html(sam.get(PAGE))
    page = html(sam.get(f"{PAGE}?persona=exec"))
    assert "Made from rules" in page
    assert 'href="/accounts/acme.example?persona=exec#brief"' in page
    assert html(sam.get(f"{BRIEF}?persona=exec")).count('aria-current="true"') == 1
    assert "Made from rules" in html(sam.get(f"{BRIEF}?persona=exec"))
    assert "<html" not in html(sam.get(f"{BRIEF}?persona=exec"))


@pytest.mark.parametrize("address", [f"{PAGE}?persona=king", f"{BRIEF}?persona=king", f"{PAGE}?persona=%00"])
def test_a_persona_that_is_none_is_a_400(sam, address):
    assert sam.get(address).status_code == 400
    assert sam.post(BRIEF, {"persona": "king"}).status_code == 400


def test_without_a_script_the_button_leads_back_to_the_page(sam):
    answer = sam.post(BRIEF, {"persona": "marketing"}, follow=True)

    assert answer.redirect_chain == [(f"{PAGE}?persona=marketing#brief", 302)]
    assert "The brief was written just now." in html(answer)


def test_only_admins_have_it_written_anew(ada, client):
    write(ada)
    assert "Write anew" in html(ada.get(PAGE))
    write(ada, force="1")
    assert AccountAISummary.objects.get().replaced.count() == 1

    client.force_login(make_user())
    assert client.post(BRIEF, {"persona": "sales", "force": "1"}).status_code == 403


def test_an_account_without_a_score_has_none(sam):
    make_company("new.example")

    assert "new.example has no score yet" in html(sam.get("/accounts/new.example"))
    assert sam.post("/accounts/new.example/brief", {}).status_code == 404


def test_without_a_template_the_page_says_what_is_missing(sam):
    PromptTemplate.objects.all().delete()

    assert "No brief can be written: No enabled prompt template fits" in html(sam.get(PAGE))


def test_a_merged_or_unknown_account_has_no_brief_of_its_own(sam, acme):
    make_company("small.example", merged_into=acme)

    assert sam.get("/accounts/small.example/brief").status_code == 404
    assert sam.get("/accounts/nobody.example/brief").status_code == 404


def test_a_forged_form_is_refused(acme):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user())

    assert strict.post(BRIEF, {"persona": "sales"}).status_code == 403
