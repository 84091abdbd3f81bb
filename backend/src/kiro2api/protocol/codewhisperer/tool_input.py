"""Tool input of earlier calls, made so that the upstream takes it."""

from typing import Any

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.history import call_as_text
from kiro2api.protocol.chat.request import Block, ToolUse, Turn
from kiro2api.protocol.chat.text import clean
from kiro2api.protocol.wire import json

EMPTY = msgspec.Raw(b"{}")
# A member needs a name, and one of its own.
_NAMELESS = "_"


def settle_inputs(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return `turns` with the input of each call tidied; calls whose input is no object as text."""
    return tuple(
        [
            Turn(turn.role, tuple([_settled(block) for block in turn.blocks]))
            if any([isinstance(block, ToolUse) for block in turn.blocks])
            else turn
            for turn in turns
        ]
    )


def _settled(block: Block) -> Block:
    if not isinstance(block, ToolUse):
        return block
    tidied = tidy(block.input)
    if tidied is None:
        return call_as_text(block)
    return block if tidied is block.input else msgspec.structs.replace(block, input=tidied)


def tidy(input: msgspec.Raw) -> msgspec.Raw | None:
    """Return `input` as an object that the upstream takes; None when it is no JSON object.

    The same object comes back when there is nothing to change. Nothing at all and null are the
    call without arguments. Members that are null are left out, control characters too, and a
    member without a name gets one.
    """
    data = bytes(input)
    if data.strip() in (b"", b"null"):
        return EMPTY
    try:
        value = json.decode(data)
        tidied = _tidy(value)
        if not isinstance(tidied, dict):
            return None
        if tidied is value and not _may_have_surrogates(data):
            return input
        return msgspec.Raw(json.encode(tidied))
    except (RequestError, RecursionError):
        return None


def _may_have_surrogates(data: bytes) -> bool:
    """Return whether decoding may have repaired what `data` itself still has."""
    return b"\\ud" in data or b"\\uD" in data or b"\xed" in data


def _tidy(value: Any) -> Any:  # decoded JSON of any shape
    """Return `value` tidied; the same object when nothing in it changes."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        items = [_tidy(item) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if isinstance(value, dict):
        return _tidy_members(value)
    return value


def _tidy_members(members: dict[str, Any]) -> dict[str, Any]:  # decoded JSON of any shape
    tidied: dict[str, Any] = {}
    has_changed = False
    for name, value in members.items():
        if value is None:
            has_changed = True
            continue
        kept, kept_name = _tidy(value), clean(name)
        while not kept_name or kept_name in tidied:
            kept_name += _NAMELESS
        has_changed = has_changed or kept is not value or kept_name is not name
        tidied[kept_name] = kept
    return tidied if has_changed else members
