"""Numbers into geometry: what is drawn where. No database."""

from datetime import date, timedelta

import pytest

from abm_project.charts import score_line, shares, sparkline

D = date(2026, 11, 21)


def line(*scores, cold_max=34, warm_max=69):
    days = [(D - timedelta(days=len(scores) - 1 - index), score, ()) for index, score in enumerate(scores)]
    return score_line(days, cold_max, warm_max)


def test_a_sparkline_is_on_the_fixed_scale_of_0_to_100():
    spark = sparkline([0, 100, 50], width=96, height=24, margin=2)

    assert spark.segments == ("2,22 48,2 94,12",)
    assert (spark.x, spark.y) == (94, 12)
    assert spark.label == "Score over 3 days: from 0 to 50, highest 100"


def test_a_day_without_a_score_is_a_gap_and_not_a_zero():
    spark = sparkline([None, 10, 10, None, 20, None], width=56, height=20, margin=3)

    assert [len(points.split()) for points in spark.segments] == [2, 1]
    assert spark.x == 43


@pytest.mark.parametrize("scores", [[], [None], [None, None]])
def test_nothing_known_draws_nothing(scores):
    assert sparkline(scores) is None


def test_one_day_alone_is_a_point_inside_the_picture():
    spark = sparkline([40])

    assert 0 <= spark.x <= spark.width
    assert 0 <= spark.y <= spark.height


def test_the_bands_meet_and_fill_the_scale():
    chart = line(1, 2)

    assert [band.stage for band in chart.bands] == ["Hot", "Warm", "Cold"]
    assert chart.bands[0].y == chart.top
    for upper, lower in zip(chart.bands, chart.bands[1:], strict=False):
        assert upper.y + upper.height == pytest.approx(lower.y)
    assert chart.bands[-1].y + chart.bands[-1].height == pytest.approx(chart.bottom)


@pytest.mark.parametrize("cold_max, warm_max", [(34, 69), (0, 1), (10, 99)])
@pytest.mark.parametrize("score", range(0, 101))
def test_a_score_lies_in_the_band_of_its_stage(cold_max, warm_max, score):
    chart = line(score, cold_max=cold_max, warm_max=warm_max)
    band = next(band for band in chart.bands if band.low <= score <= band.high)

    assert band.y - 0.05 <= chart.days[0].y <= band.y + band.height + 0.05


def test_the_columns_of_the_days_stand_side_by_side_and_fill_the_width():
    chart = line(*range(30))

    assert chart.days[0].left == chart.left
    assert chart.days[-1].left + chart.days[-1].width == pytest.approx(chart.right, abs=0.2)


def test_the_newest_day_is_labelled_and_then_every_week_before_it():
    assert [D - day.date for day in line(*range(30)).labelled] == [timedelta(days=n) for n in (28, 21, 14, 7, 0)]


def test_no_days_draw_only_the_bands():
    chart = line()

    assert (chart.days, chart.segments, len(chart.bands)) == ((), (), 3)


@pytest.mark.parametrize("values, bars", [([], []), ([0, 0], [0, 0]), ([5, 10, 0], [50, 100, 0]), ([-1, 4], [0, 100])])
def test_bars_are_percentages_of_the_largest(values, bars):
    assert shares(values) == bars
