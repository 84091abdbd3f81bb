"""Two small parts of a connection, made lighter: thousands of streams may be open and silent."""

import asyncio
from typing import Literal

from uvicorn.protocols.http.flow_control import FlowControl


class EdgeFlow(FlowControl):
    """uvicorn's flow control without its event: memory counts when thousands of streams are open."""

    __slots__ = ("_drained", "_transport", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._drained: asyncio.Future[None] | None = None
        self.read_paused = False
        self.write_paused = False

    async def drain(self) -> None:
        """Return when the client has taken enough of what waits for it."""
        while self.write_paused:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            # Shielded: one waiter's cancellation is not the others'.
            await asyncio.shield(self._drained)

    def pause_writing(self) -> None:
        """Make writers wait."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Let writers go on."""
        self.write_paused = False
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.set_result(None)


class EdgeEvent(asyncio.Event):
    """The part of an event that uvicorn uses for a request's body: one waiter, little memory."""

    __slots__ = ("_is_set", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Wake the app."""
        self._is_set = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """Make the next wait wait."""
        self._is_set = False

    async def wait(self) -> Literal[True]:
        """Return when the event is set."""
        while not self._is_set:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return True
