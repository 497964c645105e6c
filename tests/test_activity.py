"""The one writer of facts: new, replaced and added days, and what is known of each day."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from ingestion import activity
from ingestion.activity import DaysAlreadyStored, Mode, store
from ingestion.events import AccountDay, Cell
from ingestion.models import ActivityDay, ActivityPull
from tests.factories import DAY, at, make_fact, make_pull

pytestmark = pytest.mark.django_db

BEFORE = DAY - timedelta(days=1)
TODAY = DAY + timedelta(days=1)


@dataclass
class Source:
    """A source that says what a test tells it to."""

    account_days_said: list[AccountDay]
    days: list[date] = field(default_factory=lambda: [BEFORE, DAY])
    today: date = TODAY
    unresolved_said: dict[date, dict[str, Any]] = field(default_factory=dict)

    def account_days(self):
        return iter(sorted(self.account_days_said, key=lambda day: (day.account_key, day.date)))

    def unresolved(self):
        return self.unresolved_said


def account_day(key="acme.example", day=DAY, count=1, path="/pricing", people=("000000000001",), hour=12):
    return AccountDay(key, day, (Cell("page_view", "", "", "", path, count),), people, at(day, hour))


def stored():
    rows = ActivityDay.objects.order_by("account_key", "date")
    return [(row.account_key, row.date, row.cells_json, row.people_json, row.last_seen_at) for row in rows]


def pulls():
    return {pull.date: pull for pull in ActivityPull.objects.all()}


def test_facts_and_days_are_stored_also_days_without_events():
    report = store(
        Source([account_day(), account_day("b.example", count=4)], unresolved_said={BEFORE: {"no_account": {}}}),
        Mode.NEW,
        "a file",
    )

    assert stored() == [
        ("acme.example", DAY, [["page_view", "", "", "", "/pricing", 1]], ["000000000001"], at(DAY)),
        ("b.example", DAY, [["page_view", "", "", "", "/pricing", 4]], ["000000000001"], at(DAY)),
    ]
    assert {day: (pull.state, pull.events, pull.keys, pull.source) for day, pull in pulls().items()} == {
        BEFORE: ("pulled", 0, 0, "a file"),
        DAY: ("pulled", 5, 2, "a file"),
    }
    assert pulls()[BEFORE].unresolved_json == {"no_account": {}}
    assert (report.days, report.empty_days, report.keys, report.account_days, report.events) == (2, 1, 2, 2, 5)
    assert (report.written, report.unchanged, report.removed) == (2, 0, 0)


def test_a_day_that_is_in_already_is_refused_and_nothing_is_written():
    store(Source([account_day()]), Mode.NEW, "first")

    with pytest.raises(DaysAlreadyStored, match=f"2 of the days have facts already .{BEFORE} to {DAY}"):
        store(Source([account_day(count=9)], days=[BEFORE, DAY, TODAY]), Mode.NEW, "second")

    assert stored()[0][2] == [["page_view", "", "", "", "/pricing", 1]]
    assert set(pulls()) == {BEFORE, DAY}


@pytest.mark.parametrize("state", ["pulled", "held"])
def test_a_day_counts_as_in_by_its_pull_or_by_its_facts(state):
    make_pull(BEFORE, state)
    make_fact("old.example", DAY)

    with pytest.raises(DaysAlreadyStored, match="2 of the days"):
        store(Source([]), Mode.NEW, "again")


def test_a_day_whose_pull_failed_is_free():
    make_pull(DAY, "failed", message="timed out")

    store(Source([account_day()]), Mode.NEW, "again")

    assert (pulls()[DAY].state, pulls()[DAY].message, pulls()[DAY].events) == ("pulled", "", 1)


def test_a_day_that_was_not_over_is_partial_and_replaced_by_its_whole():
    store(Source([account_day(), account_day("gone.example")], days=[DAY], today=DAY), Mode.NEW, "at noon")
    assert pulls()[DAY].state == "partial"

    report = store(Source([account_day(count=2)], days=[DAY]), Mode.NEW, "at night")

    assert (pulls()[DAY].state, pulls()[DAY].events, pulls()[DAY].source) == ("pulled", 2, "at night")
    assert [row[0] for row in stored()] == ["acme.example"]
    assert (report.written, report.removed, report.partial_day) == (1, 1, None)


def test_replace_writes_what_changed_removes_what_is_gone_and_leaves_other_days_alone():
    keep, change, gone = account_day("keep.example"), account_day("change.example"), account_day("gone.example")
    elsewhere = account_day("gone.example", day=DAY - timedelta(days=5))
    store(Source([elsewhere], days=[elsewhere.date]), Mode.NEW, "earlier")
    store(Source([keep, change, gone]), Mode.NEW, "first")

    report = store(Source([keep, replace(change, people=()), account_day("new.example")]), Mode.REPLACE, "second")

    assert (report.written, report.unchanged, report.removed) == (2, 1, 1)
    assert [(key, day) for key, day, *_ in stored()] == [
        ("change.example", DAY),
        ("gone.example", elsewhere.date),
        ("keep.example", DAY),
        ("new.example", DAY),
    ]


def test_replacing_twice_by_the_same_writes_no_row_and_touches_no_pull():
    source = Source([account_day(), account_day(day=BEFORE)], unresolved_said={DAY: {"future": {"events": 1}}})
    before = None
    for _ in range(2):
        report = store(source, Mode.REPLACE, "a file")
        after = stored(), list(ActivityPull.objects.order_by("date").values())
        assert before in (None, after)
        before = after

    assert (report.written, report.unchanged, report.removed) == (0, 2, 0)


def test_add_sums_counts_and_left_out_events_and_unites_people():
    examples = {f"junk {number:02}": 1 for number in range(10)}
    first = {DAY: {"not_a_domain": {"events": 10, "examples": examples}}}
    second = {DAY: {"not_a_domain": {"events": 2, "examples": {"other": 2}}, "no_account": {"events": 1}}}
    store(Source([account_day(), account_day("untouched.example")], unresolved_said=first), Mode.NEW, "first")

    report = store(
        Source(
            [account_day(count=2, people=("000000000001", "000000000002"), hour=9), account_day("new.example")],
            unresolved_said=second,
        ),
        Mode.ADD,
        "second",
    )

    assert stored()[0] == (
        "acme.example",
        DAY,
        [["page_view", "", "", "", "/pricing", 3]],
        ["000000000001", "000000000002"],
        at(DAY, 12),
    )
    assert (report.written, report.removed) == (2, 0)
    assert (pulls()[DAY].events, pulls()[DAY].keys) == (5, 3)
    assert pulls()[DAY].unresolved_json["no_account"] == {"events": 1, "examples": {}}
    assert pulls()[DAY].unresolved_json["not_a_domain"]["events"] == 12
    kept = pulls()[DAY].unresolved_json["not_a_domain"]["examples"]
    assert kept == {"other": 2} | {f"junk {number:02}": 1 for number in range(9)}


def test_added_days_stay_within_the_bound_of_a_row(settings):
    settings.ACTIVITY_MAX_CELLS = 2
    store(Source([account_day(path="/a/b/1"), account_day("b.example")]), Mode.NEW, "first")

    for path in ("/a/b/2", "/a/b/3"):
        store(Source([account_day(path=path)]), Mode.ADD, "more")

    row = ActivityDay.objects.get(account_key="acme.example")
    assert [cell[4:] for cell in row.cells_json] == [["/a/b", 2], ["/a/b/3", 1]]
    assert row.paths_cut == 2


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.ADD])
def test_stored_facts_are_met_whatever_the_size_of_a_page_or_batch(mode, monkeypatch):
    monkeypatch.setattr(activity, "BATCH", 3)
    monkeypatch.setattr(activity, "PAGE_MIN", 2)
    monkeypatch.setattr(activity, "PAGE", 2)
    days = [DAY - timedelta(days=age) for age in range(7, -1, -1)]
    kept = [account_day(f"{name}.example", day) for name in "acegikm" for day in days[: ord(name) % 5 + 1]]
    kept += [account_day("long.example", day) for day in days]
    other = [account_day(f"{name}.example", day) for name in "bdfzc" for day in days[:3]]
    store(Source(kept, days=days), Mode.NEW, "first")

    report = store(Source(other, days=days), mode, "second")

    met = {(day.account_key, day.date) for day in kept} & {(day.account_key, day.date) for day in other}
    expected = len(other) if mode is Mode.REPLACE else len({(day.account_key, day.date) for day in kept + other})
    assert ActivityDay.objects.count() == expected
    assert report.removed == (len(kept) - len(met) if mode is Mode.REPLACE else 0)
    assert report.events == len(other) if mode is Mode.REPLACE else len(other) + len(kept)


def test_a_large_row_is_written_in_a_statement_of_its_own(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(activity, "BATCH_TEXT", 150)
    days = [account_day(f"{name}.example") for name in "abc"]

    with django_assert_num_queries(2 + 2 + 3 + 1):  # savepoint, what is there, three statements, the pulls
        store(Source(days), Mode.NEW, "a file")


def test_a_source_that_breaks_half_way_leaves_nothing(monkeypatch):
    monkeypatch.setattr(activity, "BATCH", 1)
    store(Source([account_day("old.example")]), Mode.NEW, "first")
    before = stored()

    class Broken(Source):
        def account_days(self):
            yield from super().account_days()
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        store(Broken([account_day()]), Mode.REPLACE, "second")

    assert stored() == before


def test_two_imports_of_the_same_new_day_cannot_both_succeed():
    """The other import committed its pull after ours looked: the unique date stops us, and our facts go back."""

    class Overtaken(Source):
        def unresolved(self):
            make_pull(DAY, source="the other")
            return {}

    with pytest.raises(IntegrityError):
        store(Overtaken([account_day()]), Mode.NEW, "ours")

    assert stored() == []


def test_progress_counts_the_sources_rows():
    done = []

    store(Source([account_day(), account_day("b.example")]), Mode.NEW, "a file", done.append)

    assert sum(done) == 2


@pytest.mark.django_db(transaction=True)
def test_an_import_that_met_a_deadlock_walks_its_source_again_and_counts_nothing_twice():
    make_pull(DAY)
    make_fact("acme.example", DAY)

    class Unlucky(Source):
        walks = 0

        def account_days(self):
            self.walks += 1
            yield from super().account_days()
            if self.walks == 1:
                raise OperationalError(1213, "Deadlock found when trying to get lock")

    source = Unlucky([account_day(count=2)], days=[DAY])
    report = store(source, Mode.ADD, "more")

    assert (source.walks, report.account_days, report.events) == (2, 1, 3)
    assert [row[2] for row in stored()] == [[["page_view", "", "", "", "/pricing", 3]]]
