"""What the database refuses in the registry's tables, whoever writes: every row here goes past clean()."""

from decimal import Decimal

import pytest
from django.db import DataError, IntegrityError, transaction

from registry.models import DomainRule, EventRule, PromptTemplate, RegistryRevision, ScoreConfig, ScoreWeight
from tests.factories import make_config, make_domain_rule, make_prompt, make_rule, make_weight

pytestmark = pytest.mark.django_db


def refuses(pattern, write):
    """The write fails by this constraint and leaves the transaction usable. SQLite names a unique constraint by its
    columns; a negative number in an unsigned column is refused by the column itself."""
    with pytest.raises((IntegrityError, DataError), match=pattern), transaction.atomic():
        write()


def insert(model, **fields):
    return lambda: model.objects.bulk_create([model(**fields)])


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("score_config_status_known", {"status": "on"}),
        ("score_config_lambda_range", {"lambda_decay": Decimal("-0.000001")}),
        ("score_config_lambda_range", {"lambda_decay": Decimal("10.000001")}),
        ("score_config_k_range", {"normalize_k": 0}),
        ("normalize_k", {"normalize_k": -1}),
        ("score_config_k_range", {"normalize_k": 1_000_001}),
        ("score_config_stages_in_order", {"cold_max": 69, "warm_max": 69}),
        ("score_config_stages_in_order", {"cold_max": 70, "warm_max": 69}),
        ("score_config_stages_in_order", {"cold_max": 34, "warm_max": 100}),
        ("cold_max", {"cold_max": -1}),
        ("score_config_surge_in_order", {"surge_surging_min": Decimal("2.6"), "surge_exploding_min": Decimal("2.5")}),
        ("score_config_surge_in_order", {"surge_surging_min": Decimal(0)}),
        ("score_config_smoothing", {"surge_smoothing": Decimal(0)}),
        ("score_config_surge_min_raw", {"surge_min_raw_7d": -0.1}),
        ("score_config_new_account_days", {"new_account_days": 91}),
    ],
)
def test_a_score_config_out_of_range_is_refused(constraint, fields):
    refuses(constraint, insert(ScoreConfig, name="x", **fields))

    config = make_config()
    refuses(constraint, lambda: ScoreConfig.objects.filter(pk=config.pk).update(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"lambda_decay": Decimal(0)},
        {"lambda_decay": Decimal(10)},
        {"normalize_k": 1},
        {"cold_max": 0, "warm_max": 1},
        {"cold_max": 98, "warm_max": 99},
        {"surge_surging_min": Decimal("2.5"), "surge_exploding_min": Decimal("2.5")},
    ],
)
def test_a_score_config_at_the_edge_of_its_range_is_taken(fields):
    insert(ScoreConfig, name="x", **fields)()

    assert ScoreConfig.objects.filter(name="x", **fields).exists()


def test_two_active_configs_are_refused_and_any_number_of_others_is_fine():
    make_config("a")
    draft = make_config("b", "draft")
    for name, status in [("c", "draft"), ("d", "archived"), ("e", "archived")]:
        make_config(name, status)

    refuses("score_config_one_active|active_marker", insert(ScoreConfig, name="f", status="active"))
    activate = ScoreConfig.objects.filter(pk=draft.pk).update
    refuses("score_config_one_active|active_marker", lambda: activate(status="active"))
    assert ScoreConfig.objects.filter(status="active").count() == 1


def test_a_config_name_is_taken_once():
    make_config("a", "draft")

    refuses(r"abm_score_configs\.name|for key 'name'", insert(ScoreConfig, name="a"))


@pytest.mark.parametrize("weight", [-1, 1001, 65_536])
def test_a_weight_outside_0_to_1000_is_refused(weight):
    config = make_config()

    rule = {"match_type": "equals", "match_value": "/", "weight_override": weight}
    refuses("weight", insert(ScoreWeight, score_config=config, event_name="x", weight=weight))
    refuses("override", insert(EventRule, **rule))


@pytest.mark.parametrize("weight", [0, 1000])
def test_a_weight_of_0_or_1000_is_taken(weight):
    insert(ScoreWeight, score_config=make_config(), event_name="x", weight=weight)()
    insert(EventRule, match_type="equals", match_value="/", weight_override=weight)()

    assert (ScoreWeight.objects.get().weight, EventRule.objects.get().weight_override) == (weight, weight)


def test_absent_is_the_empty_string_in_weights_so_that_a_combination_has_one_weight():
    config = make_config()
    make_weight(config, "cta_click", cta_id="buy")

    same = {"score_config": config, "event_name": "cta_click", "cta_id": "buy", "weight": 1}
    refuses("score_weight_once|UNIQUE.*cta_id", insert(ScoreWeight, **same))
    for column in ("content_type", "cta_id"):
        refuses(column, insert(ScoreWeight, **same | {column: None}))
    insert(ScoreWeight, **same | {"kind": "lead"})()
    insert(ScoreWeight, **same | {"score_config": make_config("other", "draft")})()
    refuses("score_weight_kind_known", insert(ScoreWeight, **same | {"kind": "x"}))
    refuses("score_weight_names_an_event", insert(ScoreWeight, **same | {"event_name": ""}))


def test_one_template_of_a_lane_persona_and_stage_is_enabled_and_any_number_disabled():
    make_prompt()
    disabled = [make_prompt(enabled=False) for _ in range(3)]
    make_prompt(persona="sales")

    texts = {"system_prompt": "x", "user_prompt_template": "{{JSON_HERE}}"}
    refuses("prompt_template_one_enabled|enabled_marker", insert(PromptTemplate, **texts))
    enable = PromptTemplate.objects.filter(pk=disabled[0].pk).update
    refuses("prompt_template_one_enabled|enabled_marker", lambda: enable(enabled=True))


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("prompt_template_has_placeholder", {"user_prompt_template": "{JSON_HERE}"}),
        ("prompt_template_has_placeholder", {"user_prompt_template": ""}),
        ("prompt_template_max_words", {"max_words": 19}),
        ("prompt_template_max_words", {"max_words": 2001}),
        ("prompt_template_persona_known", {"persona": "ceo"}),
        ("prompt_template_stage_known", {"intent_stage": "Tepid"}),
    ],
)
def test_a_template_that_could_not_work_is_refused(constraint, fields):
    refuses(constraint, lambda: make_prompt(**fields))


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("event_rule_match_known", {"match_type": "glob"}),
        ("event_rule_has_pattern", {"match_value": ""}),
        ("event_rule_has_event", {"event_name": ""}),
    ],
)
def test_an_event_rule_that_could_not_work_is_refused(constraint, fields):
    refuses(constraint, lambda: make_rule(**fields))


def test_a_domain_has_one_rule_of_a_kind():
    make_domain_rule("acme.example", "competitor")

    refuses(
        r"domain_rule_once|UNIQUE.*domain, \S*kind",
        insert(DomainRule, domain="acme.example", kind="competitor", enabled=False),
    )
    refuses("domain_rule_kind_known", insert(DomainRule, domain="acme.example", kind="friend"))
    refuses("domain_rule_has_domain", insert(DomainRule, domain="", kind="bot"))
    insert(DomainRule, domain="acme.example", kind="bot")()


def test_a_revision_is_kept_once():
    RegistryRevision.objects.create(digest="a" * 64, content_json={})

    refuses("digest", insert(RegistryRevision, digest="a" * 64, content_json={}))
