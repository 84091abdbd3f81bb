"""The shapes in which programs that keep accounts write them, as entries that the intake reads."""

from collections.abc import Iterator, Mapping
from typing import Any

# An array of entries may be wrapped in an object, an entry's login in a member of its own.
_LISTS = ("accounts", "credentials", "tokens")
_LOGINS = ("credentials", "credential", "auth", "token")
# Members that mean what another one does here, where that one is not there.
_OTHER_NAMES = {
    "authregion": "region",
    "idcregion": "region",
    "idp": "provider",
    "label": "name",
    "nickname": "name",
}


def entries_of(document: list[Any] | dict[str, Any]) -> list[object]:  # untyped until looked at
    """Return the entries in a document: an array of them, one of them, or an object around both.

    What is no entry is handed on as it is: the intake says what is wrong with it.
    """
    if isinstance(document, list):
        return [_flat(raw) for raw in document]
    for name in _LISTS:
        inner = document.get(name)
        if isinstance(inner, list):
            return [_flat(raw) for raw in inner]
    return [_flat(document)]


def _flat(raw: object) -> object:
    if not isinstance(raw, Mapping):
        return raw
    members = dict(raw)
    for name in _LOGINS:
        inner = members.get(name)
        if isinstance(inner, Mapping):
            del members[name]
            members |= inner
    for name, value in _renamed(members):
        members[name] = value
    return members


def _renamed(members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    there = {_plain(name): name for name in members}
    for other, name in _OTHER_NAMES.items():
        if other not in there:
            continue
        # The region of the login is the one that counts, whatever else an entry calls a region.
        if name == "region" or _plain(name) not in there:
            value = members[there[other]]
            if value:
                yield there.get(_plain(name), name), value


def _plain(name: object) -> str:
    return str(name).replace("_", "").lower()
