"""Who is let in."""

import pytest

from kiro2api.emulator.access import deny, deny_profile, sender
from kiro2api.emulator.accounts import BUILDER_ID_PLACEHOLDER, AccountKind, AccountSpec
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.world import World

STRICT, OLD = ProfileName.RUNTIME_2026, ProfileName.Q_2025


def world(profile: ProfileName = STRICT, **spec: object) -> World:
    made = World(seed=1, profile=profile, accounts=(), clock=lambda: 100.0, monotonic=lambda: 0.0)
    kind = AccountKind(str(spec.pop("kind", "social")))
    made.add_account(AccountSpec(name="a", kind=kind, access_token="tok", **spec))
    return made


def request(authorization: str | None = "Bearer tok", **headers: str) -> Request:
    given = dict(headers) if authorization is None else {"authorization": authorization, **headers}
    return Request("POST", "/", {}, given, b"", "1.1", 1)


def denied(made: World, sent: Request) -> tuple[str, str]:
    found = deny(made, sent)
    return (found.rule, found.refusal.message) if found else ("", "")


def test_a_known_token_is_let_in() -> None:
    made = world()

    assert deny(made, request()) is None
    assert sender(made, request()) is made.accounts["a"]


@pytest.mark.parametrize("authorization", [None, "", "tok", "Bearer other", "Basic tok"])
def test_anything_else_is_not(authorization: str | None) -> None:
    expected = ("R2", "The bearer token included in the request is invalid.")

    assert denied(world(), request(authorization)) == expected


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (STRICT, "Token expired"),
        (OLD, "The bearer token included in the request is invalid."),
    ],
)
def test_an_expired_token_is_refused_in_the_words_of_the_profile(
    profile: ProfileName, text: str
) -> None:
    made = world(profile)
    made.clock.advance(3600.0)

    assert denied(made, request()) == ("R3", text)


@pytest.mark.parametrize(
    ("kind", "headers", "rule"),
    [
        ("api_key", {}, "R4"),
        ("api_key", {"tokentype": "API_KEY"}, ""),
        ("external_idp", {}, "R4"),
        ("external_idp", {"tokentype": "external_idp"}, ""),
        ("social", {"tokentype": "API_KEY"}, "R4"),
    ],
)
def test_the_type_of_the_token_has_to_be_told(
    kind: str, headers: dict[str, str], rule: str
) -> None:
    assert denied(world(kind=kind), request(**headers))[0] == rule


def test_a_suspended_account_is_told_so() -> None:
    made = world()
    made.accounts["a"].change({"state": "suspended"})
    found = deny(made, request())

    assert found is not None
    assert (found.rule, found.refusal.reason) == ("R5", "TEMPORARILY_SUSPENDED")


def test_an_account_without_a_plan_is_refused() -> None:
    made = world()
    made.accounts["a"].change({"state": "not_entitled"})

    assert "subscription" in denied(made, request())[1]


def test_where_nobody_checks_strangers_are_the_first_account() -> None:
    made = world()
    made.rules.switch("R2", False)

    assert deny(made, request("Bearer other")) is None
    assert sender(made, request("Bearer other")) is made.accounts["a"]


def profile_rule(made: World, arn: object) -> tuple[str, int]:
    found = deny_profile(made, made.accounts["a"], arn)
    return (found.refusal.message[:24], found.refusal.status) if found else ("", 0)


def test_the_account_s_own_profile_passes() -> None:
    made = world()

    assert profile_rule(made, made.accounts["a"].profile_arn) == ("", 0)


@pytest.mark.parametrize(
    ("profile", "expected"), [(STRICT, ("profileArn is required f", 400)), (OLD, ("", 0))]
)
def test_only_the_strict_service_wants_a_profile(
    profile: ProfileName, expected: tuple[str, int]
) -> None:
    assert profile_rule(world(profile), None) == expected


def test_a_foreign_profile_looks_like_a_bad_token() -> None:
    assert profile_rule(world(), "arn:other") == ("The bearer token include", 403)


@pytest.mark.parametrize(
    ("profile", "expected"), [(STRICT, ("", 0)), (OLD, ("User is not authorized t", 403))]
)
def test_the_placeholder_serves_those_without_a_profile_on_the_strict_service(
    profile: ProfileName, expected: tuple[str, int]
) -> None:
    assert profile_rule(world(profile, kind="builder_id"), BUILDER_ID_PLACEHOLDER) == expected


def test_the_placeholder_does_not_serve_those_with_a_profile() -> None:
    assert profile_rule(world(kind="idc"), BUILDER_ID_PLACEHOLDER)[1] == 403
