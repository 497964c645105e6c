"""The registry as frozen values: cached for a while, fresh for a run."""

import dataclasses

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry import loader
from registry.models import EventRule, ScoreConfig
from registry.values import ScoreParameters, Weights
from tests.factories import make_config, make_domain_rule, make_prompt, make_rule, make_weight

pytestmark = pytest.mark.django_db

WANTED = {"lane": "office", "persona": "sales", "stage": "Hot"}


@pytest.fixture(autouse=True)
def _empty_cache():
    loader.clear_cache()
    yield
    loader.clear_cache()


def getters(config_id):
    return [
        loader.get_active_score_config,
        lambda: loader.get_weights_map(config_id),
        lambda: loader.get_event_rules(config_id),
        loader.get_domain_rules,
        lambda: loader.get_prompt_template(**WANTED),
    ]


def test_spec_step_5_the_active_config_loads_with_every_number():
    make_config("draft", "draft", normalize_k=1)
    config = make_config(lambda_decay="0.123456", normalize_k=90, cold_max=10, warm_max=20, surge_min_raw_7d=0.1)

    assert loader.get_active_score_config() == ScoreParameters(
        id=str(config.pk), name="test_v1", lambda_decay=0.123456, normalize_k=90, cold_max=10, warm_max=20,
        surge_min_raw_7d=0.1,
    )  # fmt: skip


def test_the_columns_defaults_are_the_values_defaults():
    config = ScoreConfig.objects.create(name="x", status="active")

    assert loader.get_active_score_config() == ScoreParameters(id=str(config.pk), name="x")


@pytest.mark.parametrize("load", [loader.get_active_score_config, loader.load_registry])
def test_without_an_active_config_it_says_what_to_do(load):
    make_config("draft", "draft")

    with pytest.raises(loader.NoActiveConfig, match="seed_registry"):
        load()


def test_only_the_event_weights_of_the_config_are_loaded():
    config, other = make_config(), make_config("other", "draft")
    make_weight(config, "page_view", 25, content_type="pricing")
    make_weight(config, "cta_click", 0, cta_id="buy")
    make_weight(config, "title", 5, kind="lead")
    make_weight(other, "page_view", 99, content_type="pricing")

    expected = {("page_view", "pricing", ""): 25, ("cta_click", "", "buy"): 0}
    assert loader.get_weights_map(str(config.pk)).points == expected


def test_rules_are_those_enabled_for_every_config_or_this_one_in_order():
    config, other = make_config(), make_config("other", "draft")
    wanted = [
        make_rule("/b", priority=2),
        make_rule("/c", priority=2),
        make_rule("/a", priority=3, score_config=config),
    ]
    wanted = [make_rule("/first", priority=1), *wanted]
    make_rule("/off", enabled=False)
    make_rule("/other", score_config=other)

    assert [rule.id for rule in loader.get_event_rules(str(config.pk)).rules] == [str(row.pk) for row in wanted]
    assert [rule.match_value for rule in loader.get_event_rules().rules] == ["/first", "/b", "/c"]
    assert loader.load_registry().rules == tuple(row.value() for row in wanted)


def test_disabled_domain_rules_and_templates_are_not_loaded():
    make_domain_rule(enabled=False)
    make_prompt(enabled=False)

    assert loader.get_domain_rules() == ()
    with pytest.raises(LookupError, match="office/sales/Hot"):
        loader.get_prompt_template(**WANTED)


def test_with_a_long_ttl_nothing_is_asked_twice(settings):
    settings.REGISTRY_TTL_SECONDS = 3600
    config = make_config()
    make_prompt()
    first = [get() for get in getters(str(config.pk))]

    with CaptureQueriesContext(connection) as queries:
        assert [get() for get in getters(str(config.pk))] == first

    assert len(queries) == 0


def test_a_row_changed_elsewhere_is_seen_when_the_ttl_is_over(settings):
    rule = make_rule(lane="office")
    elsewhere = EventRule.objects.filter(pk=rule.pk).update  # as another process would: no signal in this one
    settings.REGISTRY_TTL_SECONDS = 3600
    seen = []
    for ttl, lane in [(3600, "office"), (3600, "events"), (0, "events"), (3600, "events")]:
        settings.REGISTRY_TTL_SECONDS = ttl
        elsewhere(lane=lane)
        seen.append(loader.get_event_rules().rules[0].lane)

    assert seen == ["office", "office", "events", "events"]


def test_clear_cache_forgets_and_a_run_never_reads_the_cache(settings):
    settings.REGISTRY_TTL_SECONDS = 3600
    config = make_config()
    loader.get_active_score_config()
    ScoreConfig.objects.filter(pk=config.pk).update(normalize_k=7)

    assert loader.load_registry().parameters.normalize_k == 7
    assert loader.get_active_score_config().normalize_k == 80
    loader.clear_cache()
    assert loader.get_active_score_config().normalize_k == 7


def test_what_was_read_while_somebody_edited_is_read_again(settings):
    settings.REGISTRY_TTL_SECONDS = 3600
    rule = make_rule(lane="office")

    def read():  # as a page does that began before the edit
        seen = EventRule.objects.get(pk=rule.pk).lane
        if seen == "office":
            rule.lane = "events"
            rule.save()
        return seen

    assert [loader._cached("lane", read) for _ in range(3)] == ["office", "events", "events"]
    EventRule.objects.filter(pk=rule.pk).update(lane="desks")
    assert loader._cached("lane", read) == "events"  # and then kept


def test_what_this_process_saves_or_deletes_it_sees_at_once(settings):
    settings.REGISTRY_TTL_SECONDS = 3600
    config = make_config()
    rows = [make_weight(config), make_rule(), make_domain_rule(), make_prompt(), make_prompt(lane="office")]
    before = [get() for get in getters(str(config.pk))]

    config.normalize_k = 7
    config.save()
    for row in rows:
        if row is not rows[3]:
            row.delete()

    after = [get() for get in getters(str(config.pk))]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False] * 5


def test_frozen_values_cannot_be_changed():
    config = make_config()
    make_weight(config)
    make_rule()
    make_domain_rule()
    registry = loader.load_registry()

    for value in (registry, registry.parameters, registry.weights, registry.rules[0], registry.domain_rules[0]):
        for field in dataclasses.fields(value):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(value, field.name, None)
    with pytest.raises(TypeError):
        registry.weights.points["page_view", "", ""] = 0


def test_weights_do_not_change_with_the_mapping_they_were_made_from():
    points = {("page_view", "", ""): 1}
    weights = Weights(points)
    points.clear()

    assert weights == Weights({("page_view", "", ""): 1})
