"""Does a stream reach clients as it is made, or does a front proxy hold it back?"""

from collections.abc import Callable

import msgspec

from kiro2api.doctor.finding import Finding, fault, good, note
from kiro2api.errors import TransferError
from kiro2api.gateway.ports import Upstream
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import encode

CHECK = "front proxy"
_FIRST_BYTE_S = 100.0
# A shorter answer tells nothing: it may well have been made in one moment.
_TELLING_S = 0.8
# Of the whole time, the part in which pieces came.
_SPREAD = 0.2
# What comes so close together has come at once.
_MOMENT_S = 0.02
_MIN_EVENTS = 8
_EVENTS_PER_MOMENT = 8
_CURE = (
    "turn buffering off for this address: nginx `proxy_buffering off`, Caddy "
    "`flush_interval -1`; deploy/ has both"
)


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer arrived: times in seconds after it was asked for."""

    status: int
    content_type: str
    encoding: str
    first_s: float
    last_s: float
    moments: int
    events: int

    @property
    def telling(self) -> bool:
        """Whether the answer was long enough to be judged."""
        return self.last_s >= _TELLING_S and self.events >= _MIN_EVENTS

    @property
    def flows(self) -> bool:
        """Whether the events came one after the other, as they were made."""
        spread_s = self.last_s - self.first_s
        in_lumps = self.events > self.moments * _EVENTS_PER_MOMENT
        return spread_s >= _SPREAD * self.last_s and not in_lumps


def stream_call(url: str, key: str, model: str) -> HttpCall:
    """Return a request whose answer takes long enough to see how it travels."""
    question = "Count from one to sixty in English words, one per line, nothing else."
    body = {
        "model": model,
        "max_tokens": 1000,
        "stream": True,
        "messages": [{"role": "user", "content": question}],
    }
    headers = (
        ("x-api-key", key),
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        # As browsers and SDKs say: a proxy that compresses then holds the stream back.
        ("accept-encoding", "gzip"),
    )
    return HttpCall("POST", f"{url.rstrip('/')}/v1/messages", headers, encode(body))


async def watch(upstream: Upstream, call: HttpCall, monotonic: Callable[[], float]) -> Arrivals:
    """Return how the answer to `call` arrives.

    Raises:
        TransferError: it did not, or not whole.
    """
    start = monotonic()
    transfer = await upstream.open(call, first_byte_s=_FIRST_BYTE_S)
    transfer.idle_limit_s = _FIRST_BYTE_S
    times: list[float] = []
    moments = events = 0
    try:
        while data := await transfer.read():
            now = monotonic() - start
            moments += not times or now - times[-1] > _MOMENT_S
            times.append(now)
            events += data.count(b"data:")
    finally:
        transfer.cancel()
    return Arrivals(
        status=transfer.status,
        content_type=transfer.headers.get("content-type", ""),
        encoding=transfer.headers.get("content-encoding", ""),
        first_s=times[0] if times else 0.0,
        last_s=times[-1] if times else 0.0,
        moments=moments,
        events=events,
    )


async def check_stream(
    url: str,
    local: str,
    upstream: Upstream,
    *,
    key: str,
    model: str,
    monotonic: Callable[[], float],
) -> Finding:
    """Return how a stream passes the public address `url`.

    `local` is the URL of the running gateway itself ("" if none runs here): what does not flow
    there already is no fault of the proxy.
    """
    if not key:
        return note(
            CHECK,
            f"{url} was not tried",
            why="there is no client key to show",
            cure="set KIRO_CLIENT_TOKEN, or give the key by --key-file (- for standard input)",
        )
    try:
        seen = await watch(upstream, stream_call(url, key, model), monotonic)
        refused = judge_answer(url, seen)
        if refused is not None or not seen.telling or seen.flows or not local:
            return refused or judge_flow(url, seen)
        beside = await watch(upstream, stream_call(local, key, model), monotonic)
    except TransferError as error:
        return fault(
            CHECK,
            error.message,
            why="clients at this address get no answer",
            cure="look at the front proxy: its address, its certificate, its limits of time",
        )
    return judge_flow(url, seen, beside)


def judge_answer(url: str, seen: Arrivals) -> Finding | None:
    """Return why the answer is no stream that could be judged, None when it is one."""
    if seen.status in (401, 403):
        what, cure = f"{url} refuses the client key ({seen.status})", "show a key that it takes"
    elif seen.status in (502, 504) and "json" not in seen.content_type:
        what, cure = (
            f"{url} answers with {seen.status}, not the gateway",
            "point the front proxy at HOST and PORT of the gateway, and start that",
        )
    elif seen.status != 200:
        what, cure = (
            f"{url} answers with {seen.status}",
            "look at the log of the gateway; is nothing there, at that of the front proxy",
        )
    elif not seen.content_type.startswith("text/event-stream"):
        what, cure = (
            f"{url} answers with {seen.content_type or 'nothing'}, which is no stream",
            "the address leads to something else than the gateway",
        )
    elif seen.encoding:
        what, cure = (
            f"{url} compresses streams ({seen.encoding})",
            "leave text/event-stream out of what the front proxy compresses",
        )
    else:
        return None
    return fault(CHECK, what, why="clients at this address do not get their streams", cure=cure)


def judge_flow(url: str, seen: Arrivals, beside: Arrivals | None = None) -> Finding:
    """Return whether the events came as they were made; `beside` is the same without the proxy."""
    how = f"{seen.events} events in {seen.moments} moments from {seen.first_s:.1f} to {seen.last_s:.1f} s"
    if not seen.telling:
        return note(
            CHECK,
            f"{url}: {how}",
            why="the answer was too short to tell whether it was held back",
            cure="try again, or with another --model",
        )
    if seen.flows:
        return good(CHECK, f"{url}: {how}, as they were made")
    if beside is not None and beside.telling and not beside.flows:
        return note(
            CHECK,
            f"{url}: {how}",
            why="it was so without the proxy, too: the upstream answered in one go",
            cure="try again, or with another --model",
        )
    return fault(
        CHECK,
        f"{url} holds streams back: {how}",
        why="clients see nothing for long, then all at once, and may give up before",
        cure=_CURE,
    )
