"""Which rules can never win: only what is certain is told."""

import pytest

from registry.shadowing import covers, shadowed_by
from registry.values import Rule


def rule(match_type, match_value, event="page_view", priority=100, id="1"):
    return Rule(id, priority, event, match_type, match_value)


@pytest.mark.parametrize(
    ("one", "other", "certain"),
    [
        (("path_prefix", "/docs"), ("path_prefix", "/docs/api"), True),
        (("path_prefix", "/docs"), ("path_prefix", "/DOCS"), True),
        (("path_prefix", "/docs/api"), ("path_prefix", "/docs"), False),
        (("path_prefix", "/docs"), ("equals", "/docs/api"), True),
        (("path_prefix", "/docs"), ("contains", "/docs"), False),
        (("path_prefix", "/docs"), ("path_regex", "^/docs"), False),  # true, and beyond us
        (("contains", "docs"), ("contains", "/docs/"), True),
        (("contains", "docs"), ("path_prefix", "/docs"), True),
        (("contains", "docs"), ("path_prefix", "/doc"), False),
        (("equals", "/docs"), ("path_prefix", "/docs"), False),
        (("equals", "/docs"), ("equals", "/Docs"), True),
        (("path_regex", "^/docs(/|$)"), ("equals", "/docs/api"), True),
        (("path_regex", "^/docs(/|$)"), ("path_prefix", "/docs/api"), False),
        (("path_regex", "^/docs/"), ("path_prefix", "/docs/api"), True),
        (("path_regex", "^/docs"), ("contains", "/docs"), False),
        (("path_regex", "d.cs"), ("contains", "/docs"), True),
        (("path_regex", r"\bdocs\b"), ("path_prefix", "/docs"), False),
        (("path_regex", "^/a"), ("path_regex", "^/a"), True),
        (("path_regex", "^/a"), ("path_regex", "^/A"), False),
        (("path_regex", "("), ("equals", "/a"), False),
    ],
)
def test_one_covers_another_only_where_it_is_certain(one, other, certain):
    assert covers(rule(*one), rule(*other)) is certain


@pytest.mark.parametrize(
    ("one", "other", "certain"),
    [
        ("page_view", "page_view", True),
        ("*", "page_view", True),
        ("page_*", "page_view", True),
        ("page_*", "page_v*", True),
        ("page_view", "page_*", False),
        ("page_view", "cta_click", False),
        ("page_v*", "page_*", False),
    ],
)
def test_the_earlier_rule_must_know_all_events_of_the_later_one(one, other, certain):
    assert covers(rule("equals", "/a", one), rule("equals", "/a", other)) is certain


def test_the_first_rule_that_covers_it_is_named_and_later_ones_are_not():
    late = rule("path_prefix", "/docs/api", priority=100, id="9")
    others = [
        rule("path_prefix", "/docs", priority=200, id="1"),
        rule("path_prefix", "/d", priority=90, id="2"),
        rule("path_prefix", "/docs", priority=20, id="3"),
        rule("path_prefix", "/blog", priority=1, id="4"),
        rule("path_prefix", "/docs", priority=100, id="5"),
    ]

    assert shadowed_by(late, others).id == "3"
    assert shadowed_by(late, others[:1]) is None
    assert shadowed_by(late, others[4:]).id == "5"  # among equals the id decides
