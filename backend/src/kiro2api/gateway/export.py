"""Accounts as a file that another installation of this program takes in."""

from collections.abc import Sequence
from datetime import UTC, datetime

from kiro2api.gateway.ports import StoredAccount
from kiro2api.protocol.wire import json

FORMAT = "kiro2api accounts 1"


def write_export(accounts: Sequence[StoredAccount], *, with_secrets: bool) -> bytes:
    """Return the accounts as JSON, in their order; the logins themselves only `with_secrets`.

    What was found out about an account (verdicts, credits, models) is not in it: the next
    installation finds that out for itself.
    """
    entries = [_entry(account, with_secrets=with_secrets) for account in accounts]
    return json.encode({"format": FORMAT, "secrets": with_secrets, "accounts": entries})


def is_export(document: object) -> bool:
    """Tell whether decoded JSON is what `write_export` gives."""
    return isinstance(document, dict) and document.get("format") == FORMAT


def _entry(account: StoredAccount, *, with_secrets: bool) -> dict[str, object]:
    """Return the members that say something, in the words of the intake."""
    login = account.credential
    entry: dict[str, object] = {
        "auth": login.kind,
        "name": account.name,
        "group": account.group,
        "disabled": not account.enabled,
        "softCap": account.soft_cap,
        "region": login.region,
        "profileArn": account.profile_arn,
        "provider": login.provider,
        "startUrl": login.start_url,
        "issuerUrl": login.issuer_url,
        "tokenEndpoint": login.token_endpoint,
        "scopes": login.scopes,
        "clientId": login.client_id,
    }
    if with_secrets:
        entry |= {
            "refreshToken": login.refresh_token,
            "clientSecret": login.client_secret,
            "apiKey": login.api_key,
        }
        if account.access_token is not None:
            entry |= {
                "accessToken": account.access_token.value,
                "expiresAt": _date(account.access_token.expires_at),
            }
    return {
        name: value
        for name, value in entry.items()
        if value not in ("", (), 0) or name == "disabled"
    }


def _date(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="microseconds")
