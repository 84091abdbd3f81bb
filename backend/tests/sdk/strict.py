"""Strict reading of what went over the wire, with the types that a vendor publishes."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

from kiro2api.protocol.wire import json

Json = Any  # what came over the wire


def read(type_: Any, data: Json, *, extra: frozenset[str] = frozenset()) -> Any:
    """Return `data` as the type wants it, without any conversion.

    Members that the type does not know are an error, but for the names in `extra`.
    """
    value = _adapter(type_).validate_json(json.encode(data), strict=True)
    unknown = [path for path in _unknown(value, "$") if path.rsplit(".", 1)[-1] not in extra]
    assert unknown == [], f"{unknown} of {data}"
    return value


@cache
def _adapter(type_: Any) -> TypeAdapter[Any]:
    """Return what reads that type: made once, for it is dear."""
    return TypeAdapter(type_)


def _unknown(value: object, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, f"{path}[{index}]")
