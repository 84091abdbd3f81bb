"""Models as first described: five names, what each is upstream, and what the lists show."""

from collections.abc import Iterator

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import RunningEmulator, run_emulator
from tests.support.gateway import MODEL, RunningGateway, StartGateway, run_gateway
from tests.support.pairs import Pair
from tests.support.talk import WAYS, WHOLE, Way, name_of, read

PINNED = {
    "claude-opus-4-5-20251101": "claude-opus-4.5",
    "claude-sonnet-4-5-20250929": "CLAUDE_SONNET_4_5_20250929_V1_0",
    "claude-sonnet-4-20250514": "CLAUDE_SONNET_4_20250514_V1_0",
    "claude-3-7-sonnet-20250219": "CLAUDE_3_7_SONNET_20250219_V1_0",
    "claude-haiku-4-5": "auto",
}
DOTTED = {
    "claude-opus-4-5-20251101": "claude-opus-4.5",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4.5",
    "claude-sonnet-4-20250514": "claude-sonnet-4",
    "claude-3-7-sonnet-20250219": "claude-3.7-sonnet",
    "claude-haiku-4-5": "claude-haiku-4.5",
}
# What each account of the gateway below has on its live list; None: nobody can say.
LISTS = {
    "unknown": None,
    "pinned": list(PINNED.values()),
    "dotted": list(DOTTED.values()),
    "both": [*PINNED.values(), *DOTTED.values()],
    "others": ["claude-opus-5", "glm-5"],
    # As the one above, but refused in the course of the tests.
    "refusing": ["claude-opus-5", "glm-5"],
}


@pytest.fixture(scope="module")
def by_list(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with one group for each of `LISTS`, named like it."""
    with run_emulator() as emulator:
        emulator.queue(operation="models", account="unknown", status=500, body_text="", times=0)
        entries = [
            emulator.add_account(name, models=models, rotation="same").auth_entry(group=name)
            for name, models in LISTS.items()
        ]
        with run_gateway(tmp_path_factory.mktemp("models"), emulator, entries) as gateway:
            known = len(LISTS) - 1
            gateway.wait_for(
                lambda: sum(a["models"] is not None for a in gateway.accounts()) == known, "models"
            )
            yield gateway


def sent_ids(gateway: RunningGateway, group: str) -> dict[str, str]:
    """Return what each of the five names became upstream."""
    gateway.emulator.forget_records()
    for name in PINNED:
        gateway.messages(path=f"/{group}/v1/messages", model=name)
    return dict(zip(PINNED, (r.model for r in gateway.emulator.generations()), strict=True))


def listed_ids(gateway: RunningGateway, group: str = "") -> list[str]:
    place = f"/{group}/v1/models" if group else "/v1/models"
    return [model["id"] for model in gateway.get(place).json["data"]]


# ------------------------------------------------------------------------- what a name is upstream


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("unknown", PINNED),
        ("pinned", PINNED),
        ("dotted", DOTTED),
        ("both", PINNED),
        ("refusing", PINNED),
    ],
)
def test_the_five_names_become_what_the_account_has(
    by_list: RunningGateway, group: str, expected: dict[str, str]
) -> None:
    assert sent_ids(by_list, group) == expected


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_every_way_of_asking_names_the_same_model(by_list: RunningGateway, way: Way) -> None:
    by_list.emulator.forget_records()
    told = way.ask(by_list, path=f"/pinned{way.path}", model="claude-sonnet-4-5-20250929")
    [record] = by_list.emulator.generations()

    assert told.status == 200
    assert record.model == "CLAUDE_SONNET_4_5_20250929_V1_0"


def test_the_operators_own_map_wins(start_gateway: StartGateway, emulator: RunningEmulator) -> None:
    own = {"claude-haiku-4-5": "claude-haiku-4.5", "my-model": "claude-opus-5"}
    gateway = start_gateway(emulator.add_account("one"), KIRO_MODELS=json.encode(own).decode())
    for name in own:
        assert gateway.chat(model=name).status == 200

    assert [record.model for record in emulator.generations()] == list(own.values())


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_an_unknown_model_is_a_404_that_names_near_ones(gateway: RunningGateway, way: Way) -> None:
    answer = way.ask(gateway, model="claude-sonet-4.5")

    assert answer.status == 404
    assert answer.json["error"]["type"] in ("not_found_error", "invalid_request_error")
    assert "claude-sonnet-4.5" in answer.json["error"]["message"]
    assert gateway.emulator.generations() == []


# ------------------------------------------------------------------------------ what the lists show


@pytest.mark.parametrize("group", ["unknown", "pinned", "dotted", "both", "others"])
def test_the_five_names_are_always_listed_and_others_only_from_a_live_list(
    by_list: RunningGateway, group: str
) -> None:
    others = set(LISTS[group] or ()) - set(PINNED)

    assert listed_ids(by_list, group)[:5] == list(PINNED)
    assert set(listed_ids(by_list, group)[5:]) == others


def test_a_group_does_not_list_the_models_of_another(by_list: RunningGateway) -> None:
    assert listed_ids(by_list) == list(PINNED)


def test_the_order_of_the_list_is_always_the_same(gateway: RunningGateway) -> None:
    lists = [listed_ids(gateway, group) for group in ("", "default", "pro", "")]

    assert lists == [lists[0]] * 4
    assert len(lists[0]) == len(set(lists[0])) > 5


def test_the_list_has_the_shape_that_openai_clients_read(gateway: RunningGateway) -> None:
    body = gateway.get("/v1/models").json

    assert body["object"] == "list"
    for model in body["data"]:
        assert (model["object"], type(model["created"])) == ("model", int)
        assert isinstance(model["owned_by"], str)


def test_the_list_has_the_shape_that_anthropic_clients_read(gateway: RunningGateway) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    body = gateway.get("/v1/models", headers=headers).json
    one = gateway.get(f"/v1/models/{MODEL}", headers=headers).json

    assert (body["has_more"], body["first_id"]) == (False, body["data"][0]["id"])
    assert body["last_id"] == body["data"][-1]["id"]
    for model in [*body["data"], one]:
        assert model["type"] == "model"
        assert model["display_name"]
        assert model["created_at"].endswith("Z")


@pytest.mark.parametrize("headers", [{}, {"anthropic-version": "2023-06-01"}], ids=["o", "a"])
def test_a_model_that_is_not_listed_is_a_404(
    gateway: RunningGateway, headers: dict[str, str]
) -> None:
    answer = gateway.get("/v1/models/gpt-nothing", headers=headers)

    assert answer.status == 404
    assert "gpt-nothing" in answer.json["error"]["message"]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_model_that_every_account_was_refused_leaves_the_list(pair: Pair, way: Way) -> None:
    pair.queue(pair.first, error="invalid_model")
    assert pair.ask(way).status == 200
    assert MODEL in listed_ids(pair.gateway, pair.group)
    pair.queue(pair.second, error="invalid_model")
    refused = read(pair.ask(way))

    assert refused.status == 404
    assert MODEL not in listed_ids(pair.gateway, pair.group)
    assert pair.gateway.get(pair.path(f"/v1/models/{MODEL}")).status == 404
    assert MODEL in listed_ids(pair.gateway)
    assert pair.calls() == [pair.first, pair.second, pair.second]
