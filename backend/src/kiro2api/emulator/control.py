"""The control API under `/_emulator/`: tests define accounts, queue behaviours, read what was seen."""

from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec

from kiro2api.emulator import browser
from kiro2api.emulator.accounts import Account, AccountKind, AccountSpec
from kiro2api.emulator.behaviour import parse_behaviours
from kiro2api.emulator.errors_table import REFUSALS, SIGN_IN_REFUSALS
from kiro2api.emulator.exchange import Exchange, Request, reply
from kiro2api.emulator.hosts import host_named, split_path
from kiro2api.emulator.logins import Consent, SignInSettings
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.scenarios import SCENARIOS
from kiro2api.emulator.world import HostSettings, World
from kiro2api.errors import RequestError
from kiro2api.protocol.wire import json

PREFIX = "/_emulator/"
RESET = "/_emulator/reset"

Answer = tuple[int, object]


class _Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which profile is in force, and which single checks are on or off."""

    profile: ProfileName | None = None
    rules: dict[str, bool] = msgspec.field(default_factory=dict)


class _Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the clock moves."""

    advance_s: float


class _GateName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which gate opens."""

    name: str


class _SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person does: opens a page by its `url`, or types a device's `user_code`."""

    account: str
    url: str = ""
    user_code: str = ""
    consent: Consent = Consent.APPROVE


def answer(world: World, exchange: Exchange) -> None:
    """Answer a request of the control API."""
    status, value = _answer(world, exchange.request)
    reply(exchange, status, {"content-type": "application/json"}, json.encode(value))


def _answer(world: World, request: Request) -> Answer:
    parts = request.path.removeprefix(PREFIX).strip("/").split("/", 1)
    route = _ROUTES.get((request.method, parts[0]))
    if route is None:
        return 404, {"error": f"the control API has no {request.method} {request.path}"}
    try:
        return route(world, request, parts[1] if len(parts) > 1 else "")
    except (RequestError, ValueError, KeyError) as error:
        where = error.path if isinstance(error, RequestError) else ""
        return 400, {"error": str(error), "path": where}


def _info(world: World, request: Request, rest: str) -> Answer:
    return 200, {
        "seed": world.seed,
        "profile": world.rules.profile.name,
        "errors": list(REFUSALS),
        "sign_in_errors": list(SIGN_IN_REFUSALS),
        "scenarios": list(SCENARIOS),
    }


def _reset(world: World, request: Request, rest: str) -> Answer:
    world.reset()
    return 200, {}


def _add_account(world: World, request: Request, rest: str) -> Answer:
    spec = json.convert(json.decode(request.body), AccountSpec)
    return 200, _describe(world, world.add_account(spec))


def _accounts(world: World, request: Request, rest: str) -> Answer:
    if rest:
        return 200, _describe(world, world.accounts[rest])
    return 200, [_describe(world, account) for account in world.accounts.values()]


def _change_account(world: World, request: Request, rest: str) -> Answer:
    changes = json.decode(request.body, dict[str, object])
    return 200, _describe(world, world.change_account(rest, changes))


def _describe(world: World, account: Account) -> dict[str, object]:
    now = world.clock.now()
    return {
        "spec": account.spec,
        "refresh_token": account.refresh_token,
        "access_tokens": [
            {
                "token": token,
                "expires_in_s": None
                if world.access_tokens[token].expires_at == float("inf")
                else world.access_tokens[token].expires_at - now,
            }
            for token in account.access_tokens
        ],
        "refreshes": account.refreshes,
        "max_parallel_refreshes": account.max_parallel_refreshes,
        "dead_token_uses": account.dead_token_uses,
        "credits_used": account.credits_used,
        "resets_at": account.resets_at,
        "issuer_url": world.issuer_of(account.name)
        if account.spec.kind is AccountKind.EXTERNAL_IDP
        else "",
    }


def _queue(world: World, request: Request, rest: str) -> Answer:
    behaviours = parse_behaviours(request.body)
    for behaviour in behaviours:
        world.queue.add(behaviour)
    return 200, {"queued": len(behaviours)}


def _clear_queue(world: World, request: Request, rest: str) -> Answer:
    world.queue.clear()
    return 200, {}


def _records(world: World, request: Request, rest: str) -> Answer:
    wanted = {
        name: request.query[name]
        for name in ("operation", "account", "model")
        if name in request.query
    }
    return 200, [
        record
        for record in world.look()
        if all(getattr(record, name) == value for name, value in wanted.items())
    ]


def _forget_records(world: World, request: Request, rest: str) -> Answer:
    world.records.clear()
    world.violations.clear()
    return 200, {}


def _violations(world: World, request: Request, rest: str) -> Answer:
    return 200, world.violations


def _counters(world: World, request: Request, rest: str) -> Answer:
    accounts = world.accounts.values()
    parallel = (account.max_parallel_refreshes for account in accounts)
    return 200, {
        "requests": len(world.records),
        "in_flight": world.traffic.in_flight,
        "max_in_flight": world.traffic.max_in_flight,
        "now": world.clock.now(),
        "refreshes": sum(account.refreshes for account in accounts),
        "max_parallel_refreshes": max(parallel, default=0),
        "dead_token_uses": sum(account.dead_token_uses for account in accounts),
    }


def _hosts(world: World, request: Request, rest: str) -> Answer:
    settings = json.decode(request.body, HostSettings)
    if settings.name and host_named(settings.name) is None:
        return 400, {"error": f"the service has no host {settings.name!r}", "path": "name"}
    world.host_settings[settings.name] = settings
    return 200, {}


def _sign_in_settings(world: World, request: Request, rest: str) -> Answer:
    settings = json.decode(request.body, SignInSettings)
    if settings.person and settings.person not in world.accounts:
        return 400, {"error": f"there is no account {settings.person!r}", "path": "person"}
    world.logins.settings = settings
    return 200, {}


def _sign_ins(world: World, request: Request, rest: str) -> Answer:
    did = json.decode(request.body, _SignIn)
    parts = urlsplit(did.url)
    typed = did.user_code or parse_qs(parts.fragment.partition("?")[2]).get("user_code", [""])[0]
    if typed:
        browser.answer_device(world, typed, did.account, did.consent)
        return 200, {"location": ""}
    query = dict(parse_qsl(parts.query))
    path = split_path(parts.path)[1]
    return 200, {"location": browser.open_page(world, path, query, did.account, did.consent)}


def _clock(world: World, request: Request, rest: str) -> Answer:
    world.clock.advance(json.decode(request.body, _Advance).advance_s)
    return 200, {"now": world.clock.now()}


def _gates(world: World, request: Request, rest: str) -> Answer:
    world.gate(json.decode(request.body, _GateName).name).set()
    return 200, {}


def _rules(world: World, request: Request, rest: str) -> Answer:
    switches = json.decode(request.body, _Switches)
    if switches.profile is not None:
        world.use_profile(switches.profile)
    for rule, enabled in switches.rules.items():
        world.rules.switch(rule, enabled)
    return 200, {"profile": world.rules.profile.name}


_ROUTES: dict[tuple[str, str], Callable[[World, Request, str], Answer]] = {
    ("GET", ""): _info,
    ("POST", "reset"): _reset,
    ("POST", "accounts"): _add_account,
    ("GET", "accounts"): _accounts,
    ("PATCH", "accounts"): _change_account,
    ("POST", "behaviours"): _queue,
    ("DELETE", "behaviours"): _clear_queue,
    ("GET", "records"): _records,
    ("DELETE", "records"): _forget_records,
    ("GET", "violations"): _violations,
    ("GET", "counters"): _counters,
    ("POST", "clock"): _clock,
    ("POST", "gates"): _gates,
    ("POST", "hosts"): _hosts,
    ("POST", "signin"): _sign_in_settings,
    ("POST", "consents"): _sign_ins,
    ("POST", "rules"): _rules,
}
