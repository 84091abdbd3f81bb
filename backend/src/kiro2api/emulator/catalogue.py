"""The models that the emulated service offers: the default list, and what one account sees."""

from functools import cache
from pathlib import Path

from kiro2api.emulator.accounts import Account
from kiro2api.emulator.untyped import items, members, parse, text

Model = dict[str, object]


@cache
def _data() -> dict[str, object]:
    return members(parse(Path(__file__).with_name("catalogue.json").read_bytes()))


def default_model() -> object:
    """Return the model that the list names as the default one."""
    return _data()["defaultModel"]


def models_of(account: Account) -> list[Model]:
    """Return the models that `account` may list, in order, as the service would show them."""
    known = {text(model.get("modelId")): model for model in _default_list()}
    chosen = account.spec.models
    if chosen is None:
        return list(known.values())
    return [
        known.get(entry, {"modelId": entry}) if isinstance(entry, str) else members(entry)
        for entry in chosen
    ]


def find_model(account: Account, model_id: str) -> Model | None:
    """Return the model that a call of `account` may name so; None when the service refuses it.

    With the default list the ids of earlier years are taken too, though no list shows them.
    """
    for model in models_of(account):
        if model.get("modelId") == model_id:
            return model
    if account.spec.models is None and model_id in items(_data()["acceptedUnlisted"]):
        return {"modelId": model_id}
    return None


def window_of(model: Model) -> int:
    """Return how many tokens of input `model` takes."""
    limit = members(model.get("tokenLimits")).get("maxInputTokens")
    if isinstance(limit, int):
        return limit
    unlisted = _data()["unlistedWindow"]
    return unlisted if isinstance(unlisted, int) else 200_000


def _default_list() -> list[Model]:
    return [members(model) for model in items(_data()["models"])]
