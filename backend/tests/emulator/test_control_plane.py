"""The lists about an account: models, usage, profiles."""

from typing import Any

import pytest

from kiro2api.emulator.accounts import AccountKind, AccountSpec
from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.control_plane import answer
from kiro2api.emulator.errors_table import Refusal
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.world import World

ORIGIN = {"origin": "AI_EDITOR"}


def ask(operation: Operation, asked: dict[str, object], **spec: Any) -> tuple[int, Any]:
    world = World(
        seed=1,
        profile=ProfileName.RUNTIME_2026,
        accounts=(AccountSpec(name="a", **spec),),
        clock=lambda: 1_000_000.0,
        monotonic=lambda: 0.0,
    )
    return answer(world, operation, world.accounts["a"], asked)


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
