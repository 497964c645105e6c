"""Event rules: which lane and content type an event's path speaks of (spec 5, registry table 1; design 3). Pure.

Patterns are written by admins, so they run on RE2: linear in the path, whatever the pattern. All patterns of an event
are matched at once by an `re2.Set`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import re2

from registry.values import MatchType, Rule

NAME_LENGTH = 64  # of a lane or content type
SET_MEMORY = 1 << 30  # bytes re2 may use for one set: 2,000 patterns fail at its default of 8 MB
_NOT_SLUG = re.compile(r"[^\w-]+")
_EXPANSION = re.compile(r"\\(\d)")


@lru_cache(maxsize=65_536)
def slug(text: str) -> str:
    """A lane or content type as stored: lower case, all but letters, digits, `_` and `-` made `_`, at most 64 long."""
    return _NOT_SLUG.sub("_", text.strip().lower()).strip("_")[:NAME_LENGTH].rstrip("_")


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = SET_MEMORY
    return options


def as_regex(match_type: str, match_value: str) -> str:
    """The rule's pattern as one RE2 expression that is searched for anywhere in the path."""
    if match_type == MatchType.PATH_REGEX:
        return match_value
    literal = str(re2.escape(match_value))
    if match_type == MatchType.PATH_PREFIX:
        return f"^{literal}"
    if match_type == MatchType.EQUALS:
        return f"^{literal}$"
    if match_type == MatchType.CONTAINS:
        return literal
    raise ValueError(f"unknown match type {match_type!r}")


def problem(rule: Rule) -> str | None:
    """Why the rule cannot be used, in words for the person who wrote it; None when it can."""
    if not rule.match_value:
        return "The pattern is empty."
    try:
        compiled = re2.compile(as_regex(rule.match_type, rule.match_value), _options())
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        return f"The pattern cannot be used: {reason}. Look-around and back-references are not supported."
    except ValueError as error:
        return str(error)
    for output in (rule.content_type, rule.lane):
        for number in map(int, _EXPANSION.findall(output)):
            if rule.match_type != MatchType.PATH_REGEX:
                return f"\\{number} needs a path_regex rule."
            if number > compiled.groups:
                return f"\\{number} has no group in the pattern, which has {compiled.groups}."
    return None


@dataclass(frozen=True, slots=True)
class Classification:
    """What an event counts as, and the rule that said so: None when the event said it all or no rule matched."""

    content_type: str
    lane: str
    weight_override: int | None = None
    rule: Rule | None = None


class _Matcher:
    """The rules of one event name, in order, matched together."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self.set = re2.Set.SearchSet(_options())
        for rule in rules:
            self.set.Add(as_regex(rule.match_type, rule.match_value))
        if rules:
            self.set.Compile()

    def first(self, path: str) -> Rule | None:
        # The set's indexes come unordered (and None for no match): the smallest is the first rule by (priority, id).
        indexes = self.set.Match(path) if self.rules else None
        return self.rules[min(indexes)] if indexes else None


class RuleSet:
    """The enabled rules of a registry, in order of (priority, id); the first match wins."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = sorted(rules, key=lambda rule: (rule.priority, rule.id))
        self._matchers: dict[str, _Matcher] = {}

    def first(self, event: str, path: str) -> Rule | None:
        """The first rule whose event name (exact, or up to a trailing `*`) and pattern match."""
        matcher = self._matchers.get(event)
        if matcher is None:
            matcher = self._matchers[event] = _Matcher([r for r in self.rules if event_matches(r.event_name, event)])
        return matcher.first(path)

    def classify(self, event: str, path: str, content_type: str, lane: str) -> Classification:
        """Fill only what the event did not say; a rule's weight override counts whenever the rule was asked."""
        if content_type and lane:
            return Classification(content_type, lane)
        rule = self.first(event, path)
        if rule is None:
            return Classification(content_type, lane)
        return Classification(
            content_type or _output(rule, rule.content_type, path),
            lane or _output(rule, rule.lane, path),
            rule.weight_override,
            rule,
        )


def event_matches(pattern: str, event: str) -> bool:
    return event.startswith(pattern[:-1]) if pattern.endswith("*") else event == pattern


def _output(rule: Rule, template: str, path: str) -> str:
    """The rule's lane or content type for this path, its `\\1` filled in."""
    if "\\" not in template:
        return slug(template)
    match = re2.compile(as_regex(rule.match_type, rule.match_value), _options()).search(path)
    return slug(_EXPANSION.sub(lambda number: match.group(int(number[1])) or "", template)) if match else ""
