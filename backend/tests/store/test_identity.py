"""How a login is recognised."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from kiro2api.gateway.ports import ConfiguredAccount
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from tests.support.stores import (
    idc,
    imported,
    new_database,
    refresh_tokens,
    rotated,
    social,
    start,
    with_store,
)

SOURCES = Path(__file__).parents[2] / "src"
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/A"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an empty database."""
    return new_database(tmp_path / "k.db")


def test_an_entry_with_the_current_token_is_the_account_too(path: Path) -> None:
    start(path, idc("configured"))
    rotated(path, "a1", "rotated")

    assert start(path, idc("rotated")).kept == ("a1",)


def test_an_entry_that_once_matched_matches_for_good(path: Path) -> None:
    start(path, social("configured"))
    rotated(path, "a1", "rotated")
    start(path, social("rotated"))
    rotated(path, "a1", "rotated again", version=2)

    assert start(path, social("rotated")).kept == ("a1",)
    assert start(path, social("configured")).kept == ("a1",)
    assert refresh_tokens(path) == ["rotated again"]


def test_a_token_that_was_only_passed_through_is_forgotten(path: Path) -> None:
    start(path, social("configured"))
    rotated(path, "a1", "first rotation")
    rotated(path, "a1", "second rotation", version=2)

    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM credential_digests").fetchone() == (2,)
    connection.close()


def test_a_rotation_that_keeps_the_token_loses_no_identity(path: Path) -> None:
    start(path, idc("same"))
    rotated(path, "a1", "same")
    rotated(path, "a1", "other", version=2)

    assert start(path, idc("same")).kept == ("a1",)


@pytest.mark.parametrize("other", [social("token"), idc("token", "other id"), idc("other token")])
def test_another_kind_client_or_token_is_another_account(
    path: Path, other: ConfiguredAccount
) -> None:
    report = start(path, idc("token"), msgspec.structs.replace(other, index=1))

    assert report.added == ("a1", "a2")


def test_parts_of_an_identity_do_not_run_into_each_other(path: Path) -> None:
    report = start(path, idc("c", "ab"), idc("bc", "a", index=1))

    assert report.added == ("a1", "a2")


def test_keys_for_programs_are_told_apart(path: Path) -> None:
    one, two = (imported("", credential=Credential(AuthKind.API_KEY, api_key=k)) for k in "ab")

    added = [with_store(path, lambda s, new=new: s.accounts.add(new)).id for new in (one, two, one)]

    assert added == ["a1", "a2", "a1"]
