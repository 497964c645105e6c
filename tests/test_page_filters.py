"""How pages write times and numbers. No database."""

from datetime import date, timedelta

import pytest

from abm_project.templatetags.orbit import ago, day, plain, points, signed, utc
from tests.factories import DAY, at

NOW = at(DAY, 15)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=15), "15 h ago"),
        (timedelta(hours=15, minutes=1), "yesterday"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=-1), "just now"),
    ],
)
def test_a_moment_is_told_from_now(before, text):
    assert ago(NOW - before, NOW) == text


def test_what_never_happened_is_never():
    assert (ago(None, NOW), utc(None), day(None), points(None), signed(None)) == ("never", "", "", "", "")


def test_the_exact_moment_is_utc():
    assert utc(NOW) == "2026-11-21 15:00:00 UTC"
    assert day(date(2026, 11, 1)) == "Sun 1 Nov"


@pytest.mark.parametrize(("value", "text"), [(0, "0.0"), (-0.04, "0.0"), (-1.25, "−1.2"), (1234.56, "1,234.6")])
def test_points_have_one_decimal_and_a_real_minus(value, text):
    assert points(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "±0"), (0.01, "±0"), (-0.01, "±0"), (3, "+3"), (-3, "−3"), (2.5, "+2.5"), (-40.14, "−40.1")]
)
def test_a_change_has_its_sign(value, text):
    assert signed(value) == text


def test_a_lane_is_written_as_words():
    assert plain("private_office") == "private office"
