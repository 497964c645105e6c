"""POST /api/abm/accounts/:id/ai-summary."""

from datetime import timedelta

import pytest

from accounts.models import ProspectCompany
from ai_summaries.models import AccountAISummary, BriefAttempt
from registry.seeds import seed
from tests.anthropic_standin import faults
from tests.factories import DAY, make_company, make_fact, make_pull, make_user, score

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    seed()
    for age in range(30):
        make_pull(DAY - timedelta(days=age))
    make_fact("acme.example", DAY, ("page_view", "", "", "", "/services/office", 3))
    score()
    return ProspectCompany.objects.get()


@pytest.fixture
def ask(client, acme):
    client.force_login(make_user())

    def post(company=None, **body):
        address = f"/api/abm/accounts/{(company or acme).pk}/ai-summary"
        return client.post(address, body, content_type="application/json")

    return post


def test_a_brief_is_made_once_and_given_again(ask, anthropic_api):
    first, second = ask(), ask(persona="sales", force=False)

    assert (first.status_code, first.json()["state"], second.json()["state"]) == (200, "made", "cached")
    brief = first.json()["brief"]
    assert brief == second.json()["brief"]
    assert brief["summary_md"].startswith("**Why they’re hot**")
    assert (brief["model"], brief["persona"], brief["cache_date"]) == ("claude-test", "sales", "2026-11-21")
    assert (brief["top_lane"], brief["prompt_version"]) == ("office", "v1")
    assert {finding["kind"] for finding in brief["findings"]} == {"heading"}
    assert BriefAttempt.objects.get().asked_by == "sam"


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"persona": "king"}, "persona"),
        ({"persona": 1}, "persona"),
        ({"force": "yes"}, "force"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_not_understood_is_refused(ask, anthropic_api, body, attr):
    answer = ask(**body)

    assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, [attr])
    assert anthropic_api.requests == []


def test_only_an_admin_may_have_it_written_anew(ask, client, anthropic_api):
    ask()
    refused = ask(force=True)
    client.force_login(make_user("ada", "internal_admin"))

    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert ask(force=True).json()["state"] == "made"


def test_a_failure_is_a_502_with_its_reason_and_the_last_good_brief(ask, acme, anthropic_api):
    anthropic_api.faults = [faults.error(403)]
    none_yet = ask()
    good = ask().json()["brief"]
    acme.snapshots.update(surge_level="Normal" if good["surge_level"] != "Normal" else "Surging")
    anthropic_api.faults = [faults.REFUSAL]
    failed = ask()

    assert (none_yet.status_code, none_yet.json()["code"], none_yet.json()["brief"]) == (502, "brief_failed", None)
    assert none_yet.json()["detail"].startswith("Anthropic's key may not do this (403).")
    assert (failed.status_code, failed.json()["detail"]) == (502, "The model declined to write this brief.")
    assert failed.json()["brief"] == good
    assert failed.json()["request_id"]


def test_a_used_up_budget_is_a_429_that_says_until_when(ask, anthropic_api, settings):
    settings.AI_BRIEFS_PER_USER_AND_DAY = 0

    answer = ask()

    assert (answer.status_code, answer.json()["code"]) == (429, "budget_reached")
    assert answer.json()["detail"] == (
        "No more today: one user may ask for 0 briefs a day. The next one can be written after midnight UTC."
    )
    assert 0 < int(answer["Retry-After"]) <= 86_400


def test_an_account_without_a_score_is_a_409(ask):
    answer = ask(make_company("new.example"))

    assert (answer.status_code, answer.json()["code"]) == (409, "not_scored")


def test_a_merged_account_gives_the_brief_of_the_one_it_counts_for(ask, acme, anthropic_api):
    merged = make_company("small.example", merged_into=acme)

    ask(merged)

    assert AccountAISummary.objects.get().prospect_company == acme


def test_who_is_nobody_gets_none(client, acme):
    address = f"/api/abm/accounts/{acme.pk}/ai-summary"

    assert client.post(address, {}, content_type="application/json").status_code == 403
    client.force_login(make_user(role=None))
    assert client.post(address, {}, content_type="application/json").status_code == 403


def test_no_transaction_is_open_while_the_model_writes(ask, anthropic_api, django_assert_max_num_queries):
    """Whoever waits 45 s holds no lock: the attempt is committed before the model is asked."""
    with django_assert_max_num_queries(60) as queries:
        ask()

    statements = [query["sql"] for query in queries.captured_queries]
    locked = [number for number, sql in enumerate(statements) if "FOR UPDATE" in sql]
    read = max(number for number, sql in enumerate(statements) if "activity_days" in sql)
    assert all(number > read for number in locked)
