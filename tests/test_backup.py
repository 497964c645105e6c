"""Dump and restore, as docs/operations.md says: every table the same, and the next night too (reliability 44)."""

import hashlib
from contextlib import closing
from datetime import timedelta

import MySQLdb
import pytest
from django.conf import settings

from tests.installation import Installation, ended, frozen, installation, write_events
from tests.test_night_processes import QUICK, scored_day

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="mariadb-dump needs a MariaDB server"),
]
SERVER = {
    "host": DATABASE.get("HOST"),
    "port": int(DATABASE.get("PORT") or 3306),
    "user": DATABASE.get("USER"),
    "password": DATABASE.get("PASSWORD"),
}
DUMP = ("mariadb-dump", "--single-transaction", "--quick", "--hex-blob", "--skip-tz-utc")  # the documented one


def restore(home, dump):
    home.client("mariadb", standard_input=dump)


def hashes(home):
    """Every row and column of every table."""
    found = {}
    for (table,) in home.query("SHOW TABLES"):
        rows = sorted(map(repr, home.query(f"SELECT * FROM {table}")))
        found[table] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
    return found


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    path = tmp_path_factory.mktemp("backup") / "export.jsonl"
    return write_events(path, scored_day(), days=35, accounts=300, seed=44)


@pytest.fixture
def empty():
    """A database to restore into: created, with nothing in it."""
    made = Installation(SERVER, **QUICK)
    with closing(MySQLdb.connect(**SERVER)) as connection:
        connection.cursor().execute(f"CREATE DATABASE {made.name} CHARACTER SET utf8mb4")
    yield made
    made.drop()


def test_what_was_dumped_is_restored_row_by_row_and_scored_on_alike(export, empty):
    with installation(SERVER, **QUICK) as home:
        home.run("import_activity", export)
        home.run("recompute_intent", "--date", scored_day() - timedelta(days=1), "--backfill", "3")
        home.run("create_user", "alice", "--role", "internal_admin")
        dump = home.client(*DUMP)
        before = hashes(home)
        restore(empty, dump)

        assert hashes(empty) == before
        assert before["activity_days"][0] > 3_000 and before["daily_account_intent"][0] > 800
        empty.run("migrate", "--check")
        for one in (home, empty):
            one.run("recompute_intent", "--date", scored_day())
        assert empty.scores() == home.scores()


def test_a_dump_during_a_run_is_one_moment_and_the_restored_one_ends_like_the_other(export, empty):
    with installation(SERVER, **QUICK) as home:
        home.run("import_activity", export)
        run = home.start("recompute_intent", "--date", scored_day(), "--backfill", "10")
        while not home.query("SELECT 1 FROM job_runs WHERE done_items > 0"):
            assert run.poll() is None
        with frozen(run):  # or it may be over when the dump has begun
            dump = home.client(*DUMP)
        assert ended(run)[0] == 0
        restore(empty, dump)

        assert empty.query("SELECT state FROM job_runs") == [("running",)]
        code, said = ended(empty.start("recompute_intent", "--date", scored_day(), "--backfill", "10"))
        while code:  # until the lease of the run that was dumped is over
            assert "under way" in said, said
            code, said = ended(empty.start("recompute_intent", "--date", scored_day(), "--backfill", "10"))
        assert empty.scores() == home.scores()


def test_seeding_a_restored_database_changes_nothing(empty):
    with installation(SERVER, **QUICK) as home:
        dump = home.client(*DUMP)
    restore(empty, dump)
    before = hashes(empty)
    for _ in range(2):
        empty.run("seed_registry")

    assert hashes(empty) == before
