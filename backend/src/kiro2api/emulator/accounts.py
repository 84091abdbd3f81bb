"""The identities that the emulated service knows, and the tokens that it gave them."""

from enum import StrEnum

import msgspec

from kiro2api.emulator.clock import spell
from kiro2api.emulator.rates import RateLimit
from kiro2api.emulator.untyped import items, members, text

BUILDER_ID_PLACEHOLDER = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
SOCIAL_PLACEHOLDER = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
DAY_S = 86_400.0
PERIOD_DAYS = 30
_REGISTRATION_S = 90 * DAY_S


class AccountKind(StrEnum):
    """How an identity signs in."""

    SOCIAL = "social"
    BUILDER_ID = "builder_id"
    IDC = "idc"
    EXTERNAL_IDP = "external_idp"
    API_KEY = "api_key"


class AccountState(StrEnum):
    """Whether the service lets an identity work."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    NOT_ENTITLED = "not_entitled"
    REVOKED = "revoked"  # none of its tokens works any longer, nor will another


class Rotation(StrEnum):
    """What a refresh does to the refresh token."""

    STRICT = "strict"  # a new one, and the old one dies at once
    GRACE = "grace"  # a new one, and the old one works on for a while
    SAME = "same"  # the same one
    MISSING = "missing"  # none in the answer; the old one lives on


class ProfilePolicy(StrEnum):
    """Which profiles the generation calls of an account may name."""

    REQUIRED = "required"  # one, its own or the one that its kind borrows
    OPTIONAL = "optional"  # the same, or none
    OWN = "own"  # its own and no other
    OWN_OR_NONE = "own_or_none"
    UNCHECKED = "unchecked"


class ProfileShape(StrEnum):
    """How the answer to GetProfile is spelled."""

    NESTED = "nested"
    FLAT = "flat"


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account as tests define it; what is left empty is made up from its name."""

    name: str
    kind: AccountKind = AccountKind.SOCIAL
    refresh_token: str = ""
    client_id: str = ""
    client_secret: str = ""
    # For an API key account: the key. Else a first access token, valid for one lifetime.
    access_token: str = ""
    profile_arn: str | None = None
    access_lifetime_s: float = 3600.0
    rotation: Rotation = Rotation.STRICT
    grace_s: float = 60.0
    omits_profile_arn: bool = False
    refresh_latency_s: float = 0.01
    state: AccountState = AccountState.ACTIVE
    # Where it signed in; the region of the profile that is made up follows from it.
    region: str = "us-east-1"
    # The regions of the service that know it; None is all of them.
    regions: list[str] | None = None
    # None is the policy of the host, or of the demands in force.
    profile_policy: ProfilePolicy | None = None
    profile_shape: ProfileShape = ProfileShape.NESTED
    # How long its client registration is good from now on.
    registration_lifetime_s: float = _REGISTRATION_S
    # What an external provider was asked for, and wants to be asked for again.
    scopes: list[str] | None = None
    email: str = ""
    # Ids of the catalogue, or whole model objects for the answer; None is the default list.
    models: list[object] | None = None
    # At most so many models on one page, whatever was asked for; 0 is no limit of its own.
    models_page: int = 0
    # Members of the usage answer that replace the default ones; null removes one.
    usage: dict[str, object] | None = None
    # The answer of ListAvailableProfiles; None is what the service says to an account of the kind.
    profiles: list[object] | None = None
    credits_used: float = 0.0
    # None: 50 are told of, and nobody counts.
    credits_limit: float | None = None
    # What each call of the scripted model costs; None is as its script says.
    credits_per_call: float | None = None
    # Whether it may go on beyond its limit, and how far.
    overage: bool = False
    overage_cap: float = 10_000.0
    # When its credits are renewed, from now on; None is at the end of a period of days.
    resets_in_s: float | None = None
    rate: RateLimit | None = None


class Account:
    """One identity and its tokens; lives in a world until the next reset."""

    def __init__(self, spec: AccountSpec, *, now: float) -> None:
        self.spec = _completed(spec)
        self.refresh_tokens = [self.spec.refresh_token]
        self.access_tokens: list[str] = []
        # The clients that may refresh its tokens: the one of its definition, and those of logins.
        self.client_ids = {self.spec.client_id} - {""}
        # When each refresh token that was replaced stopped working.
        self.dead_since: dict[str, float] = {}
        self.credits_used = spec.credits_used
        self.resets_at = _period_end(spec, now=now)
        self.refreshes = 0
        self.refreshes_in_flight = 0
        self.max_parallel_refreshes = 0
        self.dead_token_uses = 0
        self.born_at = now

    @property
    def name(self) -> str:
        """The name by which tests speak of it."""
        return self.spec.name

    @property
    def profile_arn(self) -> str:
        """Its own profile; "" when it has none."""
        return self.spec.profile_arn or ""

    @property
    def profile_arns(self) -> set[str]:
        """Every profile that is its own."""
        listed = {text(members(profile).get("arn")) for profile in items(self.spec.profiles)}
        return (listed | {self.profile_arn}) - {""}

    @property
    def placeholder_arn(self) -> str:
        """The profile that the service lends to its kind when it has none of its own."""
        social = self.spec.kind is AccountKind.SOCIAL
        return SOCIAL_PLACEHOLDER if social else BUILDER_ID_PLACEHOLDER

    @property
    def refresh_token(self) -> str:
        """The refresh token that works now."""
        return self.refresh_tokens[-1]

    def change(self, changes: dict[str, object], *, now: float) -> None:
        """Replace members of the definition by those of `changes`; the tokens stay.

        Raises:
            msgspec.ValidationError: a member is unknown or of a wrong type.
        """
        merged = {**members(msgspec.to_builtins(self.spec)), **changes}
        self.spec = msgspec.convert(merged, AccountSpec)
        if "credits_used" in changes:
            self.credits_used = self.spec.credits_used
        if "resets_in_s" in changes:
            self.resets_at = _period_end(self.spec, now=now)

    def accepts_refresh_token(self, token: str, *, now: float) -> bool:
        """Tell whether `token` is its refresh token, or an older one that still works."""
        if token not in self.refresh_tokens:
            return False
        return self.dead_since.get(token, now + 1) > now

    def rotate(self, *, now: float, used: str = "") -> str:
        """Return the refresh token for the answer to a refresh by `used` (by default the newest).

        "" where none is given.
        """
        used = used or self.refresh_token
        match self.spec.rotation:
            case Rotation.MISSING:
                return ""
            case Rotation.SAME:
                return used
            case Rotation.STRICT | Rotation.GRACE:
                grace_s = self.spec.grace_s if self.spec.rotation is Rotation.GRACE else 0.0
                self.dead_since.setdefault(used, now + grace_s)
                return self.log_in()

    def log_in(self) -> str:
        """Return one more refresh token; the others live on."""
        source = f"{self.spec.refresh_token}:{len(self.refresh_tokens) + 1}"
        self.refresh_tokens.append(_refresh_token(source))
        return self.refresh_token


def _completed(spec: AccountSpec) -> AccountSpec:
    """Return `spec` with its empty members made up, always the same for the same name."""
    name = spec.name
    arn = spec.profile_arn
    if arn is None and spec.kind is not AccountKind.BUILDER_ID:
        account_number = str(int(spell(f"account {name}", length=10), 16))[:12].rjust(12, "7")
        profile = spell(f"profile {name}", length=12).upper()
        region = "eu-central-1" if spec.region.startswith("eu-") else "us-east-1"
        arn = f"arn:aws:codewhisperer:{region}:{account_number}:profile/{profile}"
    signs_in_with_client = spec.kind in (AccountKind.IDC, AccountKind.BUILDER_ID)
    has_client = signs_in_with_client or spec.kind is AccountKind.EXTERNAL_IDP
    made_key = "ksk_" + spell(f"key {name}", length=32)
    key = made_key if spec.kind is AccountKind.API_KEY else ""
    return msgspec.structs.replace(
        spec,
        refresh_token=spec.refresh_token or _refresh_token(name),
        client_id=spec.client_id or ("client-" + name if has_client else ""),
        client_secret=spec.client_secret
        or ("eyJ" + spell(f"secret {name}", length=60) if signs_in_with_client else ""),
        access_token=spec.access_token or key,
        profile_arn=arn or "",
        scopes=_PROVIDER_SCOPES if spec.scopes is None else spec.scopes,
        email=spec.email or f"{name}@example.com",
    )


_PROVIDER_SCOPES = ["api://kiro/codewhisperer:conversations", "offline_access"]


def _period_end(spec: AccountSpec, *, now: float) -> float:
    if spec.resets_in_s is not None:
        return now + spec.resets_in_s
    return float(int(now // DAY_S + PERIOD_DAYS) * DAY_S)


def _refresh_token(source: str) -> str:
    # Real ones are long; importers refuse shorter ones as cut copies.
    return "aor" + spell(f"refresh {source}", length=157)
