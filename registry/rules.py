"""Event rules: which lane and content type an event's path speaks of (spec 5, registry table 1; design 3). Pure.

Patterns are written by admins, so they run on RE2: linear in the path, whatever the pattern. All patterns of an event
are matched at once by an `re2.Set`. Sizes are bounded, one pattern and all together: `docs/decisions/0012`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import re2

from registry.values import WEIGHT_MAX, MatchType, Rule

NAME_LENGTH = 64  # of a lane or content type, and of an event name
PATTERN_LENGTH = 512
PATTERN_MEMORY = 96 << 10  # bytes for one compiled pattern: holds every literal of 512 characters (4,098 instructions)
TOTAL_INSTRUCTIONS = 500_000  # of all rules together; about 70 bytes each in a set
SET_MEMORY = 64 << 20  # bytes re2 may use for one set and its states: 2,000 patterns can fail at its default of 8 MB
_NOT_SLUG = re.compile(r"[^\w-]+")
_EXPANSION = re.compile(r"\\(\d)")
_ALWAYS = "^"


@lru_cache(maxsize=65_536)
def slug(text: str) -> str:
    """A lane or content type as stored: lower case, all but letters, digits, `_` and `-` made `_`, at most 64 long."""
    return _NOT_SLUG.sub("_", text.strip().lower()).strip("_")[:NAME_LENGTH].rstrip("_")


def _options(memory: int) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = memory
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


@lru_cache(maxsize=4096)
def _compiled(match_type: str, match_value: str) -> re2._Regexp:
    return re2.compile(as_regex(match_type, match_value), _options(PATTERN_MEMORY))


def instructions(rules: Iterable[Rule]) -> int:
    """The compiled size of these rules together; each must be without a problem."""
    return sum(_instructions(rule.match_type, rule.match_value) for rule in rules)


@lru_cache(maxsize=4096)
def _instructions(match_type: str, match_value: str) -> int:
    # re2 leaves the literal after a ^ out of the program, which a set cannot: the () keeps it in.
    return int(re2.compile(f"(){as_regex(match_type, match_value)}", _options(2 * PATTERN_MEMORY)).programsize)


def too_large_together(rules: Iterable[Rule]) -> str | None:
    """Why these rules, each of which is fine, cannot be used together; None when they can."""
    size = instructions(rules)
    if size <= TOTAL_INSTRUCTIONS:
        return None
    return (
        f"All enabled event rules together are too large: {size:,} instructions compiled, at most"
        f" {TOTAL_INSTRUCTIONS:,} are possible. Shorten repetitions such as {{100}}, or disable rules."
    )


def text_problem(name: str, text: object, most: int, *, empty: bool = True) -> str | None:
    """Why this is no text of a column of that length; SQLite takes any length and type."""
    if not isinstance(text, str):
        return f"The {name} is no text."
    if not text and not empty:
        return f"The {name} is empty."
    return f"The {name} is longer than {most} characters." if len(text) > most else None


def points_problem(name: str, points: object) -> str | None:
    if isinstance(points, int) and not isinstance(points, bool) and 0 <= points <= WEIGHT_MAX:
        return None
    return f"The {name} {points!r} is no whole number from 0 to {WEIGHT_MAX}."


def problem(rule: Rule) -> str | None:
    """Why the rule cannot be used, in words for the person who wrote it; None when it can."""
    return (
        text_problem("event name", rule.event_name, NAME_LENGTH, empty=False)
        or text_problem("pattern", rule.match_value, PATTERN_LENGTH, empty=False)
        or text_problem("content type", rule.content_type, NAME_LENGTH)
        or text_problem("lane", rule.lane, NAME_LENGTH)
        or _pattern_problem(rule)
        or output_problem("content type", rule.content_type)
        or output_problem("lane", rule.lane)
        or _numbers_problem(rule)
    )


def _pattern_problem(rule: Rule) -> str | None:
    try:
        compiled = _compiled(rule.match_type, rule.match_value)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        if "too large" in reason:
            return "The pattern is too large: shorten its repetitions, such as {100}, or split it into several rules."
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


def output_problem(name: str, output: str) -> str | None:
    """A lane or content type must be written as events carry it; `\\1` stands for a part that is made so."""
    if _EXPANSION.sub("x", output) == slug(_EXPANSION.sub("x", output)):
        return None
    return f"The {name} {output!r} is not written as events carry it" + (
        "." if "\\" in output else f": {slug(output) or 'a name'}."
    )


def _numbers_problem(rule: Rule) -> str | None:
    if "*" in rule.event_name[:-1]:
        return "A * in the event name counts only at its end."
    if not isinstance(rule.priority, int) or isinstance(rule.priority, bool) or rule.priority < 0:
        return f"The priority {rule.priority!r} is no whole number from 0 on."
    return None if rule.weight_override is None else points_problem("weight override", rule.weight_override)


@dataclass(frozen=True, slots=True)
class Classification:
    """What an event counts as, and the rule that said so: None when the event said it all or no rule matched."""

    content_type: str
    lane: str
    weight_override: int | None = None
    rule: Rule | None = None


class Matcher:
    """Rules in order, matched together; the answer is that of trying them one by one, whatever memory there is.

    Where re2 cannot hold all patterns in one set, the set is halved until it can; a half that comes first is asked
    first. Should a set give up while it matches, re2's answer is the same as "no match": so each set has one pattern
    more, which always matches. Where that one is missing, the rules are tried one by one.
    """

    def __init__(self, rules: Sequence[Rule], memory: int = SET_MEMORY) -> None:
        self._sets = list(_sets(rules, memory)) if rules else []

    def first(self, path: str) -> Rule | None:
        for together, rules in self._sets:
            # The indexes come unordered: the smallest is the first rule by (priority, id).
            indexes = together.Match(path) if together is not None else None
            found = min(indexes) if indexes and len(rules) in indexes else _one_by_one(rules, path)
            if found < len(rules):
                return rules[found]
        return None


def _sets(rules: Sequence[Rule], memory: int) -> Iterator[tuple[re2.Set | None, Sequence[Rule]]]:
    together = re2.Set.SearchSet(_options(memory))
    try:
        for rule in rules:
            together.Add(as_regex(rule.match_type, rule.match_value))
        together.Add(_ALWAYS)
        together.Compile()
    except re2.error:
        if len(rules) == 1:
            yield None, rules
            return
        half = len(rules) // 2
        yield from _sets(rules[:half], memory)
        yield from _sets(rules[half:], memory)
    else:
        yield together, rules


def _one_by_one(rules: Sequence[Rule], path: str) -> int:
    """The index of the first rule that matches; their number when none does."""
    matches = (n for n, rule in enumerate(rules) if _compiled(rule.match_type, rule.match_value).search(path))
    return next(matches, len(rules))


class RuleSet:
    """The enabled rules of a registry, in order of (priority, id); the first match wins."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = sorted(rules, key=lambda rule: (rule.priority, rule.id))
        self._matchers: dict[str, Matcher] = {}
        self._shared: dict[tuple[str, ...], Matcher] = {}

    def first(self, event: str, path: str) -> Rule | None:
        """The first rule whose event name (exact, or up to a trailing `*`) and pattern match."""
        matcher = self._matchers.get(event)
        if matcher is None:
            matcher = self._matchers[event] = self._matcher(event)
        return matcher.first(path)

    def matching(self, event: str, path: str) -> list[Rule]:
        """Every rule that matches, in order: the first wins, the second would without it."""
        asked = (rule for rule in self.rules if event_matches(rule.event_name, event))
        return [rule for rule in asked if _compiled(rule.match_type, rule.match_value).search(path)]

    def _matcher(self, event: str) -> Matcher:
        """Events with the same rules share one: rules for `*` would be held once for every event name."""
        rules = [rule for rule in self.rules if event_matches(rule.event_name, event)]
        key = tuple(rule.id for rule in rules)
        if key not in self._shared:
            self._shared[key] = Matcher(rules)
        return self._shared[key]

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
    match = _compiled(rule.match_type, rule.match_value).search(path)
    return slug(_EXPANSION.sub(lambda number: match.group(int(number[1])) or "", template)) if match else ""
