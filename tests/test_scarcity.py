"""A machine that runs out: the disk of the database is full, or a process gets no more memory (reliability 42).

Whatever was published stays, a run says why it failed, the door asks to come again, and with room again all is well by
itself.
"""

import os
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from tests.installation import Installation, ended, installation, write_events
from tests.test_hook_faults import (
    SIGN_IN,
    Web,
    a_lead,
    assert_503,
    wait_until,
)
from tests.test_kills import Server, dev, repeated  # noqa: F401 - dev is a fixture
from tests.test_night_processes import DONE, QUICK, Crew, count, scored_day

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="starts a MariaDB of its own"),
]
MEGABYTES = 160  # what an empty installation and its facts take, and some more
LONG = "m" * 9_000


# --- The disk ---------------------------------------------------------------------------------------------------------
class Disk:
    """A small file system that only those see who are let in. It goes with the process that holds it."""

    def __init__(self, dev, directory: Path) -> None:  # noqa: F811
        self.directory = directory
        directory.mkdir()
        users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        mount = f'mount -t tmpfs -o size={MEGABYTES}m none "$0" && touch "$0.mounted" && exec sleep infinity'
        self.holder = dev.launch(directory.parent, ["unshare", *users, "--mount", "sh", "-c", mount, str(directory)])
        mounted = directory.with_name(directory.name + ".mounted")
        wait_until(lambda: mounted.exists() or self.holder.poll() is not None)
        if self.holder.poll() is not None:
            pytest.skip(f"This kernel mounts nothing for us: {(directory.parent / 'unshare.log').read_text()}")
        as_owner = ["--user", "--preserve-credentials"] if users else []
        self.enter = ["nsenter", f"--target={self.holder.pid}", *as_owner, "--mount"]

    @property
    def filler(self) -> Path:
        return Path(f"/proc/{self.holder.pid}/root{self.directory}/filler")

    def fill(self) -> None:
        with self.filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65_536))

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def disk(dev):  # noqa: F811
    directory = dev.new_directory()
    made = Disk(dev, directory / "data")
    yield made
    made.holder.kill()
    made.holder.wait()
    dev.shutil.rmtree(directory)


@pytest.fixture(scope="module")
def server(dev, disk):  # noqa: F811
    """All that it writes is on that disk."""
    directory = disk.directory.parent
    made = Server(dev, directory, disk.enter, ["--innodb-log-file-size=8M", f"--tmpdir={disk.directory}"])
    yield made
    made.kill()


@pytest.fixture(scope="module")
def home(server, tmp_path_factory):
    """With facts of forty days, and the scores of a month that ends a day before the one that is due."""
    address = {"host": "127.0.0.1", "port": server.port, "user": "kills", "password": "kills"}
    made = Installation(address, **QUICK, SCHEDULER_SEEN_FILE=str(tmp_path_factory.mktemp("seen") / "seen"))
    made.create()
    made.run("import_activity", write_events(tmp_path_factory.mktemp("events") / "e", scored_day(), 40, 300, seed=4))
    made.run("recompute_intent", "--date", scored_day() - timedelta(days=1), "--backfill", 10)
    made.run("create_user", "alice", "--role", "internal_admin")
    return made


@contextmanager
def full(disk, server):
    """A database that gave up over it is started again when there is room, as by any supervisor."""
    disk.fill()
    try:
        yield
    finally:
        disk.free()
        if server.daemon.poll() is not None:
            server.start()


def test_reliability_42_a_run_by_hand_on_a_full_disk_says_why_and_leaves_what_was_there(home, disk, server):
    before, facts = home.scores()["snapshots"], home.facts()
    earlier = scored_day() - timedelta(days=11)

    with full(disk, server):
        code, said = ended(home.start("recompute_intent", "--date", earlier, "--backfill", 15))

    assert code == 1
    assert "CommandError: The database stopped the run (1114 The table" in said, said
    ((state, message),) = home.query("SELECT state, message FROM job_runs ORDER BY id DESC LIMIT 1")
    assert state == "failed"
    assert message in said
    assert set(before) <= set(home.scores()["snapshots"])
    assert home.facts() == facts
    home.run("recompute_intent", "--date", earlier, "--backfill", 15)
    assert set(before) < set(home.scores()["snapshots"])


def test_reliability_42_a_night_on_a_full_disk_is_made_by_itself_when_there_is_room(home, disk, server, tmp_path):
    before = home.scores()["snapshots"]
    crew = Crew(home, tmp_path)
    try:
        with full(disk, server):
            crew.hire("scheduler", "abm_scheduler")
            crew.wait_until(lambda: "OperationalError" in crew.said() or "database is away" in crew.said())
        crew.wait_until(lambda: count(home, DONE))
    finally:
        crew.dismiss()

    after = home.scores()["snapshots"]
    assert [row for row in after if str(scored_day()) not in map(str, row)] == before
    assert len(after) > len(before)
    home.run("recompute_intent", "--date", scored_day(), "--restate", "--no-input")
    assert home.scores()["snapshots"] == after


def test_reliability_42_on_a_full_disk_the_door_asks_to_come_again_and_nothing_answered_is_lost(
    dev,  # noqa: F811
    home,
    disk,
    server,
    tmp_path,
):
    cookie = home.run("shell", "--no-imports", "-c", SIGN_IN).split()[-1]
    web = Web(dev, home, tmp_path, LEAD_RATE_PER_ADDRESS="100000/min", LEAD_RATE_IN_ALL="100000/min")
    try:
        taken, refused = [], []
        with full(disk, server):
            while len(refused) < 5:
                number = len(taken) + len(refused)
                lead = a_lead(number, message=f"{LONG}{number}")
                answer = web.post(lead)
                if answer.status == 201:
                    taken.append(answer.said["id"])
                else:
                    refused.append((lead, answer))
            page = web.get("/", Cookie=cookie)
        assert assert_503([answer for _, answer in refused]) <= 6
        assert page.status in (200, 503)

        wait_until(lambda: web.get("/", Cookie=cookie).status == 200, said=web.said)
        for lead, _ in refused:
            wait_until(lambda lead=lead: web.post(lead).status == 201, said=web.said)
        stored = [str(row[0]) for row in home.query("SELECT id FROM lead_requests")]
        assert set(taken) < set(stored)
        assert len(stored) == len(taken) + len(refused)
        assert "Traceback" not in web.said()
    finally:
        web.kill()


# --- Memory -----------------------------------------------------------------------------------------------------------
# After its start, so that it is the work that finds no memory and not an import. What a library in C makes of it may
# also be the end of the process: that is a kill like any other, and the lease ends it.
WITH_LITTLE = """
import resource
from pathlib import Path
from django.core.management import call_command
has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (has + {room}, has + {room}))
call_command(*{command})
"""
ROOMS = [megabytes << 20 for megabytes in (1, 2, 3, 4, 6, 8, 10, 12, 14, 16)]
NO_MEMORY = "not enough memory"


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    """Facts that need more memory than there will be, and scores of the day before the one that is asked for."""
    address = {"host": DATABASE["HOST"], "port": int(DATABASE["PORT"] or 3306)}
    events = tmp_path_factory.mktemp("events") / "e"
    with installation({**address, "user": DATABASE["USER"], "password": DATABASE["PASSWORD"]}) as made:
        made.run("import_activity", write_events(events, scored_day(), days=40, accounts=1_000, seed=5))
        made.run("recompute_intent", "--date", scored_day() - timedelta(days=1))
        yield made, events


def with_little(home, room, *command):
    """Its exit code, negative where a signal ended it, and what it said."""
    words = [str(word) for word in command]
    return ended(home.start("shell", "--no-imports", "-c", WITH_LITTLE.format(room=room, command=words)))


def test_reliability_42_a_recompute_without_memory_says_so_and_the_next_one_heals(roomy):
    home, _ = roomy
    before, command = home.scores(), ("recompute_intent", "--date", scored_day())
    said = []
    for room in ROOMS:
        code, words = with_little(home, room, *command)
        assert code != 0 or room == ROOMS[-1], f"{room} bytes are enough: {words}"
        said.append(words)
        rows = home.scores()["snapshots"]
        assert [row for row in rows if str(scored_day()) not in map(str, row)] == before["snapshots"]

    reasons = [message for (message,) in home.query("SELECT message FROM job_runs WHERE state = 'failed'")]
    assert sum(NO_MEMORY in words for words in said) >= 3, said
    assert sum(NO_MEMORY in reason for reason in reasons) >= 3, reasons
    repeated(home, *command)
    assert count(home, "SELECT COUNT(*) FROM job_runs WHERE state IN ('running', 'queued')") == 0
    whole = home.scores()
    assert len(whole["snapshots"]) == 2 * len(before["snapshots"])
    home.run(*command, "--restate", "--no-input")
    assert home.scores() == whole


def test_reliability_42_an_import_without_memory_says_so_and_writes_nothing(roomy):
    home, events = roomy
    facts, said = home.facts(), []
    home.empty("activity_days", "activity_pulls")
    for room in ROOMS:
        code, words = with_little(home, room, "import_activity", events)
        assert code != 0, words
        said.append(words)
        assert home.facts() == {"days": [], "pulls": []}

    assert sum(NO_MEMORY in words for words in said) >= 3, said
    home.run("import_activity", events)
    assert home.facts() == facts
