"""Which upstream model a client's name means, and what an account's live list says."""

import json

import msgspec
import pytest

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.chat.answer import PublicModel
from kiro2api.protocol.codewhisperer.models import (
    ModelMap,
    UpstreamModel,
    read_models,
    write_models,
)

PINNED = {
    "claude-opus-4-5-20251101": "claude-opus-4.5",
    "claude-sonnet-4-5-20250929": "CLAUDE_SONNET_4_5_20250929_V1_0",
    "claude-sonnet-4-20250514": "CLAUDE_SONNET_4_20250514_V1_0",
    "claude-3-7-sonnet-20250219": "CLAUDE_3_7_SONNET_20250219_V1_0",
    "claude-haiku-4-5": "auto",
}


@pytest.fixture(scope="module")
def models() -> ModelMap:
    return ModelMap()


def ids(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(("name", "upstream_id"), PINNED.items())
def test_a_promised_name_means_its_pinned_id(models: ModelMap, name: str, upstream_id: str) -> None:
    assert models.resolve(name, None) == upstream_id


@pytest.mark.parametrize(("name", "upstream_id"), PINNED.items())
def test_a_promised_name_stays_pinned_when_the_list_has_nothing_like_it(
    models: ModelMap, name: str, upstream_id: str
) -> None:
    assert models.resolve(name, ids("deepseek-3.2")) == upstream_id


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4.5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-7-sonnet-20250219", "claude-sonnet-3.7"),
        ("claude-3-7-sonnet-20250219", "claude-3.7-sonnet"),
        ("claude-haiku-4-5", "claude-haiku-4.5"),
    ],
)
def test_a_list_without_the_pinned_id_gives_the_dotted_one(
    models: ModelMap, name: str, dotted: str
) -> None:
    assert models.resolve(name, ids(dotted, "glm-5")) == dotted


def test_a_list_with_the_pinned_id_keeps_it(models: ModelMap) -> None:
    assert models.resolve("claude-haiku-4-5", ids("auto", "claude-haiku-4.5")) == "auto"


@pytest.mark.parametrize(
    "spelling",
    [
        "Claude-Sonnet-4-5-20250929",
        "anthropic/claude-sonnet-4-5-20250929",
        "claude-sonnet-4-5-20250929[1m]",
        "claude-sonnet-4-5-20250929-thinking",
        " claude-sonnet-4-5-20250929 ",
    ],
)
def test_a_decorated_promised_name_is_the_promised_name(models: ModelMap, spelling: str) -> None:
    assert models.resolve(spelling, None) == "CLAUDE_SONNET_4_5_20250929_V1_0"


@pytest.mark.parametrize(
    ("name", "upstream_id"),
    [
        ("auto", "auto"),
        ("claude-sonnet-4.5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5-latest", "claude-sonnet-4.5"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("sonnet-4.5", "claude-sonnet-4.5"),
        ("claude-4-5-sonnet", "claude-sonnet-4.5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        ("claude-opus-5", "claude-opus-5"),
        ("opus-5", "claude-opus-5"),
        ("opus-5-1m", "claude-opus-5"),
        ("claude-opus-5[1m]", "claude-opus-5"),
        ("claude-opus-5-thinking-1m", "claude-opus-5"),
        ("claude-opus-5-5", "claude-opus-5.5"),
        ("Claude-Opus-4.7", "claude-opus-4.7"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-4.5"),
        ("claude-3-5-haiku-20241022", "claude-haiku-4.5"),
        ("claude-3-opus-20240229", "claude-opus-4.5"),
        ("claude-opus-4-1-20250805", "claude-opus-4.5"),
        ("claude-opus-4-20250514", "claude-opus-4.5"),
        ("claude-3-7-sonnet-latest", "CLAUDE_3_7_SONNET_20250219_V1_0"),
        ("CLAUDE_SONNET_4_20250514_V1_0", "CLAUDE_SONNET_4_20250514_V1_0"),
        ("gpt-5.6-sol", "gpt-5.6-sol"),
        ("gpt-5-6-sol", "gpt-5.6-sol"),
        ("opus", "claude-opus-5.5"),
        ("claude-sonnet", "claude-sonnet-5.5"),
        ("haiku-latest", "claude-haiku-4.5"),
    ],
)
def test_other_names_are_read_by_family_and_version(
    models: ModelMap, name: str, upstream_id: str
) -> None:
    assert models.resolve(name, None) == upstream_id


@pytest.mark.parametrize(
    ("name", "listed", "upstream_id"),
    [
        ("opus", ids("claude-opus-4.5", "claude-opus-4.7", "claude-sonnet-5"), "claude-opus-4.7"),
        ("opus", ids("claude-opus-5", "claude-opus-4.8"), "claude-opus-5"),
        ("claude-haiku-4-5-20251001", ids("auto"), "auto"),
        ("claude-sonnet-4-5", ids("CLAUDE_SONNET_4_5_20250929_V1_0"), PINNED["claude-sonnet-4-5-20250929"]),
        ("brand-new-1", ids("brand-new-1"), "brand-new-1"),
        ("Brand-New-1", ids("Brand-New-1"), "Brand-New-1"),
        ("vendor/brand-new-1", ids("brand-new-1"), "brand-new-1"),
        ("claude-opus-6", ids("claude-opus-6"), "claude-opus-6"),
        ("claude-mythos-6-1", ids("claude-mythos-6.1"), "claude-mythos-6.1"),
        ("claude-opus-4-1", ids("claude-opus-4.1", "claude-opus-4.5"), "claude-opus-4.1"),
    ],
)  # fmt: skip
def test_a_known_list_decides_what_a_name_can_mean(
    models: ModelMap, name: str, listed: frozenset[str], upstream_id: str
) -> None:
    assert models.resolve(name, listed) == upstream_id


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("claude-opus-9", None),
        ("claude-opus-5-1", None),
        ("claude-sonnet-4-7", None),
        ("gpt-4o", None),
        ("", None),
        ("opus-5", ids("claude-opus-4.5")),
        ("claude-opus-4.7", ids("claude-sonnet-4.5")),
        ("opus", ids("claude-sonnet-4.5")),
        ("claude-sonnet-4.5", ids()),
    ],
)
def test_what_no_list_has_is_not_found_rather_than_replaced(
    models: ModelMap, name: str, listed: frozenset[str] | None
) -> None:
    with pytest.raises(RequestError) as caught:
        models.resolve(name, listed)

    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_a_name_not_found_comes_with_the_nearest_ones(models: ModelMap) -> None:
    with pytest.raises(RequestError) as caught:
        models.resolve("claude-opus-4.9", ids("claude-opus-4.8", "glm-5", "claude-opus-4.7"))

    assert "'claude-opus-4.9'" in caught.value.message
    assert "claude-opus-4.8" in caught.value.message
    assert "glm-5" not in caught.value.message


def test_a_name_of_any_length_is_refused_at_once_and_told_in_part(models: ModelMap) -> None:
    with pytest.raises(RequestError) as caught:
        models.resolve("claude" + "-1m" * 1_000_000, None)

    assert (caught.value.status, len(caught.value.message) < 500) == (404, True)


def test_a_name_like_nothing_at_all_still_gets_some_names(models: ModelMap) -> None:
    assert len(models.nearest("zzzz", None)) == 3


@pytest.mark.parametrize(
    "spelling",
    ["claude-haiku-4-5", "Claude-Haiku-4-5", "anthropic/claude-haiku-4-5", "claude-haiku-4-5[1m]"],
)
def test_the_operators_own_map_wins_over_all(spelling: str) -> None:
    models = ModelMap({"Claude-haiku-4-5": "my-own-id"})

    assert models.resolve(spelling, ids("auto", "claude-haiku-4.5")) == "my-own-id"


def test_an_operator_may_map_a_name_of_his_own() -> None:
    models = ModelMap({"fast": "qwen3-coder-next"})

    assert models.resolve("fast", None) == "qwen3-coder-next"


def test_other_data_can_replace_the_built_in() -> None:
    data = {"public": [], "known": [{"id": "only-one", "window_tokens": 5}], "retired": {}}
    models = ModelMap(data=json.dumps(data).encode())

    assert models.resolve("only-one", None) == "only-one"
    assert models.window_tokens("only-one", ()) == 5
    assert models.public_names() == ()


def test_the_live_list_knows_a_window_best(models: ModelMap) -> None:
    listed = (UpstreamModel("claude-sonnet-4.5", "S", window_tokens=1_000_000),)

    assert models.window_tokens("claude-sonnet-4.5", listed) == 1_000_000


@pytest.mark.parametrize(
    ("model_id", "window"),
    [
        ("claude-sonnet-4.5", 200_000),
        ("claude-opus-4.7", 1_000_000),
        ("CLAUDE_SONNET_4_5_20250929_V1_0", 200_000),
        ("never-heard-of", 200_000),
    ],
)
def test_without_a_live_window_the_data_or_the_default_serves(
    models: ModelMap, model_id: str, window: int
) -> None:
    assert models.window_tokens(model_id, (UpstreamModel(model_id, "no limits told"),)) == window


def test_the_five_promised_models_are_always_public(models: ModelMap) -> None:
    public = models.public_names()

    assert {model.id for model in public} == set(PINNED)
    assert all(model.display_name and model.created_s > 1_700_000_000 for model in public)


def test_listed_models_follow_the_promised_ones_in_a_stable_order(models: ModelMap) -> None:
    one = UpstreamModel("zeta-1", "Zeta")
    two = UpstreamModel("claude-opus-4.7", "Claude Opus 4.7")
    three = UpstreamModel("auto", "Auto")
    forth = models.public_names_for([one, two, three, two])

    assert forth == models.public_names_for([two, three, one])
    assert forth[:5] == models.public_names()
    assert [model.id for model in forth[5:]] == ["auto", "claude-opus-4.7", "zeta-1"]
    assert forth[-1] == PublicModel("zeta-1", "Zeta", 0)


def test_a_listed_model_with_a_promised_name_appears_once(models: ModelMap) -> None:
    assert models.public_names_for([UpstreamModel("claude-haiku-4-5", "H")]) == (
        models.public_names()
    )


def test_every_public_and_listed_name_resolves(models: ModelMap) -> None:
    listed = (UpstreamModel("claude-opus-4.7", "O"), UpstreamModel("zeta-1", "Z"))
    names = models.public_names_for(listed)

    assert all(models.resolve(model.id, ids("claude-opus-4.7", "zeta-1")) for model in names)


FULL = {
    "defaultModel": {"modelId": "auto", "modelName": "Auto"},
    "nextToken": "page-2",
    "models": [
        {
            "modelId": "claude-opus-4.7",
            "modelName": "Claude Opus 4.7",
            "rateMultiplier": 2.2,
            "supportedInputTypes": ["TEXT", "IMAGE", "HOLOGRAM"],
            "tokenLimits": {"maxInputTokens": 1000000, "maxOutputTokens": 64000},
            "additionalModelRequestFieldsSchema": {"type": "object", "properties": {}},
            "someNewMember": True,
        }
    ],
}


def test_a_page_of_models_is_read_whole() -> None:
    page = read_models(json.dumps(FULL).encode())
    (model,) = page.models

    assert (page.default, page.next_token) == ("auto", "page-2")
    assert (model.id, model.name, model.rate) == ("claude-opus-4.7", "Claude Opus 4.7", 2.2)
    assert (model.window_tokens, model.max_output_tokens) == (1_000_000, 64_000)
    assert model.input_types == ("TEXT", "IMAGE", "HOLOGRAM")
    assert model.schema is not None
    assert json.loads(bytes(model.schema)) == {"type": "object", "properties": {}}


def test_a_schema_in_a_text_is_the_same_schema() -> None:
    schema = {"type": "object", "properties": {"a": {}}}
    entry = {"modelId": "m", "additionalModelRequestFieldsSchema": json.dumps(schema)}
    (model,) = read_models(json.dumps({"models": [entry]}).encode()).models

    assert model.schema is not None
    assert json.loads(bytes(model.schema)) == schema


@pytest.mark.parametrize("schema", [None, {}, "", "not json", "[]", 5, []])
def test_what_is_no_schema_is_none(schema: object) -> None:
    entry = {"modelId": "m", "additionalModelRequestFieldsSchema": schema}

    assert read_models(json.dumps({"models": [entry]}).encode()).models[0].schema is None


def test_a_model_with_nothing_but_its_id_is_a_model() -> None:
    page = read_models(b'{"models":[{"modelId":"m"}]}')

    assert page.models == (UpstreamModel("m", "m"),)


@pytest.mark.parametrize(
    "limits", [None, [], "x", {"maxInputTokens": "many"}, {"maxInputTokens": -1}]
)
def test_limits_that_are_none_are_not_told(limits: object) -> None:
    entry = {"modelId": "m", "tokenLimits": limits}

    assert read_models(json.dumps({"models": [entry]}).encode()).models[0].window_tokens == 0


def test_entries_that_are_no_models_are_left_out() -> None:
    body = b'{"models":[null,5,{},{"modelId":""},{"modelId":7},{"modelId":"m"}]}'

    assert [model.id for model in read_models(body).models] == ["m"]


@pytest.mark.parametrize("body", [b"{}", b'{"models":[]}', b'{"models":null}'])
def test_an_empty_list_is_an_answer(body: bytes) -> None:
    assert read_models(body).models == ()


def test_the_other_spelling_of_the_default_is_read() -> None:
    assert read_models(b'{"models":[],"defaultModelId":"auto"}').default == "auto"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null"])
def test_a_body_that_is_no_list_is_an_error_of_the_upstream(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_models(body)

    assert caught.value.kind is FaultKind.OVERLOADED


def test_written_models_are_read_back_the_same() -> None:
    models = (
        UpstreamModel("a", "A", 5, 6, ("TEXT",), msgspec.Raw(b'{"type":"object"}'), 1.5),
        UpstreamModel("b", "B"),
    )

    assert read_models(write_models(models)).models == models
