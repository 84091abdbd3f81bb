"""Interactive logins: the calls and readers of the device flow, of PKCE, and of social sign-in.

Nothing here waits or draws a number: the caller brings state, verifier and patience.

Source: docs/reference/upstream.md, authentication.
"""

import base64
import hashlib
import re
from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.codewhisperer.auth import Login, json_call, read_login, refusal
from kiro2api.protocol.codewhisperer.endpoints import Endpoints, oidc_base, social_login_base
from kiro2api.protocol.codewhisperer.loose import as_number, as_text, read_object
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall

CLIENT_NAME = "kiro2api"
SCOPES = (
    "codewhisperer:completions",
    "codewhisperer:analysis",
    "codewhisperer:conversations",
)
BUILDER_ID_START_URL = "https://view.awsapps.com/start"
BUILDER_ID_REGION = "us-east-1"
# Where the social service sends the browser: an address of the IDE, which a person copies.
SOCIAL_REDIRECT = "kiro://kiro.kiroAgent/authenticate-success"
# How much more patience each "slow down" asks for.
SLOW_DOWN_S = 5.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_DEFAULT_INTERVAL_S = 5.0
_DEFAULT_DEVICE_LIFE_S = 600.0
_DEFAULT_REGISTRATION_LIFE_S = 90 * 86_400.0
# What a person is shown and opens in a browser.
_WEB_ADDRESS = re.compile(r"https?://[!-~]+")


class SocialProvider(StrEnum):
    """Who a social login is with; the words are the service's."""

    GOOGLE = "Google"
    GITHUB = "Github"


class Registration(msgspec.Struct, frozen=True):
    """A client of the OIDC service: of one region, for one flow; ends at wall time `expires_at`."""

    client_id: str
    client_secret: str
    expires_at: float

    def __repr__(self) -> str:
        """Name the end alone: a secret must not reach a log by way of a repr."""
        return f"Registration(expires_at={self.expires_at})"


class Device(msgspec.Struct, frozen=True):
    """A login that waits for its person.

    `user_code` is to be compared at `address`, which has it filled in. `device_code` is ours, to
    be asked for every `interval_s`, for `expires_in_s` at most.
    """

    device_code: str
    user_code: str
    address: str
    expires_in_s: float
    interval_s: float

    def __repr__(self) -> str:
        """Leave the device code out: who has it has the login."""
        return f"Device({self.user_code})"


class Pending(msgspec.Struct, frozen=True):
    """The person has not decided yet: ask again after the interval."""


class SlowDown(msgspec.Struct, frozen=True):
    """We ask too often: the interval grows by `SLOW_DOWN_S` from here on."""


class Done(Login, frozen=True):
    """The person has agreed: this is the login."""

    def __repr__(self) -> str:
        """Name nothing: a secret must not reach a log by way of a repr."""
        return "Done()"


def pkce_challenge(verifier: str) -> str:
    """Return the challenge (S256) that belongs to a verifier of 43 or more URL-safe characters."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


# --------------------------------------------------------------------- Builder ID, identity centre


def register_call(
    *,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
    redirect_uri: str = "",
    start_url: str = "",
) -> HttpCall:
    """Return the call that makes a client: for codes when it has a redirect, else for devices."""
    members: dict[str, object] = {
        "clientName": CLIENT_NAME,
        "clientType": "public",
        "scopes": SCOPES,
    }
    if redirect_uri:
        members["grantTypes"] = ["authorization_code", "refresh_token"]
        members["redirectUris"] = [redirect_uri]
        members["issuerUrl"] = start_url
    url = f"{oidc_base(region, endpoints)}/client/register"
    return json_call(url, members, user_agent=user_agent)


def read_registration(answer: HttpAnswer, *, now: float) -> Registration:
    """Return the client that was made; `now` is wall time.

    Raises:
        UpstreamError: there is none; the kinds are those of `auth.read_refresh`.
    """
    document = _document(answer)
    client_id = as_text(document.get("clientId"))
    client_secret = as_text(document.get("clientSecret"))
    if not (client_id and client_secret):
        raise _broken("the OIDC service answered without a client")
    expires_at = as_number(document.get("clientSecretExpiresAt"))
    return Registration(client_id, client_secret, expires_at or now + _DEFAULT_REGISTRATION_LIFE_S)


def device_call(
    registration: Registration,
    *,
    start_url: str,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
) -> HttpCall:
    """Return the call that starts a login in which the person types, or compares, a code."""
    members = {
        "clientId": registration.client_id,
        "clientSecret": registration.client_secret,
        "startUrl": start_url,
    }
    url = f"{oidc_base(region, endpoints)}/device_authorization"
    return json_call(url, members, user_agent=user_agent)


def read_device(answer: HttpAnswer) -> Device:
    """Return the login that was started.

    Raises:
        UpstreamError: there is none; the kinds are those of `auth.read_refresh`.
    """
    document = _document(answer)
    device_code = as_text(document.get("deviceCode"))
    address = as_text(document.get("verificationUriComplete"))
    address = address or as_text(document.get("verificationUri"))
    # A person is told to open it: it must be an address, and print as one line.
    if not device_code or not _WEB_ADDRESS.fullmatch(address):
        raise _broken("the OIDC service answered without a code or an address")
    user_code = as_text(document.get("userCode"))
    return Device(
        device_code,
        user_code if user_code.isprintable() else "",
        address,
        as_number(document.get("expiresIn")) or _DEFAULT_DEVICE_LIFE_S,
        as_number(document.get("interval")) or _DEFAULT_INTERVAL_S,
    )


def token_call_device(
    registration: Registration,
    device: Device,
    *,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
) -> HttpCall:
    """Return the call that asks whether the person has agreed."""
    members = {
        "clientId": registration.client_id,
        "clientSecret": registration.client_secret,
        "deviceCode": device.device_code,
        "grantType": _DEVICE_GRANT,
    }
    return json_call(f"{oidc_base(region, endpoints)}/token", members, user_agent=user_agent)


def read_poll(answer: HttpAnswer) -> Pending | SlowDown | Done:
    """Return how far the login of a device is.

    Raises:
        UpstreamError: it is over: `TOKEN_REJECTED` with the code `expired_token` (or another word
            for a dead start), `NOT_ENTITLED` with `access_denied` when the person said no.
            `OVERLOADED`: nothing is known, ask again after the interval.
    """
    if answer.status == 200:
        login = read_login(answer)
        return Done(login.access_token, login.refresh_token, login.expires_in_s, login.profile_arn)
    refused = refusal(answer)
    match refused.code:
        case "authorization_pending":
            return Pending()
        case "slow_down":
            return SlowDown()
        case _:
            raise refused


def authorize_url(
    registration: Registration,
    *,
    redirect_uri: str,
    state: str,
    challenge: str,
    region: str,
    endpoints: Endpoints,
) -> str:
    """Return the address at which a person logs in, to come back at `redirect_uri` with a code."""
    query = {
        "response_type": "code",
        "client_id": registration.client_id,
        "redirect_uri": redirect_uri,
        # The plural is the service's own.
        "scopes": " ".join(SCOPES),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{oidc_base(region, endpoints)}/authorize?{urlencode(query, quote_via=quote)}"


def code_call(
    registration: Registration,
    *,
    code: str,
    verifier: str,
    redirect_uri: str,
    region: str,
    endpoints: Endpoints,
    user_agent: str,
) -> HttpCall:
    """Return the call that trades a code for the login; `auth.read_login` reads its answer."""
    members = {
        "clientId": registration.client_id,
        "clientSecret": registration.client_secret,
        "code": code,
        "codeVerifier": verifier,
        "redirectUri": redirect_uri,
        "grantType": "authorization_code",
    }
    return json_call(f"{oidc_base(region, endpoints)}/token", members, user_agent=user_agent)


# ------------------------------------------------------------------------------------------ social


def social_login_url(
    provider: SocialProvider,
    *,
    challenge: str,
    state: str,
    endpoints: Endpoints,
    redirect_uri: str = SOCIAL_REDIRECT,
) -> str:
    """Return the address at which a person logs in with `provider`."""
    query = {
        "idp": provider.value,
        "redirect_uri": redirect_uri,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": state,
    }
    return f"{social_login_base(endpoints)}/login?{urlencode(query, quote_via=quote)}"


def social_code_call(
    *,
    code: str,
    verifier: str,
    endpoints: Endpoints,
    user_agent: str,
    redirect_uri: str = SOCIAL_REDIRECT,
) -> HttpCall:
    """Return the call that trades a code for the login; `auth.read_login` reads its answer."""
    members = {"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
    url = f"{social_login_base(endpoints)}/oauth/token"
    return json_call(url, members, user_agent=user_agent)


def read_callback(address: str, *, state: str) -> str:
    """Return the code in the address that a login has come back to, as a person pasted it.

    Raises:
        RequestError: it is not the address of this login, or the login was refused.
    """
    query = address.strip().partition("#")[0].partition("?")[2]
    members = dict(parse_qsl(query))
    if refused := members.get("error"):
        said = members.get("error_description", refused)
        raise RequestError(f"The login was refused: {said[:200]!r}.", code="access_denied")
    if not members.get("code"):
        raise RequestError(
            "There is no code in this address: paste the whole address to which the browser was "
            "sent after the login.",
            code="no_code",
        )
    if members.get("state") != state:
        raise RequestError(
            "This address belongs to another login: start again, and paste the new one.",
            code="wrong_state",
        )
    return members["code"]


def _document(answer: HttpAnswer) -> dict[str, object]:
    if answer.status != 200:
        raise refusal(answer)
    return dict(read_object(answer.body) or {})


def _broken(what: str) -> UpstreamError:
    return UpstreamError(FaultKind.OVERLOADED, what, status=200, code="broken_answer")
