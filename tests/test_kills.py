"""An import and a recompute of real processes, killed at random moments, and their database killed under them: the
values afterwards are those of a run that nobody disturbed.

The moments come from a seed that a failing test prints; PYTEST_KILL_SEED=N repeats them.
"""

import logging
import os
import random
import subprocess
import time
from collections.abc import Sequence
from datetime import date
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from django.conf import settings

from tests.installation import ROOT, Installation, ended, installation, write_events

log = logging.getLogger(__name__)
DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="kills processes that use a MariaDB server"),
]
DAY = date(2026, 11, 20)
KILLS = 7
SEED = int(os.environ.get("PYTEST_KILL_SEED", time.time_ns() % 1_000_000))
RECOMPUTE = ("recompute_intent", "--date", DAY, "--backfill", 5)
SCORE_TABLES = ("daily_account_intent", "prospect_companies", "job_runs")
FACT_TABLES = ("activity_days", "activity_pulls")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def export(directory):
    return write_events(directory / "export.jsonl", DAY, days=40, accounts=1_500, seed=1)


@pytest.fixture(scope="module")
def home():
    server = {"host": DATABASE["HOST"], "port": int(DATABASE["PORT"] or 3306)}
    with installation({**server, "user": DATABASE["USER"], "password": DATABASE["PASSWORD"]}) as made:
        yield made


def timed(home, *command):
    start = time.monotonic()
    home.run(*command)
    return time.monotonic() - start


def moment(kill, seconds):
    """One in each seventh of an undisturbed run, so that seven of them reach every part of it."""
    return (kill + random.Random(f"{SEED} {kill}").random()) / KILLS * seconds


def kill_at(seconds, home, tables, *command, begun=lambda: True):
    """Start it on empty tables and kill it so long after it has begun; earlier, if the machine was quicker this time
    and it was done by then."""
    for _ in range(20):
        home.empty(*tables)
        process = home.start(*command)
        while not (has_begun := begun()) and process.poll() is None:
            time.sleep(0.02)
        try:
            process.communicate(timeout=seconds if has_begun else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return
        if has_begun:
            seconds *= 0.7
    pytest.fail(f"{command} was never caught on its way.")


def repeated(home, *command):
    """Run it again until it is not turned away by the run that was killed."""
    deadline = time.monotonic() + 60
    while True:
        code, said = ended(home.start(*command))
        if code == 0 or "under way" not in said or time.monotonic() > deadline:
            assert code == 0, said
            return


# --- Processes ---
@pytest.fixture(scope="module")
def imported(home, export):
    """What an undisturbed import leaves, and how long it takes."""
    seconds = timed(home, "import_activity", export)
    return home.facts(), seconds


@pytest.mark.parametrize("kill", range(KILLS))
def test_an_import_that_was_killed_leaves_nothing_or_all_and_repeated_all(home, export, imported, kill):
    whole, seconds = imported
    at = moment(kill, seconds)
    log.warning("PYTEST_KILL_SEED=%d: killed %.3f s into %.3f s", SEED, at, seconds)

    kill_at(at, home, FACT_TABLES, "import_activity", export)

    assert home.facts() in ({"days": [], "pulls": []}, whole)
    home.run("import_activity", "--replace", export)
    assert home.facts() == whole


@pytest.fixture(scope="module")
def scored(home, export, imported):
    """What an undisturbed recompute leaves, and how long it takes."""
    home.run("import_activity", "--replace", export)
    home.run(*RECOMPUTE)
    ((seconds,),) = home.query("SELECT TIMESTAMPDIFF(MICROSECOND, started_at, finished_at) / 1e6 FROM job_runs")
    values = home.scores()
    assert len(values["snapshots"]) > 7_000
    return values, seconds


def another_run(home):
    """Has one begun since?"""
    sql = "SELECT COUNT(*) FROM job_runs"
    before = home.query(sql)[0][0]
    return lambda: home.query(sql)[0][0] > before


@pytest.fixture(scope="module")
def hits():
    """Of each kill, whether it hit a run on its way."""
    return []


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_recompute_that_was_killed_and_repeated_leaves_the_values_of_one_that_was_not(home, scored, hits, kill):
    values, seconds = scored
    at = moment(kill, seconds)
    log.warning("PYTEST_KILL_SEED=%d: killed %.3f s into %.3f s", SEED, at, seconds)

    home.empty(*SCORE_TABLES)
    kill_at(at, home, SCORE_TABLES, *RECOMPUTE, begun=another_run(home))
    hits += home.query("SELECT COUNT(*) FROM job_runs WHERE state = 'running'")[0]
    repeated(home, *RECOMPUTE)

    assert home.scores() == values
    ends = dict(home.query("SELECT state, COUNT(*) FROM job_runs GROUP BY state"))
    assert (ends.get("running", 0), ends["done"] + ends.get("failed", 0) <= 2) == (0, True)


def test_kills_hit_runs_on_their_way(hits):
    assert len(hits) < KILLS or sum(hits) >= 5


def test_a_run_killed_again_and_again_ends_in_the_same_values(home, scored):
    values, seconds = scored
    home.empty(*SCORE_TABLES)
    for kill in (3, 5, 4, 6):
        kill_at(moment(kill, seconds), home, (), *RECOMPUTE, begun=another_run(home))

    repeated(home, *RECOMPUTE)

    assert home.scores() == values


# --- The database ---
@pytest.fixture(scope="module")
def dev():
    spec = spec_from_loader("dev", SourceFileLoader("dev", str(ROOT / "dev")))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server:
    """A MariaDB of its own, with the durability that MariaDB has by default. `through`: a command that runs its
    programs somewhere else, such as where another file system is seen."""

    def __init__(self, dev, directory: Path, through: Sequence[str] = (), options: Sequence[str] = ()) -> None:
        self.dev, self.directory, self.through = dev, directory, through
        as_root = ["--user=root"] if os.geteuid() == 0 or through else []
        self.options = [f"--datadir={directory}/data", *options, *as_root]
        (directory / "init.sql").write_text(
            "CREATE OR REPLACE USER kills@'127.0.0.1' IDENTIFIED BY 'kills';\n"
            "GRANT ALL PRIVILEGES ON *.* TO kills@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        dev.run_quiet(
            [*through, "mariadb-install-db", "--no-defaults", "--force", "--auth-root-authentication-method=normal",
             "--skip-test-db", *self.options]
        )  # fmt: skip
        (self.port,) = dev.free_ports(1)
        self.start()

    def start(self) -> None:
        self.daemon = self.dev.launch(self.directory, [
            *self.through, "mariadbd", "--no-defaults", f"--port={self.port}", f"--socket={self.directory}/s",
            f"--pid-file={self.directory}/pid", f"--tmpdir={self.directory}", f"--init-file={self.directory}/init.sql",
            "--bind-address=127.0.0.1", "--skip-name-resolve", "--character-set-server=utf8mb4", "--skip-log-bin",
            "--performance-schema=off", "--innodb-buffer-pool-size=64M", *self.options,
        ])  # fmt: skip
        self.dev.wait_for(self.daemon, self.directory, self.port, b"", b"\x00\x00\x00\x0a")

    def kill(self) -> None:
        self.daemon.kill()
        self.daemon.wait()


@pytest.fixture(scope="module")
def server(dev):
    directory = dev.new_directory()  # short: the name of a socket holds 107 characters
    made = Server(dev, directory)
    yield made
    made.kill()
    dev.shutil.rmtree(directory)


@pytest.fixture(scope="module")
def fragile(server, directory):
    """An installation on that server, with its facts, and what an undisturbed recompute makes of them."""
    export = write_events(directory / "small.jsonl", DAY, days=40, accounts=1_000, seed=2)
    home = Installation({"host": "127.0.0.1", "port": server.port, "user": "kills", "password": "kills"})
    home.create()
    home.run("import_activity", export)
    home.run(*RECOMPUTE)
    return home, export, home.facts(), home.scores()


def wait_until(home, sql):
    deadline = time.monotonic() + 60
    while not home.query(sql)[0][0]:
        assert time.monotonic() < deadline, sql
        time.sleep(0.15)  # asked more often, innodb_trx repeats itself


def assert_plain(code, said, expected):
    assert code == 1
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if "database" in line]
    assert line.startswith(f"CommandError: The database {expected} (")
    assert "again" in line


@pytest.mark.parametrize("snapshots", [1, 2_500])
def test_a_database_killed_during_a_recompute_gives_one_plain_line_and_the_next_run_heals(server, fragile, snapshots):
    home, _, _, values = fragile
    home.empty(*SCORE_TABLES)
    run = home.start(*RECOMPUTE)
    wait_until(home, f"SELECT COUNT(*) >= {snapshots} FROM daily_account_intent")
    assert run.poll() is None

    server.kill()
    assert_plain(*ended(run), "stopped the run")
    assert_plain(*ended(home.start(*RECOMPUTE)), "stopped the run")  # nobody is there
    server.start()

    assert home.query("SELECT state FROM job_runs") == [("running",)]
    repeated(home, *RECOMPUTE)
    assert home.scores() == values
    assert sorted(home.query("SELECT state, attempt FROM job_runs")) == [("done", 2), ("failed", 1)]


def test_a_database_killed_during_an_import_gives_one_plain_line_and_the_next_import_heals(server, fragile):
    home, export, facts, _ = fragile
    home.empty(*FACT_TABLES)
    run = home.start("import_activity", export)
    wait_until(home, "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 1000")
    assert run.poll() is None

    server.kill()
    assert_plain(*ended(run), "went away")
    assert_plain(*ended(home.start("import_activity", export)), "went away")
    server.start()

    assert home.facts() == {"days": [], "pulls": []}
    home.run("import_activity", export)
    assert home.facts() == facts
