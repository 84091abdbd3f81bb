"""Outbound HTTP over libcurl: connections kept and shared, one timer for all limits."""

import asyncio

import pycurl

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall
from kiro2api.upstream.easy import EasyHandles, HandleKind, UpstreamOptions, origin_of
from kiro2api.upstream.failure import transfer_error
from kiro2api.upstream.loop import CurlLoop
from kiro2api.upstream.transfer import CurlTransfer

_SWEEP_S = 0.25
_SETTLE_S = 0.1
_MAX_FETCH_BYTES = 16 * 1024 * 1024
_IDLE_CONNECTIONS = 1024
_STREAMS_PER_CONNECTION = 100


class CurlUpstream:
    """Implements `gateway.ports.Upstream`; one per process, made inside the running loop."""

    def __init__(self, options: UpstreamOptions) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._handles = EasyHandles(options)
        self._curls = CurlLoop(self._on_done)
        self._curls.setopt(pycurl.M_MAXCONNECTS, _IDLE_CONNECTIONS)
        self._curls.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, _STREAMS_PER_CONNECTION)
        self._live: dict[pycurl.Curl, CurlTransfer] = {}
        self._single: set[str] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def open(self, call: HttpCall, *, first_byte_s: float) -> CurlTransfer:
        """Return the transfer of `call` once its status and headers are there.

        Raises:
            TransferError: no headers within `first_byte_s`, or the connection failed.
        """
        transfer = self._start(call, limit_s=first_byte_s)
        try:
            await transfer.headers_arrived()
        except BaseException:
            transfer.cancel()
            raise
        self._learn(transfer)
        transfer.lift_limit()
        return transfer

    async def fetch(self, call: HttpCall, *, total_s: float) -> HttpAnswer:
        """Return the whole answer to `call`.

        Raises:
            TransferError: it did not come within `total_s`, is over 16 MiB, or the connection
                failed.
        """
        transfer = self._start(call, limit_s=total_s)
        try:
            await transfer.headers_arrived()
            self._learn(transfer)
            body = await transfer.read_all(_MAX_FETCH_BYTES + 1)
        finally:
            transfer.cancel()
        if len(body) > _MAX_FETCH_BYTES:
            raise TransferError(f"{transfer.origin}: the answer is over {_MAX_FETCH_BYTES} bytes")
        return HttpAnswer(transfer.status, transfer.headers, body)

    async def close(self) -> None:
        """Break off what is under way and close every connection; fine twice."""
        if self._closed:
            return
        self._closed = True
        for transfer in list(self._live.values()):
            transfer.fail(TransferError(f"{transfer.origin}: the program is ending"))
            self._release(transfer)
        self._handles.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._curls.close()

    def _start(self, call: HttpCall, *, limit_s: float) -> CurlTransfer:
        origin = origin_of(call.url)
        if self._closed:
            raise TransferError(f"{origin}: the program is ending")
        kind = HandleKind(call.method, origin, self._may_share(origin))
        curl = self._handles.take(call, kind)
        transfer = CurlTransfer(
            curl,
            kind,
            limit_s=limit_s,
            max_buffered_bytes=self._options.max_buffered_bytes,
            loop=self._loop,
            on_end=self._on_end,
        )
        curl.setopt(pycurl.PREREQFUNCTION, transfer.on_request)
        curl.setopt(pycurl.HEADERFUNCTION, transfer.on_header)
        curl.setopt(pycurl.WRITEFUNCTION, transfer.on_body)
        self._live[curl] = transfer
        self._curls.add(curl)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        return transfer

    def _on_done(self, curl: pycurl.Curl, code: int, detail: str) -> None:
        transfer = self._live.get(curl)
        if transfer is None:
            return
        if code == 0:
            transfer.finish()
        elif transfer.repelled and transfer.kind.shares and not transfer.ended:
            self._loop.call_later(_SETTLE_S, self._settle, transfer, code, detail)
            return
        else:
            transfer.fail(self._error(transfer, code, detail))
        self._release(transfer)

    def _settle(self, transfer: CurlTransfer, code: int, detail: str) -> None:
        """Send again what the server refused to take; what a reset has hit fails.

        A reset hits all streams of a connection. When others live on after a while, the server has
        refused this one, because there were too many: it goes to another connection.
        """
        curl = transfer.curl
        if curl is None or transfer.ended:
            return
        if any(
            other.connection == transfer.connection and not (other.ended or other.repelled)
            for other in self._live.values()
        ):
            self._curls.remove(curl)
            transfer.begin_again()
            self._curls.add(curl)
        else:
            transfer.fail(self._error(transfer, code, detail))

    def _error(self, transfer: CurlTransfer, code: int, detail: str) -> TransferError:
        limit_s = self._options.connect_timeout_s
        return transfer_error(code, detail, origin=transfer.origin, connect_timeout_s=limit_s)

    def _on_end(self, transfer: CurlTransfer) -> None:
        # On the next turn: nothing may be taken out while libcurl is on the stack.
        self._loop.call_soon(self._release, transfer)

    def _release(self, transfer: CurlTransfer) -> None:
        curl = transfer.curl
        if curl is None:
            return
        transfer.curl = None
        del self._live[curl]
        self._curls.remove(curl)
        self._handles.give_back(curl, transfer.kind)

    def _sweep(self) -> None:
        self._sweeper = None
        if not self._live:
            return
        now = self._loop.time()
        for transfer in list(self._live.values()):
            transfer.check_time(now)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    # Waiting for a connection to be shared makes sense only where it can be: else the connections
    # to a server of HTTP/1.1 would be opened one after the other.

    def _may_share(self, origin: str) -> bool:
        version = self._options.http_version
        if version == "1.1" or origin in self._single:
            return False
        return version == "2" or origin.startswith("https:")

    def _learn(self, transfer: CurlTransfer) -> None:
        if transfer.multiplexed or not self._may_share(transfer.origin):
            return
        self._single.add(transfer.origin)
        for curl, other in self._live.items():
            if other.origin == transfer.origin:
                other.kind = HandleKind(other.kind.method, other.origin, shares=False)
                curl.setopt(pycurl.PIPEWAIT, 0)
