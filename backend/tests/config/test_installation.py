"""Where the program lives, whatever the current folder is."""

from pathlib import Path

import pytest

from kiro2api.config import Installation, Settings, anchored, database_path, find_installation
from kiro2api.errors import SetupError

HOME = Installation(Path("/srv/k/backend"), Path("/srv/k/backend/data"), (Path("/srv/k/backend"),))


def make_checkout(root: Path) -> Path:
    package = root / "backend" / "src" / "kiro2api"
    package.mkdir(parents=True)
    (root / "backend" / "pyproject.toml").touch()
    return package


def test_a_checkout_keeps_its_data_inside(tmp_path: Path) -> None:
    found = find_installation({}, package=make_checkout(tmp_path))

    backend = tmp_path.resolve() / "backend"
    assert found == Installation(backend, backend / "data", (backend, backend.parent))


def test_this_program_finds_its_own_checkout() -> None:
    assert find_installation({}).home == Path(__file__).resolve().parents[2]


def test_a_checkout_is_found_through_a_symlink(tmp_path: Path) -> None:
    package = make_checkout(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    through_link = find_installation({}, package=tmp_path / "link" / "backend/src/kiro2api")

    assert through_link == find_installation({}, package=package)


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"HOME": "/home/u"}, "/home/u/.local/share/kiro2api"),
        ("linux", {"HOME": "/home/u", "XDG_DATA_HOME": "/data"}, "/data/kiro2api"),
        ("linux", {"HOME": "/home/u", "XDG_DATA_HOME": "rel"}, "/home/u/.local/share/kiro2api"),
        ("darwin", {"HOME": "/Users/u"}, "/Users/u/Library/Application Support/kiro2api"),
    ],
)
def test_an_installed_package_uses_the_data_folder_of_the_user(
    tmp_path: Path, platform: str, environ: dict[str, str], folder: str
) -> None:
    found = find_installation(environ, package=tmp_path / "kiro2api", platform=platform)

    assert found == Installation(Path(folder), Path(folder), (Path(folder),))


def test_an_installed_package_without_a_home_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="set HOME"):
        find_installation({}, package=tmp_path / "kiro2api", platform="linux")


def test_the_default_database_is_in_the_data_folder() -> None:
    assert database_path(Settings(), HOME) == Path("/srv/k/backend/data/kiro2api.db")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("data/own.db", "/srv/k/backend/data/own.db"),
        ("./data/../own.db", "/srv/k/backend/own.db"),
        ("/var/lib/k.db", "/var/lib/k.db"),
    ],
)
def test_a_relative_path_starts_at_the_installation(
    given: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert database_path(Settings(db_path=given), HOME) == Path(path)


def test_a_tilde_is_the_home_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")

    assert anchored("~/k.db", HOME) == Path("/home/u/k.db")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/k.db", "/var/lib/k.db"),
        ("sqlite+aiosqlite:///data/k.db", "/srv/k/backend/data/k.db"),
    ],
)
def test_a_database_may_be_named_by_url(url: str, path: str) -> None:
    assert database_path(Settings(database_url=url), HOME) == Path(path)


def test_a_url_and_a_path_that_agree_are_fine() -> None:
    settings = Settings(database_url="sqlite:////srv/k/backend/own.db", db_path="own.db")

    assert database_path(settings, HOME) == Path("/srv/k/backend/own.db")


def test_a_url_and_a_path_that_disagree_are_an_error() -> None:
    settings = Settings(database_url="sqlite:////a.db", db_path="/b.db")

    with pytest.raises(SetupError, match=r"/a\.db and KIRO_DB_PATH names /b\.db"):
        database_path(settings, HOME)
