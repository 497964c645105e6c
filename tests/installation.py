"""An installation of its own for the tests that kill it: a MariaDB database with a name nobody else has, `manage.py` as
real processes, and every stored value but those that differ from run to run."""

import ctypes
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import IO, Any, ClassVar

import MySQLdb
import orjson

from accounts.models import ProspectCompany
from ingestion.models import ActivityDay, ActivityPull
from scoring.models import DailyAccountIntent

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("PATH", "HOME", "TMPDIR", "LANG")
OF_ONE_RUN = {"id", "created_at", "updated_at", "score_updated_at", "prospect_company_id", "job_run_id"}
die_with_me = ctypes.CDLL(None).prctl


class Installation:
    new: ClassVar[bytes] = b""  # a dump of one that was just made

    def __init__(self, server: dict[str, Any], **environment: str) -> None:
        """`server`: host, port, user and password."""
        self.server, self.name = server, f"orbit_{secrets.token_hex(6)}"
        self.started: list[subprocess.Popen[str]] = []
        host = "{user}:{password}@{host}:{port}".format(**server)
        self.environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "DATABASE_URL": f"mysql://{host}/{self.name}",
            "ENV_FILE": os.devnull,
            "JOB_LEASE_SECONDS": "1",
            **environment,
        }

    def create(self) -> None:
        """Migrated and seeded: the first of this process by its own commands, the others by a dump of that one, which
        takes a tenth of the time."""
        with closing(MySQLdb.connect(**self.server)) as connection:
            connection.cursor().execute(f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4")
        if Installation.new:
            self.client("mariadb", standard_input=Installation.new)
        else:
            self.run("migrate", "--verbosity=0")
            self.run("seed_registry")
            Installation.new = self.client("mariadb-dump", "--single-transaction", "--hex-blob", "--skip-tz-utc")

    def client(self, program: str, *options: str, standard_input: bytes = b"") -> bytes:
        """What a client program of the server says, its password in the environment."""
        address = ["-h", self.server["host"], "-P", str(self.server["port"]), "-u", self.server["user"]]
        environment = {**os.environ, "MYSQL_PWD": self.server["password"]}
        command = [program, *address, *options, self.name]
        return subprocess.run(command, env=environment, input=standard_input, stdout=subprocess.PIPE, check=True).stdout

    def drop(self) -> None:
        self.kill_all()
        with closing(MySQLdb.connect(**self.server)) as connection:
            for id, name in _rows(connection, "SELECT id, db FROM information_schema.processlist"):
                if name == self.name:
                    with suppress(MySQLdb.OperationalError):  # it has gone by itself since
                        connection.cursor().execute(f"KILL {id}")
            connection.cursor().execute(f"DROP DATABASE {self.name}")

    def start(self, *command: object, log: IO[bytes] | None = None, **environment: str) -> subprocess.Popen[str]:
        """Into the log, if there is one: a pipe that nobody reads stops who writes for long."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *map(str, command)],
            cwd=ROOT,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=log or subprocess.PIPE,
            stderr=log or subprocess.PIPE,
            text=True,
            preexec_fn=lambda: die_with_me(1, signal.SIGKILL),
        )
        self.started.append(process)
        return process

    def kill_all(self) -> None:
        """A test that fails in between leaves processes running; their open pipes would fail another one later."""
        for process in self.started:
            with process:  # closes its pipes and waits for it
                process.kill()

    def run(self, *command: object) -> str:
        code, said = ended(self.start(*command))
        assert code == 0, said
        return said

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(MySQLdb.connect(**self.server, database=self.name, charset="utf8mb4")) as connection:
            return _rows(connection, sql)

    def empty(self, *tables: str) -> None:
        with closing(MySQLdb.connect(**self.server, database=self.name)) as connection:
            for table in tables:
                connection.cursor().execute(f"DELETE FROM {table}")
            connection.commit()

    def facts(self, *without: str) -> dict[str, list[tuple[Any, ...]]]:
        days, pulls = columns(ActivityDay), columns(ActivityPull, *without)
        return {
            "days": self.query(f"SELECT {days} FROM activity_days t ORDER BY account_key, date"),
            "pulls": self.query(f"SELECT {pulls} FROM activity_pulls t ORDER BY date"),
        }

    def scores(self, *without: str) -> dict[str, list[tuple[Any, ...]]]:
        snapshots, companies = columns(DailyAccountIntent, *without), columns(ProspectCompany)
        joined = "daily_account_intent t JOIN prospect_companies c ON c.id = t.prospect_company_id"
        return {
            "snapshots": self.query(f"SELECT c.domain, {snapshots} FROM {joined} ORDER BY c.domain, t.date"),
            "companies": self.query(f"SELECT {companies} FROM prospect_companies t ORDER BY domain"),
        }


def _rows(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(sql)
    return list(cursor.fetchall())


def columns(model: Any, *without: str) -> str:
    left_out = OF_ONE_RUN | set(without)
    return ", ".join(f"t.{f.column}" for f in model._meta.concrete_fields if f.column not in left_out)


def ended(process: subprocess.Popen[str], timeout: float = 300) -> tuple[int, str]:
    """Its exit code and everything it said."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out + err


@contextmanager
def frozen(daemon: subprocess.Popen[Any]) -> Iterator[None]:
    """Stopped, with all its threads: the signal is sent before they are, and one of them may answer meanwhile."""
    daemon.send_signal(signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 30
        while any(state not in "TZX" for state in _states_of_threads(daemon.pid)):  # or it has ended
            assert time.monotonic() < deadline, f"{daemon.args} does not stop"
            time.sleep(0.001)
        yield
    finally:
        daemon.send_signal(signal.SIGCONT)


def _states_of_threads(pid: int) -> Iterator[str]:
    with suppress(FileNotFoundError):  # the process is gone
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                yield (thread / "stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def installation(server: dict[str, Any], **environment: str) -> Iterator[Installation]:
    made = Installation(server, **environment)
    try:
        made.create()
        yield made
    finally:
        made.drop()


def write_events(path: Path, last_day: date, days: int, accounts: int, seed: int, per_day: int = 1) -> Path:
    """Page views, clicks and forms of accounts that come and go; the same for the same numbers."""
    chance = random.Random(seed)
    pages = ["/pricing", "/security", "/integrations", "/blog/a", "/blog/b", "/services/Event Space", "/odd"]
    with path.open("wb") as file:
        for number in range(accounts):
            for age in range(days):
                if chance.random() < 0.6:
                    continue
                for _ in range(chance.randint(per_day, 2 * per_day)):
                    file.write(_line(f"c{number:05}.example", last_day - timedelta(days=age), pages, chance))
    return path


def _line(account: str, day: date, pages: list[str], chance: random.Random) -> bytes:
    event = chance.choice(["page_view"] * 5 + ["cta_click", "form_started", "form_submitted"])
    properties = {
        "$pathname": chance.choice(pages),
        "$groups": {"company": account},
        "lane": chance.choice(["", "office", "event_space", "sälé"]),
        "cta_id": "request_reservation" if event == "cta_click" else "",
    }
    return orjson.dumps(
        {
            "event": event,
            "distinct_id": "x",
            "timestamp": f"{day}T{chance.randrange(24):02}:10:00Z",
            "person_id": f"018f3c5e-1111-7222-8333-{chance.randrange(9):012}",
            "properties": properties,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
