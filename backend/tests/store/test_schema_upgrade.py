"""A database of the first release, under the program of today."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from kiro2api.gateway.ports import AccessToken, StoredAccount, StoredKey
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.store.opening import Store
from kiro2api.store.schema import CURRENT, Upgrade
from tests.support.old_database import KEY_DIGEST, make_old_database
from tests.support.stores import idc, social, start, stored, with_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with accounts, sealed values, a verdict and a generated key."""
    path = tmp_path / "k.db"
    make_old_database(path, tmp_path)
    return path


async def _upgraded(store: Store) -> Upgrade | None:
    return store.upgrade


def test_its_accounts_are_there_with_their_secrets_and_verdicts(path: Path) -> None:
    first, second = stored(path)

    assert first == StoredAccount(
        id="a1",
        name="name of a1",
        group="pro",
        position=0,
        enabled=True,
        credential=Credential(
            AuthKind.IDC,
            "rotated of a1",
            client_id="id",
            client_secret="secret",
            region="eu-west-1",
        ),
        version=4,
        profile_arn="arn:aws:x",
        access_token=AccessToken("bearer of a1", 7.5),
        condition=Condition(
            Standing.DRAINED,
            reason="month used up",
            since=1.5,
            until=9e9,
            models={"m": ModelRefusal(until=9e9, reason="unknown")},
        ),
        models=b"[1]",
        models_fetched_at=6.5,
        source="configuration",
    )
    assert (second.id, second.enabled) == ("a2", False)


def test_what_had_left_the_configuration_stays_out_with_its_reason(path: Path) -> None:
    everybody = with_store(path, lambda s: s.accounts.all_accounts())

    assert [(a.id, a.removed) for a in everybody] == [
        ("a1", ""),
        ("a2", ""),
        ("a3", "removed from configuration"),
    ]


def test_its_entries_are_still_recognised_and_what_they_say_is_followed(path: Path) -> None:
    region = {"region": "eu-west-1"}
    one = idc("configured a1")
    one = msgspec.structs.replace(
        one,
        name="name of a1",
        group="pro",
        credential=msgspec.structs.replace(one.credential, **region),
    )
    two = social("configured a2", index=1, name="new name", group="pro", enabled=False)

    report = start(path, one, two)

    assert (report.kept, report.added, report.removed) == (("a1", "a2"), (), ())
    assert [account.name for account in stored(path)] == ["name of a1", "new name"]
    assert stored(path)[0].version == 4


def test_what_a_person_sets_after_the_upgrade_outlives_the_next_start(path: Path) -> None:
    with_store(path, lambda s: s.accounts.edit("a1", enabled=False))
    one = msgspec.structs.replace(idc("configured a1"), name="name of a1", group="pro")
    two = social("configured a2", index=1, name="name of a2", group="pro", enabled=False)

    start(path, one, two)

    assert stored(path)[0].enabled is False


def test_the_generated_key_still_opens_everything_and_is_the_key_default(path: Path) -> None:
    key = StoredKey(id="default", name="default", digest=KEY_DIGEST)

    assert with_store(path, lambda s: s.keys.keys()) == [key]
    assert with_store(path, lambda s: s.keys.generated_key_digest()) == KEY_DIGEST


def test_the_database_as_it_was_is_kept_beside_it(path: Path) -> None:
    upgrade = with_store(path, _upgraded)

    assert upgrade == Upgrade(
        before="0001", after=CURRENT.revisions[-1], backup=path.with_name("k.db.before-0002")
    )
    connection = sqlite3.connect(path.with_name("k.db.before-0002"))
    assert connection.execute("SELECT count(*) FROM accounts WHERE removed").fetchone() == (1,)
    connection.close()
