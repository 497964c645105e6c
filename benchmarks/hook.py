"""Leads a second through the door, against a bare view that runs the same SQL statements by cursor. [LEADS]

Both behind gunicorn as docs/operations.md starts it, 16 connections kept open, every commit flushed to disk. The client
is a process of its own. The statements are those of one real lead, of a company and a person that nobody knew, caught
as they pass; the floor runs them with fresh ids and texts, in the same transactions, and does nothing else: no
middleware, no checks, no counting in Redis, no waking of a worker. They take turns, five times; the medians count.
"""

import gc
import hashlib
import json
import os
import pickle
import re
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, contextmanager
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import MySQLdb

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["DATABASE_PROFILE"] = "web"
URL = "/api/hooks/lead-requests"
LEADS, ROUNDS, CONNECTIONS, TARGET = 800, 5, 16, 0.5
MARK = "n424242"  # in every text of the lead whose statements are caught
UNSLOWED = dict.fromkeys(("LEAD_RATE_PER_ADDRESS", "LEAD_RATE_UNSIGNED", "LEAD_RATE_IN_ALL"), "100000000/min")
UUIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HASHES = re.compile(r"\b[0-9a-f]{64}\b")


def body(mark: str) -> bytes:
    lead = {
        "work_email": f"ann@{mark}.example",
        "first_name": "Ann",
        "last_name": "Archer",
        "title": "Head of Ops",
        "phone": "+1 555 0100",
        "organization_name": f"Company {mark}",
        "organization_website": f"https://www.{mark}.example/about",
        "service_lane": "event_space",
        "request_type": "reservation",
        "budget": "10k",
        "quantity": 40,
        "message": f"{mark} would like a launch in March. " * 5,
        "consent": True,
        "utm_source": "newsletter",
        "tracking": {"posthog_distinct_id": f"ph-{mark}"},
        "mark": mark,
    }
    return json.dumps(lead).encode()


# --- The floor: an application of its own, in gunicorn ----------------------------------------------------------------
def floor_application() -> Any:
    import django  # noqa: PLC0415 - set up in another way than the benchmark's own process
    from django.conf import settings  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415

    from abm_project import settings as ours  # noqa: PLC0415

    settings.configure(
        DATABASES={"default": ours.DATABASES["default"]}, MIDDLEWARE=[], ROOT_URLCONF=Urls, ALLOWED_HOSTS=["*"],
        SECRET_KEY="floor", USE_TZ=True,
    )  # fmt: skip
    django.setup()
    Urls.urlpatterns = urls(pickle.loads(Path(os.environ["FLOOR"]).read_bytes()))
    application = get_wsgi_application()
    gc.collect()
    gc.set_threshold(20_000, 20, 20)  # as abm_project.wsgi does
    gc.freeze()
    return application


class Urls:
    urlpatterns: list[Any] = []


def urls(statements: list[tuple[bool, str, list[Any]]]) -> list[Any]:
    from django.db import connection, transaction  # noqa: PLC0415
    from django.http import HttpRequest, JsonResponse  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415
    from uuid_utils.compat import uuid7  # noqa: PLC0415

    inside = [place for place, (atomic, _, _) in enumerate(statements) if atomic]
    first, last = inside[0], inside[-1] + 1

    def view(request: HttpRequest) -> JsonResponse:
        mark = json.loads(request.body)["mark"]
        fresh: dict[str, str] = {}

        def new(found: re.Match[str]) -> str:
            return fresh.setdefault(found[0], str(uuid7()))

        def own(value: Any) -> Any:
            if isinstance(value, UUID):
                return fresh.setdefault(str(value), str(uuid7()))
            if not isinstance(value, str):
                return value
            text = UUIDS.sub(new, value.replace(MARK, mark))
            return HASHES.sub(lambda found: hashlib.sha256((found[0] + mark).encode()).hexdigest(), text)

        def run(some: list[tuple[bool, str, list[Any]]]) -> None:
            for _, sql, params in some:
                cursor.execute(sql, [own(value) for value in params])
                if cursor.description:
                    cursor.fetchall()

        with connection.cursor() as cursor:
            run(statements[:first])
            with transaction.atomic():
                run(statements[first:last])
            run(statements[last:])
        answer = JsonResponse({"id": next(iter(fresh.values()))}, status=201)
        answer["Content-Length"] = len(answer.content)
        return answer

    return [path(URL.lstrip("/"), view)]


# --- The client: a process of its own ---------------------------------------------------------------------------------
def client(port: int, name: str, leads: int) -> None:
    """Prints the seconds in all and of each request."""
    taken: list[float] = []
    todo = iter([body(f"{name}x{number}") for number in range(leads)])
    lock, said = threading.Lock(), Counter[bytes]()

    def sender() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = connection.makefile("rb")
            while True:
                with lock:
                    lead = next(todo, None)
                if lead is None:
                    return
                start = time.perf_counter()
                head = f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Content-Length: {len(lead)}\r\n\r\n".encode() + lead)
                status = answers.readline()
                length = 0
                while (line := answers.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                answers.read(length)
                taken.append(time.perf_counter() - start)
                said[status] += 1

    threads = [threading.Thread(target=sender) for _ in range(CONNECTIONS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(said.values()) == [leads] and b" 201 " in next(iter(said)), said
    print(json.dumps({"seconds": time.perf_counter() - start, "taken": taken}))


# --- The benchmark ----------------------------------------------------------------------------------------------------
def caught() -> list[tuple[bool, str, list[Any]]]:
    """What one real lead says to the database: in a transaction or not, statement, parameters."""
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    found: list[tuple[bool, str, list[Any]]] = []

    def catch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        plain = [str(value) if isinstance(value, str) else value for value in params or ()]  # choices, too
        found.append((connection.in_atomic_block, sql, plain))
        return execute(sql, params, many, context)

    def send(mark: str) -> None:
        answer = Client(headers={"host": "localhost"}).post(URL, body(mark), content_type="application/json")
        assert answer.status_code == 201, answer.content

    send("first")  # reads the registry, which is cached then
    with connection.execute_wrapper(catch):
        send(MARK)
    return found


@contextmanager
def gunicorn(application: str, log: Path, **environment: str) -> Any:
    serving = (ROOT / "docs" / "operations.md").read_text().split("\n## Serving\n")[1]
    (command,) = re.findall(r"(?m)^python -m (gunicorn .+)$", serving.split("\n## ")[0])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = command.replace("abm_project.wsgi", application).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    with log.open("wb") as said:
        server = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(command)], cwd=ROOT, stdout=said, stderr=said,
            env=os.environ | environment,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(log.read_text()) from None
                time.sleep(0.05)
        yield port
    except BaseException:
        print(log.read_text()[-3_000:])
        raise
    finally:
        server.terminate()
        server.wait()


def measured(port: int, name: str, leads: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "client", str(port), name, str(leads)], stdout=subprocess.PIPE, text=True, check=True
    )
    said = json.loads(done.stdout)
    cuts = statistics.quantiles(said["taken"], n=100)
    return {"speed": leads / said["seconds"], "p50": 1_000 * cuts[49], "p95": 1_000 * cuts[94]}


def main(leads: int) -> None:
    """On a MariaDB with the durability it has by default: the one that ./dev starts for benchmarks never flushes."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")
    import django  # noqa: PLC0415

    django.setup()
    from tests.test_kills import Server  # noqa: PLC0415

    spec = spec_from_loader("dev", SourceFileLoader("dev", str(ROOT / "dev")))
    dev = module_from_spec(spec)
    spec.loader.exec_module(dev)
    directory = dev.new_directory()
    server = Server(dev, directory)
    try:
        host = f"127.0.0.1:{server.port}"
        with closing(MySQLdb.connect(host="127.0.0.1", port=server.port, user="kills", password="kills")) as connection:
            connection.cursor().execute("CREATE DATABASE bench CHARACTER SET utf8mb4")
        print(f"a flush to disk takes {flush_milliseconds(directory):.2f} ms here (median)")
        own = {"DATABASE_URL": f"mysql://kills:kills@{host}/bench", **UNSLOWED}
        subprocess.run([sys.executable, __file__, "compare", str(leads)], env=os.environ | own, check=True)
    finally:
        server.kill()
        shutil.rmtree(directory)


def flush_milliseconds(directory: Path) -> float:
    taken = []
    with Path(directory, "flush").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 512)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(1_000 * (time.perf_counter() - start))
    return statistics.median(taken)


def compare(leads: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")
    import django  # noqa: PLC0415

    django.setup()
    from _measuring import machine  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    def asked(sql: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()

    print(machine(asked("SELECT version()")[0]))
    assert asked("SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite") == (1, 1)
    call_command("migrate", verbosity=0)
    call_command("seed_registry", stdout=StringIO())
    statements = caught()
    verbs = " ".join(re.sub(r"^SELECT (\w+_LOCK).*", r"\1", sql).split()[0] for _, sql, _ in statements)
    print(f"statements of a lead: {len(statements)} ({verbs})")
    runs: dict[str, list[dict[str, float]]] = {"floor": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="orbit-bench-") as directory:
        kept = Path(directory, "statements")
        kept.write_bytes(pickle.dumps(statements))
        path = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
        with (
            gunicorn("abm_project.wsgi", Path(directory, "ours.log")) as ours,
            gunicorn(
                "hook:floor_application()", Path(directory, "floor.log"), FLOOR=str(kept), PYTHONPATH=path
            ) as floor,
        ):
            ports = {"floor": floor, "ours": ours}
            for name, port in ports.items():
                measured(port, f"{name}-warm", 100)
            (before,) = asked("SELECT COUNT(*) FROM lead_requests")
            for turn in range(ROUNDS):
                for name, port in ports.items():
                    runs[name].append(measured(port, f"{name}-{turn}", leads))
            (after,) = asked("SELECT COUNT(*) FROM lead_requests")
    assert after - before == 2 * ROUNDS * leads, f"{after - before} leads are there"
    middle = {name: {key: statistics.median(run[key] for run in own) for key in own[0]} for name, own in runs.items()}
    for name, row in middle.items():
        print(f"{name:6} {row['speed']:8,.0f} leads/s   p50 {row['p50']:6.1f} ms   p95 {row['p95']:6.1f} ms")
    ratio = middle["ours"]["speed"] / middle["floor"]["speed"]
    print(f"ours / floor: {ratio:.2f} (target: at least {TARGET}; medians of {ROUNDS} turns)")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["client", port, name, leads]:
            client(int(port), name, int(leads))
        case ["compare", leads]:
            compare(int(leads))
        case given:
            main(int(given[0].replace("_", "").replace(",", "")) if given else LEADS)
