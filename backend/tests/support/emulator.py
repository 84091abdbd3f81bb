"""The emulator as a real server on a free port, and a typed client of its control API."""

import http.client
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest

from kiro2api.emulator.records import Record, Violation
from kiro2api.protocol.wire import json

START_S = 20.0
WAIT_S = 5.0


class EmulatedAccount(msgspec.Struct, frozen=True):
    """One account as the emulator tells about it."""

    spec: dict[str, Any]
    refresh_token: str
    access_tokens: list[dict[str, Any]]
    refreshes: int
    max_parallel_refreshes: int
    dead_token_uses: int
    credits_used: float
    resets_at: float
    # Of an account of somebody else's identity provider; "" for others.
    issuer_url: str

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def profile_arn(self) -> str:
        return str(self.spec["profile_arn"])

    @property
    def access_token(self) -> str:
        """The newest access token."""
        return str(self.access_tokens[-1]["token"])

    def auth_entry(self, **more: object) -> dict[str, object]:
        """Return the entry of `KIRO_AUTH_TOKEN` that brings this account."""
        spec = self.spec
        entry: dict[str, object] = {"auth": "IdC", "refreshToken": self.refresh_token}
        match spec["kind"]:
            case "social":
                entry["auth"] = "Social"
            case "api_key":
                entry = {"auth": "ApiKey", "kiroApiKey": self.access_token}
            case "external_idp":
                entry |= {"auth": "ExternalIdp", "clientId": spec["client_id"]}
                entry |= {"scopes": spec["scopes"], "issuerUrl": self.issuer_url}
                entry["tokenEndpoint"] = f"{self.issuer_url}/token"
            case _:
                entry |= {"clientId": spec["client_id"], "clientSecret": spec["client_secret"]}
        return entry | more


class Counters(msgspec.Struct, frozen=True):
    """What the emulator counts."""

    requests: int
    in_flight: int
    max_in_flight: int
    now: float
    # Over all accounts: refreshes, the most of one account at a time, uses of dead tokens.
    refreshes: int
    max_parallel_refreshes: int
    dead_token_uses: int


class RunningEmulator:
    """A running emulator and its control API; lives as long as its process."""

    def __init__(self, url: str, *, ca_file: str = "") -> None:
        self.url = url
        self.ca_file = ca_file

    def reset(self) -> None:
        """Return to the state of the start, breaking off what runs."""
        self._ask("POST", "reset")

    def add_account(self, name: str, **spec: object) -> EmulatedAccount:
        """Return the account that the members of its definition make."""
        return self._ask("POST", "accounts", {"name": name, **spec}, EmulatedAccount)

    def change_account(self, name: str, **changes: object) -> EmulatedAccount:
        """Return the account after some members of its definition have changed."""
        return self._ask("PATCH", f"accounts/{name}", changes, EmulatedAccount)

    def account(self, name: str) -> EmulatedAccount:
        """Return the account as it is now."""
        return self._ask("GET", f"accounts/{name}", type_=EmulatedAccount)

    def queue(self, **behaviour: object) -> None:
        """Queue one behaviour: the next call that it is for gets it."""
        self._ask("POST", "behaviours", behaviour)

    def queue_stream(self, *steps: dict[str, object], **behaviour: object) -> None:
        """Queue a stream of these steps for the next generation call."""
        self._ask("POST", "behaviours", {"steps": list(steps), **behaviour})

    def clear_queue(self) -> None:
        """Forget the queued behaviours."""
        self._ask("DELETE", "behaviours")

    def records(self, **filters: str) -> list[Record]:
        """Return what arrived, oldest first; filters: operation, account, model."""
        query = f"?{urlencode(filters)}" if filters else ""
        return self._ask("GET", f"records{query}", type_=list[Record])

    def generations(self, **filters: str) -> list[Record]:
        """Return the generation calls that arrived, oldest first."""
        return self.records(operation="generate", **filters)

    def refreshes(self, **filters: str) -> list[Record]:
        """Return the token refreshes that arrived, oldest first."""
        return self.records(operation="refresh", **filters)

    def forget_records(self) -> None:
        """Forget the records and the violations."""
        self._ask("DELETE", "records")

    def violations(self) -> list[Violation]:
        """Return what a good client would never have done."""
        return self._ask("GET", "violations", type_=list[Violation])

    def counters(self) -> Counters:
        """Return what the emulator counts."""
        return self._ask("GET", "counters", type_=Counters)

    def advance_clock(self, by_s: float) -> None:
        """Move the emulator's time."""
        self._ask("POST", "clock", {"advance_s": by_s})

    def open_gate(self, name: str) -> None:
        """Let the streams go on that wait at the gate of that name."""
        self._ask("POST", "gates", {"name": name})

    def use_profile(self, profile: str) -> None:
        """Demand what that profile demands."""
        self._ask("POST", "rules", {"profile": profile})

    @property
    def host_url(self) -> str:
        """The address of which a host's name is a part: virtual hosts instead of all in one."""
        return f"{self.url}/{{host}}"

    def set_host(self, name: str, **settings: object) -> None:
        """Have one host (by "": calls that name none) refuse forms, or limit its rate."""
        self._ask("POST", "hosts", {"name": name, **settings})

    def set_sign_in(self, **settings: object) -> None:
        """Choose how the sign-in services behave, and who is at the browser."""
        self._ask("POST", "signin", settings)

    def sign_in(self, account: str, **did: object) -> str:
        """Answer a page (`url`) or a device (`user_code`); return where the browser goes."""
        answer = self._ask("POST", "consents", {"account": account, **did}, dict[str, str])
        return str(answer["location"])

    def switch_rules(self, rules: dict[str, bool]) -> None:
        """Turn single checks on or off."""
        self._ask("POST", "rules", {"rules": rules})

    def info(self) -> dict[str, Any]:
        """Return what the emulator can do: names of errors and of scenarios."""
        return self._ask("GET", "", type_=dict[str, Any])

    def wait_for(self, holds: Callable[[], bool], *, what: str, within_s: float = WAIT_S) -> None:
        """Return as soon as `holds` does; fail the test when it does not in time."""
        until = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > until:
                pytest.fail(f"not seen within {within_s} s: {what}")
            time.sleep(0.005)

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection to the emulator."""
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=START_S)
        context = ssl.create_default_context(cafile=self.ca_file or None)
        return http.client.HTTPSConnection(host, port, timeout=START_S, context=context)

    def _ask(self, method: str, path: str, body: object = None, type_: Any = None) -> Any:
        connection = self.connect()
        try:
            data = None if body is None else json.encode(body)
            connection.request(method, f"/_emulator/{path}", body=data)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"{method} {path}: {response.status} {answer.decode()}")
        return json.decode(answer, type_) if type_ is not None else None


@contextmanager
def run_emulator(*options: str) -> Iterator[RunningEmulator]:
    """Run an emulator in a process of its own; by default without any account."""
    command = [sys.executable, "-m", "kiro2api.emulator", "--accounts", "[]", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"the emulator ended with {process.wait()}"
            started = json.decode(line, dict[str, str])
            yield RunningEmulator(started["url"], ca_file=started["ca_file"])
        finally:
            process.terminate()
            process.wait(timeout=START_S)


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[RunningEmulator]:
    """The emulator of this test worker."""
    with run_emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_process: RunningEmulator) -> RunningEmulator:
    """An emulator without accounts, behaviours or records."""
    emulator_process.reset()
    return emulator_process


@pytest.fixture(scope="session")
def tls_emulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """The emulator of this test worker that speaks TLS, with HTTP/2 by ALPN."""
    ca_file = tmp_path_factory.mktemp("emulator") / "ca.pem"
    with run_emulator("--tls", "self-signed", "--ca-file", str(ca_file)) as emulator:
        yield emulator


@pytest.fixture
def tls_emulator(tls_emulator_process: RunningEmulator) -> RunningEmulator:
    """A TLS emulator without accounts, behaviours or records."""
    tls_emulator_process.reset()
    return tls_emulator_process
