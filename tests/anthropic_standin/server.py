"""The HTTP of the stand-in, in threads of the test's own process."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import orjson

from tests.anthropic_standin.faults import Fault, error

KNOWN = {
    "model", "max_tokens", "messages", "system", "metadata", "stop_sequences", "stream", "tools", "tool_choice",
    "thinking", "service_tier", "output_config",
}  # fmt: skip
LONGEST = 32_000_000
MODELS = "/v1/models/"
DRIP_SECONDS = 0.2


@dataclass(frozen=True)
class Request:
    """One request as it came. `body`: None where there was none, or it was no JSON."""

    path: str
    headers: dict[str, str]
    body: Any
    status: int

    @property
    def system(self) -> str:
        return "".join(block["text"] for block in self.body["system"])

    @property
    def user(self) -> str:
        """The last thing the user said."""
        return self.body["messages"][-1]["content"]

    @property
    def facts(self) -> Any:
        return facts_in(self.body["messages"][0]["content"])


def facts_in(text: str) -> Any:
    """The first JSON object in a text."""
    start = text.index("{")
    for end in range(len(text), start, -1):
        with contextlib.suppress(orjson.JSONDecodeError):
            return orjson.loads(text[start:end])
    raise ValueError("There is no JSON in it.")


def short_brief(facts: Any) -> str:
    return f"**Why they’re hot**\n\n- Intent score {facts['score']['intent_score']}\n"


@dataclass
class Anthropic:
    """A context manager; see the package's docstring."""

    key: str = "sk-ant-test-key"
    models: tuple[str, ...] = ("claude-test",)
    writes: Callable[[Any], str] = short_brief
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> "Anthropic":
        self._lock, self.over = threading.Lock(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"api": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Fault:
        """What is sent: an error of ours, a fault that waits, or a message, or a model."""
        refused, body = self._refusal(method, path, headers, raw)
        with self._lock:
            fault = refused or (self.faults.pop(0) if self.faults else Fault())
            self.requests.append(Request(path, headers, body, fault.status))
        if fault.body is not None:
            return fault
        message = {**(self._message(body) if method == "POST" else _model(path)), **fault.changes}
        kept = {name: value for name, value in message.items() if name not in fault.without}
        return replace(fault, body=orjson.dumps(kept), headers={"Content-Type": "application/json"})

    def _message(self, body: Any) -> dict[str, Any]:
        text = self.writes(facts_in(body["messages"][0]["content"]))
        return {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 900, "output_tokens": 200},
        }

    def _refusal(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> tuple[Fault | None, Any]:
        asks_for_model = method == "GET" and path.startswith(MODELS)
        if not asks_for_model and (method, path) != ("POST", "/v1/messages"):
            return error(404, "Not Found"), None
        if headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "invalid bearer token"), None
        if "anthropic-version" not in headers:
            return error(400, "anthropic-version: header is required"), None
        return self._unknown(_name(path)) if asks_for_model else self._bad_message(raw)

    def _bad_message(self, raw: bytes) -> tuple[Fault | None, Any]:
        if len(raw) > LONGEST:
            return error(413, "Request exceeds the maximum size"), None
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return error(400, "The request body is not valid JSON"), None
        wrong = problem(body)
        return (error(400, wrong), body) if wrong else (self._unknown(body["model"])[0], body)

    def _unknown(self, model: str) -> tuple[Fault | None, None]:
        return (None if model in self.models else error(404, f"model: {model}")), None


def _name(path: str) -> str:
    return unquote(path.removeprefix(MODELS))


def _model(path: str) -> dict[str, Any]:
    name = _name(path)
    return {
        "type": "model",
        "id": name,
        "display_name": name.title(),
        "created_at": "2026-02-04T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": {"batch": {"supported": True}},
        "max_input_tokens": 1_000_000,
        "max_tokens": 64_000,
    }


def problem(body: Any) -> str | None:
    """What the API would call wrong with a body; None when nothing is."""
    if not isinstance(body, dict):
        return "Input should be an object"
    if unknown := sorted(set(body) - KNOWN):
        return f"{unknown[0]}: Extra inputs are not permitted"
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            return f"{name}: Field required"
    if not isinstance(body["model"], str) or not body["model"]:
        return "model: Input should be a valid string"
    if type(body["max_tokens"]) is not int or not 1 <= body["max_tokens"] <= 64_000:
        return "max_tokens: Input should be greater than or equal to 1"
    if "system" in body and not _is_content(body["system"]):
        return "system: Input should be a valid string or list of text blocks"
    return _messages_problem(body["messages"])


def _messages_problem(messages: Any) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            return f"messages.{number}: role and content are required, and nothing else"
        if message["role"] not in ("user", "assistant"):
            return f"messages.{number}.role: Input should be 'user' or 'assistant'"
        if not _is_content(message["content"]):
            return f"messages.{number}.content: text content blocks must be non-empty"
    return None if messages[0]["role"] == "user" else "messages: first message must use the user role"


def _is_content(content: Any) -> bool:
    if isinstance(content, str):
        return bool(content.strip())
    blocks = content if isinstance(content, list) else []
    return bool(blocks) and all(
        isinstance(block, dict)
        and set(block) <= {"type", "text", "cache_control"}
        and block.get("type") == "text"
        and isinstance(block.get("text"), str)
        and bool(block["text"].strip())
        and block.get("cache_control", {"type": "ephemeral"}) == {"type": "ephemeral"}
        for block in blocks
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Anthropic

    def do_POST(self) -> None:
        self._meet()

    def do_GET(self) -> None:
        self._meet()

    def _meet(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with contextlib.suppress(OSError):  # whoever asked has gone
            self._send(self.api.answer(self.command, self.path, headers, raw))

    def _send(self, answer: Fault) -> None:
        self.api.over.wait(answer.delay)
        if answer.gate:
            answer.gate.wait(timeout=60)
        self.close_connection = answer.way != "whole"
        if answer.way == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif answer.way == "drip headers":
            self._drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        else:
            self._send_whole(answer, answer.body or b"")

    def _send_whole(self, answer: Fault, body: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if answer.way == "drip":
            self._drip(body)
        else:
            self.wfile.write(body[: len(body) // 2] if answer.way == "too short" else body)

    def _drip(self, text: bytes) -> None:
        for byte in text:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.api.over.wait(DRIP_SECONDS):
                return

    def log_message(self, format: str, *args: object) -> None:
        pass
