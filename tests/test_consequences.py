"""What a decision about domains would do, before it is taken; and that every decision can be taken back."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from abm_project.consequences import Touched, family_change, impact_of_removal, impact_of_rule
from abm_project.unresolved import unscored_keys
from accounts.models import ProspectCompany
from accounts.resolution import add_alias, merge, remove_alias, unmerge
from registry.domain_rules import decide
from registry.models import DomainRule
from scoring.models import DailyAccountIntent
from scoring.rollup import recompute
from tests.factories import (
    DAY,
    at,
    make_company,
    make_config,
    make_domain_rule,
    make_fact,
    make_lead,
    make_person,
    make_pull,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db
TODAY = DAY + timedelta(days=1)
NOW = at(TODAY, 9)
DAYS = [DAY - timedelta(days=age) for age in range(40)]
MEANT = {"id", "job_run_id", "created_at", "updated_at", "registry_revision_id"}  # may differ: the values may not


@pytest.fixture(autouse=True)
def registry():
    config = make_config()
    make_weight(config, "page_view", 10)
    make_weight(config, "form_submitted", 60)
    for day in DAYS:
        make_pull(day)


def proposed(domain="acme.example", kind="competitor", **fields):
    return DomainRule(domain=domain, kind=kind, **fields)


def touched(impact):
    return [(account.domain, account.was, account.becomes) for account in impact.best]


# --- The impact of a rule ---------------------------------------------------------------------------------------------
def test_a_rule_tells_the_accounts_keys_and_events_it_would_take_away():
    for age in (0, 3):
        make_fact("acme.example", DAYS[age], ("page_view", "", "", "", "/pricing", 4))
    make_fact("other.example")
    score()
    impact = impact_of_rule(proposed(), NOW)

    assert (impact.accounts, impact.keys, impact.events, impact.opened) == (1, 1, 8, 0)
    assert impact.becomes == (("competitor", 1),)
    assert impact.best == (Touched("acme.example", "acme.example", 58, "Warm", "", "competitor"),)
    assert not DomainRule.objects.exists()


@pytest.mark.parametrize(
    ("pattern", "kind", "names"),
    [
        ("acme.example", "personal", ["acme.example"]),
        ("*.acme.example", "platform", ["acme.example", "eu.acme.example"]),
        ("*.acme.example", "bot", ["acme.example", "eu.acme.example"]),
        ("eu.acme.example", "own", ["eu.acme.example"]),
        ("acme.example", "not_personal", []),
        ("example.com", "competitor", []),
    ],
)
def test_a_wildcard_speaks_of_everything_below_it_and_of_nothing_else(pattern, kind, names):
    for key in ("acme.example", "eu.acme.example", "notacme.example"):
        make_fact(key)
    score()
    impact = impact_of_rule(proposed(pattern, kind), NOW)

    assert touched(impact) == [(name, "", kind) for name in names]
    assert (impact.accounts, impact.keys, bool(impact)) == (len(names), len(names), bool(names))


def test_the_nearest_rule_wins_so_a_wildcard_changes_nothing_for_a_domain_with_its_own():
    make_domain_rule("*.mail.example", "personal")
    make_domain_rule("acme.mail.example", "not_personal")
    make_fact("acme.mail.example")
    make_fact("other.mail.example")
    score()
    wildcard = DomainRule.objects.get(domain="*.mail.example")
    own = DomainRule.objects.get(domain="acme.mail.example")

    assert touched(impact_of_removal([own], NOW)) == [("acme.mail.example", "", "personal")]
    freed = impact_of_removal([wildcard], NOW)
    assert (freed.keys, freed.opened, freed.accounts) == (1, 1, 0)
    assert not impact_of_removal([own, wildcard], NOW).accounts


def test_a_rule_that_is_over_or_disabled_does_nothing_and_ending_one_brings_its_accounts_back():
    make_fact("acme.example")
    score()
    assert not impact_of_rule(proposed(expires_on=DAY), NOW)
    assert not impact_of_rule(proposed(enabled=False), NOW)
    assert impact_of_rule(proposed(expires_on=TODAY), NOW)

    rule = make_domain_rule("acme.example", "competitor")
    for name, value in (("enabled", False), ("expires_on", DAY), ("domain", "else.example")):
        changed = DomainRule.objects.get(pk=rule.pk)
        setattr(changed, name, value)
        assert touched(impact_of_rule(changed, NOW)) == [("acme.example", "competitor", "")]
    rule.reason = "asked again"
    assert not impact_of_rule(rule, NOW)
    assert touched(impact_of_removal([rule], NOW)) == [("acme.example", "competitor", "")]


def test_another_kind_of_suppression_is_told_as_a_change_of_its_reason():
    make_fact("acme.example")
    score()
    rule = make_domain_rule("acme.example", "customer")
    rule.kind = "partner"

    assert touched(impact_of_rule(rule, NOW)) == [("acme.example", "customer", "partner")]


def test_the_family_of_a_suppressed_account_goes_with_it_and_a_suppressed_alias_goes_alone():
    make_fact("acme.example")
    make_fact("acme.test")
    add_alias(make_company("acme.example"), "acme.test")
    score()
    whole, alone = impact_of_rule(proposed(), NOW), impact_of_rule(proposed("acme.test", "bot"), NOW)

    assert (whole.accounts, whole.keys) == (1, 2)
    assert (alone.accounts, alone.keys) == (0, 1)


def test_the_grouping_of_subdomains_is_minded(settings):
    settings.ACCOUNT_KEY_SCOPE = "registrable"
    for key in ("acme.example", "eu.acme.example"):
        make_fact(key)
    score()
    impact = impact_of_rule(proposed(), NOW)

    assert (impact.accounts, impact.keys) == (1, 2)


def test_a_domain_that_is_personal_no_more_opens_an_account():
    make_fact("gmail.com")
    impact = impact_of_rule(proposed("gmail.com", "not_personal"), NOW)

    assert (impact.accounts, impact.keys, impact.opened) == (0, 1, 1)


def test_the_best_twenty_are_named_by_score_and_all_are_counted():
    for number in range(25):
        make_fact(f"n{number:02}.acme.example", DAY, ("page_view", "", "", "", "/", number + 1))
    score()
    impact = impact_of_rule(proposed("*.acme.example"), NOW)

    assert (impact.accounts, len(impact.best), impact.best[0].domain) == (25, 20, "n24.acme.example")
    assert [account.score for account in impact.best] == sorted((a.score for a in impact.best), reverse=True)


def test_an_impact_on_forty_accounts_takes_as_many_queries_as_on_one():
    def queries():
        with CaptureQueriesContext(connection) as asked:
            impact_of_rule(proposed("*.acme.example"), NOW)
        return len(asked)

    make_fact("one.acme.example")
    score()
    one = queries()
    for number in range(40):
        make_fact(f"n{number}.acme.example")
    score()
    assert queries() == one


def test_what_an_impact_says_is_what_the_next_recompute_does():
    for number in range(6):
        make_fact(f"n{number}.acme.example", DAYS[number])
    make_fact("other.example")
    score()
    rule = proposed("*.acme.example", "agency")
    impact = impact_of_rule(rule, NOW)
    rule.save()
    score()

    assert ProspectCompany.objects.suppressed().count() == impact.accounts == 6
    assert [row.domain for row in ProspectCompany.objects.listed()] == ["other.example"]


# --- Taking it back ---------------------------------------------------------------------------------------------------
def history():
    """Every value of every snapshot and summary."""
    return (
        sorted(
            (tuple((name, value) for name, value in row.items() if name not in MEANT))
            for row in DailyAccountIntent.objects.values()
        ),
        [
            {name: value for name, value in row.items() if name not in MEANT | {"score_updated_at"}}
            for row in ProspectCompany.objects.order_by("domain").values()
        ],
    )


def suppress(kind, domain="acme.example"):
    def there():
        make_domain_rule(domain, kind)

    def back():
        DomainRule.objects.all().delete()

    return there, back


def company(domain):
    return ProspectCompany.objects.get(domain=domain)


def alias():
    return (
        lambda: add_alias(company("acme.example"), "gmail.com"),
        lambda: remove_alias(company("acme.example"), "gmail.com"),
    )


def alias_of_an_account():
    return (
        lambda: add_alias(company("acme.example"), "eu.acme.example"),
        lambda: remove_alias(company("acme.example"), "eu.acme.example"),
    )


def merged():
    return (
        lambda: merge(company("acme.example"), company("beta.example")),
        lambda: unmerge(company("acme.example")),
    )


def merged_into_one_asleep():
    return (
        lambda: merge(company("acme.example"), company("asleep.example")),
        lambda: unmerge(company("acme.example")),
    )


def merged_into_one_never_seen():
    return (
        lambda: merge(company("acme.example"), company("target.example")),
        lambda: unmerge(company("acme.example")),
    )


def not_personal():
    return (
        lambda: decide({"gmail.com": ("not_personal", "")}, TODAY),
        lambda: decide({"gmail.com": ("personal", "")}, TODAY),
    )


DECISIONS = {
    **{kind: lambda kind=kind: suppress(kind) for kind in ("own", "competitor", "customer", "bot")},
    "a wildcard": lambda: suppress("partner", "*.acme.example"),
    "personal": lambda: suppress("personal"),
    "platform": lambda: suppress("platform"),
    "an alias": alias,
    "an alias that is an account": alias_of_an_account,
    "a merge": merged,
    "a merge into an account that is asleep": merged_into_one_asleep,
    "a merge into an account that was never seen": merged_into_one_never_seen,
}


@pytest.fixture
def accounts():
    """Three accounts with three weeks of activity and leads; one of them has gone silent."""
    for age in range(0, 40, 3):
        make_fact("acme.example", DAYS[age], ("page_view", "", "office", "", "/pricing", 1 + age % 4), people=[age])
        make_fact("eu.acme.example", DAYS[min(age + 1, 39)], people=[age, age + 1])
    make_fact("beta.example", DAYS[1])
    make_fact("beta.example", DAYS[5])
    make_fact("silent.example", DAYS[30])
    make_fact("gmail.com", DAYS[1])
    make_lead("acme.example", DAYS[2], lane="office")
    make_lead("beta.example", DAYS[4])
    make_fact("asleep.example", DAYS[39])
    for domain in ("acme.example", "asleep.example", "target.example"):
        make_company(domain)
    restate()


def restate():
    for day in reversed(DAYS[:8]):
        list(recompute(day, NOW, restate=True))


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
def test_a_decision_acts_on_the_next_scores_and_taken_back_leaves_every_value_as_it_was(decision):
    there, back = decision()
    before = history()

    there()
    score()
    during = history()
    back()
    score()

    assert during != before
    assert history() == before


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
def test_restated_past_dates_come_back_too(decision):
    there, back = decision()
    before = history()

    there()
    restate()
    during = history()
    back()
    restate()

    assert during != before
    assert history() == before


@pytest.mark.usefixtures("accounts")
def test_the_last_visit_of_the_summary_comes_back_when_a_merge_is_taken_back():
    before = company("beta.example").last_seen_at
    there, back = merged()
    for change in (there, back):
        change()
        score()

    assert company("beta.example").last_seen_at == before


def test_a_mailbox_that_was_an_account_for_a_day_counts_nothing_afterwards():
    make_fact("gmail.com")
    there, back = not_personal()
    there()
    score()
    assert company("gmail.com").intent_score == 12
    back()
    score()

    assert (company("gmail.com").intent_score, company("gmail.com").score_30d_raw) == (0, 0.0)


@pytest.mark.usefixtures("accounts")
def test_a_decision_leaves_past_snapshots_alone_until_they_are_restated():
    past = list(DailyAccountIntent.objects.filter(date__lt=DAY).order_by("pk").values())
    make_domain_rule("acme.example", "competitor")
    score()
    assert list(DailyAccountIntent.objects.filter(date__lt=DAY).order_by("pk").values()) == past

    restate()
    assert not DailyAccountIntent.objects.filter(prospect_company__domain="acme.example").exists()


# --- Aliases and merges -----------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("accounts")
def test_a_merge_is_told_with_both_sides_and_the_score_the_two_will_have():
    make_person(company("acme.example"), "ann@acme.example")
    change = family_change(company("beta.example"), "acme.example", True, NOW)

    assert (change.is_merge, change.as_of, change.merged_elsewhere, change.no_scores) == (True, DAY, "", "")
    assert (change.head.days, change.head.events, change.head.contacts, change.head.leads) == (2, 2, 0, 1)
    assert (change.other.days, change.other.contacts, change.other.leads) == (10, 1, 1)
    assert change.head.now.score == company("beta.example").intent_score
    assert change.other.now.raw_30d == company("acme.example").score_30d_raw
    assert change.other.then is None
    merge(company("acme.example"), company("beta.example"))
    score()

    head = company("beta.example")
    assert change.head.then.score == head.intent_score > change.head.now.score
    assert (change.head.then.raw_30d, change.head.then.people_7d) == (head.score_30d_raw, head.unique_people_7d)
    assert (change.head.then.stage, change.head.then.surge) == (head.intent_stage, head.surge_level)


@pytest.mark.usefixtures("accounts")
def test_taking_a_merge_back_is_told_with_the_scores_the_two_will_have_alone():
    alone = {name: company(name).score_30d_raw for name in ("acme.example", "beta.example")}
    merge(company("acme.example"), company("beta.example"))
    score()
    change = family_change(company("beta.example"), "acme.example", False, NOW)

    assert change.head.now.raw_30d == company("beta.example").score_30d_raw
    assert change.other.now is None
    assert {side.domain: side.then.raw_30d for side in (change.head, change.other)} == alone


@pytest.mark.usefixtures("accounts")
def test_an_alias_of_a_domain_without_an_account_is_told_too():
    make_fact("acme.test")
    change = family_change(company("beta.example"), "acme.test", True, NOW)

    assert (change.is_merge, change.other.events) == (False, 1)
    assert change.head.then.raw_30d == change.head.now.raw_30d + change.other.now.raw_30d


@pytest.mark.usefixtures("accounts")
def test_a_preview_writes_nothing_and_names_the_third_account():
    merge(company("eu.acme.example"), company("silent.example"))
    before = history()
    change = family_change(company("beta.example"), "eu.acme.example", True, NOW)

    assert change.merged_elsewhere == "silent.example"
    assert history() == before


# --- Keys that are not scored -----------------------------------------------------------------------------------------
def test_keys_that_belong_to_no_account_are_listed_by_traffic():
    make_fact("gmail.com", DAYS[0], ("page_view", "", "", "", "/", 5))
    make_fact("gmail.com", DAYS[6], ("page_view", "", "", "", "/", 1))
    make_fact("gmail.com", DAYS[8], ("page_view", "", "", "", "/", 99))
    make_fact("de.linkedin.com", DAYS[1], ("page_view", "", "", "", "/", 7))
    make_fact("acme.example", DAYS[1])
    make_fact("hidden.example", DAYS[1])
    make_domain_rule("hidden.example", "competitor")

    assert [(key.domain, key.reason, key.events, key.days) for key in unscored_keys(DAYS[6], DAY)] == [
        ("de.linkedin.com", "platform", 7, 1),
        ("gmail.com", "personal", 6, 2),
    ]


# --- Deciding ---------------------------------------------------------------------------------------------------------
def stored():
    return sorted(DomainRule.objects.values_list("domain", "kind", "enabled"))


def test_the_last_word_about_a_domain_counts_and_what_it_contradicts_is_disabled():
    for kind in ("personal", "not_personal", "personal", "isp", "bot", "platform"):
        assert decide({"acme.example": (kind, "")}, TODAY) == {"acme.example"}
        assert decide({"acme.example": (kind, "")}, TODAY) == set()

    assert stored() == [
        ("acme.example", "bot", True),
        ("acme.example", "isp", False),
        ("acme.example", "not_personal", False),
        ("acme.example", "personal", True),
        ("acme.example", "platform", True),
    ]
    assert DomainRule.history.filter(kind="personal").count() == 3


def test_a_decision_keeps_an_expiry_that_has_not_come_and_drops_one_that_has():
    make_domain_rule("a.example", "bot", expires_on=TODAY, reason="seen")
    make_domain_rule("b.example", "bot", expires_on=DAY)

    assert decide(dict.fromkeys(("a.example", "b.example"), ("bot", "")), TODAY) == {"b.example"}
    assert dict(DomainRule.objects.values_list("domain", "expires_on")) == {"a.example": TODAY, "b.example": None}
    assert decide({"a.example": ("bot", "asked")}, TODAY) == {"a.example"}
