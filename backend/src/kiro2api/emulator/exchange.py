"""One HTTP request and the means to answer it, whatever the version of HTTP."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One whole request; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    version: str
    # Which connection of the listener brought it: equal numbers mean that it was used again.
    connection: int
    # The virtual host that it is for; "" when its address names none.
    host: str = ""


class Exchange(Protocol):
    """The answer to one request, written piece by piece; lives until the answer has ended.

    Every method does nothing once the client is gone.
    """

    request: Request

    @property
    def is_gone(self) -> bool:
        """Tell whether the client left before the answer had ended."""
        ...

    @property
    def sent_bytes(self) -> int:
        """How many bytes of the body were handed to the operating system."""
        ...

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have `call` run when the client leaves before the answer has ended."""
        ...

    def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        """Send the head; without a `length` the body ends when `end` is called."""
        ...

    def write(self, data: bytes) -> None:
        """Send a piece of the body in one write of its own."""
        ...

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written."""
        ...

    def end(self) -> None:
        """End the answer as HTTP wants it."""
        ...

    def close(self) -> None:
        """Close the connection now, in good order for TCP but not for HTTP."""
        ...

    def reset(self) -> None:
        """Break the connection (over HTTP/2: the stream) off."""
        ...


def reply(exchange: Exchange, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Send a whole answer at once."""
    exchange.begin(status, headers, length=len(body))
    if body:
        exchange.write(body)
    exchange.end()
