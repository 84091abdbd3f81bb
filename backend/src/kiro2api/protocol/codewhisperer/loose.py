"""Reading the service's JSON as it comes: members may be absent, null, or of another type."""

from collections.abc import Mapping

from kiro2api.errors import RequestError
from kiro2api.protocol.wire.json import decode

_NOT_A_COUNT = 1e15


def read_object(body: bytes) -> Mapping[str, object] | None:
    """Return the JSON object in `body`; None when there is none."""
    try:
        document = decode(body)
    except RequestError:
        return None
    return document if isinstance(document, dict) else None


def as_object(value: object) -> Mapping[str, object]:
    """Return `value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[Mapping[str, object]]:
    """Return the objects of a list; an empty list for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return `value` without space around it when it is a text, else ""."""
    return value.strip() if isinstance(value, str) else ""


def as_number(value: object) -> float | None:
    """Return a number of zero or more that can be a count or a time; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _NOT_A_COUNT else None
