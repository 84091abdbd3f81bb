"""Accounts out of files and into one, on a real store."""

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kiro2api.gateway.ports import NewAccount, StoredAccount
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from tests.support.commands import Commands
from tests.support.foreign_files import (
    EXTERNAL_TOKEN,
    IDC_TOKEN,
    REGISTRATION,
    SOCIAL_TOKEN,
    long,
    write_cli_database,
    write_ide_token,
)
from tests.support.stores import imported, rotated, stored, with_store


class Terminal(io.StringIO):
    """Standard input at which somebody types."""

    def isatty(self) -> bool:
        return True


def write(path: Path, *entries: object) -> str:
    path.write_text(json.dumps(entries))
    return str(path)


def entry(token: str, **more: object) -> dict[str, object]:
    return {"auth": "Social", "refreshToken": long(token), **more}


def outcomes(answer: Any) -> list[tuple[int, str]]:
    return [(result["entry"], result["outcome"]) for result in answer["results"]]


def test_a_token_file_of_the_ide_becomes_an_account(commands: Commands, tmp_path: Path) -> None:
    commands.run("accounts", "import", str(write_ide_token(tmp_path)))

    (account,) = stored(commands.database)
    assert account.credential.refresh_token == long("ide")
    assert (account.name, account.group, account.source) == (
        "kiro-auth-token 1",
        "default",
        "import",
    )
    assert account.access_token is not None


def test_every_login_of_a_running_kiro_cli_becomes_an_account(
    commands: Commands, tmp_path: Path
) -> None:
    values = {
        "kirocli:social:token": SOCIAL_TOKEN,
        "kirocli:odic:token": IDC_TOKEN,
        "kirocli:odic:device-registration": REGISTRATION,
        "kirocli:external-idp:token": EXTERNAL_TOKEN,
    }
    path = tmp_path / "data.sqlite3"
    with closing(write_cli_database(path, values)):
        answer = commands.json("accounts", "import", str(path))

    assert [result["kind"] for result in answer["results"]] == ["Social", "IdC", "ExternalIdp"]
    assert len(stored(commands.database)) == 3


def test_each_entry_has_its_own_result_and_a_wrong_one_costs_no_other(
    commands: Commands, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "a.json", entry("one", name="one"), {"auth": "Social"}, entry("two", name="two")
    )

    answer = commands.json("accounts", "import", file, code=1)

    assert outcomes(answer) == [(1, "added"), (2, "refused"), (3, "added")]
    assert answer["results"][1]["reason"] == "refreshToken is missing"
    assert [account.name for account in stored(commands.database)] == ["one", "two"]


def test_the_results_of_several_files_come_in_their_order(
    commands: Commands, tmp_path: Path
) -> None:
    second = write(tmp_path / "a.json", entry("one"))
    first = write(tmp_path / "b.json", entry("two"))
    missing = str(tmp_path / "missing.json")

    answer = commands.json("accounts", "import", first, missing, second, code=1)

    assert [Path(result["file"]).name for result in answer["results"]] == [
        "b.json",
        "missing.json",
        "a.json",
    ]
    assert "No such file" in answer["results"][1]["reason"]


def test_a_file_without_accounts_is_told(commands: Commands, tmp_path: Path) -> None:
    answer = commands.json("accounts", "import", write(tmp_path / "a.json"), code=1)

    assert answer["results"][0]["reason"] == "there is no account in it"


def test_a_truncated_token_is_refused_with_the_reason(commands: Commands, tmp_path: Path) -> None:
    path = write_ide_token(tmp_path, refreshToken="aor...")

    output = commands.run("accounts", "import", str(path), code=1)

    assert "refused" in output
    assert "was cut off" in output
    assert not commands.database.exists()


def test_importing_again_changes_nothing(commands: Commands, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", entry("one", name="one"))
    commands.run("accounts", "import", file)

    assert outcomes(commands.json("accounts", "import", file)) == [(1, "unchanged")]
    assert len(stored(commands.database)) == 1


def test_a_token_that_we_have_rotated_is_not_replaced_by_the_imported_one(
    commands: Commands, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.json", entry("one"))
    commands.run("accounts", "import", file)
    (account,) = stored(commands.database)
    assert rotated(commands.database, account.id, "rotated")

    commands.run("accounts", "import", file)

    assert stored(commands.database)[0].credential.refresh_token == "rotated"


def test_accounts_that_nobody_has_named_get_names_of_their_own(
    commands: Commands, tmp_path: Path
) -> None:
    for token in ("one", "two"):
        commands.run("accounts", "import", str(write_ide_token(tmp_path, refreshToken=long(token))))

    assert [account.name for account in stored(commands.database)] == [
        "kiro-auth-token 1",
        "kiro-auth-token 2",
    ]


def test_accounts_keep_the_names_that_their_file_gives_them(
    commands: Commands, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.json", entry("one", name="same"), entry("two", name="same"))
    commands.run("accounts", "import", file)

    assert [account.name for account in stored(commands.database)] == ["same", "same"]


def test_a_group_that_is_named_wins_over_the_files(commands: Commands, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", entry("one", group="other"))
    commands.run("accounts", "import", file, "--group", "pro")

    assert stored(commands.database)[0].group == "pro"


def test_a_group_that_cannot_be_is_wrong_usage(commands: Commands, tmp_path: Path) -> None:
    commands.run(
        "accounts", "import", write(tmp_path / "a.json", entry("one")), "--group", "api", code=2
    )

    assert "reserved" in commands.error


def test_no_output_has_a_secret_in_it(commands: Commands, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", entry("planted"), entry("planted", auth="nonsense"))

    output = commands.run("accounts", "import", file, code=1)
    output += commands.run("accounts", "import", file, "--json", code=1)

    assert "planted" not in output + commands.error


def test_a_file_that_is_named_twice_is_read_once(commands: Commands, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", entry("one"))

    assert outcomes(commands.json("accounts", "import", file, file)) == [(1, "added")]


# --------------------------------------------------------------------------------------- dry run


def test_a_dry_run_tells_what_an_import_would_do_and_does_nothing(
    commands: Commands, tmp_path: Path
) -> None:
    commands.run("accounts", "import", write(tmp_path / "a.json", entry("one")))
    before = stored(commands.database)
    file = write(tmp_path / "b.json", entry("one"), entry("two"), {})

    answer = commands.json("accounts", "import", file, "--dry-run", code=1)

    assert outcomes(answer) == [(1, "unchanged"), (2, "added"), (3, "refused")]
    assert answer["dry_run"] is True
    assert (answer["results"][0]["id"], answer["results"][1]["id"]) == (before[0].id, "")
    assert stored(commands.database) == before


def test_a_dry_run_makes_no_database(commands: Commands, tmp_path: Path) -> None:
    commands.run("accounts", "import", write(tmp_path / "a.json", entry("one")), "--dry-run")

    assert not commands.database.exists()


def test_a_dry_run_opens_a_database_whose_key_is_in_a_file(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KIRO_SECRET_KEY")
    file = write(tmp_path / "a.json", entry("one"))
    commands.run("accounts", "import", file)

    answer = commands.json("accounts", "import", file, "--dry-run")

    assert outcomes(answer) == [(1, "unchanged")]


# ---------------------------------------------------------------------------------------- follow


def test_an_account_that_follows_remembers_the_absolute_path(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ide_token(tmp_path)
    monkeypatch.chdir(tmp_path)
    commands.run("accounts", "import", path.name, "--follow")

    assert stored(commands.database)[0].source == f"follow:{path}"


def test_a_file_with_two_logins_of_a_kind_cannot_be_followed(
    commands: Commands, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.json", entry("one"), entry("two"))

    answer = commands.json("accounts", "import", file, "--follow", code=1)

    assert "several logins of one kind" in answer["results"][0]["reason"]
    assert not commands.database.exists()


@pytest.mark.parametrize("options", [(), ("--follow",), ("--dry-run",)])
def test_an_import_never_changes_the_file(
    commands: Commands, tmp_path: Path, options: tuple[str, ...]
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = folder / "data.sqlite3"
    write_cli_database(path, {"kirocli:social:token": SOCIAL_TOKEN}).close()
    before = {each.name: each.read_bytes() for each in folder.iterdir()}

    commands.run("accounts", "import", str(path), *options)

    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)


# ---------------------------------------------------------------------------------------- export

ACCOUNTS = [
    imported("one", name="one"),
    imported("two", name="two", group="pro", enabled=False, soft_cap=3),
    imported("", name="key", credential=Credential(AuthKind.API_KEY, api_key="ksk_something")),
    imported(
        "",
        name="idc",
        profile_arn="arn:aws:codewhisperer:eu-central-1:1:profile/A",
        credential=Credential(
            AuthKind.IDC,
            "three",
            client_id="id",
            client_secret="client-secret",
            region="eu-west-1",
            start_url="https://acme.awsapps.com/start",
        ),
    ),
]


def fill(commands: Commands, *accounts: NewAccount) -> None:
    for account in accounts:
        with_store(commands.database, lambda store, new=account: store.accounts.add(new))


def told(account: StoredAccount) -> tuple[object, ...]:
    return (
        account.name,
        account.group,
        account.position,
        account.enabled,
        account.credential,
        account.profile_arn,
        account.soft_cap,
    )


def test_an_export_with_secrets_brings_the_same_accounts_into_another_installation(
    commands: Commands, tmp_path: Path
) -> None:
    fill(commands, *ACCOUNTS)
    before = stored(commands.database)
    export = str(tmp_path / "export.json")
    commands.run("accounts", "export", export, "--with-secrets", "--yes")
    for path in commands.database.parent.iterdir():
        path.unlink()

    commands.run("accounts", "import", export)

    assert list(map(told, stored(commands.database))) == list(map(told, before))
    again = commands.run("accounts", "export", "-", "--with-secrets", "--yes")
    assert again == Path(export).read_text()


def test_an_export_is_for_its_owner_alone(commands: Commands, tmp_path: Path) -> None:
    fill(commands, *ACCOUNTS)
    path = tmp_path / "export.json"
    commands.run("accounts", "export", str(path))

    assert path.stat().st_mode & 0o777 == 0o600


def test_an_export_has_no_secret_unless_it_is_asked_for(commands: Commands) -> None:
    fill(commands, *ACCOUNTS)

    text = commands.run("accounts", "export", "-")

    assert [one["name"] for one in json.loads(text)["accounts"]] == ["one", "two", "key", "idc"]
    for secret in ("ksk_something", "client-secret", "refreshToken"):
        assert secret not in text


def test_an_export_without_secrets_is_refused_entry_by_entry(
    commands: Commands, tmp_path: Path
) -> None:
    fill(commands, *ACCOUNTS)
    export = str(tmp_path / "export.json")
    commands.run("accounts", "export", export)

    answer = commands.json("accounts", "import", export, code=1)

    assert {result["outcome"] for result in answer["results"]} == {"refused"}


def test_an_export_never_replaces_a_file(commands: Commands, tmp_path: Path) -> None:
    fill(commands, *ACCOUNTS)
    path = tmp_path / "export.json"
    path.write_text("precious")

    commands.run("accounts", "export", str(path), code=2)

    assert path.read_text() == "precious"


def test_secrets_are_not_written_without_a_terminal_or_a_yes(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(commands, *ACCOUNTS)
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    path = tmp_path / "export.json"

    commands.run("accounts", "export", str(path), "--with-secrets", code=2)

    assert not path.exists()
    assert "--yes" in commands.error


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("y\n", 1), ("no\n", 1), ("", 1)])
def test_secrets_are_written_when_a_person_types_yes(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    fill(commands, *ACCOUNTS)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    path = tmp_path / "export.json"

    commands.run("accounts", "export", str(path), "--with-secrets", code=code)

    assert path.exists() == (code == 0)


def test_an_export_needs_a_database(commands: Commands) -> None:
    commands.run("accounts", "export", "-", code=78)

    assert "There is no database" in commands.error
