"""Nights by real processes, with everything taken from them that can be: workers and schedulers killed, Redis killed,
flushed and frozen, the database frozen, three days of silence, jobs that nobody can read (reliability 36-39, P6).

Each ends the same way: one row for the night, done, with the values of a night that nobody disturbed, and no operator
did anything. What ends by itself is started again, as any supervisor does.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from django.conf import settings
from redis import Redis
from rq.job import Job

from scoring.jobs import due_slot
from scoring.scheduler import NightScheduler, next_night
from tests.installation import Installation, ended, frozen, installation, write_events
from tests.test_kills import dev, server  # noqa: F401 - fixtures

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="kills processes that use a MariaDB server"),
]
QUICK = {
    "JOB_LEASE_SECONDS": "2",
    "SCHEDULER_TICK_SECONDS": "0.2",
    "SCHEDULER_BACKOFF_SECONDS": "1",
    "RECONCILE_SECONDS": "1",
    "PYTHONUNBUFFERED": "1",
}
UNKILLED = {"JOB_LEASE_SECONDS": "60"}  # nobody is taken for dead
KOLKATA, NEW_YORK = {"TZ": "Asia/Kolkata"}, {"TZ": "America/New_York"}
OF_ONE_INSTALLATION = ("score_config_id", "registry_revision_id")
LEFT_BEHIND = ("daily_account_intent", "prospect_companies", "job_runs")
NIGHT = "SELECT slot, state, attempt FROM job_runs WHERE kind = 'night'"
UNDER_WAY = "SELECT COUNT(*) FROM job_runs WHERE state = 'running' AND done_items > 0"
SCHEDULE = "rq:scheduler:scheduled_jobs"
OLD_NIGHT = """
from datetime import date
from django.utils import timezone
from scoring.models import JobRun
JobRun.objects.night(date.fromisoformat("{slot}"), timezone.now())
"""
MANUAL_CALL = """
from django.contrib.auth.models import User
from django.test import Client
from abm_project.access import give_role
ann, _ = User.objects.get_or_create(username="ann")
give_role(ann, "internal_admin")
client = Client(headers={{"host": "localhost"}})
client.force_login(ann)
body = {{"date": "{day}", "backfill": 3}}
answer = client.post("/api/abm/jobs/recompute-intent", body, content_type="application/json")
assert answer.status_code == 202, answer.content
"""
DONE = "SELECT COUNT(*) FROM job_runs WHERE kind = 'night' AND state = 'done'"


class OwnRedis:
    """One that keeps nothing: killed, it comes back empty."""

    def __init__(self, daemons: ModuleType, directory: Path) -> None:
        self.daemons, self.directory = daemons, directory
        (self.port,) = daemons.free_ports(1)
        password = secrets.token_hex(8)
        self.url = f"redis://:{password}@127.0.0.1:{self.port}/0"
        (directory / "redis.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\nrequirepass {password}\nsave ''\nappendonly no\ndir {directory}\n"
        )
        self.start()

    def start(self) -> None:
        self.daemon = self.daemons.launch(self.directory, ["redis-server", "redis.conf"])
        self.daemons.wait_for(self.daemon, self.directory, self.port, b"PING\r\n", b"-NOAUTH")
        self.client = Redis.from_url(self.url)

    def kill(self) -> None:
        self.daemon.kill()
        self.daemon.wait()


class Crew:
    """The processes of an installation, and their supervisor."""

    def __init__(self, home: Installation, directory: Path) -> None:
        self.home, self.directory = home, directory
        self.posts: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.started: list[str] = []

    def hire(self, name: str, *command: str, **environment: str) -> None:
        self.posts[name] = (command, environment)
        self.start(name)

    def start(self, name: str) -> None:
        command, environment = self.posts[name]
        self.started.append(name)
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = self.home.start(*command, log=log, **environment)

    def schedulers(self, *zones: dict[str, str]) -> None:
        for number, zone in enumerate(zones):
            self.hire(f"scheduler-{number}", "abm_scheduler", **zone)

    def workers(self, *zones: dict[str, str]) -> None:
        for number, zone in enumerate(zones):
            self.hire(f"worker-{number}", "rqworker", "default", **zone)

    def keep(self) -> None:
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def wait_until(self, condition, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.said()
            self.keep()
            time.sleep(0.05)

    def said(self) -> str:
        logs = sorted(self.directory.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def horses(self) -> list[int]:
        return [pid for process in self.processes.values() for pid in children(process.pid)]

    def dismiss(self) -> None:
        """Everybody at once: a worker that went on for a moment would leave a horse that nobody knows of."""
        with ExitStack() as stack:
            for process in self.processes.values():
                stack.enter_context(frozen(process))
            for horse in self.horses():
                kill(horse)
            for process in self.processes.values():
                process.kill()
        for process in self.processes.values():
            process.wait()


def children(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, signal.SIGKILL)


def scored_day() -> date:
    """What the due night scores, before 02:00 UTC as well as after."""
    return due_slot(datetime.now(UTC)) - timedelta(days=1)


def let_the_clock_pass(minutes: float = 6) -> None:
    """Past midnight and the hour of the night (UTC), if one of them would come while a file's tests last: what is due
    would change under them."""
    now = datetime.now(UTC)
    for turn in (next_night(now), next_night(now) - timedelta(hours=2), next_night(now) + timedelta(hours=22)):
        if now < turn < now + timedelta(minutes=minutes):
            time.sleep((turn - now).total_seconds() + 1)


def count(home: Installation, sql: str) -> int:
    return home.query(sql)[0][0]


def readyz(port: int) -> tuple[int, set[str]] | None:
    """Its status and what is not well; None while nobody listens."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            status, said = answer.status, json.load(answer)
    except HTTPError as red:
        status, said = red.code, json.load(red)
    except URLError:
        return None
    return status, {name for name, check in said["checks"].items() if not check["ok"]}


# --- The stage --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def redis(dev):  # noqa: F811
    directory = dev.new_directory()
    made = OwnRedis(dev, directory)
    yield made
    made.kill()
    dev.shutil.rmtree(directory)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    let_the_clock_pass()
    path = tmp_path_factory.mktemp("nights") / "export.jsonl"
    return write_events(path, scored_day(), days=35, accounts=150, seed=3)


@pytest.fixture(scope="module")
def scored(redis, export):
    """An installation with facts, and the values of a night that nobody disturbed."""
    address = {"host": DATABASE["HOST"], "port": int(DATABASE["PORT"] or 3306)}
    quick = QUICK | {"REDIS_URL": redis.url}
    with installation({**address, "user": DATABASE["USER"], "password": DATABASE["PASSWORD"]}, **quick) as home:
        home.run("import_activity", export)
        home.run("recompute_intent", "--date", scored_day(), "--backfill", "30")
        values = home.scores()
        assert len(values["snapshots"]) > 1_000
        yield home, values, home.scores(*OF_ONE_INSTALLATION)


@pytest.fixture
def home(scored, redis):
    made = scored[0]
    made.empty(*LEFT_BEHIND)
    redis.client.flushall()
    return made


@pytest.fixture
def crew(home, tmp_path):
    made = Crew(home, tmp_path)
    yield made
    made.dismiss()


@pytest.fixture
def night_is_whole(home, scored, crew):
    def check(attempts):
        crew.wait_until(lambda: count(home, DONE))
        ((slot, state, attempt),) = home.query(NIGHT)
        assert (slot, state) == (due_slot(datetime.now(UTC)), "done")
        assert attempt in attempts, crew.said()
        assert home.scores() == scored[1]
        assert count(home, "SELECT COUNT(*) FROM job_runs WHERE state IN ('running', 'queued')") == 0

    return check


def is_due(redis, entry: str) -> float:
    """When; 0 while it is not there, as for the moment in which rq-scheduler puts it anew."""
    return redis.client.zscore(SCHEDULE, entry) or 0


# --- Undisturbed ------------------------------------------------------------------------------------------------------
def test_two_schedulers_and_two_workers_far_from_utc_make_one_night_once(home, crew, redis, night_is_whole):
    crew.schedulers(KOLKATA | UNKILLED, NEW_YORK | UNKILLED)
    crew.workers(NEW_YORK | UNKILLED, KOLKATA | UNKILLED)

    night_is_whole(attempts={1})

    crew.wait_until(lambda: is_due(redis, "abm-nightly-rollup"))
    due = datetime.fromtimestamp(is_due(redis, "abm-nightly-rollup"), UTC)
    assert (due.hour, due.minute, due > datetime.now(UTC)) == (2, 0, True)
    crew.wait_until(lambda: is_due(redis, "abm-reconcile"))
    seen = time.time()
    crew.wait_until(lambda: is_due(redis, "abm-reconcile") >= seen + 2)
    assert [row[1:] for row in home.query(NIGHT)] == [("done", 1)]  # further reconciliations find nothing to do
    for process in crew.processes.values():
        process.terminate()
    assert [process.wait(timeout=60) for process in crew.processes.values()] == [0, 0, 0, 0]


def test_spec_step_8_the_manual_call_is_enqueued_and_runs_on_a_real_worker(home, crew):
    crew.workers(KOLKATA)

    # Nobody renews its wake-up, which is kept for twice this.
    call = home.start("shell", "--no-imports", "-c", MANUAL_CALL.format(day=scored_day()), RECONCILE_SECONDS="600")
    assert ended(call)[0] == 0

    row = "SELECT state, asked_by, attempt, message FROM job_runs"
    crew.wait_until(lambda: home.query(row) == [("done", "ann", 1, "")])
    assert count(home, "SELECT COUNT(DISTINCT date) FROM daily_account_intent") == 3


def test_without_redis_the_scheduler_does_the_night_itself_and_again_after_it_was_killed(
    home, crew, night_is_whole, tmp_path
):
    crew.hire("scheduler", "abm_scheduler", REDIS_URL="", SCHEDULER_SEEN_FILE=str(tmp_path / "seen"), **KOLKATA)
    crew.wait_until(lambda: count(home, UNDER_WAY))

    crew.processes["scheduler"].kill()

    night_is_whole(attempts={2})
    crew.processes["scheduler"].terminate()
    assert crew.processes["scheduler"].wait(timeout=60) == 0


# --- Killed processes -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("whom", "attempts"), [("horse", {2}), ("worker and horse", {2}), ("worker", {1, 2})])
def test_a_night_survives_the_kill_of_who_does_it(home, crew, night_is_whole, whom, attempts):
    crew.schedulers(NEW_YORK, KOLKATA)
    crew.workers(KOLKATA)
    crew.wait_until(lambda: count(home, UNDER_WAY))

    (horse,) = children(crew.processes["worker-0"].pid)
    if "worker" in whom:
        crew.processes["worker-0"].kill()
    if "horse" in whom:
        kill(horse)

    night_is_whole(attempts)


def test_a_night_survives_the_kill_of_everybody_and_of_redis_again_and_again(home, crew, redis, night_is_whole):
    crew.schedulers(KOLKATA, NEW_YORK)
    crew.workers(KOLKATA, NEW_YORK)
    attempts = 0
    for _ in range(2):
        crew.wait_until(lambda: count(home, f"{UNDER_WAY} AND attempt > {attempts}"))  # noqa: B023 - asked at once
        crew.dismiss()
        ((_, _, attempts),) = home.query(NIGHT)
        redis.kill()
        redis.start()

    # Of two workers one may take the other, silent for two seconds on a busy machine, for dead.
    night_is_whole(range(attempts + 1, attempts + 10))


# --- Redis ------------------------------------------------------------------------------------------------------------
def kill_with_data_loss(redis):
    redis.kill()
    time.sleep(2)
    redis.start()


def freeze(redis):
    with frozen(redis.daemon):
        time.sleep(3)


def flush(redis):
    redis.client.flushall()


@pytest.mark.parametrize(
    ("harm", "when"),
    [
        (kill_with_data_loss, "before"),
        (flush, "before"),
        (kill_with_data_loss, "during"),
        (flush, "during"),
        (freeze, "during"),
    ],
)
def test_a_night_survives_redis(home, crew, redis, night_is_whole, harm, when):
    crew.schedulers(KOLKATA)
    crew.workers(NEW_YORK)
    if when == "during":
        crew.wait_until(lambda: count(home, UNDER_WAY))
    else:
        crew.wait_until(lambda: redis.client.exists(SCHEDULE))

    harm(redis)

    night_is_whole(attempts={1, 2, 3})
    crew.wait_until(lambda: redis.client.exists("abm:scheduler:seen"))
    crew.wait_until(lambda: sorted(redis.client.zrange(SCHEDULE, 0, -1)) == [b"abm-nightly-rollup", b"abm-reconcile"])


def test_unreadable_jobs_are_thrown_away_and_stop_nobody(home, crew, redis, night_is_whole):
    corrupt = {"data": b"\x80 no pickle", "created_at": "the other day"}
    for id in ("abm-nightly-rollup", "corrupt", "fetched", "queued"):
        redis.client.hset(f"rq:job:{id}", mapping=corrupt)
    redis.client.set("rq:job:no-hash", "text")
    Job.create("scoring.jobs.removed", id="removed", connection=redis.client, origin="default").save()
    poison = [b"\xff\xfe", "abm-nightly-rollup", "corrupt", "no-hash", "nothing", "removed"]
    redis.client.zadd(SCHEDULE, dict.fromkeys(poison, 0))
    redis.client.rpush("rq:queue:default", "queued")
    redis.client.rpush("rq:queue:default:intermediate", "fetched")

    crew.workers(KOLKATA)
    crew.schedulers(NEW_YORK)

    night_is_whole(attempts={1})
    crew.wait_until(lambda: sorted(redis.client.zrange(SCHEDULE, 0, -1)) == [b"abm-nightly-rollup", b"abm-reconcile"])
    crew.wait_until(lambda: redis.client.zrange("rq:failed:default", 0, -1) == [b"removed"])
    assert crew.started == ["worker-0", "scheduler-0"], crew.said()  # nobody had to be started again


# --- Silence ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("schedule", ["kept", "lost"])
def test_three_days_without_a_scheduler_are_made_up(home, scored, crew, redis, schedule):
    today = due_slot(datetime.now(UTC))
    home.run("recompute_intent", "--date", today - timedelta(days=4), "--backfill", 27)
    home.run("shell", "--no-imports", "-c", OLD_NIGHT.format(slot=today - timedelta(days=3)))
    scheduler = NightScheduler(redis.client, 1)
    if schedule == "kept":
        scheduler.register()
        long_ago = time.time() - 3 * 86_400
        redis.client.zadd(SCHEDULE, {"abm-nightly-rollup": long_ago, "abm-reconcile": long_ago}, xx=True)

    crew.workers(NEW_YORK)
    crew.schedulers(KOLKATA)

    crew.wait_until(lambda: count(home, DONE))
    assert home.scores() == scored[1]
    old, new = home.query(f"{NIGHT} ORDER BY slot")
    assert (old[1], new) == ("failed", (today, "done", 1))
    crew.wait_until(lambda: is_due(redis, "abm-nightly-rollup") == next_night(datetime.now(UTC)).timestamp())


# --- The database -----------------------------------------------------------------------------------------------------
def test_a_night_survives_a_frozen_database_and_readyz_says_so_meanwhile(dev, server, redis, scored, export, tmp_path):  # noqa: F811
    redis.client.flushall()
    home = Installation(
        {"host": "127.0.0.1", "port": server.port, "user": "kills", "password": "kills"},
        **QUICK, REDIS_URL=redis.url,
    )  # fmt: skip
    home.create()
    home.run("import_activity", export)
    crew = Crew(home, tmp_path)
    try:
        crew.schedulers(KOLKATA, NEW_YORK)
        crew.workers(NEW_YORK, KOLKATA)
        crew.wait_until(lambda: count(home, UNDER_WAY))

        (port,) = dev.free_ports(1)
        crew.hire("web", "runserver", "--noreload", str(port))
        crew.wait_until(lambda: readyz(port) == (200, set()))
        took = []
        with frozen(server.daemon):
            while min(took, default=3) >= 3:
                assert len(took) < 3, took
                start = time.monotonic()
                assert readyz(port) == (503, {"database", "night"})
                took.append(time.monotonic() - start)

        crew.wait_until(lambda: count(home, DONE))
        crew.wait_until(lambda: readyz(port) == (200, set()))
        assert home.scores(*OF_ONE_INSTALLATION) == scored[2]
    finally:
        crew.dismiss()
