"""Patterns that admins may write: which are refused, and that no number or shape of them gives a wrong answer."""

import random

import pytest
import re2

from registry.rules import NAME_LENGTH, Matcher, RuleSet, _options, problem, slug, too_large_together
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


# --- Sizes ------------------------------------------------------------------------------------------------------------
LARGE = [r"\pL{10}", "[a-z]{999}(b|c){999}", "k7[a-z]{1000}[a-z]{1000}", r"(\pL{3}){5}"]


@pytest.mark.parametrize("pattern", LARGE)
def test_a_pattern_that_compiles_to_too_much_is_refused_with_what_to_do(pattern):
    assert problem(rule("path_regex", pattern)) == (
        "The pattern is too large: shorten its repetitions, such as {100}, or split it into several rules."
    )


@pytest.mark.parametrize("match_type", ["path_prefix", "contains", "equals"])
@pytest.mark.parametrize("character", ["a", "k", "/", "é", "\u0345", "ι", "😀"])
def test_no_literal_is_too_large(match_type, character):
    assert problem(rule(match_type, character * 512)) is None


def test_two_thousand_ordinary_rules_are_not_too_large_together():
    patterns = [f".*(guide|how-?to)/([^/]+)/{n}/.*$" for n in range(1000)]
    patterns += [f"^/(docs|api)/([a-z0-9-]+)/pricing{n}(/.*)?$" for n in range(1000)]

    assert too_large_together(rule("path_regex", pattern) for pattern in patterns) is None


def test_a_hundred_bulky_rules_are_too_large_together():
    bulky = [rule("path_regex", f"k{n}[a-z]{{900}}") for n in range(100)]

    assert [problem(one) for one in bulky] == [None] * 100
    assert too_large_together(bulky[:50]) is None
    assert "541,190 instructions" in (too_large_together(bulky) or "")


def test_the_start_of_an_anchored_pattern_counts_too():
    long = [rule("equals", f"/{n}{'ab' * 250}") for n in range(1100)]

    assert too_large_together(long[:900]) is None
    assert too_large_together(long) is not None


def one_by_one(rules, path):
    return next((r for r in rules if re2.compile(r.match_value, _options(1 << 26)).search(path)), None)


PATHS = ["/" + "".join(random.Random(n).choices("abcxz-/", k=200)) + f"c{n}" for n in range(40)] + ["", "/", "\0é"]
PATTERNS = [f"a.*b.*c{n}$" for n in range(60)] + [f"a[ab]{{{n}}}c" for n in range(5, 25)] + ["^/(.*)z", "x$|^$"]


@pytest.mark.parametrize(
    "memory", [1 << n for n in range(10, 24)] + [20_000, 48_000, 96_000, 150_000, 192_000, 400_000]
)
def test_with_any_memory_the_answer_is_that_of_trying_rules_one_by_one(memory):
    rules = [rule("path_regex", pattern, priority=n) for n, pattern in enumerate(PATTERNS)]
    matcher = Matcher(rules, memory)

    assert [matcher.first(path) for path in PATHS] == [one_by_one(rules, path) for path in PATHS]


@pytest.mark.parametrize("repeat", [20, 200])
def test_patterns_that_wear_out_the_memory_of_their_set_are_still_answered_rightly(repeat):
    rules = [rule("path_regex", f"a[ab]{{{repeat}}}c{n}$", priority=n) for n in range(50)]
    texts = ["".join(random.Random(n).choices("ab", k=600)) for n in range(6)]
    matcher = Matcher(rules, 1 << 20)

    found = [matcher.first(f"{text}a{'b' * repeat}c{n}") for n, text in enumerate(texts)]

    assert found == rules[:6]
    assert [matcher.first(text) for text in texts] == [None] * 6


def test_events_with_the_same_rules_share_what_is_compiled():
    rules = RuleSet([rule("path_prefix", "/a", event_name="*"), rule("path_prefix", "/b", event_name="click")])

    assert rules.first("page_view", "/a").match_value == "/a"
    assert rules._matcher("page_view") is rules._matcher("form_started")
    assert rules._matcher("page_view") is not rules._matcher("click")
