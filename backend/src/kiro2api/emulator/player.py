"""Sending a compiled script: writes, silences, gates and ends, one stream at a time or all paced."""

import asyncio
import heapq
from collections.abc import Sequence

from kiro2api.emulator.exchange import Exchange
from kiro2api.emulator.generation import Op, Write
from kiro2api.emulator.steps import End, Gate, How, Wait
from kiro2api.emulator.world import World

# Streams that are due within this time are served by one wake-up.
_TICK_S = 0.001
_GOLDEN = 0.618034


async def play(ops: Sequence[Op], exchange: Exchange, world: World) -> None:
    """Send `ops`; the head is sent already. Returns when the answer has ended."""
    for op in ops:
        if exchange.is_gone:
            return
        match op:
            case Write(data=data):
                exchange.write(data)
                # The loop joins what is written in one turn of it: each write gets its own.
                await asyncio.sleep(0)
                await exchange.drain()
            case Wait(s=s):
                await asyncio.sleep(s)
            case Gate(name=name):
                await world.gate(name).wait()
            case End(how=how):
                await finish(how, exchange)


async def finish(how: How, exchange: Exchange) -> None:
    """End the answer in one of the ways; a stall lasts until the client leaves."""
    match how:
        case How.CLEAN:
            exchange.end()
        case How.CLOSE:
            exchange.close()
        case How.RESET:
            exchange.reset()
        case How.STALL:
            gone = asyncio.Event()
            exchange.on_gone(gone.set)
            await gone.wait()


class PacedStream:
    """One stream of equal frames; lives until its last frame or until its client leaves."""

    def __init__(
        self, exchange: Exchange, frame: bytes, last: bytes, *, events: int, every_s: float
    ) -> None:
        self.exchange = exchange
        self.frame = frame
        self.last = last
        self.left = events
        self.every_s = every_s
        self.done = asyncio.Event()
        exchange.on_gone(self.done.set)


class Wheel:
    """One timer that serves all paced streams; lives as long as the emulator."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, PacedStream]] = []
        self._added = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    async def run(self, stream: PacedStream) -> None:
        """Send `stream` to its end."""
        if stream.every_s <= 0:
            stream.exchange.write(stream.frame * stream.left + stream.last)
            stream.exchange.end()
            return
        loop = asyncio.get_running_loop()
        # Streams that start together do not beat together: real ones never do.
        phase = self._added * _GOLDEN % 1.0
        self._push(loop.time() + stream.every_s * (1.0 + phase), stream)
        self._arm(loop)
        await stream.done.wait()

    def _push(self, due_at: float, stream: PacedStream) -> None:
        self._added += 1
        heapq.heappush(self._due, (due_at, self._added, stream))

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._due:
            return
        due_at = self._due[0][0]
        if self._timer is not None:
            if self._timer_at <= due_at:
                return
            self._timer.cancel()
        self._timer_at = due_at
        self._timer = loop.call_at(due_at, self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        horizon = loop.time() + _TICK_S
        while self._due and self._due[0][0] <= horizon:
            due_at, _, stream = heapq.heappop(self._due)
            if stream.exchange.is_gone:
                continue
            if stream.left <= 0:
                stream.exchange.write(stream.last)
                stream.exchange.end()
                stream.done.set()
                continue
            stream.left -= 1
            stream.exchange.write(stream.frame)
            self._push(due_at + stream.every_s, stream)
        self._arm(loop)
