"""One account, one truth: the same figures in the database, the lists, the files, the pages and the explanation."""

import csv
import io
import re
from datetime import timedelta

import pytest

from abm_project.dashboards import AccountFilter, hot_accounts
from accounts.models import ProspectCompany
from tests.factories import (
    DAY,
    at,
    make_config,
    make_fact,
    make_lead,
    make_person,
    make_pull,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db
API = "/api/abm"
AGREED = ("intent_score", "intent_stage", "surge_level", "top_lane")


@pytest.fixture
def installation(client):
    """Nine accounts of three lanes, scored over two nights for real."""
    config = make_config()
    for category, weight in (("pricing", 25), ("security", 10), ("other", 1)):
        make_weight(config, content_type=category, weight=weight)
    for age in range(60):
        make_pull(DAY - timedelta(days=age))
    for number in range(9):
        lane = ("office", "desks", "rooms")[number % 3]
        for age in range(14 if number % 2 else 1):  # steady, or new
            cells = [
                ("page_view", "pricing", lane, "", "/pricing", number),
                ("page_view", "security", "office", "", "/security", 1),
            ]
            make_fact(f"{number}.example", DAY - timedelta(days=age), *cells, people=range(number))
        make_lead(f"{number}.example", DAY - timedelta(days=number))
    score(DAY - timedelta(days=1), DAY)
    for company in ProspectCompany.objects.all():
        make_person(company, f"ann@{company.domain}", last_seen_at=at(DAY))
    client.force_login(make_user("ada", role="internal_admin"))
    return client


def words(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def rows_of(answer, key="domain"):
    return {row[key]: row for row in csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig")))}


def test_an_accounts_figures_are_the_same_wherever_they_are_shown(installation):
    def get(part, **query):
        answer = installation.get(f"{API}/{part}", query)
        assert answer.status_code == 200
        return answer.json()

    listed = {row["domain"]: row for row in get("accounts")["results"]}
    of_api, of_page = (rows_of(installation.get(address)) for address in (f"{API}/accounts.csv", "/accounts.csv"))
    people = {row["account"]["domain"]: row["account"] for row in get("people")["results"]}
    files = rows_of(installation.get(f"{API}/people.csv"), "account_domain")
    stages, surges = set(), set()

    for company in ProspectCompany.objects.all():
        snapshot = company.snapshots.get(date=DAY)
        row, whole = listed[company.domain], get(f"accounts/{company.pk}")
        why, found = get(f"accounts/{company.pk}/explain"), get("accounts/lookup", domain=company.domain)["account"]
        page = words(installation.get(f"/accounts/{company.domain}"))
        truth = {name: getattr(snapshot, name) for name in AGREED}
        stages.add(snapshot.intent_stage)
        surges.add(snapshot.surge_level)

        assert truth == {name: getattr(company, name) for name in AGREED}
        for shown in (row, whole, whole["snapshot"], why, found, people[company.domain]):
            assert {name: shown[name] for name in AGREED} == truth
        for cells in (of_api[company.domain], of_page[company.domain], files[company.domain]):
            assert {name: cells[name] for name in AGREED} == {name: str(value) for name, value in truth.items()}
        for shown in (row, whole, whole["snapshot"], why):
            assert shown["why_hot"] == snapshot.why_hot_json
            assert shown["surge_ratio"] == snapshot.surge_ratio
        assert of_api[company.domain]["why_hot"] == of_page[company.domain]["why_hot"] == "; ".join(row["why_hot"])
        raw = (
            row["score_30d_raw"],
            whole["score_30d_raw"],
            why["raw_score_30d"],
            float(of_api[company.domain]["score_30d_raw"]),
        )
        assert set(raw) == {snapshot.raw_score_30d} == {company.score_30d_raw}
        assert sum(line["points"] for line in why["contributions"]) == pytest.approx(snapshot.raw_score_30d, rel=1e-9)
        yesterday = company.snapshots.filter(date=DAY - timedelta(days=1)).first()
        assert row["change_1d"] == whole["change_1d"] == (yesterday and snapshot.intent_score - yesterday.intent_score)
        assert [day["score"] for day in whole["timeline"]] == row["trend"]
        assert row["last_lead_id"] == whole["leads"][0]["id"]
        assert whole["people_count"] == 1
        for said in (f"Why {snapshot.intent_score}?", snapshot.intent_stage, *snapshot.why_hot_json):
            assert said in page

    assert len(stages) > 1 and len(surges) > 1
    first = words(installation.get("/"))
    for row in listed.values():
        for said in (row["domain"], row["intent_stage"], *row["why_hot"]):
            assert said in first


@pytest.mark.parametrize("window", ["7d", "30d"])
def test_lane_cards_facets_and_the_list_count_the_same(installation, window):
    cards = installation.get(f"{API}/lanes", {"range": window}).json()["results"]
    facets = installation.get(f"{API}/accounts", {"range": window}).json()

    assert {card["lane"]: card["accounts"] for card in cards} == {
        facet["value"]: facet["count"] for facet in facets["lanes"]
    }
    assert sum(card["hot"] for card in cards) == next(
        facet["count"] for facet in facets["stages"] if facet["value"] == "Hot"
    )
    for card in cards:
        listed = installation.get(f"{API}/lanes", {"range": window, "lane": card["lane"]}).json()["accounts"]
        assert listed["count"] == card["accounts"]
        assert {row["top_lane"] for row in listed["results"]} == {card["lane"]}
        assert sum(row["intent_stage"] == "Hot" for row in listed["results"]) == card["hot"]
        assert card["accounts"] == hot_accounts(AccountFilter(range=window, lane=card["lane"])).count
