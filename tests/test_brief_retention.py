"""Old briefs, attempts and budgets go; what an account shows stays, however old."""

from datetime import timedelta

import pytest

from ai_summaries.models import AccountAISummary, BriefAttempt, BriefBudget, ReplacedSummary
from ai_summaries.summaries import stored_brief
from scoring import retention
from scoring.retention import purge
from tests.factories import DAY, at, make_company, make_prompt

pytestmark = pytest.mark.django_db
NOW = at(DAY)
OLD, KEPT = 401, 400  # days, on both sides of the edge


def ago(days):
    return DAY - timedelta(days=days)


def aged(row, days):
    type(row).objects.filter(pk=row.pk).update(created_at=at(ago(days)))
    return row


@pytest.fixture
def template():
    return make_prompt()


@pytest.fixture
def make_brief(template):
    def make(company, age, persona="sales", lane="office"):
        text = {"intent_score": 70, "surge_level": "Normal", "prompt_template": template, "input_json": {"age": age}}
        key = {"prospect_company": company, "cache_date": ago(age), "top_lane": lane, "persona": persona}
        return aged(AccountAISummary.objects.create(**key, **text, summary_md=f"{age} days old"), age)

    return make


def purged(**options):
    *_, last = purge(NOW, **options)
    return {what: rows for what, rows in last.items() if rows}


def ages(model):
    return sorted((NOW - row.created_at).days for row in model.objects.all())


def test_the_brief_that_an_account_shows_stays_whatever_its_age(make_brief):
    acme, quiet = make_company(), make_company("quiet.example")
    for age in (500, OLD, KEPT, 10):
        make_brief(acme, age)
    make_brief(acme, 600, "exec")  # nobody asked for another
    make_brief(quiet, 900)
    make_brief(quiet, 900, lane="meeting")
    shown = [stored_brief(company, persona) for company in (acme, quiet) for persona in ("sales", "exec")]

    for _ in range(2):
        purged()

    assert ages(AccountAISummary) == [10, KEPT, 600, 900, 900]
    assert [stored_brief(company, persona) for company in (acme, quiet) for persona in ("sales", "exec")] == shown


def test_replaced_texts_attempts_and_budgets_go_and_a_second_time_there_is_nothing(make_brief, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    acme = make_company()
    old, shown = make_brief(acme, 500), make_brief(acme, 450)
    for age in (500, 420, OLD, KEPT, 1):
        shown.replace_by({"summary_md": f"after {age}"})
        aged(ReplacedSummary.objects.order_by("-id").first(), age)
        aged(BriefAttempt.objects.create(prospect_company=acme, state="done", summary=shown), age)
        BriefBudget.objects.create(day=ago(age), holder="all", used=3)
    dead = BriefAttempt.objects.create(prospect_company=acme, state="running", lease_until=at(ago(500)))
    last = aged(BriefAttempt.objects.create(prospect_company=acme, persona="exec", state="done", summary=old), 300)
    aged(dead, 500)
    counted = purged(write=False)
    assert BriefAttempt.objects.count() == 7

    first = purged()

    assert first == {"replaced_briefs": 3, "older_briefs": 1, "brief_attempts": 4, "brief_budgets": 3} == counted
    assert purged() == {}
    assert AccountAISummary.objects.get() == shown
    assert (ages(ReplacedSummary), ages(BriefAttempt)) == ([1, KEPT], [1, 300, KEPT])
    assert set(BriefBudget.objects.values_list("day", flat=True)) == {ago(1), ago(KEPT)}
    last.refresh_from_db()
    assert last.summary is None  # the attempt outlives its brief


def test_zero_keeps_every_brief(make_brief, settings):
    acme = make_company()
    for age in (2_000, 10):
        make_brief(acme, age).replace_by({"summary_md": "New."})
    aged(ReplacedSummary.objects.first(), 2_000)
    settings.BRIEF_RETENTION_DAYS = 0

    assert purged() == {}
