"""Who is let in."""

import msgspec
import pytest

from kiro2api.emulator.access import deny, deny_listing, deny_profile, deny_region, sender
from kiro2api.emulator.accounts import (
    BUILDER_ID_PLACEHOLDER,
    AccountSpec,
    ProfilePolicy,
)
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import ANY_HOST, Host, host_named
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.world import World

STRICT, OLD = ProfileName.RUNTIME_2026, ProfileName.Q_2025


def world(profile: ProfileName = STRICT, **spec: object) -> World:
    made = World(seed=1, profile=profile, accounts=(), clock=lambda: 100.0, monotonic=lambda: 0.0)
    made.add_account(msgspec.convert({"name": "a", "access_token": "tok", **spec}, AccountSpec))
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
    made.change_account("a", {"state": "suspended"})
    found = deny(made, request())

    assert found is not None
    assert (found.rule, found.refusal.reason) == ("R5", "TEMPORARILY_SUSPENDED")


def test_an_account_without_a_plan_is_refused() -> None:
    made = world()
    made.change_account("a", {"state": "not_entitled"})

    assert "subscription" in denied(made, request())[1]


def test_a_revoked_key_looks_like_a_bad_token() -> None:
    made = world(kind="api_key", state="revoked")
    found = denied(made, request(tokentype="API_KEY"))

    assert found == ("R5", "The bearer token included in the request is invalid.")


def test_where_nobody_checks_strangers_are_the_first_account() -> None:
    made = world()
    made.rules.switch("R2", False)

    assert deny(made, request("Bearer other")) is None
    assert sender(made, request("Bearer other")) is made.accounts["a"]


FOREIGN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/FOREIGNFOREI"
BEARER, CALL = ("The bearer token include", 403), ("User is not authorized t", 403)
REQUIRED = ("profileArn is required f", 400)


def host(name: str) -> Host:
    found = host_named(name)
    assert found is not None
    return found


def profile_rule(made: World, arn: object, at: Host = ANY_HOST) -> tuple[str, int]:
    found = deny_profile(made, made.accounts["a"], arn, at)
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
    assert profile_rule(world(), FOREIGN) == BEARER


@pytest.mark.parametrize("arn", ["arn:other", "", 7])
def test_what_is_no_profile_at_all_is_malformed(arn: object) -> None:
    assert profile_rule(world(), arn) == ("Improperly formed reques", 400)


@pytest.mark.parametrize(
    ("profile", "expected"), [(STRICT, ("", 0)), (OLD, ("User is not authorized t", 403))]
)
def test_the_placeholder_serves_those_without_a_profile_on_the_strict_service(
    profile: ProfileName, expected: tuple[str, int]
) -> None:
    assert profile_rule(world(profile, kind="builder_id"), BUILDER_ID_PLACEHOLDER) == expected


def test_the_placeholder_does_not_serve_those_with_a_profile() -> None:
    assert profile_rule(world(kind="idc"), BUILDER_ID_PLACEHOLDER)[1] == 403


RUNTIME = host("runtime.us-east-1.kiro.dev")
RUNTIME_EU = host("runtime.eu-central-1.kiro.dev")
OLDER = host("q.us-east-1.amazonaws.com")


@pytest.mark.parametrize(
    ("at", "kind", "arn", "expected"),
    [
        (RUNTIME, "builder_id", None, REQUIRED),
        (RUNTIME, "builder_id", BUILDER_ID_PLACEHOLDER, ("", 0)),
        (RUNTIME, "idc", FOREIGN, BEARER),
        (OLDER, "builder_id", None, ("", 0)),
        (OLDER, "builder_id", BUILDER_ID_PLACEHOLDER, CALL),
        (OLDER, "idc", FOREIGN, CALL),
    ],
)
@pytest.mark.parametrize("profile", [STRICT, OLD])
def test_a_host_has_its_own_mind_about_profiles(
    profile: ProfileName, at: Host, kind: str, arn: str | None, expected: tuple[str, int]
) -> None:
    assert profile_rule(world(profile, kind=kind), arn, at) == expected


def test_a_profile_serves_in_its_own_region_only() -> None:
    made = world(kind="idc", region="eu-west-1")
    arn = made.accounts["a"].profile_arn

    assert (profile_rule(made, arn, RUNTIME), profile_rule(made, arn, RUNTIME_EU)) == (
        BEARER,
        ("", 0),
    )


@pytest.mark.parametrize(
    ("policy", "none", "borrowed", "foreign"),
    [
        (ProfilePolicy.REQUIRED, REQUIRED, ("", 0), BEARER),
        (ProfilePolicy.OPTIONAL, ("", 0), ("", 0), BEARER),
        (ProfilePolicy.OWN, REQUIRED, CALL, CALL),
        (ProfilePolicy.OWN_OR_NONE, ("", 0), CALL, CALL),
        (ProfilePolicy.UNCHECKED, ("", 0), ("", 0), ("", 0)),
    ],
)
@pytest.mark.parametrize("at", [RUNTIME, OLDER, ANY_HOST], ids=lambda at: at.kind)
def test_an_account_can_have_a_policy_of_its_own(
    at: Host,
    policy: ProfilePolicy,
    none: tuple[str, int],
    borrowed: tuple[str, int],
    foreign: tuple[str, int],
) -> None:
    made = world(kind="builder_id", profile_policy=policy)
    arns = (None, BUILDER_ID_PLACEHOLDER, FOREIGN)

    assert tuple(profile_rule(made, arn, at) for arn in arns) == (none, borrowed, foreign)


def test_a_switch_of_a_test_counts_on_every_host() -> None:
    made = world(kind="builder_id")
    made.rules.switch("R9.required", False)
    made.rules.switch("R9.no_placeholder", True)

    found = [profile_rule(made, arn, RUNTIME) for arn in (None, BUILDER_ID_PLACEHOLDER)]
    assert found == [("", 0), CALL]


@pytest.mark.parametrize(
    ("at", "arn", "status", "text"),
    [
        (RUNTIME, None, 0, ""),
        (RUNTIME, BUILDER_ID_PLACEHOLDER, 0, ""),
        (RUNTIME, FOREIGN, *reversed(BEARER)),
        (OLDER, FOREIGN, *reversed(CALL)),
        (RUNTIME, "arn:other", 400, "Invalid profileArn."),
    ],
)
def test_a_list_takes_the_profiles_of_the_account_or_none(
    at: Host, arn: object, status: int, text: str
) -> None:
    found = deny_listing(world(kind="builder_id").accounts["a"], arn, at)

    assert (
        (found.refusal.status, found.refusal.message[:24]) == (status, text)
        if found
        else (status == 0)
    )


def test_an_account_can_be_unknown_in_a_region() -> None:
    account = world(regions=["us-east-1"]).accounts["a"]

    assert deny_region(account, RUNTIME) is None
    assert deny_region(account, ANY_HOST) is None
    assert deny_region(account, RUNTIME_EU) is not None
