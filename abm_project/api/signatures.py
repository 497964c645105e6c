"""Is this post from somebody who knows a secret? Pure: the clock is an argument."""

import hashlib
import hmac
from collections.abc import Sequence

TOLERANCE = 300  # seconds between the signer's clock and ours
TIME_DIGITS = 12


def signature(secret: str, timestamp: int, raw: bytes) -> str:
    """The `v1` of `X-Orbit-Signature: t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of `t.rawbody`."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + raw, hashlib.sha256).hexdigest()


def is_signed(header: str, raw: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether the header signs these bytes with one of the secrets, not longer ago than TOLERANCE. Several `v1` may
    stand beside each other while a secret is rotated."""
    parts = [part.strip().partition("=") for part in header.split(",")[:10]]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= TIME_DIGITS):
        return False
    timestamp = int(times[0])
    known = [signature(secret, timestamp, raw) for secret in secrets]
    matches = [equal(value, right) for value in given for right in known]
    return any(matches) and abs(now - timestamp) <= TOLERANCE


def is_secret(text: str, secrets: Sequence[str]) -> bool:
    matches = [equal(text, secret) for secret in secrets]  # all of them: the time says nothing
    return any(matches)


def equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
