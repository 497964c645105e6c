"""The stand-in's HTTP: routes, the log of requests, faults, and the private door its owner comes in by."""

import gzip
import re
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.posthog_standin import faults
from tests.posthog_standin.problems import Problem, malformed
from tests.posthog_standin.project import Answer, Project, validated

QUERY = re.compile(r"/api/(?:projects|environments)/([^/]+)/query/(?:([^/]+)/)?")
GROUP_TYPES = re.compile(r"/api/projects/([^/]+)/groups_types/")
PROJECT = re.compile(r"/api/(?:projects|environments)/([^/]+)/")
CAPTURE = re.compile(r"/(?:batch|capture|i/v0/e|e)/?")
PRIVATE = "/_standin/"
COMPRESSED_FROM = 1_000  # bytes


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, project: Project, secret: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.project, self.secret = project, secret
        self.faults = faults.Queue()
        self.log: list[dict[str, Any]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what the tests are about; anything else is answered as a 500."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """The log of requests is `Server.log`."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        at = datetime.now(UTC)
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        allowed = self.server.project.limits.body_bytes
        private = address.path.startswith(PRIVATE) and self.headers.get("X-Standin") == self.server.secret
        if length > allowed and not private:
            self.close_connection = True
            self._send(self._problem(Problem(413, "invalid_request", "error", f"The body exceeds {allowed} bytes.")))
            return
        raw = self.rfile.read(length)
        if private:
            self._send(self._guarded(lambda: self._private(address.path.removeprefix(PRIVATE), raw)))
            return
        entry = self._entry(at, address.path, raw)
        fault = self.server.faults.take(entry["name"], address.path, entry["query"])
        entry["faulted"] = fault is not None
        self.server.log.append(entry)  # before the answer: whoever has it finds the request here
        answer = self._prepared(fault, entry, address.path, address.query, raw)
        self._deliver(answer, fault)

    def _prepared(self, fault: faults.Fault | None, entry: dict[str, Any], path: str, query: str, raw: bytes) -> Answer:
        """The answer as it will be sent, entered in the log."""
        answer = self._faulted(fault, path, query, raw)
        if fault and isinstance(answer.body, dict) and answer.status == 200:
            answer.body = faults.edited_body(answer.body, fault.edit)
        answer.body = self._bytes(answer)
        dropped = fault is not None and fault.way == "dropped"
        entry.update(
            status=0 if dropped else answer.status,
            rows=answer.rows,
            read_bytes=answer.read_bytes,
            answer_bytes=len(answer.body),
            seconds=(datetime.now(UTC) - datetime.fromisoformat(entry["at"])).total_seconds(),
        )
        return answer

    def _entry(self, at: datetime, path: str, raw: bytes) -> dict[str, Any]:
        body: Any = None
        with suppress(orjson.JSONDecodeError):
            body = orjson.loads(raw)
        asked = body if isinstance(body, dict) else {}
        given = asked.get("query")
        query = given if isinstance(given, dict) else {}
        return {
            "at": at.isoformat(),
            "method": self.command,
            "path": path,
            "name": str(asked.get("name") or ""),
            "query": str(query.get("query") or ""),
            "values": query.get("values") or {},
            "body": body,
            "headers": dict(self.headers.items()),
            "status": None,
            "rows": None,
            "read_bytes": 0,
            "answer_bytes": 0,
            "seconds": None,
            "faulted": False,
        }

    def _faulted(self, fault: faults.Fault | None, path: str, query: str, raw: bytes) -> Answer:
        if fault:
            time.sleep(fault.delay)
            if fault.capture:
                self.server.project.capture(fault.capture)
            if fault.status is not None:
                return Answer(fault.status, fault.body.encode(), fault.headers)
        return self._guarded(lambda: self._route(path, query, raw))

    def _guarded(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except Problem as problem:
            return self._problem(problem)
        except Exception as error:  # noqa: BLE001, a defect of the stand-in must reach the test that met it
            return Answer(500, {"type": "server_error", "code": "defect_of_the_standin", "detail": repr(error)})

    def _problem(self, problem: Problem) -> Answer:
        return Answer(problem.status, problem.as_json(), dict(problem.headers))

    # --- Routes -------------------------------------------------------------------------------------------------------
    def _route(self, path: str, query: str, raw: bytes) -> Answer:
        project, method = self.server.project, self.command
        authorization = self.headers.get("Authorization")
        if CAPTURE.fullmatch(path) and method == "POST":
            return self._capture(query, raw)
        if not path.endswith("/") and path.startswith("/api/"):
            return Answer(301, b"", {"Location": path + "/"})
        if found := QUERY.fullmatch(path):
            project.authorize(authorization, found[1], "query:read")
            if found[2] and method != "POST":
                return project.finished(found[2]) if method == "GET" else project.cancel(found[2])
            self._require("POST", to_be=not found[2])
            project.throttle.count_request()
            return project.query(validated(raw))
        if found := GROUP_TYPES.fullmatch(path):
            project.authorize(authorization, found[1], "group:read")
            self._require("GET")
            return Answer(200, project.group_types())
        if found := PROJECT.fullmatch(path):
            project.authorize(authorization, found[1], "project:read")
            self._require("GET")
            return Answer(200, {"id": project.id, "name": "Stand-in", "timezone": project.timezone})
        raise Problem(404, "invalid_request", "not_found", "Endpoint not found.")

    def _require(self, method: str, to_be: bool = True) -> None:
        if self.command != method or not to_be:
            detail = f'Method "{self.command}" not allowed.'
            raise Problem(405, "invalid_request", "method_not_allowed", detail)

    def _capture(self, query: str, raw: bytes) -> Answer:
        packed = self.headers.get("Content-Encoding") == "gzip" or parse_qs(query).get("compression") == ["gzip"]
        try:
            body = orjson.loads(gzip.decompress(raw) if packed else raw)
        except (orjson.JSONDecodeError, OSError, EOFError, zlib.error) as error:
            raise malformed(f"Malformed request data: {error}") from error
        if not isinstance(body, dict):
            raise malformed("Malformed request data: not an object")
        given = body.get("properties")
        properties = given if isinstance(given, dict) else {}
        key = body.get("api_key") or body.get("token") or properties.get("token")
        if key != self.server.project.project_key:
            raise Problem(401, "authentication_error", "invalid_api_key", "Project API key invalid.")
        events = body["batch"] if isinstance(body.get("batch"), list) else [body]
        self.server.project.capture([event for event in events if isinstance(event, dict)])
        return Answer(200, {"status": "Ok"})

    def _private(self, verb: str, raw: bytes) -> Answer:
        server, given = self.server, orjson.loads(raw or b"null")
        if verb == "capture":
            server.project.capture(given)
        elif verb == "fault":
            server.faults.add(faults.Queued(**{**given, "fault": faults.Fault(**given["fault"])}))
        elif verb == "no_faults":
            server.faults.clear()
        elif verb == "set":
            server.project.set(given)
        elif verb == "reset":
            server.project.reset()
            server.faults.clear()
            server.log.clear()
        elif verb == "forget_requests":
            server.log.clear()
        return Answer(200, {"log": server.log, "faults": server.faults.as_json()} if verb == "look" else {})

    # --- Sending ------------------------------------------------------------------------------------------------------
    def _deliver(self, answer: Answer, fault: faults.Fault | None) -> None:
        if fault is None or fault.way == "whole":
            self._send(answer)
            return
        self.close_connection = True
        with suppress(OSError):
            self._mistreat(answer, fault.way)

    def _mistreat(self, answer: Answer, way: faults.Way) -> None:
        body = faults.bomb() if way == "gzip bomb" else self._bytes(answer)
        headers = {"Connection": "close", "Content-Length": str(len(body))}
        if way == "gzip bomb":
            headers["Content-Encoding"] = "gzip"
        if way == "cut off":
            del headers["Content-Length"]
        if way == "dropped":
            return
        self.wfile.write(self._head(answer, headers))
        if way in ("too short", "cut off"):
            self.wfile.write(body[: len(body) // 2])
        elif way == "gzip bomb":
            self.wfile.write(body)
        elif way == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(1)

    def _send(self, answer: Answer) -> None:
        body = self._bytes(answer)
        headers = {}
        if "gzip" in (self.headers.get("Accept-Encoding") or "") and len(body) > COMPRESSED_FROM:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if answer.status != 204:
            headers["Content-Length"] = str(len(body))
        if self.close_connection:
            headers["Connection"] = "close"
        self.wfile.write(self._head(answer, headers) + body)

    def _bytes(self, answer: Answer) -> bytes:
        if answer.body is None:
            return b""
        return answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)

    def _head(self, answer: Answer, headers: dict[str, str]) -> bytes:
        lines = {"Content-Type": "application/json", **answer.headers, **headers}
        first = f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}\r\n"
        return (first + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n").encode()


def serve(project: Project, port: int, secret: str) -> Server:
    """A server that answers in a thread of its own."""
    server = Server(port, project, secret)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
