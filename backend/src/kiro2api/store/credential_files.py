"""Accounts from the value of `KIRO_AUTH_TOKEN`, which may be JSON or name a file."""

from pathlib import Path

from kiro2api.config import Installation, anchored
from kiro2api.errors import SetupError
from kiro2api.gateway.intake import Intake, read_accounts
from kiro2api.protocol.codewhisperer.endpoints import DEFAULT_REGION

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

    def find_registration(client_id_hash: str) -> str | None:
        sibling = path.with_name(f"{client_id_hash}.json")
        return _read(sibling) if sibling.is_file() else None

    try:
        return read_accounts(
            _read(path), default_region=region, find_registration=find_registration
        )
    except SetupError as error:
        raise SetupError(f"{path}, which KIRO_AUTH_TOKEN names, cannot be used. {error}") from None


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
