"""Anthropic's API: one question, one answer, one deadline over all of it. The only module that talks to it.

Whatever happens the answer is typed: `Written` or `Known`, or `Failed` with a reason that a person understands. The
SDK's own retries are off: it repeats for minutes what we would have done by then, and swallows the alarm of a job
(platform B). The whole exchange goes on in a thread that is left behind when the time is over: neither a name server
that is silent, nor an answer of one byte a second, nor the import of the SDK itself can hold up who asks.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from django.conf import settings
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from ingestion.outgoing import NotAllowed, checked_origin

T = TypeVar("T")
TRIES = 3
ANSWER_BYTES = 1_000_000
SAID = 200  # characters of the API's own words in a reason
NO_ANSWER = "what came is no answer of Anthropic's API"
PASSING = (408, 409, 429)  # and everything from 500


@dataclass(frozen=True, slots=True)
class Written:
    """A text. `ended`: the model was done, and not cut off by its limit."""

    text: str
    model: str
    ended: bool
    input_tokens: int = 0
    output_tokens: int = 0
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Known:
    """A model that the API has. `lifecycle`: active, deprecated or retired, or empty where it does not say; a retired
    one writes no more. `retires_on`: the date that is planned for it."""

    model: str
    lifecycle: str = ""
    retires_on: date | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, and why, in words for a person. `may_pass`: the same question may be answered later."""

    reason: str
    tries: int = 0
    may_pass: bool = False


class Deadline:
    """So many seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._end = seconds, time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())


class _Final(Exception):
    """It will not work the next time either; the text says why."""


class _Again(Exception):
    """It may work the next time. `after`: seconds that the API asked for."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class _TooLate(Exception):
    """The deadline is over."""


def is_configured() -> bool:
    """Whether a language model shall write. With a key and no model the system check fails, and so does every brief."""
    return bool(settings.ANTHROPIC_API_KEY)


def complete(system: str, turns: Sequence[str], *, max_tokens: int, deadline: Deadline) -> Written | Failed:
    """The model's next turn. `turns`: the user's and its own in alternation, the user's first and last."""

    def create(client: Any) -> Any:
        return client.messages.create(
            model=settings.AI_MODEL,
            max_tokens=max_tokens,
            system=[{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
            messages=[
                {"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate(turns)
            ],
        )

    return _answer(create, _written, deadline)


def look_up(deadline: Deadline) -> Known | Failed:
    """What the API says of AI_MODEL. Costs nothing: nobody writes."""
    return _answer(lambda client: client.models.retrieve(settings.AI_MODEL), _known, deadline)


def _answer(call: Callable[[Any], Any], read: Callable[[Any, int], T], deadline: Deadline) -> T | Failed:
    """One question, asked again where that may help."""
    if not settings.AI_MODEL:
        return Failed("AI_MODEL is not set: name the model that shall write, beside ANTHROPIC_API_KEY.")
    try:
        origin = within(deadline, lambda: checked_origin(settings.ANTHROPIC_BASE_URL))
    except NotAllowed as error:
        return Failed(f"ANTHROPIC_BASE_URL: {error}")
    except _TooLate:
        return Failed(_late(deadline), may_pass=True)
    asked = _Question(origin, call, read, deadline)
    tries = Retrying(
        retry=retry_if_exception_type(_Again), wait=_wait, stop=asked.must_stop, sleep=time.sleep, reraise=True
    )
    try:
        answer: T = tries(asked.once)
    except _Final as error:
        return Failed(str(error), asked.tries)
    except _TooLate:
        return Failed(_late(deadline), asked.tries, may_pass=True)
    except _Again as error:
        if not deadline.left():  # what came of the question came after it
            return Failed(_late(deadline), asked.tries, may_pass=True)
        said = f"The model could not be asked: {error}. Tried {_times(asked.tries)}; try again later."
        return Failed(said, asked.tries, may_pass=True)
    return answer


def _late(deadline: Deadline) -> str:
    return f"The model did not answer within {deadline.seconds:.0f} s. Try again later."


def _times(tries: int) -> str:
    return "once" if tries == 1 else f"{tries} times"


def _wait(state: RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    after = getattr(error, "after", None)
    return wait_random_exponential(settings.AI_RETRY_SECONDS, max=8)(state) if after is None else float(after)


def within(deadline: Deadline, work: Callable[[], T]) -> T:
    """The work's result, or _TooLate when it has none in time. It then ends by itself, unheard."""
    future: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name="model", daemon=True).start()
    try:
        return future.result(timeout=deadline.left())
    except TimeoutError as error:
        if future.done():  # this very moment, or by a time-out of its own
            return future.result()
        raise _TooLate from error


@dataclass
class _Question(Generic[T]):
    """`call`: what the SDK is asked for; `read`: the typed answer, made of the SDK's and of the number of tries."""

    origin: str
    call: Callable[[Any], Any]
    read: Callable[[Any, int], T]
    deadline: Deadline
    tries: int = field(default=0)

    def must_stop(self, state: RetryCallState) -> bool:
        """After three tries, and where the next one would begin too late."""
        return self.tries >= TRIES or state.upcoming_sleep >= self.deadline.left()

    def once(self) -> T:
        self.tries += 1
        return within(self.deadline, self._ask)

    def _ask(self) -> T:
        import anthropic  # noqa: PLC0415 - takes 2 s and 60 MB, for those who ask a model only
        import httpx2  # noqa: PLC0415

        limits = httpx2.Timeout(max(0.01, self.deadline.left()))
        transport: Any = _Bounded(httpx2.HTTPTransport(trust_env=False), self.deadline, httpx2.Response)
        with (
            httpx2.Client(transport=transport, trust_env=False, follow_redirects=False, timeout=limits) as http,
            anthropic.Anthropic(
                api_key=settings.ANTHROPIC_API_KEY,
                base_url=self.origin,
                webhook_key="",
                max_retries=0,
                timeout=limits,
                http_client=http,
                default_headers={"Accept-Encoding": "identity"},
            ) as client,
        ):
            try:
                answer = self.call(client)
            except anthropic.APIStatusError as error:
                raise _refusal(error) from error
            except (anthropic.AnthropicError, httpx2.HTTPError, OSError) as error:
                raise _Again(
                    f"the connection to Anthropic failed ({type(error.__cause__ or error).__name__})"
                ) from error
            except (ValueError, TypeError, AttributeError) as error:  # what the SDK makes of an answer that is none
                raise _Again(NO_ANSWER) from error
        return self.read(answer, self.tries)


def _written(answer: Any, tries: int) -> Written:
    """An answer of status 200 may still be anything: a proxy's page, half a message, no text."""
    blocks, reason = getattr(answer, "content", None), getattr(answer, "stop_reason", None)
    if not isinstance(blocks, list) or not isinstance(reason, str):
        raise _Again(NO_ANSWER)
    if reason == "refusal":
        raise _Final("The model declined to write this brief.")
    texts = [block.text for block in blocks if getattr(block, "type", None) == "text"]
    usage, model = getattr(answer, "usage", None), getattr(answer, "model", None)
    return Written(
        text="".join(text for text in texts if isinstance(text, str)).strip(),
        model=model if isinstance(model, str) else settings.AI_MODEL,
        ended=reason in ("end_turn", "stop_sequence"),
        input_tokens=_whole(getattr(usage, "input_tokens", 0)),
        output_tokens=_whole(getattr(usage, "output_tokens", 0)),
        tries=tries,
    )


def _known(answer: Any, tries: int) -> Known:
    model, lifecycle = getattr(answer, "id", None), getattr(answer, "lifecycle", None)
    if getattr(answer, "type", None) != "model" or not isinstance(model, str):
        raise _Again(NO_ANSWER)
    retires = getattr(answer, "retires_at", None)
    return Known(
        model=model,
        lifecycle=lifecycle if isinstance(lifecycle, str) else "",
        retires_on=retires.date() if isinstance(retires, datetime) else None,
    )


class _Bounded:
    """A transport that reads all of an answer within the deadline, and no more than there may be."""

    def __init__(self, inner: Any, deadline: Deadline, response: Any) -> None:
        self._inner, self._deadline, self._response = inner, deadline, response

    def handle_request(self, request: Any) -> Any:
        answer, parts, size = self._inner.handle_request(request), [], 0
        try:
            for part in answer.stream:
                parts.append(part)
                size += len(part)
                if size > ANSWER_BYTES:
                    raise OSError("The answer is too long.")
                if not self._deadline.left():
                    raise OSError("The answer takes too long.")
        finally:
            answer.close()
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise OSError("The answer is packed, though nobody asked for that.")
        kept = [(name, value) for name, value in answer.headers.raw if name.lower() != b"transfer-encoding"]
        return self._response(answer.status_code, headers=kept, content=b"".join(parts))

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> "_Bounded":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _refusal(error: Any) -> Exception:
    """What a status other than 200 means. By its number, never by its words: those change."""
    status = int(error.status_code)
    if status in PASSING or status >= 500:
        names = {429: "is asked too often (429)", 529: "is overloaded (529)"}
        return _Again(f"Anthropic {names.get(status, f'answered {status}')}", _seconds(error.response))
    return _Final(f"{_advice(status)}{_said(error.body)}")


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return f"Anthropic redirects ({status}): ANTHROPIC_BASE_URL is not the address of its API."
    advice = {
        400: "Anthropic refuses the request (400).",
        401: "Anthropic does not know the key (401). Look at ANTHROPIC_API_KEY.",
        402: "Anthropic's account has no credit left (402).",
        403: "Anthropic's key may not do this (403). Look at what the key and its workspace may use.",
        404: f"Anthropic knows no model {settings.AI_MODEL} (404). Look at AI_MODEL, and at ANTHROPIC_BASE_URL.",
        413: "The facts and the prompt are too long for Anthropic (413). Shorten the template.",
    }
    return advice.get(status, f"Anthropic refuses the request ({status}).")


def _said(body: Any) -> str:
    inner = body.get("error") if isinstance(body, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    if not isinstance(text, str):
        return ""
    safe = text.replace(settings.ANTHROPIC_API_KEY, "(the key)")  # whatever stands between may repeat the request
    return f" Anthropic said: {safe[:SAID]}"


def _seconds(response: Any) -> float | None:
    try:
        return max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        return None


def _whole(number: Any) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else 0
