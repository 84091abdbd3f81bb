"""Reading JSON of unknown shape: each function returns an empty value where another type stands."""

from kiro2api.errors import RequestError
from kiro2api.protocol.wire import json


def members(value: object) -> dict[str, object]:
    """Return `value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return `value` if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """Return `value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def parse(data: bytes | str) -> object:
    """Return the value that `data` spells; None when it is no JSON (and for `null`)."""
    try:
        value: object = json.decode(data)
    except RequestError:
        return None
    return value
