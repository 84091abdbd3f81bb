"""Refreshing access tokens."""

from typing import Any

import pytest

from kiro2api.emulator import sign_in
from kiro2api.emulator.accounts import Account, AccountKind, AccountSpec, Rotation
from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.world import World
from kiro2api.protocol.wire import json


class Service:
    """A world with one account, and how it answers refreshes."""

    def __init__(self, **spec: Any) -> None:
        self.world = World(
            seed=1,
            profile=ProfileName.RUNTIME_2026,
            accounts=(AccountSpec(name="a", **spec),),
            clock=lambda: 100.0,
            monotonic=lambda: 0.0,
        )

    @property
    def account(self) -> Account:
        return self.world.accounts["a"]

    def ask(self, path: str, **members: object) -> tuple[int, Any]:
        request = Request("POST", path, {}, {}, json.encode(members), "1.1", 1)
        record = self.world.record(request, Operation.REFRESH)
        asked = sign_in.parse_refresh(self.world, request)
        if asked.account is None:
            status, _, body = sign_in.refuse_unknown(self.world, asked, record)
        else:
            status, _, body = sign_in.refresh(self.world, asked, asked.account, record)
        return status, json.decode(body)

    def social(self, token: str | None = None) -> tuple[int, Any]:
        return self.ask("/refreshToken", refreshToken=token or self.account.refresh_token)

    def oidc(self, **members: object) -> tuple[int, Any]:
        whole = {
            "clientId": self.account.spec.client_id,
            "clientSecret": self.account.spec.client_secret,
            "refreshToken": self.account.refresh_token,
            "grantType": "refresh_token",
        }
        return self.ask("/token", **{**whole, **members})


def test_a_social_refresh_brings_tokens_lifetime_and_profile() -> None:
    service = Service(access_lifetime_s=900.0)
    status, answer = service.social()

    assert (status, answer["expiresIn"]) == (200, 900)
    assert answer["refreshToken"] == service.account.refresh_token
    assert answer["profileArn"] == service.account.profile_arn
    assert answer["accessToken"] in service.world.access_tokens


def test_the_profile_can_be_left_out() -> None:
    assert "profileArn" not in Service(omits_profile_arn=True).social()[1]


def test_a_used_token_is_dead_and_counted() -> None:
    service = Service()
    old = service.account.refresh_token
    service.social()
    status, answer = service.social(old)

    assert (status, answer) == (401, {"message": "Bad credentials"})
    assert (service.account.refreshes, service.account.dead_token_uses) == (1, 1)


def test_an_old_access_token_works_on_after_a_rotation() -> None:
    service = Service()
    first = service.social()[1]["accessToken"]
    service.social()

    assert service.world.access_tokens[first].expires_at > service.world.clock.now()


def test_the_answer_can_lack_a_refresh_token() -> None:
    assert "refreshToken" not in Service(rotation=Rotation.MISSING).social()[1]


def test_an_unknown_social_token_is_refused() -> None:
    assert Service().social("x" * 120)[0] == 401


def test_an_oidc_refresh_brings_tokens() -> None:
    status, answer = Service(kind=AccountKind.IDC).oidc()

    assert (status, answer["tokenType"], answer["expiresIn"]) == (200, "Bearer", 3600)
    assert "profileArn" not in answer


@pytest.mark.parametrize(
    ("members", "status", "error"),
    [
        ({"clientSecret": "wrong"}, 401, "invalid_client"),
        ({"clientId": "wrong"}, 401, "invalid_client"),
        ({"grantType": "password"}, 400, "unsupported_grant_type"),
        ({"refreshToken": "x" * 120}, 400, "invalid_grant"),
        ({"refreshToken": ""}, 400, "invalid_request"),
        ({"clientSecret": ""}, 400, "invalid_request"),
    ],
)
def test_oidc_refusals_have_their_codes(
    members: dict[str, object], status: int, error: str
) -> None:
    found, answer = Service(kind=AccountKind.IDC).oidc(**members)

    assert (found, answer["error"]) == (status, error)


def test_a_dead_oidc_token_is_an_invalid_grant() -> None:
    service = Service(kind=AccountKind.IDC)
    old = service.account.refresh_token
    service.oidc()

    assert service.oidc(refreshToken=old)[1]["error"] == "invalid_grant"


def test_snake_case_is_refused_and_noted() -> None:
    service = Service(kind=AccountKind.IDC)
    status, answer = service.ask(
        "/token",
        client_id=service.account.spec.client_id,
        client_secret=service.account.spec.client_secret,
        refresh_token=service.account.refresh_token,
        grant_type="refresh_token",
    )

    assert (status, answer["error"]) == (400, "invalid_request")
    assert [violation.rule for violation in service.world.violations] == ["A3"]


@pytest.mark.parametrize(("kind", "path"), [("idc", "/refreshToken"), ("social", "/token")])
def test_the_wrong_service_refuses_and_notes_it(kind: str, path: str) -> None:
    service = Service(kind=AccountKind(kind), client_id="c", client_secret="s")
    refused = service.social() if path == "/refreshToken" else service.oidc()

    assert refused[0] == 400
    assert "wrong service" in service.world.violations[0].message


@pytest.mark.parametrize(("name", "status"), [("invalid_grant", 400), ("server_error", 500)])
def test_refusals_can_be_asked_for_by_name(name: str, status: int) -> None:
    found, _, body = sign_in.named_refusal(name)

    assert (found, json.decode(body)["error"]) == (status, name)
