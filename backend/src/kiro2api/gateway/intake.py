"""Reading accounts as people write them: the JSON of `KIRO_AUTH_TOKEN` and files of the Kiro IDE."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from kiro2api.errors import RequestError, SetupError
from kiro2api.gateway.ports import AccessToken, ConfiguredAccount, NewAccount
from kiro2api.pool.group import DEFAULT_GROUP, group_name_problem
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import DEFAULT_REGION, is_region
from kiro2api.protocol.wire import json

# Complete tokens of the service's own logins are longer: a shorter one is a copy that was cut off.
WHOLE_TOKEN_CHARACTERS = 100
_CLIENT_ID_HASH = re.compile(r"[0-9A-Za-z]{1,128}")
_MAX_NAME_CHARACTERS = 100
# Numbers from here on count milliseconds.
_LEAST_MILLISECONDS = 1e11
# The IDE names the way of a login in two members; either is enough.
_KINDS = {kind.value.lower(): kind for kind in AuthKind}
_KIND_WORDS = ", ".join(f'"{kind}"' for kind in AuthKind)
_PROVIDERS = {
    "google": AuthKind.SOCIAL,
    "github": AuthKind.SOCIAL,
    "builderid": AuthKind.IDC,
    "enterprise": AuthKind.IDC,
    "internal": AuthKind.IDC,
    "externalidp": AuthKind.EXTERNAL_IDP,
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
    """What a text holds: the usable accounts in order, and what was skipped.

    By the index of their entry: `access_tokens` are the bearers that came along, `soft_caps` the
    caps that are set.
    """

    entries: tuple[ConfiguredAccount, ...] = ()
    problems: tuple[Problem, ...] = ()
    access_tokens: Mapping[int, AccessToken] = {}
    soft_caps: Mapping[int, int] = {}

    def new_accounts(self, *, source: str, group: str = "") -> list[NewAccount]:
        """Return the entries as accounts that a person brings; `group`, if given, wins."""
        return [
            NewAccount(
                name=entry.name,
                group=group or entry.group,
                enabled=entry.enabled,
                credential=entry.credential,
                profile_arn=entry.profile_arn,
                source=source,
                access_token=self.access_tokens.get(entry.index),
                soft_cap=self.soft_caps.get(entry.index, 0),
            )
            for entry in self.entries
        ]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How entries are read: what they mean where they say nothing, and what is asked of them.

    `name` and a number name an entry without a name. Refresh tokens of the service's own logins
    that are shorter than `least_token_characters` are refused.
    """

    region: str = DEFAULT_REGION
    name: str = "account"
    find_registration: FindRegistration = lambda _hash: None
    least_token_characters: int = 0


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
    document = read_document(text)
    entries = document if isinstance(document, list) else [document]
    return read_entries(
        entries, Reading(region=default_region, find_registration=find_registration)
    )


def read_document(text: str) -> list[Any] | dict[str, Any]:  # JSON is untyped until looked at
    """Return the JSON of accounts: an array, or an object.

    Raises:
        SetupError: the text is not JSON, or neither of the two.
    """
    try:
        document = json.decode(text)
    except RequestError as error:
        reason = error.message.removeprefix("The body is not valid JSON: ").rstrip(".")
        raise SetupError(f"The accounts are not valid JSON: {reason}.") from None
    if not isinstance(document, dict | list):
        raise SetupError("The accounts must be a JSON array of entries, or one entry.")
    return document


def read_entries(raws: Sequence[object], reading: Reading) -> Intake:
    """Return the accounts that decoded entries describe; wrong and repeated ones as problems."""
    entries: list[ConfiguredAccount] = []
    problems: list[Problem] = []
    tokens: dict[int, AccessToken] = {}
    soft_caps: dict[int, int] = {}
    seen: dict[tuple[str, ...], int] = {}
    for index, raw in enumerate(raws):
        try:
            members = _members(raw)
            entry = _read_entry(members, index, reading)
            login = entry.credential
            identity = (login.kind, login.client_id, login.refresh_token, login.api_key)
            if identity in seen:
                raise _EntryError(f"the same login as entry {seen[identity] + 1}")
        except _EntryError as error:
            problems.append(Problem(index, str(error)))
            continue
        seen[identity] = index
        entries.append(entry)
        if (token := _access_token(members)) is not None:
            tokens[index] = token
        if soft_cap := _soft_cap(members):
            soft_caps[index] = soft_cap
    return Intake(tuple(entries), tuple(problems), tokens, soft_caps)


def free_name(base: str, taken: Collection[str], *, first: int) -> str:
    """Return `base` and the least number from `first` on of which nobody in `taken` has the name."""
    return next(name for n in count(first) if (name := f"{base} {n}") not in taken)


def _members(raw: object) -> dict[str, Any]:  # as in read_document
    if not isinstance(raw, dict):
        raise _EntryError("it is not a JSON object")
    return {str(name).replace("_", "").lower(): value for name, value in raw.items()}


def _read_entry(
    members: Mapping[str, Any],  # as in read_document
    index: int,
    reading: Reading,
) -> ConfiguredAccount:
    kind = _kind(members)
    region = _text(members, "region") or reading.region
    if not is_region(region):
        raise _EntryError("region is not a region such as us-east-1")
    profile_arn = _text(members, "profileArn")
    if profile_arn and not profile_arn.startswith("arn:"):
        raise _EntryError("profileArn is not an ARN")
    return ConfiguredAccount(
        index=index,
        name=_name(members, f"{reading.name} {index + 1}"),
        group=_group(members),
        enabled=not _flag(members, "disabled"),
        credential=_credential(members, kind, region, reading),
        profile_arn=profile_arn,
    )


def _credential(
    members: Mapping[str, Any],  # as in read_document
    kind: AuthKind,
    region: str,
    reading: Reading,
) -> Credential:
    if kind is AuthKind.API_KEY:
        key = _secret(members, "apiKey") or _secret(members, "kiroApiKey")
        if not key:
            raise _EntryError("apiKey is missing")
        return Credential(kind, api_key=key, region=region)
    token = _secret(members, "refreshToken")
    if not token:
        raise _EntryError("refreshToken is missing")
    credential = Credential(
        kind,
        token,
        region=region,
        start_url=_text(members, "startUrl"),
        provider=_text(members, "provider"),
    )
    if kind is AuthKind.EXTERNAL_IDP:
        return _external(members, credential)
    if len(token) < reading.least_token_characters:
        raise _EntryError(
            f"refreshToken was cut off: it has {len(token)} characters, and a whole one has "
            f"{reading.least_token_characters} or more"
        )
    if kind is AuthKind.SOCIAL:
        return credential
    client_id, client_secret = _registration(members, reading.find_registration)
    return msgspec.structs.replace(credential, client_id=client_id, client_secret=client_secret)


def _external(
    members: Mapping[str, Any],  # as in read_document
    credential: Credential,
) -> Credential:
    client_id, token_endpoint = _secret(members, "clientId"), _text(members, "tokenEndpoint")
    if not client_id or not token_endpoint:
        missing = "clientId" if not client_id else "tokenEndpoint"
        raise _EntryError(f"{missing} is missing, which auth ExternalIdp needs")
    return msgspec.structs.replace(
        credential,
        client_id=client_id,
        client_secret=_secret(members, "clientSecret"),
        token_endpoint=token_endpoint,
        issuer_url=_text(members, "issuerUrl"),
        scopes=_scopes(members),
    )


def _scopes(members: Mapping[str, Any]) -> tuple[str, ...]:  # as in read_document
    value = members.get("scopes")
    words = value.split() if isinstance(value, str) else value or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _EntryError("scopes is neither a list of texts nor a text")
    return tuple(words)


def _access_token(members: Mapping[str, Any]) -> AccessToken | None:  # as in read_document
    """Return the bearer of an entry if it says until when it is good; a wrong one is not missed."""
    expires_at = _wall_time(members.get("expiresat"))
    try:
        value = _secret(members, "accessToken")
    except _EntryError:
        return None
    return AccessToken(value, expires_at) if value and expires_at else None


def _soft_cap(members: Mapping[str, Any]) -> int:  # as in read_document
    value = members.get("softcap")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _wall_time(value: object) -> float:
    """Return seconds since the epoch, of a number (also milliseconds) or a date; 0 for no time."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0.0
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        seconds = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return seconds / 1000 if seconds >= _LEAST_MILLISECONDS else max(seconds, 0.0)


def _kind(members: Mapping[str, Any]) -> AuthKind:  # as in read_document
    word = _text(members, "auth") or _text(members, "authMethod")
    if word:
        kind = _KINDS.get(word.lower().replace("_", "").replace("-", ""))
        if kind is None:
            raise _EntryError(f"auth is none of {_KIND_WORDS}")
        return kind
    provider = _text(members, "provider")
    if provider:
        kind = _PROVIDERS.get(provider.lower())
        if kind is None:
            raise _EntryError("provider is one whose logins cannot be used")
        return kind
    if _text(members, "clientId") or _text(members, "clientIdHash"):
        return AuthKind.IDC
    if _text(members, "apiKey") or _text(members, "kiroApiKey"):
        return AuthKind.API_KEY
    raise _EntryError(f"auth is missing: one of {_KIND_WORDS}")


def _registration(
    members: Mapping[str, Any],  # as in read_document
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


def _name(members: Mapping[str, Any], default: str) -> str:  # as in read_document
    name = _text(members, "name")
    if len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
        raise _EntryError(f"name is not up to {_MAX_NAME_CHARACTERS} printable characters")
    return name or default


def _group(members: Mapping[str, Any]) -> str:  # as in read_document
    group = _text(members, "group") or DEFAULT_GROUP
    if problem := group_name_problem(group):
        raise _EntryError(problem)
    return group


def _text(members: Mapping[str, Any], name: str) -> str:  # as in read_document
    value = members.get(name.lower())
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _EntryError(f"{name} is not a text")
    return value.strip()


def _secret(members: Mapping[str, Any], name: str) -> str:  # as in read_document
    value = _text(members, name)
    if value.endswith("..."):
        raise _EntryError(f"{name} was cut off: it ends with three dots")
    if value and not (value.isascii() and value.isprintable() and " " not in value):
        raise _EntryError(f"{name} has characters in it that cannot belong to it")
    return value


def _flag(members: Mapping[str, Any], name: str) -> bool:  # as in read_document
    value = members.get(name.lower())
    if value is not None and not isinstance(value, bool):
        raise _EntryError(f"{name} is neither true nor false")
    return bool(value)
