"""Accounts that a person brings, and those that turn out to be one."""

from pathlib import Path

import msgspec
import pytest

from kiro2api.gateway.ports import AccessToken, Added, NewAccount, Outcome, StoredAccount
from kiro2api.pool.account import Condition, Standing
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

NEEDS_LOGIN = Condition(Standing.NEEDS_LOGIN, reason="refused", since=1.0)
DRAINED = Condition(Standing.DRAINED, reason="month used up", since=1.0, until=9e9)
EVERYTHING = Credential(
    AuthKind.EXTERNAL_IDP,
    "token",
    client_id="id",
    client_secret="secret",
    region="eu-central-1",
    token_endpoint="https://login.example/token",
    issuer_url="https://login.example",
    scopes=("openid", "offline_access"),
    start_url="https://start.example",
    provider="Example",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an empty database."""
    return new_database(tmp_path / "k.db")


def add(path: Path, new: NewAccount) -> Added:
    return with_store(path, lambda s: s.accounts.add(new))


def only(path: Path) -> StoredAccount:
    (account,) = stored(path)
    return account


def judge(path: Path, account_id: str, condition: Condition) -> None:
    with_store(path, lambda s: s.accounts.save_condition(account_id, condition))


def note_user(path: Path, account_id: str, user: str = "user-1") -> str | None:
    return with_store(path, lambda s: s.accounts.set_user_id(account_id, user))


@pytest.mark.parametrize(
    "credential",
    [EVERYTHING, Credential(AuthKind.API_KEY, api_key="ksk_planted")],
    ids=["external", "key"],
)
def test_a_new_account_is_in_the_pool_with_all_that_it_came_with(
    path: Path, credential: Credential
) -> None:
    start(path, social("one"))
    token = AccessToken("bearer", 5.5)
    new = NewAccount(
        name="mine",
        group="pro",
        enabled=False,
        credential=credential,
        profile_arn="arn:aws:x",
        source="login",
        access_token=token,
    )

    assert add(path, new) == Added("a2", Outcome.ADDED)
    assert stored(path)[1] == StoredAccount(
        id="a2",
        name="mine",
        group="pro",
        position=1,
        enabled=False,
        credential=credential,
        version=1,
        profile_arn="arn:aws:x",
        access_token=token,
        source="login",
    )


def test_a_start_leaves_accounts_of_other_sources_alone(path: Path) -> None:
    start(path, social("one"))
    add(path, imported("two"))

    report = start(path)

    assert report.removed == ("a1",)
    assert [account.id for account in stored(path)] == ["a2"]


def test_the_same_login_again_changes_nothing(path: Path) -> None:
    add(path, imported("one"))
    before = only(path)

    assert add(path, imported("one", name="other", group="pro")) == Added("a1", Outcome.UNCHANGED)
    assert only(path) == before


def test_an_older_token_of_an_account_leaves_its_newer_one(path: Path) -> None:
    add(path, imported("one"))
    rotated(path, "a1", "rotated")

    assert add(path, imported("one")).outcome is Outcome.UNCHANGED
    assert only(path).credential.refresh_token == "rotated"


def test_an_older_token_is_tried_when_the_newer_one_was_refused(path: Path) -> None:
    add(path, imported("one"))
    rotated(path, "a1", "rotated")
    judge(path, "a1", NEEDS_LOGIN)

    assert add(path, imported("one")).outcome is Outcome.UPDATED
    account = only(path)
    assert account.credential.refresh_token == "one"
    assert (account.condition, account.access_token, account.version) == (None, None, 3)


def test_a_better_registration_is_taken_over_and_ends_the_verdict_it_caused(path: Path) -> None:
    start(path, idc("one", client_secret="wrong"))
    judge(path, "a1", NEEDS_LOGIN)
    right = idc("one", client_secret="right").credential

    assert add(path, imported("", credential=right)).outcome is Outcome.UPDATED
    assert only(path).credential == right
    assert only(path).condition is None


def test_other_verdicts_outlive_an_update(path: Path) -> None:
    start(path, idc("one", client_secret="wrong"))
    judge(path, "a1", DRAINED)

    add(path, imported("", credential=idc("one", client_secret="right").credential))

    assert only(path).condition == DRAINED


def test_an_access_token_that_lives_longer_is_taken_and_a_shorter_one_is_not(path: Path) -> None:
    add(path, imported("one", access_token=AccessToken("first", 100.0)))

    longer = imported("one", access_token=AccessToken("second", 200.0))
    assert add(path, longer).outcome is Outcome.UPDATED
    shorter = imported("one", access_token=AccessToken("third", 150.0))
    assert add(path, shorter).outcome is Outcome.UNCHANGED
    assert only(path).access_token == AccessToken("second", 200.0)
    assert only(path).version == 2


def test_a_profile_that_is_told_replaces_the_old_one_and_its_route(path: Path) -> None:
    add(path, imported("one", profile_arn="arn:aws:old"))
    with_store(path, lambda s: s.accounts.save_route("a1", "own/rest"))

    assert add(path, imported("one", profile_arn="arn:aws:new")).outcome is Outcome.UPDATED
    assert (only(path).profile_arn, only(path).route) == ("arn:aws:new", "")


def test_a_removed_account_comes_back_as_it_is_brought(path: Path) -> None:
    add(path, imported("one"))
    add(path, imported("two"))
    with_store(path, lambda s: s.accounts.remove("a1", "tidied up"))

    assert add(path, imported("one", name="again", group="pro")) == Added("a1", Outcome.ADDED)
    account = stored(path)[1]
    assert (account.id, account.name, account.group, account.removed) == ("a1", "again", "pro", "")


def test_a_configured_account_that_is_imported_outlives_its_entry(path: Path) -> None:
    start(path, social("one"))
    add(path, imported("one"))

    assert start(path).removed == ()
    assert only(path).source == "import"


def test_a_builder_id_login_is_recognised_under_either_name(path: Path) -> None:
    start(path, idc("one"))
    login = msgspec.structs.replace(idc("one").credential, kind=AuthKind.BUILDER_ID)

    assert add(path, imported("", credential=login)).outcome is Outcome.UNCHANGED


def test_a_followed_file_with_a_new_token_is_still_the_same_account(path: Path) -> None:
    add(path, imported("one", source="follow:/home/me/data.sqlite3"))
    judge(path, "a1", NEEDS_LOGIN)

    newer = imported("two", source="follow:/home/me/data.sqlite3")
    assert add(path, newer) == Added("a1", Outcome.UPDATED)
    assert only(path).credential.refresh_token == "two"
    assert only(path).condition is None


@pytest.mark.parametrize(
    "other",
    [
        imported("two", source="follow:/home/other/data.sqlite3"),
        imported("two"),
        imported("", credential=idc("two").credential, source="follow:/home/me/data.sqlite3"),
    ],
    ids=["other file", "no file", "other kind"],
)
def test_what_is_not_the_followed_login_is_another_account(path: Path, other: NewAccount) -> None:
    add(path, imported("one", source="follow:/home/me/data.sqlite3"))

    assert add(path, other).outcome is Outcome.ADDED
    assert len(stored(path)) == 2


def test_the_user_of_an_account_is_kept_as_a_digest(path: Path) -> None:
    start(path, social("one"))

    assert note_user(path, "a1", "d-planted.user") is None
    assert len(only(path).user_id) == 64
    assert b"planted" not in path.read_bytes()


def test_two_accounts_of_one_user_become_one(path: Path) -> None:
    start(path, social("one"), social("two", index=1))

    assert note_user(path, "a1") is None
    assert note_user(path, "a2") == "a1"
    everybody = with_store(path, lambda s: s.accounts.all_accounts())
    assert [(a.id, a.removed) for a in everybody] == [
        ("a1", ""),
        ("a2", "the same user as account 1"),
    ]
    assert only(path).credential.refresh_token == "one"


def test_both_entries_of_one_user_are_one_account_at_the_next_start(path: Path) -> None:
    entries = (social("one"), social("two", index=1))
    start(path, *entries)
    note_user(path, "a1")
    note_user(path, "a2")

    report = start(path, *entries)

    assert (report.kept, report.added, report.duplicates) == (("a1",), (), (1,))
    assert start(path, social("two")).kept == ("a1",)


def test_an_account_whose_login_was_refused_goes_on_with_that_of_its_twin(path: Path) -> None:
    start(path, social("one"))
    note_user(path, "a1")
    judge(path, "a1", NEEDS_LOGIN)
    token = AccessToken("bearer", 5.5)
    add(path, imported("", credential=idc("two").credential, access_token=token))

    assert note_user(path, "a2") == "a1"
    account = only(path)
    assert account.credential == idc("two").credential
    assert (account.access_token, account.condition, account.version) == (token, None, 2)


def test_accounts_of_other_users_and_groups_stay_apart(path: Path) -> None:
    start(path, social("one"), social("two", index=1), social("three", index=2, group="pro"))
    note_user(path, "a1")

    assert note_user(path, "a2", "user-2") is None
    assert note_user(path, "a3") is None
    assert len(stored(path)) == 3


def test_a_disabled_account_takes_nothing_in(path: Path) -> None:
    start(path, social("one", enabled=False), social("two", index=1))
    note_user(path, "a1")

    assert note_user(path, "a2") is None
    assert len(stored(path)) == 2


def test_the_user_of_a_removed_account_is_not_noted(path: Path) -> None:
    start(path, social("one"))
    start(path)

    assert note_user(path, "a1") is None
    (account,) = with_store(path, lambda s: s.accounts.all_accounts())
    assert account.user_id == ""


def test_a_user_is_recognised_after_the_secret_key_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "with a key file.db"
    with_store(path, lambda s: s.accounts.sync_configured([social("one")]), secret_key="")
    with_store(path, lambda s: s.accounts.set_user_id("a1", "user-1"), secret_key="")

    add(path, imported("two"))

    assert note_user(path, "a2") == "a1"
