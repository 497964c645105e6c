"""A cell of an exported file is text or a number to a spreadsheet, never a formula (reliability 23)."""

import pytest

from registry.csv_cells import escape

STARTS = ["=", "+", "-", "@", "\t", "\r", "\0", "＝", "＋", "－", "＠"]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("before", ["", " ", "   "])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(before, start):
    assert escape(f"{before}{start}cmd|' /C calc'!A0") == f"'{before}{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize("text", ["", "Acme", "a=b", "2× Pricing", "'=1", "x@y.example", " plain", "3-2"])
def test_other_text_stays_as_it_is(text):
    assert escape(text) == text


@pytest.mark.parametrize("number", [0, -5, 3.25, -0.5, True])
def test_a_number_stays_a_number_even_a_negative_one(number):
    assert escape(number) is number


def test_none_is_an_empty_cell():
    assert escape(None) == ""


@pytest.mark.parametrize("start", STARTS)
def test_escaping_twice_adds_one_apostrophe(start):
    assert escape(escape(start)) == f"'{start}"
