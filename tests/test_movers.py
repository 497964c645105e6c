"""Movers: who turned hot or cool, who began to surge, and whose score moved most, each with its reason."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from abm_project.dashboards import movers
from accounts.resolution import merge
from tests.factories import DAY, make_company, make_snapshot, make_user

pytestmark = pytest.mark.django_db
YESTERDAY = DAY - timedelta(days=1)


def moved(domain, before, now, *, then=YESTERDAY, **fields):
    """An account whose snapshots are (score, stage, surge level) then and now; None then: it was not there."""
    company = make_company(domain, **fields)
    for day, values in ((then, before), (DAY, now)):
        if values:
            score, stage, surge = values
            make_snapshot(
                company,
                day,
                intent_score=score,
                intent_stage=stage,
                surge_level=surge,
                why_hot_json=[f"{score}× Pricing"],
            )
    return company


def domains(rows):
    return [mover.domain for mover in rows]


def test_an_account_that_is_hot_now_and_was_not_entered_and_the_reverse_left():
    moved("up.example", (60, "Warm", "Normal"), (75, "Hot", "Normal"))
    moved("new.example", None, (80, "Hot", "Normal"))
    moved("down.example", (71, "Hot", "Normal"), (69, "Warm", "Normal"))
    moved("still.example", (90, "Hot", "Normal"), (91, "Hot", "Normal"))
    found = movers()

    assert (found.since, found.through) == (YESTERDAY, DAY)
    assert domains(found.entered_hot.shown) == ["new.example", "up.example"]
    assert domains(found.left_hot.shown) == ["down.example"]


def test_newly_surging_was_normal_and_newly_exploding_was_less():
    moved("a.example", (40, "Warm", "Normal"), (50, "Warm", "Surging"))
    moved("b.example", (40, "Warm", "Surging"), (60, "Warm", "Exploding"))
    moved("c.example", (40, "Warm", "Exploding"), (39, "Warm", "Surging"))
    moved("d.example", None, (55, "Warm", "Exploding"))
    found = movers()

    assert domains(found.newly_surging.shown) == ["a.example"]
    assert domains(found.newly_exploding.shown) == ["b.example", "d.example"]


def test_each_says_how_far_it_moved_and_why():
    moved("a.example", (60, "Warm", "Normal"), (75, "Hot", "Surging"))
    moved("new.example", None, (80, "Hot", "Normal"))
    new, mover = movers().entered_hot.shown

    assert (mover.score_before, mover.intent_score, mover.change) == (60, 75, 15)
    assert (mover.stage_before, mover.intent_stage) == ("Warm", "Hot")
    assert (mover.surge_before, mover.surge_level) == ("Normal", "Surging")
    assert mover.why_hot == ("75× Pricing",)
    assert (new.score_before, new.stage_before, new.change) == (None, None, 80)


def test_the_biggest_changes_come_first_both_ways():
    for number in range(1, 15):
        moved(f"up{number:02}.example", (10, "Cold", "Normal"), (10 + number, "Cold", "Normal"))
        moved(f"down{number:02}.example", (50, "Warm", "Normal"), (50 - number, "Warm", "Normal"))
    moved("same.example", (50, "Warm", "Normal"), (50, "Warm", "Normal"))
    found = movers(limit=3)

    assert [mover.change for mover in found.up] == [14, 13, 12]
    assert [mover.change for mover in found.down] == [-14, -13, -12]


def test_who_had_no_score_before_stands_among_the_risen_by_all_of_its_own():
    for number in range(3):
        moved(f"up{number}.example", (10, "Cold", "Normal"), (15 + number, "Cold", "Normal"))
    moved("first.example", None, (7, "Cold", "Normal"))
    moved("last.example", None, (5, "Cold", "Normal"))
    moved("too-little.example", None, (4, "Cold", "Normal"))
    moved("nothing.example", None, (0, "Cold", "Normal"))

    assert domains(movers(limit=4).up) == ["up2.example", "first.example", "up1.example", "up0.example"]
    assert domains(movers(limit=5).up)[-1] == "last.example"
    assert domains(movers().up)[-2:] == ["last.example", "too-little.example"]
    assert domains(movers().down) == []


def test_more_than_are_shown_are_counted():
    for number in range(5):
        moved(f"{number}.example", (60, "Warm", "Normal"), (70 + number, "Hot", "Normal"))
    found = movers(limit=2).entered_hot

    assert (found.count, domains(found.shown)) == (5, ["4.example", "3.example"])


def test_since_a_day_compares_with_the_scores_of_that_day_or_the_newest_before():
    then = DAY - timedelta(days=10)
    moved("a.example", (10, "Cold", "Normal"), (80, "Hot", "Normal"), then=then)

    for since in (then, DAY - timedelta(days=4), None):
        assert movers(since).since == then
        assert domains(movers(since).entered_hot.shown) == ["a.example"]
    assert movers(then - timedelta(days=1)).since is None


def test_merged_and_suppressed_accounts_do_not_move_and_owners_see_theirs():
    me = make_user("me")
    mine = moved("mine.example", (10, "Cold", "Normal"), (80, "Hot", "Normal"), owner=me)
    moved("theirs.example", (10, "Cold", "Normal"), (80, "Hot", "Normal"))
    moved("rival.example", (10, "Cold", "Normal"), (80, "Hot", "Normal"), suppressed_as="competitor")
    merge(moved("merged.example", (10, "Cold", "Normal"), (80, "Hot", "Normal")), mine)

    assert domains(movers().entered_hot.shown) == ["mine.example", "theirs.example"]
    assert domains(movers(owner_id=me.pk).up) == ["mine.example"]


def test_a_lead_of_today_moves_its_account_before_the_night():
    company = moved("a.example", (60, "Warm", "Normal"), (65, "Warm", "Normal"))
    make_snapshot(
        company, DAY + timedelta(days=1), intent_score=75, intent_stage="Hot", is_provisional=True, why_hot_json=["now"]
    )
    found = movers()

    assert (found.since, found.through) == (YESTERDAY, DAY)
    assert [(mover.change, mover.why_hot) for mover in found.entered_hot.shown] == [(15, ("now",))]


def test_an_empty_installation_has_no_movers():
    found = movers()

    assert (found.since, found.through, found.up, found.entered_hot.count) == (None, None, (), 0)


def test_forty_movers_take_as_many_queries_as_one():
    moved("a.example", (60, "Warm", "Normal"), (75, "Hot", "Surging"))
    with CaptureQueriesContext(connection) as one:
        movers()
    for number in range(40):
        moved(f"{number}.example", (60, "Warm", "Normal"), (75, "Hot", "Surging"))
    with CaptureQueriesContext(connection) as forty:
        movers()

    assert len(forty) == len(one) == 11
