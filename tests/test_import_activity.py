"""The command: what it prints, what it refuses, and that a file twice is a file once."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from freezegun import freeze_time

from ingestion.models import ActivityDay, ActivityPull
from tests.export_lines import event, write
from tests.factories import make_config, make_weight

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("error")]


@pytest.fixture(autouse=True)
def noon():
    with freeze_time("2026-11-21T12:00:00Z"):
        yield


def run(*arguments):
    output = StringIO()
    call_command("import_activity", *map(str, arguments), stdout=output)
    return re.sub(r"in [\d.]+ s", "in N s", output.getvalue())


def everything():
    return (
        list(ActivityDay.objects.order_by("account_key", "date").values()),
        list(ActivityPull.objects.order_by("date").values()),
    )


def test_a_file_becomes_facts_and_a_report(tmp_path):
    file = write(
        tmp_path / "events.jsonl.gz",
        event(at="2026-11-18T10:00:00Z"),
        event(at="2026-11-18T10:00:00Z", name="$pageview"),
        event("b.example", at="2026-11-21T10:00:00Z"),
        event("gmail.com"),
        event("x.(none)"),
        event("x.(none)"),
        event(None),
        event(name="$pageleave"),
        event(at="2026-11-22T10:00:00Z"),
        b"{",
        event(at="2026-11-20 10:00"),
    )

    assert run(file) == (
        "Read       11 lines of 1 file in N s\n"
        "Days       4, 2026-11-18 to 2026-11-21, 1 without a kept event; 2026-11-21 is not over: partial\n"
        "Kept       4 events, 3 account keys, 3 account days\n"
        "           kept, not scored: personal mail domain 1 events\n"
        "Left out   5 events\n"
        "           dated in the future (future): 1: '2026-11-22' 1\n"
        "           no account given (no_account): 1\n"
        "           account is no domain (not_a_domain): 2: 'x.(none)' 2\n"
        "           not a tracked event (other_event): 1: '$pageleave' 1\n"
        "Bad lines  2\n"
        f"           {file}, line 10: not JSON: unexpected end of data at character 2\n"
        f"           {file}, line 11: timestamp without zone\n"
        "Stored     3 rows written, 0 unchanged, 0 removed in N s\n"
    )
    pull = ActivityPull.objects.get(date="2026-11-20")
    assert (pull.state, pull.events, pull.keys, pull.source) == ("pulled", 1, 1, "group:company in events.jsonl.gz")
    assert pull.unresolved_json == {
        "no_account": {"events": 1, "examples": {}},
        "not_a_domain": {"events": 2, "examples": {"x.(none)": 2}},
        "other_event": {"events": 1, "examples": {"$pageleave": 1}},
    }
    assert ActivityPull.objects.get(date="2026-11-21").state == "partial"


def test_the_same_file_twice_is_refused_and_with_replace_changes_nothing(tmp_path):
    file = write(tmp_path / "events.jsonl", event(), event("b.example"), event("junk"))
    run(file)
    before = everything()

    with pytest.raises(CommandError, match=r"1 of the days have facts already \(2026-11-20 to 2026-11-20\)"):
        run(file)
    for _ in range(2):
        assert "0 rows written, 2 unchanged, 0 removed" in run(file, "--replace")

    assert everything() == before


def test_files_that_share_days_are_added(tmp_path):
    run(write(tmp_path / "one.jsonl", event(person=1)))
    run(write(tmp_path / "two.jsonl", event(person=2), event(person=2)), "--add")

    fact = ActivityDay.objects.get()
    assert fact.cells_json == [["page_view", "", "", "", "/pricing", 3]]
    assert fact.people_json == ["000000000001", "000000000002"]
    assert ActivityPull.objects.get().events == 3


def test_several_files_are_one_import(tmp_path):
    first = write(tmp_path / "one.jsonl", event(at="2026-11-18T10:00:00Z"))
    second = write(tmp_path / "two.jsonl.gz", event(at="2026-11-20T10:00:00Z"))

    run(first, second)

    assert [pull.date.day for pull in ActivityPull.objects.order_by("date")] == [18, 20]


def test_the_exports_interval_makes_quiet_days_known(tmp_path):
    file = write(tmp_path / "events.jsonl", event())

    run(file, "--from", "2026-11-18", "--to", "2026-11-20")

    assert [pull.events for pull in ActivityPull.objects.order_by("date")] == [0, 0, 1]


def test_what_the_active_config_weighs_is_tracked_too(tmp_path):
    make_weight(make_config(), event="demo_booked")
    file = write(tmp_path / "events.jsonl", event(name="demo_booked"), event(name="Booked"), event(name="page_view"))

    run(file, "--event-alias", "Booked=demo_booked")

    assert [cell[0::5] for cell in ActivityDay.objects.get().cells_json] == [["demo_booked", 2], ["page_view", 1]]


def test_an_alias_given_here_wins_over_the_settings(tmp_path, settings):
    settings.ACTIVITY_EVENT_ALIASES = {"$pageview": "page_view"}
    file = write(tmp_path / "events.jsonl", event(name="$pageview"))

    run(file, "--event-alias", "$pageview=form_started")

    assert ActivityDay.objects.get().cells_json[0][0] == "form_started"


def test_a_foreign_hosts_pages_keep_their_host(tmp_path, settings):
    settings.SITE_HOSTS = ("acme.example",)
    hosts = {"$current_url": "https://www.acme.example/pricing"}, {"$host": "docs.acme.example"}

    run(write(tmp_path / "events.jsonl", *(event(**host) for host in hosts)))

    assert [cell[4] for cell in ActivityDay.objects.get().cells_json] == ["/pricing", "docs.acme.example/pricing"]


def test_many_bad_lines_are_counted_and_the_first_named(tmp_path):
    report = run(write(tmp_path / "events.jsonl", *[b"{"] * 25, event()))

    assert "Bad lines  25\n" in report
    assert "line 20: not JSON" in report
    assert "line 21: not JSON" not in report
    assert "… and 5 more" in report


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "The files are empty"),
        ([b"{", b"\xff"], "2 of 2 lines are bad"),
        ([event(at="2026-11-30T10:00:00Z")], "every one lies in the future"),
        (
            [event(None, **{"$groups": {"account": "a"}})],
            "No event has a group of type 'company'; the events have: account",
        ),
    ],
)
def test_a_file_of_no_use_is_an_error_and_writes_nothing(tmp_path, lines, message):
    file = write(tmp_path / "events.jsonl", *lines)

    for _ in range(2):
        with pytest.raises(CommandError, match=f"Nothing was written.*({message})"):
            run(file)

    assert everything() == ([], [])


def test_one_damaged_file_among_good_ones_writes_nothing(tmp_path):
    good, damaged = write(tmp_path / "good.jsonl.gz", event()), tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(good.read_bytes()[:-10])

    with pytest.raises(CommandError, match=rf"{damaged}: the gzip data is damaged or cut off"):
        run(good, damaged)

    assert everything() == ([], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--account", "company"], "'company' is no account source: group:TYPE, group_property"),
        (["--event-alias", "page_view"], "no alias: write SENT=TRACKED"),
        (["--from", "yesterday"], "'yesterday' is no date: write YYYY-MM-DD"),
        (["--from", "2026-11-01"], "give both or neither"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "--from may not be after --to"),
        (["--from", "2026-11-01", "--to", "2026-11-22"], "not in the future"),
        (["--from", "2026-11-01", "--to", "2026-11-19"], "Events outside 2026-11-01 to 2026-11-19: 1"),
        (["--replace", "--add"], "not allowed with"),
    ],
)
def test_a_mistake_in_the_arguments_is_explained(tmp_path, arguments, message):
    file = write(tmp_path / "events.jsonl", event())

    with pytest.raises(CommandError, match=message):
        run(file, *arguments)

    assert everything() == ([], [])


def test_a_file_named_twice_does_not_count_twice(tmp_path):
    file = write(tmp_path / "events.jsonl", event())

    with pytest.raises(CommandError, match="named twice"):
        run(file, tmp_path / "." / "events.jsonl")


def test_a_file_may_have_any_name(tmp_path):
    said = run("--replace", write(tmp_path / "\udcff\udcfe.jsonl", event(at="2026-11-18T10:00:00Z"), b"{"))

    assert "??.jsonl, line 2: not JSON" in said
    assert ActivityPull.objects.get().source == "group:company in ??.jsonl"


@pytest.mark.parametrize("name", ["a" * 5_000, "loop", "."])
def test_a_name_that_no_file_can_have_is_refused_in_plain_words(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(CommandError, match=r"too long|Too many levels|directory"):
        run(tmp_path / name)
