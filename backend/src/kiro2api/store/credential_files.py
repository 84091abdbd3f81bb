"""Accounts from files, and from the value of `KIRO_AUTH_TOKEN`, which may be JSON or name a file."""

import asyncio
from pathlib import Path

from kiro2api.config import Installation, anchored
from kiro2api.errors import SetupError
from kiro2api.gateway.export import is_export
from kiro2api.gateway.intake import (
    WHOLE_TOKEN_CHARACTERS,
    FindRegistration,
    Intake,
    Reading,
    read_accounts,
    read_document,
    read_entries,
)
from kiro2api.protocol.codewhisperer.endpoints import DEFAULT_REGION
from kiro2api.store.account_managers import entries_of
from kiro2api.store.kiro_cli import is_database, read_database, stamps

_MAX_FILE_BYTES = 1024 * 1024
_BLANK = "\ufeff \t\r\n"


def load_accounts(
    value: str, installation: Installation, *, region: str = DEFAULT_REGION
) -> Intake:
    """Return the accounts that `value` of `KIRO_AUTH_TOKEN` gives: JSON, or the path of a file.

    A relative path starts at the installation. A token file of the Kiro IDE finds its registration
    beside it. `region` is that of entries that name none. An empty value gives no account.

    Raises:
        SetupError: it is neither JSON nor the path of a file that can be read; or not of the form
            that `read_accounts` wants.
    """
    value = value.strip(_BLANK)
    if not value:
        return Intake()
    if _looks_like_json(value):
        try:
            return read_accounts(value, default_region=region)
        except SetupError as error:
            raise SetupError(f"KIRO_AUTH_TOKEN cannot be used. {error}") from None
    path = _path(value, installation)
    try:
        return read_accounts(
            _read(path), default_region=region, find_registration=_registration_beside(path)
        )
    except SetupError as error:
        raise SetupError(f"{path}, which KIRO_AUTH_TOKEN names, cannot be used. {error}") from None


def read_file(path: Path, *, region: str = DEFAULT_REGION) -> Intake:
    """Return the accounts in a file of another program, or in an export of this one.

    That is: a token file of the Kiro IDE with its registration beside it, a database of kiro-cli,
    or JSON with entries, in the shapes of programs that keep accounts. Tokens that were cut off
    are refused. Nothing is written.

    Raises:
        SetupError: it cannot be read, or is nothing of the kind.
    """
    reading = Reading(
        region=region,
        name=path.stem,
        find_registration=_registration_beside(path),
        least_token_characters=WHOLE_TOKEN_CHARACTERS,
    )
    if is_database(path):
        return read_entries(read_database(path), reading)
    try:
        document = read_document(_read(path).strip(_BLANK))
    except SetupError as error:
        raise SetupError(f"{path} cannot be used. {error}") from None
    if is_export(document):
        # What it holds was taken in once: how long a token was then is nobody's business now.
        reading = Reading(region=region, name=path.stem)
    return read_entries(entries_of(document), reading)


class FollowedFiles:
    """Implements `gateway.following.Files`; `region` is that of logins that name none."""

    def __init__(self, *, region: str = DEFAULT_REGION) -> None:
        self._region = region

    async def state(self, path: str) -> str:
        """Return a text that changes with the file at `path`."""
        return await asyncio.to_thread(stamps, Path(path))

    async def read(self, path: str) -> Intake:
        """Return the accounts in the file.

        Raises:
            SetupError: as `read_file`.
        """
        return await asyncio.to_thread(read_file, Path(path), region=self._region)


def _registration_beside(path: Path) -> FindRegistration:
    def find(client_id_hash: str) -> str | None:
        sibling = path.with_name(f"{client_id_hash}.json")
        return _read(sibling) if sibling.is_file() else None

    return find


def _looks_like_json(value: str) -> bool:
    return value.startswith(("[", "{"))


def _path(value: str, installation: Installation) -> Path:
    path = anchored(value, installation)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # too long for a path, or a NUL in it
        pass
    # The value may be a bare secret, so it is shown only when it was meant as a path.
    shown = f" (there is no file {path})" if value.endswith(".json") else ""
    raise SetupError(f"KIRO_AUTH_TOKEN is neither JSON nor the path of an existing file{shown}.")


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise SetupError(f"{path} is larger than {_MAX_FILE_BYTES} bytes.")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SetupError(f"{path} is not UTF-8 text.") from None
