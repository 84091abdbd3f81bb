"""One outbound HTTP call and its whole answer, as plain records."""

from collections.abc import Mapping

import msgspec


class HttpCall(msgspec.Struct, frozen=True):
    """An outbound call, complete: nothing is added to it but what the transport needs."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


class HttpAnswer(msgspec.Struct, frozen=True):
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
