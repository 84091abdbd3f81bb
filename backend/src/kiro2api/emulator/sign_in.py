"""The sign-in services: refreshing access tokens, social and OIDC."""

import msgspec

from kiro2api.emulator.accounts import Account, AccountKind
from kiro2api.emulator.errors_table import SIGN_IN_REFUSALS, spell_sign_in
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.records import Record
from kiro2api.emulator.untyped import members, parse, text
from kiro2api.emulator.world import World
from kiro2api.protocol.wire import json

Answer = tuple[int, dict[str, str], bytes]

_OIDC_MEMBERS = ("clientId", "clientSecret", "refreshToken", "grantType")
_JSON = {"content-type": "application/json"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request to refresh: by which service, with what, and for whom."""

    is_social: bool
    members: dict[str, object]
    refresh_token: str
    account: Account | None


def parse_refresh(world: World, request: Request) -> Asked:
    """Return what `request` asks for; the account is the one that ever had its refresh token."""
    body = members(parse(request.body))
    token = text(body.get("refreshToken"))
    return Asked(
        is_social=request.path == "/refreshToken",
        members=body,
        refresh_token=token,
        account=world.account_of_refresh_token(token) if token else None,
    )


def refuse_unknown(world: World, asked: Asked, record: Record) -> Answer:
    """Return the refusal of a refresh token that no account ever had."""
    if fault := _malformed(asked):
        world.violate("A3", fault, record)
        return named_refusal("invalid_request")
    return _dead(asked)


def refresh(world: World, asked: Asked, account: Account, record: Record) -> Answer:
    """Return the answer to a request for a new access token."""
    if fault := _malformed(asked) or _wrong_service(asked, account):
        world.violate("A3", fault, record)
        return named_refusal("invalid_request")
    if asked.members.get("grantType", "refresh_token") != "refresh_token":
        return named_refusal("unsupported_grant_type")
    if not asked.is_social and not _knows_client(asked, account):
        return named_refusal("invalid_client")
    if not account.accepts_refresh_token(asked.refresh_token, now=world.clock.now()):
        account.dead_token_uses += 1
        return _dead(asked)
    account.refreshes += 1
    rotated = account.rotate(now=world.clock.now())
    world.learn_refresh_token(account)
    answer: dict[str, object] = {
        "accessToken": world.issue_access_token(account),
        "expiresIn": int(account.spec.access_lifetime_s),
    }
    if rotated:
        answer["refreshToken"] = rotated
    if asked.is_social:
        if account.profile_arn and not account.spec.omits_profile_arn:
            answer["profileArn"] = account.profile_arn
    else:
        answer["tokenType"] = "Bearer"
        answer["originSessionId"] = world.ids.next("session-")
    return 200, _JSON, json.encode(answer)


def named_refusal(name: str) -> Answer:
    """Return the refusal of that name as the sign-in services spell it."""
    refusal = SIGN_IN_REFUSALS[name]
    headers, body = spell_sign_in(refusal)
    return refusal.status, headers, body


def _dead(asked: Asked) -> Answer:
    if asked.is_social:
        return 401, _JSON, json.encode({"message": "Bad credentials"})
    return named_refusal("invalid_grant")


def _malformed(asked: Asked) -> str:
    wanted = ("refreshToken",) if asked.is_social else _OIDC_MEMBERS
    missing = [name for name in wanted if not text(asked.members.get(name))]
    return f"a refresh without {', '.join(missing)}" if missing else ""


def _wrong_service(asked: Asked, account: Account) -> str:
    social = account.spec.kind is AccountKind.SOCIAL
    if social is asked.is_social:
        return ""
    return f"{account.name}, of kind {account.spec.kind}, is refreshed by the wrong service"


def _knows_client(asked: Asked, account: Account) -> bool:
    given = (asked.members.get("clientId"), asked.members.get("clientSecret"))
    return given == (account.spec.client_id, account.spec.client_secret)
