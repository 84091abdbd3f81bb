"""Files as other programs write them, with tokens of a length that real ones have."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

HASH = "0123456789abcdef0123456789abcdef01234567"
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/A"
EXPIRES = "2026-01-01T00:00:00.123456789Z"
EXPIRES_WALL = 1_767_225_600.123456


def long(token: str) -> str:
    """Return `token` made as long as the tokens of the service are."""
    return f"{token}-{'x' * 120}"


SOCIAL_TOKEN = {
    "access_token": "social-bearer",
    "refresh_token": long("social"),
    "expires_at": EXPIRES,
    "provider": "google",
    "profile_arn": ARN,
}
IDC_TOKEN = {
    "access_token": "idc-bearer",
    "refresh_token": long("idc"),
    "expires_at": EXPIRES,
    "region": "eu-west-1",
    "start_url": "https://acme.awsapps.com/start",
    "oauth_flow": "DeviceCode",
    "scopes": ["codewhisperer:completions"],
}
REGISTRATION = {
    "client_id": "client",
    "client_secret": "client-secret",
    "region": "eu-west-1",
    "oauth_flow": "DeviceCode",
}
EXTERNAL_TOKEN = {
    "access_token": "external-bearer",
    "refresh_token": "short-ones-are-fine",
    "expires_at": EXPIRES,
    "issuer_url": "https://acme.okta.com",
    "token_endpoint": "https://acme.okta.com/oauth2/v1/token",
    "client_id": "their-client",
    "scopes": ["openid", "offline_access"],
}


def write_cli_database(
    path: Path,
    values: Mapping[str, object],
    *,
    state: Mapping[str, object] | None = None,
    journal: str = "wal",
) -> sqlite3.Connection:
    """Write a database as kiro-cli does, and return the connection: close it when done."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    for table in ("auth_kv", "state"):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, value TEXT)")
    for key, value in values.items():
        put(connection, key, value)
    for key, value in (state or {}).items():
        put(connection, key, value, table="state")
    return connection


def put(connection: sqlite3.Connection, key: str, value: object, *, table: str = "auth_kv") -> None:
    """Write one value as the program that owns the database does."""
    connection.execute(f"REPLACE INTO {table} VALUES (?, ?)", (key, json.dumps(value)))


def write_ide_token(folder: Path, **members: object) -> Path:
    """Write a token file of the IDE, of a social login unless `members` say another."""
    entry = {
        "accessToken": "ide-bearer",
        "refreshToken": long("ide"),
        "expiresAt": "2026-01-01T00:00:00.000Z",
        "authMethod": "social",
        "provider": "Google",
        "profileArn": ARN,
    }
    path = folder / "kiro-auth-token.json"
    path.write_text(json.dumps(entry | members))
    return path
