"""What the sign-in services remember between the steps of a login, and who is at the browser."""

import base64
from enum import StrEnum
from hashlib import sha256

import msgspec

_DAY_S = 86_400.0


class Service(StrEnum):
    """Who gives tokens."""

    SOCIAL = "social"
    OIDC = "oidc"
    PROVIDER = "provider"  # the identity provider of somebody else


class Consent(StrEnum):
    """What a person answers when asked to let a client in."""

    APPROVE = "approve"
    DENY = "deny"


class SignInSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the sign-in services behave.

    With a `person`, the name of an account, that one is at the browser: every page that is opened
    and every device that asks gets the answer `consent` without anybody else doing a thing.
    """

    person: str = ""
    consent: Consent = Consent.APPROVE
    # How often a device is told to wait although the person has answered.
    pending_polls: int = 0
    device_interval_s: float = 1.0
    device_lifetime_s: float = 600.0
    code_lifetime_s: float = 300.0
    registration_lifetime_s: float = 90 * _DAY_S


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One client that may sign people in; `region` is "" where it counts everywhere."""

    client_id: str
    client_secret: str
    expires_at: float
    region: str = ""
    redirect_uris: tuple[str, ...] = ()


class Device(msgspec.Struct, kw_only=True):
    """One device that waits for a person; changed by polls and by what the person does."""

    device_code: str
    user_code: str
    client_id: str
    start_url: str
    region: str
    expires_at: float
    interval_s: float
    pending_polls: int
    polled_at: float | None = None
    account: str = ""
    denied: bool = False


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """One authorization code: what it was given for, and how its bearer proves who he is."""

    service: Service
    account: str
    client_id: str
    redirect_uri: str
    challenge: str
    expires_at: float


class Logins:
    """The logins under way; one per world and reset."""

    def __init__(self) -> None:
        self.settings = SignInSettings()
        self.registrations: dict[str, Registration] = {}
        self.devices: dict[str, Device] = {}
        self.codes: dict[str, Code] = {}

    def device_of(self, user_code: str) -> Device | None:
        """Return the device that shows this code; None when none does."""
        wanted = user_code.replace("-", "").upper()
        for device in self.devices.values():
            if device.user_code.replace("-", "") == wanted:
                return device
        return None

    def knows(self, client_id: str, client_secret: str, *, region: str, now: float) -> bool:
        """Tell whether that pair is a registration of the region that has not expired."""
        found = self.registrations.get(client_id)
        if found is None or found.client_secret != client_secret or found.expires_at <= now:
            return False
        return not (found.region and region) or found.region == region

    def take_code(self, code: str) -> Code | None:
        """Return what `code` was given for, and forget it: it works once."""
        return self.codes.pop(code, None)


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier."""
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
