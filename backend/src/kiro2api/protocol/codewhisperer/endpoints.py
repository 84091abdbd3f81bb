"""Where calls go: hosts, regions, profile strategies, and the headers of each call.

Source: docs/reference/upstream.md, endpoints.
"""

import re
from enum import StrEnum
from urllib.parse import quote, urlencode

import msgspec

from kiro2api.protocol.codewhisperer.credential import AuthKind
from kiro2api.protocol.wire.http import HttpCall

DEFAULT_REGION = "us-east-1"
_EUROPE = "eu-central-1"
_MAX_ATTEMPTS = 3
_MODELS_PER_PAGE = 50
# A region becomes a part of a host name, so nothing else may hide in it.
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,2}-\d{1,2}")
# Profiles of the service itself, for logins that have none of their own.
_PLACEHOLDER_ARNS = {
    AuthKind.IDC: "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX",
    AuthKind.SOCIAL: "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK",
}


class Endpoints(msgspec.Struct, frozen=True):
    """Base URLs that replace the built-in hosts; "" keeps them.

    `api` covers generation, models, profiles and usage; `social` and `oidc` are the login services.
    """

    api: str = ""
    social: str = ""
    oidc: str = ""


class WireForm(StrEnum):
    """How a generation request is spelled over HTTP; the JSON body is the same."""

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


def strategies(
    *, profile_arn: str, kind: AuthKind, region: str, endpoints: Endpoints
) -> tuple[Route, ...]:
    """Return the ways to reach generation for one account, the likeliest first.

    `profile_arn` is the account's own ("" when unknown), `region` that of its login. Which way
    works is the account's secret: the service's answers tell, and the caller remembers.
    """
    region = api_region(profile_arn=profile_arn, region=region)
    runtime = _base(endpoints.api, f"https://runtime.{region}.kiro.dev")
    legacy = _legacy_base(region, endpoints)
    placeholder = _PLACEHOLDER_ARNS[kind]
    routes = [Route(runtime, profile_arn)] if profile_arn else []
    routes.append(Route(legacy))
    if placeholder != profile_arn:
        routes.append(Route(runtime, placeholder))
    return tuple(routes)


def api_region(*, profile_arn: str, region: str) -> str:
    """Return the region that serves an account: its profile's, else the one near its login."""
    fields = profile_arn.split(":")
    if len(fields) > 3 and _REGION.fullmatch(fields[3]):
        return fields[3]
    return _EUROPE if region.startswith("eu-") else DEFAULT_REGION


def login_region(region: str) -> str:
    """Return `region` if it can be part of a host name, else the default one."""
    return region if _REGION.fullmatch(region) else DEFAULT_REGION


def generation_call(
    route: Route,
    *,
    token: str,
    body: bytes,
    user_agent: str,
    invocation_id: str,
    attempt: int,
) -> HttpCall:
    """Return the call that starts a reply; `attempt` counts from 1, `invocation_id` stays."""
    if route.form is WireForm.REST:
        form = (("content-type", "application/json"), ("x-amzn-kiro-agent-mode", "vibe"))
    else:
        form = (
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "KiroRuntimeService.GenerateAssistantResponse"),
        )
    headers = (
        ("authorization", f"Bearer {token}"),
        *form,
        ("accept", "*/*"),
        *_client(user_agent),
        ("amz-sdk-invocation-id", invocation_id),
        ("amz-sdk-request", f"attempt={attempt}; max={max(attempt, _MAX_ATTEMPTS)}"),
    )
    return HttpCall("POST", route.url, headers, body)


def models_call(
    *,
    token: str,
    profile_arn: str,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
    next_token: str = "",
) -> HttpCall:
    """Return the call for one page of an account's models; `profile_arn` is its own or ""."""
    base = _legacy_base(api_region(profile_arn=profile_arn, region=region), endpoints)
    query = {"origin": "AI_EDITOR", "maxResults": str(_MODELS_PER_PAGE)}
    if profile_arn:
        query["profileArn"] = profile_arn
    if next_token:
        query["nextToken"] = next_token
    headers = (
        ("authorization", f"Bearer {token}"),
        ("accept", "application/json"),
        *_client(user_agent),
        ("amz-sdk-request", "attempt=1; max=1"),
    )
    url = f"{base}/ListAvailableModels?{urlencode(query, quote_via=quote, safe='')}"
    return HttpCall("GET", url, headers)


def social_login_base(endpoints: Endpoints) -> str:
    """Return the base URL of the social login service, which is known in one region only."""
    return _base(endpoints.social, f"https://prod.{DEFAULT_REGION}.auth.desktop.kiro.dev")


def oidc_base(region: str, endpoints: Endpoints) -> str:
    """Return the base URL of the OIDC service in the region of the login."""
    return _base(endpoints.oidc, f"https://oidc.{login_region(region)}.amazonaws.com")


def _client(user_agent: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that say who we are: one plain name, no identity of anyone else."""
    return (
        ("user-agent", user_agent),
        ("x-amz-user-agent", user_agent),
        ("x-amzn-codewhisperer-optout", "true"),
    )


def _legacy_base(region: str, endpoints: Endpoints) -> str:
    """Return the older host, which needs no profile and is the one that lists models."""
    # This one name exists in a single region; elsewhere it does not resolve.
    host = "codewhisperer" if region == DEFAULT_REGION else "q"
    return _base(endpoints.api, f"https://{host}.{region}.amazonaws.com")


def _base(override: str, built_in: str) -> str:
    return override.rstrip("/") or built_in
