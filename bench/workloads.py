"""What is asked of the programs: request bodies of three sizes, and what the upstream answers."""

from typing import Any

from kiro2api.protocol.wire.json import encode

KEY = "123456"
# Reaches a model whose window takes the biggest request.
MODEL = "claude-haiku-4-5"
EVENT_TEXT = "token "
# A paced stream: the time between its events, and more events than anybody waits for.
EVERY_MS = 20
ENDLESS = 100_000
ANSWER_TEXT = "Hello! How can I help you today?"

# What one answer and one event look like on the client's side of the gateway.
BARE_EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"token "}}\n\n'
)
BARE_ANSWER = BARE_EVENT * 7

# Behaviours of the emulator, each for all calls until the next one is queued.
ANSWER: dict[str, Any] = {
    "times": 0,
    "steps": [{"do": "text", "text": ANSWER_TEXT}, {"do": "tail"}],
    "cut": {"how": "merged"},
}
IDLE: dict[str, Any] = {
    "times": 0,
    "steps": [
        {"do": "text", "text": ANSWER_TEXT},
        {"do": "gate", "name": "idle"},
        {"do": "tail"},
    ],
}


def paced(events: int, *, every_s: float) -> dict[str, Any]:
    """Return the behaviour of a stream of `events` equal events."""
    stream = {"events": events, "every_s": every_s, "text": EVENT_TEXT}
    return {"times": 0, "paced": stream}


def tiny_body() -> bytes:
    """Return the smallest request that a person would make."""
    messages = [{"role": "user", "content": "Hello"}]
    return encode({"model": MODEL, "max_tokens": 100, "stream": True, "messages": messages})


def agent_body(size_bytes: int) -> bytes:
    """Return a request as a coding agent makes it, of about that size.

    Ten tools, a system prompt, then turn after turn of a tool call and its result.
    """
    body: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 1000,
        "stream": True,
        "system": [{"type": "text", "text": _prose("system", 12_000)}],
        "tools": [_tool(number) for number in range(10)],
        "messages": [{"role": "user", "content": "Find the bug and mend it."}],
    }
    turn = len(encode(_turn(0)))
    for number in range((size_bytes - len(encode(body))) // turn):
        body["messages"] += _turn(number)
    return encode(body)


def _turn(number: int) -> list[dict[str, Any]]:
    call_id = f"toolu_{number:08d}"
    path = {"path": f"src/module_{number}/file.py"}
    call = {"type": "tool_use", "id": call_id, "name": "tool_3", "input": path}
    result = {"type": "tool_result", "tool_use_id": call_id, "content": _prose("file", 4_000)}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": "I look at the file."}, call]},
        {"role": "user", "content": [result]},
    ]


def _tool(number: int) -> dict[str, Any]:
    properties = {
        f"argument_{index}": {"type": "string", "description": _prose("argument", 80)}
        for index in range(6)
    }
    properties["path"] = {"type": "string", "description": "Which file."}
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    return {
        "name": f"tool_{number}",
        "description": _prose("tool", 600),
        "input_schema": schema,
    }


def _prose(about: str, size: int) -> str:
    line = f'    if {about}.is_ready("now") and count > 0:  # a line about the {about}\n'
    return (line * (size // len(line) + 1))[:size]
