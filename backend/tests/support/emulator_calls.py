"""Requests to the emulator as a client of the service would make them, and reading its answers."""

from collections.abc import Sequence
from http.client import HTTPConnection
from io import BytesIO
from typing import Any

import msgspec
import pycurl

from kiro2api.protocol.wire import json
from kiro2api.protocol.wire.eventstream import Frame, FrameDecoder
from tests.support.emulator import EmulatedAccount, RunningEmulator

Json = dict[str, Any]

MODEL = "claude-sonnet-4.5"


class Reply(msgspec.Struct, frozen=True):
    """One whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.decode(self.body)

    @property
    def frames(self) -> list[Frame]:
        """The body as frames; what is left after the last whole one is dropped."""
        return FrameDecoder().feed(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The type and the payload of each event frame."""
        return [(frame.text(":event-type"), json.decode(frame.payload)) for frame in self.frames]

    @property
    def text(self) -> str:
        """The text of the answer."""
        return "".join(
            payload["content"] for kind, payload in self.events if kind == "assistantResponseEvent"
        )

    def of(self, kind: str) -> list[Any]:
        """Return the payloads of the events of one type."""
        return [payload for found, payload in self.events if found == kind]


def user(content: str, results: Sequence[Json] = (), **more: object) -> Json:
    """Return a user message."""
    message: Json = {"content": content, "origin": "AI_EDITOR", **more}
    if results:
        message["userInputMessageContext"] = {"toolResults": list(results)}
    return {"userInputMessage": message}


def assistant(content: str, uses: Sequence[Json] = (), **more: object) -> Json:
    """Return an assistant message."""
    message: Json = {"content": content, **more}
    if uses:
        message["toolUses"] = list(uses)
    return {"assistantResponseMessage": message}


def use(tool_use_id: str, name: str = "ls", **arguments: object) -> Json:
    """Return a tool call of an assistant message."""
    return {"toolUseId": tool_use_id, "name": name, "input": arguments}


def result(tool_use_id: str, said: str = "a.txt") -> Json:
    """Return a tool result of a user message."""
    return {"toolUseId": tool_use_id, "content": [{"text": said}], "status": "success"}


def tool(name: str = "ls", *, description: str = "A tool", schema: object = None) -> Json:
    """Return a tool specification."""
    default = {"type": "object", "properties": {"path": {"type": "string"}}}
    specification = {
        "name": name,
        "description": description,
        "inputSchema": {"json": default if schema is None else schema},
    }
    return {"toolSpecification": specification}


def body(
    current: str | Json = "hello",
    *,
    history: Sequence[Json] = (),
    tools: Sequence[Json] = (),
    model: str = MODEL,
    arn: str | None = None,
    **more: object,
) -> Json:
    """Return the body of a generation call."""
    message = user(current) if isinstance(current, str) else json.decode(json.encode(current))
    inner = message["userInputMessage"]
    inner["modelId"] = model
    if tools:
        inner.setdefault("userInputMessageContext", {})["tools"] = list(tools)
    state: Json = {"chatTriggerType": "MANUAL", "currentMessage": message}
    if history:
        state["history"] = list(history)
    whole: Json = {"conversationState": state, **more}
    if arn is not None:
        whole["profileArn"] = arn
    return whole


def fetch(
    emulator: RunningEmulator,
    method: str,
    path: str,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Return the answer to one request on a connection of its own."""
    connection = emulator.connect()
    try:
        connection.request(method, path, data, headers or {})
        return read(connection)
    finally:
        connection.close()


def read(connection: HTTPConnection) -> Reply:
    """Return the answer that waits on `connection`."""
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def targeted(token: str, target: str) -> dict[str, str]:
    """Return the headers of a call in JSON 1.0: the operation is in a header."""
    return {
        **bearer(token),
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": target,
    }


def bearer(token: str) -> dict[str, str]:
    """Return the headers of a call with that access token."""
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def generate(
    emulator: RunningEmulator, account: EmulatedAccount, call: Json | None = None
) -> Reply:
    """Return the answer to a generation call of `account`, which has an access token."""
    sent = dict(call or body())
    sent.setdefault("profileArn", account.profile_arn)
    headers = bearer(account.access_token)
    return fetch(emulator, "POST", "/generateAssistantResponse", json.encode(sent), headers)


def refresh(emulator: RunningEmulator, token: str) -> Reply:
    """Return the answer to a social refresh with that refresh token."""
    data = json.encode({"refreshToken": token})
    headers = {"content-type": "application/json"}
    return fetch(emulator, "POST", "/refreshToken", data, headers)


def curl(emulator: RunningEmulator, account: EmulatedAccount, version: int) -> bytes:
    """Return the body of the answer to a generation call by libcurl, in that version of HTTP."""
    got = BytesIO()
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, f"{emulator.url}/generateAssistantResponse")
    handle.setopt(pycurl.HTTP_VERSION, version)
    handle.setopt(pycurl.PROXY, "")
    handle.setopt(pycurl.HTTPHEADER, [f"{n}: {v}" for n, v in bearer("tok").items()])
    handle.setopt(pycurl.POSTFIELDS, json.encode(body(arn=account.profile_arn)))
    handle.setopt(pycurl.WRITEDATA, got)
    if emulator.ca_file:
        handle.setopt(pycurl.CAINFO, emulator.ca_file)
    try:
        handle.perform()
    finally:
        handle.close()
    return got.getvalue()
