"""`kiro2api db`, on the command line of a real database."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kiro2api.cli import main, target
from kiro2api.config import SETTINGS, Installation
from kiro2api.protocol.wire.json import decode
from kiro2api.secrets import KEY_FILE
from kiro2api.store.opening import Store
from kiro2api.store.schema import CURRENT
from tests.support.old_database import make_old_database
from tests.support.stores import SECRET_KEY, social, stored, with_store


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the database of an installation of its own will be; the shell is elsewhere."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.about.env, raising=False)
    found = Installation(tmp_path, tmp_path / "data", (tmp_path,))
    monkeypatch.setattr(target, "find_installation", lambda environ: found)
    (tmp_path / "shell").mkdir()
    monkeypatch.chdir(tmp_path / "shell")
    return tmp_path / "data" / "kiro2api.db"


def fill(database: Path, *tokens: str, secret_key: str = "") -> None:
    entries = [social(token, index=index) for index, token in enumerate(tokens)]
    with_store(database, lambda s: s.accounts.sync_configured(entries), secret_key=secret_key)


def run(*words: str) -> object:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["db", *words])
    return ended.value.code


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Return the JSON answer."""
    run(*words, "--json")
    answer: dict[str, Any] = decode(capsys.readouterr().out)
    return answer


def test_a_backup_goes_where_the_shell_is(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one")

    assert run("backup", "copy.db") == 0
    out = capsys.readouterr().out
    assert f"{tmp_path}/shell/copy.db (1 account)" in out
    assert f"{tmp_path}/shell/copy.db.key" in out
    assert (tmp_path / "shell" / "copy.db.key").is_file()


def test_a_backup_without_a_key_file_says_what_to_keep(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one", "two", secret_key=SECRET_KEY)
    monkeypatch.setenv("KIRO_SECRET_KEY", SECRET_KEY)

    assert run("backup", "copy.db") == 0
    out = capsys.readouterr().out
    assert "2 accounts" in out
    assert "KIRO_SECRET_KEY of now" in out


def test_backup_and_restore_tell_programs_what_they_did(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one")
    copy = str(tmp_path / "shell" / "copy.db")
    done = {"schema": CURRENT.revisions[-1], "accounts": 1}

    assert told(capsys, "backup", copy) == {"database": copy, "key": f"{copy}.key", **done}
    assert told(capsys, "restore", copy) == {
        "database": str(database),
        "kept": [f"{database}.before-restore"],
        **done,
    }


def test_a_backup_of_nothing_ends_with_the_code_of_a_wrong_set_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("backup", "copy.db") == 78
    assert "There is no database" in capsys.readouterr().err


def test_a_restore_brings_the_accounts_back(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one")
    run("backup", "copy.db")
    fill(database, "other")

    assert run("restore", "copy.db") == 0
    out = capsys.readouterr().out
    assert f"Kept:     {database}.before-restore" in out
    assert "have to log in again" in out
    tokens = with_store(database, lambda s: s.accounts.accounts(), secret_key="")
    assert [account.credential.refresh_token for account in tokens] == ["one"]


def test_a_restore_of_an_older_schema_says_what_happens_next(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    make_old_database(tmp_path / "old.db", tmp_path)
    monkeypatch.setenv("KIRO_SECRET_KEY", SECRET_KEY)

    assert run("restore", str(tmp_path / "old.db")) == 0
    assert "the next start brings it up to date" in capsys.readouterr().out
    assert len(stored(database)) == 2


def test_a_restore_under_a_program_that_runs_is_refused(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one")
    run("backup", "copy.db")

    async def restore_now(_store: Store) -> object:
        return run("restore", "copy.db")

    assert with_store(database, restore_now, secret_key="") == 78
    assert "stop the gateway first" in capsys.readouterr().err


def test_a_database_in_order_is_told_so(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(database, "one")

    assert run("check") == 0
    out = capsys.readouterr().out
    assert str(database) in out
    assert "no fault found" in out


def test_a_check_tells_programs_what_it_found(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one")

    assert told(capsys, "check") == {
        "path": str(database),
        "schema": CURRENT.revisions[-1],
        "accounts": 1,
        "sealed": 3,
        "faults": [],
    }


def test_a_check_changes_nothing_of_an_older_database(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    make_old_database(tmp_path / "old.db", tmp_path)
    before = (tmp_path / "old.db").read_bytes()
    monkeypatch.setenv("KIRO_SECRET_KEY", SECRET_KEY)

    assert run("check", str(tmp_path / "old.db")) == 0
    assert "0001 (the next start brings it up to date)" in capsys.readouterr().out
    assert (tmp_path / "old.db").read_bytes() == before


def test_a_check_that_finds_faults_names_them_and_a_cure_and_fails(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one")
    connection = sqlite3.connect(database)
    connection.execute("UPDATE accounts SET refresh_token = client_secret")
    connection.commit()
    connection.close()

    assert run("check") == 1
    out = capsys.readouterr().out
    assert "refresh_token of a1 was changed outside of this program" in out
    assert "kiro2api db restore" in out


def test_a_copy_is_checked_with_the_key_beside_it(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, "one")
    run("backup", "copy.db")
    (database.parent / KEY_FILE).unlink()
    assert run("check", "copy.db") == 0

    (tmp_path / "shell" / "copy.db.key").unlink()
    assert run("check", "copy.db") == 1
    assert "no secret key" in capsys.readouterr().out


def test_the_file_that_serve_was_told_of_may_be_named_here_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine" / "my.db"
    fill(mine, "one")
    (tmp_path / "my.env").write_text(f"KIRO_DB_PATH={mine}\n")

    assert told(capsys, "check", "--env-file", str(tmp_path / "my.env"))["path"] == str(mine)
