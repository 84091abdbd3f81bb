"""What the emulated service saw: each request with its secrets taken out, and what was wrong."""

from urllib.parse import parse_qsl

import msgspec

from kiro2api.emulator.exchange import Request
from kiro2api.emulator.untyped import parse

_SECRET_HEADERS = frozenset(("authorization", "cookie", "proxy-authorization"))


class Record(msgspec.Struct, kw_only=True):
    """One request and the fate of its answer; filled in as things happen."""

    id: int
    # The emulator's clock, and the machine's monotonic one, which all processes share.
    at: float
    monotonic_s: float
    operation: str
    method: str
    path: str
    # The virtual host; "" when the address named none.
    host: str = ""
    query: dict[str, str]
    headers: dict[str, str]
    body: object
    body_bytes: int
    http_version: str
    connection: int
    account: str = ""
    model: str = ""
    # The name of the check that refused it; "" when none did.
    rule: str = ""
    behaviour: str = ""
    status: int = 0
    sent_bytes: int = 0
    closed_early: bool = False
    ended_at_monotonic_s: float | None = None


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a good client of the service never does."""

    rule: str
    message: str
    record: int


class Redactor:
    """Replaces each secret that the world has given out by words that say which one it was."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def learn(self, secret: str, words: str) -> None:
        """Replace `secret` by `[words]` from now on."""
        if secret:
            self._words[secret] = f"[{words}]"

    def text(self, value: str) -> str:
        """Return `value`, replaced when it is a known secret."""
        return self._words.get(value, value)

    def header(self, name: str, value: str) -> str:
        """Return the value of a header without what is secret in it."""
        if name not in _SECRET_HEADERS:
            return value
        scheme, _, credential = value.partition(" ")
        return f"{scheme} {self._words.get(credential, '[unknown]')}" if credential else "[unknown]"

    def body(self, request: Request) -> object:
        """Return the body of `request`: as JSON where it is JSON, else as text."""
        value = parse(request.body)
        of_provider = request.path.startswith(PROVIDER_PATHS)
        if value is None:
            spelled = request.body.decode("utf-8", "replace")
            # Providers are asked in forms.
            return self._clean(dict(parse_qsl(spelled))) if of_provider else spelled
        return self._clean(value) if of_provider or request.path in SIGN_IN_PATHS else value

    def _clean(self, value: object) -> object:
        if isinstance(value, dict):
            return {
                key: "[unknown]"
                if key in _SECRET_MEMBERS and isinstance(child, str) and child not in self._words
                else self._clean(child)
                for key, child in value.items()
            }
        return self.text(value) if isinstance(value, str) else value


SIGN_IN_PATHS = frozenset(
    ("/refreshToken", "/token", "/oauth/token", "/client/register", "/device_authorization")
)
PROVIDER_PATHS = "/idp/"
_SECRET_MEMBERS = frozenset(
    (
        *("refreshToken", "clientSecret", "deviceCode", "code", "codeVerifier"),
        *("refresh_token", "client_secret", "device_code", "code_verifier"),
    )
)
