"""Reading PostHog batch-export files: where every line counts, and what an account day is made of."""

import gzip
import json
from datetime import UTC, date, datetime

import pytest

from ingestion import export_files
from ingestion.events import Cell
from ingestion.export_files import UnusableExport
from ingestion.sources import AccountSource
from tests.export_lines import event, write

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRACKED = {"page_view", "cta_click", "form_submitted"}


def read(*paths, account="group:company", **options):
    defaults = {"aliases": {"$pageview": "page_view"}, "tracked": TRACKED, "site_hosts": (), "now": NOW}
    return export_files.read(paths, AccountSource.parse(account), max_cells=5_000, **{**defaults, **options})


def days_of(*paths, **options):
    with read(*paths, **options) as export:
        return {(day.account_key, day.date.isoformat()): day for day in export.account_days()}


def left_out_of(*paths, **options):
    with read(*paths, **options) as export:
        return {reason: (found.events, found.examples) for reason, found in export.left_out().items()}


def assert_every_line_is_counted_once(export):
    assert export.lines == export.events + export.bad_lines + sum(found.events for found in export.left_out().values())


def test_an_account_day_sums_its_events_and_unites_its_people(tmp_path):
    file = write(
        tmp_path / "events.jsonl",
        event(at="2026-11-20T23:59:59.999999Z", person=2),
        event(at="2026-11-20T00:00:00Z", person=1),
        event(at="2026-11-20T09:00:00Z", name="cta_click", cta_id="reserve", content_type="Pricing", path="/"),
        event(at="2026-11-20T08:00:00Z", service_lane="Data Center", cta_id="only clicks have one"),
    )

    (day,) = days_of(file).values()

    assert day.account_key == "acme.example"
    assert day.date == date(2026, 11, 20)
    assert day.cells == (
        Cell("cta_click", "pricing", "", "reserve", "/", 1),
        Cell("page_view", "", "", "", "/pricing", 2),
        Cell("page_view", "", "data_center", "", "/pricing", 1),
    )
    assert day.people == ("000000000001", "000000000002")
    assert day.last_seen_at == datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)


def test_keys_that_are_one_domain_are_one_account(tmp_path):
    keys = ("acme.example", "HTTPS://www.Acme.example:443/path", " ACME.EXAMPLE. ", "http:/acme.example")

    days = days_of(write(tmp_path / "events.jsonl", *(event(key) for key in keys)))

    assert [(key, day.cells[0].count) for (key, _), day in days.items()] == [("acme.example", 4)]


def test_account_days_come_in_order_of_key_and_date_whatever_the_order_of_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(export_files, "SPILL_AT", 3)
    events = [
        event(key, f"2026-11-{day}T10:00:00Z", person=person)
        for person in (1, 2)
        for day in (20, 18, 19)
        for key in ("b.example", "a.example", "a-b.example")
    ]

    with read(write(tmp_path / "events.jsonl", *events)) as export:
        first, second = list(export.account_days()), list(export.account_days())

    assert first == second
    assert [(day.account_key, day.date.day) for day in first] == [
        (key, day) for key in ("a-b.example", "a.example", "b.example") for day in (18, 19, 20)
    ]
    assert {day.people for day in first} == {("000000000001", "000000000002")}
    assert {day.cells[0].count for day in first} == {2}


def test_an_account_day_without_any_person_takes_nobody_elses(tmp_path):
    nobody = event("a.example") | {"person_id": None, "distinct_id": None}

    days = days_of(write(tmp_path / "events.jsonl", nobody, event("b.example", person=3)))

    assert {key: day.people for (key, _), day in days.items()} == {"a.example": (), "b.example": ("000000000003",)}


def test_properties_may_be_an_object_or_a_string_and_the_file_gzip_or_not(tmp_path):
    as_string = event() | {"properties": json.dumps(event()["properties"])}
    plain, zipped = write(tmp_path / "plain.jsonl", event()), write(tmp_path / "zipped.gz", as_string)
    misnamed = tmp_path / "misnamed.jsonl"
    misnamed.write_bytes(zipped.read_bytes())

    assert days_of(plain) == days_of(zipped) == days_of(misnamed)
    assert len(days_of(plain)) == 1


def test_a_file_may_begin_with_a_byte_order_mark_and_end_without_a_line_end(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(event()).encode() + b"\r\n" + json.dumps(event()).encode())

    with read(file) as export:
        assert (export.lines, export.events) == (2, 2)


@pytest.mark.parametrize(
    ("account", "changes"),
    [
        ("property:company_domain", {"properties": {"company_domain": "acme.example"}}),
        ("person_email", {"properties": {}, "person_properties": {"email": "Ann <ann@acme.example>"}}),
        ("person_email", {"properties": {}, "person_properties": '{"email": "ann@acme.example"}'}),
        ("person_email", {"properties": {"$set": {"email": "ann@acme.example"}}, "person_properties": None}),
        ("person_email", {"properties": {"email": "ann@acme.example"}, "person_properties": ""}),
        (
            "person_email",
            {"properties": {"email": "b@other.example"}, "person_properties": {"email": "ann@acme.example"}},
        ),
    ],
)
def test_the_account_can_come_from_a_property_or_the_persons_email(tmp_path, account, changes):
    file = write(tmp_path / "events.jsonl", event(None) | changes)

    assert [key for key, _ in days_of(file, account=account)] == ["acme.example"]


@pytest.mark.parametrize("text", ["", "group", "group:", "group: ", "property:", "person_email:x", "email", "$group_0"])
def test_an_unknown_account_source_is_refused(text):
    with pytest.raises(ValueError, match=r"group:TYPE, group_property:TYPE\.PROPERTY, property:NAME or person_email"):
        AccountSource.parse(text)


def test_every_line_ends_in_exactly_one_count(tmp_path):
    file = write(
        tmp_path / "events.jsonl",
        event(),
        event("gmail.com"),
        event("linkedin.com"),
        event(None),
        event(""),
        event(None, **{"$groups": ["company"]}),
        event("no domain"),
        event(7),
        event({"deep": 1}),
        event(name="$pageleave"),
        event(name="$pageview"),
        event(at="2026-11-21T12:00:01Z"),
        event(at="2027-01-01T00:00:00Z", name="$pageleave"),
        b"{not json",
        b"",
        event(at="2026-11-20T10:00:00"),
    )

    with read(file) as export:
        assert_every_line_is_counted_once(export)
        assert (export.lines, export.events, export.bad_lines) == (16, 4, 3)
        assert (export.personal_events, export.platform_events) == (1, 1)
    assert left_out_of(file) == {
        "future": (2, {"2026-11-21": 1, "2027-01-01": 1}),
        "no_account": (3, {}),
        "not_a_domain": (3, {"(dict)": 1, "(int)": 1, "no domain": 1}),
        "other_event": (1, {"$pageleave": 1}),
    }


def test_what_was_left_out_is_known_by_day_but_only_of_covered_days(tmp_path):
    file = write(
        tmp_path / "events.jsonl",
        event(at="2026-11-18T10:00:00Z"),
        event("junk", at="2026-11-20T10:00:00Z"),
        event("junk", at="2026-11-20T11:00:00Z"),
        event(at="2026-12-01T10:00:00Z"),
    )

    with read(file) as export:
        assert export.days == (date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20))
        assert export.unresolved() == {date(2026, 11, 20): {"not_a_domain": {"events": 2, "examples": {"junk": 2}}}}


def test_of_many_values_the_ten_commonest_are_kept_short_and_without_the_person(tmp_path):
    often = [event("ann.smith@localhost")] * 3 + [event("x" * 5_000 + "\x00")] * 2
    rare = [event(f"junk {number:03}") for number in range(100)]

    events, examples = left_out_of(write(tmp_path / "events.jsonl", *rare, *often))["not_a_domain"]

    assert events == 105
    assert list(examples.items())[:3] == [("…@localhost", 3), ("x" * 100, 2), ("junk 000", 1)]
    assert len(examples) == 10


def test_aliases_are_applied_before_events_are_chosen(tmp_path):
    file = write(tmp_path / "events.jsonl", event(name="$pageview"), event(name="Page Viewed"))

    days = days_of(file, aliases={"$pageview": "page_view", "Page Viewed": "page_view"})

    assert [day.cells for day in days.values()] == [(Cell("page_view", "", "", "", "/pricing", 2),)]


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00+00:00"),
        ("2026-11-20T10:00:00.999999+00:00", "2026-11-20T10:00:00+00:00"),
        ("2026-11-20T23:30:00-05:00", "2026-11-21T04:30:00+00:00"),
        ("2026-11-20 10:00:00.123456 UTC", "2026-11-20T10:00:00+00:00"),
        ("2026-11-20 10:00:00+05:45", "2026-11-20T04:15:00+00:00"),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00+00:00"),
    ],
)
def test_a_timestamp_is_read_with_its_zone_as_utc(tmp_path, text, second):
    (day,) = days_of(write(tmp_path / "events.jsonl", event(at=text))).values()

    assert day.last_seen_at == datetime.fromisoformat(second)
    assert day.date == day.last_seen_at.date()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"event": "page_view", "value": NaN}', "not JSON"),
        (b"[" * 1_100 + b"]" * 1_100, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"page_view"', "not a JSON object"),
        (event(name=""), "no event name"),
        (event(name=["page_view"]), "no event name"),
        (event(at=None), "no timestamp"),
        (event(at=1_795_168_800), "no timestamp"),
        (event(at="2026-11-20T10:00:00"), "timestamp without zone"),
        (event(at="2026-11-20"), "timestamp without zone"),
        (event(at="yesterday"), "timestamp not understood: 'yesterday'"),
        (event(at="2026-02-30T10:00:00Z"), "timestamp not understood"),
        (event(at="1999-12-31T23:59:59Z"), "timestamp outside the years 2000 to 2100"),
        (event(at="2101-01-01T00:00:00Z"), "timestamp outside the years 2000 to 2100"),
        (event(at="0001-01-01T00:00:00+23:59"), "timestamp outside the years 2000 to 2100"),
        (event() | {"properties": ["page_view"]}, "properties is not an object"),
        (event() | {"properties": "{not json"}, "not JSON"),
        (event() | {"properties": "[1]"}, "properties is not an object"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_its_reason(tmp_path, line, reason):
    file = write(tmp_path / "events.jsonl", event(), line, event())

    with read(file) as export:
        assert_every_line_is_counted_once(export)
        assert (export.events, export.bad_lines) == (2, 1)
        assert str(export.first_bad_lines[0]).startswith(f"{file}, line 2: {reason}")


def test_a_line_of_ten_megabytes_costs_itself_only(tmp_path, monkeypatch):
    monkeypatch.setattr(export_files, "LINE_LIMIT", 5_000)
    monkeypatch.setattr(export_files, "CHUNK", 1_000)
    long = [b"x" * length for length in (4_999, 5_001, 6_500, 30_000)]

    with read(write(tmp_path / "events.jsonl.gz", event(), *long, event(), long[3])) as export:
        assert (export.lines, export.events, export.bad_lines) == (7, 2, 5)
        reasons = [(bad.number, bad.reason) for bad in export.first_bad_lines]

    assert reasons[1:] == [(number, "longer than 5,000 bytes") for number in (3, 4, 5, 7)]


def test_only_the_first_twenty_bad_lines_are_listed_but_all_are_counted(tmp_path):
    with read(write(tmp_path / "events.jsonl", *[b"{"] * 50, event())) as export:
        assert (len(export.first_bad_lines), export.bad_lines) == (20, 50)


def test_half_an_emoji_does_not_cost_the_event(tmp_path):
    line = rb"""{"event": "page_view", "timestamp": "2026-11-20T10:00:00Z", "properties":
        {"$groups": {"company": "acme.example"}, "title": "cut \ud83d", "$pathname": "/\\ud83d/\ud83d\ude00/\udc00"}}"""

    (day,) = days_of(write(tmp_path / "events.jsonl", line.replace(b"\n", b""))).values()

    assert day.cells[0].path == "/\\ud83d/\U0001f600/\ufffd"


def test_properties_nested_a_thousand_deep_are_read_or_refused_but_never_fatal(tmp_path):
    for depth in (1_000, 100_000):
        nested = b'{"a":' * depth + b"1" + b"}" * depth
        lines = [json.dumps(event() | {"properties": "HERE"}).encode().replace(b'"HERE"', nested)]
        lines.append(json.dumps(event() | {"properties": nested.decode()}).encode())

        with read(write(tmp_path / "events.jsonl", *lines, event())) as export:
            assert_every_line_is_counted_once(export)
            assert export.events == 1


def test_a_hundred_thousand_paths_of_one_account_and_day_fit_in_a_row(tmp_path):
    paths = (event(path=f"/docs/{number % 3}/{number}", person=number % 10) for number in range(100_000))

    (day,) = days_of(write(tmp_path / "events.jsonl", *paths)).values()

    assert len(day.cells) <= 5_000
    assert sum(cell.count for cell in day.cells) == 100_000
    assert day.paths_cut >= 95_000


def test_an_unknown_group_type_names_the_types_there_are(tmp_path):
    file = write(tmp_path / "events.jsonl", event(None, **{"$groups": {"account": "a", "team": "b"}}))

    with pytest.raises(UnusableExport, match="'company'; the events have: account, team"):
        read(file)


def test_a_day_on_which_nobody_had_a_group_is_a_day_like_any_other(tmp_path):
    assert left_out_of(write(tmp_path / "events.jsonl", event(None), event(None))) == {"no_account": (2, {})}


def test_days_are_covered_from_the_first_usable_event_of_a_file_to_its_last(tmp_path):
    one = write(
        tmp_path / "one.jsonl",
        event(at="2026-11-05T10:00:00Z", name="$pageleave"),
        event(at="2026-11-03T10:00:00Z"),
        event(at="2026-11-01T10:00:00Z") | {"properties": [1]},
        event(at="2026-11-25T10:00:00Z"),
    )
    other = write(tmp_path / "other.jsonl", event("junk", at="2026-11-10T10:00:00Z"))

    with read(one, other) as export:
        assert [day.day for day in export.days] == [3, 4, 5, 10]


def test_the_exports_interval_may_be_longer_but_not_shorter_than_its_events(tmp_path):
    file = write(tmp_path / "events.jsonl", event(at="2026-11-03T10:00:00Z"), event(at="2026-11-05T10:00:00Z"))

    with read(file, interval=(date(2026, 11, 1), date(2026, 11, 6))) as export:
        assert [day.day for day in export.days] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UnusableExport, match="Events outside 2026-11-04 to 2026-11-06: 1"):
        read(file, interval=(date(2026, 11, 4), date(2026, 11, 6)))


def test_one_wrong_clock_does_not_declare_years_empty(tmp_path):
    file = write(tmp_path / "events.jsonl", event(at="2016-01-01T00:00:00Z"), event())

    with pytest.raises(UnusableExport, match="no event between 2016-01-01 and 2026-11-20"):
        read(file)
    with read(file, interval=(date(2016, 1, 1), date(2026, 11, 20))) as export:
        assert len(export.days) == 3_977


def test_files_of_which_nothing_can_be_used_are_refused(tmp_path):
    with pytest.raises(UnusableExport, match="empty"):
        read(write(tmp_path / "empty.jsonl"))
    with pytest.raises(UnusableExport, match=r"2 of 2 lines are bad.\n.*bad.jsonl, line 1: not JSON"):
        read(write(tmp_path / "bad.jsonl", b"{", b"{"))
    with pytest.raises(UnusableExport, match="of 1 lines every one lies in the future"):
        read(write(tmp_path / "future.jsonl", event(at="2026-12-01T00:00:00Z")))


@pytest.mark.parametrize("interval", [None, (date(2026, 11, 1), date(2026, 11, 20))])
def test_a_damaged_or_missing_file_is_refused_by_name(tmp_path, interval):
    good = gzip.compress(b"".join(json.dumps(event(person=n % 10)).encode() + b"\n" for n in range(2_000)))
    cases = {
        "cut off": good[:-20],
        "damaged": good[:60] + b"\0\0\0\0\0\0" + good[66:],
        "no gzip after all": b"\x1f\x8bnothing",
        "junk behind": good + b"junk",
        "utf-16": "{}\n".encode("utf-16"),
        "utf-16 without mark": "{}\n".encode("utf-16-le"),
        "zstd": b"\x28\xb5\x2f\xfd\x00",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "directory").mkdir()
    for name in (*cases, "directory", "missing"):
        with pytest.raises(UnusableExport, match=f"{tmp_path / name}: "):
            read(tmp_path / name, interval=interval)


@pytest.mark.parametrize(
    ("events", "said"),
    [(99, False), (100, True)],
    ids=["a quiet day of strangers", "a name mistyped"],
)
def test_a_property_that_no_event_has_is_refused_once_there_are_enough_events(tmp_path, events, said):
    file = write(tmp_path / "events.jsonl", *[event(company_domain="acme.example")] * events)

    if said:
        with pytest.raises(UnusableExport, match="None of 100 events has a property 'compnay_domain'"):
            read(file, account="property:compnay_domain")
    else:
        assert days_of(file, account="property:compnay_domain") == {}
    with read(file, account="property:company_domain") as export:
        assert export.events == events


def test_a_property_of_groups_cannot_be_read_from_files(tmp_path):
    with pytest.raises(UnusableExport, match="export files carry no properties of groups"):
        read(write(tmp_path / "events.jsonl", event()), account="group_property:company.domain")
