"""Accounts as rows."""

import sqlite3
from pathlib import Path

import pytest

from kiro2api import logs
from kiro2api.errors import StoreError
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from tests.support.stores import (
    idc,
    imported,
    new_database,
    rotated,
    social,
    start,
    stored,
    with_store,
)

SOURCES = Path(__file__).parents[2] / "src"
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/A"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an empty database."""
    return new_database(tmp_path / "k.db")


def test_both_parts_of_a_registration_come_back(path: Path) -> None:
    start(path, idc("token", "id", "secret"))

    assert stored(path)[0].credential == Credential(
        AuthKind.IDC, "token", client_id="id", client_secret="secret"
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts SET condition = '{'",
        "UPDATE accounts SET refresh_token = client_secret",
        "UPDATE accounts SET refresh_token = (SELECT refresh_token FROM accounts WHERE id = 'a2')",
    ],
)
def test_a_row_that_was_changed_by_hand_is_an_error(path: Path, change: str) -> None:
    start(path, idc("one"), idc("two", index=1))
    connection = sqlite3.connect(path)
    connection.execute(f"{change} WHERE id = 'a1'")
    connection.commit()
    connection.close()

    with pytest.raises(StoreError, match="a1"):
        stored(path)


def test_no_secret_is_in_the_repr_of_an_account(path: Path) -> None:
    start(path, idc("planted-token", client_secret="planted-secret"))
    rotated(path, "a1", "planted-rotated")

    assert "planted" not in repr(stored(path))


def test_every_secret_of_an_account_is_kept_out_of_the_log(path: Path) -> None:
    start(path, idc("token-of-no-known-shape", client_secret="secret-of-no-known-shape"))
    rotated(path, "a1", "rotated-of-no-known-shape")

    said = "token-of-no-known-shape secret-of-no-known-shape rotated-of-no-known-shape "
    said += "access for rotated-of-no-known-shape"

    assert "known-shape" not in logs.mask(said)


def test_secrets_that_were_only_read_are_kept_out_of_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(path, social("token-of-no-known-shape"))
    monkeypatch.setattr(logs, "_log", logs._Log())

    stored(path)

    assert "known-shape" not in logs.mask("token-of-no-known-shape")


def test_a_key_for_programs_is_sealed_and_kept_out_of_the_log(path: Path) -> None:
    key = "api-key-of-no-known-shape"
    new = imported("", credential=Credential(AuthKind.API_KEY, api_key=key))
    with_store(path, lambda s: s.accounts.add(new))

    assert stored(path)[0].credential.api_key == key
    assert key.encode() not in path.read_bytes()
    assert "known-shape" not in logs.mask(key)
