"""The value of KIRO_AUTH_TOKEN: JSON or the path of a file."""

import json
from pathlib import Path

import pytest

from kiro2api.config import Installation
from kiro2api.errors import SetupError
from kiro2api.gateway.export import write_export
from kiro2api.gateway.intake import Intake
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.store.credential_files import load_accounts, read_file
from tests.support.fakes import stored_account
from tests.support.foreign_files import (
    ARN,
    SOCIAL_TOKEN,
    long,
    write_cli_database,
    write_ide_token,
)

ARRAY = '[{"auth":"Social","refreshToken":"your-token"}]'
HASH = "0123456789abcdef0123456789abcdef01234567"
CACHE_FILE = {"refreshToken": "your-token", "authMethod": "IdC", "clientIdHash": HASH}


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    """Return an installation in an empty folder."""
    return Installation(tmp_path, tmp_path, (tmp_path,))


@pytest.mark.parametrize("value", [ARRAY, f"\n  {ARRAY}\n", f"\ufeff{ARRAY}", ARRAY[1:-1]])
def test_json_is_read_as_it_stands(here: Installation, value: str) -> None:
    (entry,) = load_accounts(value, here).entries

    assert entry.credential == Credential(AuthKind.SOCIAL, "your-token")


@pytest.mark.parametrize("value", ["", "  "])
def test_nothing_gives_no_account(here: Installation, value: str) -> None:
    assert load_accounts(value, here) == Intake()


def test_a_path_gives_what_its_file_holds(here: Installation, tmp_path: Path) -> None:
    (tmp_path / "accounts.json").write_bytes(b"\xef\xbb\xbf" + ARRAY.encode())

    assert load_accounts(str(tmp_path / "accounts.json"), here) == load_accounts(ARRAY, here)


def test_a_relative_path_starts_at_the_installation(
    here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "accounts.json").write_text(ARRAY)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert len(load_accounts("accounts.json", here).entries) == 1


def test_a_tilde_is_the_home_of_the_user(
    here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cache = tmp_path / "home" / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    (cache / "kiro-auth-token.json").write_text('{"refreshToken":"t","authMethod":"social"}')

    (entry,) = load_accounts("~/.aws/sso/cache/kiro-auth-token.json", here).entries

    assert entry.credential == Credential(AuthKind.SOCIAL, "t")


def test_a_token_file_finds_its_registration_beside_it(here: Installation, tmp_path: Path) -> None:
    (tmp_path / "token.json").write_text(json.dumps(CACHE_FILE))
    (tmp_path / f"{HASH}.json").write_text('{"clientId":"id","clientSecret":"secret"}')

    (entry,) = load_accounts("token.json", here).entries

    assert (entry.credential.client_id, entry.credential.client_secret) == ("id", "secret")


def test_a_token_file_without_its_registration_is_reported(
    here: Installation, tmp_path: Path
) -> None:
    (tmp_path / "token.json").write_text(json.dumps(CACHE_FILE))

    assert f"{HASH}.json" in load_accounts("token.json", here).problems[0].reason


def test_the_default_region_reaches_the_entries(here: Installation) -> None:
    (entry,) = load_accounts(ARRAY, here, region="eu-west-1").entries

    assert entry.credential.region == "eu-west-1"


@pytest.mark.parametrize("value", ["planted-token", "planted/token", "p" * 5_000, "a\0b"])
def test_text_that_is_neither_stops_the_start_and_is_not_repeated(
    here: Installation, value: str
) -> None:
    with pytest.raises(SetupError) as failure:
        load_accounts(value, here)

    assert str(failure.value) == "KIRO_AUTH_TOKEN is neither JSON nor the path of an existing file."


def test_a_path_of_json_that_is_not_there_is_named(here: Installation, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="neither JSON nor") as failure:
        load_accounts("missing.json", here)

    assert str(tmp_path / "missing.json") in str(failure.value)


def test_broken_json_says_which_variable_holds_it(here: Installation) -> None:
    with pytest.raises(SetupError, match=r"^KIRO_AUTH_TOKEN cannot be used\. .*not valid JSON"):
        load_accounts('[{"auth":', here)


@pytest.mark.parametrize("content", [b"no json", b"\xff\xfe", b" " * 1_100_000, b"7"])
def test_a_file_that_cannot_be_used_is_named(
    here: Installation, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "accounts.json").write_bytes(content)

    with pytest.raises(SetupError, match=r"accounts\.json"):
        load_accounts("accounts.json", here)


def test_a_token_file_of_the_ide_brings_its_bearer(tmp_path: Path) -> None:
    intake = read_file(write_ide_token(tmp_path))

    (entry,) = intake.entries
    assert entry.name == "kiro-auth-token 1"
    assert entry.profile_arn == ARN
    assert intake.access_tokens[0].value == "ide-bearer"


def test_a_token_file_of_an_identity_centre_takes_the_registration_beside_it(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{HASH}.json").write_text('{"clientId":"id","clientSecret":"secret"}')
    path = write_ide_token(tmp_path, authMethod="IdC", provider="Enterprise", clientIdHash=HASH)

    (entry,) = read_file(path).entries

    assert (entry.credential.client_id, entry.credential.client_secret) == ("id", "secret")


@pytest.mark.parametrize("token", ["x" * 99, "x" * 200 + "..."])
def test_a_token_that_was_cut_off_is_refused(tmp_path: Path, token: str) -> None:
    (problem,) = read_file(write_ide_token(tmp_path, refreshToken=token)).problems

    assert "was cut off" in problem.reason


def test_a_token_of_a_hundred_characters_is_whole(tmp_path: Path) -> None:
    assert len(read_file(write_ide_token(tmp_path, refreshToken="x" * 100)).entries) == 1


def test_a_database_is_known_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "copy.json"
    write_cli_database(path, {"kirocli:social:token": SOCIAL_TOKEN}).close()

    (entry,) = read_file(path).entries

    assert entry.credential.refresh_token == SOCIAL_TOKEN["refresh_token"]


def test_accounts_of_a_manager_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    login = {"refreshToken": long("one"), "authMethod": "social"}
    path.write_text(
        json.dumps(
            {"accounts": [{"label": "work", "credentials": login}, {"kiroApiKey": "ksk_1"}, {}]}
        )
    )

    intake = read_file(path)

    assert [entry.name for entry in intake.entries] == ["work", "accounts 2"]
    assert [problem.index for problem in intake.problems] == [2]


def test_an_export_may_hold_tokens_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    account = stored_account(credential=Credential(AuthKind.SOCIAL, "short"))
    path.write_bytes(write_export([account], with_secrets=True))

    (entry,) = read_file(path).entries

    assert entry.credential.refresh_token == "short"


@pytest.mark.parametrize(
    ("content", "reason"), [("no json", "not valid JSON"), ("7", "array of entries")]
)
def test_a_file_that_holds_no_accounts_is_named(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(content)

    with pytest.raises(SetupError, match=f"accounts.json cannot be used.*{reason}"):
        read_file(path)
