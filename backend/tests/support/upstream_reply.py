"""Frames as the upstream sends them, and the replies that a reader makes of them."""

import json

from kiro2api.protocol.chat.events import (
    Finish,
    StreamEvent,
)
from kiro2api.protocol.chat.fold import Reply, fold
from kiro2api.protocol.chat.grammar import Grammar
from kiro2api.protocol.codewhisperer.read import Ending, Flaw, Reader
from kiro2api.protocol.wire.eventstream import Frame, HeaderValue


class Names:
    """Gives every tool the client's name in capitals, and one property its own name."""

    def to_client(self, name: str) -> str:
        return name.upper()

    def input_to_client(self, name: str, text: str) -> str:
        return text.replace("odd_1234", "odd name") if name == "ODD" else text


def frame(kind: str, payload: object) -> Frame:
    headers: dict[str, HeaderValue] = {
        ":message-type": "event",
        ":event-type": kind,
        ":content-type": "application/json",
    }
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Frame(headers, raw)


def text(content: str) -> Frame:
    return frame("assistantResponseEvent", {"content": content})


def thinking(**members: str) -> Frame:
    return frame("reasoningContentEvent", members)


def tool(call_id: str = "t1", name: str = "ls", **members: object) -> Frame:
    return frame("toolUseEvent", {"toolUseId": call_id, "name": name, **members})


def metadata(stop_reason: str | None = "END_TURN", **members: object) -> Frame:
    return frame("metadataEvent", {"stopReason": stop_reason, **members})


def context(percentage: float) -> Frame:
    return frame("contextUsageEvent", {"contextUsagePercentage": percentage})


def metering(usage: float) -> Frame:
    return frame("meteringEvent", {"unit": "credit", "unitPlural": "credits", "usage": usage})


def exception(name: str, payload: object = None) -> Frame:
    raw = json.dumps(payload or {"message": "told"}).encode()
    return Frame({":message-type": "exception", ":exception-type": name}, raw)


TAIL = (metadata(), context(1.0), metering(0.1))


def reader() -> Reader:
    return Reader(names=Names(), input_tokens=77, window_tokens=200_000)


def run(*frames: Frame) -> tuple[list[StreamEvent], Ending]:
    """Return all events of a reply, checked against the law, and its ending."""
    one = reader()
    events = one.read(frames)
    ending = one.end()
    events += ending.events
    if ending.flaw is not Flaw.EMPTY:
        Grammar().check_all(events)
    return events, ending


def finish_of(*frames: Frame) -> Finish:
    event = run(*frames)[0][-1]
    assert isinstance(event, Finish)
    return event


def reply_of(*frames: Frame) -> Reply:
    reply = fold(run(*frames)[0])
    assert isinstance(reply, Reply)
    return reply
