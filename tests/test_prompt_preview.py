"""The preview of a prompt template in the admin: the exact texts, the last brief beside them, and a draft tried."""

from datetime import timedelta
from html import unescape

import pytest

from accounts.models import ProspectCompany
from ai_summaries.models import AccountAISummary, BriefAttempt, BriefBudget
from ai_summaries.prompts import GUARD, render_prompt
from ai_summaries.summaries import facts_of, get_or_generate_summary
from registry.models import PromptTemplate
from registry.seeds import seed
from tests.anthropic_standin import faults
from tests.factories import DAY, at, make_company, make_fact, make_prompt, make_pull, make_user, score

pytestmark = pytest.mark.django_db
NOW = at(DAY + timedelta(days=1))


@pytest.fixture
def acme():
    seed()
    for age in range(30):
        make_pull(DAY - timedelta(days=age))
    make_fact("acme.example", DAY, ("page_view", "", "", "", "/services/office", 3))
    score()
    return ProspectCompany.objects.get()


@pytest.fixture
def template(acme):
    return PromptTemplate.objects.get()


@pytest.fixture
def send(client, template):
    client.force_login(make_user("ada", "internal_admin"))

    def post(button="show", **changes):
        said = {
            "account": "acme.example",
            "persona": "sales",
            "system_prompt": template.system_prompt,
            "user_prompt_template": template.user_prompt_template.replace("\n", "\r\n"),
            "max_words": 180,
            button: "1",
            **changes,
        }
        return client.post(address(template), said)

    return post


def address(template):
    return f"/admin/registry/prompttemplate/{template.pk}/preview/"


def text(answer, status=200):
    assert answer.status_code == status
    return unescape(answer.content.decode())


def test_it_is_reached_from_the_template_and_begins_with_the_hottest_account(send, client, template):
    change = text(client.get(f"/admin/registry/prompttemplate/{template.pk}/change/"))
    page = text(client.get(address(template)))

    assert f'href="{address(template)}"' in change
    assert 'value="acme.example"' in page
    assert template.system_prompt in page
    assert "Exactly this" not in page


def test_it_shows_exactly_what_a_brief_would_send(send, acme, template, anthropic_api):
    get_or_generate_summary(acme, "sales", NOW)
    (request,) = anthropic_api.requests

    page = text(send())

    assert f">{request.system}</pre>" in page
    assert f">{request.user}</pre>" in page
    assert GUARD in page
    assert render_prompt(template.value(), facts_of(acme)).user == request.user
    assert len(anthropic_api.requests) == 1  # it was shown, not sent


def test_the_last_brief_stands_beside_it(send, acme):
    assert "None of this persona yet." in text(send())
    get_or_generate_summary(acme, "sales", NOW)

    page = text(send())
    assert "from rules" in page
    assert "<strong>Likely buying stage</strong>" in page


def test_a_draft_is_tried_and_nothing_of_it_is_stored(send, template, anthropic_api):
    anthropic_api.writes = lambda facts: "- 900 visits, **bold**"

    page = text(send("try", system_prompt="Be bold.", max_words=50))

    assert "<mark>900</mark> visits, <strong>bold</strong>" in page
    assert "The figure 900 is not in the facts." in page
    assert "2 calls, 1,800 tokens in, 400 out. Not stored." in page
    assert anthropic_api.requests[0].system.startswith("Be bold.")
    assert "under 50 words" in anthropic_api.requests[0].user
    assert not AccountAISummary.objects.exists()
    assert not BriefAttempt.objects.exists()
    template.refresh_from_db()
    assert not template.system_prompt.startswith("Be bold.")


def test_a_try_counts_in_the_budget_and_ends_with_it(send, anthropic_api, settings):
    settings.AI_BRIEFS_PER_DAY = 1
    send("try")

    assert "No more today: this installation may ask for 1 briefs a day." in text(send("try"))
    assert len(anthropic_api.requests) == 1
    assert set(BriefBudget.objects.values_list("used", flat=True)) == {1}


def test_a_try_that_fails_says_why_beside_the_texts(send, anthropic_api):
    anthropic_api.faults = [faults.error(403)]

    page = text(send("try"))
    assert "The try failed: Anthropic's key may not do this (403)." in page
    assert "Exactly this" in page


def test_without_a_model_there_is_nothing_to_try(send):
    page = text(send())

    assert "No language model is configured" in page
    assert 'name="try"' not in page


def test_another_template_in_force_is_named(send, acme):
    assert "another template is in force" not in text(send())
    make_prompt(lane="office", persona="sales")

    assert "another template is in force" in text(send())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"account": "nobody.example"}, "There is no such account."),
        ({"account": "%%%"}, "There is no such account."),
        ({"account": "new.example"}, "new.example has no score yet"),
        ({"persona": "king"}, "Select a valid choice."),
        ({"user_prompt_template": "no place"}, "{{JSON_HERE}} is missing: the model would see no facts."),
        ({"max_words": 5}, "greater than or equal to 20"),
        ({"system_prompt": ""}, "This field is required."),
        ({"system_prompt": "nul \0"}, "Null characters are not allowed."),
    ],
    ids=lambda part: str(part)[:30] if isinstance(part, dict) else "",
)
def test_what_cannot_be_shown_says_why_and_keeps_what_was_typed(send, changes, said):
    make_company("new.example")

    page = text(send(**changes), 400)
    assert said in page
    assert "Exactly this" not in page


def test_a_merged_account_shows_the_one_it_counts_for(send, acme):
    make_company("small.example", merged_into=acme)

    assert "The last brief of acme.example" in text(send(account="small.example"))


def test_it_is_for_admins_alone(client, template):
    assert client.get(address(template)).status_code == 302
    client.force_login(make_user())
    assert client.get(address(template)).status_code in (302, 403)
    client.force_login(make_user("ada", "internal_admin"))
    assert client.get("/admin/registry/prompttemplate/junk/preview/").status_code == 404
