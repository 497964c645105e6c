"""What can be made to go wrong with an answer, and with which one.

    posthog.faults.add(faults.throttled(retry_after=2))
    posthog.faults.add(faults.answer(503), name="abm_rollup", nth=2, times=3)

`name` is the beginning of the request's name, `path` and `contains` a part of its path and of its query text; `nth`
lets the first matching requests pass; `times` is how many it meets after that, 0 for all.
"""

import struct
import threading
import zlib
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal

import orjson

from tests.posthog_standin.problems import Problem

Way = Literal["whole", "dropped", "dropped after headers", "too short", "cut off", "drip", "gzip bomb"]
Edit = Literal["", "nan", "wrong columns", "wrong types", "rows not arrays"]


@dataclass(frozen=True)
class Fault:
    """Without a status the real answer is computed, then edited and sent in this way."""

    status: int | None = None
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    way: Way = "whole"
    edit: Edit = ""
    delay: float = 0
    capture: list[dict[str, Any]] = field(default_factory=list)


CODES = {
    400: ("validation_error", "invalid_input"), 401: ("authentication_error", "authentication_failed"),
    402: ("server_error", "quota_limit_exceeded"), 403: ("authentication_error", "permission_denied"),
    404: ("invalid_request", "not_found"), 429: ("throttled_error", "throttled"),
}  # fmt: skip


def answer(status: int, body: str | None = None, *, code: str = "", **headers: str) -> Fault:
    """An error in PostHog's shape, or the body given. An underscore in a header's name stands for a hyphen."""
    type_, usual = CODES.get(status, ("server_error", "error"))
    shape = Problem(status, type_, code or usual, "A fault of the stand-in.").as_json()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = orjson.dumps(shape).decode() if body is None else body
    return Fault(status, body, {"Content-Type": "application/json", **named})


def throttled(retry_after: int | None = None, code: str = "throttled") -> Fault:
    return answer(429, code=code) if retry_after is None else answer(429, code=code, Retry_After=str(retry_after))


def budget_exceeded(retry_after: int = 3600) -> Fault:
    return throttled(retry_after, "api_queries_budget_exceeded")


def html(status: int = 200) -> Fault:
    """A load balancer's or a proxy's page."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return answer(status, page, Content_Type="text/html")


def redirect(location: str) -> Fault:
    return answer(302, "", Location=location)


def empty() -> Fault:
    return answer(200, "")


def dropped(after_headers: bool = False) -> Fault:
    """The connection ends without an answer."""
    return Fault(way="dropped after headers" if after_headers else "dropped")


def truncated(with_length: bool = True) -> Fault:
    """The first half of the real answer: Content-Length promises the whole, or there is none."""
    return Fault(way="too short" if with_length else "cut off")


def drip() -> Fault:
    """The real answer, one byte a second."""
    return Fault(way="drip")


def gzip_bomb() -> Fault:
    """200 kB that unpack to 200 MB of valid JSON."""
    return Fault(way="gzip bomb")


def edited(edit: Edit) -> Fault:
    """The real answer with something wrong inside: nan, wrong columns, wrong types, rows not arrays."""
    return Fault(edit=edit)


def delayed(seconds: float) -> Fault:
    return Fault(delay=seconds)


def meanwhile(*events: dict[str, Any]) -> Fault:
    """These events arrive before the real answer is computed."""
    return Fault(capture=list(events))


@dataclass
class Queued:
    fault: Fault
    name: str = ""
    path: str = ""
    contains: str = ""
    nth: int = 1
    times: int = 1

    def matches(self, name: str, path: str, text: str) -> bool:
        return name.startswith(self.name) and self.path in path and self.contains in text


class Queue:
    """The faults to come. The first that matches a request meets it."""

    def __init__(self) -> None:
        self._queued: list[Queued] = []
        self._lock = threading.Lock()

    def add(self, queued: Queued) -> None:
        with self._lock:
            self._queued.append(queued)

    def clear(self) -> None:
        with self._lock:
            self._queued.clear()

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(queued) for queued in self._queued]

    def take(self, name: str, path: str, text: str) -> Fault | None:
        with self._lock:
            for queued in [queued for queued in self._queued if queued.matches(name, path, text)]:
                if queued.nth > 1:
                    queued.nth -= 1
                    continue
                if queued.times == 1:
                    self._queued.remove(queued)
                elif queued.times > 1:
                    queued.times -= 1
                return queued.fault
        return None


def edited_body(answer: dict[str, Any], edit: Edit) -> dict[str, Any] | bytes:
    if edit == "nan":
        return orjson.dumps({**answer, "results": [["a NaN"]]}).replace(b'"a NaN"', b"NaN")
    if edit == "wrong columns":
        return {**answer, "columns": [f"other_{name}" for name in reversed(answer.get("columns") or [])]}
    if edit == "wrong types":
        return {**answer, "results": [[{"not": "a value"} for _ in row] for row in answer.get("results") or [[0]]]}
    if edit == "rows not arrays":
        return {**answer, "results": ["a row" for _ in answer.get("results") or [0]]}
    return answer


@cache
def bomb() -> bytes:
    """gzip of an answer whose one cell holds 200 million spaces."""
    spaces, packer = b" " * 1_000_000, zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    start, end = b'{"results":[["', b'"]],"columns":["a"]}'
    packed = [packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH) for part in (start, spaces)]
    deflated = packed[0] + packed[1] * 200 + packer.compress(end) + packer.flush()  # packed once: 200 take a second
    checksum = zlib.crc32(start)
    for _ in range(200):
        checksum = zlib.crc32(spaces, checksum)
    size = len(start) + 200 * len(spaces) + len(end)
    return bytes.fromhex("1f8b08000000000000ff") + deflated + struct.pack("<II", zlib.crc32(end, checksum), size)
