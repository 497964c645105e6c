"""Bad rows that come past the forms, written by SQL: refused by the database, or the last good registry stays."""

import logging
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from registry import loader
from registry.models import DomainRule, EventRule, PromptTemplate, RegistryRevision, ScoreConfig, ScoreWeight
from registry.registry import Registry, registry_problems
from registry.revisions import last_in_force
from registry.values import DomainRuleValue, Prompt, Rule, ScoreParameters, Weight, Weights
from scoring.models import DailyAccountIntent
from tests.factories import (
    DAY,
    make_config,
    make_domain_rule,
    make_fact,
    make_prompt,
    make_pull,
    make_rule,
    make_user,
    make_weight,
    score,
)  # fmt: skip

pytestmark = pytest.mark.django_db

RULE = {"priority": 5, "event_name": "page_view", "match_type": "path_regex", "match_value": "^/x"}
sqlite_only = pytest.mark.skipif(connection.vendor != "sqlite", reason="typed columns refuse it elsewhere")


@pytest.fixture
def good():
    """A registry in force that has scored once: /pricing counts 10 points, for the lane office."""
    config = make_config()
    make_weight(config)
    make_rule(lane="office", content_type="pricing")
    make_prompt()
    make_domain_rule()
    make_pull()
    make_pull(DAY - timedelta(days=1))
    make_fact("shop.example")
    score()
    loader.clear_cache()
    return config


@contextmanager
def checks_ignored():
    off, on = {
        "sqlite": ("PRAGMA ignore_check_constraints = ON", "PRAGMA ignore_check_constraints = OFF"),
        "mysql": ("SET check_constraint_checks = 0", "SET check_constraint_checks = 1"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(off)
        try:
            yield cursor
        finally:
            cursor.execute(on)


def insert(model, raw=(), **fields):
    """A row by SQL: `fields` as Django writes them, `raw` as they are."""
    row = model(**fields)
    columns = {
        field.column: field.get_db_prep_save(field.pre_save(row, True), connection)
        for field in model._meta.concrete_fields
        if not field.generated
    } | dict(raw)
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    with connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(columns))
        cursor.execute(f"INSERT INTO {model._meta.db_table} ({names}) VALUES ({marks})", list(columns.values()))
    return row


def bad_rule(**fields):
    return insert(EventRule, **RULE | {"match_value": "(?=a)"} | fields)


def delete(row):
    with connection.cursor() as cursor:
        key = row._meta.pk.get_db_prep_save(row.pk, connection)
        cursor.execute(f"DELETE FROM {row._meta.db_table} WHERE id = %s", [key])


# --- What the database takes, and what then happens -------------------------------------------------------------------
BAD_RULES = [
    ({"match_value": "(?=a)"}, "invalid perl operator"),
    ({"match_value": "(a"}, "missing )"),
    ({"match_value": r"(a)\1"}, "invalid escape sequence"),
    ({"match_value": "[a-z]{999}(b|c){999}"}, "too large"),
    ({"match_value": "(a)", "lane": r"\2"}, "has no group"),
    ({"match_type": "equals", "lane": r"\1"}, "needs a path_regex rule"),
    ({"lane": "Not A Slug"}, "not written as events carry it: not_a_slug"),
    ({"content_type": "a/b"}, "not written as events carry it: a_b"),
    ({"event_name": "*view"}, "only at its end"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD_RULES)
def test_a_rule_no_check_can_refuse_leaves_the_last_good_registry_in_force(good, fields, reason):
    before = loader.load_registry()
    row = insert(EventRule, **RULE | fields)

    registry = loader.load_registry()

    assert registry == before
    assert not registry.in_force
    (said,) = registry.alarm
    assert said.startswith(f"abm_event_rules {row.pk}: ")
    assert reason in said


@pytest.mark.parametrize(
    ("model", "fields", "raw", "reason"),
    [
        (EventRule, RULE, {"match_type": "glob"}, "unknown match type 'glob'"),
        (EventRule, RULE, {"match_value": ""}, "The pattern is empty"),
        (EventRule, RULE, {"event_name": ""}, "The event name is empty"),
        (EventRule, RULE, {"weight_override": 1001}, "weight override 1001 is no whole number"),
        (ScoreWeight, {"event_name": "x", "weight": 1}, {"weight": 1001}, "weight 1001 is no whole number"),
        (ScoreWeight, {"event_name": "x", "weight": 1}, {"event_name": ""}, "The event name is empty"),
        (DomainRule, {"domain": "b.example", "kind": "bot"}, {"kind": "friend"}, "unknown kind 'friend'"),
        (DomainRule, {"domain": "b.example", "kind": "bot"}, {"domain": ""}, "The domain is empty"),
    ],
)
def test_what_a_check_refuses_is_found_where_checks_are_ignored(good, model, fields, raw, reason):
    if model is ScoreWeight:
        fields = fields | {"score_config": good}
    before = loader.load_registry()
    with pytest.raises(DatabaseError), transaction.atomic():
        insert(model, raw, **fields)
    with checks_ignored():
        insert(model, raw, **fields)

    registry = loader.load_registry()

    assert registry == before
    assert [reason in said for said in registry.alarm] == [True]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("lambda_decay", "-1"), ("lambda_decay", "11"), ("normalize_k", "0"), ("normalize_k", "1000001"),
        ("warm_max", "34"), ("warm_max", "100"), ("surge_surging_min", "0"), ("surge_surging_min", "9"),
        ("surge_smoothing", "0"), ("surge_min_raw_7d", "-1"), ("new_account_days", "91"),
    ],
)  # fmt: skip
def test_an_active_config_out_of_range_leaves_its_last_good_numbers_in_force(good, column, value):
    before = loader.load_registry()
    statement = f"UPDATE abm_score_configs SET {column} = {value}"
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    with checks_ignored() as cursor:
        cursor.execute(statement)

    registry = loader.load_registry()

    assert registry.parameters == before.parameters
    (said,) = registry.alarm
    assert said.startswith(f"abm_score_configs {good.pk}: ")


@sqlite_only
@pytest.mark.parametrize(
    ("model", "fields", "raw", "reason"),
    [
        (ScoreWeight, {"event_name": "x", "weight": 1}, {"weight": 2.5}, "2.5 is no whole number"),
        (ScoreWeight, {"event_name": "x" * 65, "weight": 1}, {}, "longer than 64"),
        (ScoreWeight, {"event_name": "x", "weight": 1}, {"id": "nonsense"}, "abm_score_weights nonsense: cannot be"),
        (EventRule, RULE | {"lane": "x" * 65}, {}, "longer than 64"),
        (EventRule, RULE | {"match_value": "x" * 513}, {}, "longer than 512"),
        (EventRule, RULE, {"priority": "soon"}, "'soon' is no whole number"),
        (EventRule, RULE, {"match_value": b"\xff"}, "The pattern is no text"),
        (DomainRule, {"domain": "b.example", "kind": "bot"}, {"expires_on": "soon"}, "cannot be read"),
    ],
)
def test_what_only_a_typed_column_refuses_is_found(good, model, fields, raw, reason):
    if model is ScoreWeight:
        fields = fields | {"score_config": good}
    before = loader.load_registry()
    insert(model, raw, **fields)

    registry = loader.load_registry()

    assert registry == before
    assert [reason in said for said in registry.alarm] == [True]


@sqlite_only
def test_a_weight_that_is_a_text_is_found_where_checks_are_ignored(good):
    with checks_ignored():
        row = insert(ScoreWeight, {"weight": "many"}, score_config=good, event_name="x", weight=1)

    assert loader.load_registry().alarm == (
        f"abm_score_weights {row.pk}: The weight 'many' is no whole number from 0 to 1000.",
    )


def test_a_domain_no_form_would_have_stored_is_found(good):
    for domain in ("WWW.Acme.Example", "www.acme.example", "1.2.3.4", "*.*.example"):
        row = insert(DomainRule, domain=domain, kind="bot")
        assert [f"abm_domain_rules {row.pk}: " in said for said in loader.load_registry().alarm] == [True]
        delete(row)


def test_no_active_config_leaves_the_last_good_one_in_force(good):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE abm_score_configs SET status = 'draft'")

    registry = loader.load_registry()

    assert registry.parameters.id == str(good.pk)
    assert registry.alarm == (loader.NO_ACTIVE_CONFIG,)


def test_a_bad_row_that_does_not_count_does_no_harm(good):
    draft = make_config("draft", "draft")
    bad_rule(enabled=False)
    bad_rule(score_config=draft)
    insert(ScoreWeight, score_config=draft, event_name="x", weight=1, content_type="Not A Slug")

    registry = loader.load_registry()

    assert registry.in_force
    assert registry.alarm == ()


# --- The last good registry -------------------------------------------------------------------------------------------
def test_one_bad_rule_holds_back_every_other_change_until_it_is_mended(good, settings):
    settings.REGISTRY_TTL_SECONDS = 3600
    assert loader.get_active_score_config().normalize_k == 80
    ScoreConfig.objects.update(normalize_k=90)
    make_rule("/new", lane="new")
    row = bad_rule()

    assert loader.get_active_score_config().normalize_k == 80
    assert [rule.lane for rule in loader.get_event_rules(str(good.pk)).rules] == ["office"]
    assert loader.load_registry().parameters.normalize_k == 80

    delete(row)
    settings.REGISTRY_TTL_SECONDS = 0

    assert loader.get_active_score_config().normalize_k == 90
    assert [rule.lane for rule in loader.get_event_rules(str(good.pk)).rules] == ["office", "new"]
    assert loader.load_registry().in_force


def test_a_recompute_goes_on_with_the_old_rules_and_keeps_their_revision(good):
    revision = last_in_force()
    make_fact("shop.example", DAY + timedelta(days=1))
    make_pull(DAY + timedelta(days=1))
    bad_rule(match_value="(")

    score(DAY, DAY + timedelta(days=1))

    rows = DailyAccountIntent.objects.order_by("date")
    assert [(row.top_lane, row.registry_revision_id) for row in rows] == [("office", revision.pk)] * 2
    assert last_in_force() == revision


def test_a_new_process_goes_back_to_the_registry_that_was_last_in_force(good):
    make_weight(good, "cta_click", 7)
    make_config("other", "draft").activate()
    good.activate()
    score(DAY)
    last = loader.load_registry()
    bad_rule()

    loader.clear_cache()

    assert loader.load_registry() == last
    assert loader.get_active_score_config() == last.parameters
    assert loader.get_weights_map(str(good.pk)) == last.weights
    assert tuple(loader.get_event_rules(str(good.pk)).rules) == last.rules
    assert loader.get_domain_rules() == last.domain_rules


def test_pages_keep_what_they_last_read_even_if_no_run_has_used_it(good, settings):
    settings.REGISTRY_TTL_SECONDS = 0
    ScoreConfig.objects.update(normalize_k=90)
    assert loader.get_active_score_config().normalize_k == 90
    bad_rule()

    assert loader.get_active_score_config().normalize_k == 90
    assert loader.load_registry().parameters.normalize_k == 80


def test_without_a_last_good_one_every_problem_is_named_with_what_to_do():
    config = make_config()
    rules = [bad_rule(), bad_rule(match_value="(")]

    for load in (loader.load_registry, loader.get_active_score_config, loader.get_domain_rules):
        with pytest.raises(loader.RegistryUnusable, match="Mend or disable these rows") as caught:
            load()
        assert [str(row.pk) in str(caught.value) for row in [*rules, config]] == [True, True, False]


def test_of_very_many_problems_the_first_are_named_and_the_rest_counted(good):
    for _ in range(25):
        bad_rule()

    assert len(loader.load_registry().alarm) == loader.NAMED + 1
    assert loader.load_registry().alarm[-1] == "and 5 more"


@pytest.mark.parametrize("content", [{}, {"config": {}}, None])
def test_a_last_good_registry_that_cannot_be_read_is_none(good, content):
    RegistryRevision.objects.update(content_json=content if content is not None else [1])
    bad_rule()

    with pytest.raises(loader.RegistryUnusable, match="abm_event_rules"):
        loader.load_registry()


def test_a_last_good_registry_whose_config_is_gone_is_none(good):
    DailyAccountIntent.objects.all().delete()
    good.delete()
    make_config("new")
    bad_rule()

    with pytest.raises(loader.RegistryUnusable):
        loader.load_registry()


def test_a_bad_prompt_leaves_the_last_good_prompts_and_the_scores_alone(good, settings):
    settings.REGISTRY_TTL_SECONDS = 0
    wanted = {"lane": "office", "persona": "sales", "stage": "Hot"}
    before = loader.get_prompt_template(**wanted)
    with checks_ignored():
        row = insert(PromptTemplate, lane="office", system_prompt="x", user_prompt_template="no facts")

    assert loader.get_prompt_template(**wanted) == before
    assert [str(row.pk) in said for said in loader.registry_alarm()] == [True]
    assert loader.load_registry().alarm == ()
    loader.clear_cache()
    with pytest.raises(loader.RegistryUnusable, match="JSON_HERE"):
        loader.get_prompt_template(**wanted)


# --- The alarm --------------------------------------------------------------------------------------------------------
def test_an_alarm_is_logged_once_per_change_and_when_it_is_over(good, settings, caplog):
    settings.REGISTRY_TTL_SECONDS = 0
    first = bad_rule()
    for _ in range(3):
        loader.load_registry()
        loader.get_active_score_config()
    second = bad_rule()
    for _ in range(3):
        loader.load_registry()
    for row in (first, second):
        delete(row)
    for _ in range(3):
        loader.load_registry()
        loader.get_active_score_config()

    levels = [record.levelno for record in caplog.records if record.name == "registry.loader"]
    assert levels == [logging.ERROR, logging.ERROR, logging.WARNING]
    assert str(second.pk) in caplog.records[1].getMessage()


def test_an_admin_reads_the_alarm_on_every_page_of_the_admin_until_it_is_mended(good, client, settings):
    settings.REGISTRY_TTL_SECONDS = 0
    client.force_login(make_user("ada", "internal_admin"))
    paths = [reverse("admin:index"), reverse("admin:registry_eventrule_changelist")]
    assert [b"has to be mended" in client.get(path).content for path in paths] == [False, False]
    row = bad_rule(lane="<b>x")

    for path in paths:
        page = client.get(path).content.decode()
        assert "has to be mended" in page
        assert str(row.pk) in page
        assert "<b>x" not in page
    form = RULE | {"enabled": "on", "lane": ""}
    answer = client.post(reverse("admin:registry_eventrule_change", args=[row.pk]), form)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert b"has to be mended" not in client.get(paths[0]).content


def test_the_pages_of_sales_go_on_as_before(good, client):
    client.force_login(make_user())
    bad_rule()

    for path in (reverse("hot_accounts"), reverse("account", args=["shop.example"])):
        assert client.get(path, follow=True).status_code == 200
    assert b"has to be mended" not in client.get("/admin/login/", follow=True).content


# --- The pure check ---------------------------------------------------------------------------------------------------
def test_a_good_registry_has_no_problems():
    rows = [
        ScoreParameters("1", "x"), Weight("page_view", "", "", 0), DomainRuleValue("*.acme.example", "bot"),
        Rule("1", 0, "page_*", "path_regex", "^/(a)", lane=r"x_\1", weight_override=1000),
        Prompt("1", "*", "*", "*", "v1", "", "{{JSON_HERE}}", 20),
    ]  # fmt: skip

    assert registry_problems((str(n), value) for n, value in enumerate(rows)) == ()


@pytest.mark.parametrize(
    "value",
    [
        ScoreParameters("1", "x", lambda_decay=float("nan")),
        ScoreParameters("1", "x", surge_exploding_min=float("inf"), surge_surging_min=float("inf")),
        ScoreParameters("1", "x", normalize_k=80.5),
        ScoreParameters("1", "x", surge_rebase_prev="no"),
        Weight("page_view", "", "", True),
        Weight("page_view", None, "", 1),
        DomainRuleValue("acme.example", "bot", expires_on="2026-01-01"),
        Prompt("1", "Not A Slug", "*", "*", "v1", "", "{{JSON_HERE}}", 20),
        Prompt("1", "*", "ceo", "*", "v1", "", "{{JSON_HERE}}", 20),
        Prompt("1", "*", "*", "Tepid", "v1", "", "{{JSON_HERE}}", 20),
        Prompt("1", "*", "*", "*", "v1", "", "{{JSON_HERE}}", 19),
    ],
)
def test_a_bad_value_is_a_problem(value):
    assert [said.startswith("row: ") for said in registry_problems([("row", value)])] == [True]


def test_rules_that_are_too_large_together_are_a_problem_of_all_of_them():
    rules = tuple(Rule(str(n), n, "page_view", "path_regex", f"k{n}[a-z]{{900}}") for n in range(100))
    registry = Registry(ScoreParameters("1", "x"), Weights({}), rules, ())

    assert ["All enabled event rules together are too large" in said for said in registry.problems()] == [True]
