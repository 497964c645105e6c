"""What sources of activity have in common: where an event names its account, and why an event is left out. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ingestion.cells import clean

NO_ACCOUNT, NOT_A_DOMAIN, FUTURE, OTHER_EVENT = "no_account", "not_a_domain", "future", "other_event"
EXAMPLES = 10
EXAMPLE_LENGTH = 100


@dataclass(frozen=True, slots=True)
class AccountSource:
    """Where an event says which account it belongs to.

    `group:TYPE`: the key of its group is the domain. `group_property:TYPE.PROPERTY`: the key is an id, and a property
    of the group is the domain. `property:NAME`: a property of the event. `person_email`: the domain of its person.
    """

    kind: str
    name: str = ""
    property: str = ""

    @classmethod
    def parse(cls, text: str) -> "AccountSource":
        kind, colon, name = (part.strip() for part in text.partition(":"))
        if "`" in name or "\\" in name:
            raise ValueError(f"{text!r} is no account source: PostHog cannot be asked for a name with ` or \\.")
        if (kind in ("group", "property") and name) or (kind == "person_email" and not colon):
            return cls(kind, name)
        group, _, prop = name.partition(".")
        if kind == "group_property" and group and prop:
            return cls(kind, group, prop)
        known = "group:TYPE, group_property:TYPE.PROPERTY, property:NAME or person_email"
        raise ValueError(f"{text!r} is no account source: {known}.")

    def __str__(self) -> str:
        name = f"{self.name}.{self.property}" if self.property else self.name
        return f"{self.kind}:{name}" if name else self.kind


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Events left out for one reason, with the commonest values that were the cause."""

    events: int
    examples: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        return {"events": self.events, "examples": self.examples}


def sent_names(tracked: Collection[str], aliases: Mapping[str, str]) -> dict[str, str]:
    """The names under which the site sends the tracked events: {sent: tracked}."""
    sent = sorted({*tracked, *aliases})
    return {name: aliases.get(name, name) for name in sent if aliases.get(name, name) in tracked}


def example(value: object) -> str:
    """A value as operators may see it: short, printable, and never the person in front of an @."""
    text = value if isinstance(value, str) else f"({type(value).__name__})"
    if len(text) <= EXAMPLE_LENGTH and text.isprintable() and "@" not in text:
        return text
    if "@" in text:
        text = "…@" + text.rpartition("@")[2]
    return clean(text[:EXAMPLE_LENGTH])
