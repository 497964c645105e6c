"""Changing tables while others use them (reliability 41): a statement that cannot get its turn gives up, and stops
nobody for longer than that."""

import threading
from contextlib import closing

import MySQLdb
import pytest
from django.conf import settings

from tests.installation import installation

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="locks of a MariaDB server"),
]
SERVER = {
    "host": DATABASE.get("HOST"),
    "port": int(DATABASE.get("PORT") or 3306),
    "user": DATABASE.get("USER"),
    "password": DATABASE.get("PASSWORD"),
}
CHANGE = """
from django.db import OperationalError, connection
try:
    connection.cursor().execute("ALTER TABLE prospect_companies ADD COLUMN further INT NULL")
except OperationalError as error:
    print("gave up", error.args[0])
"""
INSERT = (
    "INSERT INTO activity_days (account_key, date, cells_json, people_json, last_seen_at, paths_cut)"
    " VALUES (%s, '2026-11-21', '[]', '[]', '2026-11-21 12:00:00', 0)"
)
UPDATE = "UPDATE prospect_companies SET name = 'x'"


@pytest.fixture
def home():
    with installation(SERVER) as made:
        yield made


def connect(home):
    return MySQLdb.connect(**SERVER, database=home.name, charset="utf8mb4", autocommit=True)


def test_a_migration_behind_an_open_transaction_gives_up_in_time_and_stops_nobody(home):
    with closing(connect(home)) as reader, closing(connect(home)) as writer:
        reader.cursor().execute("START TRANSACTION")
        reader.cursor().execute("SELECT COUNT(*) FROM prospect_companies")
        changing = home.start("shell", "--no-imports", "-c", CHANGE)
        waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata%'"
        while home.query(waiting) == [(0,)]:
            assert changing.poll() is None
        writer.cursor().execute(UPDATE)  # behind the statement that waits; returns when that gives up
        said, _ = changing.communicate(timeout=60)

        assert said.strip() == "gave up 1205"
        reader.cursor().execute("COMMIT")
    process = home.start("shell", "--no-imports", "-c", CHANGE)
    assert process.communicate(timeout=60)[0] == ""  # now it is its turn


def test_every_migration_goes_on_beside_writers(home):
    """From the first tables of each app to the present ones, while four threads write."""
    for app in ("abm_project", "ai_summaries", "scoring", "ingestion", "accounts", "registry"):
        home.run("migrate", app, "0001", "--verbosity=0")
    ended, written, failed = threading.Event(), [], []

    def write(number):
        with closing(connect(home)) as connection:
            while not ended.is_set():
                try:
                    connection.cursor().execute(INSERT, [f"w{number}-{len(written)}.example"])
                    written.append(number)
                except MySQLdb.Error as error:
                    failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        home.run("migrate", "--verbosity=0")
    finally:
        ended.set()
        for thread in threads:
            thread.join()

    assert failed == [] and set(written) == {0, 1, 2, 3}
    assert home.query("SELECT COUNT(*) FROM activity_days") == [(len(written),)]
    home.run("migrate", "--check")
