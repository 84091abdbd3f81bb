"""Names and ids that the upstream takes, and the way back to those of the client."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kiro2api.protocol.wire import json

MAX_NAME = 64
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_NOT_IN_PROPERTY = re.compile(r"[^A-Za-z0-9_.-]+")
_DIGEST_DIGITS = 8
_ID_DIGEST_DIGITS = 20


class NameMap:
    """The tool names of one request, both ways; lives as long as the request.

    A name that the upstream takes stays as it is. Any other becomes one that says as much as fits
    and ends in a digest of the whole, so that it is the same in every turn of a conversation.

    `properties` says, per tool of the client, which properties of its input go by another name
    upstream: {"tool": {"name upstream": "name at the client"}}.
    """

    def __init__(
        self, names: Iterable[str], properties: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self._upstream: dict[str, str] = {}
        self._client: dict[str, str] = {}
        self._properties = properties or {}
        odd: list[str] = []
        folded: set[str] = set()
        for name in dict.fromkeys(names):
            if _NAME.fullmatch(name) and name.casefold() not in folded:
                self._add(name, name, folded)
            else:
                odd.append(name)
        for name in odd:
            self._add(name, _free_name(name, folded), folded)

    def _add(self, name: str, upstream: str, folded: set[str]) -> None:
        self._upstream[name] = upstream
        self._client[upstream] = name
        folded.add(upstream.casefold())

    def to_upstream(self, name: str) -> str:
        """Return the upstream's name for the client's `name`.

        Raises:
            KeyError: the request does not have that name.
        """
        return self._upstream[name]

    def to_client(self, name: str) -> str:
        """Return the client's name for the upstream's; a name that we never sent as it is."""
        return self._client.get(name, name)

    def input_to_upstream(self, name: str, input: msgspec.Raw) -> msgspec.Raw:
        """Return the input of a call to the client's tool `name` as the upstream's schema has it."""
        renamed = self._properties.get(name)
        if not renamed:
            return input
        back = {client: upstream for upstream, client in renamed.items()}
        return msgspec.Raw(_with_names(bytes(input), back))

    def input_to_client(self, name: str, text: str) -> str:
        """Return the input of a call to the client's tool `name` as the client's schema has it.

        `text` is a whole JSON object; it comes back untouched unless the tool has properties that
        go by another name upstream.
        """
        renamed = self._properties.get(name)
        return _with_names(text.encode(), renamed).decode() if renamed else text


def _with_names(data: bytes, renamed: Mapping[str, str]) -> bytes:
    try:
        return json.encode(_rename(json.decode(data), renamed))
    except RecursionError:
        # Deeper than any schema goes, so no name in it is the schema's.
        return data


def _rename(value: Any, renamed: Mapping[str, str]) -> Any:  # decoded JSON of any shape
    if isinstance(value, dict):
        return {renamed.get(key, key): _rename(child, renamed) for key, child in value.items()}
    if isinstance(value, list):
        return [_rename(child, renamed) for child in value]
    return value


def _free_name(name: str, folded: set[str]) -> str:
    """Return a name for `name` that differs from those in `folded` whatever the case."""
    salt = ""
    while True:
        readable = _NOT_IN_NAME.sub("_", name)
        if not readable[:1].isalpha():
            readable = f"t{readable}"
        # Both ends tell: the server that a tool belongs to, and what it does.
        room = MAX_NAME - _DIGEST_DIGITS - 1
        if len(readable) > room:
            readable = f"{readable[: room // 2]}_{readable[-(room - room // 2 - 1) :]}"
        upstream = f"{readable}_{_digest(name + salt, _DIGEST_DIGITS)}"
        if upstream.casefold() not in folded:
            return upstream
        salt += "+"


def property_to_upstream(name: str) -> str:
    """Return a name for the property `name` that the upstream takes; the same where it does."""
    if _PROPERTY.fullmatch(name):
        return name
    readable = _NOT_IN_PROPERTY.sub("_", name)[: MAX_NAME - _DIGEST_DIGITS - 1]
    return f"{readable}_{_digest(name, _DIGEST_DIGITS)}"


def tool_id_to_upstream(id: str) -> str:
    """Return an id for the call `id` that the upstream takes; the same where it does."""
    if _ID.fullmatch(id):
        return id
    readable = _NOT_IN_NAME.sub("_", id)[: MAX_NAME - _ID_DIGEST_DIGITS - 1]
    return f"{readable}_{_digest(id, _ID_DIGEST_DIGITS)}"


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
