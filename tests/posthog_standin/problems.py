"""PostHog's errors: a status and `{"type", "code", "detail", "attr"}`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(eq=False)
class Problem(Exception):
    status: int
    type: str
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, str | None]:
        return {"type": self.type, "code": self.code, "detail": self.detail, "attr": None}


def refused(detail: str) -> Problem:
    """HogQL that PostHog does not take."""
    return Problem(400, "validation_error", "invalid_input", detail)


def malformed(detail: str) -> Problem:
    return Problem(400, "invalid_request", "parse_error", detail)


def not_reproduced(what: str) -> Problem:
    """PostHog may well answer this; the stand-in does not know how, and says so instead of guessing."""
    return Problem(501, "server_error", "not_reproduced_by_the_standin", f"The stand-in does not reproduce {what}.")


def throttled(seconds: int) -> Problem:
    return Problem(
        429, "throttled_error", "throttled",
        f"Request was throttled. Expected available in {seconds} seconds.", {"Retry-After": str(seconds)},
    )  # fmt: skip


def too_slow(status: int) -> Problem:
    detail = {
        504: "Query has hit the max execution time before completing. Try a shorter time range.",
        512: "Query is estimated to be too slow. Try a shorter time range.",
    }[status]
    return Problem(status, "server_error", "error", detail)
