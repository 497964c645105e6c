"""Rules that can never win, because an earlier one matches whatever they match. Pure.

Told only where it is certain: "earlier" always comes first and "later" matches nothing that it does not. Whether one
regular expression covers another cannot be decided in general, so silence is no promise; the rule tester counts what a
rule really won in the last days.
"""

import re
from collections.abc import Iterable

import re2

from registry.rules import as_regex, event_matches, problem
from registry.values import MatchType, Rule

# What makes a match depend on what stands before or after it.
_ENDS = re.compile(r"\$|\\[bBzZ]")
_BEGINS = re.compile(r"\^|\\[bBA]")


def shadowed_by(rule: Rule, others: Iterable[Rule]) -> Rule | None:
    """The first rule that always wins before this one; all rules are enabled and count for the same configs."""
    earlier = (other for other in others if (other.priority, other.id) < (rule.priority, rule.id))
    found = sorted((other for other in earlier if covers(other, rule)), key=lambda other: (other.priority, other.id))
    return found[0] if found else None


def covers(one: Rule, other: Rule) -> bool:
    """Whether `one` certainly matches every event that `other` matches."""
    return _covers_events(one.event_name, other.event_name) and _covers_paths(one, other)


def _covers_events(one: str, other: str) -> bool:
    if one.endswith("*"):
        return other.removesuffix("*").startswith(one[:-1])
    return not other.endswith("*") and event_matches(one, other)


def _covers_paths(one: Rule, other: Rule) -> bool:
    if (one.match_type, one.match_value.lower()) == (other.match_type, other.match_value.lower()):
        return one.match_type != MatchType.PATH_REGEX or one.match_value == other.match_value
    if other.match_type == MatchType.PATH_REGEX or problem(one):
        return False
    pattern = as_regex(one.match_type, one.match_value)
    # A match inside what the other demands stays one, whatever a path has around it, unless it depends on the edges.
    if other.match_type == MatchType.PATH_PREFIX and _ENDS.search(pattern):
        return False
    if other.match_type == MatchType.CONTAINS and (_ENDS.search(pattern) or _BEGINS.search(pattern)):
        return False
    options = re2.Options()
    options.case_sensitive, options.log_errors = False, False
    return bool(re2.compile(pattern, options).search(other.match_value))
