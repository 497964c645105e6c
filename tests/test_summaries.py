"""One click: cached, checked, written anew where that is due, and never twice at once (spec 8.3 and step 10)."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.functions import Now

from abm_project.erasure import erase_person
from accounts.models import Contact, ProspectCompany
from ai_summaries import summaries
from ai_summaries.grounding import Finding
from ai_summaries.models import AccountAISummary, BriefAttempt, BriefBudget, ReplacedSummary
from ai_summaries.summaries import (
    CACHED,
    CHANGED,
    FAILED,
    MADE,
    BudgetReached,
    NotScored,
    get_or_generate_summary,
    stored_brief,
    why_due,
)
from registry.models import PromptTemplate
from registry.seeds import seed
from tests.anthropic_standin import faults
from tests.factories import DAY, at, make_company, make_fact, make_prompt, make_pull, make_snapshot, make_user, score

pytestmark = pytest.mark.django_db
NOW = at(DAY + timedelta(days=1))


@pytest.fixture
def acme():
    seed()
    for age in range(30):
        make_pull(DAY - timedelta(days=age))
    make_fact("acme.example", DAY, ("page_view", "", "", "", "/services/office", 3), people=[1, 2])
    score()
    company = ProspectCompany.objects.get()
    rescore(company, intent_score=70, intent_stage="Hot", surge_level="Surging")
    return company


def click(company, persona="sales", **options):
    return get_or_generate_summary(company, persona, options.pop("now", NOW), **options)


def rescore(company, **fields):
    company.snapshots.filter(date=company.snapshot_date).update(**fields)


# --- Spec step 10 -----------------------------------------------------------------------------------------------------
def test_10_the_first_call_generates_a_summary_and_stores_it(acme, anthropic_api):
    outcome = click(acme)

    row = AccountAISummary.objects.get()
    assert (outcome.state, outcome.brief.summary_md) == (MADE, "**Why they’re hot**\n\n- Intent score 70")
    assert (row.cache_date, row.top_lane, row.persona) == (DAY, "office", "sales")
    assert (row.intent_score, row.surge_level, row.model) == (70, "Surging", "claude-test")
    assert row.input_json == anthropic_api.requests[0].facts
    assert row.prompt_template == PromptTemplate.objects.get()
    assert (row.prompt_version, row.written_at, row.findings_json[0]["kind"]) == ("v1", NOW, "heading")
    attempt = BriefAttempt.objects.get()
    assert (attempt.state, attempt.summary, attempt.calls) == ("done", row, 1)
    assert (attempt.input_tokens, attempt.output_tokens) == (900, 200)


def test_10_the_second_call_returns_the_cached_one(acme, anthropic_api):
    first, second = click(acme), click(acme)

    assert (second.state, second.brief) == (CACHED, first.brief)
    assert len(anthropic_api.requests) == 1


@pytest.mark.parametrize(
    ("score", "state"), [(60, MADE), (61, CACHED), (70, CACHED), (79, CACHED), (80, MADE)], ids=lambda part: str(part)
)
def test_10_a_score_that_moved_by_ten_regenerates(acme, anthropic_api, score, state):
    click(acme)
    rescore(acme, intent_score=score)

    outcome = click(acme)

    assert outcome.state == state
    assert outcome.why == (f"The score moved from 70 to {score}." if state == MADE else "")


def test_10_how_far_it_must_move_is_a_setting(acme, anthropic_api, settings):
    settings.AI_REGENERATE_DELTA = 3
    click(acme)
    rescore(acme, intent_score=73)

    assert click(acme).state == MADE


def test_10_a_changed_surge_level_regenerates(acme, anthropic_api):
    click(acme)
    rescore(acme, surge_level="Exploding")

    assert click(acme).why == "Surge went from Surging to Exploding."


def test_10_an_edited_template_takes_effect_without_a_restart(acme, anthropic_api):
    click(acme)
    template = PromptTemplate.objects.get()
    template.system_prompt = "Be bold."
    template.save()

    outcome = click(acme)

    assert outcome.why == "The prompt template changed."
    assert anthropic_api.requests[1].system.startswith("Be bold.")


def test_10_an_edit_by_another_process_takes_effect_within_the_ttl(acme, anthropic_api, settings):
    click(acme)
    PromptTemplate.objects.update(system_prompt="Be bold.")  # says nothing to this process
    assert click(acme).state == CACHED
    settings.REGISTRY_TTL_SECONDS = 0

    assert click(acme).why == "The prompt template changed."


def test_10_a_more_specific_template_takes_effect_and_a_renamed_one_does_not(acme, anthropic_api):
    click(acme)
    PromptTemplate.objects.get().save()
    template = PromptTemplate.objects.get()
    template.version = "v2"
    template.save()
    assert click(acme).state == CACHED

    make_prompt(lane="office", persona="sales")

    assert click(acme).why == "The prompt template changed."


def test_10_the_template_is_chosen_by_lane_persona_and_stage(acme, anthropic_api):
    make_prompt(persona="exec", system_prompt="For chiefs.")
    make_prompt(lane="office", intent_stage="Hot", system_prompt="Hot offices.")

    click(acme, "exec")
    click(acme, "sales")

    assert [request.system.partition("\n")[0] for request in anthropic_api.requests] == ["Hot offices."] * 2
    make_prompt(lane="office", persona="exec", intent_stage="Hot", system_prompt="The very one.")
    assert click(acme, "exec").state == MADE
    assert anthropic_api.requests[2].system.startswith("The very one.")


# --- The cache --------------------------------------------------------------------------------------------------------
def test_personas_dates_and_lanes_have_briefs_of_their_own(acme, anthropic_api):
    for persona in ("sales", "marketing", "exec"):
        click(acme, persona)
    revision = acme.snapshots.get().registry_revision
    make_snapshot(acme, DAY + timedelta(days=1), registry_revision=revision)
    assert click(acme).state == MADE
    rescore(acme, top_lane="event_space")
    assert click(acme).state == MADE

    assert AccountAISummary.objects.count() == 5
    assert stored_brief(acme, "exec").cache_date == DAY


def test_the_replaced_text_is_kept_with_all_it_was_made_from(acme, anthropic_api):
    first = click(acme).brief
    rescore(acme, intent_score=90)

    click(acme)

    (kept,) = ReplacedSummary.objects.all()
    assert kept.summary == AccountAISummary.objects.get()
    assert (kept.summary_md, kept.intent_score, kept.written_at) == (first.summary_md, 70, first.written_at)
    assert kept.input_json == first.facts


def test_only_force_makes_a_new_one_where_none_is_due(acme, anthropic_api):
    click(acme)

    outcome = click(acme, force=True)

    assert (outcome.state, outcome.why) == (MADE, "An admin asked for it.")
    assert ReplacedSummary.objects.count() == 1


def test_an_account_without_a_score_has_nothing_to_tell(anthropic_api):
    seed()

    with pytest.raises(NotScored, match=r"acme\.example has no score yet"):
        click(make_company())
    assert not BriefAttempt.objects.exists()


def test_without_any_template_the_reason_says_what_to_do(acme, anthropic_api):
    PromptTemplate.objects.all().delete()

    assert "No enabled prompt template fits office/sales/Hot" in click(acme).failure


# --- Checked ----------------------------------------------------------------------------------------------------------
def test_what_the_check_finds_is_asked_for_once_more(acme, anthropic_api):
    anthropic_api.faults = [faults.says("- 900 visits to /secret")]

    outcome = click(acme)

    assert outcome.brief.summary_md == "**Why they’re hot**\n\n- Intent score 70"
    asked = anthropic_api.requests[1].body["messages"]
    assert asked[1] == {"role": "assistant", "content": "- 900 visits to /secret"}
    assert "- No page /secret is in the facts." in asked[2]["content"]
    assert "- The figure 900 is not in the facts." in asked[2]["content"]
    assert BriefAttempt.objects.get().calls == 2


def test_what_still_fails_is_stored_and_marked_and_not_asked_a_third_time(acme, anthropic_api):
    anthropic_api.faults = [faults.says("900 visits, 3,000 clicks"), faults.says("900 visits")]

    outcome = click(acme)

    assert outcome.brief.summary_md == "900 visits"
    assert Finding("figure", "900", "The figure 900 is not in the facts.") in outcome.brief.findings
    assert len(anthropic_api.requests) == 2
    assert click(acme).state == CACHED


def test_of_two_texts_the_better_one_is_kept(acme, anthropic_api):
    anthropic_api.faults = [faults.says("900 visits"), faults.says("900 visits, 3,000 clicks")]

    assert click(acme).brief.summary_md == "900 visits"


def test_a_second_attempt_that_fails_leaves_the_first_text_with_its_marks(acme, anthropic_api):
    anthropic_api.faults = [faults.says("900 visits"), faults.error(401)]

    outcome = click(acme)

    assert (outcome.state, outcome.brief.summary_md) == (MADE, "900 visits")
    assert BriefAttempt.objects.get().calls == 2


@pytest.mark.parametrize(
    ("text", "changes", "detail"),
    [
        ("word " * 181, {}, "The text has 181 words; 180 were asked for."),
        ("Score 70 and", {"stop_reason": "max_tokens"}, "The text was cut off before its end."),
        ("Hot. " * 5000, {}, "The text is longer than 20,000 bytes; only so much of it is kept."),
    ],
    ids=["long", "cut off", "huge"],
)
def test_an_overlong_or_unfinished_text_is_marked(acme, anthropic_api, text, changes, detail):
    anthropic_api.faults = [faults.says(text, **changes)] * 2

    brief = click(acme).brief

    assert detail in [finding.detail for finding in brief.findings]
    assert len(brief.summary_md.encode()) <= 20_000


# --- Failures ---------------------------------------------------------------------------------------------------------
def test_a_failed_call_leaves_the_last_good_brief_and_says_why(acme, anthropic_api):
    good = click(acme).brief
    rescore(acme, intent_score=90)
    anthropic_api.faults = [faults.error(403)]

    outcome = click(acme)

    assert (outcome.state, outcome.brief) == (FAILED, good)
    assert outcome.failure.startswith("Anthropic's key may not do this (403).")
    assert not ReplacedSummary.objects.exists()
    assert click(acme).state == MADE  # nothing is in the way of the next click


def test_a_text_that_is_empty_twice_is_a_failure(acme, anthropic_api):
    anthropic_api.faults = [faults.EMPTY, faults.EMPTY]

    outcome = click(acme)

    assert (outcome.state, outcome.failure) == (FAILED, "The model gave an empty text, twice.")
    assert not AccountAISummary.objects.exists()


def test_both_texts_share_one_deadline(acme, anthropic_api, settings):
    click(acme, "exec")  # the SDK is imported now
    settings.AI_DEADLINE_SECONDS = 3
    anthropic_api.faults = [faults.says("900 visits"), faults.SLOW]

    outcome = click(acme)

    assert (outcome.state, outcome.brief.summary_md) == (MADE, "900 visits")
    anthropic_api.faults = [faults.SLOW]
    assert click(acme, "marketing").failure == "The model did not answer within 3 s. Try again later."


# --- Without a model --------------------------------------------------------------------------------------------------
def test_without_a_key_rules_write_it_and_nothing_is_called(acme, settings):
    settings.ANTHROPIC_BASE_URL = "http://127.0.0.1:1"

    outcome = click(acme)

    assert (outcome.state, outcome.brief.model, outcome.brief.is_from_rules) == (MADE, "rules", True)
    assert outcome.brief.findings == ()
    assert click(acme).state == CACHED
    assert not BriefBudget.objects.exists()


def test_a_model_that_was_configured_since_writes_anew(acme, anthropic_api, settings):
    settings.ANTHROPIC_API_KEY = ""
    click(acme)
    settings.ANTHROPIC_API_KEY = anthropic_api.key

    assert click(acme).why == "A language model is configured now."
    settings.ANTHROPIC_API_KEY = ""
    assert (click(acme).state, click(acme).brief.model) == (CACHED, "claude-test")


# --- Budgets ----------------------------------------------------------------------------------------------------------
def test_a_user_has_so_many_a_day_and_so_has_the_installation(acme, anthropic_api, settings):
    settings.AI_BRIEFS_PER_USER_AND_DAY, settings.AI_BRIEFS_PER_DAY = 2, 3
    sam, kim = make_user(), make_user("kim")
    click(acme, asked_by=sam)
    click(acme, asked_by=sam, force=True)

    with pytest.raises(BudgetReached, match="one user may ask for 2 briefs a day") as reached:
        click(acme, asked_by=sam, force=True)
    assert reached.value.until == at(DAY + timedelta(days=2), 0)
    assert click(acme, asked_by=sam).state == CACHED  # what is there costs nothing
    assert click(acme, asked_by=kim, force=True).state == MADE
    with pytest.raises(BudgetReached, match="this installation may ask for 3 briefs a day"):
        click(acme, asked_by=kim, force=True)
    assert dict(BriefBudget.objects.values_list("holder", "used")) == {
        "all": 3,
        f"user:{sam.pk}": 2,
        f"user:{kim.pk}": 1,
    }
    assert not BriefAttempt.objects.filter(state="running").exists()
    assert click(acme, asked_by=sam, force=True, now=NOW + timedelta(days=1)).state == MADE


# --- One at a time ----------------------------------------------------------------------------------------------------
def test_the_database_allows_one_running_attempt_at_a_brief(acme):
    running = {"prospect_company": acme, "lease_until": NOW}
    BriefAttempt.objects.create(**running)

    with pytest.raises(IntegrityError), transaction.atomic():
        BriefAttempt.objects.create(**running)
    BriefAttempt.objects.create(**running, persona="exec")


@pytest.mark.parametrize(
    "fields", [{"persona": "king"}, {"state": "odd"}, {"lease_until": None}], ids=lambda fields: next(iter(fields))
)
def test_what_an_attempt_cannot_be_the_database_refuses(acme, fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        BriefAttempt.objects.create(**{"prospect_company": acme, "lease_until": NOW, **fields})


def test_a_dead_attempt_is_in_nobodys_way(acme, anthropic_api):
    BriefAttempt.objects.create(prospect_company=acme, lease_until=Now() - timedelta(seconds=1))

    assert click(acme).state == MADE
    assert sorted(BriefAttempt.objects.values_list("state", flat=True)) == ["done", "failed"]


def test_one_that_writes_for_too_long_is_told_of(acme, anthropic_api, settings):
    settings.AI_DEADLINE_SECONDS = 0.3
    BriefAttempt.objects.create(prospect_company=acme, lease_until=Now() + timedelta(seconds=60))

    assert click(acme).failure == "It is still being written for somebody else. Reload in a moment."


def test_what_was_ended_meanwhile_stores_nothing(acme, anthropic_api):
    """By whoever took it for dead, or by an erasure of somebody whose words are in the facts."""
    answered = threading.Event()

    def end_it(facts):
        answered.set()
        return "Score 70"

    anthropic_api.writes = end_it
    with connection.execute_wrapper(lambda execute, sql, *rest: _ended_first(execute, sql, answered, *rest)):
        outcome = click(acme)

    assert answered.is_set()
    assert (outcome.state, outcome.failure) == (FAILED, CHANGED)
    assert not AccountAISummary.objects.exists()


def _ended_first(execute, sql, answered, *rest):
    """The first statement after the model's answer comes after somebody else's."""
    if answered.is_set() and BriefAttempt._meta.db_table in sql and not getattr(answered, "once", False):
        answered.once = True
        BriefAttempt.objects.all().delete()
    return execute(sql, *rest)


@pytest.mark.mariadb
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "refused"])
def test_ten_clicks_at_once_are_one_call_and_get_one_answer(acme, anthropic_api, monkeypatch, fails):
    slow = faults.Fault(delay=1) if not fails else faults.error(400)
    anthropic_api.faults = [faults.Fault(**{**slow.__dict__, "delay": 1})]
    outcomes, gate, claim = [], threading.Barrier(10), summaries._claim

    def claim_together(*args):
        gate.wait(timeout=30)  # all have read what there was
        return claim(*args)

    monkeypatch.setattr(summaries, "_claim", claim_together)

    def one():
        try:
            outcomes.append(click(acme))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert connection.vendor == "mysql"
    assert len(anthropic_api.requests) == 1
    assert len(outcomes) == 10
    assert (
        len({(outcome.brief, outcome.failure) for outcome in outcomes} if fails else {o.brief.id for o in outcomes})
        == 1
    )
    assert {outcome.state for outcome in outcomes} <= ({FAILED} if fails else {MADE, CACHED})
    assert BriefBudget.objects.get().used == 1


# --- Erasure ----------------------------------------------------------------------------------------------------------
def test_an_erased_person_takes_the_stored_facts_and_texts_along_and_those_they_replaced(acme, anthropic_api):
    Contact.objects.create(prospect_company=acme, email="ann@acme.example", title="Chief Noodle")
    click(acme)
    click(acme, force=True)

    receipt = erase_person("ann@acme.example", erased_by="test")

    assert receipt.ai_summaries == 2
    assert not AccountAISummary.objects.exists()
    assert not ReplacedSummary.objects.exists()
    assert not BriefAttempt.objects.exists()


def test_the_account_that_was_merged_into_again_loses_its_briefs_too(acme, anthropic_api):
    small = make_company("small.example", merged_into=make_company("middle.example", merged_into=acme))
    Contact.objects.create(prospect_company=small, email="ann@small.example", title="Chief Noodle")
    click(acme)
    assert "Chief Noodle" in str(AccountAISummary.objects.get().input_json)

    erase_person("ann@small.example", erased_by="test")

    assert not AccountAISummary.objects.exists()


def test_why_a_brief_would_be_made_can_be_asked(acme, anthropic_api):
    assert why_due(acme, "sales") == "The first for this date and lane."
    click(acme)
    assert why_due(acme, "sales") == ""
    rescore(acme, intent_score=90)
    assert why_due(acme, "sales") == "The score moved from 70 to 90."
