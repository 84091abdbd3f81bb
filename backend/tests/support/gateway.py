"""The gateway as a real process on a free port, and a plain HTTP client of it."""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import EmulatedAccount, RunningEmulator, run_emulator
from tests.support.forked import ForkedProcess, fork_gateway
from tests.support.sse import (
    SseEvent,
    SseParser,
    check_anthropic_stream,
    check_chat_stream,
    parse_sse,
)
from tests.support.stores import database_before_the_first_start

KEY = "123456"
START_S = 20.0
# The settings of whoever runs the tests are not for them.
NO_ENV_FILE = ("--env-file", os.devnull)
DATABASE = "kiro2api.db"
MESSAGES = "/v1/messages"
CHAT = "/v1/chat/completions"
MODEL = "claude-sonnet-4-20250514"


class Response(msgspec.Struct, frozen=True):
    """A whole answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.decode(self.body)

    @property
    def events(self) -> list[SseEvent]:
        return parse_sse(self.body)


class LiveStream:
    """A stream that is being read: what has come so far, as it comes."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.response = connection.getresponse()
        self.status = self.response.status
        self.raw = b""
        self._parser = SseParser()

    def read(self) -> list[SseEvent]:
        """Return the events of the next piece; [] at the end of the stream."""
        while True:
            data = self.response.read1(65536)
            if not data:
                return []
            self.raw += data
            events = self._parser.feed(data)
            if events:
                return events

    @property
    def comments(self) -> int:
        return self._parser.comments

    def rest(self) -> list[SseEvent]:
        """Return all events until the end."""
        found: list[SseEvent] = []
        while events := self.read():
            found += events
        return found

    def close(self) -> None:
        """Leave, as a client does that has lost interest."""
        self.response.close()
        self.connection.close()


class RunningGateway:
    """A running gateway; lives as long as its process."""

    def __init__(
        self,
        process: subprocess.Popen[bytes] | ForkedProcess,
        url: str,
        log_file: Path,
        emulator: RunningEmulator,
        shown: list[str],
    ) -> None:
        self.process = process
        self.url = url
        self.emulator = emulator
        self.log_file = log_file
        self.shown = shown
        # What was read of the log before: those that share a gateway make it long.
        self._log_lines: list[dict[str, Any]] = []
        self._log_bytes = 0

    def connect(self, *, timeout_s: float = 30.0) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the whole answer to one call; every stream in it must keep the law."""
        connection = self.connect()
        try:
            self._send(connection, method, path, body, key, headers)
            answer = connection.getresponse()
            response = Response(
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read(),
            )
        finally:
            connection.close()
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            self._check(body, response.events)
        return response

    def get(self, path: str, **how: Any) -> Response:
        return self.request("GET", path, **how)

    def post(self, path: str, body: object, **how: Any) -> Response:
        return self.request("POST", path, body, **how)

    def messages(self, content: object = "Hello", *, path: str = MESSAGES, **more: Any) -> Response:
        """Ask the Anthropic dialect; `stream=True` among `more` streams."""
        return self.post(path, anthropic_body(content, **more))

    def chat(self, content: object = "Hello", *, path: str = CHAT, **more: Any) -> Response:
        """Ask the Chat Completions dialect; `stream=True` among `more` streams."""
        return self.post(path, chat_body(content, **more))

    def open_stream(
        self, path: str, body: object, *, key: str | None = KEY, timeout_s: float = 30.0
    ) -> LiveStream:
        """Return a stream whose head has arrived."""
        connection = self.connect(timeout_s=timeout_s)
        self._send(connection, "POST", path, body, key, None)
        return LiveStream(connection)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object,
        key: str | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        data = body if body is None or isinstance(body, bytes) else json.encode(body)
        sent = {"authorization": f"Bearer {key}"} if key is not None else {}
        connection.request(method, path, body=data, headers=sent | dict(headers or {}))

    def _check(self, body: object, events: Sequence[SseEvent]) -> None:
        asked: Any = json.decode(body) if isinstance(body, bytes) else body
        if any(event.name for event in events):
            check_anthropic_stream(events)
        else:
            wants = bool((asked.get("stream_options") or {}).get("include_usage"))
            check_chat_stream(events, includes_usage=wants)

    # ------------------------------------------------------------------------ what it leaves

    def log_text(self) -> str:
        return self.log_file.read_text("utf-8")

    def log_lines(self, event: str = "") -> list[dict[str, Any]]:
        """Return the log lines, those of `event` when one is named."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_bytes)
            whole, end, _ = log.read().rpartition(b"\n")
        self._log_bytes += len(whole + end)
        self._log_lines += [json.decode(line) for line in whole.splitlines() if line[:1] == b"{"]
        return [line for line in self._log_lines if not event or line["event"] == event]

    def lines_until_now(self) -> int:
        """Return how many requests have ended, when the lines of all earlier ones are there.

        A line is written after the answer: that of the last request may still be on its way.
        """
        request_id = self.get("/v1/models").headers["request-id"]

        def is_there() -> bool:
            lines = self.log_lines("request_finished")
            return any(line["request_id"] == request_id for line in reversed(lines))

        self.wait_for(is_there, "the line of a request that has been answered")
        return len(self.log_lines("request_finished"))

    def finished(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the lines about finished requests, once there are `count` of them."""
        self.wait_for(lambda: len(self.log_lines("request_finished")) >= count, "a log line")
        return self.log_lines("request_finished")

    def accounts(self) -> list[dict[str, Any]]:
        """Return the accounts as `GET /api/tokens` tells them."""
        tokens: list[dict[str, Any]] = self.get("/api/tokens").json["tokens"]
        return tokens

    def account(self, name: str) -> dict[str, Any]:
        return next(account for account in self.accounts() if account["name"] == name)

    def wait_for(self, holds: Callable[[], object], what: str, *, within_s: float = 10.0) -> None:
        """Return as soon as `holds` does; fail the test when it does not in time."""
        until = time.monotonic() + within_s
        pause_s = 0.005
        while not holds():
            if time.monotonic() > until:
                pytest.fail(f"not seen within {within_s} s: {what}\n{self.log_text()[-4000:]}")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.05)

    def wait_until_settled(self) -> None:
        """Return when the background has refreshed every account and knows its models."""
        self.wait_for(
            lambda: all(account["models"] is not None for account in self.accounts()),
            "models",
            within_s=40.0,
        )

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Return the exit code after a SIGTERM."""
        self.terminate()
        return self.process.wait(timeout=START_S)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait(timeout=START_S)


def anthropic_body(content: object = "Hello", **more: Any) -> dict[str, Any]:
    """Return the body of a request that says `content`; `more` adds members or replaces them."""
    messages = [{"role": "user", "content": content}]
    return {"model": MODEL, "max_tokens": 1000, "messages": messages} | more


def chat_body(content: object = "Hello", **more: Any) -> dict[str, Any]:
    """Return the same for the Chat Completions dialect."""
    return {"model": MODEL, "messages": [{"role": "user", "content": content}]} | more


def gateway_environment(
    folder: Path, emulator: RunningEmulator, accounts: object, **more: str
) -> dict[str, str]:
    """Return the whole environment of a gateway whose every host is `emulator`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    given = accounts if isinstance(accounts, str) else json.encode(accounts).decode()
    environment = {
        **kept,
        "HOME": str(folder),
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "debug",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "KIRO_CLIENT_TOKEN": KEY,
        "KIRO_AUTH_TOKEN": given,
        "KIRO_DB_PATH": str(folder / DATABASE),
        "KIRO_API_ENDPOINT": emulator.url,
        "KIRO_SOCIAL_ENDPOINT": emulator.url,
        "KIRO_OIDC_ENDPOINT": emulator.url,
        "SSL_CERT_FILE": emulator.ca_file,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("src")),
    } | more
    return {name: value for name, value in environment.items() if value}


@contextmanager
def run_gateway(
    folder: Path,
    emulator: RunningEmulator,
    accounts: object,
    *,
    command: Sequence[str] = (),
    cwd: Path | None = None,
    **environment: str,
) -> Iterator[RunningGateway]:
    """Run a gateway in a process of its own until the block ends.

    It finds the tables made, which is a third of what a first start takes; one that is told another
    KIRO_DB_PATH makes them itself. Without a `command` it finds the imports done as well.
    """
    log_file = folder / "gateway.log"
    if "KIRO_DB_PATH" not in environment and not (folder / DATABASE).exists():
        (folder / DATABASE).write_bytes(database_before_the_first_start())
    env = gateway_environment(folder, emulator, accounts, **environment)
    process: subprocess.Popen[bytes] | ForkedProcess
    with log_file.open("ab") as log:
        if command:
            process = subprocess.Popen(
                list(command), stdout=subprocess.PIPE, stderr=log, env=env, cwd=cwd or folder
            )
        else:
            process = fork_gateway(NO_ENV_FILE, environment=env, cwd=cwd or folder, stderr=log)
    shown: list[str] = []
    ready = threading.Event()
    reader = threading.Thread(target=_read_lines, args=(process, shown, ready), daemon=True)
    reader.start()
    try:
        ready.wait(START_S)
        found = re.search(r"listening on (http://\S+)", "\n".join(shown))
        if found is None:
            process.kill()
            pytest.fail(f"the gateway did not start:\n{log_file.read_text()}\n{shown}")
        yield RunningGateway(process, found[1], log_file, emulator, shown)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(timeout=START_S)
        if process.stdout is not None:
            process.stdout.close()


def _read_lines(
    process: "subprocess.Popen[bytes] | ForkedProcess", shown: list[str], ready: threading.Event
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        shown.append(line.decode().rstrip("\n"))
        if "listening on" in shown[-1]:
            ready.set()
    ready.set()


StartGateway = Callable[..., RunningGateway]


@pytest.fixture
def start_gateway(tmp_path: Path, emulator: RunningEmulator) -> Iterator[StartGateway]:
    """Start gateways that end with the test.

    `start_gateway(accounts, **environment)`: `accounts` are emulated ones, or whatever
    `KIRO_AUTH_TOKEN` shall be. A later start in one test finds the database of the earlier one.
    """
    with ExitStack() as stack:

        def start(accounts: object = (), **environment: Any) -> RunningGateway:
            how = {k: environment.pop(k) for k in ("command", "cwd") if k in environment}
            return stack.enter_context(
                run_gateway(
                    tmp_path,
                    environment.pop("emulator", emulator),
                    auth_entries(accounts),
                    **how,
                    **environment,
                )
            )

        yield start


def auth_entries(accounts: object) -> object:
    """Return what `KIRO_AUTH_TOKEN` says of emulated accounts; anything else as it is."""
    if isinstance(accounts, EmulatedAccount):
        accounts = [accounts]
    if isinstance(accounts, list | tuple) and all(
        isinstance(account, EmulatedAccount) for account in accounts
    ):
        return [account.auth_entry(name=account.name) for account in accounts]
    return accounts


@pytest.fixture(scope="session")
def gateway_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The gateway of this test worker, with an emulator of its own and two groups."""
    with run_emulator() as emulator:
        accounts = [
            emulator.add_account(name, rotation="same", access_lifetime_s=86_400)
            for name in ("alpha", "beta", "gamma")
        ]
        entries = [
            accounts[0].auth_entry(name="alpha"),
            accounts[1].auth_entry(name="beta"),
            accounts[2].auth_entry(name="gamma", group="pro"),
        ]
        with run_gateway(tmp_path_factory.mktemp("gateway"), emulator, entries) as gateway:
            gateway.wait_until_settled()
            yield gateway


@pytest.fixture
def gateway(gateway_process: RunningGateway) -> Iterator[RunningGateway]:
    """A gateway with the accounts alpha and beta, and gamma in the group `pro`.

    It is shared by the tests of a worker: for tests of requests and answers, not for those that
    move accounts. What the gateway sent must have passed all checks of the strict emulator.
    """
    gateway_process.emulator.clear_queue()
    gateway_process.emulator.forget_records()
    yield gateway_process
    violations = gateway_process.emulator.violations()
    assert violations == [], violations
