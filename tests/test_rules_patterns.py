"""Patterns that admins may write: which are refused, and that no number or shape of them gives a wrong answer."""

import pytest

from registry.rules import NAME_LENGTH, RuleSet, problem, slug
from tests.test_rules import rule

HOSTILE = ["(a|aa)+$", "^(a+)+b$", "(x+x+)+y", "^(.*a){12}$", "(.*)(.*)(.*)(.*)[0-9]$"]
SLOW_ELSEWHERE = [  # each takes a backtracking matcher for ever on this path
    ("(a|aa)+$", "a" * 2000 + "b", False),
    ("(a|aa)+$", "b" + "a" * 2000, True),
    ("^(a+)+b$", "a" * 2000, False),
    ("^(a+)+b$", "a" * 2000 + "b", True),
    ("(x+x+)+y", "x" * 2000, False),
    ("^(.*a){12}$", "a" * 11 + "b" * 2000, False),
    ("^(.*a){12}$", "b" * 2000 + "a" * 12, True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), SLOW_ELSEWHERE)
def test_a_pattern_that_is_slow_elsewhere_gives_the_right_answer(pattern, path, expected):
    assert (RuleSet([rule("path_regex", pattern)]).first("page_view", path) is not None) is expected


@pytest.mark.parametrize("number", [0, 999, 1000, 1999])
@pytest.mark.parametrize("template", ["^/p{}$", ".*p{}$", "(.*)/p{}(/.*)?(.*)$"])
def test_of_two_thousand_patterns_the_first_that_matches_is_found(template, number):
    rules = [rule("path_regex", template.format(n), priority=n) for n in reversed(range(2000))]
    # With an open end p1 finds /p1999 too, and comes before it.
    expected = min(n for n in range(2000) if str(number).startswith(str(n))) if template.endswith("(.*)$") else number

    assert RuleSet(rules).first("page_view", f"/p{number}").priority == expected


def test_a_rule_behind_two_thousand_that_do_not_match_is_found():
    rules = [rule("path_regex", f"a.*b.*c{n}.*[a-z]{{20}}", priority=n) for n in range(2000)]
    last = rule("path_regex", "^/(.*)z$", priority=2000)

    found = RuleSet([*rules, last])

    assert found.first("page_view", "/a-b-c-z") is last
    assert found.first("page_view", "/a-b-c7-" + "z" * 20).priority == 7
    assert found.first("page_view", "/nothing") is None


@pytest.mark.parametrize("pattern", HOSTILE)
def test_a_hostile_pattern_is_no_problem(pattern):
    assert problem(rule("path_regex", pattern)) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"match_value": ""}, "The pattern is empty."),
        ({"match_value": "(?=a)"}, "invalid perl operator: (?="),
        ({"match_value": "(?!a)"}, "invalid perl operator: (?!"),
        ({"match_value": "(?<=a)b"}, "invalid perl operator: (?<"),
        ({"match_value": r"(a)\1"}, r"invalid escape sequence: \1"),
        ({"match_value": "(a"}, "missing ): (a"),
        ({"match_value": "a)"}, "unexpected ): a)"),
        ({"match_value": "[z-a]"}, "invalid character class range: z-a"),
        ({"match_value": "*a"}, "no argument for repetition operator: *"),
        ({"match_value": "a{1001}"}, "invalid repetition size: {1001}"),
        ({"match_value": "(a)", "lane": r"\2"}, r"\2 has no group in the pattern, which has 1."),
        ({"match_value": "a", "content_type": r"\1"}, r"\1 has no group in the pattern, which has 0."),
        ({"match_value": "/a", "match_type": "path_prefix", "lane": r"\1"}, r"\1 needs a path_regex rule."),
        ({"match_value": "/a", "match_type": "glob"}, "unknown match type 'glob'"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_reason(fields, reason):
    assert reason in problem(rule(**{"match_type": "path_regex"} | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"match_value": "(a)(b)", "lane": r"\2", "content_type": r"\1"},
        {"match_value": "a{1000}"},
        {"match_value": "(a", "match_type": "contains"},
        {"match_value": "(?=a)", "match_type": "path_prefix"},
        {"match_value": r"\pL+über"},
    ],
)
def test_a_rule_that_can_work_has_no_problem(fields):
    assert problem(rule(**{"match_type": "path_regex"} | fields)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Office Space", "office_space"),
        ("  Büro/Mehr  ", "büro_mehr"),
        ("a--b_c", "a--b_c"),
        ("_a_", "a"),
        ("&&&", ""),
        ("", ""),
        ("x" * 100, "x" * NAME_LENGTH),
        ("x" * 63 + " y", "x" * 63),
    ],
)
def test_a_slug_is_lower_case_short_and_a_slug_of_itself(text, expected):
    assert slug(text) == expected
    assert slug(expected) == expected
