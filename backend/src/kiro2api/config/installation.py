"""Where the program lives on disk, so that nothing depends on the current folder."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

import kiro2api
from kiro2api.config.settings import Settings
from kiro2api.errors import SetupError

DEFAULT_DATABASE = "kiro2api.db"


class Installation(msgspec.Struct, frozen=True):
    """Where the program lives: `home` anchors relative paths, `data` holds the default database.

    `folders` are those where `.env` and `kiro2api.toml` are looked for, the first one wins.
    """

    home: Path
    data: Path
    folders: tuple[Path, ...]


def find_installation(
    environ: Mapping[str, str], *, package: Path | None = None, platform: str = sys.platform
) -> Installation:
    """Return the home of this program, whatever the current folder is.

    Raises:
        SetupError: it is installed as a package and the user has no home folder.
    """
    package = (package or Path(kiro2api.__file__).parent).resolve()
    backend = package.parent.parent
    if package.parent.name == "src" and (backend / "pyproject.toml").is_file():
        return Installation(backend, backend / "data", (backend, backend.parent))
    data = _user_data_folder(environ, platform) / "kiro2api"
    return Installation(data, data, (data,))


def _user_data_folder(environ: Mapping[str, str], platform: str) -> Path:
    for name in ("LOCALAPPDATA",) if platform == "win32" else ("XDG_DATA_HOME",):
        if Path(environ.get(name, "")).is_absolute():
            return Path(environ[name])
    home = environ.get("USERPROFILE" if platform == "win32" else "HOME", "")
    if not Path(home).is_absolute():
        raise SetupError("There is no home folder to keep data in: set HOME, or KIRO_DB_PATH.")
    if platform == "darwin":
        return Path(home) / "Library" / "Application Support"
    return Path(home) / ("AppData/Local" if platform == "win32" else ".local/share")


def anchored(path: str, installation: Installation) -> Path:
    """Return `path` as an absolute one: `~` is opened, a relative one starts at the installation."""
    return Path(os.path.abspath(installation.home / os.path.expanduser(path)))


def database_path(settings: Settings, installation: Installation) -> Path:
    """Return the absolute path of the database file.

    Raises:
        SetupError: `KIRO_DB_PATH` and `KIRO_DATABASE_URL` name different files.
    """
    paths = []
    if settings.database_url:
        paths.append(anchored(settings.database_url.partition(":///")[2], installation))
    if settings.db_path:
        paths.append(anchored(settings.db_path, installation))
    if len(set(paths)) > 1:
        raise SetupError(
            f"KIRO_DATABASE_URL names {paths[0]} and KIRO_DB_PATH names {paths[1]}: keep one of them."
        )
    return paths[0] if paths else installation.data / DEFAULT_DATABASE
