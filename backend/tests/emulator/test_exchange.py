"""A whole answer in one call."""

from collections.abc import Mapping

import pytest

from kiro2api.emulator.exchange import Exchange, Request, reply

REQUEST = Request("GET", "/", {}, {}, b"", "1.1", 1)


class Paper:
    """An exchange that notes what is done to it."""

    def __init__(self) -> None:
        self.request = REQUEST
        self.done: list[object] = []
        self.is_gone = False
        self.sent_bytes = 0

    def on_gone(self, call: object) -> None:
        self.done.append(call)

    def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        self.done.append((status, dict(headers), length))

    def write(self, data: bytes) -> None:
        self.done.append(data)

    async def drain(self) -> None:
        self.done.append("drain")

    def end(self) -> None:
        self.done.append("end")

    def close(self) -> None:
        self.done.append("close")

    def reset(self) -> None:
        self.done.append("reset")


@pytest.mark.parametrize(("body", "writes"), [(b"abc", [b"abc"]), (b"", [])])
def test_a_reply_has_a_length_and_an_end(body: bytes, writes: list[bytes]) -> None:
    paper = Paper()
    exchange: Exchange = paper
    reply(exchange, 418, {"a": "b"}, body)

    assert paper.done == [(418, {"a": "b"}, len(body)), *writes, "end"]
