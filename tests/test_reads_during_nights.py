"""While nights are written: readers see the old or the new values of an account, never a mixture, and all accounts."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from abm_project.dashboards import AccountFilter, PeopleFilter, account_detail, hot_accounts, lane_cards, people
from abm_project.dashboards.account_list import every_hot_account
from abm_project.dashboards.one_moment import one_moment
from accounts.models import ProspectCompany
from scoring.models import DailyAccountIntent
from tests.factories import (
    DAY,
    make_config,
    make_fact,
    make_person,
    make_pull,
    make_user,
    make_weight,
    score,
)

pytestmark = [pytest.mark.mariadb, pytest.mark.django_db(transaction=True)]
ACCOUNTS, NIGHTS = 40, 6
DOMAINS = [f"{number:02}.example" for number in range(ACCOUNTS)]
COMPARED = ("intent_score", "intent_stage", "surge_level", "surge_ratio", "top_lane", "unique_people_7d")


@pytest.fixture
def installation(settings):
    """Accounts of which every night changes every figure, and batches so small that a night is many commits."""
    settings.SCORING_BATCH_ACCOUNTS = 3
    config = make_config()
    make_weight(config, content_type="pricing", weight=2)
    for age in range(-NIGHTS, 60):
        make_pull(DAY - timedelta(days=age))
    for number in range(ACCOUNTS):
        for night in range(NIGHTS + 1):
            views = ("page_view", "pricing", f"lane{(number + night) % 3}", "", "/pricing", 1 + (number * night) % 7)
            people = [number * 100 + mark for mark in range(1 + (number + night) % 5)]
            make_fact(f"{number:02}.example", DAY + timedelta(days=night), views, people=people)
    score(DAY)
    for company in ProspectCompany.objects.all():
        make_person(company, f"ann@{company.domain}")


def during_nights(*reads):
    """What each of the reads returned, again and again, while nights were written; each on a connection of its own."""
    over, failed = threading.Event(), []
    returned = [[] for _ in reads]

    def nights():
        for night in range(1, NIGHTS + 1):
            score(DAY + timedelta(days=night))

    def again_and_again(read, kept):
        while not over.is_set():
            kept.append(read())

    def alone(work, *arguments):
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failed.append(error)
        finally:
            connection.close()
            if work is nights:
                over.set()

    jobs = [(nights,), *((again_and_again, read, kept) for read, kept in zip(reads, returned, strict=True))]
    threads = [threading.Thread(target=alone, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
        assert not thread.is_alive()
    assert failed == []
    return returned


def stored():
    rows = {(row.prospect_company_id, row.date): row for row in DailyAccountIntent.objects.all()}
    assert len(rows) == ACCOUNTS * (NIGHTS + 1)
    return rows


def test_a_row_of_the_list_is_of_one_night_and_no_account_vanishes(installation):
    def lists():
        return hot_accounts(AccountFilter(ordering="-surge_ratio,domain"), limit=200)

    def export():
        return list(every_hot_account(AccountFilter()))

    found, exports = during_nights(lists, export)

    truth = stored()
    assert {(page.count, sum(facet.count for facet in page.stages)) for page in found} == {(ACCOUNTS, ACCOUNTS)}
    seen = [page.rows for page in found] + exports
    for rows in seen:
        assert sorted(row.domain for row in rows) == DOMAINS
        for row in rows:
            snapshot = truth[row.id, row.snapshot_date]
            assert {name: getattr(row, name) for name in COMPARED} == {
                name: getattr(snapshot, name) for name in COMPARED
            }
            assert list(row.why_hot) == snapshot.why_hot_json
            assert row.score_30d_raw == snapshot.raw_score_30d
            assert next(score for score in reversed(row.trend) if score is not None) == row.intent_score
    assert len({row.snapshot_date for rows in seen for row in rows}) > 2  # they did look while it was going on


def test_lane_cards_equal_the_list_at_every_moment(installation):
    def both():
        with one_moment():
            return hot_accounts(AccountFilter()).lanes, lane_cards().cards

    def persons():
        return people(PeopleFilter(), limit=200).rows

    compared, folk = during_nights(both, persons)

    for facets, cards in compared:
        assert {facet.value: facet.count for facet in facets} == {card.lane: card.accounts for card in cards}
        assert sum(card.accounts for card in cards) == ACCOUNTS
    assert all(sorted(person.account.domain for person in rows) == DOMAINS for rows in folk)


def test_one_account_is_of_one_night_with_its_ledger_and_timeline(installation):
    def one():
        return account_detail(DOMAINS[-1])

    (found,) = during_nights(one)

    truth = stored()
    for account in found:
        snapshot = truth[account.id, account.snapshot_date]
        assert {name: getattr(account, name) for name in COMPARED} == {
            name: getattr(snapshot, name) for name in COMPARED
        }
        assert (account.snapshot.date, account.snapshot.raw_score_30d) == (snapshot.date, account.raw_30d)
        assert account.timeline[-1].score == account.intent_score
        assert account.why.ledger.total == pytest.approx(account.raw_30d, rel=1e-9)
    assert len({account.snapshot_date for account in found}) > 2


def test_an_answer_of_the_api_is_of_one_moment_its_freshness_too(installation):
    client = Client()
    client.force_login(make_user())

    (answers,) = during_nights(lambda: client.get("/api/abm/accounts?limit=200").json())

    for answer in answers:
        dates = {row["snapshot_date"] for row in answer["results"]}
        assert len(answer["results"]) == answer["count"] == ACCOUNTS
        assert max(dates) == answer["freshness"]["through"]
        assert len(dates) <= 2
