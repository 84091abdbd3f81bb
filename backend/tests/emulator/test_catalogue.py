"""Which models an account sees, and which it may name."""

import pytest

from kiro2api.emulator.accounts import Account, AccountSpec
from kiro2api.emulator.catalogue import default_model, find_model, models_of, window_of

LEGACY = [
    "CLAUDE_SONNET_4_5_20250929_V1_0",
    "CLAUDE_SONNET_4_20250514_V1_0",
    "CLAUDE_3_7_SONNET_20250219_V1_0",
]


def account(models: list[object] | None = None) -> Account:
    return Account(AccountSpec(name="a", models=models), now=0.0)


def ids(models: list[dict[str, object]]) -> list[object]:
    return [model["modelId"] for model in models]


def test_the_default_list_has_the_usual_models() -> None:
    wanted = {"auto", "claude-sonnet-4.5", "claude-opus-4.5", "claude-haiku-4.5", "claude-sonnet-4"}

    assert wanted <= set(ids(models_of(account())))


def test_each_listed_model_tells_its_window() -> None:
    assert all(window_of(model) >= 100_000 for model in models_of(account()))


def test_models_that_reason_bring_a_schema_and_older_ones_do_not() -> None:
    schemas = {
        str(model["modelId"]): "additionalModelRequestFieldsSchema" in model
        for model in models_of(account())
    }

    assert (schemas["claude-opus-4.7"], schemas["claude-sonnet-4.5"]) == (True, False)


@pytest.mark.parametrize("model_id", [*LEGACY, "claude-opus-4.5", "auto"])
def test_ids_of_earlier_years_are_taken(model_id: str) -> None:
    assert find_model(account(), model_id) is not None


@pytest.mark.parametrize("model_id", LEGACY)
def test_ids_of_earlier_years_are_not_listed(model_id: str) -> None:
    assert model_id not in ids(models_of(account()))


def test_an_account_with_its_own_list_has_only_that() -> None:
    own = account(["claude-haiku-4.5", {"modelId": "new", "tokenLimits": {"maxInputTokens": 9}}])

    assert ids(models_of(own)) == ["claude-haiku-4.5", "new"]
    assert find_model(own, LEGACY[0]) is None


def test_an_own_model_keeps_its_members() -> None:
    own = account([{"modelId": "new", "tokenLimits": {"maxInputTokens": 9}}])

    assert window_of(find_model(own, "new") or {}) == 9


def test_a_model_without_limits_has_a_usual_window() -> None:
    assert window_of({"modelId": "x"}) == 200_000


def test_unknown_ids_are_not_found() -> None:
    assert find_model(account(), "claude-9") is None


def test_the_list_has_a_default() -> None:
    assert default_model() == {"modelId": "auto", "modelName": "Auto"}
