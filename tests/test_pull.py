"""The pull from PostHog, over real HTTP from a stand-in: the same facts as a file of the same events, whole days or
nothing of a day, and the nightly choice of days."""

import itertools
import json
import random
import threading
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from unittest.mock import ANY

import pytest
from django.core.management import CommandError, call_command
from freezegun import freeze_time

from abm_project import run_reads
from accounts.models import ProspectCompany
from accounts.naming import name_by_group
from ingestion.models import ActivityDay, ActivityPull
from ingestion.posthog import NotConfigured, OutOfBudget, PostHogError, Refused, TooMuch, Unavailable, connect
from ingestion.pull import days_to_read, hold_low_volume, is_low, pull
from registry.seeds import seed
from scoring.models import DailyAccountIntent, JobRun, LeaseLost, RunInProgress
from scoring.nights import run_pull
from scoring.rollup import CannotScore, recompute
from tests.conftest import point_at
from tests.export_lines import event, write
from tests.factories import at, make_company, make_config, make_pull, make_run, make_weight, score
from tests.posthog_standin import PostHog, faults

pytestmark = pytest.mark.django_db
ROOM = 62  # days between the todays of two tests: they share a stand-in, which forgets nothing
COMPANY = {"company": datetime(2020, 1, 1, tzinfo=UTC)}
NO_COMPANY = dict.fromkeys("abcde")  # a project has five group types at most: these, and so no other
_todays = (date(2020, 4, 1) + timedelta(days=ROOM * n) for n in itertools.count())


@pytest.fixture
def posthog(posthog):
    yield posthog
    posthog.set(
        timezone="US/Pacific",
        scopes={"query:read", "group:read"},
        group_types=COMPANY,
        max_limit=50_000,
        longest_range_seconds=None,
        longest_range_status=504,
        budget_bytes=None,
    )


@pytest.fixture
def today():
    """Of this test alone."""
    return next(_todays)


def days_before(today, count):
    return [today - timedelta(days=age) for age in range(count, 0, -1)]


def read(days, now=None, **options):
    """Pull the days; what was done at the end."""
    last = None
    for done in pull(connect(), days, now or at(days[-1] + timedelta(days=1), 2), **options):
        last = done
    return last


def facts():
    rows = ActivityDay.objects.values_list("account_key", "date", "cells_json", "people_json", "last_seen_at")
    return sorted((*row, cut) for row, cut in zip(rows, rows.values_list("paths_cut", flat=True), strict=True))


def pulls():
    """What is known of each day, whatever its source."""
    return {
        pull.date: (pull.state, pull.events, pull.keys, {why: n["events"] for why, n in pull.unresolved_json.items()})
        for pull in ActivityPull.objects.all()
    }


def states():
    return {pull.date: pull.state for pull in ActivityPull.objects.order_by("date")}


def scores():
    ours = ("id", "prospect_company_id", "score_config_id", "registry_revision_id", "job_run_id")
    times = ("created_at", "updated_at")
    rows = DailyAccountIntent.objects.order_by("prospect_company__domain", "date").values("prospect_company__domain")
    kept = [field.name for field in DailyAccountIntent._meta.concrete_fields if field.attname not in (*ours, *times)]
    return list(rows.values("prospect_company__domain", *kept))


def asked(posthog, name):
    return [request for request in posthog.requests if request.name.startswith(name)]


def forget():
    for model in (DailyAccountIntent, ProspectCompany, ActivityDay, ActivityPull):
        model.objects.all().delete()


def imported(events, day, now, path, *options):
    """Facts, days and scores of `day` when the same events come as a file."""
    with freeze_time(now):
        call_command("import_activity", str(write(path, *events)), *options, stdout=StringIO())
    ActivityDay.objects.filter(date__gt=day).delete()
    ActivityPull.objects.filter(date__gt=day).delete()
    list(recompute(day, now))
    left_out = ("other_event", "future")  # nobody asks PostHog for these
    known = {
        found: (*row, {why: n for why, n in reasons.items() if why not in left_out})
        for found, (*row, reasons) in pulls().items()
    }
    return facts(), known, scores()


# --- Pulled is imported ---
LONG = "/" + "l" * 2_100
PATHS = ["/pricing", '/blog/a"b', "/a\\b", "/tab\there", "/ünï/☃", "/x?mail=a@b.example#z", "", LONG, "//x", 5, True]
URLS = [
    "https://site.example/docs/a?utm=1#x",
    "https://www.site.example:8443/p",
    "https://docs.other.example/api?x=1",
    "https://user:pw@site.example/in",
    "HTTPS://Site.Example/up/../down",
    "https://site.example/%C3%BC/ü?x",
    "https://site.example?q=/no",
    "https://site.example:99999/p",
    "https://256.256.256.256/p",
    "https://exa mple.com/p",
    "https:site.example/p",
    "//site.example/p",
    "https:///p",
    5,
    "mailto:x@site.example",
    "/relative?q=1",
    "not a url",
    'https://site.example/a"b\\c',
    "",
    None,
    ["https://site.example/list"],
]
NAMES = ["pricing", "Pricing Page", "Öffice", 'quo"ted', "back\\slash", "tab\tbed", "null", "true", "", "x" * 90]
VALUES = [*NAMES, 5, 5.5, 0, -3, True, False, None, ["x"], {"a": "b"}, 2**60]
HOSTS = ["site.example", "docs.other.example", "", 5, None]
SENT = ["$pageview", "page_view", "cta_click", "form_started", "form_submitted", "$pageleave"]
ACCOUNTS = [
    "acme.example",
    "ACME.Example",
    "https://www.acme.example/x?y=1",
    "http://acme.example:8080",
    " acme.example ",
    "//acme.example",
    "acme.example/path",
    "sub.acme.example",
    "bücher.example",
    "BÜCHER.example",
    "xn--bcher-kva.example",
    "https://Bücher.example/ü",
    "beta.example\t",
    "gmail.com",
    "unknown",
    "(none)",
    "1.2.3.4",
    "localhost",
    "com",
    'quo"te.example',
    "a\\b.example",
    "somebody@beta.example",
    "x" * 300 + ".example",
    "",
    None,
    5,
    True,
    ["acme.example"],
    {"a": "acme.example"},
]
TIMES = ["00:00:00Z", "00:00:00.001Z", "23:59:59.999Z", "12:34:56.789Z", "03:00:00+05:30", "21:00:00-08:00"]


def awkward(last, days, count, seed=1):
    """Events in every way to write things, up to the end of `last`; the first and the last second are among them."""
    some = random.Random(seed)
    found = []
    for n in range(count):
        day = last - timedelta(days=n % days)
        properties = {"$current_url": some.choice(URLS), "$host": some.choice(HOSTS)}
        properties |= {name: some.choice(VALUES) for name in ("content_type", "service_lane", "cta_id")}
        one = event(
            some.choice(ACCOUNTS),
            f"{day}T{some.choice(TIMES[: None if n % days else 4])}",
            some.choice(SENT),
            some.choice(PATHS),
            some.randrange(10),
            **properties,
        )
        for name in ("$pathname", "$current_url", "$host", "content_type"):
            if some.random() < 0.3:
                one["properties"].pop(name)
        found.append(one)
    return found


@pytest.mark.parametrize(
    ("timezone", "hosts"), [("US/Pacific", ()), ("Asia/Kolkata", ("site.example",))], ids=["Pacific", "Kolkata, hosts"]
)
def test_facts_and_scores_are_those_of_a_file_of_the_same_events(posthog, settings, today, tmp_path, timezone, hosts):
    seed()
    settings.SITE_HOSTS = hosts
    posthog.set(timezone=timezone)
    days, now = days_before(today, 32), at(today, 2)
    events = awkward(days[-1], 31, 4_000)
    posthog.capture(events)

    done = read(days, now)
    list(recompute(days[-1], now))
    found = facts(), {day: row for day, row in pulls().items() if day in days[1:]}, scores()
    forget()
    expected = imported(events, days[-1], now, tmp_path / "events.jsonl", "--from", str(days[0]), "--to", str(today))

    assert found[0] == expected[0]
    assert found[1] == {day: row for day, row in expected[1].items() if day in days[1:]}
    assert found[2] == expected[2]
    assert {row["prospect_company__domain"] for row in found[2]} >= {"acme.example", "xn--bcher-kva.example"}
    assert done.written == len(found[0]) > 100
    assert {"no_account", "not_a_domain"} == set(done.unresolved)


@pytest.mark.parametrize("source", ["property:the one", "person_email"])
def test_other_account_sources_are_those_of_a_file_too(posthog, settings, today, tmp_path, source):
    settings.POSTHOG_ACCOUNT, settings.POSTHOG_PAGE_ROWS = source, 4
    make_weight(make_config())
    days, now = days_before(today, 2), at(today, 2)
    events = []
    for n, account in enumerate(ACCOUNTS * 2):
        one = event("not.looked.at.example", f"{days[n % 2]}T10:00:00Z", person=n % 10)
        who = n % len(ACCOUNTS)
        one["distinct_id"] = one["person_id"] = f"{today:%Y%m%d}-1111-7222-8333-{who:012}"
        one["properties"] |= {"the one": account}
        address = "gone" if account == "unknown" else f"Some.One@{account}"
        one["person_properties"] = {"email": address if who % 7 else None}
        events.append(one)
    posthog.capture(events)

    read(days, now)
    list(recompute(days[-1], now))
    found = facts(), pulls(), scores()
    forget()
    expected = imported(events, days[-1], now, tmp_path / "events.jsonl", "--account", source)

    assert (found[0], found[2]) == (expected[0], expected[2])
    assert len(found[0]) > 3
    for day in days:  # a person whose address is no address names no account
        assert found[1][day][:3] == expected[1][day][:3]
        assert sum(found[1][day][3].values()) == sum(expected[1][day][3].values())


def test_every_spelling_of_an_account_is_one_account_also_over_pages(posthog, settings, today):
    day = today - timedelta(days=1)
    spelled = ["acme.example", "ACME.example", "https://acme.example/a", "zzz@acme.example", "www.acme.example:80"]
    spelled += ["me@acme.example"]
    posthog.capture([event(name, f"{day}T10:00:0{n}Z", person=n) for n, name in enumerate(spelled)])
    settings.POSTHOG_PAGE_ROWS = 4

    read([day])

    only = ActivityDay.objects.get()
    assert (only.account_key, only.cells_json[0][-1], len(only.people_json)) == ("acme.example", 6, 6)
    assert only.last_seen_at == datetime(day.year, day.month, day.day, 10, 0, 5, tzinfo=UTC)


# --- Pages, splits and what comes between ---
@pytest.fixture
def some_day(posthog, today):
    """A day with 12 accounts, and events without one; and the day before it with three."""
    day = today - timedelta(days=1)
    events = [event(f"a{n % 12:02}.example", f"{day}T{n % 24:02}:59:59.999Z", person=n % 10) for n in range(60)]
    events += [event(None, f"{day}T00:00:00Z"), event("junk", f"{day}T23:59:59.999Z")]
    events += [event(f"b{n}.example", f"{day - timedelta(days=1)}T23:59:59.999Z") for n in range(3)]
    posthog.capture(events)
    return day


def test_a_page_of_any_length_gives_the_same_facts(posthog, settings, some_day):
    read([some_day])
    expected = facts(), pulls()
    rows = asked(posthog, "orbit day")[0].rows

    for limit in (rows + 1, rows, rows - 1, rows // 3):
        forget()
        posthog.forget_requests()
        settings.POSTHOG_PAGE_ROWS = limit
        done = read([some_day])

        assert (facts(), pulls()) == expected
        assert len(asked(posthog, "orbit day")) == rows // limit + 1
        assert done.meter.requests == len(posthog.requests) == 1 + 1 + 2 + rows // limit + 1


@pytest.mark.parametrize(("seconds", "status"), [(43_200, 504), (43_199, 512), (10_800, 504)])
def test_a_day_in_parts_gives_the_same_facts(posthog, settings, some_day, seconds, status):
    read([some_day])
    expected = facts(), pulls()
    forget()
    settings.POSTHOG_PAGE_ROWS = 4
    posthog.set(group_types=NO_COMPANY, longest_range_seconds=seconds, longest_range_status=status)

    read([some_day])

    assert (facts(), pulls()) == expected


def test_a_day_that_takes_too_long_in_quarters_of_an_hour_is_given_up(posthog, some_day):
    posthog.set(group_types=NO_COMPANY, longest_range_seconds=600)

    with pytest.raises(TooMuch, match=f"^{some_day}: "):
        read([some_day])
    assert facts() == []


def test_a_page_that_fails_once_is_read_again(posthog, settings, some_day):
    read([some_day])
    expected = facts(), pulls()
    forget()
    settings.POSTHOG_PAGE_ROWS = 4
    for fault in (faults.answer(500), faults.truncated(), faults.edited("nan")):
        posthog.faults.add(fault, name="orbit day", nth=2)

    read([some_day])

    assert (facts(), pulls()) == expected
    assert len(posthog.faults) == 0


def test_events_that_arrive_between_two_pages_are_in_next_time(posthog, settings, some_day):
    settings.POSTHOG_PAGE_ROWS = 4
    late = [event("a00.example", f"{some_day}T05:00:00Z"), event("zz.example", f"{some_day}T05:00:00Z")]
    posthog.faults.add(faults.meanwhile(*late), name="orbit day", nth=2)

    first = read([some_day])
    again = read([some_day])

    assert first.events == 60 + 2 + 1  # the page of a00 was read already
    assert again.events == 60 + 2 + 2
    assert again.written == 1
    assert ActivityDay.objects.filter(account_key="zz.example").exists()


def test_a_day_whose_counts_do_not_agree_is_read_again(posthog, some_day):
    other = faults.answer(200, '{"columns": ["events"], "results": [[999]]}')
    posthog.faults.add(other, name="orbit count", times=2)

    done = read([some_day])

    assert done.events == 62
    assert [request.name.split()[1] for request in posthog.requests[2:]] == ["count", "day", "count"] * 2
    assert pulls()[some_day][:3] == ("pulled", 60, 12)


def test_a_page_that_posthog_cuts_silently_is_noticed(posthog, settings, some_day):
    settings.POSTHOG_PAGE_ROWS = 4
    posthog.set(max_limit=3)

    with pytest.raises(Unavailable, match=r"62 and 62, in 3 attempts. Nothing of the day was stored"):
        read([some_day])

    assert (facts(), states()) == ([], {some_day: "failed"})


BAD_ROWS = {
    "no number": [["a.example", [["page_view", "", "", "", "/", "", "", "7"]], [], 1_600_000_000]],
    "no text": [["a.example", [["page_view", 7, "", "", "/", "", "", 7]], [], 1_600_000_000]],
    "null": [[None, None, None, None]],
    "short cell": [["a.example", [["page_view", 7]], [], 1_600_000_000]],
    "another event": [["a.example", [["other", "", "", "", "/", "", "", 7]], [], 1_600_000_000]],
    "objects": [[{"not": "a value"}] * 4],
    "people": [["a.example", [["page_view", "", "", "", "/", "", "", 62]], 7, 1_600_000_000]],
}


@pytest.mark.parametrize("rows", BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_of_another_kind_fail_the_day(posthog, some_day, rows):
    answer = json.dumps({"columns": ["account", "cells", "people", "last_seen_unix"], "results": rows})
    posthog.faults.add(faults.answer(200, answer), name="orbit day", times=0)

    with pytest.raises(PostHogError, match=f"^{some_day}: PostHog's answer for {some_day} has values of another kind"):
        read([some_day])
    assert (facts(), states()) == ([], {some_day: "failed"})


@pytest.mark.parametrize("result", ["[]", "[[1], [2]]", '[["62"]]', "[[null]]", "[[true]]", "[[62.0]]"])
def test_a_count_that_is_no_number_fails_the_day(posthog, some_day, result):
    body = f'{{"columns": ["events"], "results": {result}}}'
    posthog.faults.add(faults.answer(200, body), name="orbit count")

    with pytest.raises(PostHogError, match="count is no number"):
        read([some_day])
    assert facts() == []


# --- Whole days, one after the other ---
def test_a_day_that_fails_leaves_the_days_before_and_nothing_of_itself(posthog, settings, today):
    days = days_before(today, 5)
    posthog.capture([event(f"a{n}.example", f"{day}T10:00:00Z") for day in days for n in range(4)])
    settings.POSTHOG_PAGE_ROWS = 4
    posthog.faults.add(faults.answer(400), name=f"orbit day {days[2]}", nth=2)

    with pytest.raises(Refused, match=rf"^{days[2]}: PostHog refuses the query \(400\)"):
        read(days)

    assert {row[1] for row in facts()} == set(days[:2])
    assert states() == {days[0]: "pulled", days[1]: "pulled", days[2]: "failed"}
    assert "check_posthog" in ActivityPull.objects.get(date=days[2]).message

    read(days)
    assert set(states().values()) == {"pulled"}
    assert len(facts()) == 20
    assert ActivityPull.objects.get(date=days[2]).message == ""


def test_a_day_that_was_in_stays_as_it_was_when_its_next_reading_fails(posthog, today):
    days = days_before(today, 3)
    posthog.capture([event("a.example", f"{day}T10:00:00Z") for day in days])
    read(days)
    before = facts(), list(ActivityPull.objects.values())
    posthog.capture([event("a.example", f"{days[1]}T10:00:00Z")])
    posthog.faults.add(faults.answer(403), name=f"orbit count {days[1]}")

    with pytest.raises(Refused):
        read(days[1:])

    assert (facts(), list(ActivityPull.objects.values())) == before


def test_a_failed_day_says_why_it_failed_the_last_time(posthog, today):
    day = today - timedelta(days=1)
    for status, says in ((402, "plan"), (404, "POSTHOG_PROJECT_ID")):
        posthog.faults.add(faults.answer(status), name="orbit count")
        with pytest.raises(Refused):
            read([day])
        assert says in ActivityPull.objects.get().message


def test_the_second_reading_of_the_same_events_writes_no_row(posthog, today):
    days = days_before(today, 3)
    posthog.capture(awkward(days[-1], 3, 300))
    for run in range(2):
        done = read(days)
        if not run:
            before = facts(), pulls()

    assert (done.written, done.removed) == (0, 0)
    assert (facts(), pulls()) == before


def test_what_posthog_no_longer_reports_goes(posthog, settings, today):
    day = today - timedelta(days=1)
    posthog.capture([event("a.example", f"{day}T10:00:00Z", other="b.example")])
    read([day])
    settings.POSTHOG_ACCOUNT = "property:other"

    done = read([day])

    assert (done.written, done.removed) == (1, 1)
    assert [row[0] for row in facts()] == ["b.example"]


def test_a_day_notes_what_it_took_and_when_it_was_read(posthog, some_day):
    now = at(some_day + timedelta(days=1), 2)
    done = read([some_day], now)

    pull = ActivityPull.objects.get()
    sent = [request for request in posthog.requests if str(some_day) in request.name]
    assert (pull.requests, pull.bytes) == (3, sum(request.answer_bytes for request in sent))
    assert pull.scanned == sum(request.read_bytes for request in sent) > 0
    assert (pull.read_at, pull.source) == (now, "PostHog group:company")
    assert done.as_json() == {
        "days": 1,
        "events": 62,
        "account_days": 12,
        "written": 12,
        "removed": 0,
        "requests": len(posthog.requests),
        "bytes": sum(request.answer_bytes for request in posthog.requests),
        "scanned": sum(request.read_bytes for request in posthog.requests),
        "seconds": ANY,
        "unresolved": {"no_account": 1, "not_a_domain": 1},
    }


def test_a_day_that_is_not_over_is_partial_up_to_now(posthog, today):
    posthog.capture([event("a.example", f"{today}T0{hour}:30:00Z") for hour in range(1, 6)])

    done = read([today], at(today, 4))

    assert done.events == 3
    assert states() == {today: "partial"}


def test_a_day_without_events_is_a_day_that_is_in(posthog, today):
    day = today - timedelta(days=1)

    done = read([day])

    assert pulls() == {day: ("pulled", 0, 0, {})}
    assert done.meter.requests == 5


def test_no_more_than_two_questions_are_open_at_once(posthog, today):
    posthog.set(concurrent=2, concurrent_wait=0)
    try:
        read(days_before(today, 8))
    finally:
        posthog.set(concurrent=3, concurrent_wait=30)

    assert {request.status for request in posthog.requests} == {200}


def test_a_dry_run_reads_and_stores_nothing(posthog, some_day):
    done = read([some_day], keep=False)
    posthog.faults.add(faults.answer(400), name="orbit count")
    with pytest.raises(Refused):
        read([some_day], keep=False)

    assert (done.events, done.account_days, done.written) == (62, 12, 0)
    assert (facts(), states()) == ([], {})


# --- Where accounts are named ---
@pytest.mark.parametrize("index", [0, None, 3])
def test_without_the_scope_for_groups_the_configured_index_is_used(posthog, settings, some_day, index):
    read([some_day])
    expected = facts()
    forget()
    settings.POSTHOG_GROUP_INDEX = index
    posthog.set(scopes={"query:read"})

    read([some_day])

    assert facts() == expected


def test_without_such_a_group_type_the_events_own_groups_are_used(posthog, today):
    posthog.set(group_types=NO_COMPANY)
    day = today - timedelta(days=1)
    posthog.capture([event("ACME.example", f"{day}T10:00:00Z")])

    read([day])

    assert [row[0] for row in facts()] == ["acme.example"]


def test_events_from_before_the_group_type_was_made_count(posthog, today):
    day = today - timedelta(days=1)
    posthog.set(group_types={"company": at(today, 0)})
    posthog.capture([event("acme.example", f"{day}T10:00:00Z")])

    read([day])

    assert [row[0] for row in facts()] == ["acme.example"]


def group(key, **properties):
    known = {"$group_type": "company", "$group_key": key, "$group_set": properties}
    return {"event": "$groupidentify", "distinct_id": "s", "timestamp": "2020-01-02T00:00:00Z", "properties": known}


def test_groups_keyed_by_ids_name_their_accounts_by_a_property(settings, today):
    day, settings.POSTHOG_PAGE_ROWS = today - timedelta(days=1), 2
    settings.POSTHOG_ACCOUNT = "group_property:company.domain"
    with PostHog() as posthog:
        posthog.set(group_types=COMPANY)
        point_at(posthog, settings)
        posthog.capture(
            [
                group("id-1", domain="https://www.Acme.example/x", name='Acme "Space" Ünï'),
                group("id-2", domain="acme.example"),
                group("id-3", name="No domain"),
                group("id-4", domain="beta.example", name="beta.example"),
                group("id-5", domain="none", name="Junk"),
                *[event(f"id-{n}", f"{day}T10:00:0{n}Z", person=n) for n in range(1, 7)],
                event(None, f"{day}T10:00:00Z"),
            ]
        )
        done = read([day])

        assert {row[0]: len(row[3]) for row in facts()} == {"acme.example": 2, "beta.example": 1}
        assert done.unresolved == {"no_account": 3, "not_a_domain": 1}
        assert done.site.names() == {"acme.example": 'Acme "Space" Ünï'}

        posthog.set(group_types=NO_COMPANY)
        with pytest.raises(Refused, match="has no group type 'company'"):
            read([day])


def test_names_of_groups_reach_accounts_and_an_admins_name_stays(settings, today):
    day, now = today - timedelta(days=1), at(today, 2)
    make_weight(make_config())
    make_company("edited.example", name="What We Say", name_source=ProspectCompany.NameSource.ADMIN)
    with PostHog() as posthog:
        point_at(posthog, settings)
        names = {"Acme.example": "Acme Inc.", "edited.example": "Their Name", "long.example": "x" * 300}
        posthog.capture([group(key, name=name) for key, name in names.items()])
        posthog.capture([event(key, f"{day}T10:00:00Z") for key in [*names, "plain.example"]])
        run_pull([day], now, asked_by="ann")
        list(recompute(day, now))
        for run in range(2):
            run_pull([day], now, asked_by="ann")
            assert JobRun.objects.latest("created_at").result_json["named"] == (0 if run else 2)

    assert dict(ProspectCompany.objects.values_list("domain", "name")) == {
        "acme.example": "Acme Inc.",
        "edited.example": "What We Say",
        "long.example": "x" * 255,
        "plain.example": "plain.example",
    }
    assert name_by_group({}, now) == 0


def test_a_setting_that_names_no_source_says_so(settings, posthog, today):
    settings.POSTHOG_ACCOUNT = "company"

    with pytest.raises(NotConfigured, match=r"^POSTHOG_ACCOUNT: 'company' is no account source"):
        read([today])
    assert posthog.requests == []


# --- Which days a night reads ---
TODAY = date(2026, 11, 22)
LAST_NIGHT = at(TODAY - timedelta(days=1), 2)
TONIGHT = at(TODAY, 2)


def ages(days):
    return [(TODAY - day).days for day in days]


def known(ages, read_at=LAST_NIGHT, state="pulled"):
    for age in ages:
        make_pull(TODAY - timedelta(days=age), state, read_at=read_at)


def test_a_new_installation_reads_59_days():
    assert ages(days_to_read(TODAY)) == list(range(59, 0, -1))


@pytest.mark.parametrize(("setting", "read_days"), [(30, 30), (3, 3), (1, 1), (59, 59), (100, 59)])
def test_later_the_young_days_are_read_again(settings, setting, read_days):
    settings.POSTHOG_REPULL_DAYS = setting
    known(range(2, 61))
    assert ages(days_to_read(TODAY, TONIGHT)) == list(range(read_days, 0, -1))


def test_a_missing_week_heals_itself_and_only_it(settings):
    settings.POSTHOG_REPULL_DAYS = 3
    known([*range(2, 30), *range(37, 60)])
    assert ages(days_to_read(TODAY)) == [*range(36, 29, -1), 3, 2, 1]


def test_imported_days_stay_as_they_are():
    known(range(1, 60), read_at=None)
    assert days_to_read(TODAY) == []


@pytest.mark.parametrize("state", ["held", "failed", "partial"])
def test_a_day_that_is_not_in_is_read_again_however_old(settings, state):
    settings.POSTHOG_REPULL_DAYS = 1
    known(range(2, 59))
    known([1], state=state, read_at=TONIGHT)
    known([59], state=state, read_at=None)
    assert ages(days_to_read(TODAY, TONIGHT)) == [59, 1]


def test_days_that_were_read_since_then_are_done():
    known(range(1, 10), read_at=TONIGHT + timedelta(minutes=1))
    known(range(10, 60), read_at=TONIGHT - timedelta(microseconds=1))
    assert ages(days_to_read(TODAY, TONIGHT)) == list(range(30, 9, -1))
    assert ages(days_to_read(TODAY)) == list(range(30, 0, -1))


def test_full_reads_all_59_whatever_is_known():
    known(range(1, 60), read_at=None)
    assert ages(days_to_read(TODAY, full=True)) == list(range(59, 0, -1))


# --- The brake ---
@pytest.mark.parametrize(
    ("events", "before", "low"),
    [
        (39, [200, 200, 200, 200], True),
        (40, [200, 200, 200, 200], False),
        (0, [199, 199, 199, 199], False),
        (0, [199, 200, 200, 201], True),
        (0, [199, 199, 200, 201], False),
        (0, [200, 200, 200, 200], True),
        (199, [1_000, 1_000, 5_000, 1], True),
        (200, [1_000, 1_000, 5_000, 1], False),
        (0, [1_000, 1_000, 1_000], False),
        (0, [], False),
    ],
)
def test_a_day_is_low_below_a_fifth_of_four_ordinary_ones(events, before, low):
    assert is_low(events, before) is low


def quiet_day(posthog, today, before=200, now=39):
    """Yesterday has few events, and the same weekday of the four weeks before had enough."""
    day = today - timedelta(days=1)
    for week in range(1, 5):
        make_pull(day - timedelta(weeks=week), events=before)
    for age in range(1, 28):
        if age % 7:
            make_pull(day - timedelta(days=age))
    posthog.capture([event("a.example", f"{day}T10:00:00Z")] * now)
    return day


def test_a_day_with_far_too_few_events_is_held_and_blocks_scores_until_its_next_reading(posthog, today):
    make_weight(make_config())
    day = quiet_day(posthog, today)
    now = at(today, 2)
    read([day], now)

    why = hold_low_volume(day)

    assert why.startswith(f"{day} has 39 events, and the same weekday of the four weeks before had 200.")
    held = ActivityPull.objects.get(date=day)
    assert (held.state, held.message) == ("held", why)
    with pytest.raises(CannotScore, match=f"{day} is held"):
        list(recompute(day, now))
    assert day in days_to_read(today, now)

    posthog.capture([event("a.example", f"{day}T11:00:00Z")])
    read([day], now)
    assert hold_low_volume(day) == ""
    assert ActivityPull.objects.get(date=day).state == "pulled"
    list(recompute(day, now))
    assert DailyAccountIntent.objects.count() == 1


def test_a_pull_by_hand_is_held_too_and_says_so_in_its_run(posthog, today):
    day = quiet_day(posthog, today)

    with freeze_time(at(today, 9)), pytest.raises(CommandError, match="Something is likely broken"):
        pull_activity("--from", day, "--to", day)

    run = JobRun.objects.get()
    assert (run.state, run.result_json["pull"]["events"]) == ("held", 39)
    assert "39 events" in run.message


@pytest.mark.parametrize("state", ["failed", "held", "partial"])
def test_days_that_are_not_in_are_nothing_to_compare_with(posthog, today, state):
    day = quiet_day(posthog, today)
    ActivityPull.objects.filter(date=day - timedelta(weeks=2)).update(state=state)
    read([day])

    assert hold_low_volume(day) == ""
    assert hold_low_volume(day + timedelta(days=1)) == ""


# --- As a run ---
def test_a_run_whose_budget_ends_stops_and_says_when_it_may_go_on(posthog, today):
    days, now = days_before(today, 4), at(today, 3)
    posthog.capture([event("a.example", f"{day}T10:00:00Z") for day in days])
    body = '{"code": "api_queries_budget_exceeded", "detail": "x"}'
    posthog.faults.add(faults.answer(429, body, Retry_After="1800"), name=f"orbit count {days[2]}")

    with pytest.raises(OutOfBudget):
        run_pull(days, now, asked_by="ann")

    run = JobRun.objects.get()
    assert (run.state, run.result_json["pull"]["days"]) == ("failed", 2)
    assert run.not_before - run.finished_at == timedelta(seconds=1800)
    assert f"{days[2]}: PostHog's read budget" in run.message
    assert [day for day in days if day in days_to_read(today, at(today, 2))] == days[2:]

    run_pull([day for day in days_to_read(today, at(today, 2)) if day in days], now, asked_by="ann")
    assert set(states().values()) == {"pulled"}
    assert len(facts()) == 4


def posthog_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("posthog")]


def test_a_run_that_was_taken_for_dead_ends_with_its_threads(posthog, today):
    days = days_before(today, 6)
    posthog.capture([event("a.example", f"{day}T10:00:00Z") for day in days])
    beats = itertools.count(1)

    def guard():
        if next(beats) == 3:
            raise LeaseLost("taken for dead")

    with pytest.raises(LeaseLost):
        read(days, guard=guard)

    assert list(states()) == days[:2]
    assert {row[1] for row in facts()} == set(days[:2])
    assert posthog_threads() == []


def test_a_run_that_waits_for_posthog_says_meanwhile_that_it_lives(posthog, settings, today):
    settings.JOB_LEASE_SECONDS = 0.04
    posthog.faults.add(faults.throttled(100), name="orbit count", times=0)
    beats = itertools.count(1)

    def guard():
        if next(beats) == 5:
            raise LeaseLost("taken for dead while it waited")

    with pytest.raises(LeaseLost):
        read(days_before(today, 3), guard=guard)

    assert (states(), posthog_threads()) == ({}, [])


# --- The command ---
def pull_activity(*arguments):
    output = StringIO()
    call_command("pull_activity", *map(str, arguments), stdout=output)
    return output.getvalue()


@pytest.fixture
def morning(today):
    with freeze_time(at(today, 9)):
        yield today


def test_the_command_pulls_the_days_that_are_due_and_reports(posthog, morning):
    day = morning - timedelta(days=1)
    posthog.capture([event("a.example", f"{day}T10:00:00Z"), event("junk", f"{day}T10:00:00Z")])

    said = pull_activity()

    assert said.startswith(f"Days       59, {morning - timedelta(days=59)} to {day}\nEvents     2, in 1 account days\n")
    assert "Left out   not_a_domain 1\n" in said
    assert f"PostHog    {2 + 59 * 3} requests, " in said
    assert "Stored     1 rows written, 0 removed, in " in said
    run = JobRun.objects.get()
    assert (run.kind, run.state, run.is_bulk, run.asked_by) == ("pull", "done", True, "command line")
    assert run.params_json == {"days": [str(one) for one in days_before(morning, 59)]}
    assert (run.result_json["pull"]["requests"], run.result_json["named"]) == (179, 0)
    assert (run.done_items, run.total_items) == (59, 59)


def test_the_command_reads_the_days_that_are_named(posthog, morning):
    first, last = days_before(morning, 2)

    assert f"Days       2, {first} to {last}\n" in pull_activity("--from", first, "--to", last)
    assert "Days       1, " in pull_activity("--from", morning, "--to", morning)
    assert states() == {first: "pulled", last: "pulled", morning: "partial"}


def test_full_reads_days_from_files_again_and_without_it_they_stay(posthog, morning):
    for age in range(1, 60):
        make_pull(morning - timedelta(days=age))

    stay = "From files 59 days, which stay; --full reads them from PostHog.\n"
    assert pull_activity() == f"{stay}Nothing to read: every day is in.\n"
    ActivityPull.objects.filter(date=morning - timedelta(days=1)).update(read_at=at(morning, 2), state="failed")
    assert pull_activity().startswith("From files 58 days, which stay; --full reads them from PostHog.\nDays       1, ")
    JobRun.objects.all().delete()
    oldest = morning - timedelta(days=59)
    posthog.faults.add(faults.answer(402), name=f"orbit count {oldest}")
    with pytest.raises(CommandError, match=f"^{oldest}: "):
        pull_activity("--full")
    pulled = JobRun.objects.get()
    assert pulled.params_json["days"] == [str(day) for day in days_before(morning, 59)]
    assert run_reads.run(pulled.pk, pulled.started_at).title == "Pull of 59 days"


def test_the_commands_dry_run_stores_nothing_and_is_no_run(posthog, morning):
    day = morning - timedelta(days=1)
    posthog.capture([event("a.example", f"{day}T10:00:00Z")])
    make_run(state="running")

    said = pull_activity("--from", day, "--to", day, "--dry-run")

    assert "Events     1, in 1 account days\n" in said
    assert "Stored     nothing: a dry run, in " in said
    assert (facts(), states(), JobRun.objects.count()) == ([], {}, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--from", "2020-01-01"), "Give --from and --to"),
        (("--to", "2020-01-01"), "Give --from and --to"),
        (("--full", "--from", "2020-01-01", "--to", "2020-01-02"), "Give --from and --to"),
        (("--from", "2020-01-02", "--to", "2020-01-01"), "may not be after"),
        (("--from", "2020-01-01", "--to", "9999-01-01"), "not in the future"),
        (("--from", "2015-01-01", "--to", "2016-01-02"), "more than 366 days"),
        (("--from", "yesterday", "--to", "2020-01-01"), "invalid fromisoformat value"),
    ],
)
def test_the_command_refuses_mistakes_before_anything(posthog, arguments, says):
    with pytest.raises(CommandError, match=says):
        pull_activity(*arguments)
    assert (posthog.requests, JobRun.objects.count()) == ([], 0)


def test_the_command_says_what_failed_and_keeps_it_in_the_run(posthog, morning):
    posthog.faults.add(faults.answer(401), name=f"orbit count {morning - timedelta(days=59)}")

    with pytest.raises(CommandError, match="POSTHOG_API_KEY must be a personal API key") as failed:
        pull_activity()

    run = JobRun.objects.get()
    assert (run.state, run.message) == ("failed", str(failed.value))
    assert run.result_json["pull"]["days"] == 0


def test_the_command_says_what_is_not_set(settings, morning):
    settings.POSTHOG_API_KEY, settings.POSTHOG_PROJECT_ID = "", "1"

    with pytest.raises(CommandError, match="POSTHOG_API_KEY must be set"):
        pull_activity()
    with pytest.raises(CommandError, match="POSTHOG_API_KEY must be set"):
        pull_activity("--dry-run")
    assert [run.state for run in JobRun.objects.all()] == ["failed"]


def test_the_command_is_refused_while_another_bulk_run_goes_on(posthog, morning):
    make_run(state="running")

    with pytest.raises(CommandError, match="is under way since"):
        pull_activity()
    with pytest.raises(RunInProgress):
        run_pull(days_before(morning, 1), at(morning, 9), asked_by="ann")
    assert posthog.requests == []


def test_scores_follow_the_pull(posthog, today):
    make_weight(make_config(), "page_view", 10)
    day = today - timedelta(days=1)
    posthog.capture([event("a.example", f"{day}T10:00:00Z", "$pageview")])
    run_pull([day], at(today, 2), asked_by="ann")

    score(day)

    assert DailyAccountIntent.objects.get().raw_score_7d == 10
