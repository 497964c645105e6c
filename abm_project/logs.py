"""How a log line is written: as a line or as JSON, with the ids of its request and run, and never with a secret.

Secrets are taken out of the finished text, tracebacks included: whatever a library puts into its message, what the
settings know as a secret, and what looks like one, does not get out (reliability 27).
"""

import json
import logging
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings

from abm_project.request_ids import current as current_request
from scoring.run_ids import current as current_run

HIDDEN = "(hidden)"
SHORTEST = 6  # characters of a secret; a shorter one would take ordinary words apart
SECRETS = (
    *("SECRET_KEY", "ERASURE_KEY", "POSTHOG_API_KEY", "ANTHROPIC_API_KEY", "METRICS_TOKEN"),
    *("EMAIL_HOST_PASSWORD", "LEAD_SECRETS"),
)
# What stands before a secret stays: a reader sees that there was one.
LOOKS_SECRET = re.compile(
    r"(?P<before>(?i:bearer|basic|authorization:\s*token)\s+|(?i:password|passwd|secret|api[_-]?key|token)['\"]?\s*[=:]\s*['\"]?"
    r"|://[^\s/:@]{0,99}:|hooks\.slack\.com/services/)[^\s'\"&,;@)]{6,}"
    r"|\b(?:ph[cx]_|sk-ant-)[\w-]{6,}"
)
LONGEST = 20_000  # characters of a line: a flood of one message is cut, not the disk filled


@lru_cache(maxsize=1)
def known_secrets() -> re.Pattern[str] | None:
    """Values that the settings hold, also as they stand in an address. Longest first."""
    long = sorted(secret_values(settings), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, long))) if long else None


def secret_values(source: Any) -> set[str]:
    found: set[str] = set()
    for name in SECRETS:
        value = getattr(source, name, None) or ""
        found |= {value} if isinstance(value, str) else set(value)
    found |= {str(config.get("PASSWORD") or "") for config in source.DATABASES.values()}
    found |= {urlsplit(url).password or "" for url in (source.REDIS_URL, source.EMAIL_URL)}
    found |= {quote(secret, safe="") for secret in found}
    return {secret for secret in found if len(secret) >= SHORTEST}


def redact(text: str) -> str:
    known = known_secrets()
    text = known.sub(HIDDEN, text) if known else text
    return LOOKS_SECRET.sub(lambda found: f"{found['before'] or ''}{HIDDEN}", text)


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters)"


class LineFormatter(logging.Formatter):
    """`2026-11-26 02:03:04,005 WARNING scoring.jobs [request run] message`."""

    def format(self, record: logging.LogRecord) -> str:
        record.ids = f"{current_request.get()} {current_run.get()}"
        return redact(cut(super().format(record)))


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, request_id, run_id, message, and trace where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "request_id": current_request.get(),
            "run_id": current_run.get(),
            "message": redact(cut(record.getMessage())),
        }
        if record.exc_info:
            said["trace"] = redact(cut(self.formatException(record.exc_info)))
        return json.dumps({name: value for name, value in said.items() if value != "-"}, ensure_ascii=False)
