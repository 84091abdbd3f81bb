"""The long-lived secret of an account, and the kinds of login that it comes from."""

from enum import StrEnum

import msgspec


class AuthKind(StrEnum):
    """How an account logged in; the words are those of `KIRO_AUTH_TOKEN`."""

    SOCIAL = "Social"
    IDC = "IdC"
    BUILDER_ID = "BuilderId"
    API_KEY = "ApiKey"
    EXTERNAL_IDP = "ExternalIdp"

    @property
    def token_type(self) -> str:
        """The value of the `tokentype` header beside a bearer of this kind; "" for no header."""
        return _TOKEN_TYPES.get(self, "")


_TOKEN_TYPES = {AuthKind.API_KEY: "API_KEY", AuthKind.EXTERNAL_IDP: "EXTERNAL_IDP"}


class Credential(msgspec.Struct, frozen=True):
    """An account's long-lived secret; what a kind does not have is "".

    `region` is that of the login. `client_id` and `client_secret` are the registration that a login
    of an identity centre belongs to; an external provider's login has the id, seldom the secret.
    `token_endpoint`, `issuer_url` and `scopes` are the external provider's. `start_url` and
    `provider` say where a person logged in, for people.
    """

    kind: AuthKind
    refresh_token: str = ""
    client_id: str = ""
    client_secret: str = ""
    region: str = "us-east-1"
    api_key: str = ""
    token_endpoint: str = ""
    issuer_url: str = ""
    scopes: tuple[str, ...] = ()
    start_url: str = ""
    provider: str = ""

    @property
    def token_type(self) -> str:
        """The value of the `tokentype` header beside this account's bearer; "" for no header."""
        return self.kind.token_type

    @property
    def refreshes(self) -> bool:
        """Tell whether access tokens are traded for it; an API key is the bearer itself."""
        return self.kind is not AuthKind.API_KEY

    def __repr__(self) -> str:
        """Name the kind alone: a secret must not reach a log by way of a repr."""
        return f"Credential({self.kind})"
