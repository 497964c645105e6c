"""Every page says through which day there are scores and whether that is as it should be."""

from datetime import timedelta

import pytest
from django.utils import timezone

from abm_project import pages
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


@pytest.mark.parametrize("state", ["failed", "held"])
def test_a_night_that_failed_or_is_held_decides_like_a_recompute(state):
    scored()
    night = make_run("night", state, slot=TODAY, message="4 % of the usual events.", started_at=at(TODAY, 3))
    found = freshness(TODAY)

    assert (found.state, found.message, found.run_id) == (state, "4 % of the usual events.", night.pk)
    assert found.through == DAY


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_night_that_failed_and_is_tried_again_says_so_until_it_succeeds(state):
    scored()
    night = make_run("night", state, slot=TODAY, message="PostHog is away.", started_at=at(TODAY, 3), finished_at=None)
    found = freshness(TODAY)
    assert (found.state, found.message, found.going) == ("failed", "PostHog is away.", state)

    night.state, night.message = "done", ""
    night.save()
    assert freshness(TODAY).state == "fresh"


def test_a_run_that_goes_on_hides_nothing_of_the_one_before_it():
    scored()
    make_run("night", "held", slot=TODAY, message="4 %.", started_at=at(TODAY, 3))
    make_run(state="running", started_at=at(TODAY, 4))
    make_run(state="queued", started_at=at(TODAY, 5), finished_at=None)
    found = freshness(TODAY)

    assert (found.state, found.message, found.going) == ("held", "4 %.", "running")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_an_admin_published_anyway_is_under_way_and_not_in_trouble(state):
    scored()
    published = {"params_json": {"accepted_by": "ada"}, "message": "4 %.", "finished_at": None}
    make_run("night", state, slot=TODAY, started_at=at(TODAY, 3), **published)

    assert (freshness(TODAY).state, freshness(TODAY).going) == ("fresh", state)


def test_a_run_of_single_accounts_does_not_decide():
    scored()
    make_run(state="failed", is_bulk=False, started_at=at(TODAY, 3))

    assert freshness(TODAY).state == "fresh"


def test_many_runs_take_two_queries_too(django_assert_num_queries):
    scored()
    for hour in range(4, 24):
        make_run(state="failed", message="No.", started_at=at(TODAY, hour))
    make_run(state="running", started_at=at(TODAY + timedelta(days=1)))
    with django_assert_num_queries(2):
        assert freshness(TODAY).state == "failed"


# --- What a page says -------------------------------------------------------------------------------------------------
def page(client, role):
    client.force_login(make_user(role=role))
    return " ".join(client.get("/").content.decode().split())


def night(state, **fields):
    """Of a moment ago, so that the page's clock finds the scores of before fresh or not as the test says."""
    now = timezone.now()
    return make_run("night", state, slot=now.date(), **{"started_at": now, "finished_at": now} | fields)


@pytest.mark.parametrize("role", ["sales", "internal_admin"])
def test_a_failed_run_is_shown_with_its_message_and_what_to_do(client, role):
    run = night("failed", message="No facts for <20 Nov>.")
    shown = page(client, role)

    assert "<b>The last run failed:</b> No facts for &lt;20 Nov&gt;." in shown
    assert ("An admin has to look at it." in shown) is (role == "sales")
    assert ("Mend the cause, then recompute." in shown) is (role == "internal_admin")
    assert (f'<a href="/runs/{run.pk}">' in shown) is (role == "internal_admin")


@pytest.mark.parametrize("role", ["sales", "internal_admin"])
def test_a_held_night_says_that_the_scores_stay_and_who_publishes(client, role):
    run = night("held", message="4 % of the usual events.")
    shown = page(client, role)

    assert "<b>The last run is held, and the scores stay as they were:</b> 4 % of the usual events." in shown
    assert ("An admin decides whether it is published." in shown) is (role == "sales")
    assert (f'<a href="/runs/{run.pk}">Look at it and publish</a>' in shown) is (role == "internal_admin")


@pytest.mark.parametrize(("state", "words"), [("running", "is under way"), ("queued", "is queued")])
def test_another_attempt_is_named(client, state, words):
    night(state, message="PostHog is away.", finished_at=None)

    assert f"PostHog is away. Another attempt {words}." in page(client, "sales")


@pytest.mark.parametrize(("state", "words"), [("running", "a run is under way."), ("queued", "a run is queued.")])
def test_a_run_that_goes_on_is_told_beside_the_date(client, state, words):
    scored()
    night(state, finished_at=None)

    assert words in page(client, "sales")


@pytest.mark.parametrize(
    ("role", "advice"),
    [("sales", "Tell an admin"), ("internal_admin", 'then <a href="/runs">recompute</a>.')],
)
def test_a_missed_night_makes_every_page_say_stale_and_what_to_do(client, role, advice):
    scored(timezone.now().date() - timedelta(days=3))
    shown = page(client, role)

    assert "<b>Stale.</b> Data through" in shown
    assert advice in shown


@pytest.mark.parametrize(("hour", "state"), [(0, "fresh"), (2, "fresh"), (3, "stale"), (23, "stale")])
def test_before_the_night_is_due_to_be_in_the_scores_of_the_day_before_are_fresh(rf, monkeypatch, hour, state):
    """Midnight in UTC is the afternoon in California: nobody there reads "stale" before the night even began."""
    scored()
    monkeypatch.setattr(timezone, "now", lambda: at(DAY + timedelta(days=2), hour))

    assert pages.freshness(rf.get("/"))["freshness"].state == state
