"""The stand-in for PostHog keeps PostHog's contract, as far as Orbit relies on it (docs/posthog.md)."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests import export_lines
from tests.posthog_standin import PostHog, faults

AT = "2026-11-21T02:30:00Z"  # the evening of the 20th in California
NIL = "00000000-0000-0000-0000-000000000000"
NAMES = ["$pageview", "page_view", "cta_click", "form_started", "form_submitted"]
ACCOUNT = (
    "lower(replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(trim(coalesce(nullIf($group_0,''),"
    " properties.$groups.company, '')), '(?i)^[a-z][a-z0-9+.-]*://',''), '[/?#:].*$',''), '(?i)^www\\\\.',''))"
)
DAY = f"""
SELECT account, groupArray(tuple(ev, ct, lane, cta, p, n)) AS cells,
  arrayDistinct(arrayFlatten(groupArray(ppl))) AS people, max(last_seen) AS last_seen_unix
FROM (SELECT {ACCOUNT} AS account, if(event = '$pageview', 'page_view', event) AS ev,
        coalesce(properties.content_type, '') AS ct, coalesce(properties.service_lane, '') AS lane,
        if(event = 'cta_click', coalesce(properties.cta_id, ''), '') AS cta,
        coalesce(nullIf(properties.$pathname, ''), path(coalesce(properties.$current_url, '')), '') AS p,
        groupUniqArray(substring(toString(person_id), 25, 12)) AS ppl, count() AS n,
        max(toUnixTimestamp(timestamp)) AS last_seen
      FROM events WHERE timestamp >= toDateTime({{from}}) AND timestamp < toDateTime({{to}}) AND event IN {{events}}
      GROUP BY account, ev, ct, lane, cta, p)
WHERE account != '' AND account > {{after}}
GROUP BY account ORDER BY account LIMIT 50000
"""
MAILS = """
SELECT toString(id) AS pid, lower(coalesce(properties.email,'')) AS email FROM persons
WHERE coalesce(properties.email,'') != '' AND id > toUUID({after}) ORDER BY id LIMIT 50000
"""
THE_DAY = {"from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z", "events": NAMES, "after": ""}
PROPERTIES = {
    "quoted": 'a"b', "tab": "a\tb", "slashes": "a\\b", "url": "https://x.example/a?b=c", "umlaut": "Käse", "empty": "",
    "nothing": None, "number": 3, "truth": True, "nested": {"inner": "v"}, "$groups": {"company": "Acme.example"},
}  # fmt: skip


def event(name: str = "page_view", at: str = AT, who: str = "u1", **properties: Any) -> dict[str, Any]:
    return {"event": name, "distinct_id": who, "timestamp": at, "properties": properties}


def ask(
    posthog: PostHog, text: str, values: dict | None = None, modifiers: dict | None = None, **body: Any
) -> requests.Response:
    query = {"kind": "HogQLQuery", "query": text, "values": values or {}, "modifiers": modifiers or {}}
    return send(posthog, {"query": query, "refresh": "force_blocking", **body})


def send(posthog: PostHog, body: Any, timeout: float = 10) -> requests.Response:
    address = f"{posthog.url}/api/projects/{posthog.project_id}/query/"
    headers = {"Authorization": f"Bearer {posthog.api_key}"}
    return requests.post(address, json=body, headers=headers, timeout=timeout, allow_redirects=False)


def rows(posthog: PostHog, text: str, values: dict | None = None, **body: Any) -> list[list[Any]]:
    answer = ask(posthog, text, values, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def value(posthog: PostHog, expression: str, **body: Any) -> Any:
    return rows(posthog, f"SELECT {expression} AS x FROM events LIMIT 1", **body)[0][0]


def get(posthog: PostHog, path: str) -> requests.Response:
    return requests.get(posthog.url + path, headers={"Authorization": f"Bearer {posthog.api_key}"}, timeout=10)


@pytest.fixture(scope="module")
def loaded() -> Iterator[PostHog]:
    """In California, with one event; nobody changes it."""
    with PostHog(timezone="US/Pacific", per_minute=None) as posthog:
        posthog.capture([event(**PROPERTIES)])
        yield posthog


@pytest.fixture(scope="module")
def reused() -> Iterator[PostHog]:
    with PostHog() as posthog:
        yield posthog


@pytest.fixture
def posthog(reused) -> PostHog:
    """As new."""
    reused.reset()
    return reused


# --- Who may ask what -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("authorization", "project", "scopes", "status", "code"),
    [
        ("Bearer {0.api_key}", 1, ["query:read"], 200, None),
        (None, 1, ["query:read"], 401, "not_authenticated"),
        ("Bearer phx_other", 1, ["query:read"], 401, "authentication_failed"),
        ("Bearer {0.project_key}", 1, ["query:read"], 401, "authentication_failed"),
        ("Bearer {0.api_key}", 2, ["query:read"], 404, "not_found"),
        ("Bearer {0.api_key}", 1, ["group:read"], 403, "permission_denied"),
    ],
)
@pytest.mark.parametrize("kind", ["projects", "environments"])
def test_a_query_needs_the_key_of_the_project_with_its_scope(
    loaded, kind, authorization, project, scopes, status, code
):
    loaded.set(scopes=scopes)
    headers = {"Authorization": authorization.format(loaded)} if authorization else {}
    body = {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}}

    answer = requests.post(f"{loaded.url}/api/{kind}/{project}/query/", json=body, headers=headers, timeout=10)
    loaded.set(scopes=["query:read", "group:read"])

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["detail"] == "API key missing required scope 'query:read'"
    if code:
        assert answer.json()["code"] == code
        assert set(answer.json()) == {"type", "code", "detail", "attr"}


def test_group_types_need_a_scope_of_their_own(loaded):
    listed = get(loaded, "/api/projects/1/groups_types/").json()
    loaded.set(scopes=["query:read"])
    refused = get(loaded, "/api/projects/1/groups_types/")
    loaded.set(scopes=["query:read", "group:read"])

    assert [(row["group_type"], row["group_type_index"]) for row in listed] == [("company", 0)]
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert get(loaded, "/api/projects/1/").status_code == 403  # project:read


def test_a_missing_slash_redirects_and_a_get_is_not_allowed(loaded):
    headers = {"Authorization": f"Bearer {loaded.api_key}"}
    address = f"{loaded.url}/api/projects/1/query"

    assert requests.post(address, json={}, headers=headers, timeout=10, allow_redirects=False).status_code == 301
    assert requests.get(address + "/", headers=headers, timeout=10).status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        "not an object",
        {},
        {"query": {"kind": "EventsQuery", "query": "SELECT 1"}},
        {"query": {"kind": "HogQLQuery", "query": "SELECT 1", "limit": 5}},
        {"query": {"kind": "HogQLQuery", "query": "SELECT 1", "values": []}},
        {"query": {"kind": "HogQLQuery", "query": "SELECT 1", "modifiers": {"timezone": "UTC"}}},
        {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}, "limit": 5},
        {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}, "refresh": "now"},
        {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}, "name": "n" * 129},
    ],
    ids=str,
)
def test_a_body_that_is_not_as_documented_is_refused(loaded, body):
    answer = send(loaded, body)

    assert (answer.status_code, answer.json()["type"], answer.json()["code"]) == (400, "invalid_request", "parse_error")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT event FROM events LIMIT 10 OFFSET 10",
        "SELECT x FROM (SELECT event AS x FROM events LIMIT 10 OFFSET 10)",
        "SELECT event FROM events LIMIT 1 OFFSET 2 BY event",
        "SELECT 1 SETTINGS max_threads = 1",
        "SELECT 1 FORMAT JSON",
        "SELECT 1; SELECT 2",
        "SELECT (",
        "SELECT nothing FROM events",
        "SELECT 1 FROM system.tables",
        "SELECT {missing}",
        "SELECT toDate(timestamp, 'UTC') FROM events",
        *(
            f"SELECT {name}(event) FROM events"
            for name in ("substringIndex", "sipHash64", "xxHash64", "toInt64", "file")
        ),
        "SELECT toDateOrNull('2026-01-01')",
    ],
)
def test_hogql_that_posthog_does_not_take_is_refused(loaded, text):
    answer = ask(loaded, text)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_an_error_of_clickhouse_s_user_has_its_own_code(loaded):
    answer = ask(loaded, "SELECT intDiv('a', 'b')")

    assert (answer.status_code, answer.json()["code"]) == (400, "illegal_type_of_argument")
    assert value(loaded, "1") == 1, "the failed query leaves nothing behind"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 UNION ALL SELECT 2",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SELECT 1 FROM events e JOIN persons p ON p.id = e.person_id",
        "SELECT company.properties.name FROM events",
        "SELECT toDate(toTimeZone(timestamp, 'UTC')) FROM events",
    ],
)
def test_what_the_stand_in_cannot_tell_it_says(loaded, text):
    assert ask(loaded, text).status_code == 501


# --- What HogQL means -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("timestamp", "2026-11-20T18:30:00-08:00"),
        ("toDate(timestamp)", "2026-11-20"),
        ("intDiv(toUnixTimestamp(timestamp), 86400)", 20778),
        ("formatDateTime(toTimeZone(timestamp, 'UTC'), '%Y-%m-%d')", "2026-11-21"),
        ("timestamp >= '2026-11-21'", 0),
        ("timestamp >= toDateTime('2026-11-21T00:00:00')", 0),
        ("timestamp >= toDateTime('2026-11-21T00:00:00Z')", 1),
        ("timestamp < toDateTime('2026-11-21T02:30:00Z')", 0),
        ("properties.quoted", r"a\"b"),
        ("properties.tab", r"a\tb"),
        ("properties.slashes", r"a\\b"),
        ("properties.url", "https://x.example/a?b=c"),
        ("properties.umlaut", "Käse"),
        ("properties.empty", ""),
        ("properties.nothing", None),
        ("properties.missing", None),
        ("properties.number", "3"),
        ("properties.truth", "true"),
        ("properties.nested", '{"inner":"v"}'),
        ("properties.nested.inner", "v"),
        ("properties.`nested`.`inner`", "v"),
        ("properties.$groups.company", "Acme.example"),
        ("`$group_0`", "Acme.example"),
        ("$group_1", ""),
        ("properties.missing = 'x'", 0),
        ("properties.missing != 'x'", 1),
        ("properties.missing < 'x'", 0),
        ("properties.missing like '%x%'", 0),
        ("properties.missing not like '%x%'", 1),
        ("properties.missing in ('x', 'y')", 0),
        ("properties.missing not in ('x', 'y')", 0),
        ("properties.missing = properties.nothing", 1),
        ("properties.missing is null", 1),
        ("properties.empty is not null", 1),
        ("uniqExact(distinct_id)", 1),
        ("0 / 0", None),
        ("tuple(1, timestamp)", [1, "2026-11-20T18:30:00-08:00"]),
        ("arrayMap(x -> x + 1, [1, 2])", [2, 3]),
        ("cutQueryString(properties.url)", "https://x.example/a"),
        ("domain('https://www.x.example/a')", "www.x.example"),
        ("multiIf(event = 'a', 1, event = 'page_view', 2, 3)", 2),
        ("has(['a', 'b'], 'b')", 1),
        ("event IN {names}", 1),
    ],
)
def test_hogql_means_in_california_what_it_means_to_posthog(loaded, expression, expected):
    found = rows(loaded, f"SELECT {expression} AS x FROM events", {"names": ["page_view", "it's"]})

    assert found == [[expected]]


def test_the_time_zone_can_be_switched_off_for_a_query(loaded):
    off = {"convertToProjectTimezone": False}

    assert value(loaded, "timestamp", modifiers=off) == AT
    assert value(loaded, "toDate(timestamp)", modifiers=off) == "2026-11-21"


def test_an_answer_has_posthogs_keys_and_columns_by_alias(loaded):
    answer = ask(loaded, "SELECT event AS name, count() FROM events GROUP BY name").json()

    assert answer["columns"] == ["name", "count()"]
    assert answer["types"] == [["name", "String"], ["count()", "UInt64"]]
    assert answer["timezone"] == "US/Pacific"
    assert answer.keys() >= {"results", "hasMore", "limit", "offset", "error", "is_cached", "cache_key", "last_refresh"}


# --- How much one gets ------------------------------------------------------------------------------------------------
def test_without_a_limit_there_are_100_rows_and_hasmore_says_whether_that_was_all(posthog):
    posthog.capture(event(who=f"u{number}") for number in range(101))

    cut = ask(posthog, "SELECT distinct_id FROM events").json()
    all_of_them = ask(posthog, "SELECT distinct_id FROM events LIMIT 1000").json()
    posthog.set(max_limit=40)
    silently = ask(posthog, "SELECT distinct_id FROM events LIMIT 1000").json()

    assert (len(cut["results"]), cut["hasMore"], cut["limit"]) == (100, True, 100)
    assert (len(all_of_them["results"]), all_of_them["hasMore"], all_of_them["limit"]) == (101, None, None)
    assert (len(silently["results"]), silently["hasMore"]) == (40, None)


def test_a_sort_key_pages_through_persons_in_their_own_order(posthog):
    posthog.capture(event(who=f"u{number}", **{"$set": {"email": f"U{number}@x.example"}}) for number in range(50))
    found, after = [], NIL

    while page := rows(posthog, MAILS.replace("50000", "7"), {"after": after}):
        found += page
        after = page[-1][0]

    assert sorted(mail for _, mail in found) == sorted(f"u{number}@x.example" for number in range(50))
    assert found == rows(posthog, MAILS, {"after": NIL})


def test_the_same_text_is_answered_from_the_cache_unless_forced(posthog):
    text = "SELECT count() FROM events"
    before = ask(posthog, text, refresh="blocking").json()
    posthog.capture([event()])

    again = ask(posthog, text, refresh="blocking").json()
    forced = ask(posthog, text).json()

    assert (before["results"], before["is_cached"]) == ([[0]], False)
    assert (again["results"], again["is_cached"]) == ([[0]], True)
    assert (forced["results"], forced["is_cached"]) == ([[1]], False)


def test_an_asynchronous_query_is_fetched_by_its_id(posthog):
    started = ask(posthog, "SELECT 1", refresh="force_async")
    broken = ask(posthog, "SELECT nothing FROM events", refresh="force_async").json()["query_status"]["id"]
    id = started.json()["query_status"]["id"]

    finished = get(posthog, f"/api/projects/1/query/{id}/")

    assert started.status_code == 202
    assert (finished.status_code, finished.json()["query_status"]["results"]["results"]) == (200, [[1]])
    assert get(posthog, f"/api/projects/1/query/{broken}/").status_code == 400


# --- The questions that Orbit asks ------------------------------------------------------------------------------------
def test_a_day_comes_as_one_row_per_account(posthog):
    acme, other = {"$groups": {"company": "HTTPS://www.Acme.example:443/x"}}, {"$groups": {"company": "b.example"}}
    posthog.capture(
        [
            event("$pageview", **acme, **{"$current_url": "https://s.example/pricing?utm=1"}, content_type="pricing"),
            event("page_view", who="u2", at="2026-11-21T23:59:59Z", **acme, **{"$pathname": "/pricing"}),
            event("cta_click", **other, cta_id="demo", service_lane="office"),
            event("page_view", at="2026-11-22T00:00:00Z", **other),
            event("$autocapture", **other),
            event("page_view"),
        ]
    )

    (first, second) = rows(posthog, DAY, THE_DAY)

    assert first[0] == "acme.example"
    assert sorted(first[1]) == [
        ["page_view", "", "", "", "/pricing", 1],
        ["page_view", "pricing", "", "", "/pricing", 1],
    ]
    assert [len(person) for person in first[2]] == [12, 12]
    assert first[3] == int(datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC).timestamp())
    assert second[:2] == ["b.example", [["cta_click", "", "office", "demo", "", 1]]]
    assert rows(posthog, DAY, {**THE_DAY, "after": "acme.example"}) == [second]


def test_people_and_arriving_events_are_counted(posthog):
    posthog.capture([event(who="u1", content_type="pricing"), event(who="u2"), event("other", who="u2")])
    cells = "SELECT distinct_id AS who, event AS ev, count() AS n, max(toUnixTimestamp(timestamp)) AS at FROM events"
    ids = {"ids": ["u2", "nobody"]}

    people = rows(
        posthog,
        f"SELECT who, max(at) AS last_seen_unix, groupArray(tuple(ev, n)) AS cells FROM ({cells}"
        " WHERE distinct_id IN {ids} GROUP BY who, ev) GROUP BY who",
        ids,
    )
    counts = rows(
        posthog,
        "SELECT event AS ev, count() AS n, countIf(coalesce(properties.content_type,'') != '') AS typed"
        " FROM events GROUP BY ev HAVING n > 0 ORDER BY n DESC LIMIT 10",
    )

    assert [(who, sorted(found)) for who, _, found in people] == [("u2", [["other", 1], ["page_view", 1]])]
    assert counts == [["page_view", 2, 1], ["other", 1, 0]]


# --- Capture ----------------------------------------------------------------------------------------------------------
def capture(posthog: PostHog, body: Any, path: str = "/batch/", packed: bool = False) -> requests.Response:
    data = json.dumps(body).encode()
    headers = {"Content-Encoding": "gzip"} if packed else {}
    return requests.post(posthog.url + path, data=gzip.compress(data) if packed else data, headers=headers, timeout=10)


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_is_taken_and_what_cannot_be_an_event_is_dropped_without_a_word(posthog, packed):
    batch = [event(), {**event(), "event": ""}, {**event(), "distinct_id": ""}]

    answer = capture(posthog, {"api_key": posthog.project_key, "batch": batch}, packed=packed)

    assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})
    assert rows(posthog, "SELECT count() FROM events") == [[1]]


def test_capture_refuses_a_key_that_is_not_the_project_s(posthog):
    answer = capture(posthog, {"api_key": posthog.api_key, "batch": [event()]})

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("path", ["/i/v0/e/", "/capture/", "/e/"])
def test_a_single_event_sets_its_person(posthog, path):
    sent = {**event("$identify", **{"$set": {"email": "A@x.example"}}), "api_key": posthog.project_key}

    assert capture(posthog, sent, path).status_code == 200
    assert [mail for _, mail in rows(posthog, MAILS, {"after": NIL})] == ["a@x.example"]
    assert value(posthog, "person.properties.email") == "A@x.example"


def test_a_group_is_blank_in_events_older_than_its_type(posthog):
    posthog.set(group_types={})
    group = {"$group_type": "company", "$group_key": "a.example", "$group_set": {"name": "A"}}
    posthog.capture(
        [
            event("$groupidentify", at=AT, **group),
            event("old", at="2026-11-20T00:00:00Z", **{"$groups": {"company": "a.example"}}),
            event("new", at="2026-11-22T00:00:00Z", **{"$groups": {"site": 5, "company": "a.example"}}),
        ]
    )

    found = rows(posthog, "SELECT event, $group_0, $group_1, $group_2, properties.$groups.company FROM events"
                          " WHERE event != '$groupidentify' ORDER BY event DESC")  # fmt: skip
    names = rows(posthog, "SELECT key, properties.name FROM groups WHERE index = 0 AND key > '' ORDER BY key")
    types = get(posthog, "/api/projects/1/groups_types/").json()

    assert found == [["old", "", "", "", "a.example"], ["new", "a.example", "5", "", "a.example"]]
    assert names == [["a.example", "A"]]
    assert [(row["group_type"], row["created_at"]) for row in types] == [
        ("company", AT),
        ("site", "2026-11-22T00:00:00Z"),
    ]


def test_a_line_of_an_export_keeps_its_person(posthog):
    posthog.capture([export_lines.event(person=7)])

    assert value(posthog, "toString(person_id)") == export_lines.PERSON.format(7)
    assert rows(posthog, "SELECT toString(id) FROM persons") == [[export_lines.PERSON.format(7)]]


# --- Limits -----------------------------------------------------------------------------------------------------------
def test_too_many_requests_a_minute_are_told_when_to_come_back(posthog):
    posthog.set(per_minute=2)
    answers = [ask(posthog, "SELECT 1") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


def test_a_fourth_query_at_once_is_refused_without_a_time(posthog):
    posthog.set(query_delay=3, concurrent_wait=0)
    answers: list[requests.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(posthog, "SELECT 1"))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429]
    assert all("Retry-After" not in answer.headers for answer in answers)


def test_the_read_budget_ends_with_a_429_of_its_own(posthog):
    posthog.capture(event(who=f"u{number}") for number in range(1000))
    posthog.set(budget_bytes=3_000)

    first, second = (ask(posthog, "SELECT uniqExact(properties.x) FROM events") for _ in range(2))

    assert first.status_code == 200
    assert int(first.headers["X-PostHog-Query-Bytes-Read"]) > 3_000
    assert first.headers["X-PostHog-Query-Budget-Remaining-Bytes"] == "0"
    assert (second.status_code, second.json()["code"]) == (429, "api_queries_budget_exceeded")
    assert 1 <= int(second.headers["Retry-After"]) <= 3600


def test_a_query_that_takes_too_long_is_ended(posthog):
    posthog.capture(event(who=f"u{number}") for number in range(5000))
    posthog.set(execution_seconds=0.01)
    slow = "SELECT arrayMap(x -> concat(distinct_id, toString(x)), range(300)) AS a FROM events"

    answer = ask(posthog, f"SELECT count() FROM ({slow}) WHERE has(a, 'z')")

    assert (answer.status_code, answer.json()["code"]) == (504, "error")
    posthog.set(execution_seconds=10)
    assert rows(posthog, "SELECT count() FROM events") == [[5000]]


@pytest.mark.parametrize("status", [504, 512])
def test_a_range_can_be_made_too_long_by_decree(posthog, status):
    posthog.set(longest_range_seconds=43_200, longest_range_status=status)
    half = {**THE_DAY, "to": "2026-11-21T12:00:00Z"}

    assert ask(posthog, DAY, THE_DAY).status_code == status
    assert ask(posthog, "SELECT count() FROM events").status_code == status
    assert ask(posthog, "SELECT count() FROM events WHERE toDateTime({from}) <= timestamp AND"
                        " toDateTime({to}) > timestamp", half).status_code == 200  # fmt: skip
    assert ask(posthog, DAY, half).status_code == 200


def test_a_body_above_the_bound_is_refused(posthog):
    posthog.set(body_bytes=1000)

    assert send(posthog, {"query": "x" * 2000}).status_code == 413


# --- Faults -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.throttled(7), (429, "7")),
        (faults.throttled(), (429, None)),
        (faults.budget_exceeded(3600), (429, "3600")),
        (faults.answer(503), (503, None)),
        (faults.html(502), (502, None)),
        (faults.html(200), (200, None)),
        (faults.empty(), (200, None)),
        (faults.redirect("/elsewhere/"), (302, None)),
    ],
)
def test_an_answer_can_be_replaced_once(loaded, fault, expected):
    loaded.faults.add(fault)
    met = ask(loaded, "SELECT 1")

    assert (met.status_code, met.headers.get("Retry-After")) == expected
    assert met.text == fault.body
    assert rows(loaded, "SELECT 1") == [[1]]


@pytest.mark.parametrize(
    "fault", [faults.dropped(), faults.dropped(after_headers=True), faults.truncated(), faults.truncated(False)]
)
def test_an_answer_can_be_cut(loaded, fault):
    loaded.faults.add(fault)

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError, ValueError)):
        ask(loaded, "SELECT 1").json()
    assert rows(loaded, "SELECT 1") == [[1]]


@pytest.mark.parametrize(
    ("edit", "results", "columns"),
    [
        ("wrong columns", [[1]], ["other_x"]),
        ("wrong types", [[{"not": "a value"}]], ["x"]),
        ("rows not arrays", ["a row"], ["x"]),
    ],
)
def test_an_answer_can_be_wrong(loaded, edit, results, columns):
    loaded.faults.add(faults.edited(edit))
    answer = ask(loaded, "SELECT 1 AS x").json()

    assert (answer["results"], answer["columns"]) == (results, columns)


def test_an_answer_can_hold_nan(loaded):
    loaded.faults.add(faults.edited("nan"))

    assert '"results":[[NaN]]' in ask(loaded, "SELECT 1").text


def test_an_answer_can_drip_and_a_small_one_can_be_huge(loaded):
    loaded.faults.add(faults.drip())
    loaded.faults.add(faults.gzip_bomb())
    start = time.monotonic()

    with streamed(loaded) as answer:
        assert answer.raw.read(2) == b'{"'
    assert time.monotonic() - start > 0.9
    with streamed(loaded) as answer:
        assert int(answer.headers["Content-Length"]) < 250_000
        assert sum(len(part) for part in answer.iter_content(1 << 20)) > 200_000_000


def streamed(posthog: PostHog) -> requests.Response:
    address, headers = f"{posthog.url}/api/projects/1/query/", {"Authorization": f"Bearer {posthog.api_key}"}
    body = {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}}
    return requests.post(address, json=body, headers=headers, timeout=10, stream=True)


def test_a_fault_meets_the_request_it_is_meant_for(posthog):
    posthog.faults.add(faults.answer(503), name="abm_day", nth=2, times=2)

    statuses = [ask(posthog, "SELECT 1", name=name).status_code for name in ["abm_day_1", "other", *["abm_day_2"] * 4]]

    assert statuses == [200, 200, 503, 503, 200, 200]
    assert len(posthog.faults) == 0


def test_data_can_change_between_two_pages(posthog):
    posthog.faults.add(faults.meanwhile(event()), nth=2)

    assert [rows(posthog, "SELECT count() FROM events") for _ in range(3)] == [[[0]], [[1]], [[1]]]


def test_the_log_tells_what_was_asked_and_answered(posthog):
    posthog.capture([event()])
    posthog.faults.add(faults.dropped(), nth=2)
    ask(posthog, "SELECT event FROM events WHERE event IN {names}", {"names": NAMES}, name="abm_day")
    with pytest.raises(requests.ConnectionError):
        ask(posthog, "SELECT 2")

    answered, dropped = posthog.requests

    assert (answered.method, answered.path, answered.name) == ("POST", "/api/projects/1/query/", "abm_day")
    assert (answered.query, answered.values) == ("SELECT event FROM events WHERE event IN {names}", {"names": NAMES})
    assert (answered.status, answered.rows, answered.faulted) == (200, 1, False)
    assert answered.read_bytes > 0
    assert answered.body["refresh"] == "force_blocking"
    assert (dropped.status, dropped.faulted) == (0, True)


def test_it_can_be_made_as_new():
    with PostHog(max_limit=40) as posthog:
        posthog.capture([event()])
        posthog.set(max_limit=1, timezone="US/Pacific")
        posthog.faults.add(faults.throttled())
        posthog.reset()

        answer = ask(posthog, "SELECT count(), 1 + 1 FROM events LIMIT 50").json()

        assert (answer["results"], answer["timezone"]) == ([[0, 2]], "UTC")
        assert answer["clickhouse"].endswith("LIMIT 40")
        assert len(posthog.requests) == 1


def test_two_at_once_know_nothing_of_each_other(posthog):
    with PostHog(project_id=2) as other:
        other.capture([event()])

        assert rows(posthog, "SELECT count() FROM events") == [[0]]
        assert rows(other, "SELECT count() FROM events") == [[1]]
