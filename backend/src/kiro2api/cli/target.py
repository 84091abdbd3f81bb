"""What a command works on: the settings of this installation, and its store."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn, TypeVar

import msgspec
import typer

from kiro2api import compose, logs
from kiro2api.config import Installation, Settings, database_path, find_installation, load
from kiro2api.errors import SetupError
from kiro2api.store.opening import Store, open_store

T = TypeVar("T")
# What scripts see when the answer is no.
EXIT_NO = 1
EXIT_USAGE = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EnvFile = Annotated[
    str | None, typer.Option(help="Read this file instead of .env, as `serve` was told to.")
]


class Target(msgspec.Struct, frozen=True):
    """An installation and its settings, for one command."""

    settings: Settings
    installation: Installation


def read_target(env_file: str | None) -> Target:
    """Return the installation that the command is for; the log is set up by its settings.

    Raises:
        SetupError: a setting is wrong.
    """
    environ = compose.environment()
    installation = find_installation(environ)
    settings = load({}, environ, installation=installation, env_file=env_file)
    level = settings.log_level.value
    if settings.origin_of("log_level") == "default":
        level = "warning"  # what goes well is told by the command's own output
    logs.configure(level, settings.log_format.value)
    return Target(settings, installation)


def on_store(target: Target, work: Callable[[Store], Awaitable[T]]) -> T:
    """Return what `work` gives for the store, also while a gateway runs on it.

    Raises:
        SetupError: there is no database, or it cannot be opened.
        StoreError: the database refused; nothing was saved.
    """
    path = database_path(target.settings, target.installation)
    if not path.exists():
        raise SetupError(f"There is no database {path} yet: start the gateway once.")
    return on_new_store(target, work)


def on_new_store(target: Target, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do as `on_store`, but make the database when there is none.

    Raises:
        SetupError: the database cannot be opened.
        StoreError: as `on_store`.
    """
    settings = target.settings
    path = database_path(settings, target.installation)

    async def run() -> T:
        store = await open_store(path, secret_key=settings.secret_key)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def refuse(reason: str) -> NoReturn:
    """End the command as one that was used wrongly."""
    print(f"kiro2api: {reason}", file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)
