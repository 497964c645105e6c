"""The first page: which accounts, in which order, and what a row says."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from abm_project import dashboards
from abm_project.dashboards import AccountFilter, hot_accounts
from accounts.models import CompanyDomain, Contact
from accounts.resolution import merge
from scoring.jobs import put_right
from tests.factories import DAY, at, make_company, make_lead, make_snapshot, make_user

pytestmark = pytest.mark.django_db


def account(domain, score=50, **fields):
    names = {name: fields.pop(name) for name in ("name", "owner", "suppressed_as") if name in fields}
    company = make_company(domain, **names)
    make_snapshot(company, intent_score=score, **fields)
    return company


def domains(**chosen):
    return [row.domain for row in hot_accounts(AccountFilter(**chosen)).rows]


@pytest.fixture
def page(client):
    client.force_login(make_user())
    return lambda query="": client.get(f"/{query}").content.decode()


def test_the_highest_score_comes_first_then_the_raw_score_then_the_domain():
    account("d.example", 40)
    account("c.example", 90, raw_score_30d=100.0)
    account("b.example", 90, raw_score_30d=200.0)
    account("a.example", 90, raw_score_30d=100.0)

    assert domains() == ["b.example", "a.example", "c.example", "d.example"]


def test_merged_accounts_are_never_listed_and_suppressed_ones_only_when_asked_for(page):
    kept = account("kept.example")
    merge(account("merged.example"), kept)
    account("rival.example", suppressed_as="competitor")
    make_company("unscored.example")

    assert domains() == ["kept.example"]
    assert domains(suppressed=True) == ["rival.example"]
    assert "suppressed: competitor" in page("?suppressed=1")


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"stage": "Hot"}, ["hot.example"]),
        ({"surge": "Exploding"}, ["warm.example"]),
        ({"lane": "desks"}, ["hot.example"]),
        ({"lane": "desks", "range": "30d"}, ["warm.example"]),
        ({"stage": "Hot", "surge": "Exploding"}, []),
    ],
)
def test_filters_combine_and_the_range_says_which_top_lane_is_meant(chosen, found):
    account("hot.example", 80, intent_stage="Hot", top_lane="desks", top_lane_30d="rooms")
    account("warm.example", 50, intent_stage="Warm", surge_level="Exploding", top_lane="rooms", top_lane_30d="desks")

    assert domains(**chosen) == found


def test_the_range_chooses_the_points_shown_and_sorted_by_and_hides_nobody():
    account("now.example", raw_score_7d=90.0, raw_score_30d=95.0)
    account("before.example", raw_score_7d=10.0, raw_score_30d=200.0)

    assert domains(ordering="-raw_score") == ["now.example", "before.example"]
    assert domains(ordering="-raw_score", range="30d") == ["before.example", "now.example"]
    assert hot_accounts(AccountFilter(range="30d")).rows[0].raw_score == 200.0


@pytest.mark.parametrize(
    "search",
    [
        "Acme Sp",
        "acme sp",
        "spaces.example",
        "https://www.Spaces.example/x?y=1",
        "alias",
        "old.example",
        "deep",
        "jo@x",
        "JO@X",
    ],
)
def test_a_search_finds_by_name_domain_alias_merge_and_contact(search):
    found = account("spaces.example", name="Acme Spaces")
    CompanyDomain.objects.create(prospect_company=found, domain="alias.example")
    merged = make_company("old.example")
    merge(merged, found)
    merge(make_company("deep.example"), merged)
    Contact.objects.create(prospect_company=merged, email="jo@x.example")
    account("other.example", name="Zeta")

    assert domains(search=search) == ["spaces.example"]


@pytest.mark.parametrize("search", ["%", "_", "'", "ü", "nobody", "\\"])
def test_a_search_for_nothing_that_exists_finds_nothing(search):
    account("a.example", name="Acme")

    assert domains(search=search) == []


def test_chips_count_what_a_click_would_show():
    account("a.example", 80, intent_stage="Hot", surge_level="Surging")
    account("b.example", 80, intent_stage="Hot", surge_level="Normal")
    account("c.example", 10, intent_stage="Cold", surge_level="Surging", top_lane="rooms")
    found = hot_accounts(AccountFilter(stage="Hot"))

    assert [(facet.value, facet.count) for facet in found.stages] == [("Hot", 2), ("Warm", 0), ("Cold", 1)]
    assert [(facet.value, facet.count) for facet in found.surges] == [("Exploding", 0), ("Surging", 1), ("Normal", 1)]
    assert [(facet.value, facet.count) for facet in found.lanes] == [("office", 2)]


def test_my_accounts_are_those_i_own(client):
    me, other = make_user("me"), make_user("other")
    account("mine.example", owner=me)
    account("theirs.example", owner=other)
    client.force_login(me)
    page = client.get("/?owner=me").content.decode()

    assert "mine.example" in page
    assert "theirs.example" not in page


def test_the_accounts_of_anybody_are_one_link_away_and_stay_chosen(client):
    me, maya = make_user("me"), make_user("maya o’neil & co")
    make_user("idle")
    account("mine.example", owner=me)
    account("theirs.example", owner=maya)
    account("nobodys.example")
    client.force_login(me)
    address = "?owner=maya+o%E2%80%99neil+%26+co"
    first, page = (client.get(where).content.decode() for where in ("/", "/" + address))

    assert f'href="{address}"' in first and "idle" not in first
    assert "theirs.example" in page and "mine.example" not in page and "nobodys.example" not in page
    assert "Accounts of maya o’neil &amp; co</summary>" in page
    assert 'href="/movers?owner=maya%20o%E2%80%99neil%20%26%20co"' in page
    assert "owner=maya+o%E2%80%99neil+%26+co&amp;stage=Hot" in page  # the other filters keep it
    assert "accounts of maya o’neil &amp; co" in client.get("/movers" + address).content.decode()
    nothing = client.get(f"/{address}&stage=Hot").content.decode()
    assert "No account of maya o’neil &amp; co’s matches" in nothing


def test_a_row_says_why_who_and_how_it_moved():
    company = account("a.example", 60, why_hot_json=["2× Pricing", "1× Security"])
    make_snapshot(company, DAY - timedelta(days=1), intent_score=50)
    make_snapshot(company, DAY - timedelta(days=7), intent_score=65)
    make_lead("a.example", DAY - timedelta(days=2), prospect_company=company)
    row = hot_accounts(AccountFilter()).rows[0]

    assert (row.rank, row.intent_score, row.change_1d, row.change_7d) == (1, 60, 10, -5)
    assert row.why_hot == ("2× Pricing", "1× Security")
    assert row.last_lead_at == at(DAY - timedelta(days=2))
    assert row.trend[-8:] == (65, None, None, None, None, None, 50, 60)
    assert len(row.trend) == 30


def test_a_lead_of_a_merged_or_further_domain_marks_the_account():
    company = account("a.example")
    merge(make_company("b.example"), company)
    CompanyDomain.objects.create(prospect_company=company, domain="c.example")
    make_lead("b.example", DAY - timedelta(days=3))
    make_lead("c.example", DAY)

    assert hot_accounts(AccountFilter()).rows[0].last_lead_at == at(DAY)


def test_pages_do_not_overlap_and_a_page_past_the_end_is_the_last():
    for number in range(5):
        account(f"{number}.example")
    found = [hot_accounts(AccountFilter(), page, limit=2) for page in (1, 2, 3, 99)]

    assert [[row.rank for row in part.rows] for part in found] == [[1, 2], [3, 4], [5], [5]]
    assert len({row.domain for part in found for row in part.rows}) == 5


@pytest.mark.parametrize("ordering", [f"{sign}{name}" for name in dashboards.ORDERINGS for sign in ("", "-")])
def test_every_column_sorts_both_ways(ordering):
    account("a.example", 10, name="beta", surge_ratio=1.0, top_lane="x", unique_people_7d=1, raw_score_7d=1.0)
    account("b.example", 90, name="Gamma", surge_ratio=2.0, top_lane="y", unique_people_7d=2, raw_score_7d=2.0)

    expected = ["a.example", "b.example"]
    if ordering == "last_seen_at":
        expected.reverse()  # seen at the same moment: the higher score
    elif ordering.startswith("-"):
        expected.reverse()
    assert domains(ordering=ordering) == expected


@pytest.mark.parametrize("query", ["", "?search=example", "?suppressed=1", "?range=30d&ordering=-raw_score"])
def test_forty_rows_take_as_many_queries_as_one(client, query):
    client.force_login(make_user())
    kind = "competitor" if "suppressed" in query else ""

    def add(number):
        company = account(
            f"{number}.example", suppressed_as=kind, owner=make_user(f"u{number}") if number < 2 else None
        )
        make_lead(company.domain, prospect_company=company)
        CompanyDomain.objects.create(prospect_company=company, domain=f"also-{number}.example")
        Contact.objects.create(prospect_company=company, email=f"x@{number}.example")

    add(0)
    with CaptureQueriesContext(connection) as one:
        client.get(f"/{query}")
    for number in range(1, 40):
        add(number)
    with CaptureQueriesContext(connection) as forty:
        page = client.get(f"/{query}").content.decode()

    assert page.count("<tr>") == 41
    assert len(forty) == len(one)


def test_a_new_installation_says_what_to_do_and_calls_nothing_failed(client, page):
    put_right(timezone.now())
    seen = page()
    assert "No scores yet.</b> They appear after the first run, when an admin has brought in activity." in seen
    assert "An admin has to connect PostHog or import activity" in seen

    client.force_login(make_user("ada", role="internal_admin"))
    seen = page()
    assert "No scores yet.</b> Connect PostHog or import activity: they appear after the first run." in seen
    assert all(name in seen for name in ("check_posthog", "import_activity", "recompute_intent"))
    assert "failed" not in seen


def test_filters_that_match_nothing_offer_to_clear_them(page):
    account("a.example")

    assert "No account matches" in page("?stage=Hot")
    assert "Clear the filters" in page("?stage=Hot")
    assert "manage.py" not in page("?stage=Hot")


def test_text_of_strangers_is_never_markup(page):
    company = account("a.example", name="<script>alert(1)</script>", why_hot_json=["<b>x"], top_lane="<i>lane")
    Contact.objects.create(prospect_company=company, email="<img@x.example")

    for query in ("", "?search=<img"):
        shown = page(query)
        assert "&lt;script&gt;" in shown
        assert not any(raw in shown for raw in ("<script>alert", "<b>x", "<i>lane", "<img"))


def test_how_many_rows_a_page_has_is_chosen_below_the_list_and_begins_at_the_first_page(page):
    for number in range(30):
        account(f"{number}.example")
    shown = page("?limit=25&page=2")

    assert 'href="?limit=100"' in shown
    assert '<a id="rows-25" href="?limit=25" aria-current="true">25</a>' in shown
    assert shown.count('scope="row"') == 5
    assert 'id="rows-25"' in page()
    assert 'id="rows-25"' not in page("?search=29")
