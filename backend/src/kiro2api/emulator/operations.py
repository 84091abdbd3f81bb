"""What a request means: its operation and how it is spelled, and which host takes it so."""

import re
from enum import StrEnum
from urllib.parse import parse_qsl

import msgspec

from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import Host, HostKind
from kiro2api.emulator.untyped import members, parse, text

FORM_TYPE = "application/x-www-form-urlencoded"


class Wire(StrEnum):
    """How an operation is spelled."""

    REST = "rest"  # a path
    DASHED = "dashed"  # the path of the newer control plane
    KIRO = "kiro"  # the newer services' target
    CODEWHISPERER = "codewhisperer"  # the older services' target


class Meaning(msgspec.Struct, frozen=True):
    """What a request asks for, and in which spelling."""

    operation: Operation
    wire: Wire = Wire.REST


_PATHS: dict[tuple[str, str], Meaning] = {
    ("POST", "/generateAssistantResponse"): Meaning(Operation.GENERATE),
    ("POST", "/refreshToken"): Meaning(Operation.REFRESH),
    ("POST", "/oauth/token"): Meaning(Operation.LOGIN),
    ("GET", "/login"): Meaning(Operation.AUTHORIZE),
    ("GET", "/signin"): Meaning(Operation.AUTHORIZE),
    ("GET", "/authorize"): Meaning(Operation.AUTHORIZE),
    ("POST", "/client/register"): Meaning(Operation.REGISTER),
    ("POST", "/device_authorization"): Meaning(Operation.DEVICE),
    ("GET", "/ListAvailableModels"): Meaning(Operation.MODELS),
    ("GET", "/List-Available-Models"): Meaning(Operation.MODELS, Wire.DASHED),
    ("GET", "/getUsageLimits"): Meaning(Operation.USAGE),
    ("GET", "/Get-Usage-Limits"): Meaning(Operation.USAGE, Wire.DASHED),
    ("POST", "/ListAvailableProfiles"): Meaning(Operation.PROFILES),
    ("POST", "/List-Available-Profiles"): Meaning(Operation.PROFILES, Wire.DASHED),
}
_CONTROL = {
    "ListAvailableModels": Operation.MODELS,
    "GetUsageLimits": Operation.USAGE,
    "ListAvailableProfiles": Operation.PROFILES,
    "GetProfile": Operation.PROFILE,
}
_TARGETS = {
    "KiroRuntimeService.GenerateAssistantResponse": Meaning(Operation.GENERATE, Wire.KIRO),
    "AmazonCodeWhispererStreamingService.GenerateAssistantResponse": Meaning(
        Operation.GENERATE, Wire.CODEWHISPERER
    ),
    **{
        f"{prefix}.{name}": Meaning(operation, wire)
        for prefix, wire in (
            ("KiroControlPlaneBearerService", Wire.KIRO),
            ("AmazonCodeWhispererService", Wire.CODEWHISPERER),
        )
        for name, operation in _CONTROL.items()
    },
}
_PROVIDER_PATH = re.compile(
    r"/idp/(?P<name>[^/]+)/(?P<call>token|authorize|\.well-known/openid-configuration)"
)
_PROVIDER_CALLS = {
    ("GET", "authorize"): Operation.AUTHORIZE,
    ("GET", ".well-known/openid-configuration"): Operation.DISCOVER,
}
_REFRESHES = ("", "refresh_token")

_GENERATION = {(Operation.GENERATE, wire) for wire in (Wire.REST, Wire.KIRO, Wire.CODEWHISPERER)}
_LISTS = (Operation.MODELS, Operation.USAGE, Operation.PROFILES, Operation.PROFILE)
_OLDER = {
    *(_GENERATION - {(Operation.GENERATE, Wire.KIRO)}),
    *((operation, wire) for operation in _LISTS for wire in (Wire.REST, Wire.CODEWHISPERER)),
}
_SIGN_IN = {
    (operation, Wire.REST)
    for operation in (Operation.REFRESH, Operation.LOGIN, Operation.AUTHORIZE)
}
_SERVED: dict[HostKind, set[tuple[Operation, Wire]]] = {
    HostKind.RUNTIME: _GENERATION,
    HostKind.MANAGEMENT: {
        *((op, wire) for op in _LISTS for wire in (Wire.DASHED, Wire.KIRO, Wire.CODEWHISPERER)),
        (Operation.USAGE, Wire.REST),
    },
    HostKind.Q: _OLDER,
    HostKind.CODEWHISPERER: _OLDER,
    HostKind.OIDC: {*_SIGN_IN, (Operation.REGISTER, Wire.REST), (Operation.DEVICE, Wire.REST)},
    HostKind.AUTH: _SIGN_IN,
    HostKind.PORTAL: {(Operation.AUTHORIZE, Wire.REST)},
}
# Two services have an operation of the same kind, each under a path of its own.
_OF_ONE_HOST = {
    "/token": HostKind.OIDC,
    "/authorize": HostKind.OIDC,
    "/refreshToken": HostKind.AUTH,
    "/oauth/token": HostKind.AUTH,
    "/login": HostKind.AUTH,
    "/signin": HostKind.PORTAL,
}


def meaning_of(request: Request) -> Meaning:
    """Return what `request` asks for; the path decides before the header does."""
    found = _PATHS.get((request.method, request.path))
    if found is not None:
        return found
    if request.method == "POST" and request.path == "/token":
        return Meaning(_grant(members(parse(request.body)).get("grantType")))
    provider = _PROVIDER_PATH.fullmatch(request.path)
    if provider is not None:
        if (request.method, provider["call"]) == ("POST", "token"):
            return Meaning(_grant(form_of(request).get("grant_type")))
        called = (request.method, provider["call"])
        return Meaning(_PROVIDER_CALLS.get(called, Operation.UNKNOWN))
    if request.method == "POST" and request.path == "/":
        target = request.headers.get("x-amz-target", "")
        return _TARGETS.get(target, Meaning(Operation.UNKNOWN))
    return Meaning(Operation.UNKNOWN)


def provider_of(request: Request) -> str:
    """Return whose identity provider a path belongs to: an account's name, or ""."""
    found = _PROVIDER_PATH.fullmatch(request.path)
    return found["name"] if found is not None else ""


def form_of(request: Request) -> dict[str, object]:
    """Return the members of a form-encoded body; {} when it is none."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM_TYPE:
        return {}
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def serves(host: Host, request: Request, meaning: Meaning) -> bool:
    """Tell whether `host` knows the operation in this spelling."""
    if host.kind is HostKind.ANY or provider_of(request):
        return True
    if _OF_ONE_HOST.get(request.path, host.kind) is not host.kind:
        return False
    return (meaning.operation, meaning.wire) in _SERVED[host.kind]


def _grant(value: object) -> Operation:
    return Operation.REFRESH if text(value) in _REFRESHES else Operation.LOGIN
