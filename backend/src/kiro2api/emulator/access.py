"""Who sends a request, and whether the service lets him: checks that come before the body's."""

import re

import msgspec

from kiro2api.emulator.accounts import Account, AccountKind, AccountState, ProfilePolicy
from kiro2api.emulator.errors_table import REFUSALS, Refusal
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import ANY_HOST, Host, HostKind
from kiro2api.emulator.world import World

_TOKEN_TYPES = {AccountKind.API_KEY: "API_KEY", AccountKind.EXTERNAL_IDP: "EXTERNAL_IDP"}
_ARN = re.compile(
    r"arn:aws:(?:codewhisperer|transform):(?P<region>[a-z0-9-]+):\d{12}:profile/[A-Za-z0-9]{12}"
)


class Denied(msgspec.Struct, frozen=True):
    """Why a request is not let in, and which check said so."""

    rule: str
    refusal: Refusal


def sender(world: World, request: Request) -> Account | None:
    """Return the account whose access token the request carries, valid or not.

    Where nobody checks tokens, strangers are taken for the first account.
    """
    held = world.access_tokens.get(_bearer(request))
    if held is not None:
        return held.account
    return None if world.rules.demands("R2") else next(iter(world.accounts.values()), None)


def deny(world: World, request: Request) -> Denied | None:
    """Return why the sender is not let in; None when he is."""
    rules = world.rules
    held = world.access_tokens.get(_bearer(request))
    if held is None:
        return Denied("R2", REFUSALS["bearer_invalid"]) if rules.demands("R2") else None
    account = held.account
    wanted_type = _TOKEN_TYPES.get(account.spec.kind)
    token_type = request.headers.get("tokentype", "").upper() or None
    if rules.demands("R4") and wanted_type != token_type:
        return Denied("R4", REFUSALS["bearer_invalid"])
    if rules.demands("R3") and held.expires_at <= world.clock.now():
        expired = REFUSALS["token_expired"]
        text = rules.profile.expired_text
        return Denied("R3", msgspec.structs.replace(expired, message=text))
    if rules.demands("R5") and account.spec.state is AccountState.SUSPENDED:
        return Denied("R5", REFUSALS["suspended"])
    if rules.demands("R5") and account.spec.state is AccountState.NOT_ENTITLED:
        return Denied("R5", REFUSALS["subscription_unsupported"])
    if rules.demands("R5") and account.spec.state is AccountState.REVOKED:
        return Denied("R5", REFUSALS["bearer_invalid"])
    return None


def deny_profile(
    world: World, account: Account, arn: object, host: Host = ANY_HOST
) -> Denied | None:
    """Return why a generation call may not name (or lack) this profile; None when it may."""
    policy = _policy(world, account, host)
    if policy is ProfilePolicy.UNCHECKED:
        return None
    if arn is None:
        optional = policy in (ProfilePolicy.OPTIONAL, ProfilePolicy.OWN_OR_NONE)
        return None if optional else Denied("R9", REFUSALS["profile_required"])
    if not world.rules.demands("R9"):
        return None
    shape = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    if shape is not None and host.region not in ("", shape["region"]):
        return Denied("R9", REFUSALS["bearer_invalid"])
    if arn in account.profile_arns:
        return None
    if shape is None:
        return Denied("R9", REFUSALS["bad_request"])
    own = policy in (ProfilePolicy.OWN, ProfilePolicy.OWN_OR_NONE)
    if not own and not account.profile_arn and arn == account.placeholder_arn:
        return None
    return Denied("R9", REFUSALS["call_not_authorized" if own else "bearer_invalid"])


def deny_listing(account: Account, arn: object, host: Host = ANY_HOST) -> Denied | None:
    """Return why a call for one of the lists may not name this profile; None when it may."""
    if arn is None or arn in account.profile_arns or arn == account.placeholder_arn:
        return None
    if not isinstance(arn, str) or _ARN.fullmatch(arn) is None:
        return Denied("R9", REFUSALS["profile_invalid"])
    older = host.is_older
    return Denied("R9", REFUSALS["call_not_authorized" if older else "bearer_invalid"])


def deny_region(account: Account, host: Host) -> Denied | None:
    """Return why the account is unknown in the region of `host`; None when it is known."""
    regions = account.spec.regions
    if regions is None or not host.region or host.region in regions:
        return None
    return Denied("R9", REFUSALS["bearer_invalid"])


def _policy(world: World, account: Account, host: Host) -> ProfilePolicy:
    """Return which profiles count: by the account, else a test's switch, the host, the demands."""
    if account.spec.profile_policy is not None:
        return account.spec.profile_policy
    rules = world.rules
    required = rules.chosen("R9.required")
    own = rules.chosen("R9.no_placeholder")
    if host.kind is HostKind.ANY:
        required, own = rules.demands("R9.required"), rules.demands("R9.no_placeholder")
    required = not host.is_older if required is None else required
    own = host.is_older if own is None else own
    if required:
        return ProfilePolicy.OWN if own else ProfilePolicy.REQUIRED
    return ProfilePolicy.OWN_OR_NONE if own else ProfilePolicy.OPTIONAL


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
