"""The tables behind the stand-in, in an embedded ClickHouse.

One process per directory, one query at a time: chdb keeps its output in one place, and a query that fails half-way
leaves a part of its own there, which the next one would return as its result.
"""

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from chdb import session

from tests.posthog_standin.problems import Problem, not_reproduced, too_slow

_GROUPS = ", ".join(f"`$group_{index}` String" for index in range(5))
TABLES = {
    "events": (
        "uuid UUID, event String, timestamp DateTime64(6, 'UTC'), created_at DateTime64(6, 'UTC'),"
        " distinct_id String, person_id UUID, properties String, person_properties String, `$session_id` String,"
        f" {_GROUPS}, elements_chain String, person_mode String",
        "(toDate(timestamp), event)",
    ),
    "persons": ("id UUID, properties String, created_at DateTime64(6, 'UTC'), is_identified Bool", "id"),
    "groups": ("`index` UInt8, key String, properties String, created_at DateTime64(6, 'UTC')", "(`index`, key)"),
}
SETTINGS = "output_format_json_quote_64bit_integers = 0, output_format_json_validate_utf8 = 1, max_threads = 2"
USER_ERRORS = {
    6: "cannot_parse_text", 41: "cannot_parse_datetime", 42: "number_of_arguments_doesnt_match",
    43: "illegal_type_of_argument", 47: "unknown_identifier", 48: "not_implemented", 53: "type_mismatch",
    62: "syntax_error", 69: "argument_out_of_bound", 70: "cannot_convert_type", 153: "illegal_division",
    184: "illegal_aggregation", 215: "not_an_aggregate", 386: "no_common_type", 427: "cannot_compile_regexp",
}  # fmt: skip
TIMEOUT, MEMORY, TOO_SLOW, UNKNOWN_FUNCTION = 159, 241, 160, 46


@dataclass(frozen=True)
class Rows:
    rows: list[list[Any]]
    types: list[str]
    read_bytes: int


class Warehouse:
    def __init__(self, directory: Path) -> None:
        self._lock = threading.Lock()
        self._inbox = directory / "inbox.jsonl"
        self._session = session.Session(str(directory / "clickhouse"))
        self._execute("CREATE DATABASE warehouse ENGINE = Atomic")
        for name, (columns, order) in TABLES.items():
            self._execute(f"CREATE TABLE warehouse.{name} ({columns}) ENGINE = MergeTree ORDER BY {order}")
        self._execute("USE warehouse")

    def empty(self) -> None:
        with self._lock:
            for name in TABLES:
                self._execute(f"TRUNCATE TABLE warehouse.{name}")

    def insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        with self._lock:
            self._insert(table, rows)

    def replace(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        with self._lock:
            self._execute(f"TRUNCATE TABLE warehouse.{table}")
            self._insert(table, rows)

    def _insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        with self._inbox.open("wb") as file:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        if self._inbox.stat().st_size:
            columns = TABLES[table][0].replace("'", "\\'")
            self._execute(
                f"INSERT INTO warehouse.{table} SELECT * FROM file('{self._inbox}', 'JSONEachRow', '{columns}')"
            )

    def select(self, sql: str, seconds: float) -> Rows:
        """The rows as PostHog's JSON has them; Problem when ClickHouse fails."""
        with self._lock:
            answer = orjson.loads(self._execute(f"{sql} SETTINGS {SETTINGS}, max_execution_time = {seconds}"))
        types = [column["type"] for column in answer["meta"]]
        rows = answer["data"]
        for index, convert in enumerate(map(converter, types)):
            if convert:
                for row in rows:
                    row[index] = convert(row[index])
        return Rows(rows, types, answer["statistics"]["bytes_read"])

    def _execute(self, sql: str) -> bytes:
        try:
            answer = self._session.query(sql, "JSONCompact")
        except RuntimeError as error:
            self._session.query("SELECT 1", "JSONCompact")  # takes away what the failed one left
            raise problem(str(error)) from error
        return answer.bytes()


def problem(message: str) -> Problem:
    found = re.search(r"Code: (\d+)\.", message)
    code = int(found[1]) if found else 0
    if code in (TIMEOUT, MEMORY):
        return too_slow(504)
    if code == TOO_SLOW:
        return too_slow(512)
    if code == UNKNOWN_FUNCTION:
        return not_reproduced(f"a function that its ClickHouse lacks: {message}")
    if code in USER_ERRORS:
        return Problem(400, "validation_error", USER_ERRORS[code], message)
    return Problem(500, "server_error", "error", f"ClickHouse error while executing query. ({message})")


Convert = Callable[[Any], Any]


def converter(type_name: str) -> Convert | None:
    """How a value of this ClickHouse type becomes PostHog's JSON; None when it is that already."""
    name, _, rest = type_name.partition("(")
    inner = split_types(rest[:-1]) if rest else []
    if name in ("DateTime", "DateTime64"):
        zone = ZoneInfo(inner[-1].strip("'")) if inner and inner[-1].startswith("'") else UTC
        return lambda value: value and _iso(value, zone)
    if name in ("Nullable", "LowCardinality"):
        return converter(inner[0])
    if name == "Array":
        one = converter(inner[0])
        return (lambda value: [one(item) for item in value]) if one else None
    if name == "Tuple":
        each = [converter(item.rpartition("` ")[2]) for item in inner]
        if any(each):
            return lambda value: [one(item) if one else item for one, item in zip(each, value, strict=True)]
    return None


def split_types(text: str) -> list[str]:
    """`String, Array(DateTime)` at its outer commas."""
    depth, parts = 0, [""]
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _iso(text: str, zone: Any) -> str:
    return datetime.fromisoformat(text).replace(tzinfo=zone).isoformat().replace("+00:00", "Z")
