"""The OIDC service of logins: registering a client, authorizing a device, trading for tokens."""

from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import host_named
from kiro2api.emulator.logins import Code, Consent, Device, Registration, Service, challenge_of
from kiro2api.emulator.records import Record
from kiro2api.emulator.sign_in import Answer, accept, named_refusal, tokens
from kiro2api.emulator.untyped import items, members, parse, text
from kiro2api.emulator.world import World

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CODE_GRANT = "authorization_code"
_SCOPES = frozenset(
    (
        "codewhisperer:completions",
        "codewhisperer:analysis",
        "codewhisperer:conversations",
        "codewhisperer:transformations",
        "codewhisperer:taskassist",
        "sso:account:access",
    )
)
# A poll may come a little early: the clocks of two machines are never one.
_EARLY_SHARE = 0.1
_SLOWER_S = 5.0


def register(world: World, request: Request, record: Record) -> Answer:
    """Return a new client, good for one registration lifetime."""
    asked = members(parse(request.body))
    if refusal := _refuse_malformed(world, asked, ("clientName", "clientType"), record):
        return refusal
    scopes = items(asked.get("scopes"))
    if asked["clientType"] != "public":
        return named_refusal("invalid_request")
    if any(scope not in _SCOPES for scope in scopes):
        return named_refusal("invalid_scope")
    now = world.clock.now()
    registration = Registration(
        client_id=world.ids.next("client-"),
        client_secret=world.ids.next("eyJ", length=60),
        expires_at=now + world.logins.settings.registration_lifetime_s,
        region=_region(request),
        redirect_uris=tuple(text(uri) for uri in items(asked.get("redirectUris"))),
    )
    world.logins.registrations[registration.client_id] = registration
    world.redactor.learn(registration.client_secret, f"secret of {registration.client_id}")
    return accept(
        {
            "clientId": registration.client_id,
            "clientSecret": registration.client_secret,
            "clientIdIssuedAt": int(now),
            "clientSecretExpiresAt": int(registration.expires_at),
        }
    )


def authorize_device(world: World, request: Request, record: Record) -> Answer:
    """Return the codes by which a person lets a device in."""
    asked = members(parse(request.body))
    needed = ("clientId", "clientSecret", "startUrl")
    if refusal := _refuse_malformed(world, asked, needed, record):
        return refusal
    if not _knows_client(world, asked, request):
        return named_refusal("invalid_client")
    start_url = text(asked["startUrl"])
    if not start_url.startswith("https://"):
        return named_refusal("invalid_request")
    settings = world.logins.settings
    letters = world.ids.next("", length=8).upper()
    device = Device(
        device_code=world.ids.next("device-", length=60),
        user_code=f"{letters[:4]}-{letters[4:]}",
        client_id=text(asked["clientId"]),
        start_url=start_url,
        region=_region(request),
        expires_at=world.clock.now() + settings.device_lifetime_s,
        interval_s=settings.device_interval_s,
        pending_polls=settings.pending_polls,
    )
    if settings.person:
        device.account, device.denied = settings.person, settings.consent is Consent.DENY
    world.logins.devices[device.device_code] = device
    world.redactor.learn(device.device_code, f"device code of {device.user_code}")
    page = f"{start_url.rstrip('/')}/#/device"
    interval_s = settings.device_interval_s
    return accept(
        {
            "deviceCode": device.device_code,
            "userCode": device.user_code,
            "verificationUri": page,
            "verificationUriComplete": f"{page}?user_code={device.user_code}",
            "expiresIn": int(settings.device_lifetime_s),
            "interval": int(interval_s) if interval_s == int(interval_s) else interval_s,
        }
    )


def trade(world: World, request: Request, record: Record) -> Answer:
    """Return the tokens for a device code or an authorization code."""
    asked = members(parse(request.body))
    grant = asked.get("grantType")
    if grant not in (DEVICE_GRANT, CODE_GRANT):
        return named_refusal("unsupported_grant_type")
    of_device = ("deviceCode",)
    of_code = ("code", "codeVerifier", "redirectUri")
    needed = ("clientId", "clientSecret", *(of_device if grant == DEVICE_GRANT else of_code))
    if refusal := _refuse_malformed(world, asked, needed, record):
        return refusal
    if not _knows_client(world, asked, request):
        return named_refusal("invalid_client")
    return _poll(world, asked, record) if grant == DEVICE_GRANT else _redeem(world, asked, record)


def proves(code: Code, verifier: str, redirect_uri: str, *, now: float) -> bool:
    """Tell whether the bearer of `code` is the one that asked for it, in time."""
    if code.expires_at <= now or code.redirect_uri != redirect_uri:
        return False
    return code.challenge == challenge_of(verifier)


def log_in(world: World, name: str, client_id: str, record: Record) -> Answer:
    """Return the first tokens of a new login of the account of that name."""
    account = world.accounts[name]
    record.account = name
    if client_id:
        account.client_ids.add(client_id)
    refresh_token = account.log_in()
    world.learn_refresh_token(account)
    return accept(tokens(world, account, refresh_token))


def _poll(world: World, asked: dict[str, object], record: Record) -> Answer:
    logins, now = world.logins, world.clock.now()
    device = logins.devices.get(text(asked["deviceCode"]))
    if device is None or device.client_id != asked["clientId"]:
        return named_refusal("invalid_grant")
    if device.expires_at <= now:
        return named_refusal("expired_token")
    earliest = (device.polled_at or 0.0) + device.interval_s * (1 - _EARLY_SHARE)
    too_fast = device.polled_at is not None and now < earliest
    device.polled_at = now
    if too_fast:
        device.interval_s += _SLOWER_S
        return named_refusal("slow_down")
    if device.denied:
        return named_refusal("access_denied")
    if not device.account or device.pending_polls > 0:
        device.pending_polls -= 1 if device.account else 0
        return named_refusal("authorization_pending")
    del logins.devices[device.device_code]
    return log_in(world, device.account, device.client_id, record)


def _redeem(world: World, asked: dict[str, object], record: Record) -> Answer:
    code = world.logins.take_code(text(asked["code"]))
    if code is None or code.service is not Service.OIDC or code.client_id != asked["clientId"]:
        return named_refusal("invalid_grant")
    verifier, redirect_uri = text(asked["codeVerifier"]), text(asked["redirectUri"])
    if not proves(code, verifier, redirect_uri, now=world.clock.now()):
        return named_refusal("invalid_grant")
    return log_in(world, code.account, code.client_id, record)


def _refuse_malformed(
    world: World, asked: dict[str, object], needed: tuple[str, ...], record: Record
) -> Answer | None:
    missing = [name for name in needed if not text(asked.get(name))]
    if not missing:
        return None
    world.violate("A3", f"{record.operation} without {', '.join(missing)}", record)
    return named_refusal("invalid_request")


def _knows_client(world: World, asked: dict[str, object], request: Request) -> bool:
    return world.logins.knows(
        text(asked["clientId"]),
        text(asked["clientSecret"]),
        region=_region(request),
        now=world.clock.now(),
    )


def _region(request: Request) -> str:
    host = host_named(request.host)
    return host.region if host is not None else ""
