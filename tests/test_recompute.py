"""The recompute over stored facts: who is scored, what a second run leaves, and what acts on the past."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ProspectCompany
from accounts.resolution import add_alias, merge, remove_alias, unmerge
from ingestion.models import ActivityDay
from registry.models import DomainRule
from scoring.models import DailyAccountIntent
from scoring.rollup import CannotScore, check_window, recompute
from tests.factories import DAY, at, make_config, make_fact, make_lead, make_pull, make_weight

pytestmark = pytest.mark.django_db
VALUES = [f.attname for f in DailyAccountIntent._meta.concrete_fields if f.name not in ("job_run",)]
DAYS = [DAY - timedelta(days=age) for age in range(60)]
NOW = at(DAY + timedelta(days=1), 2)


@pytest.fixture(autouse=True)
def registry():
    config = make_config()
    make_weight(config, "page_view", 10)
    make_weight(config, "form_submitted", 60)
    return config


@pytest.fixture(autouse=True)
def pulled():
    for day in DAYS:
        make_pull(day)


def run(day=DAY, **options):
    *_, last = recompute(day, options.pop("now", NOW), **options)
    return last


def snapshots(day=DAY):
    return {row.prospect_company.domain: row for row in DailyAccountIntent.objects.filter(date=day)}


def raw(day=DAY):
    return {domain: row.raw_score_7d for domain, row in snapshots(day).items()}


def test_an_account_is_made_for_a_new_key_and_scored():
    make_fact("acme.example", DAY)

    run()

    company = ProspectCompany.objects.get()
    assert (company.domain, company.name, company.name_source) == ("acme.example", "acme.example", "domain")
    assert (company.snapshot_date, company.intent_score, company.score_7d_raw) == (DAY, 12, 10.0)
    assert company.last_seen_at == at(DAY)


def test_a_second_run_leaves_every_row_as_it_was():
    for age in range(40):
        make_fact(f"c{age % 7}.example", DAYS[age])
    run()
    before = list(DailyAccountIntent.objects.order_by("pk").values(*VALUES))
    companies = list(ProspectCompany.objects.order_by("pk").values())

    for _ in range(2):
        done = run()

        assert (done.written.created, done.written.changed, done.written.unchanged) == (0, 0, 7)
        assert list(DailyAccountIntent.objects.order_by("pk").values(*VALUES)) == before
        assert list(ProspectCompany.objects.order_by("pk").values()) == companies


def test_a_silent_account_cools_to_0_and_cold_and_stays_in_the_table():
    make_fact("acme.example", DAYS[30])
    make_fact("acme.example", DAYS[31])
    for day in (DAYS[1], DAY):
        run(day, now=NOW)

    company = ProspectCompany.objects.get()
    assert snapshots(DAYS[1])["acme.example"].intent_score > 0
    assert (company.intent_score, company.intent_stage, company.snapshot_date) == (0, "Cold", DAY)
    assert company.last_seen_at == at(DAYS[30])


def test_an_account_whose_facts_vanished_cools_as_well():
    make_fact("acme.example", DAYS[1])
    run(DAYS[1])
    ActivityDay.objects.all().delete()

    for _ in range(2):
        run()

        assert raw() == {"acme.example": 0.0}


def test_an_account_with_only_a_lead_request_is_scored_and_named_after_its_organisation():
    make_lead("lead.example", DAY, organization_name="Lead & Sons", lane="events")

    run()

    company = ProspectCompany.objects.get()
    assert (company.name, company.name_source, company.top_lane) == ("Lead & Sons", "lead", "events")
    assert (company.score_7d_raw, company.last_seen_at) == (60.0, at(DAY))


def test_a_lead_without_an_account_key_scores_nobody():
    make_lead(None)

    assert run().scored == 0


def test_personal_and_platform_keys_are_counted_and_get_no_account():
    for key in ("gmail.com", "yahoo.com", "linkedin.com"):
        make_fact(key)

    assert run().unresolved == {"personal": 2, "platform": 1}
    assert not ProspectCompany.objects.exists()


def test_a_personal_domain_becomes_an_account_with_all_its_past_when_a_rule_says_so():
    make_fact("gmail.com", DAY)
    run()
    rule = DomainRule.objects.create(domain="gmail.com", kind="not_personal")

    run()
    allowed = raw()
    rule.delete()
    run()

    assert (allowed, raw()) == ({"gmail.com": 10.0}, {})
    assert ProspectCompany.objects.get().score_30d_raw == 0


def facts_by_key():
    return list(ActivityDay.objects.order_by("account_key", "date").values_list("account_key", "date", "cells_json"))


def test_an_alias_acts_on_all_history_and_taking_it_back_restores_it_without_touching_a_fact():
    for day in (DAY, DAYS[3]):
        make_fact("acme.example", day, people=("a",))
        make_fact("acme.test", day, people=("a", "b"))
    facts = facts_by_key()
    run()
    apart = raw()
    acme = ProspectCompany.objects.get(domain="acme.example")
    add_alias(acme, "acme.test")

    run()
    joined, people = raw(), snapshots()["acme.example"].unique_people_7d
    remove_alias(acme, "acme.test")
    run()

    assert set(apart) == {"acme.example", "acme.test"}
    assert joined == {"acme.example": pytest.approx(apart["acme.example"] * 2)}
    assert people == 2
    assert raw() == apart
    assert facts_by_key() == facts


def test_a_merge_moves_nothing_and_unmerging_restores_every_score():
    make_fact("a.example")
    make_fact("b.example")
    make_lead("b.example")
    run()
    apart = raw()
    a, b = (ProspectCompany.objects.get(domain=f"{name}.example") for name in "ab")

    merge(b, a)
    run()
    joined = raw()
    unmerge(b)
    run()

    assert joined == {"a.example": apart["a.example"] + apart["b.example"]}
    assert raw() == apart


def test_a_suppressed_account_is_not_scored_leaves_the_lists_and_comes_back():
    make_fact("rival.example")
    run()
    rule = DomainRule.objects.create(domain="rival.example", kind="competitor")

    run()
    listed, suppressed = raw(), [c.suppressed_as for c in ProspectCompany.objects.suppressed()]
    rule.delete()
    run()

    assert (listed, suppressed) == ({}, ["competitor"])
    assert raw() == {"rival.example": 10.0}
    assert ProspectCompany.objects.listed().count() == 1


def test_a_suppressed_further_domain_only_leaves_its_own_facts_out():
    make_fact("acme.example")
    make_fact("crawler.test")
    run()
    add_alias(ProspectCompany.objects.get(domain="acme.example"), "crawler.test")
    DomainRule.objects.create(domain="crawler.test", kind="bot")

    run()

    assert raw() == {"acme.example": 10.0}


def test_the_registrable_scope_scores_subdomains_as_one_account(settings):
    settings.ACCOUNT_KEY_SCOPE = "registrable"
    for key in ("eu.acme.example", "us.acme.example", "acme.example"):
        make_fact(key)

    run()

    assert raw() == {"acme.example": 30.0}
    run(domains=["us.acme.example"])
    assert raw() == {"acme.example": 30.0}


def test_a_past_snapshot_is_history_until_it_is_restated():
    make_fact("acme.example", DAYS[1])
    run(DAYS[1])
    run()
    make_fact("late.example", DAYS[1])
    ActivityDay.objects.filter(account_key="acme.example").delete()

    kept = run(DAYS[1])
    after_plain_run = raw(DAYS[1])
    counted = run(DAYS[1], restate=True, write=False).written
    after_counting = raw(DAYS[1])
    run(DAYS[1], restate=True)

    assert (kept.written.kept, kept.written.created) == (1, 1)
    assert after_plain_run == after_counting == {"acme.example": 10.0, "late.example": 10.0}
    assert (counted.removed, counted.unchanged) == (1, 1)
    assert raw(DAYS[1]) == {"late.example": 10.0}  # as if the other had never been seen up to then


def test_restating_a_past_date_after_a_merge_takes_the_merged_snapshot_out():
    make_fact("a.example", DAYS[1])
    make_fact("b.example", DAYS[1])
    run(DAYS[1])
    run()
    a, b = (ProspectCompany.objects.get(domain=f"{name}.example") for name in "ab")
    merge(b, a)

    done = run(DAYS[1], restate=True)

    assert done.written.removed == 1
    assert raw(DAYS[1]) == {"a.example": 20.0}
    assert raw() != raw(DAYS[1])


def test_the_summary_only_moves_forward():
    make_fact("acme.example", DAYS[5])
    run()
    before = ProspectCompany.objects.values().get()

    run(DAYS[5])

    assert snapshots(DAYS[5])
    assert ProspectCompany.objects.values().get() == before


def test_only_the_chosen_accounts_are_scored():
    make_fact("a.example")
    make_fact("b.example")

    run(domains=["a.example"])

    assert set(raw()) == {"a.example"}


def test_choosing_a_personal_domain_is_refused():
    with pytest.raises(CannotScore, match="personal"):
        run(domains=["gmail.com"])


def test_today_is_provisional_and_the_night_rewrites_it():
    make_fact("acme.example", DAY)
    this_noon = at(DAY, 12)

    run(now=this_noon)
    provisional = snapshots()["acme.example"]
    make_fact("acme.example", DAYS[1])
    run(now=NOW)

    assert provisional.is_provisional
    row = snapshots()["acme.example"]
    assert (row.is_provisional, row.pk) == (False, provisional.pk)
    assert row.raw_score_7d > provisional.raw_score_7d


@pytest.mark.parametrize(("missing", "names"), [(0, DAY), (29, DAYS[29])], ids=["newest", "oldest"])
def test_a_window_with_a_missing_day_is_refused_and_nothing_is_written(missing, names):
    make_fact("acme.example")
    from_db = DAYS[missing]
    type(make_pull(DAY - timedelta(days=99))).objects.filter(date=from_db).update(state="failed")

    with pytest.raises(CannotScore, match=str(names)):
        run()
    assert not DailyAccountIntent.objects.exists()
    assert not ProspectCompany.objects.exists()


def test_days_outside_the_window_and_before_the_record_are_not_missed():
    check_window(DAYS[20], NOW.date())
    make_pull(DAY - timedelta(days=200), state="failed")

    check_window(DAYS[59], NOW.date())


def test_a_future_date_is_refused():
    with pytest.raises(CannotScore, match="future"):
        run(DAY + timedelta(days=2))


def test_facts_after_the_date_are_not_scored():
    make_fact("acme.example", DAYS[2])
    make_fact("acme.example", DAY)

    run(DAYS[2])

    assert raw(DAYS[2]) == {"acme.example": 10.0}


def test_new_means_new_even_when_the_window_shows_only_the_last_days():
    make_fact("old.example", DAYS[50])
    make_fact("old.example", DAY)
    make_fact("new.example", DAY)
    make_lead("lead.example", DAYS[50])
    make_fact("lead.example", DAY)

    run()

    assert {domain: row.is_new for domain, row in snapshots().items()} == {
        "old.example": False,
        "new.example": True,
        "lead.example": False,
    }


def test_small_batches_give_the_same_scores(settings):
    for number in range(7):
        make_fact(f"c{number}.example", DAYS[number])
    run()
    whole = raw()
    DailyAccountIntent.objects.all().delete()
    settings.SCORING_BATCH_ACCOUNTS = 2

    run()

    assert raw() == whole


def test_a_batch_takes_the_same_number_of_queries_for_1_and_for_30_accounts():
    run()  # records the registry's revision once
    counts = []
    for number in range(30):
        make_fact(f"c{number:02}.example")
        if number in (0, 29):
            ProspectCompany.objects.all().delete()
            with CaptureQueriesContext(connection) as queries:
                run()
            counts.append(len(queries))

    assert counts[0] == counts[1]
