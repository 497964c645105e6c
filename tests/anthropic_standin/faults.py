"""What can go wrong with an answer. A fault meets one request: put as many into `api.faults` as there shall be."""

from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal

import orjson

Way = Literal["whole", "reset", "too short", "drip", "drip headers"]
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True)
class Fault:
    """A status and a body in the place of the answer; or the real answer, changed by `changes` and sent in this way.
    `gate`: it is not sent before this is set."""

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    way: Way = "whole"
    delay: float = 0
    gate: Event | None = None


def error(status: int, message: str = "A fault of the stand-in.", **headers: str) -> Fault:
    shape = {"type": "error", "error": {"type": TYPES.get(status, "api_error"), "message": message}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status, orjson.dumps(shape), {"Content-Type": "application/json", **named})


def says(text: str, **changes: Any) -> Fault:
    """A text of this test's own."""
    return Fault(changes={"content": [{"type": "text", "text": text}], **changes})


SLOW = Fault(delay=30)
DRIP = Fault(way="drip")
DRIP_HEADERS = Fault(way="drip headers")
RESET = Fault(way="reset")
TRUNCATED = Fault(way="too short")
BAD_JSON = Fault(body=b'{"id": "msg_1", "content": [', headers={"Content-Type": "application/json"})
HTML = Fault(body=b"<html><h1>Welcome</h1></html>", headers={"Content-Type": "text/html"})
NO_MESSAGE = Fault(body=b'{"id": "x"}', headers={"Content-Type": "application/json"})
A_LIST = Fault(body=b"[1, 2]", headers={"Content-Type": "application/json"})
HUGE = Fault(body=b'{"id": "' + b"x" * 1_200_000 + b'"}', headers={"Content-Type": "application/json"})
PACKED = Fault(body=b"\x1f\x8b\x08", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
REDIRECT = Fault(status=307, body=b"", headers={"Location": "http://127.0.0.1:1/"})
MISSING_FIELDS = Fault(without=("stop_reason", "usage", "role", "type"))
EMPTY = Fault(changes={"content": []})
REFUSAL = Fault(changes={"content": [], "stop_reason": "refusal"})
UNKNOWN_BLOCK = Fault(
    changes={"content": [{"type": "hologram", "data": 1}, {"type": "text", "text": "Score 70."}, {"type": "thinking"}]}
)
ONLY_UNKNOWN = Fault(changes={"content": [{"type": "hologram", "data": 1}]})
