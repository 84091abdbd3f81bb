"""Refreshing access tokens at the sign-in services: social, OIDC, and providers of others."""

import msgspec

from kiro2api.emulator.accounts import Account, AccountKind, AccountState
from kiro2api.emulator.errors_table import SIGN_IN_REFUSALS, spell_sign_in
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import host_named
from kiro2api.emulator.logins import Service
from kiro2api.emulator.operations import form_of, provider_of
from kiro2api.emulator.records import Record
from kiro2api.emulator.untyped import members, parse, text
from kiro2api.emulator.world import World
from kiro2api.protocol.wire import json

Answer = tuple[int, dict[str, str], bytes]

_NEEDED = {
    Service.SOCIAL: ("refreshToken",),
    Service.OIDC: ("clientId", "clientSecret", "refreshToken", "grantType"),
    Service.PROVIDER: ("client_id", "refresh_token", "grant_type", "scope"),
}
_SERVICES = {
    AccountKind.SOCIAL: Service.SOCIAL,
    AccountKind.IDC: Service.OIDC,
    AccountKind.BUILDER_ID: Service.OIDC,
    AccountKind.EXTERNAL_IDP: Service.PROVIDER,
}
_JSON = {"content-type": "application/json"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request to refresh: by which service, with what, and for whom."""

    service: Service
    members: dict[str, object]
    refresh_token: str
    account: Account | None
    # The region of the host that was asked, and the account whose provider it was; "" for any.
    region: str = ""
    provider: str = ""


def service_of(kind: AccountKind) -> Service | None:
    """Return who gives tokens to that kind of account; None when nobody does."""
    return _SERVICES.get(kind)


def parse_refresh(world: World, request: Request) -> Asked:
    """Return what `request` asks for; the account is the one that ever had its refresh token."""
    provider = provider_of(request)
    service = Service.PROVIDER if provider else Service.OIDC
    if request.path == "/refreshToken":
        service = Service.SOCIAL
    asked = form_of(request) if provider else members(parse(request.body))
    token = text(asked.get("refresh_token" if provider else "refreshToken"))
    host = host_named(request.host)
    return Asked(
        service=service,
        members=asked,
        refresh_token=token,
        account=world.account_of_refresh_token(token) if token else None,
        region=host.region if host else "",
        provider=provider,
    )


def refuse_unknown(world: World, asked: Asked, record: Record) -> Answer:
    """Return the refusal of a refresh token that no account ever had."""
    if fault := _malformed(asked):
        world.violate(_rule(asked), fault, record)
        return named_refusal("invalid_request")
    return _dead(asked)


def refresh(world: World, asked: Asked, account: Account, record: Record) -> Answer:
    """Return the answer to a request for a new access token."""
    if fault := _malformed(asked) or _wrong_service(asked, account):
        world.violate(_rule(asked), fault, record)
        return named_refusal("invalid_request")
    grant = asked.members.get("grantType", asked.members.get("grant_type", "refresh_token"))
    if grant != "refresh_token":
        return named_refusal("unsupported_grant_type")
    if not _knows_client(world, asked, account):
        return named_refusal("invalid_client")
    now = world.clock.now()
    if not account.accepts_refresh_token(asked.refresh_token, now=now):
        account.dead_token_uses += 1
        return _dead(asked)
    if account.spec.state is AccountState.REVOKED:
        return _dead(asked)
    account.refreshes += 1
    rotated = account.rotate(now=now, used=asked.refresh_token)
    world.learn_refresh_token(account)
    return accept(tokens(world, account, rotated))


def tokens(world: World, account: Account, refresh_token: str) -> dict[str, object]:
    """Return a new access token of `account` in the words of its service; "" leaves the other out."""
    access_token = world.issue_access_token(account)
    expires_in = int(account.spec.access_lifetime_s)
    match service_of(account.spec.kind):
        case Service.PROVIDER:
            answer: dict[str, object] = {
                "token_type": "Bearer",
                "access_token": access_token,
                "expires_in": expires_in,
                "scope": " ".join(account.spec.scopes or ()),
            }
            return answer | ({"refresh_token": refresh_token} if refresh_token else {})
        case Service.OIDC:
            session = world.ids.next("session-")
            answer = {"tokenType": "Bearer", "originSessionId": session}
        case _:
            own = account.profile_arn and not account.spec.omits_profile_arn
            answer = {"profileArn": account.profile_arn} if own else {}
    answer |= {"accessToken": access_token, "expiresIn": expires_in}
    return answer | ({"refreshToken": refresh_token} if refresh_token else {})


def accept(value: object) -> Answer:
    """Return `value` as a good answer."""
    return 200, _JSON, json.encode(value)


def named_refusal(name: str) -> Answer:
    """Return the refusal of that name as the sign-in services spell it."""
    refusal = SIGN_IN_REFUSALS[name]
    headers, body = spell_sign_in(refusal)
    return refusal.status, headers, body


def _rule(asked: Asked) -> str:
    return "A7" if asked.service is Service.PROVIDER else "A3"


def _dead(asked: Asked) -> Answer:
    if asked.service is Service.SOCIAL:
        return 401, _JSON, json.encode({"message": "Bad credentials"})
    return named_refusal("invalid_grant")


def _malformed(asked: Asked) -> str:
    missing = [name for name in _NEEDED[asked.service] if not text(asked.members.get(name))]
    return f"a refresh without {', '.join(missing)}" if missing else ""


def _wrong_service(asked: Asked, account: Account) -> str:
    right = service_of(account.spec.kind) is asked.service
    if right and asked.provider in ("", account.name):
        return ""
    return f"{account.name}, of kind {account.spec.kind}, is refreshed by the wrong service"


def _knows_client(world: World, asked: Asked, account: Account) -> bool:
    given = asked.members
    match asked.service:
        case Service.SOCIAL:
            return True
        case Service.PROVIDER:
            return given.get("client_id") == account.spec.client_id
        case Service.OIDC:
            client_id, secret = text(given.get("clientId")), text(given.get("clientSecret"))
            if client_id not in account.client_ids:
                return False
            now = world.clock.now()
            return world.logins.knows(client_id, secret, region=asked.region, now=now)
