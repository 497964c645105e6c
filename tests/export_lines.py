"""Lines and files of a PostHog batch export for tests: a test says only what it is about."""

import gzip
import json
from pathlib import Path
from typing import Any

PERSON = "018f3c5e-1111-7222-8333-00000000000{}"


def event(
    account: Any = "acme.example",
    at: str = "2026-11-20T10:00:00Z",
    name: str = "page_view",
    path: str = "/pricing",
    person: int = 1,
    **properties: Any,
) -> dict[str, Any]:
    """One event; `account` is its company group, None for no group at all."""
    groups = {} if account is None else {"$groups": {"company": account}}
    return {
        "event": name,
        "distinct_id": f"visitor-{person}",
        "timestamp": at,
        "person_id": PERSON.format(person),
        "properties": {"$pathname": path, **groups, **properties},
    }


def write(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    """A file of these events (or raw lines), gzip when it is called so."""
    content = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
