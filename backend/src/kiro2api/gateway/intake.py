"""Reading accounts as people write them: the JSON of `KIRO_AUTH_TOKEN` and files of the Kiro IDE."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kiro2api.errors import RequestError, SetupError
from kiro2api.gateway.ports import ConfiguredAccount
from kiro2api.pool.group import DEFAULT_GROUP, group_name_problem
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import DEFAULT_REGION, is_region
from kiro2api.protocol.wire import json

_CLIENT_ID_HASH = re.compile(r"[0-9A-Za-z]{1,128}")
_MAX_NAME_CHARACTERS = 100
# The IDE names the way of a login in two members; either is enough.
_KINDS = {"social": AuthKind.SOCIAL, "idc": AuthKind.IDC}
_PROVIDERS = {
    "google": AuthKind.SOCIAL,
    "github": AuthKind.SOCIAL,
    "builderid": AuthKind.IDC,
    "enterprise": AuthKind.IDC,
    "internal": AuthKind.IDC,
}

FindRegistration = Callable[[str], str | None]
"""Gives the text of the IDE's registration file of that client id hash; None when there is none."""


class Problem(msgspec.Struct, frozen=True):
    """An entry that was skipped: its place, from 0, and the reason, without any secret."""

    index: int
    reason: str

    def __str__(self) -> str:
        """Name the entry as people count."""
        return f"entry {self.index + 1}: {self.reason}"


class Intake(msgspec.Struct, frozen=True):
    """What a text holds: the usable accounts in order, and what was skipped."""

    entries: tuple[ConfiguredAccount, ...] = ()
    problems: tuple[Problem, ...] = ()


class _EntryError(Exception):
    """Why one entry cannot be used."""


def read_accounts(
    text: str,
    *,
    default_region: str = DEFAULT_REGION,
    find_registration: FindRegistration = lambda _hash: None,
) -> Intake:
    """Return the accounts in `text`: a JSON array of entries, one entry, or an IDE token file.

    Members are matched without regard to case and underscores. A wrong entry is reported and
    skipped; an entry that repeats an earlier login as well.

    Raises:
        SetupError: the text is not JSON, or neither an array nor an object.
    """
    try:
        document = json.decode(text)
    except RequestError as error:
        reason = error.message.removeprefix("The body is not valid JSON: ").rstrip(".")
        raise SetupError(f"The accounts are not valid JSON: {reason}.") from None
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        raise SetupError("The accounts must be a JSON array of entries, or one entry.")
    entries: list[ConfiguredAccount] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, ...], int] = {}
    for index, raw in enumerate(document):
        try:
            entry = _read_entry(raw, index, default_region, find_registration)
            login = entry.credential
            identity = (login.kind, login.client_id, login.refresh_token)
            if identity in seen:
                raise _EntryError(f"the same login as entry {seen[identity] + 1}")
        except _EntryError as error:
            problems.append(Problem(index, str(error)))
            continue
        seen[identity] = index
        entries.append(entry)
    return Intake(tuple(entries), tuple(problems))


def _read_entry(
    raw: object, index: int, default_region: str, find_registration: FindRegistration
) -> ConfiguredAccount:
    if not isinstance(raw, dict):
        raise _EntryError("it is not a JSON object")
    members = {name.replace("_", "").lower(): value for name, value in raw.items()}
    kind = _kind(members)
    token = _secret(members, "refreshToken")
    if not token:
        raise _EntryError("refreshToken is missing")
    client_id, client_secret = "", ""
    if kind is AuthKind.IDC:
        client_id, client_secret = _registration(members, find_registration)
    region = _text(members, "region") or default_region
    if not is_region(region):
        raise _EntryError("region is not a region such as us-east-1")
    profile_arn = _text(members, "profileArn")
    if profile_arn and not profile_arn.startswith("arn:"):
        raise _EntryError("profileArn is not an ARN")
    return ConfiguredAccount(
        index=index,
        name=_name(members, index),
        group=_group(members),
        enabled=not _flag(members, "disabled"),
        credential=Credential(
            kind, token, client_id=client_id, client_secret=client_secret, region=region
        ),
        profile_arn=profile_arn,
    )


def _kind(members: Mapping[str, Any]) -> AuthKind:  # JSON is untyped until it is looked at
    word = _text(members, "auth") or _text(members, "authMethod")
    if word:
        kind = _KINDS.get(word.lower())
        if kind is None:
            raise _EntryError('auth is neither "Social" nor "IdC"')
        return kind
    provider = _text(members, "provider")
    if provider:
        kind = _PROVIDERS.get(provider.lower())
        if kind is None:
            raise _EntryError("provider is one whose logins cannot be used")
        return kind
    if _text(members, "clientId") or _text(members, "clientIdHash"):
        return AuthKind.IDC
    raise _EntryError('auth is missing: "Social" or "IdC"')


def _registration(
    members: Mapping[str, Any],  # as in _kind
    find_registration: FindRegistration,
) -> tuple[str, str]:
    client_id, client_secret = _secret(members, "clientId"), _secret(members, "clientSecret")
    client_id_hash = _text(members, "clientIdHash")
    if not (client_id and client_secret) and client_id_hash:
        # It becomes the name of a file.
        if not _CLIENT_ID_HASH.fullmatch(client_id_hash):
            raise _EntryError("clientIdHash is not a hash")
        text = find_registration(client_id_hash)
        if text is None:
            raise _EntryError(
                f"clientIdHash names the file {client_id_hash}.json, which is not beside the token "
                "file: copy it there, or write clientId and clientSecret into the entry"
            )
        client_id, client_secret = _read_registration(text)
    if not client_id or not client_secret:
        missing = "clientId" if not client_id else "clientSecret"
        raise _EntryError(f"{missing} is missing, which auth IdC needs")
    return client_id, client_secret


def _read_registration(text: str) -> tuple[str, str]:
    try:
        document = json.decode(text)
    except RequestError:
        document = None
    if not isinstance(document, dict):
        raise _EntryError("the registration file of clientIdHash is not a JSON object")
    members = {name.replace("_", "").lower(): value for name, value in document.items()}
    return _secret(members, "clientId"), _secret(members, "clientSecret")


def _name(members: Mapping[str, Any], index: int) -> str:  # as in _kind
    name = _text(members, "name")
    if len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
        raise _EntryError(f"name is not up to {_MAX_NAME_CHARACTERS} printable characters")
    return name or f"account {index + 1}"


def _group(members: Mapping[str, Any]) -> str:  # as in _kind
    group = _text(members, "group") or DEFAULT_GROUP
    if problem := group_name_problem(group):
        raise _EntryError(problem)
    return group


def _text(members: Mapping[str, Any], name: str) -> str:  # as in _kind
    value = members.get(name.lower())
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _EntryError(f"{name} is not a text")
    return value.strip()


def _secret(members: Mapping[str, Any], name: str) -> str:  # as in _kind
    value = _text(members, name)
    if value.endswith("..."):
        raise _EntryError(f"{name} was cut off: it ends with three dots")
    if value and not (value.isascii() and value.isprintable() and " " not in value):
        raise _EntryError(f"{name} has characters in it that cannot belong to it")
    return value


def _flag(members: Mapping[str, Any], name: str) -> bool:  # as in _kind
    value = members.get(name.lower())
    if value is not None and not isinstance(value, bool):
        raise _EntryError(f"{name} is neither true nor false")
    return bool(value)
