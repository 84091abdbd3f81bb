"""Four ways to ask the gateway (two dialects, streamed or whole), and one view of the answers."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from kiro2api.protocol.wire import json
from tests.support.gateway import CHAT, MESSAGES, Response, RunningGateway
from tests.support.sse import SseEvent


class Way(msgspec.Struct, frozen=True):
    """One way to ask."""

    dialect: Literal["anthropic", "chat"]
    stream: bool

    @property
    def path(self) -> str:
        return MESSAGES if self.dialect == "anthropic" else CHAT

    def ask(self, gateway: RunningGateway, content: object = "Hello", **more: Any) -> Response:
        """Return the answer to `content`; streams are asked for their usage too."""
        if self.stream:
            more["stream"] = True
        if self.dialect == "anthropic":
            return gateway.messages(content, **more)
        if self.stream:
            more = {"stream_options": {"include_usage": True}} | more
        return gateway.chat(content, **more)

    def hear(self, gateway: RunningGateway, content: object = "Hello", **more: Any) -> "Told":
        """Return what the gateway answers, which must be a whole reply."""
        told = read(self.ask(gateway, content, **more))
        assert told.error is None, told
        return told


WAYS = [Way(dialect, stream) for dialect in ("anthropic", "chat") for stream in (False, True)]
STREAMS = [way for way in WAYS if way.stream]
WHOLE = [way for way in WAYS if not way.stream]
# Each dialect and each way once, for claims that do not depend on the pair.
MIXED = [WAYS[1], WAYS[2]]


def name_of(way: Way) -> str:
    """Return how a parametrised test names the way."""
    return f"{way.dialect}-{'stream' if way.stream else 'whole'}"


class ToolCall(msgspec.Struct, frozen=True):
    """A call as the client got it; `spelled` is the text of its input where it came as text."""

    id: str
    name: str
    input: Any
    spelled: str = ""


class Told(msgspec.Struct, kw_only=True):
    """What a client learned from one answer, whatever its dialect."""

    status: int
    # In the order in which the dialect keeps them: Chat has one text and one list of calls.
    blocks: list[tuple[str, str]] = msgspec.field(default_factory=list)
    calls: list[ToolCall] = msgspec.field(default_factory=list)
    stop: str | None = None
    details: Any = None
    start_usage: Any = None
    usage: Any = None
    error: Any = None

    @property
    def text(self) -> str:
        return "\n".join(text for kind, text in self.blocks if kind == "text")

    @property
    def reasoning(self) -> str:
        return "\n".join(text for kind, text in self.blocks if kind == "thinking")

    @property
    def content(self) -> tuple[object, ...]:
        """All that must not depend on whether the answer was streamed."""
        calls = [(call.id, call.name, call.input) for call in self.calls]
        return self.blocks, calls, self.stop, self.details, self.usage


def read(response: Response) -> Told:
    """Return what an answer of either dialect tells, streamed or whole."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        events = response.events
        is_anthropic = any(event.name for event in events)
        return _anthropic_stream(events) if is_anthropic else _chat_stream(events)
    body = response.json
    if response.status != 200:
        return Told(status=response.status, error=body["error"])
    return _anthropic_whole(body) if body.get("type") == "message" else _chat_whole(body)


# ------------------------------------------------------------------------------------ Anthropic


def _anthropic_whole(body: Any) -> Told:
    told = Told(status=200, stop=body["stop_reason"], details=body.get("stop_details"))
    told.usage = body["usage"]
    for block in body["content"]:
        _keep_block(told, block, block.get("input"), "")
    return told


def _keep_block(told: Told, block: Any, input: Any, spelled: str) -> None:
    match block["type"]:
        case "text":
            told.blocks.append(("text", block["text"]))
        case "thinking":
            told.blocks.append(("thinking", block["thinking"]))
            told.blocks.append(("signature", block["signature"]))
        case "redacted_thinking":
            told.blocks.append(("redacted", block["data"]))
        case "tool_use":
            told.blocks.append(("call", block["id"]))
            told.calls.append(ToolCall(block["id"], block["name"], input, spelled))
        case other:
            raise AssertionError(f"no block of the dialect: {other}")


def _anthropic_stream(events: Sequence[SseEvent]) -> Told:
    told = Told(status=200)
    block: dict[str, Any] = {}
    spelled = ""
    for event in events:
        data = event.data
        match data["type"]:
            case "message_start":
                told.start_usage = data["message"]["usage"]
            case "content_block_start":
                block, spelled = dict(data["content_block"]), ""
            case "content_block_delta":
                delta = data["delta"]
                for member in ("text", "thinking", "signature"):
                    if member in delta:
                        block[member] += delta[member]
                spelled += delta.get("partial_json", "")
            case "content_block_stop":
                _keep_block(told, block, json.decode(spelled) if spelled else {}, spelled)
                block = {}
            case "message_delta":
                told.stop = data["delta"]["stop_reason"]
                told.details = data["delta"].get("stop_details")
                told.usage = data["usage"]
            case "error":
                told.error = data["error"]
                if block:
                    # The block that the error cut: what came of it was still said.
                    _keep_block(told, block, None, spelled)
    return told


# ------------------------------------------------------------------------------ Chat Completions


def _chat_whole(body: Any) -> Told:
    [choice] = body["choices"]
    message = choice["message"]
    told = Told(status=200, stop=choice["finish_reason"], usage=body["usage"])
    told.details = message.get("refusal")
    if message.get("reasoning_content"):
        told.blocks.append(("thinking", message["reasoning_content"]))
    if message.get("content"):
        told.blocks.append(("text", message["content"]))
    for call in message.get("tool_calls") or ():
        _keep_call(told, call["id"], call["function"]["name"], call["function"]["arguments"])
    return told


def _keep_call(told: Told, id: str, name: str, spelled: str) -> None:
    told.calls.append(ToolCall(id, name, json.decode(spelled), spelled))


def _chat_stream(events: Sequence[SseEvent]) -> Told:
    told = Told(status=200)
    text = reasoning = refusal = ""
    calls: list[list[str]] = []
    for event in events:
        if event.is_done:
            continue
        if "error" in event.data:
            told.error = event.data["error"]
            continue
        told.usage = event.data.get("usage") or told.usage
        for choice in event.data["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            reasoning += delta.get("reasoning_content") or ""
            refusal += delta.get("refusal") or ""
            for call in delta.get("tool_calls") or ():
                if "id" in call:
                    calls.append([call["id"], call["function"]["name"], ""])
                calls[call["index"]][2] += call["function"].get("arguments", "")
            told.stop = choice.get("finish_reason") or told.stop
    if reasoning:
        told.blocks.append(("thinking", reasoning))
    if text:
        told.blocks.append(("text", text))
    told.details = refusal or None
    for id, name, spelled in calls:
        _keep_call(told, id, name, spelled)
    return told


# -------------------------------------------------------------------------------- what was sent


class Sent(msgspec.Struct, frozen=True):
    """One body that the gateway sent upstream, opened."""

    body: Any

    @property
    def state(self) -> Any:
        return self.body["conversationState"]

    @property
    def messages(self) -> list[Any]:
        """All messages without their wrapper, the current one last."""
        wrapped = [*self.state.get("history", []), self.state["currentMessage"]]
        return [next(iter(message.values())) for message in wrapped]

    @property
    def roles(self) -> list[str]:
        wrapped = [*self.state.get("history", []), self.state["currentMessage"]]
        return ["user" if "userInputMessage" in m else "assistant" for m in wrapped]

    @property
    def contents(self) -> list[str]:
        return [message["content"] for message in self.messages]

    @property
    def tools(self) -> list[Any]:
        context = self.messages[-1].get("userInputMessageContext", {})
        return [tool["toolSpecification"] for tool in context.get("tools", [])]

    def results(self, place: int = -1) -> list[tuple[str, str, str]]:
        """Return id, status and text of the tool results in one message."""
        context = self.messages[place].get("userInputMessageContext", {})
        return [
            (result["toolUseId"], result["status"], "".join(b["text"] for b in result["content"]))
            for result in context.get("toolResults", [])
        ]

    def uses(self, place: int) -> list[tuple[str, str, Any]]:
        """Return id, name and input of the tool calls in one message."""
        uses = self.messages[place].get("toolUses", [])
        return [(use["toolUseId"], use["name"], use["input"]) for use in uses]


def sent(gateway: RunningGateway) -> Sent:
    """Return the newest body that reached the upstream."""
    records = gateway.emulator.generations()
    assert records, "nothing reached the upstream"
    return Sent(records[-1].body)
