"""A preview names what a recompute would find after the activation, to the last score, and writes no score."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ProspectCompany
from accounts.resolution import merge
from registry.models import ScoreConfig
from scoring import jobs
from scoring.models import PREVIEW, ConfigPreview, DailyAccountIntent, JobRun
from scoring.moves import Impact, Standing, Tally
from scoring.runs import is_current, run_preview
from tests.factories import (
    DAY,
    at,
    make_company,
    make_config,
    make_domain_rule,
    make_fact,
    make_lead,
    make_pull,
    make_rule,
    make_weight,
    score,
)
from tests.test_jobs import nobody_wakes  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
NOW = at(DAY + timedelta(days=1), 2)
VIEWS = {"a": 1, "b": 2, "c": 3, "d": 5, "e": 8}


@pytest.fixture
def facts():
    """Accounts from Cold to Hot, scored; and some that are merged, suppressed or not opened yet."""
    make_pull()
    config = make_config("live")
    make_weight(config, weight=2)
    make_weight(config, weight=20, content_type="pricing")
    make_weight(config, "form_submitted", 60)
    make_rule("/pricing", content_type="pricing", lane="desks")
    make_rule("/docs", content_type="docs", lane="docs")
    for name, views in VIEWS.items():
        cells = [("page_view", "", "", "", "/pricing", views), ("page_view", "", "", "", "/docs/x", 9 - views)]
        make_fact(f"{name}.example", DAY, *cells)
        make_fact(f"{name}.example", DAY - timedelta(days=9), ("page_view", "", "", "", "/docs/x", views))
    make_lead("lead.example", lane="desks")
    make_domain_rule("e.example", "customer")
    score()
    make_fact("unopened.example", DAY, ("page_view", "", "", "", "/pricing", 4))
    merge(ProspectCompany.objects.get(domain="b.example"), ProspectCompany.objects.get(domain="a.example"))
    return config


def standings():
    """Every stored score of the day."""
    rows = DailyAccountIntent.objects.filter(date=DAY).values_list(
        "prospect_company__domain", "intent_score", "intent_stage", "surge_level", "raw_score_30d", "top_lane"
    )
    return {domain: Standing(*row) for domain, *row in rows}


def previewed(config, **options):
    return run_preview(config, None, NOW, asked_by="ada", **options).impact


def test_a_draft_that_is_the_active_config_moves_nobody(facts):
    draft = facts.clone("same")

    impact = previewed(draft)

    assert impact.accounts == 5  # b with a in it, c, d, lead, unopened; e is suppressed
    assert (impact.moved, impact.movers, impact.stages, impact.surges, impact.lanes) == (0, (), (), (), ())
    assert impact.histogram_before == impact.histogram_after


def change_weight(draft):
    draft.weights.filter(content_type="pricing").update(weight=50)


def change_numbers(draft):
    draft.lambda_decay, draft.normalize_k, draft.cold_max, draft.warm_max = "0.3", 40, 20, 40
    draft.surge_rebase_prev, draft.surge_min_raw_7d, draft.new_account_days = True, 30, 1
    draft.save()


def change_rules(draft):
    make_rule("/docs", content_type="pricing", lane="events", priority=1, score_config=draft)


@pytest.mark.parametrize("change", [change_weight, change_numbers, change_rules])
def test_after_the_activation_a_recompute_finds_exactly_what_the_preview_named(facts, change):
    draft = facts.clone("draft")
    change(draft)

    made = run_preview(draft, None, NOW, asked_by="ada")
    score()
    before = standings()
    draft.activate()
    score()
    after = standings()

    tally = Tally(DAY)
    for domain in after:
        tally.add(domain, before[domain], after[domain])
    found, impact = tally.impact({}, {}), made.impact
    named = tally.impact(dict(ProspectCompany.objects.values_list("domain", "name")), {})
    assert impact.moved > 0
    assert (impact.stages, impact.surges, impact.lanes) == (named.stages, named.surges, named.lanes)
    assert [(move.domain, move.before, move.after) for move in impact.movers] == [
        (move.domain, move.before, move.after) for move in found.movers
    ]
    assert (impact.stage_counts, impact.surge_counts, impact.lane_counts) == (
        found.stage_counts,
        found.surge_counts,
        found.lane_counts,
    )
    assert (impact.histogram_before, impact.histogram_after) == (found.histogram_before, found.histogram_after)
    # What made the snapshots has the name that the preview foretold.
    revisions = DailyAccountIntent.objects.filter(date=DAY).values_list("registry_revision__digest", flat=True)
    assert set(revisions) == {made.after_digest}


def test_a_preview_writes_no_score_no_account_and_no_revision(facts):
    draft = facts.clone("draft")
    change_weight(draft)
    kept = [
        list(model.objects.order_by("pk").values())
        for model in (DailyAccountIntent, ProspectCompany, type(DailyAccountIntent.objects.first().registry_revision))
    ]

    previewed(draft)

    assert kept == [
        list(model.objects.order_by("pk").values())
        for model in (DailyAccountIntent, ProspectCompany, type(DailyAccountIntent.objects.first().registry_revision))
    ]


def test_the_biggest_movers_come_with_what_their_points_are_made_of(facts):
    draft = facts.clone("draft")
    change_weight(draft)

    move = previewed(draft).movers[0]

    assert move.domain == "unopened.example"
    ((category, event, before, after), *_) = move.reasons
    assert (category, event, before.count, before.points, after.points) == ("pricing", "page_view", 4, 80.0, 200.0)
    assert sum(line.points for line in move.reasons_after) == pytest.approx(move.after.raw_30d, abs=1e-9)


def test_a_stored_preview_is_read_back_as_it_was_made(facts):
    draft = facts.clone("draft")
    change_weight(draft)
    made = run_preview(draft, None, NOW, asked_by="ada")

    again = ConfigPreview.objects.get(pk=made.pk)

    assert again.impact == Impact.from_json(made.impact_json)
    assert again.impact.movers == made.impact.movers


def test_a_preview_is_out_of_date_once_the_draft_or_what_is_in_force_changes(facts):
    draft = facts.clone("draft")
    weight, general = draft.weights.first(), make_rule("/x", lane="x")
    made = run_preview(draft, None, NOW, asked_by="ada")
    assert is_current(made)

    weight.weight += 1
    weight.save()
    assert not is_current(made)
    weight.weight -= 1
    weight.save()
    assert is_current(made)  # it goes by content, not by time

    general.delete()
    assert not is_current(made)


def test_only_the_last_previews_of_a_config_are_kept(facts):
    draft = facts.clone("draft")
    made = [run_preview(draft, None, NOW, asked_by="ada").pk for _ in range(12)]

    assert list(ConfigPreview.objects.order_by("created_at", "id").values_list("pk", flat=True)) == made[2:]


@pytest.mark.usefixtures("nobody_wakes")
def test_a_preview_that_is_asked_for_is_a_run_with_progress_that_stands_in_nobodys_way(facts):
    draft = facts.clone("draft")
    change_weight(draft)
    run = jobs.ask_preview(draft, None, NOW, "ada")
    assert jobs.ask_preview(draft, None, NOW, "bob") == run  # it waits already
    assert (run.kind, run.is_bulk, run.state) == (PREVIEW, False, "queued")

    night = JobRun.objects.ask("recompute", NOW, is_bulk=True, asked_by="bob", params={})
    assert JobRun.objects.start(night, NOW)
    for _ in range(2):  # a wake-up may come twice
        jobs.perform(run.pk)

    run.refresh_from_db()
    made = ConfigPreview.objects.get()
    assert (run.state, run.done_items, run.total_items, run.phase) == ("done", 6, 6, f"preview {DAY}")
    assert run.result_json == {"date": str(DAY), "accounts": 5, "moved": made.impact.moved, "preview": str(made.pk)}


@pytest.mark.usefixtures("nobody_wakes")
def test_a_preview_of_a_config_that_is_gone_fails_in_plain_words(facts):
    draft = facts.clone("draft")
    run = jobs.ask_preview(draft, None, NOW, "ada")
    draft.delete()

    jobs.perform(run.pk)

    run.refresh_from_db()
    assert (run.state, run.message) == ("failed", "There is no such score config; perhaps somebody deleted it.")


def test_the_command_tells_who_moves_and_keeps_the_preview(facts, capsys):
    draft = facts.clone("draft")
    change_weight(draft)

    call_command("preview_config", "draft")
    said = capsys.readouterr().out

    assert f"{DAY}: 4 of 5 accounts move." in said
    assert "  Warm → Hot: 3\n    unopened.example 63 → 92\n" in said
    assert "unopened.example 63 → 92: pricing 80.0 → 200.0 points" in said
    call_command("preview_config", "draft", "--json", "--date", str(DAY))
    assert Impact.from_json(json.loads(capsys.readouterr().out)) == ConfigPreview.objects.order_by("-id")[0].impact


def test_the_command_says_which_configs_there_are_and_why_a_date_cannot_be_previewed(facts):
    with pytest.raises(CommandError, match=r"There is no score config 'x'. There are: live."):
        call_command("preview_config", "x")
    with pytest.raises(CommandError, match="lies before the first day with facts"):
        call_command("preview_config", "live", "--date", "2020-01-01")


def test_a_clone_has_the_numbers_weights_and_own_rules_of_its_original_and_is_nobodys_seed(facts):
    facts.seed_key, facts.normalize_k = "default_v1", 77
    facts.save()
    own = make_rule("/own", lane="own", score_config=facts, notes="why")

    draft = ScoreConfig.objects.get(name="live").clone("copy")

    draft.refresh_from_db()
    assert (draft.status, draft.normalize_k, draft.seed_key) == ("draft", 77, None)
    columns = ("kind", "event_name", "content_type", "cta_id", "weight")
    assert set(draft.weights.values_list(*columns)) == set(facts.weights.values_list(*columns))
    (rule,) = own.__class__.objects.filter(score_config=draft)
    assert (rule.match_value, rule.lane, rule.notes) == ("/own", "own", "why")
    assert draft.history.get().history_change_reason == "Cloned from live"


def test_a_tally_names_the_best_of_each_way_and_counts_all(facts):
    tally = Tally(DAY, named=3)
    for n in range(300):
        tally.add(f"{n:03}.example", Standing(n % 30, "Cold", "Normal", n, "x"), Standing(70, "Hot", "Normal", n, "y"))
    make_company("x.example")

    impact = tally.impact({"299.example": "Acme"}, {})

    (way,) = impact.stages
    assert (way.count, [move.domain for move in way.accounts]) == (300, ["299.example", "298.example", "297.example"])
    assert way.accounts[0].name == "Acme"
    assert impact.stage_counts == {"Cold": (300, 0), "Hot": (0, 300)}
    assert impact.entering("Hot") == impact.leaving("Cold") == [way]
