"""The list of models in the shape of the caller's dialect."""

from typing import Any

import msgspec
import pytest

from kiro2api.pool.account import Condition, ModelRefusal
from kiro2api.protocol.codewhisperer.models import UpstreamModel
from kiro2api.server.keys import ClientKey
from kiro2api.server.models import public_models
from tests.support.asgi import Caller, Plane
from tests.support.fakes import stored_account

ANTHROPIC = {"anthropic_version": "2023-06-01"}
NAME = "claude-sonnet-4-20250514"


def ids(answer: Caller) -> list[str]:
    return [model["id"] for model in answer.json["data"]]


def test_the_list_has_the_shape_of_the_dialect() -> None:
    plane = Plane()
    anthropic = plane.call("GET", "/v1/models", **ANTHROPIC).json
    chat = plane.call("GET", "/v1/models").json

    assert {"data", "has_more", "first_id", "last_id"} <= set(anthropic)
    assert anthropic["data"][0]["type"] == "model"
    assert chat["object"] == "list"
    assert chat["data"][0]["object"] == "model"


def test_both_dialects_list_the_same_models_in_the_same_order() -> None:
    plane = Plane()

    assert ids(plane.call("GET", "/v1/models")) == ids(plane.call("GET", "/v1/models", **ANTHROPIC))


@pytest.mark.parametrize("headers", [{}, ANTHROPIC], ids=["chat", "anthropic"])
def test_one_model_is_told_as_in_the_list(headers: dict[str, str]) -> None:
    plane = Plane()
    listed: list[Any] = plane.call("GET", "/v1/models", **headers).json["data"]
    one = plane.call("GET", f"/v1/models/{NAME}", **headers).json

    assert one in listed


def test_a_model_that_is_not_offered_is_404() -> None:
    answer = Plane().call("GET", "/v1/models/gpt-nine")

    assert answer.status == 404
    assert "gpt-nine" in answer.json["error"]["message"]


def test_live_models_of_the_group_are_offered_and_those_of_others_are_not() -> None:
    rows = (stored_account("a"), stored_account("b", position=1, group="pro"))
    plane = Plane(accounts=rows)
    for entry, name in zip(plane.roster.entries(), ("model-of-a", "model-of-b"), strict=True):
        entry.models = (UpstreamModel(name, name),)

    assert "model-of-a" in ids(plane.call("GET", "/v1/models"))
    assert "model-of-b" not in ids(plane.call("GET", "/v1/models"))
    assert "model-of-b" in ids(plane.call("GET", "/pro/v1/models"))


def test_a_model_that_every_account_was_refused_is_not_offered() -> None:
    plane = Plane()
    [entry] = plane.roster.entries()
    until = plane.clock.monotonic() + 60
    entry.apply(msgspec.structs.replace(Condition(), models={NAME: ModelRefusal(until, "no")}))

    assert NAME not in [
        model.id for model in public_models(plane.gateway, "default", ClientKey("k", b""))
    ]


def test_a_key_is_offered_only_the_models_that_it_may_use() -> None:
    holder = ClientKey("k", b"", models=("claude-haiku-4-5",))

    offered = public_models(Plane().gateway, "default", holder)

    assert [model.id for model in offered] == ["claude-haiku-4-5"]
