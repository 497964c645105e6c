"""All of Orbit for real on one machine: nginx, gunicorn, two workers, two schedulers, MariaDB, Redis, and a PostHog, an
Anthropic and a mail server of the tests. A lead and a night are walked through it as an operator would see them; then
there is mixed traffic while processes are killed at random, and at the end each promise of docs/reliability.md is
counted:

P1 each lead that was answered 201 is a row; P2 no lead is two rows, and each has one signal; P3 no answer is another
than asked for, refused (4xx) or "come again" (502, 503, 504), though some of what is sent is hostile; P4 a recompute by
hand leaves every published row as it was; P5 the scores of past days are those of before, though nights and recomputes
were killed and PostHog failed under them, and each page said through which day it goes; P6 by itself no run is open,
every probe is green and every lead is tied; P7 nothing that strangers or the model wrote is markup, a formula or a
link, on any page and in any file that was read; P8 no secret stands in any answer or any log.

The moments come from a seed that a failing run prints; PYTEST_SYSTEM_SEED=N repeats them, PYTEST_SYSTEM_SECONDS=N says
how long it goes on (600 before a release), and -rP shows the figures of a run that passed.
"""

import csv
import io
import logging
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPException
from itertools import count as numbers
from itertools import cycle
from threading import Event
from urllib.parse import urlencode

import MySQLdb
import orjson
import pytest
from django.conf import settings

from scoring.models import DailyAccountIntent
from tests.anthropic_standin import Anthropic
from tests.anthropic_standin import faults as model
from tests.installation import ROOT, Installation, columns, die_with_me, ended, installation, write_events
from tests.posthog_standin import PostHog, faults
from tests.receivers import MailServer, serving
from tests.test_hook_faults import URL, Answer, a_lead, call, nginx, post, wait_until
from tests.test_kills import Server, dev, server  # noqa: F401 - fixtures
from tests.test_night_processes import (
    DONE,
    QUICK,
    Crew,
    count,
    kill,
    let_the_clock_pass,
    readyz,
    redis,  # noqa: F401 - a fixture
    scored_day,
)

log = logging.getLogger(__name__)
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in settings.DATABASES["default"]["ENGINE"], reason="starts a MariaDB of its own"),
]
SECONDS = int(os.environ.get("PYTEST_SYSTEM_SECONDS", "30"))
SEED = int(os.environ.get("PYTEST_SYSTEM_SEED", time.time_ns() % 1_000_000))
CLIENTS = 3
PLANTED = {
    name: f"planted-{secrets.token_hex(12)}"
    for name in ("database", "SECRET_KEY", "ERASURE_KEY", "METRICS_TOKEN", "LEAD_SECRETS", "anthropic")
}
SIGNED = {"X_Lead_Request_Secret": PLANTED["LEAD_SECRETS"]}
OPERATOR = """
from django.contrib.auth.models import User
from abm_project.models import AlertSubscription
from tests.factories import make_token
alice = User.objects.get()
alice.email = "alice@orbit.example"
alice.save()
AlertSubscription.objects.create(user=alice)
print("token:", make_token(alice, "internal_admin"))
"""
OPEN = "SELECT COUNT(*) FROM job_runs WHERE state IN ('queued', 'running')"
PUBLISHED = "SELECT COUNT(*) FROM daily_account_intent WHERE is_provisional = 0"
LOOSE = (
    "SELECT COUNT(*) FROM lead_requests"
    " WHERE account_key IS NOT NULL AND (prospect_company_id IS NULL OR contact_id IS NULL)"
)


# --- The stage --------------------------------------------------------------------------------------------------------
@dataclass
class System:
    home: Installation
    crew: Crew
    mail: MailServer
    posthog: PostHog
    anthropic: Anthropic
    port: int  # of the proxy
    password: str
    token: str
    redis_url: str

    def secrets(self) -> set[str]:
        of_redis = self.redis_url.split(":")[2].split("@")[0]
        return {*PLANTED.values(), self.password, self.token, self.posthog.api_key, of_redis}

    def signed_in(self) -> dict[str, str]:
        """The cookies of a browser that went through the login form."""
        page = self.get("/login")
        token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.raw)[1].decode()
        form = urlencode({"username": "alice", "password": self.password, "csrfmiddlewaretoken": token})
        typed = {"Content-Type": "application/x-www-form-urlencoded", **cookies(page)}
        answer = call(self.port, "POST", "/login", form, typed)
        assert answer.status == 302, answer.raw
        return cookies(answer)

    def get(self, path: str, **headers: str) -> Answer:
        return call(self.port, "GET", path, None, headers)

    def read(self, path: str, headers: dict[str, str]) -> str:
        answer = self.get(path, **headers)
        assert answer.status == 200, answer.raw
        return answer.raw.decode()


def last_day() -> date:
    """The last day that is over. Before 02:00 UTC it is one more than the night that is due scores."""
    return datetime.now(UTC).date() - timedelta(days=1)


def cookies(answer: Answer) -> dict[str, str]:
    return {"Cookie": "; ".join(said.split(";")[0] for said in answer.headers.get_all("Set-Cookie") or ())}


@pytest.fixture(scope="module")
def posthog(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "events.jsonl"
    let_the_clock_pass()
    events = write_events(path, last_day(), days=60, accounts=60, seed=9, per_day=4)
    with PostHog(timezone="US/Pacific", per_minute=None, per_hour=None) as running:
        running.capture(map(orjson.loads, events.read_bytes().splitlines()))
        yield running


@pytest.fixture(scope="module")
def anthropic():
    """A model that was talked into writing what it should not."""
    with Anthropic(key=PLANTED["anthropic"]) as api:
        api.writes = lambda facts: f"**Why**\n\n- Score {facts['score']['intent_score']}\n{''.join(HOSTILE_TEXTS)}\n"
        yield api


@pytest.fixture(scope="module")
def address(server):  # noqa: F811
    """Of the database that is killed, for a user with a password that nobody else has."""
    root = {"host": "127.0.0.1", "port": server.port}
    with MySQLdb.connect(**root, user="kills", password="kills") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE USER whole@'127.0.0.1' IDENTIFIED BY %s", [PLANTED["database"]])
        cursor.execute("GRANT ALL PRIVILEGES ON *.* TO whole@'127.0.0.1'")
    return {**root, "user": "whole", "password": PLANTED["database"]}


@pytest.fixture(scope="module")
def system(dev, redis, address, posthog, anthropic, tmp_path_factory):  # noqa: F811
    """The first steps of docs/operations.md, and every process under a supervisor."""
    directory = tmp_path_factory.mktemp("system")
    (port,) = dev.free_ports(1)
    with serving(MailServer()) as mail:
        environment = QUICK | {
            "REDIS_URL": redis.url,
            "POSTHOG_HOST": posthog.url,
            "POSTHOG_API_KEY": posthog.api_key,
            "POSTHOG_PROJECT_ID": str(posthog.project_id),
            "POSTHOG_RETRY_SECONDS": "0.05",
            "POSTHOG_PATIENCE_SECONDS": "1",
            "POSTHOG_REPULL_DAYS": "2",
            "ANTHROPIC_API_KEY": anthropic.key,
            "ANTHROPIC_BASE_URL": anthropic.url,
            "AI_MODEL": anthropic.models[0],
            "AI_BRIEFS_PER_DAY": "100000",
            "AI_BRIEFS_PER_USER_AND_DAY": "100000",
            "AI_DEADLINE_SECONDS": "5",
            "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
            "SECRET_KEY": PLANTED["SECRET_KEY"],
            "ERASURE_KEY": PLANTED["ERASURE_KEY"],
            "METRICS_TOKEN": PLANTED["METRICS_TOKEN"],
            "LEAD_SECRETS": PLANTED["LEAD_SECRETS"],
            "TRUSTED_PROXIES": "1",
            "LEAD_RATE_PER_ADDRESS": "100000/min",
            "LEAD_RATE_UNSIGNED": "100000/min",
            "LEAD_RATE_IN_ALL": "100000/min",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "INFO",
            "BIND": f"127.0.0.1:{port}",
        }
        with installation(address, **environment) as home:
            said = home.run("create_user", "alice", "--role", "internal_admin")
            token = home.run("shell", "--no-imports", "-c", OPERATOR).split("token: ")[1].split()[0]
            crew = WholeCrew(home, directory)
            try:
                crew.hire("web", "gunicorn")
                crew.schedulers({"TZ": "Asia/Kolkata"}, {"TZ": "America/New_York"})
                crew.workers({}, {"TZ": "Asia/Kolkata"})
                wait_until(lambda: readyz(port), again=OSError, said=crew.said, seconds=90)
                with nginx(dev, port, directory) as proxy:
                    password = said.split("Password: ")[1].split()[0]
                    made = System(home, crew, mail, posthog, anthropic, proxy, password, token, redis.url)
                    bring_up_to_date(made)
                    yield made
            finally:
                crew.dismiss()


def bring_up_to_date(system: System) -> None:
    """Through the last day that is over, at any hour."""
    home, crew = system.home, system.crew
    crew.wait_until(lambda: count(home, DONE))
    if scored_day() < last_day():
        asked = Client(system, Event()).api("POST", "jobs/recompute-intent", {"pull": True})
        assert asked and asked.status == 202
        run = f"SELECT state FROM job_runs WHERE id = '{asked.said['id']}'"
        crew.wait_until(lambda: home.query(run) == [("done",)])


class WholeCrew(Crew):
    """Also of a web, by deploy/gunicorn.conf.py."""

    def start(self, name: str) -> None:
        if name != "web":
            return super().start(name)
        self.started.append(name)
        argv = ["-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "abm_project.wsgi"]
        with (self.directory / "web.log").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *argv], cwd=ROOT, env=self.home.environment, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, text=True, preexec_fn=lambda: die_with_me(1, signal.SIGKILL),
            )  # fmt: skip
        return None


def test_a_night_and_a_lead_go_all_the_way_through(system):
    home, crew = system.home, system.crew
    alice = system.signed_in()
    assert post(system.port, a_lead("00001"), **SIGNED).status == 201
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM daily_account_intent WHERE is_provisional = 1"))

    assert count(home, PUBLISHED) > 1_000
    assert "c00001.example" in system.read("/?search=c00001", alice)
    page = system.read("/accounts/c00001.example", alice)
    assert "Ann Archer" in page and "event space" in page
    assert "Night of" in system.read("/runs", alice)
    assert system.read("/healthz", {}) == "ok\n"
    crew.wait_until(lambda: '"status": "ok"' in system.get("/readyz").raw.decode())
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM abm_alert_nights"))
    news = count(home, "SELECT accounts FROM abm_alert_nights")
    crew.wait_until(lambda: len(system.mail.mails) == bool(news))
    code, said = ended(home.start("doctor"))
    assert "Group type company is there" in said and "takes mail" in said
    assert code == 0 or "To do:" in said
    told = system.read("/metrics", {"Authorization": f"Bearer {PLANTED['METRICS_TOKEN']}"})
    lead = 'method="POST",route="/api/hooks/lead-requests",status="201"'
    assert f"orbit_http_answers_total{{{lead}}} 1.0" in told
    assert re.search(r"orbit_night_age_seconds \d", told) and "orbit_redis_up 1.0" in told


# --- What strangers write, and how it may come back (P7) --------------------------------------------------------------
HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|'/c calc'!A1",
    "[win](javascript:alert(1))",
    "![beacon](https://evil.example/x.png)",
    "{{ 7*'7' }}",
)
MARKUP = re.compile(rb"<script>alert|<img src=x|href=.?(javascript:|https?://evil)|src=.?https?://evil|7777777")
FORMULA = re.compile(r"\s*[=@\t\r＝＠]")


def untrusted(answer: Answer) -> str:
    """What was not kept text in an answer; empty when all was."""
    kind = answer.headers["Content-Type"] or ""
    if kind.startswith("text/html"):
        if "default-src 'self'" not in (answer.headers["Content-Security-Policy"] or ""):
            return "" if b"<center>nginx" in answer.raw else "no content security policy"
        found = MARKUP.search(answer.raw)
        return found[0].decode() if found else ""
    if kind.startswith("text/csv"):
        cells = (cell for line in csv.reader(io.StringIO(answer.raw.decode(), newline="")) for cell in line)
        return next((cell for cell in cells if FORMULA.match(cell)), "")
    return ""


# --- Clients ----------------------------------------------------------------------------------------------------------
@dataclass
class Client:
    """Somebody who asks until it is over: what they met, and what nobody should ever meet."""

    system: System
    ended: Event
    alice: dict[str, str] = field(default_factory=dict)  # the cookies of a session
    met: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)  # lead → what it says
    bytes: int = 0

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer | None:
        """None when there was no answer at all."""
        try:
            answer = call(self.system.port, method, path, body, headers)
        except (OSError, HTTPException) as error:
            self.met[type(error).__name__] += 1
            return None
        self.met[answer.status] += 1
        self.bytes += len(answer.raw)
        if answer.status == 500 or answer.status > 504:
            self.wrong.append(f"P3 {method} {path}: {answer.status} {answer.raw[:200]!r}")
        if found := untrusted(answer):
            self.wrong.append(f"P7 {method} {path}: {found}")
        said = (answer.raw + str(answer.headers).encode()).decode(errors="replace")
        self.wrong += [f"P8 {method} {path}" for secret in self.system.secrets() if secret in said]
        return answer

    def api(self, method: str, path: str, body: object = None) -> Answer | None:
        headers = {"Authorization": f"Token {self.system.token}", "Content-Type": "application/json"}
        return self.ask(method, f"/api/abm/{path}", None if body is None else orjson.dumps(body), **headers)


def send_leads(client: Client, number: int) -> None:
    """Leads of its own, each until it is taken."""
    for lead in numbers(1):
        company, text = f"k{number}-{lead % 20}", HOSTILE_TEXTS[lead % len(HOSTILE_TEXTS)]
        names = {"first_name": text, "title": text, "organization_name": text, "utm_source": text}
        body = orjson.dumps(a_lead(company, message=f"{number}/{lead}", **names))
        headers = {"Idempotency-Key": f"{number}/{lead}", "X-Lead-Request-Secret": PLANTED["LEAD_SECRETS"]}
        while not client.ended.is_set():
            answer = client.ask("POST", URL, body, **headers, **{"Content-Type": "application/json"})
            if answer and answer.status == 201:
                client.answered[answer.said["id"]] = f"{number}/{lead}"
                break
            client.ended.wait(0.05)
        if client.ended.is_set():
            return


PAGES = (
    *("/", "/?stage=Hot&sort=-surge_ratio", "/lanes", "/people", "/movers", "/runs", "/alerts"),
    *("/accounts/c00001.example", "/accounts/ck0-0.example", "/accounts.csv", "/people.csv"),
    *("/accounts/c00001.example/ledger.csv", "/admin/", "/admin/ingestion/leadrequest/", "/admin/accounts/contact/"),
    *("/admin/accounts/prospectcompany/", "/admin/scoring/jobrun/", "/admin/registry/scoreconfig/"),
    "/admin/ai_summaries/accountaisummary/",
)


def read_pages(client: Client, _: int) -> None:
    """A person with a browser, who signs in anew every now and then. P5: each page with scores says of which day."""
    through = f'Data through <time datetime="{last_day()}"'.encode()
    while not client.ended.is_set():
        try:
            client.alice = client.system.signed_in()
        except (OSError, HTTPException, TypeError, AssertionError):  # none, or the page that says "come again"
            client.met["no login"] += 1
        for path in PAGES:
            answer = client.ask("GET", path, **client.alice)
            dated = not path.startswith("/admin/") and not path.endswith(".csv")
            if answer and answer.status == 200 and dated and through not in answer.raw:
                client.wrong.append(f"P5 {path} does not say through which day it goes")
            if answer and answer.status not in (200, 502, 503, 504):
                client.wrong.append(f"P3 {path}: {answer.status}")
            if client.ended.wait(0.02):
                return


READS = (
    *("accounts", "accounts?stage=Hot&page=2", "accounts.csv", "movers", "lanes", "people", "people.csv"),
    *("lead-requests", "lead-requests.csv", "jobs", "accounts/lookup?domain=c00001.example", "admin/score-configs"),
)


def use_api(client: Client, _: int) -> None:
    """A program with a token: it reads, asks for briefs, and has days scored again, also with another pull."""
    chance, personas, known = random.Random(SEED + 1), cycle(["sales", "marketing"]), []
    while not client.ended.is_set():
        for path in READS:
            answer = client.api("GET", path)
            if answer and path == "accounts" and answer.status == 200:
                known = [row["id"] for row in answer.said["results"]]
            if known and chance.random() < 0.6:
                brief = {"persona": next(personas), "force": True}
                client.api("POST", f"accounts/{chance.choice(known)}/ai-summary", brief)
            if client.ended.wait(0.02):
                return
        again = {"backfill": 3, "restate": True, "pull": chance.random() < 0.5}
        client.api("POST", "jobs/recompute-intent", again)


HOSTILE = (
    ("POST", URL, b"[" * 60_000),
    ("POST", URL, b'{"work_email": "a@b.example", "x": {"y": "\\u0000"}}'),
    ("POST", URL, b'{"work_email": "a@b.example", "quantity": NaN, "message": "\xff\xfe"}'),
    ("POST", URL, b"x" * 70_000),
    ("GET", "/?page=-1&sort=password&search=%00%F0%9F", None),
    ("GET", "/accounts/%00%2e%2e%2f%3Cscript%3E", None),
    ("GET", "/api/abm/accounts?limit=1000000000&ordering=password,,-x&page=1e9", None),
    ("GET", "/api/abm/accounts/" + "%2e%2e%2f" * 200, None),
    ("GET", "/people?search=" + "%25_" * 1_000, None),
    ("GET", "/admin/accounts/contact/?q=%00&p=-1&o=99.-99&nothing__regex=(a%2B)%2B", None),
    ("GET", "/admin/login/?next=//evil.example", None),
    ("POST", "/api/abm/jobs/recompute-intent", b'{"date": "9999-99-99", "backfill": 1e999}'),
    ("POST", "/login", b"username=%00&password=%ff"),
    ("PUT", "/", b"{}"),
    ("TRACE", "/", None),
)


def attack(client: Client, _: int) -> None:
    """Nothing that is sent here is anything but refused: by nobody, with a token and in a session. P3."""
    token = {"Authorization": f"Token {client.system.token}"}
    for method, path, body in cycle(HOSTILE):
        for who in ({}, token, client.alice, {"Authorization": "Token orbit_x", "Cookie": "sessionid=%00"}):
            client.ask(method, path, body, **who, **{"Content-Type": "application/json"})
            if client.ended.wait(0.03):
                return


# --- Faults -----------------------------------------------------------------------------------------------------------
MODEL_FAULTS = (model.RESET, model.TRUNCATED, model.HTML, model.REFUSAL, model.error(529), model.error(429))
FAULTS = ("web", "web worker", "worker", "horse", "scheduler", "redis", "database", "posthog", "model")


def harm(system: System, redis: object, server: Server, fault: str, chance: random.Random) -> None:  # noqa: F811
    """Kill one of them; a daemon comes back within a second, the others when their supervisor looks."""
    processes = system.crew.processes
    named = {"web": ["web"], "worker": ["worker-0", "worker-1"], "scheduler": ["scheduler-0", "scheduler-1"]}
    victims: list[int] = []
    match fault:
        case "redis" | "database":
            daemon = redis if fault == "redis" else server
            daemon.kill()
            time.sleep(chance.uniform(0, 1))
            daemon.start()
        case "posthog":
            system.posthog.faults.clear()  # what nobody met yet
            system.posthog.faults.add(faults.answer(chance.choice([429, 500, 503])), times=4)
        case "model":
            system.anthropic.faults[:] = [chance.choice(MODEL_FAULTS)] * 2
        case "web worker":
            victims = Crew.horses(_only(system.crew, "web"))
        case "horse":
            victims = [pid for name in named["worker"] for pid in Crew.horses(_only(system.crew, name))]
        case _:
            victims = [processes[chance.choice(named[fault])].pid]
    for pid in victims[:1]:
        kill(pid)


def _only(crew: Crew, name: str) -> Crew:
    one = Crew(crew.home, crew.directory)
    one.processes = {name: crew.processes[name]}
    return one


def shuffled(chance: random.Random):
    """Each of them once, in another order every time: also a short run meets them all."""
    while True:
        yield from chance.sample(FAULTS, len(FAULTS))


def test_minutes_of_traffic_under_random_kills_break_no_promise(system, redis, server):  # noqa: F811
    home, crew = system.home, system.crew
    crew.wait_until(lambda: not count(home, OPEN))
    history = published(home)
    chance, over, harmed = random.Random(SEED), Event(), Counter()
    work: list[tuple[Callable[[Client, int], None], int]] = [(send_leads, number) for number in range(CLIENTS)]
    work += [(read_pages, 0), (use_api, 0), (attack, 0)]
    alice = system.signed_in()
    assert post(system.port, a_lead("k0-0", organization_name=HOSTILE_TEXTS[0]), **SIGNED).status == 201
    crew.wait_until(lambda: system.get("/accounts/ck0-0.example", **alice).status == 200)
    clients = [Client(system, over, alice) for _ in work]
    with ThreadPoolExecutor(len(work)) as pool:
        begun = [pool.submit(do, client, n) for (do, n), client in zip(work, clients, strict=True)]
        end, next_faults = time.monotonic() + SECONDS, shuffled(chance)
        try:
            while time.monotonic() < end and not any(one.done() for one in begun):
                fault = next(next_faults)
                harm(system, redis, server, fault, chance)
                harmed[fault] += 1
                for _ in range(int(chance.uniform(20, 60))):
                    time.sleep(0.05)
                    crew.keep()
        finally:
            over.set()
        for one in begun:
            one.result()
    system.posthog.faults.clear()
    system.anthropic.faults.clear()

    # P6: by itself everything is well again.
    since = time.monotonic()
    direct = int(home.environment["BIND"].split(":")[1])
    crew.wait_until(lambda: _well(system, direct))
    took = time.monotonic() - since
    scored = home.query("SELECT CAST(prospect_company_id AS CHAR) FROM daily_account_intent LIMIT 1")[0][0]
    operator = Client(system, Event())
    asked = f"accounts/{scored}/ai-summary"
    crew.wait_until(lambda: (said := operator.api("POST", asked, {"force": True})) and said.status == 200)
    answered = {id: said for client in clients for id, said in client.answered.items()}
    met = {do.__name__: dict(client.met) for (do, _), client in zip(work, clients, strict=True)}
    met["send_leads"] = dict(sum((client.met for client in clients[:CLIENTS]), Counter()))
    told = f"PYTEST_SYSTEM_SEED={SEED}, {SECONDS} s, well again in {took:.1f} s, harm {dict(harmed)}, met {met}"
    log.warning("%s", told)
    # P3, P5, P7, P8: of each answer, when it came. No client was left without any.
    wrong = Counter(found for client in clients for found in client.wrong)
    assert not wrong, f"{wrong}\n{told}"
    assert all(client.met[200] or client.met[201] or client.met[400] for client in clients), told
    # P1 and P2: what was answered is a row, once.
    rows = dict(home.query("SELECT CAST(id AS CHAR), message FROM lead_requests"))
    assert answered and {id: said for id, said in answered.items() if rows.get(id) != said} == {}, told
    sent = [message for message in rows.values() if "/" in message]
    assert len(sent) == len(set(sent)), told
    assert count(home, "SELECT COUNT(*) FROM intent_signals") == len(rows), told
    # P5 and P4: no failure replaced a score, and by hand they come out alike.
    assert published(home) == history, told
    unkilled = {"JOB_LEASE_SECONDS": "60"}  # beside workers that bury who is silent for two seconds
    code, said = ended(home.start("recompute_intent", "--date", last_day(), "--restate", "--no-input", **unkilled))
    assert code == 0, said
    assert published(home) == history, told
    fail_without_posthog(system)
    assert published(home) == history, told
    # P8: what was written meanwhile.
    written = b"".join(path.read_bytes() for path in crew.directory.glob("*.log"))
    assert [secret for secret in system.secrets() if secret.encode() in written] == [], told
    briefs = dict(home.query("SELECT state, COUNT(*) FROM account_ai_attempts GROUP BY state"))
    assert briefs["done"], told
    read = sum(client.bytes for client in clients)
    log.warning(
        "%d leads, %d published rows, briefs %s, %d bytes of answers, %d of logs", len(answered), len(history), briefs,
        read, len(written),
    )  # fmt: skip


def _well(system: System, direct: int) -> bool:
    with suppress(OSError, HTTPException, MySQLdb.Error):
        green = (readyz(direct) or (0,))[0] == 200
        return green and not count(system.home, OPEN) and not count(system.home, LOOSE)
    return False


def published(home: Installation) -> list[tuple]:
    """Every row of a day that is over, but for when and by which run it was written."""
    joined = "daily_account_intent t JOIN prospect_companies c ON c.id = t.prospect_company_id"
    over = f"SELECT c.domain, {columns(DailyAccountIntent)} FROM {joined} WHERE t.is_provisional = 0"
    return home.query(f"{over} ORDER BY c.domain, t.date")


def fail_without_posthog(system: System) -> None:
    """A run that gets no activity ends with its reason, which every page says beside the day of its scores."""
    system.posthog.faults.add(faults.answer(503), times=0)
    try:
        asked = Client(system, Event()).api("POST", "jobs/recompute-intent", {"pull": True})
        run = f"SELECT state FROM job_runs WHERE id = '{asked.said['id']}'"
        system.crew.wait_until(lambda: system.home.query(run) == [("failed",)])
        page = system.read("/", system.signed_in())
        assert "The last run failed" in page and f'Data through <time datetime="{last_day()}"' in page
    finally:
        system.posthog.faults.clear()
