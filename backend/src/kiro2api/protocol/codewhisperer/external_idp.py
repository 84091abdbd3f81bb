"""External identity providers: which of their addresses a secret may be sent to, and discovery.

Source: docs/reference/upstream.md, authentication.
"""

import re
from urllib.parse import urlencode

import msgspec

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.loose import as_text, read_object
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall

# `*.` covers every host below the name, and not the name itself.
KNOWN_HOSTS = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "*.ciamlogin.com",
    "*.b2clogin.com",
    "*.okta.com",
    "*.oktapreview.com",
    "*.okta-emea.com",
    "*.okta-gov.com",
    "*.auth0.com",
    "*.onelogin.com",
    "auth.pingone.com",
    "auth.pingone.eu",
    "auth.pingone.ca",
    "auth.pingone.asia",
    "accounts.google.com",
    "oauth2.googleapis.com",
    "*.amazoncognito.com",
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Strict on purpose: no user name, no escapes in the host, nothing two parsers could read differently.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:]+\])(?::(?P<port>\d{1,5}))?"
    r"(?:[/?][!-\[\]-~]*)?",
    re.IGNORECASE,
)


class Discovery(msgspec.Struct, frozen=True):
    """Where a provider lets people in, and where it hands out tokens."""

    authorization_endpoint: str
    token_endpoint: str


def address_problem(url: str, *, endpoints: Endpoints) -> str:
    """Return why no secret may be sent to `url`, as the end of a sentence; "" when it may.

    Only hosts of known providers and those that the operator names are trusted, over HTTPS; the
    own machine only when it is named, then over HTTP as well.
    """
    match = _ADDRESS.fullmatch(url)
    if match is None or "#" in url:
        return "it is not a plain https address"
    host = match["host"].lower()
    named = any(_covers(pattern.lower(), host) for pattern in endpoints.idp_hosts)
    if match["scheme"].lower() != "https" and not (host in _LOOPBACK and named):
        return "it is not an https address"
    if named:
        return ""
    if any(_covers(pattern, host) for pattern in KNOWN_HOSTS):
        # A well-known host offers nothing of this kind on another port.
        return "" if match["port"] in (None, "443") else "its port is not the one of https"
    return f"the host {host} is no known identity provider: name it in KIRO_IDP_HOSTS to trust it"


def discovery_call(issuer_url: str, *, endpoints: Endpoints, user_agent: str) -> HttpCall:
    """Return the call that asks a provider for its addresses.

    Raises:
        UpstreamError: `NOT_ENTITLED`, the issuer is not one to be trusted.
    """
    require_trust(issuer_url, "issuer", endpoints=endpoints)
    url = f"{issuer_url.partition('?')[0].rstrip('/')}/.well-known/openid-configuration"
    return HttpCall("GET", url, (("accept", "application/json"), ("user-agent", user_agent)))


def read_discovery(answer: HttpAnswer, *, endpoints: Endpoints) -> Discovery:
    """Return the addresses that a provider has told.

    Raises:
        UpstreamError: `OVERLOADED`, it did not tell them; `NOT_ENTITLED`, it sends us to a host
            that is not to be trusted.
    """
    document = read_object(answer.body) if answer.status == 200 else None
    token_endpoint = as_text((document or {}).get("token_endpoint"))
    if document is None or not token_endpoint:
        raise UpstreamError(
            FaultKind.OVERLOADED,
            "the identity provider did not tell its addresses",
            status=answer.status,
        )
    require_trust(token_endpoint, "token endpoint", endpoints=endpoints)
    authorization_endpoint = as_text(document.get("authorization_endpoint"))
    if authorization_endpoint:
        require_trust(authorization_endpoint, "authorization endpoint", endpoints=endpoints)
    return Discovery(authorization_endpoint, token_endpoint)


def form_call(url: str, members: dict[str, str], *, user_agent: str) -> HttpCall:
    """Return a call as providers take it: the members that are not empty, as a form."""
    headers = (
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
        ("user-agent", user_agent),
    )
    given = {name: value for name, value in members.items() if value}
    return HttpCall("POST", url, headers, urlencode(given).encode())


def require_trust(url: str, what: str, *, endpoints: Endpoints) -> None:
    """Return when `url` is an address that a secret may be sent to.

    Raises:
        UpstreamError: `NOT_ENTITLED`, it is not; the message says how to change that.
    """
    if problem := address_problem(url, endpoints=endpoints):
        raise UpstreamError(
            FaultKind.NOT_ENTITLED,
            f"the {what} of the external login is not trusted: {problem}",
            code="untrusted_idp",
        )


def _covers(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) >= len(pattern)
    return host == pattern
