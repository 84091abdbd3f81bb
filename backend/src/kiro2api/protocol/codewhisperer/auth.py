"""Refreshing logins: the call of each kind, and what its answer means for the account.

Source: docs/reference/upstream.md, authentication.
"""

from collections.abc import Mapping

import msgspec

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import Endpoints, oidc_base, social_login_base
from kiro2api.protocol.codewhisperer.fault import (
    ErrorWords,
    classify,
    masked_code,
    masked_message,
    read_words,
)
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall
from kiro2api.protocol.wire.json import decode, encode

__all__ = [
    "AuthKind",
    "Credential",
    "Refreshed",
    "read_refresh",
    "refresh_call",
]

# Access tokens of both kinds live about an hour; the service says so, with rare exceptions.
_DEFAULT_LIFE_S = 3600.0

# The exceptions of the login services, by the words that the services use in their bodies.
_EXCEPTION_WORDS: Mapping[str, str] = {
    "InvalidGrantException": "invalid_grant",
    "InvalidClientException": "invalid_client",
    "ExpiredTokenException": "expired_token",
    "SlowDownException": "slow_down",
    "UnauthorizedClientException": "unauthorized_client",
}
_MEANINGS: Mapping[str, FaultKind] = {
    "invalid_grant": FaultKind.TOKEN_REJECTED,
    "invalid_client": FaultKind.TOKEN_REJECTED,
    "expired_token": FaultKind.TOKEN_REJECTED,
    "slow_down": FaultKind.OVERLOADED,
    "server_error": FaultKind.OVERLOADED,
    # The registration may not refresh at all: only another login helps, and a person makes it.
    "unauthorized_client": FaultKind.NOT_ENTITLED,
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


def refresh_call(credential: Credential, *, endpoints: Endpoints, user_agent: str) -> HttpCall:
    """Return the call that trades the credential for an access token."""
    if credential.kind is AuthKind.SOCIAL:
        url = f"{social_login_base(endpoints)}/refreshToken"
        body = {"refreshToken": credential.refresh_token}
    else:
        url = f"{oidc_base(credential.region, endpoints)}/token"
        body = {
            "clientId": credential.client_id,
            "clientSecret": credential.client_secret,
            "refreshToken": credential.refresh_token,
            "grantType": "refresh_token",
        }
    headers = (
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", user_agent),
    )
    return HttpCall("POST", url, headers, encode(body))


def read_refresh(answer: HttpAnswer) -> Refreshed:
    """Return what the login service gave.

    Raises:
        UpstreamError: `TOKEN_REJECTED` when the login is dead and `code` says how; `SUSPENDED` or
            `NOT_ENTITLED` when a person must act; `OVERLOADED` when trying again may help;
            `UNKNOWN` for anything else.
    """
    if answer.status != 200:
        raise _refusal(answer)
    document = _document(answer.body)
    access_token = _text(document, "accessToken")
    # What is no plain text cannot be a bearer, and must never reach a header.
    if not (access_token.isascii() and access_token.isprintable() and access_token.strip()):
        raise UpstreamError(
            FaultKind.OVERLOADED,
            "the login service answered without an access token",
            status=200,
            code="broken_answer",
        )
    life = document.get("expiresIn")
    return Refreshed(
        access_token,
        _text(document, "refreshToken"),
        float(life) if isinstance(life, int | float) and life > 0 else _DEFAULT_LIFE_S,
        _text(document, "profileArn"),
    )


def _refusal(answer: HttpAnswer) -> UpstreamError:
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
    told = _text(_document(answer.body), "error")
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


def _document(body: bytes) -> Mapping[str, object]:
    """Return the JSON object in `body`; an empty one when there is none."""
    try:
        document = decode(body)
    except RequestError:
        return {}
    return document if isinstance(document, dict) else {}


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    return value.strip() if isinstance(value, str) else ""
