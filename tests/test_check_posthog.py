"""The doctor: what it finds between Orbit and PostHog, and the settings it ends with."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from ingestion.doctor import domain_property
from tests.posthog_standin import PostHog

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def posthog():
    with PostHog() as running:
        yield running


def events(number=40, event="$pageview", **properties):
    """So many events of nine companies; `{n}` in a text is the company's number, a dict is `$groups`."""
    return [
        {
            "event": event,
            "distinct_id": f"u{n}",
            "timestamp": (NOW - timedelta(hours=n % 100 + 1)).isoformat(),
            "properties": {name: filled(value, n % 9) for name, value in properties.items()},
        }
        for n in range(number)
    ]


def filled(value, n):
    if isinstance(value, dict):
        return {name: filled(inner, n) for name, inner in value.items()}
    return value.replace("{n}", str(n)) if isinstance(value, str) else value


def grouped(number=40, event="$pageview", key="acme{n}.example", **properties):
    return events(number, event, **{"$groups": {"company": key}}, **properties)


def check(settings, sent, **options):
    """Exit code, what was said, and the settings it ends with."""
    with PostHog(**options) as posthog:
        posthog.capture(sent)
        settings.POSTHOG_API_KEY = posthog.api_key
        return ask(settings, posthog)


def ask(settings, posthog):
    settings.POSTHOG_HOST, settings.POSTHOG_PROJECT_ID = posthog.url, str(posthog.project_id)
    out = io.StringIO()
    try:
        call_command("check_posthog", stdout=out)
        code = ""
    except CommandError as error:
        code = str(error)
    said, _, change = out.getvalue().partition("Change these settings:\n")
    return code, said, change.strip()


def test_a_healthy_site_is_told_so_and_what_comes_next(settings):
    code, said, change = check(settings, grouped(content_type="pricing") + grouped(8, "cta_click", cta_id="book"))

    assert (code, change) == ("", "")
    assert "ok   Group type company is there (index 0)." in said
    assert "ok   $pageview: 40 events in 7 days, counted as page_view." in said
    assert "48 of 48 events (100%) name an account by group:company." in said
    assert "40 of 48 events (83%) carry content_type; event rules fill it" in said
    assert "form_submitted: none arrived." in said
    assert "Next: manage.py pull_activity" in said


def test_page_views_under_two_names_count_twice_until_one_is_ignored(settings):
    code, said, change = check(settings, grouped(40) + grouped(9, "page_view"))

    assert "each visit counts twice" in said
    assert change == "ACTIVITY_EVENT_ALIASES=$pageview=page_view,page_view=ignored"
    assert code == "Not everything is as it should be."


def test_pageviews_that_no_alias_counts_are_found(settings):
    settings.ACTIVITY_EVENT_ALIASES = {"visit": "page_view"}

    _, said, change = check(settings, grouped(40))

    assert "40 $pageview arrive and are not counted." in said
    assert change == "ACTIVITY_EVENT_ALIASES=$pageview=page_view,visit=page_view"


def test_groups_keyed_by_ids_lead_to_the_property_that_holds_the_domain(settings):
    groups = [
        {
            "event": "$groupidentify",
            "distinct_id": "setup",
            "timestamp": NOW.isoformat(),
            "properties": {
                "$group_type": "company",
                "$group_key": f"id-{n}",
                "$group_set": {"name": f"Acme {n}", "plan": "free", "web": f"acme{n}.example"},
            },
        }
        for n in range(9)
    ]

    _, said, change = check(settings, groups + grouped(40, key="id-{n}"))

    assert "Only 0 of the 9 commonest accounts are domains" in said
    assert change == "POSTHOG_ACCOUNT=group_property:company.web"


@pytest.mark.parametrize(
    ("sent", "options", "proposed"),
    [
        (events(team_domain="acme{n}.example"), {"group_types": {}}, "property:team_domain"),
        (events(**{"$groups": {"org": "acme{n}.example"}}), {"group_types": {"org": None}}, "group:org"),
        (
            [e | {"person_properties": {"email": f"a@acme{n % 5}.example"}} for n, e in enumerate(events())],
            {"group_types": {}},
            "person_email",
        ),
        (events(site="same.example", mail="x@gmail.com"), {"group_types": {}}, None),
    ],
    ids=["an event's property", "another group type", "the people's e-mail", "nowhere"],
)
def test_without_accounts_it_proposes_where_domains_are(settings, sent, options, proposed):
    code, said, change = check(settings, sent, **options)

    assert code
    assert "40 events none names an account" in said
    assert change == (f"POSTHOG_ACCOUNT={proposed}" if proposed else "")


def test_person_email_is_examined_by_the_people(settings):
    settings.POSTHOG_ACCOUNT = "person_email"
    known = [e | {"person_properties": {"email": f"a@acme{n % 5}.example"}} for n, e in enumerate(events())]

    assert check(settings, known)[0] == ""
    _, said, change = check(settings, grouped())
    assert "No person has an e-mail address of a company" in said
    assert change == "POSTHOG_ACCOUNT=group:company"


def test_a_key_without_group_read_is_told_the_scope_and_the_other_way(settings):
    code, said, _ = check(settings, grouped(), scopes=["query:read"])

    assert code
    assert "scopes query:read and group:read" in said
    assert "POSTHOG_GROUP_INDEX" in said


def test_a_site_that_sends_nothing_is_told_so(settings):
    code, said, _ = check(settings, [])

    assert code
    assert "No event at all arrived in the last 7 days" in said


def test_what_hinders_the_first_question_is_said_and_nothing_else(settings, posthog):
    settings.POSTHOG_API_KEY = "phx_secret_of_somebody"
    code, said, change = ask(settings, posthog)
    assert "does not know the key (401)" in code
    assert "secret_of_somebody" not in code + said
    assert (said, change) == ("", "")


def test_settings_that_are_missing_or_odd_are_named(settings):
    with pytest.raises(CommandError, match="POSTHOG_API_KEY and POSTHOG_PROJECT_ID must be set"):
        call_command("check_posthog")
    settings.POSTHOG_API_KEY, settings.POSTHOG_PROJECT_ID = "phx_x", "1"
    settings.POSTHOG_HOST = "http://posthog.example"
    with pytest.raises(CommandError, match=r"POSTHOG_HOST: .* is not encrypted"):
        call_command("check_posthog")
    settings.POSTHOG_HOST, settings.POSTHOG_ACCOUNT = "https://127.0.0.1", "company"
    with pytest.raises(CommandError, match="POSTHOG_ACCOUNT: 'company' is no account source"):
        call_command("check_posthog")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (['{"web": "a.example"}', '{"web": "b.example"}'], "web"),
        (['{"web": "a.example"}', '{"web": "a.example"}'], ""),  # the site's own
        (['{"web": "a.example"}', "{}", "{}"], ""),
        (['{"web": "gmail.com"}', '{"web": "gmx.de"}'], ""),
        (['{"$host": "a.example"}', '{"$host": "b.example"}'], ""),
        (["no json", "[]", '{"web": 7}'], ""),
        ([], ""),
    ],
)
def test_a_property_holds_accounts_when_half_of_the_rows_have_a_domain_and_not_all_the_same(rows, found):
    assert domain_property([[row] for row in rows]) == found
