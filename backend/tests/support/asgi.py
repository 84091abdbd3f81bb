"""Calls of the data plane without a socket: one request in, its answer out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kiro2api.gateway.attempt import Gateway, Limits
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.protocol.wire import json
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.server.app import AppOptions, DataPlane
from kiro2api.server.exchange import Exchange
from kiro2api.server.keys import ClientKey, ClientKeys
from kiro2api.server.streams import StreamLimits
from tests.support.fakes import (
    FakeChance,
    FakeClock,
    FakeStore,
    FakeTransfer,
    FakeUpstream,
    stored_account,
    text_reply,
)

KEY, ADMIN_KEY = "123456", "of-the-operator"
REQUEST_ID = "req_1"


class FakeConnection:
    """A client's connection, which a test can cut or clog."""

    def __init__(self) -> None:
        self.gone = False
        self.write_paused = False
        self.aborted = False
        self._callback: Callable[[], object] | None = None

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        self._callback = callback

    def hold_head(self) -> None:
        """Do nothing: what is sent here is never put together into writes."""

    @property
    def is_watched(self) -> bool:
        return self._callback is not None

    def abort(self) -> None:
        self.aborted = True

    def leave(self) -> None:
        self.gone = True
        if self._callback is not None:
            self._callback()


class Caller:
    """One request and what was sent in answer to it."""

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        *body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.connection = FakeConnection()
        self.sent: list[Mapping[str, Any]] = []
        self.leaves = False
        self._pieces = list(body) or [b""]
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(n.encode(), v.encode()) for n, v in (headers or {}).items()],
            "extensions": {"kiro2api": self.connection},
        }

    async def receive(self) -> dict[str, Any]:
        if self.leaves:
            return {"type": "http.disconnect"}
        piece = self._pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def exchange(self) -> Exchange:
        return Exchange(self.scope, self.receive, self.send, REQUEST_ID)

    @property
    def unread(self) -> int:
        """How many pieces of the body nobody has asked for."""
        return len(self._pieces)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def json(self) -> Any:
        return json.decode(self.body)

    @property
    def has_ended(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


class Plane:
    """A data plane on stand-ins; `answer` is what the upstream says to each call."""

    def __init__(
        self,
        answer: Callable[[HttpCall], FakeTransfer | Exception] = lambda call: FakeTransfer(
            200, text_reply("Hi")
        ),
        *,
        accounts: Sequence[Any] = (stored_account("a"),),
        max_body_bytes: int = 10_000,
        max_streams: int = 10,
    ) -> None:
        self.clock = FakeClock()
        self.upstream = FakeUpstream(answer)
        self.roster = Roster(
            make_entry(row, endpoints=Endpoints(), wall_to_monotonic_s=0.0) for row in accounts
        )
        store = FakeStore(*accounts)
        renewal = Renewal(
            upstream=self.upstream,
            store=store,
            roster=self.roster,
            tasks=TaskOwner(lambda error: None),
            clock=self.clock,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
            holder="this process",
        )
        control = ControlPlane(
            upstream=self.upstream,
            renewal=renewal,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
        )
        self.gateway = Gateway(
            roster=self.roster,
            renewal=renewal,
            profiles=Profiles(control=control, store=store, clock=self.clock),
            upstream=self.upstream,
            models=ModelMap(),
            clock=self.clock,
            chance=FakeChance(),
            limits=Limits(),
            user_agent="kiro2api/test",
        )
        self.lines: list[Mapping[str, object]] = []
        self.errors: list[tuple[BaseException, str]] = []
        self.app = DataPlane(
            self.gateway,
            keys("default", KEY),
            keys("admin", ADMIN_KEY),
            options=AppOptions(
                version="1.2.3",
                max_body_bytes=max_body_bytes,
                max_streams=max_streams,
                stream_limits=StreamLimits(),
            ),
            new_id=lambda: "1",
            log_request=self.lines.append,
            log_error=lambda error, where: self.errors.append((error, where)),
        )

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = KEY, **headers: str
    ) -> Caller:
        """Return the answer to one call."""
        caller = ask(method, path, body, key=key, **headers)
        asyncio.run(self.serve(caller))
        return caller

    async def serve(self, caller: Caller) -> None:
        await self.app(caller.scope, caller.receive, caller.send)


def ask(method: str, path: str, body: Any = None, *, key: str = KEY, **headers: str) -> Caller:
    """Return a request; names of headers are spelled with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        named = {"authorization": f"Bearer {key}"} | named
    data = body if isinstance(body, bytes) else b"" if body is None else json.encode(body)
    return Caller(method, path, data, headers=named)


def keys(holder: str, key: str) -> ClientKeys:
    return ClientKeys(
        lambda shown: [shown.encode()], [ClientKey(holder, key.encode())], wall=lambda: 0.0
    )
