"""A real amount: 200,000 events of 300 accounts in 60 days, pulled in every awkward way, are those of a file."""

import json
import random
from datetime import date, datetime, timedelta

import pytest

from ingestion.posthog import Refused
from ingestion.pull import days_to_read
from registry.seeds import seed
from scoring.rollup import recompute
from tests.factories import at
from tests.posthog_standin import PostHog, faults
from tests.test_pull import COMPANY, NO_COMPANY, asked, facts, forget, imported, pulls, read, scores

pytestmark = [pytest.mark.soak, pytest.mark.django_db]
TODAY = date(2026, 11, 22)
NOW = at(TODAY, 2)
LAST = TODAY - timedelta(days=1)
DAYS = [TODAY - timedelta(days=age) for age in range(60, 0, -1)]
EVENTS, ACCOUNTS = 200_000, 300
PATHS = ["/pricing", '/blog/a"b', "/x?y=1#z", "", "/ünï", "/security", "/a\\b"]
LANES = ["office", "Öffice", "Event Space", "", None, 5, True]
TYPES = ["pricing", "Pricing Page", "docs", "", None, 5, True, "a\tb"]
NAMES = ["$pageview", "page_view", "cta_click", "form_submitted", "$autocapture"]


def events():
    """The same every time. Each day PostHog has 300 rows of accounts in three spellings; on every other day one more of
    events without an account, and on every third day one of those whose account is no domain."""
    some = random.Random(4)
    spellings = ("acme{}.example", " ACME{}.Example", "Acme{}.example/x?y")
    for n in range(EVENTS):
        moment = datetime.combine(DAYS[n % 60], datetime.min.time()) + timedelta(
            milliseconds=some.randrange(86_400_000)
        )
        properties = {
            "$pathname": some.choice(PATHS),
            "$current_url": f"https://site.example/u/{some.randrange(40)}?q={n}",
            "content_type": some.choice(TYPES),
            "service_lane": some.choice(LANES),
            "cta_id": some.choice(("reserve", "go")),
        }
        account = some.choice(spellings).format(some.randrange(ACCOUNTS))
        if n % 60 % 3 == 0 and some.random() < 0.05:
            account = "junk"
        if n % 60 % 2 == 0 or some.random() < 0.9:
            properties["$groups"] = {"company": account}
        person = some.randrange(2_000)
        yield {
            "event": some.choice(NAMES),
            "distinct_id": f"u{person}",
            "timestamp": f"{moment.isoformat(timespec='milliseconds')}Z",
            "person_id": f"018f3c5e-1111-7222-8333-{person:012x}",
            "properties": properties,
        }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Their file, and the lines."""
    lines = list(events())
    return lines, tmp_path_factory.mktemp("soak")


@pytest.fixture(scope="module")
def standin(written):
    with PostHog(per_minute=None, per_hour=None) as posthog:
        posthog.capture(written[0])
        yield posthog


@pytest.fixture
def posthog(posthog):
    yield posthog
    posthog.set(timezone="UTC", group_types=COMPANY, longest_range_seconds=None)


def test_every_way_to_pull_gives_the_facts_and_scores_of_the_file(posthog, settings, written):
    lines, directory = written
    seed()
    expected = imported(lines, LAST, NOW, directory / "events.jsonl")
    accounts = max(pull[2] for pull in expected[1].values())
    assert accounts == len(expected[2]) == ACCOUNTS

    for timezone, rows in (("US/Pacific", 50_000), ("Asia/Kolkata", 301), ("UTC", 300), ("US/Pacific", 299)):
        forget()
        settings.POSTHOG_PAGE_ROWS = rows
        posthog.set(timezone=timezone)
        posthog.forget_requests()
        done = read(DAYS, NOW)
        list(recompute(LAST, NOW))

        assert done.days == 60
        if rows > 1_000:
            found = {request.rows for request in asked(posthog, "orbit day")}
            assert found >= {ACCOUNTS, ACCOUNTS + 1, ACCOUNTS + 2}
        assert (facts(), pulls(), scores()) == expected, (timezone, rows)

    # Nothing new: nothing is written. A fortnight in pages of 100, in parts, with failures between.
    settings.POSTHOG_PAGE_ROWS = 100
    posthog.set(group_types=NO_COMPANY, longest_range_seconds=40_000)
    for day in DAYS[-14::7]:
        posthog.faults.add(faults.answer(502), name=f"orbit day {day}", nth=4)
        posthog.faults.add(faults.truncated(), name=f"orbit day {day}", nth=6)
    again = read(DAYS[-14:], NOW)
    assert (again.written, again.removed, len(posthog.faults)) == (0, 0, 0)
    assert facts() == expected[0]


def test_events_that_arrive_between_pages_are_in_the_night_after(posthog, settings, written):
    days, directory = DAYS[-31:], written[1]
    lines = [line for line in written[0] if line["timestamp"] >= str(days[0])]
    seed()
    settings.POSTHOG_PAGE_ROWS = 100
    day = days[-3]
    late = [json.loads(json.dumps(line)) for line in lines if line["timestamp"].startswith(str(days[-4]))][:500]
    for line in late:
        line["timestamp"] = line["timestamp"].replace(str(days[-4]), str(day))
    posthog.faults.add(faults.meanwhile(*late), name=f"orbit day {day}", nth=2)
    posthog.faults.add(faults.answer(400), name=f"orbit day {days[-2]}", nth=3)

    with pytest.raises(Refused):
        read(days, NOW)
    assert {row[1] for row in facts()} == set(days[:-2])
    read(days[-2:], NOW)
    assert set(days_to_read(TODAY, NOW)).isdisjoint(days)
    read(days[-3:], NOW)
    list(recompute(LAST, NOW))

    found = facts(), pulls(), scores()
    assert len(asked(posthog, "orbit day")) > 31 * 3
    forget()
    assert found == imported([*lines, *late], LAST, NOW, directory / "late.jsonl")
