"""Whose is this domain: aliases, merges, rules and scope, and taking each of them back."""

from datetime import date
from itertools import pairwise

import pytest

from accounts.models import CompanyDomain, ProspectCompany
from accounts.resolution import (
    CannotMerge,
    DomainRules,
    Resolver,
    add_alias,
    load_resolver,
    merge,
    remove_alias,
    unmerge,
)
from registry.values import DomainRuleValue
from tests.factories import DAY, make_company

pytestmark = pytest.mark.django_db


def resolver(*rules: DomainRuleValue, as_of: date = DAY) -> Resolver:
    return load_resolver(rules, as_of)


@pytest.mark.parametrize(
    ("key", "domain", "reason"),
    [
        ("acme.example", "acme.example", ""),
        ("gmail.com", None, "personal"),
        ("linkedin.com", None, "platform"),
        ("de.linkedin.com", None, "platform"),
    ],
)
def test_a_key_is_its_own_account_unless_it_is_personal_or_a_platform(key, domain, reason):
    assert resolver().resolve(key) == (domain, reason)


@pytest.mark.parametrize(
    ("pattern", "kind", "key", "reason"),
    [
        ("acme.example", "personal", "acme.example", "personal"),
        ("acme.example", "personal", "mail.acme.example", ""),
        ("*.acme.example", "personal", "mail.acme.example", "personal"),
        ("*.acme.example", "competitor", "acme.example", "competitor"),
        ("*.acme.example", "competitor", "a.b.acme.example", "competitor"),
        ("*.acme.example", "competitor", "notacme.example", ""),
        ("acme.example", "platform", "acme.example", "platform"),
        ("acme.example", "bot", "acme.example", "bot"),
        ("gmail.com", "not_personal", "gmail.com", ""),
    ],
)
def test_a_domain_rule_decides_for_its_domain_and_with_a_wildcard_for_all_below(pattern, kind, key, reason):
    assert resolver(DomainRuleValue(pattern, kind)).resolve(key).reason == reason


def test_the_rule_of_the_very_domain_beats_the_wildcard_above_it():
    rules = [DomainRuleValue("*.mail.example", "personal"), DomainRuleValue("acme.mail.example", "not_personal")]

    assert resolver(*rules).resolve("acme.mail.example").domain == "acme.mail.example"
    assert resolver(*rules).resolve("other.mail.example").domain is None


@pytest.mark.parametrize(
    ("as_of", "suppressed"), [(date(2026, 11, 20), "bot"), (date(2026, 11, 21), "bot"), (date(2026, 11, 22), "")]
)
def test_a_rule_counts_up_to_and_including_the_day_it_expires_on(as_of, suppressed):
    rule = DomainRuleValue("acme.example", "bot", expires_on=date(2026, 11, 21))

    assert DomainRules.in_force([rule], as_of).suppressed_as("acme.example") == suppressed


def test_an_alias_counts_for_its_account_and_taking_it_back_restores_it():
    acme = make_company("acme.example")

    add_alias(acme, "https://www.Acme.test/path")
    aliased = resolver().resolve("acme.test")
    remove_alias(acme, "acme.test")

    assert aliased.domain == "acme.example"
    assert resolver().resolve("acme.test").domain == "acme.test"


def test_an_alias_made_by_an_admin_beats_the_personal_list():
    add_alias(make_company("acme.example"), "gmail.com")

    assert resolver().resolve("gmail.com") == ("acme.example", "")


def test_adding_the_same_alias_twice_leaves_one():
    acme = make_company("acme.example")
    for _ in range(2):
        add_alias(acme, "acme.test")

    assert CompanyDomain.objects.count() == 1


def test_aliasing_a_domain_that_is_an_account_is_a_merge():
    acme, other = make_company("acme.example"), make_company("acme.test")

    add_alias(acme, "acme.test")

    other.refresh_from_db()
    assert (other.merged_into, CompanyDomain.objects.count()) == (acme, 0)
    remove_alias(acme, "acme.test")
    other.refresh_from_db()
    assert other.merged_into is None


def test_an_alias_of_another_account_is_refused():
    add_alias(make_company("acme.example"), "shared.test")

    with pytest.raises(CannotMerge, match=r"domain of acme\.example already"):
        add_alias(make_company("beta.example"), "shared.test")


def test_no_alias_is_made_of_what_is_no_domain():
    with pytest.raises(CannotMerge, match="no domain"):
        add_alias(make_company(), "not a domain")


def test_a_merge_leads_through_the_family_to_its_head_and_unmerging_restores_it():
    a, b, c = (make_company(f"{name}.example") for name in "abc")
    add_alias(a, "a.test")
    merge(a, b)
    merge(b, c)

    merged = [resolver().resolve(key).domain for key in ("a.example", "a.test", "b.example")]
    unmerge(b)

    assert merged == ["c.example"] * 3
    assert [resolver().resolve(key).domain for key in ("a.example", "a.test", "b.example")] == ["b.example"] * 3


def test_a_merge_into_itself_or_into_its_own_family_is_refused():
    a, b = make_company("a.example"), make_company("b.example")
    merge(a, b)

    with pytest.raises(CannotMerge, match="already"):
        merge(b, a)
    with pytest.raises(CannotMerge, match="already"):
        merge(a, a)
    b.refresh_from_db()
    assert b.merged_into is None


def test_a_suppressed_further_domain_does_not_suppress_its_account():
    acme = make_company("acme.example")
    add_alias(acme, "crawler.test")

    found = resolver(DomainRuleValue("crawler.test", "bot"))

    assert found.resolve("crawler.test") == ("acme.example", "bot")
    assert found.resolve("acme.example") == ("acme.example", "")


def test_the_registrable_scope_groups_subdomains_unless_an_alias_says_otherwise(settings):
    settings.ACCOUNT_KEY_SCOPE = "registrable"
    add_alias(make_company("lab.test"), "lab.acme.example")

    assert resolver().resolve("eu.acme.example").domain == "acme.example"
    assert resolver().resolve("lab.acme.example").domain == "lab.test"
    assert resolver().resolve("mail.gmail.com").domain is None


def test_the_host_scope_keeps_subdomains_apart():
    assert resolver().resolve("eu.acme.example").domain == "eu.acme.example"


def test_the_account_of_a_domain_is_found_by_its_own_or_a_further_domain():
    acme = make_company("acme.example")
    add_alias(acme, "acme.test")

    found = [ProspectCompany.objects.for_domain(domain).get() for domain in ("acme.example", "acme.test")]

    assert found == [acme, acme]


def test_a_chain_of_sixty_merges_leads_to_its_end_and_cannot_be_closed_to_a_ring():
    chain = [make_company(f"a{number}.example") for number in range(61)]
    for company, into in pairwise(chain):
        merge(company, into)

    assert resolver().resolve("a0.example").domain == "a60.example"
    with pytest.raises(CannotMerge, match=r"a0.example belongs to a60.example already"):
        merge(chain[-1], chain[0])
