"""Every page says through which day there are scores and whether that is as it should be."""

from datetime import timedelta

import pytest

from abm_project.dashboards import freshness
from tests.factories import DAY, at, make_company, make_run, make_snapshot, make_user

pytestmark = pytest.mark.django_db
TODAY = DAY + timedelta(days=1)


def scored(day=DAY, **fields):
    run = make_run(started_at=at(day + timedelta(days=1), 2), finished_at=at(day + timedelta(days=1), 2))
    make_snapshot(make_company(), day, job_run=run, **fields)


def test_last_nights_scores_are_fresh():
    scored()
    found = freshness(TODAY)

    assert (found.state, found.through, found.computed_at) == ("fresh", DAY, at(TODAY, 2))
    assert found.computed_the_night_after


def test_scores_older_than_yesterday_are_stale():
    scored()

    assert freshness(TODAY + timedelta(days=1)).state == "stale"


def test_a_lead_scored_during_the_day_does_not_make_old_scores_fresh():
    scored(DAY - timedelta(days=1))
    make_snapshot(make_company("b.example"), TODAY, is_provisional=True)

    assert (freshness(TODAY).state, freshness(TODAY).through) == ("stale", DAY - timedelta(days=1))


def test_the_newest_run_decides_whether_it_failed():
    scored()
    make_run(state="failed", message="No facts for 20 Nov.", started_at=at(TODAY, 3))
    assert (freshness(TODAY).state, freshness(TODAY).message) == ("failed", "No facts for 20 Nov.")

    make_run(started_at=at(TODAY, 4))
    assert freshness(TODAY).state == "fresh"


def test_the_failure_of_another_job_is_not_ours():
    scored()
    make_run(kind="export", state="failed", started_at=at(TODAY, 3))

    assert freshness(TODAY).state == "fresh"


def test_an_empty_installation_says_so_in_two_queries(django_assert_num_queries):
    with django_assert_num_queries(2):
        assert freshness(TODAY).state == "empty"


@pytest.mark.parametrize(
    ("role", "advice"), [("sales", "An admin has to look at it."), ("internal_admin", "recompute_intent")]
)
def test_a_failed_run_is_shown_with_its_message_and_what_to_do(client, role, advice):
    make_run(state="failed", message="No facts for <20 Nov>.")
    client.force_login(make_user(role=role))
    shown = client.get("/").content.decode()

    assert "No facts for &lt;20 Nov&gt;." in shown
    assert advice in shown
