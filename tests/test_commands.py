"""The commands over scores: recompute_intent, explain_account, export_snapshots, each run as a person would."""

import csv
import io
import json
import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ProspectCompany
from ingestion.models import ActivityDay
from registry.models import EventRule, ScoreConfig
from scoring.models import DailyAccountIntent, JobRun
from tests.factories import make_fact, make_lead, make_pull, make_snapshot

pytestmark = pytest.mark.django_db


def run(name, *args, **options):
    out = io.StringIO()
    call_command(name, *args, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


@pytest.fixture
def yesterday():
    return datetime.now(UTC).date() - timedelta(days=1)


@pytest.fixture
def activity(yesterday):
    """Three accounts over 40 days, under the seeded registry."""
    call_command("seed_registry", stdout=io.StringIO())
    for age in range(60):
        make_pull(yesterday - timedelta(days=age))
    for age in range(0, 40, 3):
        day = yesterday - timedelta(days=age)
        make_fact("acme.example", day, ("page_view", "", "", "", "/pricing", 1 + age % 4), people=(f"{age:012x}",))
        make_fact(
            "beta.example",
            day,
            ("page_view", "", "", "", "/services/Event Space", 1),
            ("form_started", "", "", "", "/x", 1),
        )
    make_fact("late.example", yesterday, ("cta_click", "", "office", "request_reservation", "/", 2))
    make_lead("acme.example", yesterday - timedelta(days=2), lane="office")


def test_recompute_scores_yesterday_and_says_what_it_did(activity, yesterday):
    said = run("recompute_intent")

    assert f"{yesterday}: 3 accounts scored; snapshots: 3 new, 0 changed, 0 unchanged" in said
    job = JobRun.objects.get()
    assert (job.kind, job.state, job.done_items, job.total_items) == ("recompute", "done", 3, 3)
    assert job.result_json["dates"][0]["accounts"] == 3


def test_recompute_twice_leaves_the_same_rows(activity):
    run("recompute_intent")
    before = list(DailyAccountIntent.objects.order_by("pk").values())
    for _ in range(2):
        run("recompute_intent")

        assert list(DailyAccountIntent.objects.order_by("pk").values()) == before


def test_a_backfill_makes_the_past_snapshots_and_leaves_them_alone_the_second_time(activity, yesterday):
    run("recompute_intent", backfill=30)
    before = list(DailyAccountIntent.objects.order_by("pk").values())

    said = run("recompute_intent", backfill=30)

    assert DailyAccountIntent.objects.filter(prospect_company__domain="acme.example").count() == 30
    assert list(DailyAccountIntent.objects.order_by("pk").values()) == before
    assert "past ones kept" in said
    assert JobRun.objects.first().params_json["dates"][0] == str(yesterday - timedelta(days=29))


def test_a_backfill_names_the_dates_it_skips(activity, yesterday):
    call = type(make_pull(yesterday - timedelta(days=99))).objects
    call.filter(date=yesterday - timedelta(days=35)).update(state="failed")
    call.filter(date__lt=yesterday - timedelta(days=59)).delete()

    said = run("recompute_intent", backfill=62)

    early = yesterday - timedelta(days=61)
    assert f"{early} skipped: {early} lies before the first day with facts" in said
    assert f"{yesterday - timedelta(days=7)} skipped: " in said
    assert f"no facts for {yesterday - timedelta(days=35)}" in said
    assert DailyAccountIntent.objects.filter(date=yesterday - timedelta(days=5)).exists()


def test_restate_first_says_how_many_snapshots_change(activity, yesterday):
    run("recompute_intent", backfill=3)
    EventRule.objects.filter(match_value="/pricing").update(weight_override=1)

    said = run("recompute_intent", backfill=3, restate=True, no_input=True)

    assert f"{yesterday}: 3 of 3 snapshots will change, 0 will be added, 0 removed." in said
    assert f"{yesterday}: 3 accounts scored; snapshots: 0 new, 3 changed" in said


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"date": timedelta(days=9)}, "future"),
        ({"backfill": 0}, "1 or more"),
        ({"backfill": 10**12}, "at most 3,660"),
        ({"date": date.min}, "before the first day"),
        ({"date": date.min, "backfill": 5}, "No date"),
        ({"accounts": ["not a domain"]}, "no domain"),
        ({"accounts": ["gmail.com"]}, "personal"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_plain_words(activity, yesterday, options, why):
    if isinstance(options.get("date"), timedelta):
        options = {"date": yesterday + options["date"]}
    with pytest.raises(CommandError, match=why):
        run("recompute_intent", **options)
    assert not DailyAccountIntent.objects.exists()


def test_without_a_config_the_run_fails_and_says_what_to_do(yesterday):
    make_pull(yesterday)

    with pytest.raises(CommandError, match="seed_registry"):
        run("recompute_intent")
    job = JobRun.objects.get()
    assert (job.state, "seed_registry" in job.message) == ("failed", True)


def test_pages_no_rule_knew_and_events_no_weight_knew_are_reported(activity, yesterday):
    make_fact("odd.example", yesterday, ("page_view", "", "", "", "/odd", 5), ("video", "", "", "", "/v", 2))

    said = run("recompute_intent")

    assert "Pages no event rule knew: /odd 5" in said
    assert "Events no weight knew: video 2" in said


def test_the_contributions_and_the_bridge_of_every_account_reconcile_on_every_date(activity):
    run("recompute_intent", backfill=5)
    ScoreConfig.objects.update(lambda_decay="0.2")
    run("recompute_intent")

    for snapshot in DailyAccountIntent.objects.select_related("prospect_company"):
        ledger = json.loads(run("explain_account", snapshot.prospect_company.domain, date=snapshot.date, json=True))
        points = math.fsum(line["points"] for line in ledger["contributions"])
        assert points == pytest.approx(snapshot.raw_score_30d, abs=1e-9)
        assert ledger["drift"] == pytest.approx(0, abs=1e-9)
        if ledger["bridge"]:
            parts = ledger["bridge"]
            whole = math.fsum(parts[name] for name in parts if name not in ("previous_date", "raw"))
            assert whole == pytest.approx(snapshot.raw_score_30d, abs=1e-9)
            assert parts["restated"] == pytest.approx(0, abs=1e-9)
    assert parts_of("acme.example")["rules_changed"] < -1


def parts_of(domain):
    return json.loads(run("explain_account", domain, json=True))["bridge"]


def test_the_ledger_speaks_of_the_rules_the_score_was_made_with_and_not_of_todays(activity):
    run("recompute_intent")
    EventRule.objects.all().delete()

    said = run("explain_account", "https://www.Acme.example/")

    assert "pricing" in said
    assert "The facts changed" not in said


def test_the_ledger_says_when_the_facts_changed_after_the_score(activity, yesterday):
    run("recompute_intent")
    ActivityDay.objects.filter(account_key="acme.example", date=yesterday).delete()

    assert "The facts changed after this snapshot was made" in run("explain_account", "acme.example")


def test_explaining_an_unknown_account_or_date_is_a_clear_error(activity, yesterday):
    run("recompute_intent")

    with pytest.raises(CommandError, match=r"No account has the domain nobody\.example"):
        run("explain_account", "nobody.example")
    with pytest.raises(CommandError, match="no snapshot of 2001-01-01"):
        run("explain_account", "acme.example", date=yesterday.replace(2001, 1, 1))


def test_the_csv_export_has_every_stored_column_and_every_digit(activity, yesterday):
    run("recompute_intent")

    rows = list(csv.DictReader(io.StringIO(run("export_snapshots", date=yesterday))))

    assert [row["account_key"] for row in rows] == ["acme.example", "beta.example", "late.example"]
    assert list(rows[0]) == ["account_key", *(f.attname for f in DailyAccountIntent._meta.concrete_fields)]
    stored = DailyAccountIntent.objects.get(prospect_company__domain="beta.example")
    assert float(rows[1]["raw_score_30d"]) == stored.raw_score_30d
    assert json.loads(rows[1]["lane_scores_30d_json"]) == stored.lane_scores_30d_json
    assert (rows[1]["top_lane"], rows[1]["is_new"]) == ("event_space", "False")


def test_the_jsonl_export_to_a_file_holds_the_same_values(activity, tmp_path, yesterday):
    run("recompute_intent")
    target = tmp_path / "snapshots.jsonl"

    run("export_snapshots", date=yesterday, format="jsonl", output=str(target))

    rows = [json.loads(line) for line in target.read_text().splitlines()]
    stored = DailyAccountIntent.objects.get(prospect_company__domain="acme.example")
    assert rows[0]["raw_score_30d"] == stored.raw_score_30d
    assert rows[0]["why_hot_json"] == stored.why_hot_json == ["8× Pricing", "1× Form Submitted"]


def test_exporting_a_date_without_snapshots_or_to_nowhere_is_a_clear_error(tmp_path, yesterday):
    with pytest.raises(CommandError, match="No snapshot of"):
        run("export_snapshots", date=yesterday)
    make_snapshot(ProspectCompany.objects.create(domain="a.example", name="A"), yesterday)
    with pytest.raises(CommandError, match="cannot be written"):
        run("export_snapshots", date=yesterday, output=str(tmp_path / "no" / "such.csv"))


def test_a_formula_in_an_exported_text_is_defused(activity, yesterday):
    make_snapshot(ProspectCompany.objects.create(domain="f.example", name="F"), yesterday, top_lane="=1+1")

    assert ",'=1+1," in run("export_snapshots", date=yesterday)


def test_the_export_takes_the_same_number_of_queries_for_1_and_for_40_rows(django_assert_num_queries, yesterday):
    for number in range(40):
        make_snapshot(ProspectCompany.objects.create(domain=f"c{number:02}.example", name="C"), yesterday)
        if number in (0, 39):
            with django_assert_num_queries(3):
                run("export_snapshots", date=yesterday)


def test_with_nothing_but_leads_no_date_before_the_first_can_be_scored(yesterday):
    call_command("seed_registry", stdout=io.StringIO())
    make_lead("acme.example", yesterday)

    with pytest.raises(CommandError, match="before the first day"):
        run("recompute_intent", date=date.min)
    assert "1 accounts scored" in run("recompute_intent")


def test_a_mistyped_account_is_not_made_one(activity):
    assert "0 accounts scored" in run("recompute_intent", accounts=["acne.example"])
    assert not ProspectCompany.objects.filter(domain="acne.example").exists()


def test_a_ring_of_merges_made_by_hand_is_named(activity):
    a, b = (ProspectCompany.objects.create(domain=f"{name}.example", name=name) for name in "ab")
    ProspectCompany.objects.filter(pk=a.pk).update(merged_into=b)
    ProspectCompany.objects.filter(pk=b.pk).update(merged_into=a)

    with pytest.raises(CommandError, match="merged into itself"):
        run("recompute_intent")


@pytest.mark.parametrize("text", ["", "é", "\udcff", "a b", "http://", "a" * 5_000, "*.x.com"])
def test_what_is_no_domain_cannot_be_explained(text):
    with pytest.raises(CommandError, match=r"is no domain|No account"):
        run("explain_account", text)


def test_a_full_disk_ends_an_export_in_plain_words(activity, yesterday):
    run("recompute_intent")

    with pytest.raises(CommandError, match=r"/dev/full cannot be written: No space left"):
        run("export_snapshots", date=yesterday, output="/dev/full")


def test_a_reader_that_has_seen_enough_ends_a_command_without_a_traceback():
    many = f"{sys.executable} manage.py shell -v 0 -c 'print(chr(10) * 99999)'"
    done = subprocess.run(["sh", "-c", f"{many} | head -n 1"], capture_output=True, text=True, check=True)

    assert done.stderr == ""
