"""Reads a Chat Completions request into the hub's, and refuses what cannot be honoured.

What becomes of each member (all others are ignored, whatever they are):

=====================================  =========================================================
mapped                                 to
-------------------------------------  ---------------------------------------------------------
model, messages, stream                the same in the hub; `max_completion_tokens` wins over
max_tokens, max_completion_tokens      `max_tokens`
temperature, top_p, stop               sampling
tools, functions, tool_choice,         function tools and the wish about them; `allowed_tools`
function_call, parallel_tool_calls     keeps the named tools only
response_format                        response format
reasoning_effort, reasoning.effort     reasoning wish; "none" switches reasoning off
stream_options.include_usage           the usage chunk
x-session-id, x-session-affinity,      conversation key, the first that is there; `user` counts
prompt_cache_key, user                 together with the first words, for one user talks much
assistant tool calls whose input       text of the assistant that says what was called
is no JSON object
results that name no call              text of the user
-------------------------------------  ---------------------------------------------------------
ignored                                because
-------------------------------------  ---------------------------------------------------------
name, cache_control, metadata, store   harmless notes
seed, logit_bias, penalties, user      no channel upstream, and the answer stays right
tools that are not functions           they arrive unasked and their caller could not run them
image detail, service_tier, verbosity  hints
-------------------------------------  ---------------------------------------------------------
refused                                by name, with 400
-------------------------------------  ---------------------------------------------------------
n > 1, logprobs, top_logprobs          the answer would lack what was asked
modalities with audio, input_audio
remote images and files, file ids      nothing is fetched or stored
messages that say nothing
=====================================  =========================================================
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import TypeVar

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import (
    ChatRequest,
    FormatKind,
    ReasoningMode,
    ReasoningWish,
    ResponseFormat,
    Sampling,
    Text,
    Turn,
)
from kiro2api.protocol.openai_chat.tools import read_tool_choice, read_tools
from kiro2api.protocol.openai_chat.turns import read_messages
from kiro2api.protocol.wire import json

T = TypeVar("T", int, float)

_SESSION_HEADERS = ("x-session-id", "x-session-affinity")


def parse(body: bytes, headers: Mapping[str, str]) -> ChatRequest:
    """Return what `body` asks; header names are in lower case.

    Raises:
        RequestError: the body is no request, or asks for what cannot be given.
    """
    asked = json.decode(body)
    if not isinstance(asked, dict):
        raise RequestError("The body is a JSON object.")
    _refuse_what_cannot_be_given(asked)
    model, messages = asked.get("model"), asked.get("messages")
    if not isinstance(model, str) or not model:
        raise RequestError("Which model? `model` is missing or no string.", path="model")
    if not isinstance(messages, list) or not messages:
        raise RequestError("`messages` is a list with at least one message.", path="messages")
    conversation = read_messages(messages)
    return ChatRequest(
        model=model,
        system=conversation.system,
        turns=conversation.turns,
        tools=read_tools(asked),
        tool_choice=read_tool_choice(asked),
        sampling=_read_sampling(asked),
        reasoning=_read_reasoning(asked),
        response_format=_read_response_format(asked.get("response_format")),
        conversation_key=_conversation_key(asked, headers, conversation.turns),
        stream=asked.get("stream") is True,
        include_usage=_member(asked.get("stream_options"), "include_usage") is True,
    )


def _refuse_what_cannot_be_given(asked: Mapping[str, object]) -> None:
    if asked.get("n") not in (None, 1):
        raise RequestError("`n` can only be 1: one request gives one choice.", path="n")
    if asked.get("logprobs") not in (None, False):
        raise RequestError("`logprobs` is not supported by the upstream.", path="logprobs")
    if asked.get("top_logprobs") not in (None, 0):
        raise RequestError("`top_logprobs` is not supported by the upstream.", path="top_logprobs")
    modalities = asked.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise RequestError("`modalities` can only be text.", path="modalities")


def _read_sampling(asked: Mapping[str, object]) -> Sampling:
    member = "max_tokens" if asked.get("max_completion_tokens") is None else "max_completion_tokens"
    max_tokens = _number(asked, member, int)
    if max_tokens is not None and max_tokens < 1:
        raise RequestError(f"`{member}` is at least 1.", path=member)
    stop = asked.get("stop") or ()
    stops = (stop,) if isinstance(stop, str) else json.convert(stop, tuple[str, ...], path="stop")
    return Sampling(
        max_tokens=max_tokens,
        temperature=_number(asked, "temperature", float),
        top_p=_number(asked, "top_p", float),
        stop_sequences=tuple(sequence for sequence in stops if sequence),
    )


def _number(asked: Mapping[str, object], member: str, type: type[T]) -> T | None:
    value = asked.get(member)
    return None if value is None else json.convert(value, type, path=member)


def _read_reasoning(asked: Mapping[str, object]) -> ReasoningWish:
    effort = asked.get("reasoning_effort") or _member(asked.get("reasoning"), "effort")
    if not isinstance(effort, str):
        return ReasoningWish()
    if effort == "none":
        return ReasoningWish(ReasoningMode.DISABLED)
    return ReasoningWish(ReasoningMode.ADAPTIVE, effort=effort)


def _read_response_format(wish: object) -> ResponseFormat:
    kind = _member(wish, "type")
    if kind in (None, "text"):
        return ResponseFormat()
    if kind == "json_object":
        return ResponseFormat(FormatKind.JSON_OBJECT)
    if kind != "json_schema":
        raise RequestError(f"Unknown response format {kind!r}.", path="response_format.type")
    told = _member(wish, "json_schema")
    schema, name = _member(told, "schema"), _member(told, "name")
    if not isinstance(schema, dict):
        raise RequestError("A schema is an object.", path="response_format.json_schema.schema")
    return ResponseFormat(
        FormatKind.JSON_SCHEMA,
        name if isinstance(name, str) else "",
        json.raw(schema),
        _member(told, "strict") is True,
    )


def _conversation_key(
    asked: Mapping[str, object], headers: Mapping[str, str], turns: tuple[Turn, ...]
) -> str:
    for header in _SESSION_HEADERS:
        if headers.get(header):
            return headers[header]
    told = asked.get("prompt_cache_key")
    if isinstance(told, str) and told:
        return told
    user = asked.get("user")
    if not isinstance(user, str) or not user:
        return ""
    first = next((block.text for block in turns[0].blocks if isinstance(block, Text)), "")
    return sha256(f"{user}\n{first}".encode()).hexdigest()[:32]


def _member(value: object, name: str) -> object:
    """Return a member of what may be no object at all; None when there is none."""
    return value.get(name) if isinstance(value, dict) else None
