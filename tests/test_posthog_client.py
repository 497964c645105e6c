"""The client and everything that an answer can be (docs/posthog.md, reliability 29-31), over real HTTP."""

import threading
import tracemalloc

import pytest

from ingestion.posthog import (
    Limits,
    Meter,
    NotConfigured,
    OutOfBudget,
    PostHogClient,
    PostHogError,
    Refused,
    Stopped,
    TooMuch,
    Unavailable,
    connect,
)
from tests.posthog_standin import PostHog, faults

COUNT = "SELECT count() AS events FROM events LIMIT 10"
ATTEMPTS = 3


@pytest.fixture(scope="module")
def standin():
    with PostHog(per_minute=None) as posthog:
        posthog.capture([{"event": "page_view", "distinct_id": "u", "timestamp": "2026-11-21T10:00:00Z"}])
        yield posthog


@pytest.fixture
def posthog(standin):
    yield standin
    standin.faults.clear()
    standin.forget_requests()
    standin.set(scopes={"query:read", "group:read"}, budget_bytes=None, longest_range_seconds=None)


def client_of(posthog, **limits):
    quick = {"first_wait": 0.001, "attempts": ATTEMPTS, **limits}
    return PostHogClient(posthog.url, posthog.api_key, str(posthog.project_id), Limits(**quick))


def ask(client, meter=None, text=COUNT, columns=("events",)):
    return client.query("orbit test", text, {}, columns, meter or Meter())


def test_an_answer_is_its_rows(posthog):
    assert ask(client_of(posthog)) == [[1]]


# --- What cannot pass fails at once ---
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (faults.answer(400), "check_posthog"),
        (faults.answer(401), "POSTHOG_API_KEY must be a personal API key"),
        (faults.answer(402), "Raise its limit"),
        (faults.answer(403), "scopes query:read and group:read"),
        (faults.answer(404), "POSTHOG_PROJECT_ID"),
        (faults.answer(405), r"refuses the request \(405\)"),
        (faults.answer(413), r"refuses the request \(413\)"),
        (faults.answer(401, "not JSON"), "personal API key"),
        (faults.answer(401, '["a list"]'), "personal API key"),
        (faults.answer(401, '{"detail": {"not": "text"}, "code": 7}'), "personal API key"),
        (faults.answer(204, ""), r"refuses the request \(204\)"),
        (faults.answer(202, '{"query_status": {}}'), r"refuses the request \(202\)"),
        (faults.redirect("/login"), "POSTHOG_HOST is not the address of its API"),
        (faults.redirect("https://elsewhere.example/"), "POSTHOG_HOST is not the address of its API"),
        (faults.answer(301, "", Location="/x"), "POSTHOG_HOST"),
        (faults.answer(308, "", Location="/x"), "POSTHOG_HOST"),
    ],
)
def test_what_cannot_pass_is_asked_once_and_says_what_to_do(posthog, fault, says):
    posthog.faults.add(fault)

    with pytest.raises(Refused, match=says) as refused:
        ask(client_of(posthog))

    assert refused.value.status == fault.status == posthog.requests[0].status
    assert len(posthog.requests) == 1
    assert posthog.api_key not in str(refused.value)


def test_a_wrong_key_a_wrong_project_and_a_bad_query_are_refused_by_posthog_itself(posthog):
    with pytest.raises(Refused, match=r"\(401\)") as wrong_key:
        ask(PostHogClient(posthog.url, "phx_wrong", "1"))
    with pytest.raises(Refused, match="no project 7"):
        ask(PostHogClient(posthog.url, posthog.api_key, "7"))
    with pytest.raises(Refused, match=r"\(400\).*PostHog said"):
        ask(client_of(posthog), text=COUNT + " OFFSET 1")
    posthog.set(scopes=set())
    with pytest.raises(Refused, match=r"\(403\)"):
        ask(client_of(posthog))
    assert "phx_wrong" not in str(wrong_key.value)
    assert [request.status for request in posthog.requests] == [401, 404, 400, 403]


def test_the_key_is_in_no_message_even_where_an_answer_repeats_it(posthog):
    posthog.faults.add(faults.answer(400, f'{{"code": "x", "detail": "Bearer {posthog.api_key} is wrong\\u0000"}}'))

    with pytest.raises(Refused, match=r"is wrong$") as refused:
        ask(client_of(posthog))

    assert posthog.api_key not in str(refused.value) + repr(refused.value.__dict__)


def test_posthogs_own_words_are_kept_short(posthog):
    posthog.faults.add(faults.answer(400, f'{{"detail": "{"x" * 5_000}"}}'))

    with pytest.raises(Refused) as refused:
        ask(client_of(posthog))

    assert len(str(refused.value)) < 600


# --- What may pass is tried again ---
MAY_PASS = {
    "500": faults.answer(500),
    "502 of a load balancer": faults.html(502),
    "503": faults.answer(503),
    "503 with Retry-After": faults.answer(503, Retry_After="0"),
    "599": faults.answer(599),
    "429 without Retry-After": faults.throttled(),
    "429 with Retry-After": faults.throttled(0),
    "429 with a date": faults.answer(429, Retry_After="Sun, 22 Nov 2026 10:00:00 GMT"),
    "429 with nonsense": faults.answer(429, Retry_After="-1"),
    "429 of a load balancer": faults.html(429),
    "dropped": faults.dropped(),
    "dropped after headers": faults.dropped(after_headers=True),
    "shorter than its length": faults.truncated(),
    "cut off": faults.truncated(with_length=False),
    "HTML": faults.html(200),
    "empty": faults.empty(),
    "null": faults.answer(200, "null"),
    "a list": faults.answer(200, "[[1]]"),
    "no results": faults.answer(200, '{"columns": ["events"]}'),
    "an error inside": faults.answer(200, '{"error": "x", "columns": ["events"], "results": []}'),
    "results that are no list": faults.answer(200, '{"columns": ["events"], "results": {"0": [1]}}'),
    "a row too long": faults.answer(200, '{"columns": ["events"], "results": [[1, 2]]}'),
    "half of a character": faults.answer(200, '{"columns": ["events"], "results": [["\\ud800"]]}'),
    "Infinity": faults.answer(200, '{"columns": ["events"], "results": [[Infinity]]}'),
    "NaN": faults.edited("nan"),
    "wrong columns": faults.edited("wrong columns"),
    "rows that are no lists": faults.edited("rows not arrays"),
}


@pytest.mark.parametrize("fault", MAY_PASS.values(), ids=MAY_PASS)
def test_what_may_pass_is_tried_again_and_then_fine(posthog, fault):
    posthog.faults.add(fault)

    assert ask(client_of(posthog)) == [[1]]
    assert len(posthog.requests) == 2


@pytest.mark.parametrize("fault", MAY_PASS.values(), ids=MAY_PASS)
def test_what_does_not_pass_in_all_attempts_is_unavailable(posthog, fault):
    posthog.faults.add(fault, times=0)

    with pytest.raises(Unavailable, match="in 3 attempts") as failed:
        ask(client_of(posthog))

    assert len(posthog.requests) == ATTEMPTS
    assert posthog.api_key not in str(failed.value)


def test_a_host_that_nobody_listens_at_is_unavailable(posthog):
    with PostHog() as gone:
        client = client_of(gone)

    meter = Meter()
    with pytest.raises(Unavailable, match="ConnectionError on the way"):
        ask(client, meter)
    assert meter.requests == ATTEMPTS


def test_a_retry_after_is_waited_for(posthog):
    posthog.faults.add(faults.throttled(retry_after=1))

    assert ask(client_of(posthog, patience=1)) == [[1]]

    first, second = posthog.requests
    assert (second.at - first.at).total_seconds() >= 1


def test_one_patience_is_for_all_questions_of_a_run(posthog):
    client = client_of(posthog, patience=1)
    posthog.faults.add(faults.throttled(retry_after=1))
    ask(client)
    posthog.faults.add(faults.throttled(retry_after=1))

    with pytest.raises(Unavailable, match="more than 1 s of waiting in this run"):
        ask(client)


def test_a_server_that_asks_for_a_day_is_not_waited_for(posthog):
    posthog.faults.add(faults.answer(503, Retry_After="86400"))

    with pytest.raises(Unavailable, match="more than 900 s"):
        ask(client_of(posthog))
    assert len(posthog.requests) == 1


# --- What must wait for another run ---
def test_a_huge_retry_after_is_left_to_another_run(posthog):
    posthog.faults.add(faults.throttled(retry_after=121))
    with pytest.raises(OutOfBudget) as out:
        ask(client_of(posthog))
    assert out.value.seconds == 121

    posthog.faults.add(faults.throttled(retry_after=120))
    with pytest.raises(Unavailable):  # would have been waited for
        ask(client_of(posthog, patience=119))


def test_a_used_up_read_budget_says_when_there_will_be_more(posthog):
    posthog.set(budget_bytes=1)
    meter = Meter()
    ask(client_of(posthog), meter)

    with pytest.raises(OutOfBudget, match="read budget") as out:
        ask(client_of(posthog))

    assert meter.scanned > 1
    assert 0 < out.value.seconds <= 3600
    assert posthog.api_key not in str(out.value)


def test_a_used_up_read_budget_without_a_time_waits_a_moment_anyway(posthog):
    body = '{"type": "throttled_error", "code": "api_queries_budget_exceeded", "detail": "x", "attr": null}'
    posthog.faults.add(faults.answer(429, body))

    with pytest.raises(OutOfBudget) as out:
        ask(client_of(posthog))

    assert out.value.seconds == 120


# --- What must be asked in smaller parts ---
@pytest.mark.parametrize("fault", [faults.answer(504), faults.html(504), faults.answer(512)])
def test_what_takes_posthog_too_long_is_not_asked_again_as_it_is(posthog, fault):
    posthog.faults.add(fault)

    with pytest.raises(TooMuch):
        ask(client_of(posthog))
    assert len(posthog.requests) == 1


def test_an_answer_of_one_byte_a_second_ends_at_its_deadline(posthog):
    posthog.faults.add(faults.drip(), times=0)

    with pytest.raises(Unavailable, match="took longer than 4 s"):
        ask(client_of(posthog, answer_seconds=4.4, attempts=1))


def test_an_answer_that_never_begins_ends_at_its_deadline(posthog):
    posthog.faults.add(faults.delayed(3))

    with pytest.raises(Unavailable, match="Timeout on the way"):
        ask(client_of(posthog, answer_seconds=0.2, attempts=1))


def test_a_small_answer_that_unpacks_to_200_megabytes_is_stopped_at_the_cap(posthog):
    posthog.faults.add(faults.gzip_bomb())
    meter = Meter()
    client = client_of(posthog, answer_bytes=1_000_000)

    tracemalloc.start()
    try:
        with pytest.raises(TooMuch, match="longer than 1,000,000 bytes"):
            ask(client, meter)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 1_000_000 < meter.bytes <= 1_000_000 + 65_536
    assert peak < 20_000_000


# --- The end of a run ---
def threads_asking(client, count=2):
    found = []

    def work():
        try:
            ask(client)
        except PostHogError as error:
            found.append(type(error))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, found


@pytest.mark.parametrize("fault", [faults.throttled(100), faults.drip()], ids=["waiting", "reading"])
def test_stop_ends_all_threads_wherever_they_are(posthog, fault):
    posthog.faults.add(fault, times=0)
    client = client_of(posthog)
    threads, found = threads_asking(client)

    client.stop.set()
    for thread in threads:
        thread.join(20)

    assert [thread.is_alive() for thread in threads] == [False, False]
    assert found == [Stopped, Stopped]


def test_after_the_stop_nothing_is_asked(posthog):
    client = client_of(posthog)
    client.stop.set()

    with pytest.raises(Stopped):
        ask(client)
    assert posthog.requests == []


# --- What is sent ---
def test_the_cache_of_six_hours_is_not_used_and_times_are_utc(posthog):
    client = client_of(posthog)
    before = ask(client)
    posthog.capture([{"event": "page_view", "distinct_id": "u", "timestamp": "2026-11-21T10:00:00Z"}])

    after = ask(client)

    assert after[0][0] == before[0][0] + 1
    body = posthog.requests[0].body
    assert body["refresh"] == "force_blocking"
    assert body["query"]["modifiers"] == {"convertToProjectTimezone": False}
    assert body["name"] == "orbit test"


def test_neither_a_proxy_nor_a_password_file_of_the_environment_is_used(posthog, monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert ask(client_of(posthog))

    assert posthog.requests[0].headers["Authorization"] == f"Bearer {posthog.api_key}"


def test_the_meter_counts_what_was_asked_answered_and_read_also_where_it_failed(posthog):
    client, meter = client_of(posthog), Meter()
    posthog.faults.add(faults.html(502))
    ask(client, meter)
    ask(client, meter)

    sent = posthog.requests
    assert meter.requests == len(sent) == 3
    assert meter.bytes == sum(request.answer_bytes for request in sent)
    assert meter.scanned == sum(request.read_bytes for request in sent) > 0

    other = Meter(1, 2, 3)
    other += meter
    assert (other.requests, other.bytes, other.scanned) == (1 + 3, 2 + meter.bytes, 3 + meter.scanned)


# --- Group types ---
def test_group_types_come_with_their_indexes(posthog):
    meter = Meter()

    assert client_of(posthog).group_types(meter) == {"company": 0}
    assert meter.requests == 1


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[1]",
        '[{"group_type": "company"}]',
        '[{"group_type": "company", "group_type_index": "0"}]',
        '[{"group_type": "company", "group_type_index": 5}]',
        '[{"group_type": "company", "group_type_index": -1}]',
        '[{"group_type": "company", "group_type_index": null}]',
        '[{"group_type": "company", "group_type_index": true}]',
        '[{"group_type": 1, "group_type_index": 0}]',
    ],
)
def test_group_types_of_another_shape_are_asked_for_again(posthog, body):
    posthog.faults.add(faults.answer(200, body), path="groups_types")

    assert client_of(posthog).group_types(Meter()) == {"company": 0}
    assert len(posthog.requests) == 2


def test_a_key_that_may_not_read_groups_says_so(posthog):
    posthog.set(scopes={"query:read"})

    with pytest.raises(Refused) as refused:
        client_of(posthog).group_types(Meter())

    assert refused.value.status == 403


# --- The settings ---
@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (("POSTHOG_API_KEY",), "^POSTHOG_API_KEY must"),
        (("POSTHOG_PROJECT_ID",), "^POSTHOG_PROJECT_ID must"),
        (("POSTHOG_API_KEY", "POSTHOG_PROJECT_ID"), "^POSTHOG_API_KEY and POSTHOG_PROJECT_ID must"),
    ],
)
def test_what_is_not_set_is_named(settings, missing, named):
    settings.POSTHOG_API_KEY, settings.POSTHOG_PROJECT_ID = "phx_x", "1"
    for name in missing:
        setattr(settings, name, "")

    with pytest.raises(NotConfigured, match=named):
        connect()


def test_a_client_is_made_as_the_settings_say(posthog, settings):
    settings.POSTHOG_HOST, settings.POSTHOG_API_KEY = posthog.url, posthog.api_key
    settings.POSTHOG_PROJECT_ID, settings.POSTHOG_PATIENCE_SECONDS = "1", 0.5
    posthog.faults.add(faults.throttled(1), nth=2)
    client = connect()

    assert ask(client)
    with pytest.raises(Unavailable):
        ask(client)
