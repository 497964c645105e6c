"""The project behind the stand-in: who may ask, what a query's body may hold, its answer, and the cache."""

import hashlib
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from tests.posthog_standin.hogql import Compiled, Dialect, compile_query
from tests.posthog_standin.intake import Intake
from tests.posthog_standin.limits import Limits, Throttle
from tests.posthog_standin.problems import Problem, malformed, too_slow
from tests.posthog_standin.warehouse import Rows, Warehouse

ASYNC = ("async", "lazy_async", "force_async")
FORCED = ("force_blocking", "force_async")
REFRESH = (*ASYNC, "blocking", "force_blocking", "force_cache")
BODY_KEYS = {"query", "refresh", "name", "client_query_id"}
QUERY_KEYS = {"kind", "query", "values", "modifiers"}
MODIFIER_KEYS = {"convertToProjectTimezone"}
NAME_LENGTH = 128
CACHED_AT_MOST = 200  # answers


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    rows: int | None = None
    read_bytes: int = 0


class Project:
    def __init__(self, directory: Path, id: int, api_key: str, project_key: str) -> None:
        self.id, self.api_key, self.project_key = id, api_key, project_key
        self.warehouse = Warehouse(directory)
        self._writing = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """As new."""
        self.timezone = "UTC"
        self.scopes = {"query:read", "group:read"}
        self.limits = Limits()
        self.throttle = Throttle(self.limits)
        with self._writing:
            self.warehouse.empty()
            self.intake = Intake(self.warehouse)
        self._cache: dict[str, tuple[float, dict[str, Any]]] = {}
        self._finished: dict[str, dict[str, Any]] = {}

    def authorize(self, authorization: str | None, project_id: str, scope: str) -> None:
        if not authorization:
            detail = "Authentication credentials were not provided."
            raise Problem(401, "authentication_error", "not_authenticated", detail)
        if authorization != f"Bearer {self.api_key}":
            detail = "Personal API key found in request Authorization header is invalid."
            raise Problem(401, "authentication_error", "authentication_failed", detail)
        if project_id != str(self.id):
            raise Problem(404, "invalid_request", "not_found", "Project not found.")
        if scope not in self.scopes:
            detail = f"API key missing required scope '{scope}'"
            raise Problem(403, "authentication_error", "permission_denied", detail)

    def set(self, settings: dict[str, Any]) -> None:
        for name, value in settings.items():
            if name == "scopes":
                self.scopes = set(value)
            elif name == "timezone":
                self.timezone = value
            elif name == "group_types":
                self.intake.group_types.clear()
                for group_type, since in value.items():
                    self.intake.group_index(group_type, since and datetime.fromisoformat(since))
            elif hasattr(self.limits, name):
                setattr(self.limits, name, value)
            else:
                raise malformed(f"There is no setting {name!r}")

    def capture(self, events: list[dict[str, Any]]) -> None:
        with self._writing:
            self.intake.capture(events)

    def group_types(self) -> list[dict[str, Any]]:
        unused = ("name_singular", "name_plural", "detail_dashboard", "default_columns")
        return [
            {
                "group_type": known.name,
                "group_type_index": known.index,
                **dict.fromkeys(unused),
                "created_at": known.created_at and _iso(known.created_at),
            }
            for known in self.intake.group_types
        ]

    # --- Queries ------------------------------------------------------------------------------------------------------
    def query(self, body: Mapping[str, Any]) -> Answer:
        """The answer to a valid body."""
        if body.get("refresh") in ASYNC:
            return self._start(body)
        return self._answer(body)

    def _start(self, body: Mapping[str, Any]) -> Answer:
        """PostHog goes on without the caller; here it is finished when the caller first asks."""
        id = str(body.get("client_query_id") or uuid.uuid4())
        status = {
            "id": id, "team_id": self.id, "query_async": True, "complete": False, "error": False,
            "error_message": None, "results": None, "start_time": _iso(datetime.now(UTC)),
        }  # fmt: skip
        try:
            done = {"complete": True, "results": self._answer(body).body}
        except Problem as problem:
            done = {"complete": True, "error": True, "error_message": problem.detail if problem.status < 500 else None}
        self._finished[id] = {**status, **done}
        return Answer(202, {"query_status": status})

    def finished(self, id: str) -> Answer:
        if id not in self._finished:
            raise Problem(404, "invalid_request", "not_found", f"Query {id} not found")
        status = self._finished[id]
        code = 200 if not status["error"] else 400 if status["error_message"] else 500
        return Answer(code, {"query_status": status})

    def cancel(self, id: str) -> Answer:
        self._finished.pop(id, None)
        return Answer(204, None)

    def _answer(self, body: Mapping[str, Any]) -> Answer:
        query = body["query"]
        key = hashlib.sha256(orjson.dumps([query, self.timezone], option=orjson.OPT_SORT_KEYS)).hexdigest()
        if body.get("refresh") not in FORCED and key in self._cache:
            stored_at, cached = self._cache[key]
            if time.monotonic() - stored_at < self.limits.cache_seconds:
                return Answer(200, {**cached, "is_cached": True}, self._budget_headers(0), len(cached["results"]))
        self.throttle.require_budget()
        compiled = self._compile(query)
        with self.throttle.slot():
            time.sleep(self.limits.query_delay)
            if compiled.range_seconds > (self.limits.longest_range_seconds or float("inf")):
                raise too_slow(self.limits.longest_range_status)
            with self._writing:
                self.intake.settle()
            rows = self.warehouse.select(compiled.sql, self.limits.execution_seconds)
        self.throttle.debit(rows.read_bytes)
        answer = self._shape(query, key, compiled, rows)
        self._remember(key, answer)
        headers = self._budget_headers(rows.read_bytes)
        return Answer(200, answer, headers, len(answer["results"]), rows.read_bytes)

    def _remember(self, key: str, answer: dict[str, Any]) -> None:
        with self._writing:
            self._cache[key] = (time.monotonic(), answer)
            if len(self._cache) > CACHED_AT_MOST:
                del self._cache[next(iter(self._cache))]

    def _compile(self, query: Mapping[str, Any]) -> Compiled:
        in_project_zone = (query.get("modifiers") or {}).get("convertToProjectTimezone") is not False
        dialect = Dialect(
            self.timezone if in_project_zone else "UTC",
            tuple(self.intake.group_types),
            self.limits.default_limit,
            self.limits.max_limit,
        )
        return compile_query(query["query"], query.get("values") or {}, dialect)

    def _budget_headers(self, read_bytes: int) -> dict[str, str]:
        headers = {"X-PostHog-Query-Bytes-Read": str(read_bytes)}
        left = self.throttle.budget_left()
        if left is not None:
            headers["X-PostHog-Query-Budget-Remaining-Bytes"] = str(max(0, left))
        return headers

    def _shape(self, query: Mapping[str, Any], key: str, compiled: Compiled, rows: Rows) -> dict[str, Any]:
        now = datetime.now(UTC)
        unlimited = not compiled.limited
        unused = ("error", "explain", "metadata", "query_status", "resolved_date_range", "calculation_trigger")
        return {
            "results": rows.rows[: compiled.limit],
            "columns": list(compiled.columns),
            "types": [list(pair) for pair in zip(compiled.columns, rows.types, strict=True)],
            "hasMore": len(rows.rows) > compiled.limit if unlimited else None,
            "limit": compiled.limit if unlimited else None,
            "offset": 0 if unlimited else None,
            "query": query["query"],
            "hogql": query["query"],
            "clickhouse": compiled.sql,
            "timings": [],
            "modifiers": query.get("modifiers") or {},
            "is_cached": False,
            "cache_key": f"cache_{self.id}_{key[:32]}",
            "cache_target_age": None,
            "last_refresh": _iso(now),
            "next_allowed_client_refresh": _iso(now + timedelta(minutes=1)),
            "timezone": self.timezone,
            **dict.fromkeys(unused),
        }


def validated(raw: bytes) -> dict[str, Any]:
    """The body of a query, checked as strictly as PostHog's models do."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise malformed(f"JSON parse error - {error}") from error
    _only(body, BODY_KEYS, "body")
    query = body.get("query")
    _only(query, QUERY_KEYS, "query")
    _require(query.get("kind") == "HogQLQuery", "query.kind: Input should be 'HogQLQuery'")
    _require(isinstance(query.get("query"), str), "query.query: Input should be a valid string")
    _require(isinstance(query.get("values"), dict | None), "query.values: Input should be a valid dictionary")
    modifiers = query.get("modifiers")
    if modifiers is not None:
        _only(modifiers, MODIFIER_KEYS, "query.modifiers")
        _require(all(isinstance(value, bool | None) for value in modifiers.values()), "modifiers: not a boolean")
    _require(body.get("refresh", "blocking") in REFRESH, f"refresh: Input should be one of {', '.join(REFRESH)}")
    name = body.get("name")
    _require(name is None or (isinstance(name, str) and len(name) <= NAME_LENGTH), "name: at most 128 characters")
    _require(isinstance(body.get("client_query_id"), str | None), "client_query_id: Input should be a valid string")
    return body


def _only(value: Any, known: set[str], where: str) -> None:
    _require(isinstance(value, dict), f"{where}: Input should be an object")
    extra = sorted(set(value) - known)
    _require(not extra, f"{where}: Extra inputs are not permitted: {', '.join(extra)}")


def _require(held: bool, otherwise: str) -> None:
    if not held:
        raise malformed(otherwise)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
