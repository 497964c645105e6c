"""What a brief says must stand in the facts: each rule on both sides of its edge, and the labelled set. No database."""

import pytest

from ai_summaries import offline
from ai_summaries.grounding import Finding, check, serious, words
from ai_summaries.prompts import headings
from registry.seeds import USER_PROMPT
from tests.grounding_cases import CASES, COLD, OFFICE, same

HEADINGS = headings(USER_PROMPT)


def quotes(text, facts=OFFICE):
    return [finding.quote for finding in check(text, facts, max_words=None)]


# --- The labelled set -------------------------------------------------------------------------------------------------
def test_the_labelled_set_is_large_enough():
    assert len(CASES) >= 60
    assert len([case for case in CASES if not case.wrong]) >= 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.text[:50]!a}")
def test_a_planted_error_is_found_where_it_is_known_to_be_and_nothing_else_is(case):
    found = quotes(case.text, case.facts)

    for wrong in case.wrong:
        assert any(same(quote, wrong) for quote in found) == case.seen
    assert [quote for quote in found if not any(same(quote, wrong) for wrong in case.wrong)] == []


# --- Figures ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("116.4", []),
        ("116", []),
        ("117", ["117"]),
        ("116.5", ["116.5"]),
        ("41.2%", []),
        ("41 %", []),
        ("42%", ["42%"]),
        ("87%", ["87%"]),  # a score is no share
        ("-22", ["-22"]),  # of the other account
        ("+41", []),
        ("24k a month", []),
        ("25k a month", ["25k"]),
        ("24,000", []),
        ("2,4000", []),  # no number of any kind
        ("1,163.2", ["1,163.2"]),
        ("87/100", []),
        ("87 out of 100", []),
        ("100", ["100"]),
        ("B2B, SOC2 and Q4", []),
        ("24/7 and 1:1", []),
        ("7 days, 30-day, 14 days, 7d", []),
        ("9 days", ["9"]),
        ("6 points", ["6"]),
        ("116 points", []),
        ("87 people", ["87"]),
        ("5 people", []),
        ("40 desks", []),
        ("40 visits", ["40"]),
        ("2× Security", []),
        ("1. one\n2. two\n3) three", []),
        ("- 99 luftballons", ["99"]),
        ("twice", []),
        ("five visitors", []),
        ("fourteen visitors", ["fourteen"]),
        ("one of them", []),
        ("score: 41", []),  # the change since a week ago
        ("score: 40", ["40"]),
    ],
)
def test_a_figure_stands_in_the_facts_or_follows_from_one(text, wrong):
    assert quotes(text) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2026-11-24", []),
        ("24 Nov", []),
        ("24th November 2026", []),
        ("November 24, 2026", []),
        ("Nov 24, 2025", ["Nov 24, 2025"]),
        ("23 Nov", ["23 Nov"]),
        ("1 February", []),  # their own word
        ("2 February", ["2 February"]),
        ("in May", []),
    ],
)
def test_a_date_is_one_of_the_facts(text, wrong):
    assert quotes(text) == wrong


# --- Names ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("/pricing", []),
        ("`/pricing`", []),
        ("/pricing/", []),
        ("/pricing.", []),
        ("/pricing/enterprise", ["/pricing/enterprise"]),
        ("/price", ["/price"]),
        ("and/or, Risks / unknowns", []),
        ("`/`", []),
        ("`private_office`", []),
        ("`Private Office`", []),
        ("`public_office`", ["public_office"]),
        ("harbour.example", []),
        ("https://www.harbour.example/", []),
        ("harbour-group.example", []),
        ("https://harbour.example.evil.example", ["https://harbour.example.evil.example"]),
        ("evil.example", ["evil.example"]),
        ("a@harbour.example", ["a@harbour.example"]),
        ("the top lane, this lane, each lane", []),
        ("Event Space lane", []),
        ("**Event Space** lane", []),
        ("Virtual Space lane", ["Virtual Space"]),
    ],
)
def test_a_name_stands_in_the_facts(text, wrong):
    assert quotes(text) == wrong


# --- Form -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("count", "found"), [(180, []), (181, ["length"])])
def test_the_word_limit_counts_words(count, found):
    assert [finding.kind for finding in check("- word\n" * count, OFFICE, max_words=180)] == found


def test_marks_are_no_words():
    assert words("**Why** — they’re / hot\n\n- 6× Pricing") == 5


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b".strip("\u200b")])
def test_an_empty_text_is_one_finding(text):
    assert [finding.kind for finding in check(text, OFFICE, max_words=10, headings=HEADINGS)] == ["empty"]


def test_a_text_that_did_not_end_by_itself_is_one():
    assert Finding("cut_off", "", "The text was cut off before its end.") in check(
        "Hot", OFFICE, max_words=9, ended=False
    )


def test_a_missing_heading_is_a_warning_however_headings_are_written():
    text = "\n".join(f"## {heading.upper().replace('’', chr(39))} (2 bullets)" for heading in HEADINGS[1:])
    found = check(text, OFFICE, max_words=None, headings=HEADINGS)

    assert [(finding.kind, finding.quote, finding.is_warning) for finding in found] == [
        ("heading", "Why they’re hot", True)
    ]
    assert serious(found) == []


def test_the_headings_of_a_template_stand_before_a_dash():
    assert HEADINGS == (
        "Why they’re hot",
        "Likely buying stage",
        "Primary service interest",
        "Recommended next action (Sales)",
        "Recommended next action (Marketing)",
        "Personalization angle",
        "Risks / unknowns",
    )
    assert headings("Say it freely.\nJSON: {{JSON_HERE}}") == ()


def test_the_same_fault_is_told_once():
    assert quotes("901 and 901 and /x and /x") == ["/x", "901"]


# --- The brief from rules ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("facts", [OFFICE, COLD], ids=["hot", "cold"])
def test_a_brief_from_rules_passes_the_check_with_every_heading(facts):
    text = offline.write(facts)

    assert check(text, facts, max_words=180, headings=HEADINGS) == ()
    assert text.count("\n- ") >= 10


def test_a_brief_from_rules_stands_even_where_nothing_is_known():
    bare = {**COLD, "reasons": [], "lanes": [], "top_pages_7d": [], "what_counted_most_30d": []}
    text = offline.write(bare)

    assert check(text, bare, max_words=180, headings=HEADINGS) == ()
    assert "No lane was seen in the last 30 days." in text


def test_a_strangers_words_inside_it_lose_their_marks():
    hostile = [{"their_title": "Head` **of** <b>[x](http://evil.example)", "last_seen": None, "top_categories_7d": []}]
    text = offline.write({**OFFICE, "known_people": hostile})

    assert "- Ask for the Head of b x http //evil example\n" in text
