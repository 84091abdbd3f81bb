"""The database of kiro-cli: read whatever its program does with it, and never changed."""

import os
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from kiro2api.errors import SetupError
from kiro2api.gateway.intake import Reading, read_entries
from kiro2api.gateway.ports import AccessToken, ConfiguredAccount
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.store.kiro_cli import is_database, read_database, stamps
from tests.support.foreign_files import (
    ARN,
    EXPIRES_WALL,
    EXTERNAL_TOKEN,
    IDC_TOKEN,
    REGISTRATION,
    SOCIAL_TOKEN,
    put,
    write_cli_database,
)

SOCIAL_KEY = "kirocli:social:token"
STATE = {"api.codewhisperer.profile": {"arn": ARN, "profile_name": "A"}}
ALL = {
    SOCIAL_KEY: SOCIAL_TOKEN,
    "kirocli:odic:token": IDC_TOKEN,
    "kirocli:odic:device-registration": REGISTRATION,
    "kirocli:external-idp:token": EXTERNAL_TOKEN,
    "unrelated": "no object",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is, in a folder of its own with a name that needs quoting."""
    folder = tmp_path / "kiro cli ?#%20"
    folder.mkdir()
    return folder / "data.sqlite3"


def closed(path: Path, values: Mapping[str, object] = ALL, **options: object) -> Path:
    """Write the database and end the program that owns it."""
    write_cli_database(path, values, state=STATE, **options).close()  # type: ignore[arg-type]
    return path


def accounts(path: Path) -> list[ConfiguredAccount]:
    intake = read_entries(read_database(path), Reading())
    assert intake.problems == ()
    return list(intake.entries)


def files(path: Path) -> dict[str, bytes]:
    """Return what is in the folder of the database."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


def test_each_kind_of_login_is_found_with_all_that_its_refresh_needs(path: Path) -> None:
    social, idc, external = accounts(closed(path))

    assert social.credential == Credential(
        AuthKind.SOCIAL, SOCIAL_TOKEN["refresh_token"], provider="google"
    )
    assert idc.credential == Credential(
        AuthKind.IDC,
        str(IDC_TOKEN["refresh_token"]),
        client_id="client",
        client_secret="client-secret",
        region="eu-west-1",
        start_url="https://acme.awsapps.com/start",
    )
    assert external.credential == Credential(
        AuthKind.EXTERNAL_IDP,
        "short-ones-are-fine",
        client_id="their-client",
        token_endpoint="https://acme.okta.com/oauth2/v1/token",
        issuer_url="https://acme.okta.com",
        scopes=("openid", "offline_access"),
    )


def test_the_chosen_profile_belongs_to_logins_that_name_none(path: Path) -> None:
    assert [account.profile_arn for account in accounts(closed(path))] == [ARN, ARN, ARN]


def test_the_bearers_come_along_with_their_ends(path: Path) -> None:
    intake = read_entries(read_database(closed(path)), Reading())

    assert intake.access_tokens[1] == AccessToken("idc-bearer", EXPIRES_WALL)


def test_the_older_names_of_the_program_are_known(path: Path) -> None:
    renamed = {key.replace("kirocli", "codewhisperer"): value for key, value in ALL.items()}

    assert [account.credential.kind for account in accounts(closed(path, renamed))][:2] == [
        AuthKind.SOCIAL,
        AuthKind.IDC,
    ]


def test_a_login_under_its_present_name_wins_over_the_one_left_behind(path: Path) -> None:
    old = SOCIAL_TOKEN | {"refresh_token": "left-behind"}
    closed(path, {"codewhisperer:social:token": old, SOCIAL_KEY: SOCIAL_TOKEN})

    (account,) = accounts(path)

    assert account.credential.refresh_token == SOCIAL_TOKEN["refresh_token"]


def test_a_registration_of_another_flow_is_not_taken_for_the_logins_own(path: Path) -> None:
    registration = REGISTRATION | {"oauth_flow": "Pkce"}
    closed(path, ALL | {"kirocli:odic:device-registration": registration})

    intake = read_entries(read_database(path), Reading())

    assert [problem.reason for problem in intake.problems] == [
        "clientId is missing, which auth IdC needs"
    ]


def test_flows_that_differ_in_case_alone_are_one(path: Path) -> None:
    flows = {
        "kirocli:odic:token": IDC_TOKEN | {"oauth_flow": "PKCE"},
        "kirocli:odic:device-registration": REGISTRATION | {"oauth_flow": "Pkce"},
    }

    assert accounts(closed(path, flows))[0].credential.client_id == "client"


def test_what_the_running_program_has_only_in_its_log_is_read(path: Path) -> None:
    with closing(write_cli_database(path, {SOCIAL_KEY: SOCIAL_TOKEN})) as program:
        put(program, SOCIAL_KEY, SOCIAL_TOKEN | {"refresh_token": "rotated"})

        assert accounts(path)[0].credential.refresh_token == "rotated"


def test_a_change_that_is_not_committed_is_not_seen_and_not_waited_for(path: Path) -> None:
    with closing(write_cli_database(path, {SOCIAL_KEY: SOCIAL_TOKEN})) as program:
        program.execute("BEGIN EXCLUSIVE")
        put(program, SOCIAL_KEY, SOCIAL_TOKEN | {"refresh_token": "not yet"})

        assert accounts(path)[0].credential.refresh_token == SOCIAL_TOKEN["refresh_token"]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_reading_a_database_at_rest_changes_and_adds_no_file(path: Path, journal: str) -> None:
    closed(path, journal=journal)
    before = files(path)

    accounts(path)

    assert files(path) == before


def test_reading_a_live_database_changes_and_adds_no_file(path: Path) -> None:
    with closing(write_cli_database(path, ALL)):
        before = files(path)

        accounts(path)

        assert files(path) == before
        assert set(before) == {"data.sqlite3", "data.sqlite3-wal", "data.sqlite3-shm"}


def test_a_database_in_a_folder_that_may_only_be_read_can_be_read(path: Path) -> None:
    closed(path)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert len(accounts(path)) == 3
    finally:
        path.parent.chmod(0o700)


def test_a_database_that_is_written_to_all_the_while_is_read_whole(path: Path) -> None:
    stop = threading.Event()
    with closing(write_cli_database(path, ALL)) as program:
        program.execute("PRAGMA wal_autocheckpoint = 50")

        def write() -> None:
            number = 0
            while not stop.wait(0.002):
                number += 1
                put(program, SOCIAL_KEY, SOCIAL_TOKEN | {"refresh_token": f"token-{number}"})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(10):
                assert len(accounts(path)) == 3
        finally:
            stop.set()
            writer.join()


def test_the_stamps_change_with_what_is_written(path: Path) -> None:
    with closing(write_cli_database(path, {SOCIAL_KEY: SOCIAL_TOKEN})) as program:
        before = stamps(path)
        assert stamps(path) == before

        put(program, SOCIAL_KEY, SOCIAL_TOKEN | {"refresh_token": "rotated"})

        assert stamps(path) != before


def test_a_database_of_another_program_is_named_as_one(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (a)")

    with pytest.raises(SetupError, match="no table auth_kv"):
        read_database(path)


def test_a_damaged_database_is_reported(path: Path) -> None:
    closed(path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(4000))

    with pytest.raises(SetupError, match="cannot be read"):
        read_database(path)


@pytest.mark.parametrize("value", ["no json", "[]", "7", "null", ""])
def test_a_value_that_is_no_object_is_a_login_without_a_token(path: Path, value: str) -> None:
    with closing(write_cli_database(path, {})) as program:
        program.execute("INSERT INTO auth_kv VALUES (?, ?)", (SOCIAL_KEY, value))

    (problem,) = read_entries(read_database(path), Reading()).problems

    assert problem.reason == "refreshToken is missing"


def test_a_database_is_told_by_its_first_bytes(path: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("SQLite")

    assert is_database(closed(path))
    assert not is_database(tmp_path / "text")


def test_a_file_that_is_not_there_is_reported(path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        is_database(path)
