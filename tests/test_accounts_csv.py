"""The CSV button: exactly what is filtered, in the same order, safe to open in a spreadsheet."""

import csv
import io
from datetime import timedelta

import pytest

from abm_project.dashboards import account_list
from tests.factories import DAY, at, make_company, make_lead, make_snapshot, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def export(client):
    client.force_login(make_user())

    def rows(query=""):
        answer = client.get(f"/accounts.csv{query}")
        assert answer.streaming
        return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))

    return rows


def test_a_row_has_every_figure_under_its_own_name(export):
    company = make_company("acme.example", name="Acme")
    make_snapshot(
        company, intent_score=87, intent_stage="Hot", raw_score_7d=12.5, why_hot_json=["2× Pricing", "1× Security"]
    )
    make_snapshot(company, DAY - timedelta(days=1), intent_score=80)
    lead = make_lead("acme.example", prospect_company=company)

    (row,) = export()

    assert row == {
        "rank": "1",
        "domain": "acme.example",
        "name": "Acme",
        "intent_score": "87",
        "intent_stage": "Hot",
        "surge_level": "Surging",
        "surge_ratio": "1.5",
        "is_new": "False",
        "top_lane": "office",
        "score_7d_raw": "12.5",
        "score_30d_raw": "20.0",
        "unique_people_7d": "2",
        "why_hot": "2× Pricing; 1× Security",
        "last_seen_at": at(DAY).isoformat(),
        "last_lead_at": at(DAY).isoformat(),
        "owner": "",
        "suppressed_as": "",
        "snapshot_date": "2026-11-21",
        "change_1d": "7",
        "change_7d": "",
        "id": str(company.pk),
        "last_lead_id": str(lead.pk),
        "contacted_at": "",
        "contacted_by": "",
    }


def test_it_holds_exactly_what_is_filtered_and_all_of_it(export, monkeypatch):
    monkeypatch.setattr(account_list, "CSV_BATCH", 7)
    for number in range(60):
        make_snapshot(
            make_company(f"{number:02}.example"), intent_score=number, intent_stage="Hot" if number % 2 else "Cold"
        )

    hot = export("?stage=Hot&limit=5&page=2")

    assert [row["domain"] for row in hot] == [f"{number:02}.example" for number in range(59, 0, -2)]
    assert [row["rank"] for row in hot] == [str(rank) for rank in range(1, 31)]


def test_text_that_a_spreadsheet_would_run_is_disarmed_and_numbers_stay_numbers(export):
    make_snapshot(make_company("acme.example", name='=HYPERLINK("http://evil.example")'))

    (row,) = export()

    assert row["name"] == '\'=HYPERLINK("http://evil.example")'
    assert float(row["score_30d_raw"]) == 20.0


def test_a_spreadsheet_is_told_that_it_is_utf_8(client):
    client.force_login(make_user())
    answer = client.get("/accounts.csv")

    assert answer.getvalue().startswith(b"\xef\xbb\xbfrank,")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert 'attachment; filename="hot-accounts-' in answer["Content-Disposition"]
