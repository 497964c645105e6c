"""Domains and merges in Django admin: shown before they are done, taken back, and never closed to a ring."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Barrier

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import CompanyDomain, ProspectCompany
from accounts.resolution import CannotMerge, MergedElsewhere, add_alias, load_resolver, merge
from registry.models import DomainRule
from tests.factories import (
    DAY,
    make_company,
    make_config,
    make_domain_rule,
    make_fact,
    make_lead,
    make_person,
    make_pull,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    client.force_login(make_user("ada", role="internal_admin"))
    return client


@pytest.fixture
def scored():
    """Two accounts with scores; the second one has a contact and a lead."""
    make_weight(make_config())
    for age in range(3):
        make_pull(DAY - timedelta(days=age))
    make_fact("acme.example", DAY, ("page_view", "", "", "", "/", 3))
    make_fact("other.example", DAY, ("page_view", "", "", "", "/", 5))
    make_lead("other.example")
    score()
    make_person(company("other.example"), "ann@other.example")


def company(domain):
    return ProspectCompany.objects.get(domain=domain)


def page(account):
    return f"/admin/accounts/prospectcompany/{account.pk}/domains/"


def shown(answer):
    return " ".join(answer.content.decode().split())


def change(client, account, domain, what="join", **more):
    return client.post(page(account), {"domain": domain, "change": what, **more}, follow=True)


# --- Merging one that is merged already -------------------------------------------------------------------------------
def test_an_account_that_is_merged_is_moved_only_when_somebody_says_so():
    a, b, c = (make_company(f"{name}.example") for name in "abc")
    merge(a, b)
    with pytest.raises(MergedElsewhere, match=r"a\.example is merged into b\.example already"):
        merge(a, c)
    with pytest.raises(MergedElsewhere):
        add_alias(c, "a.example")
    merge(a, b)

    assert company("a.example").merged_into == b
    add_alias(c, "a.example", move=True)
    assert company("a.example").merged_into == c


def test_what_is_merged_is_read_from_the_database_and_not_from_the_object_at_hand():
    a, b, c = (make_company(f"{name}.example") for name in "abc")
    stale = company("a.example")
    merge(a, b)

    with pytest.raises(MergedElsewhere):
        merge(stale, c)


# --- At once ----------------------------------------------------------------------------------------------------------
def at_once(pairs):
    """All merges begin together; how many were refused."""
    start = Barrier(len(pairs))

    def attempt(pair):
        try:
            one, into = (company(domain) for domain in pair)
            start.wait(timeout=30)
            merge(one, into)
        except CannotMerge:
            return 1
        finally:
            connection.close()
        return 0

    with ThreadPoolExecutor(len(pairs)) as threads:
        return sum(threads.map(attempt, pairs))


RINGS = {
    "two opposite": ([], ["ab", "ba"]),
    "three in a circle": ([], ["ab", "bc", "ca"]),
    "two pairs that make two pairs": ([], ["ab", "cd", "bc", "da"]),
    "through accounts merged before": (["bc", "da"], ["ab", "cd"]),
    "through long chains": (["be", "ef", "fc", "dg", "gh", "ha"], ["ab", "cd"]),
}


@pytest.mark.mariadb  # threads on the in-memory database of the tests are turned away, not made to wait
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("before", "pairs"), RINGS.values(), ids=RINGS)
def test_merges_at_the_same_moment_never_close_a_ring(before, pairs):
    for _ in range(5):
        ProspectCompany.objects.update(merged_into=None)
        ProspectCompany.objects.all().delete()
        accounts = {name: make_company(f"{name}.example") for name in "abcdefgh"}
        for one, into in before:
            merge(accounts[one], accounts[into])

        refused = at_once([tuple(f"{name}.example" for name in pair) for pair in pairs])

        load_resolver([], DAY)  # refuses a ring
        assert refused == 1


# --- The page ---------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("scored")
def test_a_merge_shows_both_sides_and_the_score_to_come_and_does_nothing_yet(admin):
    head = company("acme.example")
    text = shown(admin.get(page(head), {"domain": "https://www.Other.example/x", "change": "join"}))

    assert "Merge other.example into acme.example?" in text
    assert "<b>31</b> Cold" in text  # 30 points
    assert "<b>63</b> Warm" in text  # 80 points: what both have together
    assert company("other.example").merged_into is None


@pytest.mark.usefixtures("scored")
def test_confirmed_it_is_done_written_down_and_can_be_taken_back(admin):
    head = company("acme.example")
    answer = change(admin, head, "other.example")

    assert "Done: other.example counts for acme.example from the next scores on." in shown(answer)
    assert company("other.example").merged_into == head
    assert "other.example counts for acme.example" in str(LogEntry.objects.get().change_message)
    assert "Take the merge of other.example back?" in shown(
        admin.get(page(head), {"domain": "other.example", "change": "leave"})
    )
    change(admin, head, "other.example", "leave")
    assert company("other.example").merged_into is None


def test_a_domain_without_an_account_becomes_a_further_domain_and_is_taken_back(admin):
    head = make_company()
    change(admin, head, "https://www.Alias.example/x")
    assert list(CompanyDomain.objects.values_list("domain", "prospect_company")) == [("alias.example", head.pk)]
    assert "Take alias.example back" in shown(admin.get(page(head)))

    change(admin, head, "alias.example", "leave")
    assert not CompanyDomain.objects.exists()


def test_an_account_that_is_merged_elsewhere_is_asked_about_and_moved_only_then(admin):
    head, third, other = (make_company(f"{name}.example") for name in ("acme", "third", "other"))
    merge(other, third)
    answer = change(admin, head, "other.example")

    assert "other.example is merged into third.example." in shown(answer)
    assert company("other.example").merged_into == third
    change(admin, head, "other.example", move="on")
    assert company("other.example").merged_into == head


@pytest.mark.parametrize(
    ("domain", "what", "why"),
    [
        ("not a domain", "join", "Write a domain such as example.com."),
        ("acme.example", "join", "acme.example belongs to acme.example already."),
        ("head.example", "join", "head.example belongs to acme.example already."),
        ("taken.example", "join", "taken.example is a domain of third.example already."),
        ("nobody.example", "leave", "nobody.example is no domain of acme.example."),
        ("a\x00b.example", "join", "Null characters are not allowed."),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason_before_anybody_confirms_it(admin, domain, what, why):
    account, head, third = (make_company(f"{name}.example") for name in ("acme", "head", "third"))
    merge(head, account)
    add_alias(third, "taken.example")
    for ask in (admin.get, admin.post):
        answer = ask(page(account), {"domain": domain, "change": what})
        assert answer.status_code == 400
        assert why in shown(answer)


def test_a_merged_account_says_so_and_leads_to_where_it_is_taken_back(admin):
    head, other = make_company("acme.example"), make_company("other.example")
    merge(other, head)

    assert f'{page(head)}?domain=other.example&amp;change=leave">Take the merge back' in shown(admin.get(page(other)))


def test_a_mailbox_provider_as_a_further_domain_is_warned_of(admin):
    assert "gmail.com is a personal domain." in shown(
        admin.get(page(make_company()), {"domain": "gmail.com", "change": "join"})
    )


def test_without_a_score_config_the_preview_says_why_there_are_no_scores(admin):
    assert "No score config is active." in shown(
        admin.get(page(make_company()), {"domain": "other.example", "change": "join"})
    )


def test_an_account_that_is_not_there_is_not_found_and_a_form_of_another_site_does_nothing(admin):
    assert admin.get("/admin/accounts/prospectcompany/01890000-0000-7000-8000-000000000000/domains/").status_code == 404
    assert admin.get("/admin/accounts/prospectcompany/junk/domains/").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("bob", role="internal_admin"))
    account = make_company()
    assert strict.post(page(account), {"domain": "x.example", "change": "join"}).status_code == 403
    assert not CompanyDomain.objects.exists()


# --- Domain rules in the admin ----------------------------------------------------------------------------------------
ADD = "/admin/registry/domainrule/add/"
RULE = {"domain": "acme.example", "kind": "competitor", "reason": "asked", "enabled": "on"}


@pytest.fixture
def today_scored():
    """One account with a score, in the days that an impact looks at."""
    make_weight(make_config())
    day = timezone.now().date() - timedelta(days=1)
    make_pull(day)
    make_fact("acme.example", day)
    score(day)


def seen(answer):
    return answer.context["adminform"].form.digest


@pytest.mark.usefixtures("today_scored")
def test_a_rule_is_saved_only_after_its_impact_was_shown(admin):
    first = admin.post(ADD, RULE)

    assert "Not saved yet" in shown(first)
    assert "1 becomes suppressed (competitor)" in shown(first)
    assert "acme.example" in shown(first)
    assert "errornote" not in shown(first)
    assert not DomainRule.objects.exists()
    assert admin.post(ADD, RULE | {"impact_seen": seen(first)}).status_code == 302
    assert DomainRule.objects.get().history.get().history_user.username == "ada"


@pytest.mark.usefixtures("today_scored")
def test_what_was_seen_counts_for_that_proposal_only(admin):
    first = admin.post(ADD, RULE)
    other = admin.post(ADD, RULE | {"kind": "bot", "impact_seen": seen(first)})

    assert "suppressed (bot)" in shown(other)


@pytest.mark.usefixtures("today_scored")
def test_a_rule_that_touches_nothing_and_a_change_of_the_reason_are_saved_at_once(admin):
    assert admin.post(ADD, RULE | {"domain": "nobody.example"}).status_code == 302
    rule = make_domain_rule()
    changed = admin.post(f"/admin/registry/domainrule/{rule.pk}/change/", RULE | {"reason": "again"})
    assert changed.status_code == 302


@pytest.mark.usefixtures("today_scored")
def test_disabling_restoring_and_deleting_a_rule_say_what_comes_back(admin):
    rule = make_domain_rule()
    address = f"/admin/registry/domainrule/{rule.pk}"
    disabled = admin.post(f"{address}/change/", {name: RULE[name] for name in ("domain", "kind")})
    assert "1 comes back" in shown(disabled)

    for asked in (
        admin.get(f"{address}/delete/"),
        admin.post("/admin/registry/domainrule/", {"action": "delete_selected", "_selected_action": [rule.pk]}),
    ):
        assert "<b>1</b> account changes: 1 comes back." in shown(asked)
        assert "No account and no activity is deleted." in shown(asked)
    assert DomainRule.objects.exists()

    version = rule.history.get()
    rule.enabled = False
    rule.save()
    restore = f"{address}/history/{version.pk}/"
    asked = admin.post(restore, RULE)
    assert "Not saved yet" in shown(asked)
    assert admin.post(restore, RULE | {"impact_seen": seen(asked)}).status_code == 302
    rule.refresh_from_db()
    assert rule.enabled


def test_a_merge_chain_leads_to_its_end_after_moves():
    chain = [make_company(f"a{number}.example") for number in range(5)]
    for one, into in pairwise(chain):
        merge(one, into)
    merge(chain[0], chain[3], move=True)

    assert load_resolver([], DAY).resolve("a0.example").domain == "a4.example"
