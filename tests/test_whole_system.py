"""All of Orbit for real on one machine: nginx, gunicorn, two workers, two schedulers, MariaDB, Redis, and a PostHog and
a mail server of the tests. A lead and a night are walked through it as an operator would see them; then there is mixed
traffic while processes are killed at random, and the promises P1, P2, P4 and P6 are counted at the end.

The moments come from a seed that a failing run prints; PYTEST_SYSTEM_SEED=N repeats them, PYTEST_SYSTEM_SECONDS=N says
how long it goes on (600 before a release).
"""

import http.cookiejar
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from threading import Event
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import orjson
import pytest
from django.conf import settings

from tests.installation import ROOT, Installation, die_with_me, installation, write_events
from tests.posthog_standin import PostHog
from tests.receivers import MailServer, serving
from tests.test_hook_faults import a_lead, nginx, post, wait_until
from tests.test_kills import dev, server  # noqa: F401 - fixtures
from tests.test_night_processes import DONE, QUICK, Crew, count, readyz, redis, scored_day  # noqa: F401

log = logging.getLogger(__name__)
DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="needs a MariaDB server"),
]
SECONDS = int(os.environ.get("PYTEST_SYSTEM_SECONDS", "45"))
SEED = int(os.environ.get("PYTEST_SYSTEM_SEED", time.time_ns() % 1_000_000))
TOKEN = "metrics-of-the-whole"
CLIENTS = 4
SUBSCRIBE = """
from django.contrib.auth.models import User
from abm_project.models import AlertSubscription
User.objects.update(email="alice@orbit.example")
AlertSubscription.objects.create(user=User.objects.get())
"""
OPEN = "SELECT COUNT(*) FROM job_runs WHERE state IN ('queued', 'running')"
PUBLISHED = "SELECT COUNT(*) FROM daily_account_intent WHERE is_provisional = 0"


@dataclass
class System:
    home: Installation
    crew: Crew
    mail: MailServer
    port: int  # of the proxy
    password: str

    def signed_in(self) -> OpenerDirector:
        """A browser that went through the login form."""
        jar = http.cookiejar.CookieJar()
        browser = build_opener(HTTPCookieProcessor(jar))
        browser.addheaders = [("Host", "localhost")]
        page = self.read(browser, "/login")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        form = {"username": "alice", "password": self.password, "csrfmiddlewaretoken": token}
        browser.open(f"http://127.0.0.1:{self.port}/login", urlencode(form).encode(), timeout=30).close()
        return browser

    def read(self, browser: OpenerDirector, path: str) -> str:
        with browser.open(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read().decode()


@pytest.fixture(scope="module")
def posthog(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "events.jsonl"
    events = write_events(path, scored_day(), days=59, accounts=60, seed=9, per_day=4)
    with PostHog(timezone="US/Pacific", per_minute=None, per_hour=None) as running:
        running.capture(map(orjson.loads, events.read_bytes().splitlines()))
        yield running


@pytest.fixture(scope="module")
def system(dev, redis, posthog, tmp_path_factory):  # noqa: F811
    """The first steps of docs/operations.md, and every process under a supervisor."""
    directory = tmp_path_factory.mktemp("system")
    address = {"host": DATABASE["HOST"], "port": int(DATABASE["PORT"] or 3306)}
    (port,) = dev.free_ports(1)
    with serving(MailServer()) as mail:
        environment = QUICK | {
            "REDIS_URL": redis.url,
            "POSTHOG_HOST": posthog.url,
            "POSTHOG_API_KEY": posthog.api_key,
            "POSTHOG_PROJECT_ID": str(posthog.project_id),
            "POSTHOG_RETRY_SECONDS": "0.05",
            "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
            "METRICS_TOKEN": TOKEN,
            "TRUSTED_PROXIES": "1",
            "LEAD_RATE_PER_ADDRESS": "100000/min",
            "LEAD_RATE_IN_ALL": "100000/min",
            "LOG_FORMAT": "json",
            "BIND": f"127.0.0.1:{port}",
        }
        server_of = {**address, "user": DATABASE["USER"], "password": DATABASE["PASSWORD"]}
        with installation(server_of, **environment) as home:
            said = home.run("create_user", "alice", "--role", "internal_admin")
            home.run("shell", "--no-imports", "-c", SUBSCRIBE)
            crew = WholeCrew(home, directory)
            try:
                crew.hire("web", "gunicorn")
                crew.schedulers({"TZ": "Asia/Kolkata"}, {"TZ": "America/New_York"})
                crew.workers({}, {"TZ": "Asia/Kolkata"})
                wait_until(lambda: readyz(port), again=OSError, said=crew.said, seconds=90)
                with nginx(dev, port, directory) as proxy:
                    yield System(home, crew, mail, proxy, said.split("Password: ")[1].split()[0])
            finally:
                crew.dismiss()


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
    crew.wait_until(lambda: count(home, DONE), seconds=120)
    browser = system.signed_in()
    assert post(system.port, a_lead("00001")).status == 201
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM daily_account_intent WHERE is_provisional = 1"))

    assert count(home, PUBLISHED) > 1_000
    assert "c00001.example" in system.read(browser, "/?search=c00001")
    page = system.read(browser, "/accounts/c00001.example")
    assert "Ann Archer" in page and "event space" in page
    assert "Night of" in system.read(browser, "/runs")
    assert system.read(browser, "/healthz") == "ok\n"
    assert '"status": "ok"' in system.read(browser, "/readyz")
    crew.wait_until(lambda: count(home, "SELECT COUNT(*) FROM abm_alert_nights"))
    news = count(home, "SELECT accounts FROM abm_alert_nights")
    crew.wait_until(lambda: len(system.mail.mails) == bool(news))
    code, said = doctor(home)
    assert "Group type company is there" in said and "takes mail" in said
    assert code == 0 or "To do:" in said
    metrics = build_opener()
    metrics.addheaders = [("Host", "localhost"), ("Authorization", f"Bearer {TOKEN}")]
    told = system.read(metrics, "/metrics")
    lead = 'method="POST",route="/api/hooks/lead-requests",status="201"'
    assert f"orbit_http_answers_total{{{lead}}} 1.0" in told
    assert re.search(r"orbit_night_age_seconds \d", told) and "orbit_redis_up 1.0" in told


def doctor(home):
    process = home.start("doctor")
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


# --- Mixed traffic under kills ----------------------------------------------------------------------------------------
def send_leads(system, number, ended, answered, met):
    """One client: leads of its own, each until it is taken."""
    lead = 0
    while not ended.is_set():
        lead += 1
        name = f"k{number}-{lead % 20}"
        body = a_lead(name, message=f"{number}/{lead}")
        while not ended.is_set():
            try:
                answer = post(system.port, body, Idempotency_Key=f"{number}/{lead}")
            except (OSError, HTTPException) as error:
                met[type(error).__name__] += 1
            else:
                met[answer.status] += 1
                if answer.status == 201:
                    answered[answer.said["id"]] = body["message"]
                    break
            time.sleep(0.05)


def read_pages(system, ended, met):
    """One reader: what is answered is a page, or says that it will be one soon."""
    browser = None
    paths = ("/", "/lanes", "/people", "/runs", "/accounts/c00001.example", "/?stage=Hot", "/api/abm/lead-requests")
    while not ended.is_set():
        for path in paths:
            try:
                browser = browser or system.signed_in()
                system.read(browser, path)
                met["page 200"] += 1
            except HTTPError as error:
                met[f"page {error.code}"] += 1
            except (OSError, HTTPException, TypeError):
                met["page away"] += 1
            time.sleep(0.02)


def harm(system, redis, chance, done):  # noqa: F811
    fault = chance.choice(["web", "web worker", "worker", "horse", "scheduler", "redis"])
    processes = system.crew.processes
    named = {"web": ["web"], "worker": ["worker-0", "worker-1"], "scheduler": ["scheduler-0", "scheduler-1"]}
    victims = []
    if fault == "redis":
        redis.kill()
        time.sleep(chance.uniform(0, 1))
        redis.start()
    elif fault == "web worker":
        victims = Crew.horses(_only(system.crew, "web"))
    elif fault == "horse":
        victims = [pid for name in named["worker"] for pid in Crew.horses(_only(system.crew, name))]
    else:
        victims = [processes[chance.choice(named[fault])].pid]
    for pid in victims[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    done[fault] += 1


def _only(crew, name):
    one = Crew(crew.home, crew.directory)
    one.processes = {name: crew.processes[name]}
    return one


def test_minutes_of_traffic_under_random_kills_lose_nothing_and_double_nothing(system, redis):  # noqa: F811
    home, crew = system.home, system.crew
    crew.wait_until(lambda: count(home, DONE), seconds=120)
    chance, ended, harmed = random.Random(SEED), Event(), Counter()
    answered: dict[str, str] = {}
    met: Counter = Counter()
    pages: Counter = Counter()
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        work = [pool.submit(send_leads, system, number, ended, answered, met) for number in range(CLIENTS)]
        work.append(pool.submit(read_pages, system, ended, pages))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            harm(system, redis, chance, harmed)
            for _ in range(int(chance.uniform(10, 40))):
                time.sleep(0.05)
                crew.keep()
        ended.set()
        for one in work:
            one.result()
    log.warning("PYTEST_SYSTEM_SEED=%d, %d s: %d leads; %s; %s; %s", SEED, SECONDS, len(answered), met, pages, harmed)

    # P3: nothing but what a proxy says of a web that is being started again, and what the hook promises.
    assert set(met) <= {201, 409, 502, 503, 504, *(name for name in met if isinstance(name, str))}, met
    assert set(pages) <= {f"page {code}" for code in (200, 502, 503, 504)} | {"page away"}, pages
    assert pages["page 200"] and answered
    # P1 and P2: what was answered is a row, once.
    rows = dict(home.query("SELECT CAST(id AS CHAR), message FROM lead_requests"))
    assert {id: message for id, message in answered.items() if rows.get(id) != message} == {}
    sent = [message for message in rows.values() if "/" in message]
    assert len(sent) == len(set(sent))
    # P6: by itself everything is well again.
    crew.wait_until(lambda: (readyz(int(home.environment["BIND"].split(":")[1])) or (0,))[0] == 200, seconds=60)
    crew.wait_until(lambda: not count(home, OPEN), seconds=90)
    # P4: the published scores are those of a recompute by hand.
    before = home.scores()
    home.run("recompute_intent", "--date", scored_day(), "--restate", "--no-input")
    assert published(home.scores()) == published(before)


def published(scores):
    return [row for row in scores["snapshots"] if str(scored_day()) in map(str, row)]
