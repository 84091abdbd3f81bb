"""A database as the first release of the schema made it, with everything in it that there was."""

import asyncio
import shutil
import sqlite3
from pathlib import Path

from kiro2api.secrets import KeyRing
from kiro2api.store.engine import make_engine, use_write_ahead_log
from kiro2api.store.schema import CURRENT, Schema, bring_up_to_date
from tests.support.stores import SECRET_KEY

CONDITION = (
    b'{"standing":"drained","reason":"month used up","since":1.5,"until":9e9,"strikes":0,'
    b'"soft_strikes":0,"soft_until":0.0,"models":{"m":{"until":9e9,"reason":"unknown"}}}'
)
KEY_DIGEST = b"\x00digest of the generated key\xff"


def make_old_database(path: Path, scratch: Path) -> None:
    """Make the database at `path`: an IdC account that was rotated, one disabled, one removed."""
    folder = scratch / "first migrations"
    shutil.copytree(CURRENT.folder, folder, ignore=shutil.ignore_patterns("r0002*", "__pycache__"))
    asyncio.run(_make_tables(path, Schema(folder, ("0001",))))
    ring = KeyRing([SECRET_KEY])
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO facts VALUES ('key_check', ?), ('generated_key_digest', ?)",
        (ring.seal("key_check", row="facts", column="key_check"), KEY_DIGEST),
    )
    _add(connection, ring, "a1", kind="IdC", position=0)
    _add(connection, ring, "a2", kind="Social", position=1, enabled=False)
    _add(connection, ring, "a3", kind="Social", position=0, removed=True)
    connection.execute(
        "UPDATE accounts SET condition = ?, access_token = ?, access_expires_at = 7.5, version = 4,"
        " models = x'5b315d', models_fetched_at = 6.5 WHERE id = 'a1'",
        (CONDITION, ring.seal("bearer of a1", row="a1", column="access_token")),
    )
    connection.commit()
    connection.close()


async def _make_tables(path: Path, schema: Schema) -> None:
    path.touch(0o600)
    engine = make_engine(path, busy_timeout_s=1)
    await use_write_ahead_log(path, busy_timeout_s=1)
    await bring_up_to_date(engine, path, schema=schema, busy_timeout_s=1)
    await engine.dispose()


def _add(
    connection: sqlite3.Connection,
    ring: KeyRing,
    account_id: str,
    *,
    kind: str,
    position: int,
    enabled: bool = True,
    removed: bool = False,
) -> None:
    client_id, secret = ("id", "secret") if kind == "IdC" else ("", "")
    row = {
        "id": account_id,
        "name": f"name of {account_id}",
        "group_name": "pro",
        "position": position,
        "enabled": enabled,
        "configured": True,
        "removed": removed,
        "auth_kind": kind,
        "region": "eu-west-1",
        "client_id": client_id,
        "client_secret": ring.seal(secret, row=account_id, column="client_secret"),
        "refresh_token": ring.seal(
            f"rotated of {account_id}", row=account_id, column="refresh_token"
        ),
        "version": 1,
        "profile_arn": "arn:aws:x",
        "models": b"",
        "models_fetched_at": 0.0,
    }
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO accounts ({names}) VALUES ({marks})", row)
    parts = (kind, client_id, f"configured {account_id}")
    digest = ring.digest(
        "identity of an account", "\n".join(f"{len(part)}:{part}" for part in parts)
    )
    connection.execute(
        "INSERT INTO credential_digests VALUES (?, ?, ?)", (digest, account_id, False)
    )
