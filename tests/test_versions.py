"""Versions of the scoring model: never two active and never none, and back to what was in one step."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.utils import timezone

from registry import loader
from registry.changes import config_changes
from registry.differences import Difference, differences
from registry.models import ActivatedMeanwhile, EventRule, RegistryRevision, ScoreConfig, ScoreWeight
from registry.revisions import registry_of
from registry.versions import CannotRollBack, earlier, roll_back
from scoring.models import DailyAccountIntent
from scoring.preview import digest
from tests.factories import (
    DAY,
    at,
    make_config,
    make_fact,
    make_pull,
    make_rule,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def scored():
    """A config with which scores were made."""
    make_pull()
    config = make_config("live")
    make_weight(config, content_type="pricing", weight=25)
    make_weight(config, "form_submitted", 60)
    make_weight(config, "phone", 10, kind="lead")
    make_rule("/pricing", content_type="pricing", notes="ours")
    make_rule("/docs", content_type="docs", priority=200)
    make_fact()
    score()
    return config


def snapshots():
    return list(DailyAccountIntent.objects.order_by("pk").values())


def statuses():
    return dict(ScoreConfig.objects.values_list("name", "status"))


def test_an_activation_that_saw_another_active_config_is_told_so_and_changes_nothing(scored):
    first, second = scored.clone("first"), scored.clone("second")

    first.activate(instead_of=scored.pk)
    with pytest.raises(ActivatedMeanwhile, match="first is active now"):
        second.activate(instead_of=str(scored.pk))

    assert statuses() == {"live": "archived", "first": "active", "second": "draft"}


@pytest.mark.mariadb  # threads on the in-memory database of the tests are turned away, not made to wait
@pytest.mark.django_db(transaction=True)
def test_of_many_admins_who_activate_at_once_one_wins_and_the_others_are_told():
    live = make_config("live")
    drafts = [make_config(f"draft {n}", "draft") for n in range(6)]
    start = Barrier(len(drafts))

    def activate(draft):
        try:
            start.wait(timeout=30)
            draft.activate(instead_of=live.pk)
            return "won"
        except ActivatedMeanwhile:
            return "told"
        finally:
            connection.close()

    with ThreadPoolExecutor(len(drafts)) as threads:
        assert sorted(threads.map(activate, drafts)) == ["told"] * 5 + ["won"]

    assert sorted(statuses().values()) == ["active", "archived"] + ["draft"] * 5


def test_a_deleted_draft_cannot_be_activated_and_leaves_the_active_one(scored):
    draft = scored.clone("draft")
    ScoreConfig.objects.get(pk=draft.pk).delete()

    with pytest.raises(ScoreConfig.DoesNotExist):
        draft.activate()

    assert statuses() == {"live": "active"}


def change_everything(config):
    """What the loader would not know again."""
    config.name, config.normalize_k, config.lambda_decay = "renamed", 55, "0.25"
    config.save()
    config.weights.get(content_type="pricing").delete()
    make_weight(config, "cta_click", 99)
    changed = EventRule.objects.get(match_value="/pricing")
    changed.match_value, changed.priority, changed.enabled = "/prices", 3, False
    changed.save()
    EventRule.objects.get(match_value="/docs").delete()
    make_rule("/new", content_type="pricing")


def test_a_rollback_brings_back_numbers_weights_and_rules_and_the_scores_are_what_they_were(scored):
    before, then, revision = snapshots(), loader.load_registry(), RegistryRevision.objects.get()
    other = scored.clone("other")
    change_everything(scored)
    other.activate()
    make_rule("/only-in-other", score_config=other)
    score()
    assert snapshots() != before

    restored = roll_back(revision, reason="too many Hot")

    assert restored == scored
    assert statuses() == {"live": "active", "other": "archived"}
    assert loader.load_registry() == then
    assert digest(loader.load_registry()) == revision.digest
    assert EventRule.objects.get(match_value="/pricing").notes == "ours"
    assert not EventRule.objects.get(match_value="/new").enabled
    assert EventRule.objects.get(match_value="/only-in-other").enabled  # counts for the other config alone
    assert scored.weights.get(kind="lead").weight == 10
    score()
    changing = {"updated_at", "job_run_id"}
    assert [{k: v for k, v in row.items() if k not in changing} for row in snapshots()] == [
        {k: v for k, v in row.items() if k not in changing} for row in before
    ]
    reason = f"Rolled back to revision {revision}: too many Hot"
    assert scored.history.latest().history_change_reason == reason
    assert ScoreWeight.history.filter(event_name="cta_click").latest().history_change_reason == reason


def test_a_rollback_twice_changes_nothing_more(scored):
    revision = RegistryRevision.objects.get()
    change_everything(scored)
    for _ in range(2):
        roll_back(revision)
        counted = EventRule.history.count(), ScoreWeight.history.count()

    assert counted == (EventRule.history.count(), ScoreWeight.history.count())
    assert loader.load_registry() == registry_of(revision)


def test_a_revision_that_cannot_be_used_any_more_changes_nothing(scored):
    revision = RegistryRevision.objects.get()
    rows = [list(model.objects.order_by("pk").values()) for model in (ScoreConfig, ScoreWeight, EventRule)]
    revision.content_json["rules"][0]["match_value"] = "(?=a)"
    revision.content_json["rules"][0]["match_type"] = "path_regex"
    with pytest.raises(CannotRollBack, match="Look-around"):
        roll_back(revision)
    with pytest.raises(CannotRollBack, match="another version"):
        roll_back(RegistryRevision(digest="x", content_json={"config": {}}))
    revision.content_json["config"]["id"] = str(revision.pk)
    with pytest.raises(CannotRollBack, match="is gone"):
        roll_back(revision)

    assert rows == [list(model.objects.order_by("pk").values()) for model in (ScoreConfig, ScoreWeight, EventRule)]


def test_the_versions_one_can_go_back_to_are_those_that_say_otherwise(scored):
    first = RegistryRevision.objects.get()
    assert earlier() == []

    scored.weights.filter(content_type="pricing").update(weight=50)
    assert earlier() == [first]

    score()
    second = RegistryRevision.objects.exclude(pk=first.pk).get()
    assert earlier() == [first]
    roll_back(first)
    assert earlier() == [second]


def test_two_registries_are_told_apart_part_by_part(scored):
    then = loader.load_registry()
    scored.normalize_k = 90
    scored.save()
    scored.weights.filter(content_type="pricing").update(weight=50)
    EventRule.objects.filter(match_value="/docs").update(lane="docs", weight_override=7)

    assert differences(then, loader.load_registry()) == [
        Difference("numbers", "normalize_k", "80", "90"),
        Difference("weights", "page_view · pricing", "25", "50"),
        Difference(
            "event rules",
            "/docs",
            "200 page_view path_prefix /docs → docs",
            "200 page_view path_prefix /docs → docs, lane docs, weight 7",
        ),
    ]
    assert differences(then, then) == []


# --- What changed, for the timeline ---
def told(since):
    return [(str(change), change.by, change.reason) for change in config_changes(since)]


def test_changes_of_the_active_config_are_told_and_those_of_drafts_are_not(scored):
    ada, since = make_user("ada"), timezone.now()
    draft = scored.clone("draft")
    draft.normalize_k = 1
    draft.save()
    make_rule("/draft", score_config=draft)
    assert told(since) == []

    weight = scored.weights.get(content_type="pricing")
    weight.weight, weight._history_user, weight._change_reason = 50, ada, "asked by sales"
    weight.save()
    scored.refresh_from_db()
    scored.normalize_k = 90
    scored.save()
    EventRule.objects.get(match_value="/docs").delete()
    make_rule("/events", lane="events")
    draft.activate()
    draft.weights.get(content_type="pricing").delete()

    assert told(since) == [
        ("Weight of page_view · pricing: 25 → 50", "ada", "asked by sales"),
        ("live normalize k: 80 → 90", "", ""),
        ("Event rule /docs removed", "", ""),
        ("Event rule /events: 100 page_view path_prefix /events → lane events", "", ""),
        ("Score config draft: active", "", "Activated"),
        ("Weight of page_view · pricing removed", "", ""),
    ]
    assert told(at(DAY + timedelta(days=4000))) == []


@pytest.mark.parametrize("rows", [1, 40])
def test_changes_are_read_in_the_same_number_of_queries_whatever_there_is(scored, rows, django_assert_num_queries):
    since = timezone.now()
    for n in range(rows):
        make_rule(f"/{n}")
        make_weight(scored, f"event_{n}")

    with django_assert_num_queries(6):
        assert len(config_changes(since)) == 2 * rows
