"""PostHog's HTTP API: one question at a time, bounded in time and size. The only module that talks to it.

The contract (what PostHog refuses, limits and cuts) is in docs/posthog.md. Every failure is a `PostHogError` whose text
says what to do. What may pass is tried again, within one patience for the whole run; what cannot pass fails at once.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import requests
from django.conf import settings
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.exceptions import HTTPError

from ingestion.cells import clean
from ingestion.outgoing import NotAllowed, checked_origin

T = TypeVar("T")
CONNECT_SECONDS, SILENCE_SECONDS = 5, 30
CHUNK = 1 << 16
LONGEST_WAIT = 120  # seconds; a Retry-After beyond it is left to the next tick
SAID = 300  # characters of PostHog's own words in a message
BUDGET_CODE = "api_queries_budget_exceeded"


class PostHogError(Exception):
    """PostHog did not answer the question; the text says why and what to do."""


class NotConfigured(PostHogError):
    """There is no key or project."""


class Refused(PostHogError):
    """A question or key that PostHog will refuse again. `status`: of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TooMuch(PostHogError):
    """The question takes PostHog too long: ask for less at a time."""


class Unavailable(PostHogError):
    """It did not work for as long as one may try."""


class OutOfBudget(PostHogError):
    """PostHog asks for patience beyond what a run can wait. `seconds`: from now."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Stopped(PostHogError):
    """The run ended while this question was still open."""


class _Again(Exception):
    """May work the next time. `after`: seconds that PostHog asked for."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


@dataclass(slots=True)
class Meter:
    """What was asked and read. `scanned`: bytes PostHog read for it (its read budget), where it says so."""

    requests: int = 0
    bytes: int = 0
    scanned: int = 0

    def __iadd__(self, other: "Meter") -> "Meter":
        self.requests += other.requests
        self.bytes += other.bytes
        self.scanned += other.scanned
        return self


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of one answer from the first byte sent to the last read; its bytes, unpacked; attempts at it; seconds of
    the first wait between them; and seconds of waiting in the whole run."""

    answer_seconds: float = 60
    answer_bytes: int = 128_000_000
    attempts: int = 6
    first_wait: float = 1
    patience: float = 900


class PostHogClient:
    """Questions to one project. May be used by several threads; `stop` ends all of them at their next step."""

    def __init__(self, host: str, api_key: str, project_id: str, limits: Limits = Limits()) -> None:
        try:
            self._origin = checked_origin(host)
        except NotAllowed as error:
            raise NotConfigured(f"POSTHOG_HOST: {error}") from error
        self._key, self._project, self._limits = api_key, project_id, limits
        self._own = threading.local()  # a session a thread
        self._patience, self._lock = limits.patience, threading.Lock()
        self.stop = threading.Event()

    def query(
        self, name: str, text: str, values: Mapping[str, object], columns: Sequence[str], meter: Meter
    ) -> list[list[Any]]:
        """The rows of a HogQL query. `name`: as PostHog's query log shows it.

        At most as many rows as the text's LIMIT: a full page may be cut. Never PostHog's cache of six hours.
        """
        question = {
            "kind": "HogQLQuery",
            "query": text,
            "values": dict(values),
            "modifiers": {"convertToProjectTimezone": False},
        }
        body = {"query": question, "refresh": "force_blocking", "name": name}
        return self._ask("POST", "query/", body, meter, lambda answer: _rows(answer, columns))

    def group_types(self, meter: Meter) -> dict[str, int]:
        """The project's group types and their indexes. Refused with 403 where the key lacks `group:read`."""
        return self._ask("GET", "groups_types/", None, meter, _group_types)

    def _ask(self, method: str, path: str, body: object, meter: Meter, read: Callable[[Any], T]) -> T:
        attempts = Retrying(
            retry=retry_if_exception_type(_Again),
            wait=self._wait,
            stop=stop_after_attempt(self._limits.attempts),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._once, method, path, body, meter, read)
        except _Again as error:
            raise Unavailable(
                f"PostHog did not answer in {self._limits.attempts} attempts: {error}. Look at its status page, and at"
                " the network between here and there. The next attempt begins where this one ended."
            ) from error

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome and state.outcome.exception()
        after = getattr(error, "after", None)
        return wait_random_exponential(self._limits.first_wait, max=60)(state) if after is None else float(after)

    def _sleep(self, seconds: float) -> None:
        with self._lock:
            self._patience -= seconds
            if self._patience < 0:
                raise Unavailable(
                    f"PostHog's failures took more than {self._limits.patience:.0f} s of waiting in this run. The next"
                    " attempt begins where this one ended."
                )
        self.stop.wait(seconds)

    def _once(self, method: str, path: str, body: object, meter: Meter, read: Callable[[Any], T]) -> T:
        if self.stop.is_set():
            raise Stopped("The run has ended.")
        meter.requests += 1
        url = f"{self._origin}/api/projects/{self._project}/{path}"
        end = time.monotonic() + self._limits.answer_seconds
        try:
            with self._session().request(
                method,
                url,
                data=orjson.dumps(body) if body is not None else None,
                headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
                timeout=(CONNECT_SECONDS, min(SILENCE_SECONDS, self._limits.answer_seconds)),
                allow_redirects=False,  # a redirected POST becomes a GET whose empty answer looks fine
                stream=True,
            ) as response:
                raw = self._body(response, end, meter)
                status, headers = response.status_code, response.headers
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _Again(f"{type(error).__name__} on the way") from error
        with suppress(ValueError):
            meter.scanned += int(headers.get("X-PostHog-Query-Bytes-Read", 0))
        if status != 200:
            raise self._failure(status, headers, raw)
        return read(_json(raw))

    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.trust_env = False  # no proxy and no .netrc that the settings do not name
        session: requests.Session = self._own.session
        return session

    def _body(self, response: requests.Response, end: float, meter: Meter) -> bytes:
        """All of the answer. `read1` hands over what has come: an answer of one byte a second is noticed."""
        parts, size = [], 0
        while part := response.raw.read1(CHUNK, decode_content=True):
            parts.append(part)
            size += len(part)
            meter.bytes += len(part)
            if size > self._limits.answer_bytes:
                raise TooMuch(f"PostHog's answer is longer than {self._limits.answer_bytes:,} bytes.")
            if time.monotonic() > end:
                raise _Again(f"the answer took longer than {self._limits.answer_seconds:.0f} s")
            if self.stop.is_set():
                raise Stopped("The run has ended.")
        return b"".join(parts)

    def _failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> Exception:
        """What an answer other than 200 means. By status and code, never by its words: those change."""
        code, detail = _said(raw)
        detail = detail.replace(self._key, "(the key)")[:SAID]  # whatever stands between may repeat the request
        after = _seconds(headers.get("Retry-After"))
        if status == 429 and (code == BUDGET_CODE or (after or 0) > LONGEST_WAIT):
            return OutOfBudget(
                "PostHog's read budget for queries is used up."
                f" It asks for {after or LONGEST_WAIT:.0f} s of patience; the days that are in stay.",
                after or LONGEST_WAIT,
            )
        if status in (504, 512):
            return TooMuch(f"PostHog gave up on a query that takes too long ({status}).")
        if status == 429 or status >= 500:
            return _Again(f"PostHog answered {status}", after)
        return Refused(f"{self._advice(status)}{detail and f' PostHog said: {detail}'}", status)

    def _advice(self, status: int) -> str:
        if 300 <= status < 400:
            return f"PostHog redirects ({status}): POSTHOG_HOST is not the address of its API."
        advice = {
            400: "PostHog refuses the query (400). The settings of events and groups may not suit the project;"
            " check_posthog tells.",
            401: "PostHog does not know the key (401). POSTHOG_API_KEY must be a personal API key (phx_…) that was not"
            " revoked; a project key (phc_…) can only send.",
            402: "PostHog's plan has no queries left (402). Raise its limit or wait for the next period.",
            403: "PostHog's key may not do this (403). Give it the scopes query:read and group:read, and access to"
            " the project.",
            404: f"PostHog has no project {self._project} for this key (404). Look at POSTHOG_PROJECT_ID, and whether"
            " POSTHOG_HOST is the right region.",
        }
        return advice.get(status, f"PostHog refuses the request ({status}).")


def connect() -> PostHogClient:
    """A client as the settings say. NotConfigured when there is no key or project."""
    missing = [name for name in ("POSTHOG_API_KEY", "POSTHOG_PROJECT_ID") if not getattr(settings, name)]
    if missing:
        raise NotConfigured(f"{' and '.join(missing)} must be set to pull from PostHog: see docs/posthog.md.")
    limits = Limits(
        answer_seconds=settings.POSTHOG_ANSWER_SECONDS,
        first_wait=settings.POSTHOG_RETRY_SECONDS,
        patience=settings.POSTHOG_PATIENCE_SECONDS,
    )
    return PostHogClient(settings.POSTHOG_HOST, settings.POSTHOG_API_KEY, settings.POSTHOG_PROJECT_ID, limits)


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)  # strict: no NaN, no halves of characters
    except orjson.JSONDecodeError as error:
        raise _Again(f"the answer is no JSON ({len(raw):,} bytes): {error.msg}") from error


def _rows(answer: Any, columns: Sequence[str]) -> list[list[Any]]:
    """`results`, if they are what was asked for; anything else comes from something between PostHog and us."""
    if not isinstance(answer, dict) or answer.get("error"):
        raise _Again("the answer holds an error instead of rows")
    rows = answer.get("results")
    if answer.get("columns") != list(columns) or not isinstance(rows, list):
        raise _Again("the answer's columns are not those that were asked for")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise _Again("the answer has rows of another shape")
    return rows


def _group_types(answer: Any) -> dict[str, int]:
    if not isinstance(answer, list):
        raise _Again("the list of group types is no list")
    found = {}
    for row in answer:
        name, index = (row.get("group_type"), row.get("group_type_index")) if isinstance(row, dict) else (None, None)
        if not isinstance(name, str) or type(index) is not int or not 0 <= index <= 4:
            raise _Again("the list of group types has a row of another shape")
        found[name] = index
    return found


def _said(raw: bytes) -> tuple[str, str]:
    """Code and detail of PostHog's one error shape; of a load balancer's page neither."""
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    code, detail = said.get("code"), said.get("detail")
    return (code if isinstance(code, str) else "", clean(detail) if isinstance(detail, str) else "")


def _seconds(text: str | None) -> float | None:
    """Retry-After in seconds; PostHog sends no dates."""
    return float(text) if text and text.isdecimal() and len(text) < 10 else None
