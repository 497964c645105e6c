"""Captured events into rows: persons, groups and group types as PostHog's ingestion makes them.

An event may carry what only an export's line has, `person_id` and `person_properties`; they are taken as they are, so
that a file of lines and a stand-in loaded with the same lines must give the same facts.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson

from tests.posthog_standin.hogql import GroupType
from tests.posthog_standin.warehouse import Warehouse

GROUP_TYPES_AT_MOST = 5
PERSONS = uuid.UUID("0c1c4d5e-0000-4000-8000-706f7374686f")
_OUTER_QUOTES = re.compile("^[\"']|[\"']$")


@dataclass
class Person:
    created_at: datetime
    properties: dict[str, Any] = field(default_factory=dict)
    is_identified: bool = False
    text: str = "{}"


@dataclass
class Group:
    created_at: datetime
    properties: dict[str, Any] = field(default_factory=dict)


class Intake:
    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.group_types: list[GroupType] = []
        self._persons: dict[str, Person] = {}
        self._person_of: dict[str, str] = {}
        self._groups: dict[tuple[int, str], Group] = {}
        self._stale: set[str] = set()
        self._numbers = count(1)

    def capture(self, events: Iterable[Mapping[str, Any]]) -> None:
        now = _stamp(datetime.now(UTC))
        rows = (self._row(event, now) for event in events)
        self.warehouse.insert("events", (row for row in rows if row))

    def settle(self) -> None:
        """Bring the tables of persons and groups up to date."""
        stale, self._stale = self._stale, set()
        if "persons" in stale:
            self.warehouse.replace("persons", self._person_rows())
        if "groups" in stale:
            self.warehouse.replace("groups", self._group_rows())

    def _person_rows(self) -> Iterator[dict[str, Any]]:
        for id, person in self._persons.items():
            identified = {"is_identified": person.is_identified}
            yield {"id": id, "properties": person.text, "created_at": _stamp(person.created_at), **identified}

    def _group_rows(self) -> Iterator[dict[str, Any]]:
        for (index, key), group in self._groups.items():
            text = _json(group.properties)
            yield {"index": index, "key": key, "properties": text, "created_at": _stamp(group.created_at)}

    def _row(self, event: Mapping[str, Any], now: str) -> dict[str, Any] | None:
        """None for what PostHog drops without a word."""
        given = event.get("properties")
        properties = dict(given) if isinstance(given, dict) else {}
        name, distinct_id = event.get("event"), event.get("distinct_id") or properties.get("distinct_id")
        if not name or not isinstance(name, str) or distinct_id in (None, ""):
            return None
        if "$set" in event:
            properties["$set"] = event["$set"]
        at = _moment(event.get("timestamp"))
        profile = properties.get("$process_person_profile") is not False
        person_id = self._person_id(event, str(distinct_id))
        person = self._person(event, name, person_id, properties, at) if profile else "{}"
        groups = self._group_columns(name, properties, at) if profile else {}
        return {
            "uuid": event.get("uuid") or f"00000000-0000-4000-8000-{next(self._numbers):012x}",
            "event": name,
            "timestamp": _stamp(at),
            "created_at": now,
            "distinct_id": str(distinct_id),
            "person_id": person_id,
            "properties": _json(properties),
            "person_properties": person,
            "$session_id": str(properties.get("$session_id") or ""),
            "elements_chain": str(event.get("elements_chain") or ""),
            "person_mode": "full" if profile else "propertyless",
            **groups,
        }

    def _person_id(self, event: Mapping[str, Any], distinct_id: str) -> str:
        given = event.get("person_id")
        if given:
            self._person_of.setdefault(distinct_id, str(given))
            return str(given)
        if distinct_id not in self._person_of:
            self._person_of[distinct_id] = str(uuid.uuid5(PERSONS, distinct_id))
        return self._person_of[distinct_id]

    def _person(self, event: Mapping[str, Any], name: str, id: str, properties: dict[str, Any], at: datetime) -> str:
        """The person's properties as this event leaves them."""
        person = self._persons.get(id)
        if person is None:
            person = self._persons[id] = Person(at)
            self._stale.add("persons")
        if name == "$identify":
            person.is_identified = True
            if properties.get("$anon_distinct_id"):
                self._person_of[str(properties["$anon_distinct_id"])] = id
        news = {**_object(properties.get("$set_once")), **person.properties, **_object(properties.get("$set"))}
        news.update(_object(event.get("person_properties")))
        if news != person.properties:
            person.properties, person.text = news, _json(news)
            self._stale.add("persons")
        return person.text

    def _group_columns(self, name: str, properties: dict[str, Any], at: datetime) -> dict[str, str]:
        if name == "$groupidentify" and properties.get("$group_type") and properties.get("$group_key"):
            index = self.group_index(str(properties["$group_type"]), at)
            if index is not None:
                known = self._groups.setdefault((index, str(properties["$group_key"])), Group(at))
                known.properties.update(_object(properties.get("$group_set")))
                self._stale.add("groups")
        columns = {}
        for group_type, key in _object(properties.get("$groups")).items():
            index = self.group_index(group_type, at)
            if index is not None:
                column = f"$group_{index}"
                properties[column] = key
                columns[column] = _OUTER_QUOTES.sub("", _json(key))
        return columns

    def group_index(self, name: str, first_seen: datetime | None) -> int | None:
        """Its index; a type not seen before exists from the time of this event on."""
        for group_type in self.group_types:
            if group_type.name == name:
                return group_type.index
        if len(self.group_types) == GROUP_TYPES_AT_MOST:
            return None
        self.group_types.append(GroupType(name, len(self.group_types), first_seen))
        return self.group_types[-1].index


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _moment(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return datetime.now(UTC)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _stamp(at: datetime) -> str:
    return at.isoformat(" ")[:-6]  # UTC, without its offset
