"""Thousands of leads from sixteen clients while everything behind the door is killed and frozen at random: what was
answered 2xx is a row, no lead is two rows, and each company and contact is there once (reliability P1, P2, P6).

The moments come from a seed that a failing run prints; PYTEST_HOOK_SEED=N repeats them, PYTEST_HOOK_LEADS=N changes how
many leads there are.
"""

import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from tests.installation import frozen
from tests.test_hook_faults import (
    Web,
    a_lead,
    home,  # noqa: F401 - fixtures
    installed,  # noqa: F401
    post,
    pytestmark,  # noqa: F401 - soak, with a MariaDB of its own
    redis,  # noqa: F401
    wait_until,
)
from tests.test_kills import dev, server  # noqa: F401

log = logging.getLogger(__name__)
LEADS = int(os.environ.get("PYTEST_HOOK_LEADS", "5000"))
SEED = int(os.environ.get("PYTEST_HOOK_SEED", time.time_ns() % 1_000_000))
CLIENTS = 16
SECONDS = 600  # for all leads to get in, on the slowest of machines
COMPANIES = LEADS // 5
FAULTS = ("worker", "worker", "worker", "web", "redis killed", "redis frozen", "database killed", "database frozen")


def lead_number(number: int) -> dict[str, Any]:
    """Five of a company, by four people."""
    company = number % COMPANIES
    site, email = f"https://www.s{company}.example/", f"p{number // COMPANIES % 4}@s{company}.example"
    return a_lead(number, organization_website=site, work_email=email, tracking={"posthog_distinct_id": email})


# --- Clients ----------------------------------------------------------------------------------------------------------
def send_until_taken(port: int, number: int, deadline: float) -> tuple[str | None, Counter[str]]:
    """The id that the lead was answered with, and what was said until then."""
    met: Counter[str] = Counter()
    lead, wait = lead_number(number), 0.02
    headers = {"Idempotency_Key": f"lead-{number}"} if number % 2 else {}
    while time.monotonic() < deadline:
        try:
            answer = post(port, lead, **headers)
        except (OSError, HTTPException) as error:
            met[type(error).__name__] += 1
        else:
            met[str(answer.status)] += 1
            if answer.status == 201:
                return answer.said["id"], met
        time.sleep(wait)  # as a polite client backs off
        wait = min(2 * wait, 0.5)
    return None, met


# --- Faults -----------------------------------------------------------------------------------------------------------
class Trouble:
    """Does harm at random moments and sees to it that what ended is started again, as any supervisor does. By the main
    thread: a daemon dies with the thread that started it."""

    def __init__(self, web: Web, redis: Any, server: Any) -> None:  # noqa: F811
        self.web, self.redis, self.server = web, redis, server
        self.chance, self.done = random.Random(SEED), Counter[str]()

    def make(self, until: Callable[[], bool]) -> None:
        faults: list[str] = []
        while not until():
            faults = faults or list(FAULTS)
            fault = faults.pop(self.chance.randrange(len(faults)))
            self.do(fault)
            self.done[fault] += 1
            time.sleep(self.chance.uniform(0.5, 3))

    def do(self, fault: str) -> None:
        match fault.split():
            case ["worker"]:
                with suppress(ProcessLookupError, IndexError):
                    os.kill(self.chance.choice(self.web.workers()), signal.SIGKILL)
            case ["web"]:
                self.web.kill()
                self.web.start()
            case [name, "killed"]:
                daemon = self.redis if name == "redis" else self.server
                daemon.kill()
                time.sleep(self.chance.uniform(0, 1))
                daemon.start()
            case [name, "frozen"]:
                daemon = self.redis if name == "redis" else self.server
                with frozen(daemon.daemon):
                    time.sleep(self.chance.choice([0.2, 1, 4]))


@pytest.fixture
def web(dev, home, tmp_path: Path):  # noqa: F811
    made = Web(dev, home, tmp_path)
    yield made
    made.kill()


def test_every_lead_that_was_answered_is_one_row_though_everything_is_killed_at_random(web, home, redis, server):  # noqa: F811
    start = time.monotonic()
    trouble = Trouble(web, redis, server)
    with ThreadPoolExecutor(CLIENTS) as pool:
        sending = [pool.submit(send_until_taken, web.port, number, start + SECONDS) for number in range(LEADS)]
        trouble.make(until=lambda: all(future.done() for future in sending))
    sent = [future.result() for future in sending]
    took = time.monotonic() - start
    answered = dict(enumerate(id for id, _ in sent))
    met = sum((said for _, said in sent), Counter[str]())
    log.warning("PYTEST_HOOK_SEED=%d: %d leads in %.1f s; %s; %s", SEED, LEADS, took, dict(met), dict(trouble.done))

    wait_until(lambda: home.query("SELECT 1"), again=MySQLdb.Error, said=web.said)
    rows = dict(home.query("SELECT CAST(id AS CHAR), message FROM lead_requests"))
    assert [number for number, id in answered.items() if id is None] == [], f"not taken in {SECONDS} s: {met}"
    lost = [number for number, id in answered.items() if rows.get(id) != f"Request {number}."]
    assert lost == [], f"PYTEST_HOOK_SEED={SEED}"
    assert len(rows) == len(set(rows.values())) == LEADS, f"PYTEST_HOOK_SEED={SEED}: a lead is there twice"
    assert set(met) <= {"201", "409", "503", *ways_a_connection_ends()}, met
    once = "SELECT COUNT(*), COUNT(DISTINCT domain) FROM prospect_companies"
    assert home.query(once) == [(COMPANIES, COMPANIES)]
    once = "SELECT COUNT(*), COUNT(DISTINCT prospect_company_id, email) FROM contacts"
    assert home.query(once) == [(4 * COMPANIES, 4 * COMPANIES)]
    loose = "SELECT COUNT(*) FROM lead_requests WHERE prospect_company_id IS NULL OR contact_id IS NULL"
    assert home.query(loose) == [(0,)]
    assert home.query("SELECT COUNT(*) FROM intent_signals") == [(LEADS,)]
    assert sum(trouble.done.values()) >= LEADS // 500, trouble.done


def ways_a_connection_ends() -> set[str]:
    return {"ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected", "BrokenPipeError", "BadStatusLine",
            "IncompleteRead", "TimeoutError"}  # fmt: skip
