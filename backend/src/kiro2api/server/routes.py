"""Which path means what: base URLs of clients disagree, so each endpoint has several."""

from enum import StrEnum
from functools import lru_cache

import msgspec

from kiro2api.pool.group import RESERVED_GROUPS, is_group_name


class Endpoint(StrEnum):
    """What the data plane answers."""

    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    CHAT_COMPLETIONS = "chat_completions"
    MODELS = "models"
    MODEL = "model"
    ACCOUNTS = "accounts"
    HEALTH = "health"
    LIVEZ = "livez"
    READYZ = "readyz"
    ROOT = "root"
    HELLO = "hello"


class Route(msgspec.Struct, frozen=True):
    """A parsed path: its endpoint, the group it names ("" without one), the model id of `MODEL`."""

    endpoint: Endpoint
    group: str = ""
    model: str = ""


_PLAIN = {
    (): Endpoint.ROOT,
    ("api", "hello"): Endpoint.HELLO,
    ("api", "tokens"): Endpoint.ACCOUNTS,
    ("health",): Endpoint.HEALTH,
    ("livez",): Endpoint.LIVEZ,
    ("readyz",): Endpoint.READYZ,
}
_API = {
    ("messages",): Endpoint.MESSAGES,
    ("messages", "count_tokens"): Endpoint.COUNT_TOKENS,
    ("chat", "completions"): Endpoint.CHAT_COMPLETIONS,
    ("models",): Endpoint.MODELS,
}
METHODS = {
    Endpoint.MESSAGES: ("POST",),
    Endpoint.COUNT_TOKENS: ("POST",),
    Endpoint.CHAT_COMPLETIONS: ("POST",),
    Endpoint.MODELS: ("GET", "HEAD"),
    Endpoint.MODEL: ("GET", "HEAD"),
    Endpoint.ACCOUNTS: ("GET", "HEAD"),
    Endpoint.HEALTH: ("GET", "HEAD"),
    Endpoint.LIVEZ: ("GET", "HEAD"),
    Endpoint.READYZ: ("GET", "HEAD"),
    Endpoint.ROOT: ("GET", "HEAD"),
    Endpoint.HELLO: ("GET", "HEAD"),
}
# Clients call the same few paths again and again; the bounds keep a hostile one from filling the
# memory.
_REMEMBERED_PATHS = 256
_REMEMBERED_CHARACTERS = 128
OPEN = frozenset({Endpoint.HEALTH, Endpoint.LIVEZ, Endpoint.READYZ, Endpoint.ROOT, Endpoint.HELLO})


def parse_path(path: str) -> Route | None:
    """Return what `path` (decoded, without the query) means; None when it means nothing.

    `/v1` may be absent or doubled, a group may stand in front, slashes may trail. A name that is
    no possible group is no group: such a path means nothing.
    """
    return _remembered(path) if len(path) <= _REMEMBERED_CHARACTERS else _parse(path)


def _parse(path: str) -> Route | None:
    parts = tuple(path.strip("/").split("/")) if path.strip("/") else ()
    plain = _PLAIN.get(parts)
    if plain is not None:
        return Route(plain)
    group = ""
    if parts and parts[0] not in RESERVED_GROUPS:
        group, parts = parts[0], parts[1:]
        if not is_group_name(group) or not parts:
            return None
    for _ in range(2):
        if parts[:1] == ("v1",):
            parts = parts[1:]
    api = _API.get(parts)
    if api is not None:
        return Route(api, group)
    if len(parts) >= 2 and parts[0] == "models":
        return Route(Endpoint.MODEL, group, "/".join(parts[1:]))
    return None


_remembered = lru_cache(maxsize=_REMEMBERED_PATHS)(_parse)


def looks_anthropic(path: str, headers: dict[str, str]) -> bool:
    """Tell in which dialect an error about an unknown path is read: by path, then by headers."""
    if "chat" in path or "responses" in path:
        return False
    return "messages" in path or "anthropic-version" in headers or "x-api-key" in headers
