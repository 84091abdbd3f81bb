"""What the strictest host demands of a generation request, as one pure function over the body.

Written from docs/reference/upstream.md alone, apart from the emulator's own checks: two readings
of the same rules find more than one.
"""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

TRIGGERS = {"MANUAL", "DIAGNOSTIC", "INLINE_CHAT"}
TASK_TYPES = {"vibe", "spectask"}
IMAGE_FORMATS = {"png", "jpeg", "gif", "webp"}
DOCUMENT_FORMATS = {"csv", "doc", "docx", "html", "md", "pdf", "txt", "xls", "xlsx"}
NAME = re.compile(r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}\Z")
IDENTITY = re.compile(r"^[A-Za-z0-9_-]{1,64}\Z")
MODEL = re.compile(r"^[a-zA-Z0-9_:.-]{1,1024}\Z")
PROPERTY = re.compile(r"^[A-Za-z0-9_.-]{1,64}\Z")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
ROOT_WORDS = {"anyOf", "oneOf", "allOf", "not", "enum", "const", "$ref"}
SCHEMA_WORDS = {"$ref", "$schema", "$defs", "definitions", "additionalProperties", "const"}
USER_MEMBERS = {"content", "modelId", "origin", "userInputMessageContext", "images", "documents"}
ASSISTANT_MEMBERS = {"content", "toolUses", "reasoningContent"}
MAX_DESCRIPTION = 10_240
MAX_IMAGES = 10
MAX_DOCUMENTS = 5

Json = Any


def violations(body: bytes) -> list[str]:
    """Return one line for each rule that `body` breaks, with the place."""
    return list(_of_envelope(json.loads(body)))


def messages_of(body: bytes) -> list[Json]:
    """Return all messages of `body`, the current one last."""
    state = json.loads(body)["conversationState"]
    return [*state.get("history", []), state["currentMessage"]]


def _of_envelope(envelope: Json) -> Iterator[str]:
    if extra := envelope.keys() - {"conversationState", "profileArn", "agentMode"}:
        yield f"unknown members {extra}"
    state = envelope["conversationState"]
    known = {"conversationId", "currentMessage", "chatTriggerType", "history"}
    if extra := state.keys() - known - {"agentContinuationId", "agentTaskType"}:
        yield f"unknown members {extra}"
    if state.get("chatTriggerType") not in TRIGGERS:
        yield "chatTriggerType"
    if state.get("agentTaskType") not in TASK_TYPES:
        yield "agentTaskType"
    if not 0 < len(state.get("conversationId", "")) <= 128:
        yield "conversationId"
    yield from _of_everything(envelope, "$")
    history = state.get("history", [])
    messages = [*history, state["currentMessage"]]
    for at, message in enumerate(messages):
        wanted = "assistantResponseMessage" if at % 2 else "userInputMessage"
        if list(message) != [wanted]:
            yield f"messages[{at}]: {list(message)} where {wanted} alone is due"
            return
        yield from _of_message(message[wanted], f"messages[{at}]", is_user=not at % 2)
    if len(messages) % 2 == 0:
        yield "the history does not end with the assistant"
    yield from _of_pairs([next(iter(message.values())) for message in messages])
    yield from _of_tools(messages)


def _of_everything(value: Json, path: str) -> Iterator[str]:
    """Nulls, control characters and nameless members are nowhere; empty lists not in our own."""
    if isinstance(value, dict):
        for name, child in value.items():
            if child is None:
                yield f"{path}.{name} is null"
            if not name:
                yield f"{path} has a member without a name"
            if child == [] and ".input" not in path and ".json" not in path:
                yield f"{path}.{name} is empty"
            yield from _of_everything(name, path)
            yield from _of_everything(child, f"{path}.{name}")
    elif isinstance(value, list):
        for at, child in enumerate(value):
            yield from _of_everything(child, f"{path}[{at}]")
    elif isinstance(value, str) and CONTROL.search(value):
        yield f"{path} has control characters"


def _of_message(message: Json, path: str, *, is_user: bool) -> Iterator[str]:
    allowed = USER_MEMBERS if is_user else ASSISTANT_MEMBERS
    if extra := message.keys() - allowed:
        yield f"{path}: unknown members {extra}"
    content = message.get("content")
    if not isinstance(content, str):
        yield f"{path}.content is no string"
        return
    companions = message.get("userInputMessageContext", {}).get("toolResults")
    if not content.strip() and not (companions if is_user else message.get("toolUses")):
        yield f"{path}.content is empty"
    if not is_user:
        yield from _of_reasoning(message.get("reasoningContent"), path)
        return
    if message.get("origin") != "AI_EDITOR" or not MODEL.match(message.get("modelId", "")):
        yield f"{path}: origin or modelId"
    if message.get("userInputMessageContext") == {}:
        yield f"{path}.userInputMessageContext is empty"
    yield from _of_files(message, path)


def _of_reasoning(reasoning: Json, path: str) -> Iterator[str]:
    if reasoning is None:
        return
    if list(reasoning) == ["reasoningText"]:
        if set(reasoning["reasoningText"]) != {"text", "signature"}:
            yield f"{path}.reasoningText lacks a member"
    elif list(reasoning) != ["redactedContent"]:
        yield f"{path}.reasoningContent: {list(reasoning)}"


def _of_files(message: Json, path: str) -> Iterator[str]:
    images, documents = message.get("images", []), message.get("documents", [])
    if len(images) > MAX_IMAGES or len(documents) > MAX_DOCUMENTS:
        yield f"{path}: too many files"
    for image in images:
        content = base64.b64decode(image["source"]["bytes"], validate=True)
        if image["format"] not in IMAGE_FORMATS or image["format"] != _sniffed(content):
            yield f"{path}: an image is not {image['format']}"
        if list(image["source"]) != ["bytes"]:
            yield f"{path}: a source has other members than bytes"
    names = [document["name"] for document in documents]
    if len({name.lower() for name in names}) < len(names):
        yield f"{path}: two documents have one name"
    for document in documents:
        base64.b64decode(document["source"]["bytes"], validate=True)
        if document["format"] not in DOCUMENT_FORMATS:
            yield f"{path}: document format {document['format']}"
        if not re.fullmatch(r"[A-Za-z0-9 ()\[\]-]{1,200}", document["name"]):
            yield f"{path}: document name {document['name']!r}"


def _sniffed(content: bytes) -> str:
    if content.startswith(b"\x89PNG"):
        return "png"
    if content.startswith(b"\xff\xd8"):
        return "jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if content.startswith(b"RIFF") and b"WEBP" in content[:16] else ""


def _of_pairs(messages: list[Json]) -> Iterator[str]:
    """Each call is answered in the very next message, each result answers one just before it."""
    seen: set[str] = set()
    due: list[str] = []
    for at, message in enumerate(messages):
        results = message.get("userInputMessageContext", {}).get("toolResults", [])
        answered = [result["toolUseId"] for result in results]
        if answered != due:
            yield f"messages[{at}]: results {answered} where {due} are due, in this order"
        for result in results:
            yield from _of_result(result, f"messages[{at}]")
        due = []
        for use in message.get("toolUses", []):
            if set(use) != {"toolUseId", "name", "input"} or not isinstance(use["input"], dict):
                yield f"messages[{at}]: tool use {sorted(use)}"
            if use["toolUseId"] in seen:
                yield f"messages[{at}]: the id {use['toolUseId']} comes twice"
            if not IDENTITY.match(use["toolUseId"]):
                yield f"messages[{at}]: the id {use['toolUseId']!r}"
            seen.add(use["toolUseId"])
            due.append(use["toolUseId"])


def _of_result(result: Json, path: str) -> Iterator[str]:
    if set(result) != {"toolUseId", "content", "status"}:
        yield f"{path}: tool result {sorted(result)}"
    if result["status"] not in {"success", "error"}:
        yield f"{path}: status {result['status']}"
    if not result["content"]:
        yield f"{path}: a result without content"
    for block in result["content"]:
        if list(block) != ["text"] or not block["text"].strip():
            yield f"{path}: result block {block}"


def _of_tools(messages: list[Json]) -> Iterator[str]:
    *history, current = messages
    for message in history:
        if "tools" in message.get("userInputMessage", {}).get("userInputMessageContext", {}):
            yield "an older message declares tools"
    context = current["userInputMessage"].get("userInputMessageContext", {})
    names = []
    for tool in context.get("tools", []):
        if list(tool) != ["toolSpecification"]:
            yield f"tool: {sorted(tool)}"
            continue
        specification = tool["toolSpecification"]
        names.append(specification["name"])
        yield from _of_specification(specification)
    if len({name.lower() for name in names}) < len(names):
        yield "two tools have one name"
    used = {
        use["name"]
        for message in history
        for use in message.get("assistantResponseMessage", {}).get("toolUses", [])
    }
    if missing := used - set(names):
        yield f"used and not declared: {sorted(missing)}"


def _of_specification(specification: Json) -> Iterator[str]:
    name = specification["name"]
    if set(specification) != {"name", "description", "inputSchema"}:
        yield f"tool {name}: {sorted(specification)}"
    if not NAME.match(name):
        yield f"tool name {name!r}"
    if not specification["description"].strip():
        yield f"tool {name}: no description"
    if len(specification["description"]) > MAX_DESCRIPTION:
        yield f"tool {name}: the description is too long"
    schema = specification["inputSchema"]["json"]
    if not isinstance(schema, dict) or schema.get("type") != "object":
        yield f"tool {name}: the root is no object"
        return
    if words := ROOT_WORDS & schema.keys():
        yield f"tool {name}: {words} at the root"
    yield from (f"tool {name}: {fault}" for fault in schema_faults(schema, "$"))


def schema_faults(schema: Json, path: str) -> Iterator[str]:
    """Yield one line for each fault in `schema` and the schemas inside it."""
    if not isinstance(schema, dict):
        yield f"{path} is no schema"
        return
    if words := SCHEMA_WORDS & schema.keys():
        yield f"{path} has {words}"
    required = schema.get("required", ["x"])
    if not required or not all(isinstance(n, str) and PROPERTY.match(n) for n in required):
        yield f"{path}.required is {required}"
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        yield f"{path}.properties is no object"
        return
    for name, child in properties.items():
        if not PROPERTY.match(name):
            yield f"{path} has the property {name!r}"
        yield from schema_faults(child, f"{path}.{name}")
    for word in ("items", "not", "contains"):
        if word in schema:
            yield from schema_faults(schema[word], f"{path}.{word}")
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        branches = schema.get(word, ["x"])
        if not branches:
            yield f"{path}.{word} is empty"
        for branch in schema.get(word, []):
            yield from schema_faults(branch, f"{path}.{word}")
