"""One outbound HTTP call and its whole answer, as plain records."""

from collections.abc import Mapping

import msgspec


class HttpCall(msgspec.Struct, frozen=True):
    """An outbound call, complete: nothing is added to it but what the transport needs."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def __repr__(self) -> str:
        """Name the place alone: headers and bodies hold secrets, which must not reach a log."""
        return f"HttpCall({self.method} {self.url.partition('?')[0]})"


class HttpAnswer(msgspec.Struct, frozen=True):
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Name the status alone, as `HttpCall` does: the answer of a login service is a secret."""
        return f"HttpAnswer({self.status})"
