"""Everything at once, as real processes on one database: what is there afterwards is what one after the other leaves.

What runs together here commutes, so that "one after the other" has one outcome: scores of a date are made of the facts
of the 31 days up to it, an import of a later day touches none of them, an import that replaces days by what they hold
changes nothing, and events that are added to a day are summed.
"""

import subprocess
from datetime import date, timedelta
from itertools import pairwise

import pytest
from django.conf import settings

from tests.installation import ended, installation, write_events

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="needs many writers at once"),
]
DAY = date(2026, 11, 19)
NEXT = DAY + timedelta(days=1)
BULK = ("recompute_intent", "--date", DAY, "--backfill", 3)
ACCOUNTS = 800
DATABASE_COMPLAINTS = ("1205", "1213", "Deadlock", "Lock wait", "Traceback")


@pytest.fixture(scope="module")
def server():
    return {
        "host": DATABASE["HOST"],
        "port": int(DATABASE["PORT"] or 3306),
        "user": DATABASE["USER"],
        "password": DATABASE["PASSWORD"],
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A month, the day after it, and three files with further events of the month's last days."""
    directory = tmp_path_factory.mktemp("exports")
    month = write_events(directory / "month.jsonl", DAY, days=35, accounts=ACCOUNTS, seed=1)
    later = write_events(directory / "later.jsonl", NEXT, days=1, accounts=ACCOUNTS, seed=2)
    more = [write_events(directory / f"{n}.jsonl", DAY, days=4, accounts=ACCOUNTS, seed=n) for n in (3, 4, 5)]
    return month, later, more


def some(number):
    """Every seventh account; the sets of different numbers overlap."""
    chosen = range(number, ACCOUNTS, 7), range(0, ACCOUNTS, 29)
    return [f"c{n:05}.example" for numbers in chosen for n in numbers]


def single(number):
    return ("recompute_intent", "--date", DAY, "--accounts", *some(number))


def at_once(home, *commands):
    """Start them all, then wait for all: exit code and words of each."""
    started: list[subprocess.Popen[str]] = [home.start(*command) for command in commands]
    said = [ended(process) for process in started]
    assert [text for _, text in said if any(word in text for word in DATABASE_COMPLAINTS)] == []
    return said


REGISTRY = ("score_config_id", "registry_revision_id")  # differ between two installations


def test_two_recomputes_two_imports_and_single_accounts_at_once_leave_what_a_serial_run_does(server, files):
    month, later, _ = files
    with installation(server) as serial:
        for command in (
            ("import_activity", month),
            BULK,
            ("import_activity", later),
            ("import_activity", "--replace", month),
            *map(single, range(4)),
        ):
            serial.run(*command)
        facts, scores = serial.facts(), serial.scores(*REGISTRY)
    assert len(scores["snapshots"]) == 3 * len(scores["companies"]) > 2_000

    with installation(server, JOB_LEASE_SECONDS="120") as crowded:
        crowded.run("import_activity", month)
        first, second, *others = at_once(
            crowded,
            BULK,
            BULK,
            ("import_activity", later),
            ("import_activity", "--replace", month),
            *map(single, range(4)),
        )

        # One is refused, unless it came so late that the other had ended.
        refused = [text for code, text in (first, second) if code]
        assert all("CommandError: A recompute of all accounts is under way since" in text for text in refused)
        bulk = crowded.query("SELECT started_at, finished_at FROM job_runs WHERE is_bulk ORDER BY started_at")
        assert len(bulk) == 2 - len(refused) >= 1
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(bulk))
        assert [text for code, text in others if code] == []
        assert crowded.facts() == facts
        assert crowded.scores(*REGISTRY) == scores
        states = crowded.query("SELECT is_bulk, state, COUNT(*) FROM job_runs GROUP BY 1, 2 ORDER BY 1")
        assert states == [(0, "done", 4), (1, "done", len(bulk))]


def test_events_added_by_three_imports_at_once_during_recomputes_are_all_counted(server, files):
    month, _, more = files
    adding = [("import_activity", "--add", file) for file in more]
    one_date = ("recompute_intent", "--date", DAY)
    with installation(server) as serial:
        for command in (("import_activity", month), *adding, one_date):
            serial.run(*command)
        facts, scores = serial.facts("source"), serial.scores(*REGISTRY)

    with installation(server, JOB_LEASE_SECONDS="120") as crowded:
        crowded.run("import_activity", month)
        said = at_once(crowded, *adding, one_date, *map(single, range(3)))

        assert [text for code, text in said if code] == []
        assert crowded.facts("source") == facts
        crowded.run(*one_date)  # some were scored before the last events came
        assert crowded.scores(*REGISTRY) == scores
