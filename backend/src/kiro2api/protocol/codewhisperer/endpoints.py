"""Where calls go: hosts, regions, profile strategies, wire forms, and the headers of each call.

Source: docs/reference/upstream.md, endpoints, headers, profiles.
"""

import re
from enum import StrEnum
from urllib.parse import quote, urlencode

import msgspec

from kiro2api.errors import FaultKind
from kiro2api.protocol.codewhisperer.credential import AuthKind
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import encode

DEFAULT_REGION = "us-east-1"
_EUROPE = "eu-central-1"
# The regions in which the service answers, whatever the region of a login.
API_REGIONS = (DEFAULT_REGION, _EUROPE)
_MAX_ATTEMPTS = 3
_MODELS_PER_PAGE = 50
_PROFILES_PER_PAGE = 10
# A region becomes a part of a host name, so nothing else may hide in it.
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,2}-\d{1,2}")
# Profiles of the service itself, for logins that have none of their own.
_BUILDER_ID_ARN = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
_PLACEHOLDER_ARNS = {
    # The word IdC of `KIRO_AUTH_TOKEN` has always covered Builder IDs too.
    AuthKind.IDC: _BUILDER_ID_ARN,
    AuthKind.BUILDER_ID: _BUILDER_ID_ARN,
    AuthKind.SOCIAL: "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK",
}
# What the agent is asked to be: a header in one wire form, a member of the body in the other.
AGENT_MODE = "vibe"
_JSON10 = "application/x-amz-json-1.0"


class Endpoints(msgspec.Struct, frozen=True):
    """Base URLs that replace the built-in hosts; "" keeps them.

    `api` covers generation, models, profiles and usage; `social` and `oidc` are the login services.
    `{host}` in one of them stands for the name of the host that it replaces. `idp_hosts` are hosts
    of external identity providers beside the well-known ones.
    """

    api: str = ""
    social: str = ""
    oidc: str = ""
    idp_hosts: tuple[str, ...] = ()


class WireForm(StrEnum):
    """How a request is spelled over HTTP: by its path, or by a target at the root."""

    REST = "rest"
    JSON10 = "json10"


class Route(msgspec.Struct, frozen=True):
    """One way to reach generation: a base URL, and the profile ARN to name there ("" for none)."""

    base_url: str
    profile_arn: str = ""
    form: WireForm = WireForm.REST

    @property
    def url(self) -> str:
        """The URL that a generation request is posted to."""
        path = "/generateAssistantResponse" if self.form is WireForm.REST else "/"
        return self.base_url + path

    @property
    def key(self) -> str:
        """The way in words that outlive a change of hosts: `own/rest`, `none/json10` …"""
        profile = "own" if self.profile_arn else "none"
        if self.profile_arn in _PLACEHOLDER_ARNS.values():
            profile = "placeholder"
        return f"{profile}/{self.form}"


def strategies(
    *, profile_arn: str, kind: AuthKind, region: str, endpoints: Endpoints
) -> tuple[Route, ...]:
    """Return the ways to reach generation for one account, the likeliest first.

    `profile_arn` is the account's own ("" when unknown), `region` that of its login. Which way
    works is the account's secret: the service's answers tell (`onward`), the caller remembers.
    Each way is there in both wire forms, one after the other.
    """
    region = api_region(profile_arn=profile_arn, region=region)
    runtime = _base(endpoints.api, f"runtime.{region}.kiro.dev")
    legacy = _legacy_base(region, endpoints)
    placeholder = _PLACEHOLDER_ARNS.get(kind, "")
    ways = [(runtime, profile_arn)] if profile_arn else []
    ways.append((legacy, ""))
    if placeholder not in ("", profile_arn):
        ways.append((runtime, placeholder))
    return tuple(Route(base, arn, form) for base, arn in ways for form in WireForm)


def onward(routes: tuple[Route, ...], *, at: int, fault: FaultKind) -> tuple[int, ...]:
    """Return the places in `routes` to go to after `fault` at place `at`, the likeliest first.

    A wrong endpoint leads to the other wire form of the same way first. Anything else is about the
    profile, which the other form would not change.
    """
    here = routes[at]
    turned = [index % len(routes) for index in range(at + 1, at + len(routes))]
    others = [
        index
        for index in turned
        if routes[index].profile_arn != here.profile_arn and routes[index].form is WireForm.REST
    ]
    if fault is FaultKind.WRONG_ENDPOINT:
        same = [index for index in turned if routes[index].profile_arn == here.profile_arn]
        return (*same, *others)
    return tuple(others)


def api_region(*, profile_arn: str, region: str) -> str:
    """Return the region that serves an account: its profile's, else the one near its login."""
    fields = profile_arn.split(":")
    if len(fields) > 3 and is_region(fields[3]):
        return fields[3]
    return _EUROPE if region.startswith("eu-") else DEFAULT_REGION


def is_region(text: str) -> bool:
    """Tell whether `text` has the shape of a region, so that it can be part of a host name."""
    return _REGION.fullmatch(text) is not None


def login_region(region: str) -> str:
    """Return `region` if it can be part of a host name, else the default one."""
    return region if is_region(region) else DEFAULT_REGION


def generation_call(
    route: Route,
    *,
    kind: AuthKind,
    token: str,
    body: bytes,
    user_agent: str,
    invocation_id: str,
    attempt: int,
) -> HttpCall:
    """Return the call that starts a reply; `attempt` counts from 1, `invocation_id` stays."""
    form: tuple[tuple[str, str], ...]
    if route.form is WireForm.REST:
        form = (("content-type", "application/json"), ("x-amzn-kiro-agent-mode", AGENT_MODE))
    else:
        # A profile is named at `runtime` alone, and `runtime` alone knows the newer name.
        service = "KiroRuntimeService"
        if not route.profile_arn:
            service = "AmazonCodeWhispererStreamingService"
        form = _target(service, "GenerateAssistantResponse")
    headers = (
        *_bearer(kind, token),
        *form,
        ("accept", "*/*"),
        *_client(user_agent),
        ("amz-sdk-invocation-id", invocation_id),
        ("amz-sdk-request", f"attempt={attempt}; max={max(attempt, _MAX_ATTEMPTS)}"),
    )
    return HttpCall("POST", route.url, headers, body)


def models_call(
    *,
    kind: AuthKind,
    token: str,
    profile_arn: str,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
    next_token: str = "",
    form: WireForm = WireForm.REST,
) -> HttpCall:
    """Return the call for one page of an account's models; `profile_arn` is its own or ""."""
    members: dict[str, object] = {"origin": "AI_EDITOR", "maxResults": _MODELS_PER_PAGE}
    if profile_arn:
        members["profileArn"] = profile_arn
    if next_token:
        members["nextToken"] = next_token
    headers = _control_headers(kind, token, user_agent)
    region = api_region(profile_arn=profile_arn, region=region)
    if form is WireForm.JSON10:
        return _targeted("ListAvailableModels", members, region, endpoints, headers)
    return _asked("ListAvailableModels", members, region, endpoints, headers)


def usage_call(
    *,
    kind: AuthKind,
    token: str,
    profile_arn: str,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
    form: WireForm = WireForm.REST,
) -> HttpCall:
    """Return the call for what an account has used and may use; `profile_arn` as for models."""
    members: dict[str, object] = {
        "origin": "AI_EDITOR",
        "resourceType": "AGENTIC_REQUEST",
        "isEmailRequired": True,
    }
    if profile_arn:
        members["profileArn"] = profile_arn
    headers = _control_headers(kind, token, user_agent)
    region = api_region(profile_arn=profile_arn, region=region)
    if form is WireForm.JSON10:
        return _targeted("GetUsageLimits", members, region, endpoints, headers)
    return _asked("getUsageLimits", members, region, endpoints, headers)


def profiles_call(
    *,
    kind: AuthKind,
    token: str,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
    next_token: str = "",
    form: WireForm = WireForm.REST,
) -> HttpCall:
    """Return the call for one page of the profiles that an account has in `region`.

    `region` is one of `profile_regions`: a refusal in one of them says nothing about the others.
    """
    members: dict[str, object] = {"maxResults": _PROFILES_PER_PAGE}
    if next_token:
        members["nextToken"] = next_token
    headers = _control_headers(kind, token, user_agent)
    if form is WireForm.JSON10:
        return _targeted("ListAvailableProfiles", members, region, endpoints, headers)
    url = f"{_legacy_base(region, endpoints)}/ListAvailableProfiles"
    return HttpCall("POST", url, (*headers, ("content-type", "application/json")), encode(members))


def get_profile_call(
    *,
    kind: AuthKind,
    token: str,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
    profile_arn: str = "",
) -> HttpCall:
    """Return the call for one profile; without an ARN it asks for the one that an API key has."""
    members: dict[str, object] = {"profileArn": profile_arn} if profile_arn else {}
    headers = _control_headers(kind, token, user_agent)
    region = api_region(profile_arn=profile_arn, region=region)
    service = "AmazonCodeWhispererService"
    return _targeted("GetProfile", members, region, endpoints, headers, service=service)


def profile_regions(region: str) -> tuple[str, ...]:
    """Return the regions that may hold the profiles of a login, the nearest one first."""
    near = api_region(profile_arn="", region=region)
    return (near, *(other for other in API_REGIONS if other != near))


def social_login_base(endpoints: Endpoints) -> str:
    """Return the base URL of the social login service, which is known in one region only."""
    return _base(endpoints.social, f"prod.{DEFAULT_REGION}.auth.desktop.kiro.dev")


def oidc_base(region: str, endpoints: Endpoints) -> str:
    """Return the base URL of the OIDC service in the region of the login."""
    return _base(endpoints.oidc, f"oidc.{login_region(region)}.amazonaws.com")


def _bearer(kind: AuthKind, token: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that let an account in; some kinds of bearer must be named as such."""
    authorization = ("authorization", f"Bearer {token}")
    token_type = kind.token_type
    return (authorization, ("tokentype", token_type)) if token_type else (authorization,)


def _client(user_agent: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that say who we are: one plain name, no identity of anyone else."""
    return (
        ("user-agent", user_agent),
        ("x-amz-user-agent", user_agent),
        ("x-amzn-codewhisperer-optout", "true"),
    )


def _target(service: str, operation: str) -> tuple[tuple[str, str], ...]:
    return (("content-type", _JSON10), ("x-amz-target", f"{service}.{operation}"))


def _control_headers(kind: AuthKind, token: str, user_agent: str) -> tuple[tuple[str, str], ...]:
    return (
        *_bearer(kind, token),
        ("accept", "application/json"),
        *_client(user_agent),
        ("amz-sdk-request", "attempt=1; max=1"),
    )


def _asked(
    path: str,
    members: dict[str, object],
    region: str,
    endpoints: Endpoints,
    headers: tuple[tuple[str, str], ...],
) -> HttpCall:
    """Return a control call as the older hosts take it: members in the query."""
    query = {name: "true" if value is True else str(value) for name, value in members.items()}
    base = _legacy_base(region, endpoints)
    return HttpCall("GET", f"{base}/{path}?{urlencode(query, quote_via=quote, safe='')}", headers)


def _targeted(
    operation: str,
    members: dict[str, object],
    region: str,
    endpoints: Endpoints,
    headers: tuple[tuple[str, str], ...],
    *,
    service: str = "KiroControlPlaneBearerService",
) -> HttpCall:
    """Return a control call as the newer host takes it: a target, and members in the body."""
    base = _base(endpoints.api, f"management.{region}.kiro.dev")
    return HttpCall("POST", f"{base}/", (*headers, *_target(service, operation)), encode(members))


def _legacy_base(region: str, endpoints: Endpoints) -> str:
    """Return the older host, which needs no profile and lists models, usage and profiles."""
    # This one name exists in a single region; elsewhere it does not resolve.
    service = "codewhisperer" if region == DEFAULT_REGION else "q"
    return _base(endpoints.api, f"{service}.{region}.amazonaws.com")


def _base(override: str, host: str) -> str:
    return override.rstrip("/").replace("{host}", host) or f"https://{host}"
