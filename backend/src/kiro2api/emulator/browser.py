"""The pages that a person opens to sign in, and what his answer sends the browser to."""

from urllib.parse import urlencode, urlsplit

from kiro2api.emulator.accounts import Account, AccountKind
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.logins import Code, Consent, Service
from kiro2api.emulator.records import Record
from kiro2api.emulator.sign_in import Answer
from kiro2api.emulator.world import World

Query = dict[str, str]

BUILDER_ID_START_URL = "https://view.awsapps.com/start"
_CHALLENGE_CHARACTERS = 43
# Where the portal sends browsers to on this machine, and nowhere else.
_PORTAL_PORTS = frozenset((3128, 4649, 6588, 8008, 9091, 49153, 50153, 51153, 52153, 53153))
_PORTAL_CALLBACK = "/oauth/callback"
_SOCIAL_PROVIDERS = ("Google", "Github")


def answer_page(world: World, request: Request, record: Record) -> Answer:
    """Return the page, or where it leads at once when somebody is at the browser."""
    settings = world.logins.settings
    # Without anybody the address is tried all the same: a wrong one is wrong for everybody.
    name = settings.person or next(iter(world.accounts), "")
    record.account = settings.person
    page = {"content-type": "text/html"}
    try:
        target = open_page(world, request.path, request.query, name, settings.consent)
    except (ValueError, KeyError) as error:
        world.violate("A6", f"a page of sign-in: {error}", record)
        return 400, page, f"<html><body>{error}</body></html>\n".encode()
    if settings.person:
        return 302, {**page, "location": target}, b""
    return 200, page, b"<html><body>Sign in</body></html>\n"


def open_page(world: World, path: str, query: Query, name: str, consent: Consent) -> str:
    """Return where the browser goes after the account of that name has answered on a page.

    Raises:
        ValueError: the address of the page is not as the service wants it; says why.
        KeyError: there is no such account.
    """
    account = world.accounts[name]
    match path.rpartition("/")[2]:
        case "login":
            service, redirect_uri = Service.SOCIAL, _login_target(query)
        case "signin":
            return _portal(world, account, query, consent)
        case _ if path.startswith("/idp/"):
            service, redirect_uri = Service.PROVIDER, _provider_target(account, path, query)
        case _:
            service, redirect_uri = Service.OIDC, _oidc_target(world, query)
    return _send(world, account, query, consent, service, redirect_uri, redirect_uri, {})


def answer_device(world: World, user_code: str, name: str, consent: Consent) -> None:
    """Let the device that shows `user_code` in as the account of that name, or not.

    Raises:
        KeyError: no device shows that code, or there is no such account.
        ValueError: the device asks for accounts of another kind.
    """
    device = world.logins.device_of(user_code)
    if device is None:
        raise KeyError(user_code)
    account = world.accounts[name]
    is_builder = account.spec.kind is AccountKind.BUILDER_ID
    if is_builder is not (device.start_url.rstrip("/") == BUILDER_ID_START_URL):
        raise ValueError(f"{name}, of kind {account.spec.kind}, signs in elsewhere")
    device.account, device.denied = name, consent is Consent.DENY


def _send(
    world: World,
    account: Account,
    query: Query,
    consent: Consent,
    service: Service,
    target: str,
    redirect_uri: str,
    more: Query,
) -> str:
    """Return `target` with a new code, or with the refusal; the code is for `redirect_uri`."""
    answer = {"state": query["state"]} if "state" in query else {}
    if consent is Consent.DENY:
        return _with(target, {"error": "access_denied", **answer})
    _check_challenge(query)
    code = world.ids.next("code-", length=40)
    world.redactor.learn(code, f"authorization code of {account.name}")
    world.logins.codes[code] = Code(
        service=service,
        account=account.name,
        client_id=query.get("client_id", ""),
        redirect_uri=redirect_uri,
        challenge=query["code_challenge"],
        expires_at=world.clock.now() + world.logins.settings.code_lifetime_s,
    )
    return _with(target, {**more, "code": code, **answer})


def _portal(world: World, account: Account, query: Query, consent: Consent) -> str:
    """Return where the portal sends: with a code for social logins, else on to the OIDC service."""
    base = query.get("redirect_uri", "")
    parts = urlsplit(base)
    if parts.hostname not in ("localhost", "127.0.0.1") or parts.port not in _PORTAL_PORTS:
        raise ValueError(f"the portal sends nobody to {base!r}")
    target = base.rstrip("/") + _PORTAL_CALLBACK
    if account.spec.kind is AccountKind.SOCIAL:
        more = {"login_option": "google"}
        redirect_uri = f"{target}?login_option=google"
        return _send(world, account, query, consent, Service.SOCIAL, target, redirect_uri, more)
    builder = account.spec.kind is AccountKind.BUILDER_ID
    found = {
        "login_option": "builderid" if builder else "awsidc",
        "issuer_url": BUILDER_ID_START_URL
        if builder
        else f"https://{account.name}.awsapps.com/start",
        "idc_region": account.spec.region,
        "state": query.get("state", ""),
    }
    return _with(target, found)


def _login_target(query: Query) -> str:
    if query.get("idp") not in _SOCIAL_PROVIDERS:
        raise ValueError(f"idp is one of {_SOCIAL_PROVIDERS}")
    return _required(query, "redirect_uri")


def _oidc_target(world: World, query: Query) -> str:
    registration = world.logins.registrations.get(_required(query, "client_id"))
    if registration is None or registration.expires_at <= world.clock.now():
        raise ValueError("the client is not registered")
    if "scopes" not in query:
        raise ValueError("the scopes are in the parameter scopes")
    return _local(_required(query, "redirect_uri"))


def _provider_target(account: Account, path: str, query: Query) -> str:
    if path.split("/")[2] != account.name or query.get("client_id") != account.spec.client_id:
        raise ValueError("the client is not one of this provider")
    _required(query, "scope")
    return _local(_required(query, "redirect_uri"))


def _local(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    if parts.scheme != "http" or parts.hostname not in ("localhost", "127.0.0.1"):
        raise ValueError(f"a client is called back on its own machine, not at {redirect_uri!r}")
    return redirect_uri


def _required(query: Query, name: str) -> str:
    if not query.get(name):
        raise ValueError(f"{name} is missing")
    return query[name]


def _check_challenge(query: Query) -> None:
    if query.get("code_challenge_method") != "S256":
        raise ValueError("code_challenge_method is S256")
    if len(query.get("code_challenge", "")) != _CHALLENGE_CHARACTERS:
        raise ValueError("code_challenge is the SHA-256 of the verifier, in base64url")


def _with(target: str, query: Query) -> str:
    return f"{target}{'&' if '?' in target else '?'}{urlencode(query)}"
