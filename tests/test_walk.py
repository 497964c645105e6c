"""The whole way: lines of a PostHog export go in, an account with its reasons comes out of the pages."""

import gzip
import io
import json
from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.management import call_command

from ingestion.models import ActivityDay
from scoring.models import DailyAccountIntent
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def line(day, path, hour=9, person="01890000-0000-7000-8000-00000000000a", event="$pageview", **properties):
    return {
        "event": event,
        "distinct_id": "visitor",
        "person_id": person,
        "timestamp": datetime.combine(day, time(hour), tzinfo=UTC).isoformat(),
        "properties": {"$pathname": path, "$groups": {"company": "https://www.AcmeSpace.com/"}, **properties},
    }


def quiet(*args, **options):
    call_command(*args, stdout=io.StringIO(), stderr=io.StringIO(), **options)


def test_a_line_of_a_file_becomes_a_row_with_its_reasons_on_the_page(client, tmp_path):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    lines = [
        line(yesterday, "/pricing"),
        line(yesterday, "/Pricing/plans", hour=10, person="01890000-0000-7000-8000-00000000000b"),
        line(yesterday, "/services/Meeting Rooms", hour=11),
        line(yesterday, "/request", hour=12, event="form_started", service_lane="Coworking"),
        line(yesterday, "/", hour=13, event="cta_click", cta_id="request_reservation"),
    ]
    file = tmp_path / "export.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    quiet("seed_registry")

    for _ in range(2):
        quiet("import_activity", str(file), replace=True)
        quiet("recompute_intent")

    fact = ActivityDay.objects.get()
    assert (fact.account_key, fact.date, len(fact.people_json)) == ("acmespace.com", yesterday, 2)
    assert ["page_view", "", "", "", "/pricing", 1] in fact.cells_json
    snapshot = DailyAccountIntent.objects.get()
    assert snapshot.raw_score_30d == 25 + 25 + 10 + 20 + 25
    assert snapshot.lane_scores_7d_json == {"coworking": 20.0, "meeting_rooms": 10.0}
    assert snapshot.why_hot_json == ["2× Pricing", "1× Form Started", "1× Reservation Click"]

    client.force_login(make_user(role="sales"))
    page = client.get("/").content.decode()
    for shown in ("acmespace.com", ">73<", "Hot", "coworking", "2× Pricing", "1× Reservation Click"):
        assert shown in page
    account = client.get("/accounts/acmespace.com").content.decode()
    for shown in ("105", "pricing", "form_started", "73"):
        assert shown in account
