"""The dashboards over the API (spec 8.1, 8.2): what is asked for, what is answered, and what is refused."""

import csv
import io
from datetime import timedelta
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import Serializer

from abm_project import dashboards
from abm_project.api.accounts import AccountFilters, AccountRow, Contribution, Day
from abm_project.api.reads import Plain, all_written
from abm_project.filters import AccountListForm
from accounts.models import CompanyDomain, ProspectCompany
from accounts.resolution import merge
from tests.factories import (
    DAY,
    at,
    make_company,
    make_config,
    make_fact,
    make_lead,
    make_person,
    make_pull,
    make_run,
    make_snapshot,
    make_user,
    make_weight,
    score,
)

pytestmark = pytest.mark.django_db
ACCOUNTS, LANES, PEOPLE, MOVERS = (f"/api/abm/{name}" for name in ("accounts", "lanes", "people", "movers"))
LOOKUP = f"{ACCOUNTS}/lookup"
YESTERDAY = DAY - timedelta(days=1)


def account(domain="acme.example", score=50, **fields):
    names = ("name", "owner", "suppressed_as")
    company = make_company(domain, **{name: fields.pop(name) for name in names if name in fields})
    make_snapshot(company, intent_score=score, **fields)
    return company


@pytest.fixture
def sales(client):
    client.force_login(make_user())
    return client


@pytest.fixture
def get(sales):
    def read(address, status=200, **query):
        answer = sales.get(address, query)
        assert answer.status_code == status, answer.content
        return answer.json()

    return read


def domains(rows):
    return [row["domain"] for row in rows]


# --- Accounts ---------------------------------------------------------------------------------------------------------
def test_a_row_has_what_the_spec_names_and_when_it_was_so(get):
    company = account(name="Acme", score=87, intent_stage="Hot", why_hot_json=["2× Pricing", "1× Security"])
    lead = make_lead("acme.example", prospect_company=company)
    make_lead("acme.example", YESTERDAY, prospect_company=company)
    (row,) = get(ACCOUNTS)["results"]

    assert set(row) == set(AccountRow().fields)
    assert row["id"] == str(company.pk)
    assert (row["domain"], row["name"], row["intent_score"], row["intent_stage"]) == ("acme.example", "Acme", 87, "Hot")
    assert (row["surge_level"], row["top_lane"], row["unique_people_7d"]) == ("Surging", "office", 2)
    assert row["why_hot"] == ["2× Pricing", "1× Security"]
    assert (row["last_lead_id"], row["last_lead_at"]) == (str(lead.pk), "2026-11-21T12:00:00Z")
    assert (row["snapshot_date"], row["trend"][-1], len(row["trend"])) == ("2026-11-21", 87, 30)


def test_every_answer_says_through_which_day_by_which_run_and_whether_that_is_stale(get):
    run = make_run(started_at=at(DAY, 2), finished_at=at(DAY, 3))
    company = account(job_run=run)
    addresses = [ACCOUNTS, f"{ACCOUNTS}/{company.pk}", LANES, PEOPLE, MOVERS, f"{LOOKUP}?domain=acme.example"]

    for address in addresses:
        fresh = get(address)["freshness"]
        assert (fresh["through"], fresh["computed_by"]) == ("2026-11-21", str(run.pk)), address
        assert fresh["computed_at"] == "2026-11-21T03:00:00Z"
        assert fresh["is_stale"] == (fresh["state"] != "fresh") == (timezone.now().date() - timedelta(days=2) > DAY)


def test_an_installation_without_scores_answers_that_it_is_empty(get):
    for address in (ACCOUNTS, LANES, PEOPLE, MOVERS):
        fresh = get(address)["freshness"]
        assert (fresh["state"], fresh["through"], fresh["is_stale"]) == ("empty", None, True)


def test_filters_are_those_of_the_page_and_combine(get, sales):
    me = make_user("me")
    account("hot.example", 90, intent_stage="Hot", surge_level="Exploding", top_lane="desks", owner=me)
    account("warm.example", 60, intent_stage="Warm", name="Zeta", top_lane_30d="desks")
    account("rival.example", suppressed_as="competitor")

    assert domains(get(ACCOUNTS)["results"]) == ["hot.example", "warm.example"]
    assert domains(get(ACCOUNTS, stage="Hot", surge="Exploding", lane="desks")["results"]) == ["hot.example"]
    assert domains(get(ACCOUNTS, lane="desks", range="30d")["results"]) == ["warm.example"]
    assert domains(get(ACCOUNTS, search="zeta")["results"]) == ["warm.example"]
    assert domains(get(ACCOUNTS, suppressed="1")["results"]) == ["rival.example"]
    assert get(ACCOUNTS, owner="me")["count"] == 0
    sales.force_login(me)
    assert domains(get(ACCOUNTS, owner="me")["results"]) == ["hot.example"]


def test_whose_accounts_people_and_movers_is_a_user_name(get):
    maya, sam = make_user("maya"), make_user("sammy")
    for domain, owner in (("a.example", maya), ("b.example", sam), ("c.example", None)):
        company = account(domain, owner=owner)
        make_person(company, f"kim@{domain}")

    assert domains(get(ACCOUNTS, owner="maya")["results"]) == ["a.example"]
    assert [row["email"] for row in get(PEOPLE, owner="sammy")["results"]] == ["kim@b.example"]
    assert get(MOVERS, owner="maya")["entered_hot"] is not None
    for address in (ACCOUNTS, PEOPLE, MOVERS):
        refused = get(address, status=400, owner="nobody-such")
        assert [(error["attr"], error["code"]) for error in refused["errors"]] == [("owner", "unknown_user")]


def test_facets_say_how_many_a_changed_filter_would_leave(get):
    account("a.example", 90, intent_stage="Hot")
    account("b.example", 20, intent_stage="Cold", top_lane="desks")
    found = get(ACCOUNTS, stage="Hot")

    assert {facet["value"]: facet["count"] for facet in found["stages"]} == {"Hot": 1, "Warm": 0, "Cold": 1}
    assert found["lanes"] == [{"value": "office", "count": 1}]


def test_an_order_of_several_columns_sorts_one_within_the_other(get):
    account("b.example", 50, top_lane="x")
    account("a.example", 50, top_lane="y")
    account("c.example", 10, top_lane="x")

    assert domains(get(ACCOUNTS, ordering="-intent_score,domain")["results"]) == ["a.example", "b.example", "c.example"]
    assert domains(get(ACCOUNTS, ordering="top_lane,intent_score")["results"]) == [
        "c.example",
        "b.example",
        "a.example",
    ]
    assert domains(get(ACCOUNTS, ordering="-domain")["results"]) == ["c.example", "b.example", "a.example"]


def test_pages_follow_each_other_and_one_past_the_end_is_empty(get):
    for number in range(5):
        account(f"{number}.example", number)
    first = get(ACCOUNTS, limit=2, stage="Cold")
    second = get(first["next"])
    beyond = get(ACCOUNTS, limit=2, page=9)

    assert (first["count"], first["page"], first["limit"], first["previous"]) == (5, 1, 2, None)
    assert domains(first["results"] + second["results"]) == ["4.example", "3.example", "2.example", "1.example"]
    assert [row["rank"] for row in second["results"]] == [3, 4]
    assert get(get(second["next"])["previous"])["page"] == 2
    assert (beyond["results"], beyond["next"], beyond["count"]) == ([], None, 5)


def test_the_csv_is_the_pages_to_the_byte(sales):
    for number in range(3):
        account(f"{number}.example", number, name="=1+1")
    query = "?stage=Cold&ordering=domain"
    of_api, of_page = (sales.get(f"{address}{query}") for address in (f"{ACCOUNTS}.csv", "/accounts.csv"))
    content = of_api.getvalue()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))

    assert content == of_page.getvalue()
    assert of_api["Content-Type"] == "text/csv; charset=utf-8"
    assert 'attachment; filename="hot-accounts-' in of_api["Content-Disposition"]
    assert domains(rows) == ["0.example", "1.example", "2.example"]
    assert {row["name"] for row in rows} == {"'=1+1"}


# --- One account ------------------------------------------------------------------------------------------------------
@pytest.fixture
def explained():
    config = make_config()
    make_weight(config, weight=10)
    for age in range(60):
        make_pull(DAY - timedelta(days=age))
    make_fact("acme.example", YESTERDAY, ("page_view", "pricing", "office", "", "/pricing", 3))
    make_fact("acme.example", DAY, ("page_view", "security", "desks", "", "/security", 1), people=(1, 2))
    score(YESTERDAY, DAY)


def test_an_account_is_all_of_8_2(get, explained):
    company = ProspectCompany.objects.get()
    CompanyDomain.objects.create(prospect_company=company, domain="acme.alias.example")
    make_person(company, "ann@acme.example", "id-1", last_seen_at=at(DAY))
    lead = make_lead("acme.example", prospect_company=company)
    found = get(f"{ACCOUNTS}/{company.pk}")

    assert (found["domain"], found["aliases"]) == ("acme.example", ["acme.alias.example"])
    assert found["snapshot"]["raw_score_30d"] == found["score_30d_raw"] == company.score_30d_raw
    assert found["snapshot"]["top_pages_7d"] == [{"name": "/pricing", "count": 3}, {"name": "/security", "count": 1}]
    assert {lane["name"] for lane in found["lanes"]} == {"office", "desks"}
    assert (len(found["timeline"]), found["timeline"][-1]["date"]) == (30, "2026-11-21")
    assert (found["leads"][0]["id"], found["leads_count"]) == (str(lead.pk), 1)
    assert (found["people"][0]["email"], found["people_count"]) == ("ann@acme.example", 1)
    assert (found["unique_people_7d"], found["anonymous_people_7d"]) == (2, 1)
    assert (found["signals"], found["briefs"]) == ([], [])


def test_the_id_of_a_merged_account_leads_to_the_account(get):
    company, merged = account(), make_company("old.example")
    merge(merged, company)

    assert get(f"{ACCOUNTS}/{merged.pk}")["id"] == str(company.pk)


@pytest.mark.parametrize("part", ["", "/explain"])
def test_an_account_that_is_not_there_is_a_404(get, part):
    assert get(f"{ACCOUNTS}/{uuid4()}{part}", status=404)["code"] == "not_found"


def test_an_explanation_adds_up_both_ways(get, explained):
    (row,) = get(ACCOUNTS)["results"]
    why = get(f"{ACCOUNTS}/{row['id']}/explain")
    bridge = why["bridge"]
    parts = ("previous_raw", "restated", "rules_changed", "aged_out", "decayed", "new")

    for lines in ("reasons", "contributions"):
        assert sum(line["points"] for line in why[lines]) == pytest.approx(why["raw_score_30d"], rel=1e-9)
    for line in why["contributions"]:
        assert line["count"] * line["weight"] * line["decay"] == pytest.approx(line["points"], rel=1e-9)
    assert sum(bridge[part] for part in parts) == pytest.approx(bridge["raw"], rel=1e-9)
    assert (bridge["raw"], why["drift"], why["half_life_days"]) == (
        pytest.approx(row["score_30d_raw"]),
        0,
        pytest.approx(6.931471805599453),
    )
    assert (why["date"], why["intent_score"]) == ("2026-11-21", row["intent_score"])


def test_the_score_of_a_past_day_can_be_explained(get, explained):
    (row,) = get(ACCOUNTS)["results"]
    address = f"{ACCOUNTS}/{row['id']}/explain"

    assert get(address, date="2026-11-20")["bridge"] is None
    assert get(address, status=404, date="2026-11-01")["code"] == "not_found"


# --- Lanes, people, movers, lookup ------------------------------------------------------------------------------------
def test_lanes_are_cards_and_a_chosen_one_lists_its_accounts(get):
    account("a.example", 90, intent_stage="Hot")
    account("b.example", 20, top_lane="desks")
    all_lanes, chosen = get(LANES), get(LANES, lane="desks", limit=1)

    assert [(card["lane"], card["hot"], card["accounts"]) for card in all_lanes["results"]] == [
        ("office", 1, 1),
        ("desks", 0, 1),
    ]
    assert (all_lanes["accounts"], all_lanes["before"]) == (None, None)
    assert chosen["results"] == all_lanes["results"]
    assert (domains(chosen["accounts"]["results"]), chosen["accounts"]["count"]) == (["b.example"], 1)
    assert get(LANES, lane="unheard_of")["accounts"]["results"] == []


def test_people_are_known_ones_with_their_account_and_the_others_counted(get):
    company = account(name="Acme", unique_people_7d=4)
    make_person(company, "ann@acme.example", "id-1", first_name="Ann", title="CFO", last_seen_at=at(DAY))
    found = get(PEOPLE, account_id=str(company.pk), ordering="name,-last_seen_at")
    (person,) = found["results"]

    assert (person["name"], person["title"], person["inferred"]) == ("Ann", "CFO", False)
    assert person["identities"] == [{"type": "posthog_distinct_id", "value": "id-1"}]
    assert person["account"] == found["account"]
    assert (found["account"]["name"], found["account"]["anonymous_people_7d"]) == ("Acme", 3)
    assert get(PEOPLE, account_id=str(uuid4()))["account"] is None


def test_the_csv_of_people_is_for_admins(sales):
    make_person(account(), "ann@acme.example", first_name="@ann")

    assert sales.get(f"{PEOPLE}.csv").status_code == 403
    sales.force_login(make_user("ada", role="internal_admin"))
    answer = sales.get(f"{PEOPLE}.csv?search=ann")
    (row,) = csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig")))
    assert (row["email"], row["name"], row["account_domain"]) == ("ann@acme.example", "'@ann", "acme.example")


def test_movers_say_who_why_and_since_when(get):
    company = account(score=90, intent_stage="Hot", why_hot_json=["2× Pricing"])
    make_snapshot(company, YESTERDAY, intent_score=60, intent_stage="Warm")
    found = get(MOVERS)
    (mover,) = found["entered_hot"]["shown"]

    assert (found["since"], found["through"], found["entered_hot"]["count"]) == ("2026-11-20", "2026-11-21", 1)
    assert (mover["change"], mover["score_before"], mover["why_hot"]) == (30, 60, ["2× Pricing"])
    assert found["up"] == [mover]
    assert get(MOVERS, owner="me")["up"] == []
    assert get(MOVERS, since="2026-11-19")["since"] is None


def test_lookup_answers_whose_it_is_or_why_nobodys(get):
    company = account()

    assert get(LOOKUP, domain="www.acme.example/x")["account"]["id"] == str(company.pk)
    assert get(LOOKUP, email="ann@acme.example")["found_by"] == "domain"
    personal = get(LOOKUP, email="ann@gmail.com")
    assert (personal["account"], personal["reason"]) == (None, "personal")


@pytest.mark.parametrize("query", [{}, {"domain": "a.example", "email": "a@a.example"}, {"domain": ""}])
def test_lookup_takes_one_of_the_two(get, query):
    assert get(LOOKUP, status=400, **query)["errors"][0]["attr"] == "domain"


# --- What must hold ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("address", "queries"),
    [
        (ACCOUNTS, 14),
        (f"{ACCOUNTS}?search=example&ordering=name,-domain", 18),
        (f"{ACCOUNTS}.csv", 12),
        (LANES, 9),
        (f"{LANES}?lane=office", 18),
        (PEOPLE, 16),
        (f"{PEOPLE}?search=e&category=pricing&range=7d&lane=office", 20),
        (f"{PEOPLE}.csv", 12),
        (MOVERS, 15),
    ],
)
def test_forty_rows_take_as_many_queries_as_one(client, address, queries):
    client.force_login(make_user("ada", role="internal_admin"))

    def add(number):
        company = account(
            f"{number}.example",
            owner=make_user(f"u{number}"),
            top_categories_7d_json={"pricing": {"count": 1, "score": 1.0}},
        )
        make_snapshot(company, YESTERDAY, intent_stage="Hot")
        merged = make_company(f"old-{number}.example")
        merge(merged, company)
        CompanyDomain.objects.create(prospect_company=company, domain=f"also-{number}.example")
        make_lead(company.domain, prospect_company=company)
        make_person(merged, f"x@{number}.example", f"id-{number}", last_seen_at=at(DAY))

    def counted():
        with CaptureQueriesContext(connection) as caught:
            answer = client.get(address)
            assert answer.status_code == 200
            assert b"".join(answer) if answer.streaming else answer.content
        return len(caught)

    add(0)
    one = counted()
    for number in range(1, 40):
        add(number)

    assert (counted(), one) == (one, queries)


NOT_UNDERSTOOD = [
    "page=-1",
    "page=0",
    "page=x",
    "page=1e3",
    "page=99999999999999999999",
    "limit=0",
    "limit=201",
    "limit=1000000000",
    "ordering=password",
    "ordering=--domain",
    "ordering=domain,domain",
    "ordering=,",
    "ordering=domain;drop",
    "search=%00",
    f"search={'x' * 201}",
    "stage=hot",
    "lane=a%00b",
    "lane=a%20b",
    "range=90d",
    "owner=7",
    "token=orbit",
    "format=csv",
    "domain=a.example&domain=b.example",
    "since=yesterday",
    "date=2026-11-21T00:00:00Z",
    f"account_id={','.join(['01890000-0000-7000-8000-000000000000'] * 5000)}",
    "account_id=1&account_id=2",
    "stage=Hot&stage=Hot",
    "%00=1",
    quote("ключ") + "=1",
]


@pytest.mark.parametrize("address", [ACCOUNTS, f"{ACCOUNTS}.csv", LANES, PEOPLE, f"{PEOPLE}.csv", MOVERS, LOOKUP])
def test_what_is_not_understood_is_a_400_that_names_it(client, address):
    client.force_login(make_user("ada", role="internal_admin"))

    for query in NOT_UNDERSTOOD:
        answer = client.get(f"{address}?{query}")
        assert answer.status_code == 400, query[:100]
        assert answer.json()["type"] == "validation_error"
        assert answer.json()["errors"]


@pytest.mark.parametrize("address", [ACCOUNTS, PEOPLE])
@pytest.mark.parametrize("search", ["ü", "日本", "%", "_", "'", '"', "\\", "🙂", "a b c", "İ", "ß", "\u202e"])
def test_any_text_can_be_searched_for(get, address, search):
    account()

    assert get(address, search=search)["count"] == 0


def test_rows_that_are_taken_as_they_stand_are_what_their_fields_would_write():
    config = make_config()
    make_weight(config, weight=10)
    make_pull(DAY)
    make_fact("acme.example", DAY)
    make_lead("acme.example")
    score()
    company = ProspectCompany.objects.get()
    detail = dashboards.account_detail(company.domain)
    rows = {
        AccountRow: [*dashboards.hot_accounts(dashboards.AccountFilter()).rows],
        Contribution: [*detail.why.ledger.contributions],
        Day: [*detail.timeline],
    }
    assert set(rows) == set(Plain.__subclasses__())

    for shape, found in rows.items():
        by_fields = [dict(Serializer.to_representation(shape(), row)) for row in found]
        assert found and JSONRenderer().render(all_written(shape, found)) == JSONRenderer().render(by_fields)


def test_filters_of_the_page_and_of_the_api_are_the_same():
    assert set(AccountFilters.base_filters) | {"page", "limit"} == set(AccountListForm.base_fields)


def test_next_keeps_the_filters(get):
    for number in range(2):
        account(f"{number}.example", 90, intent_stage="Hot", name="Ü")
    found = get(f"{ACCOUNTS}?{urlencode({'stage': 'Hot', 'search': 'Ü', 'limit': 1})}")

    assert get(found["next"])["results"][0]["rank"] == 2
