"""The data plane: one ASGI application that every client's request enters."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from kiro2api.errors import BusyError, Kiro2apiError, RequestError
from kiro2api.gateway.attempt import Gateway
from kiro2api.gateway.ledger import RequestRecord
from kiro2api.gateway.ports import Clock
from kiro2api.pool.group import DEFAULT_GROUP
from kiro2api.protocol.anthropic.parse import parse_count
from kiro2api.protocol.anthropic.render import render_count
from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.dialect import ANTHROPIC, OPENAI_CHAT, Dialect
from kiro2api.protocol.tokens import estimate
from kiro2api.protocol.wire.json import encode
from kiro2api.server.accounts import send_accounts
from kiro2api.server.chat import BUSY_RETRY_S, ChatEndpoint
from kiro2api.server.errors import UNAUTHORIZED, send_error
from kiro2api.server.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kiro2api.server.health import send_health, send_readiness
from kiro2api.server.keys import ClientKey, ClientKeys
from kiro2api.server.models import send_model, send_models
from kiro2api.server.routes import METHODS, OPEN, Endpoint, Route, looks_anthropic, parse_path
from kiro2api.server.streams import OpenStreams, StreamLimits

# The endpoints that one dialect has to itself.
_DIALECTS = {
    Endpoint.MESSAGES: ANTHROPIC,
    Endpoint.COUNT_TOKENS: ANTHROPIC,
    Endpoint.CHAT_COMPLETIONS: OPENAI_CHAT,
}


class AppOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the data plane."""

    version: str
    max_body_bytes: int
    max_streams: int
    stream_limits: StreamLimits


class DataPlane:
    """The ASGI application; one for the whole program."""

    def __init__(
        self,
        gateway: Gateway,
        clients: ClientKeys,
        admins: ClientKeys,
        *,
        options: AppOptions,
        new_id: Callable[[], str],
        log_request: Callable[[Mapping[str, object]], None],
        log_error: Callable[[BaseException, str], None],
    ) -> None:
        self.gateway = gateway
        self.draining = False
        self.in_flight = 0
        self.streams = OpenStreams(options.stream_limits, lambda error: log_error(error, "sweep"))
        self._clock: Clock = gateway.clock
        self._clients = clients
        self._admins = admins
        self._options = options
        self._new_id = new_id
        self._log_request = log_request
        self._log_error = log_error
        self._chat = ChatEndpoint(
            gateway, self.streams, self._clock, new_id, max_body_bytes=options.max_body_bytes
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what goes wrong is answered, logged and never raised."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, f"req_{self._new_id()}")
        record = RequestRecord(exchange.request_id, started_s=self._clock.monotonic())
        route = parse_path(exchange.path)
        dialect = self._dialect(route, exchange)
        try:
            await self._guarded(exchange, route, dialect, record)
        except (ClientGoneError, asyncio.CancelledError) as error:
            record.is_partial = True
            # A client that leaves ends its own request; anybody else's cancel must go on.
            if isinstance(error, asyncio.CancelledError) and not self._is_gone(exchange):
                record.failed("stopping")
                raise
            record.failed("client_gone")
        finally:
            self._note(exchange, route, record)

    def stop_running(self) -> None:
        """End every chat request that still runs with an error that says so."""
        self._chat.stop_running()

    async def _guarded(
        self, exchange: Exchange, route: Route | None, dialect: Dialect, record: RequestRecord
    ) -> None:
        try:
            await self._serve(exchange, route, dialect, record)
        except ClientGoneError:
            raise
        except Kiro2apiError as error:
            await send_error(exchange, dialect, error, record)
        except Exception as error:  # noqa: BLE001 - the outer wall: every bug ends here, logged
            self._log_error(error, exchange.request_id)
            await send_error(exchange, dialect, error, record)

    async def _serve(
        self, exchange: Exchange, route: Route | None, dialect: Dialect, record: RequestRecord
    ) -> None:
        if route is not None and route.endpoint in OPEN:
            await self._serve_open(exchange, route.endpoint)
            return
        holder = self._holder(exchange, route)
        if holder is None:
            await send_error(exchange, dialect, UNAUTHORIZED, record)
            return
        record.key = holder.id
        record.dialect = dialect.name
        if route is None:
            raise RequestError(
                f"There is nothing at {exchange.path}. The README lists the endpoints.",
                status=404,
                code="unknown_path",
            )
        if exchange.method not in METHODS[route.endpoint]:
            await self._refuse_method(exchange, dialect, route, record)
            return
        record.group = route.group or DEFAULT_GROUP
        if route.endpoint is not Endpoint.ACCOUNTS and not holder.opens_group(record.group):
            raise RequestError(
                f"This client key does not open group {record.group!r}.",
                status=403,
                code="group_not_allowed",
            )
        if route.group and route.group not in self.gateway.roster.groups():
            raise RequestError(
                f"There is no group {route.group!r}. Groups come from the `group` member of the "
                "accounts in KIRO_AUTH_TOKEN.",
                status=404,
                code="unknown_group",
            )
        await self._serve_api(exchange, route, dialect, record, holder)

    async def _serve_open(self, exchange: Exchange, endpoint: Endpoint) -> None:
        if exchange.method not in METHODS[endpoint]:
            await exchange.answer(405, b"", ((b"allow", b"GET, HEAD"),))
        elif endpoint is Endpoint.READYZ:
            await send_readiness(exchange, self.gateway.roster, self._clock, draining=self.draining)
        elif endpoint in (Endpoint.HEALTH, Endpoint.LIVEZ):
            await send_health(exchange, self._options.version)
        else:
            name = {"name": "kiro2api", "version": self._options.version}
            await exchange.answer(200, encode(name))

    async def _serve_api(
        self,
        exchange: Exchange,
        route: Route,
        dialect: Dialect,
        record: RequestRecord,
        holder: ClientKey,
    ) -> None:
        match route.endpoint:
            case Endpoint.MESSAGES | Endpoint.CHAT_COMPLETIONS:
                await self._serve_chat(exchange, dialect, record, holder)
            case Endpoint.COUNT_TOKENS:
                body = await exchange.body(self._options.max_body_bytes)
                request = parse_count(body, exchange.headers)
                await exchange.answer(200, render_count(estimate(request)))
            case Endpoint.MODELS:
                await send_models(exchange, self.gateway, record.group, holder)
            case Endpoint.MODEL:
                await send_model(exchange, self.gateway, record.group, holder, route.model)
            case _:
                await send_accounts(exchange, self.gateway.roster, self._clock, holder)

    async def _serve_chat(
        self, exchange: Exchange, dialect: Dialect, record: RequestRecord, holder: ClientKey
    ) -> None:
        if self.draining or self.in_flight >= self._options.max_streams:
            record.failed("stopping" if self.draining else "busy")
            why = "is stopping" if self.draining else "serves as many requests as it may"
            raise BusyError(f"The gateway {why}; retry.", retry_after_s=BUSY_RETRY_S)
        self.in_flight += 1
        try:
            await self._chat.serve(exchange, dialect, record.group, record, holder)
        finally:
            self.in_flight -= 1

    async def _refuse_method(
        self, exchange: Exchange, dialect: Dialect, route: Route, record: RequestRecord
    ) -> None:
        allowed = ", ".join(METHODS[route.endpoint])
        answer = ErrorAnswer(
            405, f"{exchange.method} is not possible here; use {allowed}.", code="wrong_method"
        )
        allow = (b"allow", allowed.encode())
        await send_error(exchange, dialect, answer, record, headers=(allow,))

    def _holder(self, exchange: Exchange, route: Route | None) -> ClientKey | None:
        holder = self._clients.holder(exchange.headers)
        if holder is None and route is not None and route.endpoint is Endpoint.ACCOUNTS:
            return self._admins.holder(exchange.headers)
        return holder

    def _dialect(self, route: Route | None, exchange: Exchange) -> Dialect:
        dialect = None if route is None else _DIALECTS.get(route.endpoint)
        if dialect is not None:
            return dialect
        anthropic = looks_anthropic(exchange.path, exchange.headers)
        return ANTHROPIC if anthropic else OPENAI_CHAT

    @staticmethod
    def _is_gone(exchange: Exchange) -> bool:
        return exchange.connection is not None and exchange.connection.gone

    def _note(self, exchange: Exchange, route: Route | None, record: RequestRecord) -> None:
        if route is not None and route.endpoint in OPEN:
            return
        record.status = exchange.status
        record.outcome = record.outcome or "complete"
        record.bytes_in = exchange.bytes_in
        record.bytes_out = exchange.bytes_out
        self._log_request(record.fields(self._clock.monotonic()))
