"""Who sends a request, and whether the service lets him: checks that come before the body's."""

import msgspec

from kiro2api.emulator.accounts import Account, AccountKind, AccountState
from kiro2api.emulator.errors_table import REFUSALS, Refusal
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.world import World

_TOKEN_TYPES = {AccountKind.API_KEY: "API_KEY", AccountKind.EXTERNAL_IDP: "EXTERNAL_IDP"}


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
    return None


def deny_profile(world: World, account: Account, arn: object) -> Denied | None:
    """Return why a call may not name (or lack) this profile; None when it may."""
    rules = world.rules
    if arn is None:
        wanted = rules.demands("R9.required")
        return Denied("R9", REFUSALS["profile_required"]) if wanted else None
    if not rules.demands("R9") or (account.profile_arn and arn == account.profile_arn):
        return None
    if not account.profile_arn and arn == account.placeholder_arn:
        refused = rules.demands("R9.no_placeholder")
        return Denied("R9", REFUSALS["call_not_authorized"]) if refused else None
    return Denied("R9", REFUSALS["bearer_invalid"])


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
