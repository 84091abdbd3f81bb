"""`kiro2api keys`: the client keys, what each opens, and until when."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from kiro2api import compose, logs
from kiro2api.cli.output import local_time, print_json, print_table
from kiro2api.cli.target import AsJson, EnvFile, Target, on_new_store, on_store, read_target, refuse
from kiro2api.config import Settings
from kiro2api.errors import SetupError
from kiro2api.gateway.ports import StoredKey
from kiro2api.pool.group import group_name_problem
from kiro2api.secrets import new_client_key
from kiro2api.store.keys import GENERATED
from kiro2api.store.opening import Store

keys = typer.Typer(help="The client keys: who may call, and what.")
_Name = Annotated[str, typer.Argument(metavar="KEY", help="Its name or id.")]

_HEAD = ("KEY", "STATE", "GROUPS", "MODELS", "CREATED", "EXPIRES", "LAST USED")
_MOST_CHARACTERS = 64
_SPAN = re.compile(r"(\d{1,5})([hdw])")
_SPAN_S = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SHOWN_ONCE = "It is not shown again. A gateway that is running takes it within a second."


class KeyReport(msgspec.Struct, frozen=True, kw_only=True):
    """A client key without its secret; empty `groups` and `models` open all, times are wall times.

    `state` is "active", "disabled", "expired", or "replaced" for the generated key while
    KIRO_CLIENT_TOKEN is set.
    """

    id: str
    name: str
    state: str
    groups: tuple[str, ...]
    models: tuple[str, ...]
    created_at: float | None
    expires_at: float | None
    last_used_at: float | None


class NewKey(msgspec.Struct, frozen=True):
    """A key that was made now: the only time that `secret` is told."""

    secret: str
    key: KeyReport

    def __repr__(self) -> str:
        """Name the key alone: a secret must not reach a log by way of a repr."""
        return f"NewKey({self.key.name})"


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What it is called in lists and logs.")],
    group: Annotated[
        list[str] | None,
        typer.Option(help="A group that it opens (several: repeat); all, if none."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model that it opens (several: repeat); all, if none."),
    ] = None,
    expires: Annotated[
        str, typer.Option(help="12h, 30d, 8w, or a date such as 2027-01-31; never, if none.")
    ] = "",
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Make a client key and show it, this once."""
    now = compose.SystemClock.wall()
    _require_name(name)
    for problem in filter(None, map(group_name_problem, group or ())):
        refuse(f"{problem}.")
    expires_at = _expiry(expires, now)
    target = read_target(env_file)
    secret = _new_secret()

    async def work(store: Store) -> KeyReport:
        created = await store.keys.create(
            name=name,
            digest=store.ring.digest(compose.CLIENT_KEY_PURPOSE, secret),
            now=now,
            groups=group or (),
            models=model or (),
            expires_at=expires_at,
        )
        if created is None:
            refuse(f"there is a key {name!r} already: take another name, or rotate that one.")
        return _report(created, target.settings)

    _show(NewKey(secret, on_new_store(target, work)), json=json)


@keys.command("list")
def keys_list(json: AsJson = False, env_file: EnvFile = None) -> None:
    """List the client keys; their secrets are kept nowhere."""
    target = read_target(env_file)

    async def work(store: Store) -> list[KeyReport]:
        return [_report(key, target.settings) for key in await store.keys.keys()]

    reports = on_store(target, work)
    if json:
        print_json(reports)
        return
    if reports:
        print_table(_HEAD, [_row(report) for report in reports])
    else:
        print("There is no key.")
    if target.settings.client_token:
        print("KIRO_CLIENT_TOKEN is a client key as well; it opens everything.", file=sys.stderr)


@keys.command("disable")
def keys_disable(name: _Name, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Let a key open nothing until you enable it."""

    async def change(store: Store, key: StoredKey) -> None:
        await store.keys.edit(key.id, enabled=False)

    _change(name, change, json=json, env_file=env_file)


@keys.command("enable")
def keys_enable(name: _Name, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Let a key open what it opened before."""

    async def change(store: Store, key: StoredKey) -> None:
        await store.keys.edit(key.id, enabled=True)

    _change(name, change, json=json, env_file=env_file)


@keys.command("delete")
def keys_delete(name: _Name, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Forget a key: it opens nothing any more, and cannot come back."""
    target = read_target(env_file)

    async def work(store: Store) -> KeyReport:
        key = _found(name, await store.keys.keys())
        await store.keys.delete(key.id)
        return _report(key, target.settings)

    report = on_store(target, work)
    if json:
        print_json(report)
    else:
        print(f"{report.name}: deleted")
    if report.id == GENERATED and not target.settings.client_token:
        print("The next start makes another one and shows it.", file=sys.stderr)


@keys.command("rotate")
def keys_rotate(name: _Name, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Give a key a new secret and show it; the old one opens nothing any more."""
    target = read_target(env_file)
    secret = _new_secret()

    async def work(store: Store) -> KeyReport:
        key = _found(name, await store.keys.keys())
        if key.id == GENERATED:
            _require_no_client_token(target)
        digest = store.ring.digest(compose.CLIENT_KEY_PURPOSE, secret)
        await store.keys.edit(key.id, digest=digest)
        return _report(key, target.settings)

    _show(NewKey(secret, on_store(target, work)), json=json)


@keys.command("reset")
def keys_reset(env_file: EnvFile = None) -> None:
    """Make a new client key and show it; the generated one before it opens nothing any more."""
    target = read_target(env_file)
    _require_no_client_token(target)
    print(asyncio.run(compose.reset_client_key(target.settings, target.installation)))
    print(_SHOWN_ONCE, file=sys.stderr)


def _require_no_client_token(target: Target) -> None:
    if target.settings.client_token:
        raise SetupError(
            "KIRO_CLIENT_TOKEN is set, so it is the client key: change it there, or unset it first."
        )


def _new_secret() -> str:
    secret = new_client_key()
    logs.register_secrets([secret])
    return secret


def _require_name(name: str) -> None:
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= _MOST_CHARACTERS:
        refuse(
            f"a key's name has 1 to {_MOST_CHARACTERS} printable characters, no space at the ends."
        )
    if name == GENERATED:
        refuse(f"{GENERATED!r} is the key that the first start makes: take another name.")


def _expiry(word: str, now: float) -> float | None:
    """Return the wall time that `word` means; None for none."""
    if not word:
        return None
    span = _SPAN.fullmatch(word)
    if span:
        at = now + int(span[1]) * _SPAN_S[span[2]]
    else:
        try:
            at = datetime.fromisoformat(word).timestamp()
        except (ValueError, OverflowError):
            refuse(f"{word!r} is no time: say 12h, 30d, 8w, or a date such as 2027-01-31.")
    if at <= now:
        refuse(f"{word!r} is over already.")
    return at


def _found(word: str, stored: Sequence[StoredKey]) -> StoredKey:
    """Return the key of that id or name."""
    for key in stored:
        if word in (key.id, key.name):
            return key
    known = ", ".join(key.name for key in stored) or "none"
    refuse(f"there is no key {word!r}. There are: {known}.")


def _change(
    name: str,
    change: Callable[[Store, StoredKey], Awaitable[None]],
    *,
    json: bool,
    env_file: str | None,
) -> None:
    target = read_target(env_file)

    async def work(store: Store) -> KeyReport:
        key = _found(name, await store.keys.keys())
        await change(store, key)
        return _report(_found(key.id, await store.keys.keys()), target.settings)

    report = on_store(target, work)
    if json:
        print_json(report)
    else:
        print(f"{report.name}: {report.state}")


def _report(key: StoredKey, settings: Settings) -> KeyReport:
    state = "active"
    if not key.enabled:
        state = "disabled"
    elif key.id == GENERATED and settings.client_token:
        state = "replaced"
    elif key.expires_at is not None and key.expires_at <= compose.SystemClock.wall():
        state = "expired"
    return KeyReport(
        id=key.id,
        name=key.name,
        state=state,
        groups=key.groups,
        models=key.models,
        created_at=key.created_at or None,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


def _show(new: NewKey, *, json: bool) -> None:
    if json:
        print_json(new)
        return
    print(new.secret)
    print(_SHOWN_ONCE, file=sys.stderr)


def _row(report: KeyReport) -> tuple[str, ...]:
    return (
        report.name,
        report.state,
        ", ".join(report.groups) or "all",
        ", ".join(report.models) or "all",
        local_time(report.created_at),
        local_time(report.expires_at) or "never",
        local_time(report.last_used_at) or "not yet",
    )
