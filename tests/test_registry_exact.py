"""Names that differ by case or accent only are different names, on every database; clean() says why it refuses."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import CharField

from registry.columns import AsciiCharField, ExactCharField
from registry.models import DomainRule, EventRule, PromptTemplate, ScoreConfig, ScoreWeight
from tests.factories import make_config, make_domain_rule, make_prompt, make_rule, make_user, make_weight

pytestmark = pytest.mark.django_db


def test_weights_that_differ_by_case_or_accent_are_different_weights():
    config = make_config()
    for number, name in enumerate(["buy", "Buy", "büy", "BUY"]):
        make_weight(config, "cta_click", cta_id=name, weight=number)
        make_weight(config, name, weight=number)
        make_weight(config, content_type=name, weight=number)

    assert ScoreWeight.objects.get(cta_id="Buy").weight == 1
    assert ScoreWeight.objects.get(event_name="büy").weight == 2
    assert ScoreWeight.objects.get(content_type="BUY").weight == 3


def test_lanes_and_domains_that_differ_by_case_are_different():
    for lane in ("office", "Office", "öffice"):
        make_prompt(lane=lane)
    for domain in ("acme.example", "ACME.example"):
        make_domain_rule(domain)

    assert PromptTemplate.objects.filter(lane="Office").count() == 1
    assert DomainRule.objects.filter(domain="ACME.example").count() == 1


@pytest.mark.parametrize("text", ["acme", "ACME", "cme.ex"])
def test_a_search_minds_no_case_in_these_columns_either(text):
    make_domain_rule("acme.example")
    make_rule(lane="ACME.example")

    assert DomainRule.objects.filter(domain__icontains=text).exists()
    assert EventRule.objects.filter(lane__icontains=text).exists()


def test_a_search_for_what_no_domain_contains_finds_nothing():
    make_domain_rule("acme.example")

    for text in ("bücher", "ж", "🚀", "%", "acme_example"):
        assert not DomainRule.objects.filter(domain__icontains=text).exists()


def test_only_these_columns_search_by_their_own_lookup():
    assert AsciiCharField().get_lookup("icontains") is ExactCharField().get_lookup("icontains")
    assert CharField().get_lookup("icontains") is not AsciiCharField().get_lookup("icontains")


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (EventRule(match_type="path_regex", match_value="(?=a)"), "match_value", "invalid perl operator: (?="),
        (EventRule(match_type="path_regex", match_value=r"(a)\1"), "match_value", r"invalid escape sequence: \1"),
        (EventRule(match_type="path_regex", match_value="(a)", lane=r"\2"), "match_value", r"\2 has no group"),
        (EventRule(match_type="equals", match_value="/", event_name="a*b"), "event_name", "only at the end"),
        (EventRule(match_type="equals", match_value="/", weight_override=1001), "weight_override", "1000"),
        (ScoreWeight(event_name="x", weight=1001), "weight", "1000"),
        (ScoreWeight(event_name="x", weight=1, content_type="Case Study"), "content_type", "case_study"),
        (PromptTemplate(user_prompt_template="{{JSON}}"), "user_prompt_template", "{{JSON_HERE}} is missing"),
        (PromptTemplate(user_prompt_template="{{JSON_HERE}}", lane="Office"), "lane", "office"),
        (DomainRule(domain="localhost", kind="bot"), "domain", "such as example.com"),
        (DomainRule(domain="10.0.0.1", kind="bot"), "domain", "such as example.com"),
        (DomainRule(domain="https://acme.example/", kind="bot"), "domain", "such as example.com"),
        (DomainRule(domain="☃.example", kind="bot"), "domain", "Not a domain"),
        (ScoreConfig(name="x", cold_max=69), "__all__", "Cold max must be below warm max"),
        (ScoreConfig(name="x", normalize_k=0), "__all__", "Normalize k must be"),
    ],
)
def test_clean_refuses_with_the_reason(row, field, reason):
    with pytest.raises(ValidationError) as refusal:
        row.full_clean()

    assert any(reason in message for message in refusal.value.message_dict[field])


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Acme.Example", "acme.example"),
        (" www.acme.example. ", "acme.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        ("ａｃｍｅ。example", "acme.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("r3---sn-x.acme.example", "r3---sn-x.acme.example"),
    ],
)
def test_a_domain_rule_is_stored_as_accounts_are_keyed(typed, stored):
    for _ in range(2):
        rule = DomainRule(domain=typed, kind="bot")
        rule.full_clean()
        typed = rule.domain

        assert rule.domain == stored


def test_a_template_keeps_its_text_whatever_line_ends_a_browser_sends():
    template = PromptTemplate(system_prompt="a\r\nb", user_prompt_template="{{JSON_HERE}}\r\n\nc")

    template.full_clean()

    assert (template.system_prompt, template.user_prompt_template) == ("a\nb", "{{JSON_HERE}}\n\nc")


def test_a_second_enabled_template_is_refused_before_the_database_does():
    first = make_prompt()
    second = PromptTemplate(system_prompt="x", user_prompt_template="{{JSON_HERE}}")

    with pytest.raises(ValidationError, match="disable it first"):
        second.clean()
    first.clean()
    second.enabled = False
    second.clean()


def test_to_activate_a_config_archives_the_other_and_can_be_repeated():
    old, new = make_config("old"), make_config("new", "draft")

    for _ in range(2):
        new.activate()

        assert dict(ScoreConfig.objects.values_list("name", "status")) == {"old": "archived", "new": "active"}
    assert [row.status for row in old.history.all()] == ["archived", "active"]


def test_every_change_is_kept_with_who_and_what():
    ada = make_user("ada", "internal_admin")
    rule = make_rule(lane="office")
    key = rule.pk
    rule.lane, rule._history_user = "events", ada
    rule.save()
    rule.delete()

    rows = EventRule.history.filter(id=key)
    assert [(row.history_type, row.lane) for row in rows] == [("-", "events"), ("~", "events"), ("+", "office")]
    assert rows[1].history_user == ada
    assert rows[1].diff_against(rows[2]).changed_fields == ["lane"]


def test_the_weights_of_a_deleted_config_stay_in_the_history():
    weight = make_weight(make_config())

    weight.score_config.delete()

    assert ScoreWeight.history.filter(id=weight.pk, history_type="-").exists()
