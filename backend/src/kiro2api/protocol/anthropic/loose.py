"""Opening unopened JSON: lists, objects and words from clients that are loose with types."""

from typing import Any, TypeVar

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.wire import json as wire

T = TypeVar("T")

_QUOTE, _BRACKET, _BRACE, _NULL = b'"[{n'
EMPTY_OBJECT = msgspec.Raw(b"{}")


def is_absent(raw: msgspec.Raw) -> bool:
    """Tell whether a member was left out or is `null`."""
    return _first(raw) in (0, _NULL)


def is_string(raw: msgspec.Raw) -> bool:
    """Tell whether `raw` is a JSON string."""
    return _first(raw) == _QUOTE


def is_object(raw: msgspec.Raw) -> bool:
    """Tell whether `raw` is a JSON object."""
    return _first(raw) == _BRACE


def items(raw: msgspec.Raw, path: str) -> list[msgspec.Raw]:
    """Return the entries of a list; none when it is absent, one when it is a lone object.

    Raises:
        RequestError: it is something else.
    """
    first = _first(raw)
    if first == _BRACKET:
        return wire.decode(raw, list[msgspec.Raw])
    if first in (0, _NULL):
        return []
    if first == _BRACE:
        return [raw]
    raise RequestError("This must be a list.", path=path)


def opened(raw: msgspec.Raw, type: type[T], path: str) -> T:
    """Return the object `raw` as `type`.

    Raises:
        RequestError: it is no object.
    """
    if _first(raw) != _BRACE:
        raise RequestError("This must be an object.", path=path)
    return wire.decode(raw, type)


def word(value: Any) -> str:  # whatever JSON a client put where a word belongs
    """Return `value` when it is a string, "" when it is anything else."""
    return value if isinstance(value, str) else ""


def string(raw: msgspec.Raw) -> str:
    """Return the text of the JSON string `raw`."""
    return wire.decode(raw, str)


def carried(raw: msgspec.Raw) -> msgspec.Raw:
    """Return a copy of `raw` that is sound UTF-8 and does not keep the whole body in memory.

    Raises:
        RequestError: it is not UTF-8.
    """
    return msgspec.Raw(_sound(raw))


def spelled(raw: msgspec.Raw) -> str:
    """Return the JSON of `raw` as text."""
    return _sound(raw).decode()


def _sound(raw: msgspec.Raw) -> bytes:
    data = bytes(raw)
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        repaired = wire.repair_surrogates(data)
        if repaired is None:
            raise RequestError("The body is not valid UTF-8.", code="invalid_json") from None
        return _sound(msgspec.Raw(repaired))
    return data


def _first(raw: msgspec.Raw) -> int:
    view = memoryview(raw)
    return view[0] if view else 0
