"""Whatever Anthropic does, the answer is typed, in time, and fit for a person to read (reliability 33)."""

import logging
import time
from dataclasses import replace
from datetime import date

import pytest

from abm_project.checks import model_is_named
from ai_summaries.llm import Deadline, Failed, Known, Written, complete, look_up
from tests.anthropic_standin import faults
from tests.anthropic_standin.faults import Fault
from tests.anthropic_standin.server import problem

FACTS = '{"score": {"intent_score": 70}}'
PASSES = (
    faults.error(429),
    faults.error(429, retry_after="0.01"),
    faults.error(529),
    faults.error(500),
    faults.BAD_JSON,
    faults.HTML,
    faults.NO_MESSAGE,
    faults.A_LIST,
    faults.TRUNCATED,
    faults.RESET,
    faults.HUGE,
    faults.PACKED,
    faults.MISSING_FIELDS,
)


def ask(seconds=20.0, turns=(f"JSON: {FACTS}",), max_tokens=500):
    return complete("Be brief.", turns, max_tokens=max_tokens, deadline=Deadline(seconds))


def test_an_answer_is_the_text_with_who_wrote_it_and_what_it_took(anthropic_api):
    answer = ask()

    assert answer == Written("**Why they’re hot**\n\n- Intent score 70", "claude-test", True, 900, 200, 1)
    (request,) = anthropic_api.requests
    assert request.headers["authorization"] == f"Bearer {anthropic_api.key}"
    assert request.headers["anthropic-version"]
    assert request.body == {
        "model": "claude-test",
        "max_tokens": 500,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": f"JSON: {FACTS}"}],
    }


def test_turns_alternate_between_the_user_and_the_model(anthropic_api):
    ask(turns=(f"Write. {FACTS}", "A text.", "Once more."))

    messages = anthropic_api.requests[0].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize("fault", PASSES)
def test_what_may_pass_is_asked_again_and_answered(anthropic_api, fault):
    anthropic_api.faults = [fault, fault]

    assert ask() == replace(ask(), tries=3)
    assert len(anthropic_api.requests) == 4


@pytest.mark.parametrize("fault", PASSES)
def test_three_tries_are_the_most_and_the_reason_is_one_for_people(anthropic_api, fault):
    anthropic_api.faults = [fault] * 4

    answer = ask()

    assert isinstance(answer, Failed)
    assert (answer.tries, len(anthropic_api.requests)) == (3, 3)
    assert answer.reason.startswith("The model could not be asked: ")
    assert answer.reason.endswith("Tried 3 times; try again later.")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.error(400), "Anthropic refuses the request (400). Anthropic said: A fault of the stand-in."),
        (faults.error(401), "Anthropic does not know the key (401). Look at ANTHROPIC_API_KEY."),
        (faults.error(403), "Anthropic's key may not do this (403)."),
        (faults.error(413), "The facts and the prompt are too long for Anthropic (413)."),
        (faults.REDIRECT, "Anthropic redirects (307): ANTHROPIC_BASE_URL is not the address of its API."),
        (faults.REFUSAL, "The model declined to write this brief."),
    ],
)
def test_what_cannot_pass_is_asked_once(anthropic_api, fault, said):
    anthropic_api.faults = [fault] * 2

    answer = ask()

    assert isinstance(answer, Failed)
    assert answer.reason.startswith(said)
    assert (answer.tries, len(anthropic_api.requests)) == (1, 1)


def test_a_model_that_is_none_is_named(anthropic_api, settings):
    settings.AI_MODEL = "claude-missing"

    assert ask().reason.startswith("Anthropic knows no model claude-missing (404). Look at AI_MODEL")


def test_a_wait_that_the_deadline_does_not_allow_is_not_begun(anthropic_api):
    anthropic_api.faults = [faults.error(429, retry_after="3600")]

    answer = ask()

    assert (
        answer.reason
        == "The model could not be asked: Anthropic is asked too often (429). Tried once; try again later."
    )


def test_an_answer_cut_off_by_its_limit_says_so(anthropic_api):
    anthropic_api.faults = [faults.says("Half a", stop_reason="max_tokens")]

    answer = ask()

    assert (answer.text, answer.ended) == ("Half a", False)


def test_blocks_that_are_no_text_are_left_out(anthropic_api):
    anthropic_api.faults = [faults.UNKNOWN_BLOCK, faults.ONLY_UNKNOWN, faults.EMPTY]

    assert [ask().text, ask().text, ask().text] == ["Score 70.", "", ""]


@pytest.mark.parametrize("fault", [faults.SLOW, faults.DRIP, faults.DRIP_HEADERS], ids=["slow", "drip", "headers"])
def test_the_deadline_is_over_everything(anthropic_api, fault):
    ask()  # the SDK is imported now
    anthropic_api.faults = [fault] * 3
    begun = time.monotonic()

    answer = ask(seconds=3)

    assert time.monotonic() - begun < 20  # and not the 30 s, or the minute, that the answer would have taken
    assert answer == Failed("The model did not answer within 3 s. Try again later.", 1, may_pass=True)


def test_nobody_at_the_address_is_a_failure_like_another(anthropic_api, settings):
    settings.ANTHROPIC_BASE_URL = "http://127.0.0.1:1"

    assert "the connection to Anthropic failed" in ask().reason


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254",
        "https://169.254.169.254",
        "http://api.anthropic.com",
        "https://user:secret@127.0.0.1",
        "https://127.0.0.1/v1/",
        "ftp://127.0.0.1",
        "",
    ],
)
def test_an_address_that_may_not_be_called_is_not(anthropic_api, settings, address):
    settings.ANTHROPIC_BASE_URL = address

    answer = ask()

    assert answer.reason.startswith("ANTHROPIC_BASE_URL: ")
    assert "secret" not in answer.reason
    assert (answer.tries, anthropic_api.requests) == (0, [])


def test_proxies_and_headers_of_the_environment_are_not_used(anthropic_api, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another")

    assert isinstance(ask(), Written)


def test_no_secret_and_no_fact_reaches_the_log_or_a_reason(anthropic_api, caplog):
    caplog.set_level(logging.DEBUG)
    echo = f"Bearer {anthropic_api.key} is wrong"
    anthropic_api.faults = [faults.error(500, echo), faults.error(401, echo)]

    reasons = [ask().reason]
    anthropic_api.faults = [faults.error(400, echo)]
    reasons.append(ask().reason)

    assert anthropic_api.key not in caplog.text + "".join(reasons)
    assert "intent_score" not in caplog.text
    assert "(the key)" in reasons[1]


def test_a_key_without_a_model_is_an_error_before_anything_starts(anthropic_api, settings):
    assert model_is_named(None) == []
    settings.AI_MODEL = ""

    assert [error.id for error in model_is_named(None)] == ["orbit.E002"]
    assert ask().reason == "AI_MODEL is not set: name the model that shall write, beside ANTHROPIC_API_KEY."
    assert anthropic_api.requests == []
    settings.ANTHROPIC_API_KEY = ""
    assert model_is_named(None) == []


def test_a_model_is_looked_up_and_nothing_is_written(anthropic_api):
    assert look_up(Deadline(20)) == Known("claude-test", "active")
    anthropic_api.faults = [Fault(changes={"lifecycle": "deprecated", "retires_at": "2027-03-01T00:00:00Z"})]
    assert look_up(Deadline(20)) == Known("claude-test", "deprecated", date(2027, 3, 1))
    anthropic_api.faults = [Fault(without=("lifecycle", "retires_at"))]
    assert look_up(Deadline(20)) == Known("claude-test")

    assert {request.path for request in anthropic_api.requests} == {"/v1/models/claude-test"}


@pytest.mark.parametrize("name", ["claude/../messages", "ä ?#%00", "x" * 300])
def test_a_name_that_is_none_reaches_no_other_address(anthropic_api, settings, name):
    settings.AI_MODEL = name

    answer = look_up(Deadline(20))

    assert (answer.tries, answer.may_pass) == (1, False)
    assert answer.reason.startswith("Anthropic knows no model")
    assert {request.path.count("/") for request in anthropic_api.requests} == {3}


@pytest.mark.parametrize("fault", PASSES[:12])
def test_a_look_up_whose_answer_is_none_fails_in_words_too(anthropic_api, fault):
    anthropic_api.faults = [fault] * 3

    answer = look_up(Deadline(20))

    assert isinstance(answer, Failed) and answer.may_pass
    assert answer.reason.endswith("Tried 3 times; try again later.")


GOOD = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"colour": 1, "zoom": 2}, "colour: Extra inputs are not permitted"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": "1"}, "max_tokens: Input should be greater than or equal to 1"),
        ({"model": ""}, "model: Input should be a valid string"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages: first message must use the user role"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages.0.content: text content blocks must be non-empty"),
        ({"system": [{"type": "image"}]}, "system: Input should be a valid string or list of text blocks"),
    ],
)
def test_the_standin_refuses_what_the_api_refuses(change, said):
    assert problem(GOOD | change) == said


@pytest.mark.parametrize("name", ["model", "max_tokens", "messages"])
def test_the_standin_demands_what_the_api_demands(name):
    assert problem({key: value for key, value in GOOD.items() if key != name}) == f"{name}: Field required"


def test_the_standin_knows_its_key(anthropic_api, settings):
    settings.ANTHROPIC_API_KEY = "sk-ant-other"

    assert ask().reason.startswith("Anthropic does not know the key (401).")
