"""The long-lived secret of an account, and the kinds of login that it comes from."""

from enum import StrEnum

import msgspec


class AuthKind(StrEnum):
    """How an account logged in; the words are those of `KIRO_AUTH_TOKEN`."""

    SOCIAL = "Social"
    IDC = "IdC"


class Credential(msgspec.Struct, frozen=True):
    """An account's long-lived secret; `region` is that of the login."""

    kind: AuthKind
    refresh_token: str
    client_id: str = ""
    client_secret: str = ""
    region: str = "us-east-1"

    def __repr__(self) -> str:
        """Name the kind alone: a secret must not reach a log by way of a repr."""
        return f"Credential({self.kind})"
