"""Whose is this domain or e-mail address?"""

from datetime import timedelta

import pytest

from abm_project.dashboards import lookup
from accounts.models import CompanyDomain
from accounts.resolution import merge
from tests.factories import DAY, at, make_company, make_domain_rule, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    company = make_company("acme.example", name="Acme")
    CompanyDomain.objects.create(prospect_company=company, domain="acme.alias.example")
    merged = make_company("old.example")
    merge(merged, company)
    merge(make_company("older.example"), merged)
    return company


def found(**asked):
    result = lookup(**asked, today=DAY)
    return result.account and result.account.domain, result.found_by, result.reason


@pytest.mark.parametrize(
    ("domain", "found_by"),
    [
        ("acme.example", "domain"),
        ("https://www.ACME.example/pricing?x=1", "domain"),
        ("acme.alias.example", "alias"),
        ("old.example", "alias"),
        ("older.example", "alias"),
    ],
)
def test_every_domain_of_an_account_finds_it(acme, domain, found_by):
    assert found(domain=domain) == ("acme.example", found_by, "")
    assert lookup(domain=domain, today=DAY).account.name == "Acme"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"domain": "nobody.example"}, "unknown"),
        ({"domain": "gmail.com"}, "personal"),
        ({"email": "ann@gmail.com"}, "personal"),
        ({"domain": "linkedin.com"}, "platform"),
        ({"domain": "127.0.0.1"}, "no_domain"),
        ({"domain": "é\x00"}, "no_domain"),
        ({"email": "nobody"}, "no_domain"),
    ],
)
def test_what_is_no_account_says_why(acme, asked, reason):
    assert found(**asked) == (None, "", reason)


def test_an_address_finds_the_account_that_knows_it_and_else_that_of_its_domain(acme):
    make_person(acme, "ann@gmail.com")

    assert found(email="Ann@Gmail.com") == ("acme.example", "contact", "")
    assert found(email="bob@old.example") == ("acme.example", "alias", "")


def test_of_two_accounts_that_know_an_address_the_one_that_saw_it_last(acme):
    make_person(make_company("other.example"), "ann@gmail.com", last_seen_at=at(DAY - timedelta(days=1)))
    make_person(acme, "ann@gmail.com", last_seen_at=at(DAY))

    assert found(email="ann@gmail.com")[0] == "acme.example"


def test_rules_of_an_admin_decide_and_a_suppressed_account_is_found(acme):
    make_domain_rule("mail.example", "personal")
    make_company("rival.example", suppressed_as="competitor")

    assert found(domain="mail.example") == (None, "", "personal")
    assert lookup(domain="rival.example", today=DAY).account.suppressed_as == "competitor"


def test_a_subdomain_is_found_where_domains_are_grouped(acme, settings):
    settings.ACCOUNT_KEY_SCOPE = "registrable"

    assert found(domain="app.acme.example") == ("acme.example", "alias", "")
