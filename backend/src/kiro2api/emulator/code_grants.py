"""Trading authorization codes: at the social service, and at identity providers of others."""

from kiro2api.emulator import oidc
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.logins import Service
from kiro2api.emulator.oidc import CODE_GRANT, log_in, proves
from kiro2api.emulator.operations import form_of, provider_of
from kiro2api.emulator.records import Record
from kiro2api.emulator.sign_in import Answer, accept, named_refusal
from kiro2api.emulator.untyped import members, parse, text
from kiro2api.emulator.world import World


def trade(world: World, request: Request, record: Record) -> Answer:
    """Return the tokens for a code, at whichever service is asked."""
    if request.path == "/oauth/token":
        return trade_social(world, request, record)
    if provider_of(request):
        return trade_provider(world, request, record)
    return oidc.trade(world, request, record)


def trade_social(world: World, request: Request, record: Record) -> Answer:
    """Return the tokens for a code of the social login page or of the portal."""
    asked = members(parse(request.body))
    needed = ("code", "code_verifier", "redirect_uri")
    if refusal := _refuse_incomplete(world, asked, needed, record, rule="A6"):
        return refusal
    return _redeem(world, asked, Service.SOCIAL, record)


def trade_provider(world: World, request: Request, record: Record) -> Answer:
    """Return the tokens for a code of an identity provider, asked for in a form."""
    asked = form_of(request)
    if provider_of(request) not in world.accounts:
        return named_refusal("invalid_request")
    if asked.get("grant_type") != CODE_GRANT:
        return named_refusal("unsupported_grant_type")
    needed = ("grant_type", "client_id", "code", "code_verifier", "redirect_uri")
    if refusal := _refuse_incomplete(world, asked, needed, record, rule="A7"):
        return refusal
    if asked["client_id"] != world.accounts[provider_of(request)].spec.client_id:
        return named_refusal("invalid_client")
    return _redeem(world, asked, Service.PROVIDER, record)


def discover(world: World, request: Request, record: Record) -> Answer:
    """Return what an identity provider tells about itself."""
    name = provider_of(request)
    if name not in world.accounts:
        return named_refusal("invalid_request")
    issuer = world.issuer_of(name)
    return accept(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "response_types_supported": ["code"],
            "grant_types_supported": [CODE_GRANT, "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": world.accounts[name].spec.scopes,
        }
    )


def _refuse_incomplete(
    world: World, asked: dict[str, object], needed: tuple[str, ...], record: Record, *, rule: str
) -> Answer | None:
    missing = [name for name in needed if not text(asked.get(name))]
    if not missing:
        return None
    world.violate(rule, f"a code is traded without {', '.join(missing)}", record)
    return named_refusal("invalid_request")


def _redeem(world: World, asked: dict[str, object], service: Service, record: Record) -> Answer:
    code = world.logins.take_code(text(asked["code"]))
    if code is None or code.service is not service:
        return named_refusal("invalid_grant")
    if service is Service.PROVIDER and code.client_id != asked["client_id"]:
        return named_refusal("invalid_grant")
    verifier, redirect_uri = text(asked["code_verifier"]), text(asked["redirect_uri"])
    if not proves(code, verifier, redirect_uri, now=world.clock.now()):
        return named_refusal("invalid_grant")
    return log_in(world, code.account, "", record)
