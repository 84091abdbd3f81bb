"""The lists about an account: models, usage, profiles."""

from typing import Any

import pytest

from kiro2api.emulator.accounts import AccountKind, AccountSpec, ProfileShape
from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.control_plane import answer
from kiro2api.emulator.errors_table import Refusal
from kiro2api.emulator.hosts import ANY_HOST, host_named
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.world import World

ORIGIN = {"origin": "AI_EDITOR"}


def ask(
    operation: Operation, asked: dict[str, object], *, host: str = "", **spec: Any
) -> tuple[int, Any]:
    world = World(
        seed=1,
        profile=ProfileName.RUNTIME_2026,
        accounts=(AccountSpec(name="a", **spec),),
        clock=lambda: 1_000_000.0,
        monotonic=lambda: 0.0,
    )
    return answer(world, operation, world.accounts["a"], asked, host_named(host) or ANY_HOST)


def models(asked: dict[str, object], **spec: Any) -> Any:
    return ask(Operation.MODELS, asked, **spec)[1]


def usage(asked: dict[str, object] | None = None, **spec: Any) -> Any:
    return ask(Operation.USAGE, asked or {}, **spec)[1]


def test_the_list_has_models_and_a_default() -> None:
    page = models(ORIGIN)

    assert page["defaultModel"]["modelId"] == "auto"
    assert len(page["models"]) > 10
    assert "nextToken" not in page


def test_the_list_comes_in_pages() -> None:
    found: list[str] = []
    asked: dict[str, object] = {**ORIGIN, "maxResults": "5"}
    while True:
        page = models(asked)
        found += [model["modelId"] for model in page["models"]]
        if "nextToken" not in page:
            break
        asked["nextToken"] = page["nextToken"]

    assert found == [model["modelId"] for model in models(ORIGIN)["models"]]


def test_pages_can_be_smaller_than_asked_for() -> None:
    page = models({**ORIGIN, "maxResults": 50}, models_page=2)

    assert (len(page["models"]), page["nextToken"]) == (2, "2")


def test_an_empty_list_is_an_answer() -> None:
    assert models(ORIGIN, models=[])["models"] == []


def test_the_origin_is_required() -> None:
    status, refusal = ask(Operation.MODELS, {})

    assert (status, isinstance(refusal, Refusal)) == (400, True)


def test_usage_tells_credits_with_precision() -> None:
    (credits,) = usage(credits_used=12.37)["usageBreakdownList"]

    assert (credits["currentUsage"], credits["currentUsageWithPrecision"]) == (12, 12.37)
    assert (credits["usageLimit"], credits["resourceType"]) == (50, "CREDIT")


def test_the_reset_is_an_epoch_as_a_fraction() -> None:
    assert isinstance(usage()["nextDateReset"], float)


@pytest.mark.parametrize("wish", ["true", True, "True"])
def test_the_e_mail_is_told_when_it_is_asked_for(wish: object) -> None:
    assert usage({"isEmailRequired": wish})["userInfo"]["email"] == "a@example.com"


def test_the_e_mail_is_not_told_otherwise() -> None:
    assert "email" not in usage()["userInfo"]


def test_members_of_the_usage_answer_can_be_replaced_and_removed() -> None:
    found = usage(usage={"usageBreakdownList": [], "limits": None, "extra": 1})

    assert (found["usageBreakdownList"], "limits" in found, found["extra"]) == ([], False, 1)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (AccountKind.SOCIAL, 200),
        (AccountKind.BUILDER_ID, 403),
        (AccountKind.API_KEY, 403),
        (AccountKind.IDC, 200),
    ],
)
def test_profiles_depend_on_the_kind(kind: AccountKind, status: int) -> None:
    assert ask(Operation.PROFILES, {}, kind=kind)[0] == status


def test_an_organisation_has_a_profile_and_a_social_login_has_none_listed() -> None:
    lists = [
        ask(Operation.PROFILES, {}, kind=kind)[1]["profiles"]
        for kind in (AccountKind.IDC, AccountKind.SOCIAL)
    ]

    assert [len(profiles) for profiles in lists] == [1, 0]


def test_profiles_can_be_given() -> None:
    given = [{"arn": "x"}, {"arn": "y"}]

    assert ask(Operation.PROFILES, {}, profiles=given)[1] == {"profiles": given}


MANAGEMENT, MANAGEMENT_EU = "management.us-east-1.kiro.dev", "management.eu-central-1.kiro.dev"
OLDER = "codewhisperer.us-east-1.amazonaws.com"
US = "arn:aws:codewhisperer:us-east-1:123456789012:profile/AAAAAAAAAAAA"
EU = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/BBBBBBBBBBBB"
BOTH = [{"arn": US, "profileName": "us"}, {"arn": EU, "profileName": "eu"}]


@pytest.mark.parametrize(
    ("host", "arns"), [(MANAGEMENT, [US]), (MANAGEMENT_EU, [EU]), ("", [US, EU])]
)
def test_a_region_lists_its_own_profiles(host: str, arns: list[str]) -> None:
    found = ask(Operation.PROFILES, {}, host=host, kind=AccountKind.IDC, profiles=BOTH)[1]

    assert [profile["arn"] for profile in found["profiles"]] == arns


def test_a_region_can_refuse_an_account_that_another_knows() -> None:
    statuses = [
        ask(Operation.PROFILES, {}, host=host, kind=AccountKind.IDC, regions=["us-east-1"])[0]
        for host in (MANAGEMENT, MANAGEMENT_EU)
    ]

    assert statuses == [200, 403]


def test_profiles_come_in_pages() -> None:
    given = [{"arn": f"arn:{number}"} for number in range(12)]
    first = ask(Operation.PROFILES, {"maxResults": 50}, profiles=given)[1]
    second = ask(Operation.PROFILES, {"nextToken": first["nextToken"]}, profiles=given)[1]

    assert (len(first["profiles"]), len(second["profiles"])) == (10, 2)
    assert "nextToken" not in second


@pytest.mark.parametrize(
    ("kind", "host", "text"),
    [
        (AccountKind.BUILDER_ID, OLDER, "AWS Builder ID is not supported for this operation."),
        (AccountKind.BUILDER_ID, MANAGEMENT, "User is not authorized to access this feature"),
        (AccountKind.API_KEY, OLDER, "Unsupported token type"),
        (
            AccountKind.API_KEY,
            MANAGEMENT,
            "API key authentication is not supported for this operation.",
        ),
    ],
)
def test_each_host_refuses_the_list_of_profiles_in_its_own_words(
    kind: AccountKind, host: str, text: str
) -> None:
    status, refusal = ask(Operation.PROFILES, {}, host=host, kind=kind)

    assert (status, refusal.message) == (403, text)


def profile(asked: dict[str, object], **spec: Any) -> Any:
    return ask(Operation.PROFILE, asked, **spec)[1]


def test_a_key_is_told_its_profile_without_naming_it() -> None:
    found = profile({}, kind=AccountKind.API_KEY, profile_arn=US)

    assert (found["profile"]["arn"], found["profile"]["status"]) == (US, "ACTIVE")


def test_a_profile_can_be_told_at_the_top_level() -> None:
    shape = ProfileShape.FLAT

    assert profile({}, kind=AccountKind.API_KEY, profile_arn=US, profile_shape=shape)["arn"] == US


def test_one_of_several_profiles_is_told_by_its_name() -> None:
    found = profile({"profileArn": EU}, kind=AccountKind.IDC, profiles=BOTH)

    assert found == {"profile": BOTH[1]}


@pytest.mark.parametrize(
    ("asked", "kind", "status"),
    [
        ({}, AccountKind.IDC, 400),
        ({"profileArn": EU}, AccountKind.IDC, 404),
        ({"profileArn": EU}, AccountKind.API_KEY, 404),
    ],
)
def test_no_other_profile_is_told(asked: dict[str, object], kind: AccountKind, status: int) -> None:
    found, refusal = ask(Operation.PROFILE, asked, kind=kind)

    assert (found, isinstance(refusal, Refusal)) == (status, True)


def test_usage_tells_what_was_spent_beyond_the_limit() -> None:
    found = usage(credits_limit=10.0, credits_used=12.5, overage=True, overage_cap=5.0)
    (credits,) = found["usageBreakdownList"]

    assert found["overageConfiguration"] == {"overageStatus": "ENABLED"}
    assert (credits["currentUsageWithPrecision"], credits["usageLimit"]) == (10.0, 10)
    assert (credits["currentOveragesWithPrecision"], credits["overageCap"]) == (2.5, 5)


def test_the_end_of_the_period_can_be_near() -> None:
    found = usage(resets_in_s=60.0)

    assert (found["nextDateReset"], found["daysUntilReset"]) == (1_000_060.0, 1)
