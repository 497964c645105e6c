"""Event rules: which lane and content type a path speaks of."""

import itertools

import pytest

from registry.rules import NAME_LENGTH, Classification, RuleSet, event_matches, slug
from registry.values import Rule

_ids = itertools.count()


def rule(match_type="path_prefix", match_value="/pricing", **fields):
    """A rule; of two with one priority the one made first comes first."""
    fields = {"id": f"{next(_ids):08d}", "priority": 100, "event_name": "page_view"} | fields
    return Rule(match_type=match_type, match_value=match_value, **fields)


def matches(match_type, match_value, path):
    return RuleSet([rule(match_type, match_value)]).first("page_view", path) is not None


@pytest.mark.parametrize(
    ("match_type", "match_value", "yes", "no"),
    [
        (
            "path_prefix",
            "/pricing",
            ["/pricing", "/pricing/", "/pricing/eu", "/pricing-2026", "/PRICING"],
            ["/a/pricing", "/pricin", "pricing", " /pricing", "", "x\n/pricing"],
        ),
        (
            "equals",
            "/pricing",
            ["/pricing", "/Pricing"],
            ["/pricing/", "/pricing/eu", "/a/pricing", "pricing", "", "/pricing\n", "x\n/pricing\ny"],
        ),
        ("contains", "Api", ["/api", "/docs/API/v1", "docs.acme.example/api", "/rapid"], ["/ap/i", "/docs", ""]),
        ("contains", ".*", ["/a.*b"], ["/ab", "/a.b"]),
        ("contains", "a+b(c)", ["/A+B(C)"], ["/aab", "/abc"]),
        ("path_prefix", "/a.b", ["/a.b/c"], ["/axb"]),
        ("equals", "/$", ["/$"], ["/", "/$$"]),
        ("path_regex", "^/docs?(/|$)", ["/doc", "/docs/x", "/DOCS"], ["/docsy", "/a/docs", ""]),
        ("path_regex", "docs", ["/docs", "/a/docs/b", "/DOCS"], ["/doc"]),
        ("path_regex", "(?-i:Docs)", ["/Docs"], ["/docs"]),
        ("path_regex", "^$", [""], ["/"]),
        ("path_regex", "a.b", ["/axb", "/aéb", "/a\U0001f680b"], ["/ab", "/a\nb"]),
        ("path_prefix", "/über-uns", ["/über-uns", "/ÜBER-UNS/team"], ["/uber-uns"]),
        ("contains", "цены", ["/ru/ЦЕНЫ"], ["/ru/ценa"]),
        ("equals", "/🚀", ["/🚀"], ["/"]),
    ],
)
def test_a_pattern_matches_by_its_type_upper_and_lower_case_alike(match_type, match_value, yes, no):
    assert [path for path in yes + no if matches(match_type, match_value, path)] == yes


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ("page_view", "page_view", True),
        ("page_view", "page_views", False),
        ("page_view", "Page_View", False),
        ("form_*", "form_started", True),
        ("form_*", "form_", True),
        ("form_*", "form", False),
        ("*", "anything", True),
        ("*", "", True),
        ("f*_x", "f_a_x", False),
    ],
)
def test_an_event_name_matches_exactly_or_up_to_a_trailing_star(pattern, event, expected):
    assert event_matches(pattern, event) is expected
    assert (RuleSet([rule(event_name=pattern)]).first(event, "/pricing") is not None) is expected


def test_the_first_match_is_the_lowest_priority_then_the_lowest_id_whatever_the_order_given():
    wanted = rule(match_value="/p", priority=10, id="b")
    others = [
        rule(match_value="/other", priority=1),
        rule(match_value="/p", priority=10, id="c"),
        rule("contains", "pricing", priority=11, id="a"),
        rule("path_regex", ".*", priority=9, event_name="cta_click"),
    ]

    for order in itertools.permutations([wanted, *others]):
        assert RuleSet(order).first("page_view", "/pricing") is wanted


def test_no_rule_and_no_match_leave_an_event_as_it_is():
    assert RuleSet([]).classify("page_view", "/pricing", "", "") == Classification("", "")
    assert RuleSet([rule()]).classify("page_view", "/blog", "blog", "") == Classification("blog", "")


@pytest.mark.parametrize(
    ("content_type", "lane", "expected"),
    [
        ("", "", ("pricing", "office", 7)),
        ("docs", "", ("docs", "office", 7)),
        ("", "events", ("pricing", "events", 7)),
        ("docs", "events", ("docs", "events", None)),
    ],
)
def test_a_rule_fills_only_what_is_missing_and_its_override_counts_whenever_it_was_asked(content_type, lane, expected):
    pricing = rule(content_type="pricing", lane="office", weight_override=7)

    found = RuleSet([pricing]).classify("page_view", "/pricing", content_type, lane)

    assert (found.content_type, found.lane, found.weight_override) == expected
    assert found.rule is (None if content_type and lane else pricing)


def test_an_override_of_zero_is_an_override():
    found = RuleSet([rule(weight_override=0)]).classify("page_view", "/pricing", "", "")

    assert found.weight_override == 0


def test_the_first_match_decides_even_if_a_later_rule_would_say_more():
    rules = [rule(priority=1, content_type="pricing"), rule(priority=2, content_type="docs", lane="office")]

    found = RuleSet(rules).classify("page_view", "/pricing", "", "")

    assert (found.content_type, found.lane) == ("pricing", "")


@pytest.mark.parametrize(
    ("pattern", "lane", "path", "expected"),
    [
        ("^/services/([^/]+)", r"\1", "/services/Office", "office"),
        ("^/services/([^/]+)", r"\1", "/services/office space/x", "office_space"),
        ("^/services/([^/]+)", r"\1", "/services/Büro & Mehr", "büro_mehr"),
        ("^/services/([^/]+)", r"\1", "/services/--%20--", "--_20--"),
        ("^/services/([^/]+)", r"\1", "/services/" + "a" * 100, "a" * NAME_LENGTH),
        ("^/services/([^/]+)", r"lane-\1", "/services/x", "lane-x"),
        ("^/services/([^/]+)", r"\0", "/services/x", "services_x"),
        ("^/(a)?(b)", r"\1-\2", "/b", "-b"),
        ("^/(..)/(.+)", r"\2_\1", "/de/büro", "büro_de"),
        ("^/services/(.)", r"\1", "/services/🚀", ""),
    ],
)
def test_groups_of_the_pattern_are_filled_in_and_slugged(pattern, lane, path, expected):
    found = RuleSet([rule("path_regex", pattern, lane=lane)]).classify("page_view", path, "x", "")

    assert found.lane == expected
    assert slug(found.lane) == found.lane


def test_a_backslash_without_a_digit_is_only_a_character():
    found = RuleSet([rule("contains", "(a", lane="b\\c")]).classify("page_view", "/(A", "", "")

    assert found.lane == "b_c"
