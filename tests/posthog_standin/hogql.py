"""HogQL text into ClickHouse SQL: PostHog's own parser, and a printer for the part of HogQL that one SELECT over
events, persons, groups or a subquery needs.

The printer follows PostHog's: `timestamp` in the project's time zone, properties as raw JSON without the outer quotes,
comparisons that are never NULL, group columns blank before their type existed. What it does not know it refuses with a
501, never with a guess.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from tests.posthog_standin import functions
from tests.posthog_standin.problems import not_reproduced, refused


def _parser() -> ModuleType:
    """The parser looks for PostHog's exception classes in PostHog's source tree; it gets them here."""
    names = ("posthog", "posthog.hogql", "posthog.hogql.errors")
    stubs = {name: ModuleType(name) for name in names}
    for error in ("BaseHogQLError", "ExposedHogQLError", "InternalHogQLError", "SyntaxError", "ParsingError"):
        setattr(stubs[names[-1]], error, type(error, (Exception,), {}))
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(stubs)
    try:
        return __import__("hogql_parser")
    finally:
        for name, module in before.items():  # the SDK is called posthog too
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


hogql_parser = _parser()
_parsing = threading.Lock()

Node = dict[str, Any]

EVENT_COLUMNS = frozenset(
    {"uuid", "event", "distinct_id", "person_id", "properties", "$session_id", "elements_chain", "person_mode"}
    | {"timestamp", "created_at"} | {f"$group_{index}" for index in range(5)}
)  # fmt: skip
COLUMNS: Mapping[str, frozenset[str]] = {
    "events": EVENT_COLUMNS,
    "persons": frozenset({"id", "properties", "created_at", "is_identified"}),
    "groups": frozenset({"index", "key", "properties", "created_at"}),
}
TIMES = frozenset({"timestamp", "created_at"})
COMPARISONS = {
    "==": ("equals", 0), "!=": ("notEquals", 1), "<": ("less", 0), "<=": ("lessOrEquals", 0), ">": ("greater", 0),
    ">=": ("greaterOrEquals", 0), "like": ("like", 0), "ilike": ("ilike", 0), "not like": ("notLike", 1),
    "not ilike": ("notILike", 1), "in": ("in", 0), "not in": ("notIn", 0), "=~": ("match", 0),
}  # fmt: skip
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
ARITHMETIC = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}


@dataclass(frozen=True)
class GroupType:
    name: str
    index: int
    created_at: datetime | None


@dataclass(frozen=True)
class Dialect:
    """What the printed SQL depends on beside the text."""

    timezone: str
    group_types: tuple[GroupType, ...]
    default_limit: int
    max_limit: int


@dataclass(frozen=True)
class Compiled:
    sql: str
    columns: tuple[str, ...]
    limited: bool  # it has a LIMIT of its own
    limit: int
    range_seconds: float  # the time between the bounds of `timestamp`; infinite without two


class Sql(NamedTuple):
    """A printed expression."""

    text: str
    nullable: bool = False
    is_time: bool = False
    instant: datetime | None = None


@dataclass
class Scope:
    """What names mean inside one SELECT."""

    table: str  # "" for a subquery
    alias: str
    columns: Mapping[str, Sql]
    aliases: dict[str, Sql] = field(default_factory=dict)


def compile_query(text: str, values: Mapping[str, Any], dialect: Dialect) -> Compiled:
    """Problem when PostHog would refuse the text, or when the stand-in cannot tell."""
    return _Printer(text, values, dialect).top(parse(text))


@lru_cache(maxsize=500)
def parse(text: str) -> Node:
    with _parsing:
        tree = orjson.loads(hogql_parser.parse_select_json(text))
    if tree.get("error"):
        raise refused(tree["message"])
    return tree


def literal(value: Any) -> str:
    """A constant in ClickHouse SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    raise refused(f"A value of type {type(value).__name__} is no constant")


def instant(moment: datetime) -> str:
    return f"toDateTime64('{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def property_of(column: str, keys: list[str]) -> Sql:
    path = ", ".join(map(literal, keys))
    raw = f"nullIf(nullIf(JSONExtractRaw({column}, {path}), ''), 'null')"
    return Sql(f"replaceRegexpAll({raw}, '^\"|\"$', '')", nullable=True)


def nodes(tree: Any) -> Iterator[Node]:
    """Every node of a parsed query."""
    if isinstance(tree, dict):
        if "node" in tree:
            yield tree
        for child in tree.values():
            yield from nodes(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from nodes(child)


class _Printer:
    def __init__(self, text: str, values: Mapping[str, Any], dialect: Dialect) -> None:
        self.source, self.values, self.dialect = text, values, dialect
        self.scopes: list[Scope] = []
        self.arguments: list[str] = []  # of the lambdas around
        self.filtering = False
        self.bounds: dict[str, datetime] = {}

    # --- SELECT -------------------------------------------------------------------------------------------------------
    def top(self, tree: Node) -> Compiled:
        if any(node.get("offset") or node.get("offset_value") for node in nodes(tree)):
            raise refused("OFFSET is not supported in API queries. Filter by a sort key instead.")
        limit = tree.get("limit")
        allowed = self.dialect.default_limit
        if limit is not None:
            allowed = min(self._number(limit), self.dialect.max_limit)
        sql, columns = self.select(tree, limit=allowed if limit is not None else allowed + 1)
        seconds = float("inf")
        if len(self.bounds) == 2:
            seconds = (self.bounds["to"] - self.bounds["from"]).total_seconds()
        return Compiled(sql, tuple(columns), limit is not None, allowed, seconds)

    def select(self, tree: Node, limit: int | None = None) -> tuple[str, dict[str, Sql]]:
        self._refuse_unknown_clauses(tree)
        source = self._source(tree.get("select_from"))
        selected, columns = [], {}
        for item in tree["select"]:
            name, sql = self._column(item)
            selected.append(f"{sql.text} AS {identifier(name)}")
            columns[name] = sql
        parts = ["SELECT DISTINCT" if tree.get("distinct") else "SELECT", ", ".join(selected), source]
        if tree.get("where"):
            self.filtering, before = True, self.filtering
            parts.append(f"WHERE {self.print(tree['where']).text}")
            self.filtering = before
        if tree.get("group_by"):
            parts.append("GROUP BY " + self._list(tree["group_by"]))
        if tree.get("having"):
            parts.append(f"HAVING {self.print(tree['having']).text}")
        if tree.get("order_by"):
            parts.append("ORDER BY " + ", ".join(map(self._order, tree["order_by"])))
        if tree.get("limit_by"):
            per = tree["limit_by"]
            parts.append(f"LIMIT {self._number(per['n'])} BY {self._list(per['exprs'])}")
        if limit is None and tree.get("limit"):
            limit = self._number(tree["limit"])
        if limit is not None:
            parts.append(f"LIMIT {limit}")
        self.scopes.pop()
        return " ".join(filter(None, parts)), columns

    def _refuse_unknown_clauses(self, tree: Node) -> None:
        if tree["node"] != "SelectQuery":
            raise not_reproduced("UNION")
        for clause in ("ctes", "prewhere", "qualify", "window_exprs", "array_join_op", "limit_with_ties"):
            if tree.get(clause):
                raise not_reproduced(clause)
        if tree.get("group_by_mode") not in (None, ""):
            raise not_reproduced(f"GROUP BY {tree['group_by_mode']}")

    def _source(self, join: Node | None) -> str:
        if join is None:
            self.scopes.append(Scope("", "", {}))
            return ""
        if join.get("next_join") or join.get("sample") or join.get("table_final"):
            raise not_reproduced("JOIN, SAMPLE and FINAL")
        table, alias = join["table"], join.get("alias") or ""
        if table["node"] == "Field":
            name = ".".join(map(str, table["chain"]))
            if name not in COLUMNS:
                raise refused(f"Unknown table `{name}`.")
            self.scopes.append(Scope(name, alias or name, {}))
            return f"FROM {name} AS {identifier(alias or name)}"
        sql, columns = self.select(table)
        self.scopes.append(Scope("", alias, columns))
        return f"FROM ({sql})" + (f" AS {identifier(alias)}" if alias else "")

    def _column(self, item: Node) -> tuple[str, Sql]:
        if item["node"] == "Alias":
            return item["alias"], self._alias_of(item)
        if item["node"] == "Field":
            if item["chain"][-1] == "*":
                raise not_reproduced("SELECT *")
            return str(item["chain"][-1]), self.print(item)
        return self.source[item["start"]["offset"] : item["end"]["offset"]], self.print(item)

    def _alias_of(self, node: Node) -> Sql:
        """Print what it stands for; from here on the name means this."""
        sql, alias, scope = self.print(node["expr"]), node["alias"], self.scopes[-1]
        known = COLUMNS[scope.table] if scope.table else scope.columns
        if alias in known and node["expr"].get("chain", [None])[-1] != alias:
            raise not_reproduced(f"the alias {alias!r}, which is also a column's name")
        scope.aliases[alias] = sql._replace(text=identifier(alias))
        return sql

    def _order(self, node: Node) -> str:
        if node.get("nulls") or node.get("with_fill"):
            raise not_reproduced("NULLS FIRST and WITH FILL")
        return f"{self.print(node['expr']).text} {node.get('order') or 'ASC'}"

    def _list(self, items: list[Node]) -> str:
        return ", ".join(self.print(item).text for item in items)

    def _number(self, node: Node) -> int:
        value = self._constant(node)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise refused("LIMIT must be a whole number")

    def _constant(self, node: Node) -> Any:
        """The Python value of a constant or placeholder; the node itself when it is none."""
        if node["node"] == "Constant":
            return node.get("value")
        if node["node"] == "Placeholder":
            return self._value(node)
        return node

    def _value(self, node: Node) -> Any:
        name = ".".join(map(str, node["expr"].get("chain", ["?"])))
        if name not in self.values:
            raise refused(f"Unresolved placeholder: {{{name}}}")
        return self.values[name]

    # --- Expressions --------------------------------------------------------------------------------------------------
    def print(self, node: Node) -> Sql:
        method = getattr(self, "_print_" + node["node"], None)
        if method is None:
            raise not_reproduced(node["node"])
        return method(node)

    def _print_Constant(self, node: Node) -> Sql:  # noqa: N802, named after PostHog's node
        if node.get("value_type") == "number":
            raise not_reproduced(f"the number {node['value']}")
        return Sql(literal(node.get("value")), nullable=node.get("value") is None)

    def _print_Placeholder(self, node: Node) -> Sql:  # noqa: N802
        value = self._value(node)
        return Sql(literal(value), nullable=value is None)

    def _print_Alias(self, node: Node) -> Sql:  # noqa: N802
        sql = self._alias_of(node)
        return sql._replace(text=f"({sql.text} AS {identifier(node['alias'])})")

    def _print_Field(self, node: Node) -> Sql:  # noqa: N802
        chain, scope = [str(part) for part in node["chain"]], self.scopes[-1]
        if chain[0] in self.arguments and len(chain) == 1:
            return Sql(identifier(chain[0]), nullable=True)
        if chain[0] in scope.aliases or (not scope.table and chain[0] in scope.columns):
            if len(chain) > 1:
                raise not_reproduced("a property of an alias")
            known = scope.aliases.get(chain[0]) or scope.columns[chain[0]]
            return known._replace(text=identifier(chain[0]), instant=None)
        if len(chain) > 1 and chain[0] == scope.alias:
            chain = chain[1:]
            if chain[0] in scope.columns and len(chain) == 1:
                text = f"{identifier(scope.alias)}.{identifier(chain[0])}"
                return scope.columns[chain[0]]._replace(text=text, instant=None)
        if scope.table:
            return self._table_field(scope, chain)
        raise refused(f"Unable to resolve field: {chain[0]}")

    def _table_field(self, scope: Scope, chain: list[str]) -> Sql:
        name, keys = chain[0], chain[1:]
        at = identifier(scope.alias)
        if scope.table == "events" and name == "person":
            return self._person_field(at, keys)
        if scope.table == "events" and name in {f"group_{n}" for n in range(5)} | self._group_names():
            raise not_reproduced("the lazy join of groups")
        if name not in COLUMNS[scope.table]:
            raise refused(f"Unable to resolve field: {name}")
        if keys and name != "properties":
            raise refused(f"Cannot access a property of {name}")
        column = f"{at}.{identifier(name)}"
        if name in TIMES:
            return Sql(f"toTimeZone({column}, {literal(self.dialect.timezone)})", is_time=True)
        if name.startswith("$group_"):
            return Sql(self._group_column(at, column, int(name[-1])))
        return property_of(column, keys) if keys else Sql(column)

    def _person_field(self, at: str, keys: list[str]) -> Sql:
        if keys == ["id"]:
            return Sql(f"{at}.person_id")
        if keys[:1] == ["properties"]:
            column = f"{at}.person_properties"
            return property_of(column, keys[1:]) if keys[1:] else Sql(column)
        raise not_reproduced(f"person.{'.'.join(keys)}")

    def _group_names(self) -> set[str]:
        return {group_type.name for group_type in self.dialect.group_types}

    def _group_column(self, at: str, column: str, index: int) -> str:
        for group_type in self.dialect.group_types:
            if group_type.index == index:
                if group_type.created_at is None:
                    return column
                return f"if(less({at}.timestamp, {instant(group_type.created_at)}), '', {column})"
        return "''"

    def _print_CompareOperation(self, node: Node) -> Sql:  # noqa: N802
        operator = node["op"]
        if operator not in COMPARISONS:
            raise not_reproduced(f"the operator {operator}")
        left, right = self._operand(node["left"]), self._operand(node["right"])
        if operator in ("==", "!=") and "NULL" in (left.text, right.text):
            tested = left if right.text == "NULL" else right
            return Sql(f"{'isNull' if operator == '==' else 'isNotNull'}({tested.text})")
        if self.filtering:
            self._note_bound(operator, left, right)
        return self._compare(operator, left, right)

    def _operand(self, node: Node) -> Sql:
        if node["node"] in ("SelectQuery", "SelectSetQuery"):
            return Sql(f"({self.select(node)[0]})")
        return self.print(node)

    def _compare(self, operator: str, left: Sql, right: Sql) -> Sql:
        name, of_null = COMPARISONS[operator]
        compared = f"{name}({left.text}, {right.text})"
        if not (left.nullable or right.nullable):
            return Sql(compared)
        if left.nullable and right.nullable and operator in ("==", "!="):
            tests = ("isNull", "and") if operator == "==" else ("isNotNull", "or")
            return Sql(f"ifNull({compared}, {tests[0]}({left.text}) {tests[1]} {tests[0]}({right.text}))")
        return Sql(f"ifNull({compared}, {of_null})")

    def _note_bound(self, operator: str, left: Sql, right: Sql) -> None:
        if left.instant:
            operator, left, right = MIRRORED.get(operator, operator), right, left
        moment = right.instant
        if moment is None or not left.text.endswith(f"`timestamp`, {literal(self.dialect.timezone)})"):
            return
        if operator in (">", ">="):
            self.bounds["from"] = max(moment, self.bounds.get("from", moment))
        elif operator in ("<", "<="):
            self.bounds["to"] = min(moment, self.bounds.get("to", moment))

    def _print_BetweenExpr(self, node: Node) -> Sql:  # noqa: N802
        bounds = [{"node": "CompareOperation", "op": op, "left": node["expr"], "right": node[side]}
                  for op, side in ((">=", "low"), ("<=", "high"))]  # fmt: skip
        both = f"and({self._list(bounds)})"
        return Sql(f"not({both})" if node.get("negated") else both)

    def _print_And(self, node: Node) -> Sql:  # noqa: N802
        return Sql(f"and({self._list(node['exprs'])})")

    def _print_Or(self, node: Node) -> Sql:  # noqa: N802
        return Sql(f"or({self._list(node['exprs'])})")

    def _print_Not(self, node: Node) -> Sql:  # noqa: N802
        return Sql(f"not({self.print(node['expr']).text})")

    def _print_ArithmeticOperation(self, node: Node) -> Sql:  # noqa: N802
        left, right = self.print(node["left"]), self.print(node["right"])
        return Sql(f"{ARITHMETIC[node['op']]}({left.text}, {right.text})", left.nullable or right.nullable)

    def _print_Tuple(self, node: Node) -> Sql:  # noqa: N802
        return Sql(f"tuple({self._list(node['exprs'])})")

    def _print_Array(self, node: Node) -> Sql:  # noqa: N802
        return Sql(f"[{self._list(node['exprs'])}]")

    def _print_ArrayAccess(self, node: Node) -> Sql:  # noqa: N802
        return Sql(f"({self.print(node['array']).text})[{self.print(node['property']).text}]", nullable=True)

    def _print_TupleAccess(self, node: Node) -> Sql:  # noqa: N802
        return Sql(f"tupleElement({self.print(node['tuple']).text}, {int(node['index'])})", nullable=True)

    def _print_Lambda(self, node: Node) -> Sql:  # noqa: N802
        outer, self.arguments = self.arguments, [*self.arguments, *node["args"]]
        body = self.print(node["expr"]).text
        self.arguments = outer
        return Sql(f"({', '.join(map(identifier, node['args']))}) -> {body}")

    # --- Functions ----------------------------------------------------------------------------------------------------
    def _print_Call(self, node: Node) -> Sql:  # noqa: N802
        name, given = node["name"], node.get("args") or []
        if not (name in functions.PLAIN or functions.AGGREGATE.fullmatch(name)):
            raise refused(f"Unsupported function call '{name}(...)'")
        fewest, most = functions.ARITY.get(name, (0, len(given)))
        if not fewest <= len(given) <= most:
            raise refused(f"Function '{name}' expects {fewest} to {most} arguments, found {len(given)}")
        for clause in ("order_by", "filter_expr", "within_group"):
            if node.get(clause):
                raise not_reproduced(f"{clause} inside a function call")
        if name == "count" and [arg.get("chain") for arg in given] == [["*"]]:
            given = []
        special = getattr(self, f"_call_{name}", None)
        if special:
            return special(given)
        args = [self.print(arg) for arg in given]
        if name in functions.CASTS:
            return Sql(f"accurateCastOrNull({args[0].text}, '{functions.CASTS[name]}')", nullable=True)
        params = f"({self._list(node['params'])})" if node.get("params") else ""
        distinct = "DISTINCT " if node.get("distinct") else ""
        return Sql(f"{name}{params}({distinct}{', '.join(arg.text for arg in args)})", _nullable(name, args))

    def _call_concat(self, given: list[Node]) -> Sql:
        texts = [f"ifNull(toString({self.print(arg).text}), '')" for arg in given]
        return Sql(f"concat({', '.join(texts)})")

    def _call_now(self, given: list[Node]) -> Sql:
        return Sql(f"now64(6, {literal(self.dialect.timezone)})", is_time=True)

    def _call_toDateTime(self, given: list[Node]) -> Sql:  # noqa: N802, named after the function
        value, zone = self._constant(given[0]), literal(self.dialect.timezone)
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return Sql(f"CAST(NULL, {literal(f'Nullable(DateTime64(6, {zone}))')})", True, True)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=ZoneInfo(self.dialect.timezone))
            return Sql(f"toTimeZone({instant(moment)}, {zone})", is_time=True, instant=moment)
        inner = literal(f"DateTime64(6, {zone})")
        return Sql(f"accurateCastOrNull({self.print(given[0]).text}, {inner})", nullable=True, is_time=True)

    def _call_toDate(self, given: list[Node]) -> Sql:  # noqa: N802
        if given[0]["node"] == "Call" and given[0]["name"] == "toTimeZone":
            raise not_reproduced("toDate(toTimeZone(..)), which means different days in different versions of PostHog")
        arg = self.print(given[0])
        return Sql(f"toDate({arg.text})", arg.nullable)

    def _call_toTimeZone(self, given: list[Node]) -> Sql:  # noqa: N802
        time, zone = (self.print(arg) for arg in given)
        return Sql(f"toTimeZone({time.text}, {zone.text})", time.nullable)


def _nullable(name: str, args: list[Sql]) -> bool:
    if functions.NEVER_NULL.fullmatch(name):
        return False
    if name == "nullIf":
        return True
    if name in ("coalesce", "ifNull"):
        return all(arg.nullable for arg in args)
    return any(arg.nullable for arg in args)
