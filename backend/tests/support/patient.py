"""An installation for the doctor to look at, and hosts around it that can be made ill."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kiro2api.config import Installation
from kiro2api.doctor import Finding, Verdict, examine
from kiro2api.doctor.examine import Wishes
from tests.support.stores import SECRET_KEY

Answer = Callable[[BaseHTTPRequestHandler], None]
ENTRY = '[{"auth": "Social", "refreshToken": "%s", "name": "mine"}]'


def answer(
    status: int = 200,
    body: bytes = b"{}",
    *,
    content_type: str = "application/json",
    clock_ahead_s: float = 0.0,
    **headers: str,
) -> Answer:
    """Return an answer, as it would come from a host whose clock is so far ahead."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(status)
        handler.send_header("date", formatdate(time.time() + clock_ahead_s, usegmt=True))
        handler.send_header("content-type", content_type)
        handler.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


def stream(*, pause_s: float, events: int = 24, per_piece: int = 1, wait_s: float = 0.0) -> Answer:
    """Return a stream of events that comes in pieces with pauses, after a first wait."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(wait_s)
        handler.send_response_only(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        for _ in range(events // per_piece):
            handler.wfile.write(b'event: ping\ndata: {"type":"ping"}\n\n' * per_piece)
            time.sleep(pause_s)

    return send


@contextmanager
def fake_host(send: Answer | None = None) -> Iterator[str]:
    """Run a host that gives this answer (by default a good one) to every request."""
    sent = send or answer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            sent(self)

        do_POST = do_GET
        do_CONNECT = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Patient:
    """A healthy installation in a folder of its own; `environ` can be made ill."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self.database = folder / "data" / "kiro2api.db"
        self.database.parent.mkdir(mode=0o700)
        self.environ = {
            "PORT": str(free_port()),
            "KIRO_SECRET_KEY": SECRET_KEY,
            "KIRO_AUTH_TOKEN": ENTRY % "a-token",
            "KIRO_CLIENT_TOKEN": "a-key-that-is-long-enough",
            "KIRO_MAX_STREAMS": "100",
        }
        self.call(host)

    def call(self, url: str) -> None:
        """Have all calls go to that host."""
        for name in ("API", "SOCIAL", "OIDC"):
            self.environ[f"KIRO_{name}_ENDPOINT"] = url

    @property
    def installation(self) -> Installation:
        return Installation(self.folder, self.folder / "data", (self.folder,))

    def findings(self, *, url: str = "", key: str = "") -> list[Finding]:
        """Return all that the doctor finds."""
        wishes = Wishes(url=url, key=key, model="any")
        return asyncio.run(examine(self.environ, self.installation, wishes=wishes))

    def found(self, verdict: Verdict = Verdict.FAULT, **wishes: str) -> list[tuple[str, str]]:
        """Return check and text of each finding of that weight, which must tell its cure."""
        found = [f for f in self.findings(**wishes) if f.verdict is verdict]
        assert [f for f in found if not (f.why and f.cure)] == []
        return [(f.check, f.what) for f in found]


@pytest.fixture(scope="session")
def healthy_host() -> Iterator[str]:
    """A host at which nothing is wrong."""
    with fake_host() as url:
        yield url


@pytest.fixture
def patient(tmp_path: Path, healthy_host: str) -> Patient:
    """An installation at which nothing is wrong."""
    return Patient(tmp_path, healthy_host)
