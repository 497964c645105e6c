"""The object a test holds: it starts the stand-in as a child process and talks to it by its private door."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.posthog_standin.faults import Fault, Queued

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ("PATH", "HOME", "TMPDIR", "LANG")
COMPANY = {"company": datetime(2020, 1, 1, tzinfo=UTC)}
CHUNK = 20_000  # events in one go


@dataclass(frozen=True)
class Request:
    """One request as the stand-in met it. `status` is 0 where the connection was dropped without an answer."""

    at: datetime
    method: str
    path: str
    name: str
    query: str
    values: dict[str, Any]
    body: Any
    headers: dict[str, str]
    status: int | None
    rows: int | None
    read_bytes: int  # by ClickHouse
    answer_bytes: int  # before compression
    seconds: float | None
    faulted: bool


class PostHog:
    """A stand-in of its own, with its own port, keys and data; a context manager. See the package's docstring."""

    def __init__(
        self,
        *,
        timezone: str = "UTC",
        group_types: Mapping[str, datetime | None] = COMPANY,
        project_id: int = 1,
        **settings: Any,
    ) -> None:
        self.project_id = project_id
        self.api_key, self.project_key = f"phx_{secrets.token_hex(16)}", f"phc_{secrets.token_hex(16)}"
        self.faults = Faults(self)
        self._settings = {"timezone": timezone, "group_types": group_types, **settings}
        self._secret = secrets.token_hex(16)
        self._directory = tempfile.TemporaryDirectory(prefix="orbit-posthog-", ignore_cleanup_errors=True)
        try:
            self._start()
            self.set(**self._settings)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "PostHog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start(self) -> None:
        """A process of its own: ClickHouse wants signals, threads and one directory for itself."""
        log = Path(self._directory.name, "log")
        command = [sys.executable, "-m", "tests.posthog_standin", "--with-owner"]
        command += ["--directory", self._directory.name, "--project-id", str(self.project_id)]
        command += ["--api-key", self.api_key, "--project-key", self.project_key]
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**kept, "STANDIN_SECRET": self._secret}, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"The stand-in did not start: {log.read_text()}")

    def close(self) -> None:
        process = getattr(self, "_process", None)
        if process:
            process.send_signal(signal.SIGKILL)  # nothing in there is worth keeping
            process.communicate()
        self._directory.cleanup()

    def capture(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Load events without HTTP's limits; a line of an export is one too."""
        waiting = iter(events)
        while chunk := list(islice(waiting, CHUNK)):
            self._tell("capture", chunk)

    def set(self, **settings: Any) -> None:
        """`timezone`, `scopes`, `group_types` ({name: since when, None for always}) and the fields of `Limits`."""
        if "scopes" in settings:
            settings["scopes"] = list(settings["scopes"])
        self._tell("set", settings)

    def reset(self) -> None:
        """No events, faults and requests, and the settings it was started with: quicker than another stand-in."""
        self._tell("reset")
        self.set(**self._settings)

    @property
    def requests(self) -> list[Request]:
        log = self._tell("look")["log"]
        return [Request(**{**entry, "at": datetime.fromisoformat(entry["at"])}) for entry in log]

    def forget_requests(self) -> None:
        self._tell("forget_requests")

    def _tell(self, verb: str, given: object = None) -> Any:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        try:
            connection.request("POST", f"/_standin/{verb}", orjson.dumps(given), {"X-Standin": self._secret})
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(said.decode())
        return orjson.loads(said)


class Faults:
    """The queue of what will go wrong; see `tests.posthog_standin.faults` for what can."""

    def __init__(self, posthog: PostHog) -> None:
        self._posthog = posthog

    def add(
        self, fault: Fault, *, name: str = "", path: str = "", contains: str = "", nth: int = 1, times: int = 1
    ) -> None:
        self._posthog._tell("fault", asdict(Queued(fault, name, path, contains, nth, times)))

    def clear(self) -> None:
        self._posthog._tell("no_faults")

    def __len__(self) -> int:
        """How many are still to come."""
        return len(self._posthog._tell("look")["faults"])
