"""Who gets what Orbit sends, on the wire: a mail server and an https server, on ports of this machine.

Both say what they got and can be told to misbehave: refuse, fail, redirect, be silent, or hold an answer back.
"""

import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

Server = TypeVar("Server", bound=socketserver.BaseServer)


# --- Mail -------------------------------------------------------------------------------------------------------------
class MailServer(socketserver.ThreadingTCPServer):
    """The part of SMTP that a client needs. `refuse`: the answer to RCPT instead of 250."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailSession)
        self.mails: list[Message] = []
        self.refuse = ""
        self.got = threading.Event()
        self.answer = threading.Event()  # cleared: a mail is taken, and nobody is told
        self.answer.set()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _MailSession(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 here")
        for line in self.rfile:
            verb = line.decode().strip().upper()
            if verb.startswith("RCPT") and self.server.refuse:
                self.say(self.server.refuse)
            elif verb == "DATA":
                self.say("354 go on")
                self.server.mails.append(message_from_bytes(self.read_mail()))
                self.server.got.set()
                self.server.answer.wait()
                self.say("250 taken")
            elif verb == "QUIT":
                return self.say("221 bye")
            else:
                self.say("250 ok")
        return None

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def read_mail(self) -> bytes:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)


# --- Web hooks --------------------------------------------------------------------------------------------------------
@dataclass
class Post:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Orders:
    """What the next answers are; an empty list answers 200. `0` closes without a word."""

    statuses: list[int] = field(default_factory=list)
    location: str = ""


class WebServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _WebSession)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.posts: list[Post] = []
        self.connections = 0
        self.orders = Orders()
        self.got = threading.Event()
        self.answer = threading.Event()
        self.answer.set()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}/hook?key=s3cret"

    def get_request(self):
        self.connections += 1
        return super().get_request()

    def handle_error(self, request, client_address) -> None:
        """A client that goes away, or does not trust the certificate, is no news."""


class _WebSession(BaseHTTPRequestHandler):
    server: WebServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(Post(self.path, dict(self.headers), body))
        self.server.got.set()
        self.server.answer.wait()
        statuses = self.server.orders.statuses
        status = statuses.pop(0) if statuses else 200
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        if self.server.orders.location:
            self.send_header("Location", self.server.orders.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silence."""


def make_certificate(directory: Path) -> Path:
    """Of `localhost`, key and certificate in one file, which is also what a client trusts it by."""
    made = directory / "localhost.pem"
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *named, "-keyout", made, "-out", directory / "cert.pem"],
        check=True,
        capture_output=True,
    )
    made.write_text(made.read_text() + (directory / "cert.pem").read_text())
    return made


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
