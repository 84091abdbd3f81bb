"""Refreshing logins of every kind: the call of each kind, and what its answer means for the account.

Source: docs/reference/upstream.md, authentication.
"""

from collections.abc import Mapping

import msgspec

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import Endpoints, oidc_base, social_login_base
from kiro2api.protocol.codewhisperer.external_idp import form_call, require_trust
from kiro2api.protocol.codewhisperer.fault import (
    ErrorWords,
    classify,
    masked_code,
    masked_message,
    read_words,
)
from kiro2api.protocol.codewhisperer.loose import as_number, as_text, read_object
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall
from kiro2api.protocol.wire.json import encode

__all__ = [
    "AuthKind",
    "Credential",
    "Login",
    "Refreshed",
    "json_call",
    "read_login",
    "read_refresh",
    "refresh_call",
    "refusal",
]

# Access tokens of both kinds live about an hour; the service says so, with rare exceptions.
_DEFAULT_LIFE_S = 3600.0

# The exceptions of the login services, by the words that the services use in their bodies.
_EXCEPTION_WORDS: Mapping[str, str] = {
    "InvalidGrantException": "invalid_grant",
    "InvalidClientException": "invalid_client",
    "ExpiredTokenException": "expired_token",
    "SlowDownException": "slow_down",
    "AuthorizationPendingException": "authorization_pending",
    "AccessDeniedException": "access_denied",
    "InternalServerException": "server_error",
    "UnauthorizedClientException": "unauthorized_client",
}
_MEANINGS: Mapping[str, FaultKind] = {
    "invalid_grant": FaultKind.TOKEN_REJECTED,
    "invalid_client": FaultKind.TOKEN_REJECTED,
    "expired_token": FaultKind.TOKEN_REJECTED,
    # External providers say so when a person must be asked again.
    "interaction_required": FaultKind.TOKEN_REJECTED,
    "consent_required": FaultKind.TOKEN_REJECTED,
    "login_required": FaultKind.TOKEN_REJECTED,
    "authorization_pending": FaultKind.OVERLOADED,
    "slow_down": FaultKind.OVERLOADED,
    "temporarily_unavailable": FaultKind.OVERLOADED,
    "server_error": FaultKind.OVERLOADED,
    # The registration may not refresh at all: only another login helps, and a person makes it.
    "unauthorized_client": FaultKind.NOT_ENTITLED,
    "access_denied": FaultKind.NOT_ENTITLED,
}


class Refreshed(msgspec.Struct, frozen=True):
    """What a refresh gave; "" for `refresh_token` or `profile_arn` means: keep what you have."""

    access_token: str
    refresh_token: str
    expires_in_s: float
    profile_arn: str

    def __repr__(self) -> str:
        """Name nothing: a secret must not reach a log by way of a repr."""
        return "Refreshed()"


class Login(Refreshed, frozen=True):
    """What a completed login gave: as a refresh, but always with a refresh token."""

    def __repr__(self) -> str:
        """Name nothing: a secret must not reach a log by way of a repr."""
        return "Login()"


def refresh_call(credential: Credential, *, endpoints: Endpoints, user_agent: str) -> HttpCall:
    """Return the call that trades the credential for an access token.

    Raises:
        UpstreamError: `TOKEN_REJECTED`, an API key is not refreshed: who needs that has lost it;
            `NOT_ENTITLED`, the token endpoint of an external login is not one to be trusted.
    """
    match credential.kind:
        case AuthKind.SOCIAL:
            url = f"{social_login_base(endpoints)}/refreshToken"
            return json_call(url, {"refreshToken": credential.refresh_token}, user_agent=user_agent)
        case AuthKind.IDC | AuthKind.BUILDER_ID:
            members = {
                "clientId": credential.client_id,
                "clientSecret": credential.client_secret,
                "refreshToken": credential.refresh_token,
                "grantType": "refresh_token",
            }
            url = f"{oidc_base(credential.region, endpoints)}/token"
            return json_call(url, members, user_agent=user_agent)
        case AuthKind.EXTERNAL_IDP:
            require_trust(credential.token_endpoint, "token endpoint", endpoints=endpoints)
            members = {
                "grant_type": "refresh_token",
                "client_id": credential.client_id,
                "client_secret": credential.client_secret,
                "refresh_token": credential.refresh_token,
                # Some providers give no new refresh token unless the first scopes are asked again.
                "scope": " ".join(credential.scopes),
            }
            return form_call(credential.token_endpoint, members, user_agent=user_agent)
        case AuthKind.API_KEY:
            raise UpstreamError(
                FaultKind.TOKEN_REJECTED,
                "an API key is never refreshed: one that is refused was revoked",
                code="api_key",
            )


def json_call(url: str, members: Mapping[str, object], *, user_agent: str) -> HttpCall:
    """Return a call as the login services take it: without a bearer, the members as JSON."""
    headers = (
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", user_agent),
    )
    return HttpCall("POST", url, headers, encode(members))


def read_refresh(answer: HttpAnswer) -> Refreshed:
    """Return what the login service gave.

    Raises:
        UpstreamError: `TOKEN_REJECTED` when the login is dead and `code` says how; `SUSPENDED` or
            `NOT_ENTITLED` when a person must act; `OVERLOADED` when trying again may help;
            `UNKNOWN` for anything else.
    """
    if answer.status != 200:
        raise refusal(answer)
    document = read_object(answer.body) or {}
    access_token = _either(document, "accessToken", "access_token")
    if not _is_secret(access_token):
        raise UpstreamError(
            FaultKind.OVERLOADED,
            "the login service answered without an access token",
            status=200,
            code="broken_answer",
        )
    refresh_token = _either(document, "refreshToken", "refresh_token")
    return Refreshed(
        access_token,
        refresh_token if _is_secret(refresh_token) else "",
        _life_s(document),
        as_text(document.get("profileArn")),
    )


def read_login(answer: HttpAnswer) -> Login:
    """Return what the login service gave for a code, which cannot be asked for twice.

    Raises:
        UpstreamError: as `read_refresh`; `UNKNOWN`, the login has no refresh token.
    """
    given = read_refresh(answer)
    if not given.refresh_token:
        raise UpstreamError(
            FaultKind.UNKNOWN,
            "the login service answered without a refresh token",
            status=200,
            code="broken_answer",
        )
    return Login(given.access_token, given.refresh_token, given.expires_in_s, given.profile_arn)


def refusal(answer: HttpAnswer) -> UpstreamError:
    """Return what an answer of a login service that is no 200 means."""
    words = read_words(answer.headers, answer.body)
    code = _login_code(answer, words)
    return UpstreamError(
        _kind(answer, code),
        masked_message(words, answer.status),
        status=answer.status,
        code=masked_code(code, words),
        retry_after_s=words.retry_after_s,
    )


def _login_code(answer: HttpAnswer, words: ErrorWords) -> str:
    """Return the login service's own word for the failure; "" when it has none."""
    told = as_text((read_object(answer.body) or {}).get("error"))
    for word in (told, words.name, words.reason):
        code = _EXCEPTION_WORDS.get(word, word)
        if code in _MEANINGS:
            return code
    # The social service has been seen to give the sentence without the word.
    if answer.status == 400 and "invalid refresh token" in words.message.lower():
        return "invalid_grant"
    return told


def _kind(answer: HttpAnswer, code: str) -> FaultKind:
    if (kind := _MEANINGS.get(code)) is not None:
        return kind
    status = answer.status
    if status == 401:
        return FaultKind.TOKEN_REJECTED
    if status == 429 or status >= 500:
        return FaultKind.OVERLOADED
    if status == 403:
        return _forbidden(answer)
    return FaultKind.UNKNOWN


def _forbidden(answer: HttpAnswer) -> FaultKind:
    """Return what a 403 means: never a dead login, however much its text speaks of tokens."""
    kind = classify(answer.status, answer.headers, answer.body).kind
    if kind in (FaultKind.SUSPENDED, FaultKind.OVERLOADED):
        return kind
    return FaultKind.NOT_ENTITLED


def _either(document: Mapping[str, object], *names: str) -> str:
    """Return the first of the members that has something: two spellings are in use."""
    return next((text for name in names if (text := as_text(document.get(name)))), "")


def _is_secret(text: str) -> bool:
    """Tell whether `text` can be a token: what is no plain text must never reach a header."""
    return bool(text) and text.isascii() and text.isprintable()


def _life_s(document: Mapping[str, object]) -> float:
    """Return how long an access token lives; some providers write the number as a text."""
    for name in ("expiresIn", "expires_in"):
        told = document.get(name)
        if isinstance(told, str) and told.isascii() and told.isdigit():
            told = int(told[:9])
        if life_s := as_number(told):
            return life_s
    return _DEFAULT_LIFE_S
