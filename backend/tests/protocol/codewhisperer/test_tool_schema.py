"""Tests of the normaliser of tool schemas."""

import json
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Raw

from kiro2api.errors import RequestError
from kiro2api.protocol.codewhisperer.names import property_to_upstream
from kiro2api.protocol.codewhisperer.tool_schema import MAX_CACHED_BYTES, normalise
from tests.support.strict_body import schema_faults

Json = Any
STRING = {"type": "string"}


def normal(schema: Json) -> Json:
    return json.loads(bytes(normalise(Raw(json.dumps(schema).encode())).schema))


def root(**members: Json) -> Json:
    return {"type": "object", "properties": {}, **members}


def of_property(schema: Json) -> Json:
    return normal(root(properties={"p": schema}))["properties"]["p"]


def test_a_plain_schema_stays_as_it_is() -> None:
    plain = root(
        title="Edit",
        properties={
            "path": {"type": "string", "description": "Absolute.", "minLength": 1},
            "mode": {"enum": ["a", "b"], "default": "a"},
            "lines": {"type": "array", "items": {"type": ["integer", "null"]}, "maxItems": 3},
            "either": {"anyOf": [STRING, {"type": "null"}]},
            "pair": {"prefixItems": [STRING, STRING]},
            "not_empty": {"not": {"enum": [""]}, "x-hint": {"a": [1]}},
        },
        required=["path"],
    )

    assert normal(plain) == plain


# -------------------------------------------------------------------------------- the root


@pytest.mark.parametrize(
    "schema", [{}, True, None, {"type": "string"}, {"type": ["object", "null"]}]
)
def test_the_root_is_always_an_object_with_properties(schema: Json) -> None:
    assert normal(schema) == root()


def test_no_schema_at_all_is_an_object_without_members() -> None:
    assert json.loads(bytes(normalise(Raw(b"")).schema)) == root()


@pytest.mark.parametrize("schema", [b"[]", b'"object"', b"7", b"false", b"{broken"])
def test_what_is_no_schema_is_refused(schema: bytes) -> None:
    with pytest.raises(RequestError):
        normalise(Raw(schema))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(
            {"allOf": [root(properties={"a": STRING}, required=["a"]), {"required": ["b"]}]},
            root(properties={"a": STRING}, required=["a", "b"]),
            id="all branches hold at once",
        ),
        pytest.param(
            {"allOf": [{"properties": {"a": STRING}}, {"properties": {"a": {"minLength": 1}}}]},
            root(properties={"a": {"type": "string", "minLength": 1}}),
            id="a member of two branches has the words of both",
        ),
        pytest.param(
            {"allOf": [{"description": "told"}]},
            root(description="told"),
            id="what a branch tells is kept",
        ),
        pytest.param(
            {"anyOf": [{"properties": {"a": STRING}}, {"properties": {"b": STRING}}]},
            root(properties={"a": STRING, "b": STRING}),
            id="alternatives become members",
        ),
        pytest.param(
            {"oneOf": [{"properties": {"k": {"const": 1}}}, {"properties": {"k": {"const": 2}}}]},
            root(properties={"k": {"anyOf": [{"enum": [1]}, {"enum": [2]}]}}),
            id="a member that differs between alternatives is either",
        ),
        pytest.param(
            {"anyOf": [STRING, {"type": "null"}, True]},
            root(),
            id="branches that are no objects count for nothing",
        ),
        pytest.param(
            {"anyOf": [STRING], "properties": {"a": STRING}},
            root(properties={"a": STRING}),
            id="members beside them stay",
        ),
        pytest.param(
            {
                "properties": {"a": STRING},
                "anyOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}],
            },
            root(properties={"a": STRING}, required=["a"]),
            id="the root's own word on a member counts",
        ),
        pytest.param(
            {"anyOf": [{"allOf": [{"$ref": "#/$defs/A"}]}], "$defs": {"A": {"required": ["a"]}}},
            root(required=["a"]),
            id="branches are flattened themselves",
        ),
        pytest.param(
            {"const": {}, "enum": [{}], "not": {"required": ["a"]}, "if": {}, "items": STRING},
            root(),
            id="words that a root cannot have go",
        ),
    ],
)
def test_combinators_at_the_root_are_merged(schema: Json, expected: Json) -> None:
    assert normal(schema) == expected


def test_alternatives_require_what_all_of_them_do_and_tell_the_rest() -> None:
    schema = {
        "description": "Find.",
        "anyOf": [
            {"properties": {"q": STRING, "a": STRING}, "required": ["q", "a"]},
            {"properties": {"q": STRING}, "required": ["q"]},
        ],
    }

    assert normal(schema) == root(
        properties={"q": STRING, "a": STRING},
        required=["q"],
        description="Find.\nGive the members of one of these sets: q, a; q.",
    )


def test_alternatives_without_a_description_get_one() -> None:
    found = normal({"anyOf": [{"required": ["a"]}, {"type": "object"}]})

    assert found["description"] == "Give the members of one of these sets: a; none."


# ------------------------------------------------------------------------------ references


@pytest.mark.parametrize("where", ["$defs", "definitions"])
def test_local_references_are_unfolded(where: str) -> None:
    schema = root(properties={"p": {"$ref": f"#/{where}/Path"}}, **{where: {"Path": STRING}})

    assert normal(schema) == root(properties={"p": STRING})


def test_a_reference_at_the_root_is_unfolded() -> None:
    target = root(properties={"a": STRING}, required=["a"])

    assert normal({"$ref": "#/$defs/In", "$defs": {"In": target}}) == target


def test_a_definition_that_is_used_twice_is_unfolded_twice() -> None:
    used, path = {"$ref": "#/$defs/Path"}, {"type": "string", "minLength": 1}
    schema = root(properties={"p": used, "q": used}, **{"$defs": {"Path": path}})

    assert normal(schema) == root(properties={"p": path, "q": path})


def test_what_stands_beside_a_reference_counts() -> None:
    schema = root(
        properties={
            "p": {"$ref": "#/$defs/T", "description": "mine", "properties": {"b": STRING}},
        },
    )
    schema["$defs"] = {"T": root(properties={"a": STRING}, description="theirs")}

    assert normal(schema)["properties"]["p"] == root(
        properties={"a": STRING, "b": STRING}, description="mine"
    )


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("#/$defs/a~1b", STRING),
        ("#/$defs/c~0d", STRING),
        ("#/%24defs/plain", STRING),
        ("#/$defs/list/anyOf/1", STRING),
        ("#/$defs/list/anyOf/7", {"type": "object"}),
        ("#/$defs/none", {"type": "object"}),
        ("#/$defs/plain/type/x", {"type": "object"}),
        ("#anchor", {"type": "object"}),
        ("https://example.com/schema.json", {"type": "object"}),
        ("#/$defs/true", {"type": "object"}),
    ],
)
def test_references_lead_where_they_say_or_to_an_object(reference: str, expected: Json) -> None:
    schema = root(properties={"p": {"$ref": reference}})
    schema["$defs"] = {
        "a/b": STRING,
        "c~d": STRING,
        "plain": STRING,
        "list": {"anyOf": [{}, STRING]},
        "true": True,
    }

    assert normal(schema)["properties"]["p"] == expected


def test_a_reference_that_is_no_text_is_dropped() -> None:
    assert of_property({"$ref": 7, "type": "string"}) == STRING


def test_a_recursive_reference_is_cut_where_it_comes_round() -> None:
    node = {
        "type": "object",
        "description": "A node.",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
    }
    schema = root(properties={"tree": {"$ref": "#/$defs/Node"}})
    schema["$defs"] = {"Node": node}

    assert normal(schema)["properties"]["tree"]["properties"]["children"] == {
        "type": "array",
        "items": {"type": "object", "description": "A node."},
    }


def test_a_recursive_reference_to_a_list_is_cut_to_a_list() -> None:
    schema = root(properties={"p": {"$ref": "#/$defs/L"}})
    schema["$defs"] = {"L": {"type": "array", "items": {"$ref": "#/$defs/L"}}}

    assert normal(schema)["properties"]["p"] == {"type": "array", "items": {"type": "array"}}


def test_a_reference_to_the_root_is_cut_at_once() -> None:
    assert normal(root(properties={"a": {"$ref": "#"}}))["properties"]["a"] == {"type": "object"}
    assert normal({"$ref": "#"}) == root()


def test_references_that_would_unfold_without_end_are_cut() -> None:
    defs: Json = {"L0": STRING}
    for n in range(1, 40):
        defs[f"L{n}"] = root(properties={k: {"$ref": f"#/$defs/L{n - 1}"} for k in "ab"})
    schema = {"$ref": "#/$defs/L39", "$defs": defs}
    started = process_time()

    assert len(json.dumps(normal(schema))) < 1_000_000
    assert process_time() - started < 5


def test_schemas_nested_very_deep_are_cut() -> None:
    schema: Json = STRING
    for _ in range(200):
        schema = root(properties={"a": schema})

    assert len(json.dumps(normal(schema))) < 5_000


def test_values_nested_without_end_are_refused() -> None:
    deep = b'{"type":"object","default":' + b"[" * 900 + b"]" * 900 + b"}"

    with pytest.raises(RequestError):
        normalise(Raw(deep))


# ------------------------------------------------------------------------------- keywords


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "object", "required": None}, {"type": "object"}),
        ({"type": "object", "required": []}, {"type": "object"}),
        ({"type": "string", "required": True}, STRING),
        ({"type": "object", "required": ["a", "a", 7]}, {"type": "object", "required": ["a"]}),
        ({"type": "object", "properties": None}, {"type": "object"}),
        ({"type": "object", "properties": []}, {"type": "object"}),
        ({"properties": {"a": None}}, {"type": "object", "properties": {"a": {}}}),
        ({"properties": {"a": True, "b": False}}, {"type": "object", "properties": {"a": {}}}),
        ({"$schema": "x", "$id": "y", "$comment": "z", "type": "string"}, STRING),
        ({"type": "object", "additionalProperties": False}, {"type": "object"}),
        ({"type": "object", "additionalProperties": {}}, {"type": "object"}),
        ({"type": "object", "patternProperties": None}, {"type": "object"}),
        ({"type": "object", "propertyNames": STRING}, {"type": "object"}),
        ({"const": "x"}, {"enum": ["x"]}),
        ({"const": None}, {"type": "null"}),
        ({"enum": [], "type": "string"}, STRING),
        ({"enum": ["a", None]}, {"enum": ["a", None]}),
        ({"type": "STRING"}, STRING),
        ({"type": "any"}, {}),
        ({"type": 7}, {}),
        ({"type": ["String", "what", 7, "null"]}, {"type": ["string", "null"]}),
        ({"type": ["what"]}, {}),
        ({"description": None, "title": 7, "default": None, "type": "string"}, STRING),
        ({"default": {"a": None, "b": 1}}, {"default": {"b": 1}}),
        ({"description": "a\u0000b", "enum": ["\u0007"]}, {"description": "ab", "enum": [""]}),
        ({"items": None, "type": "array"}, {"type": "array"}),
        ({"items": True, "type": "array"}, {"type": "array"}),
        ({"items": [STRING, True]}, {"prefixItems": [STRING, {}]}),
        ({"anyOf": [], "type": "string"}, STRING),
        ({"oneOf": "x", "type": "string"}, STRING),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"exclusiveMinimum": 0}, {"exclusiveMinimum": 0}),
        ({"exclusiveMinimum": True}, {}),
    ],
)
def test_words_that_the_upstream_stumbles_over_are_repaired(given: Json, expected: Json) -> None:
    assert of_property(given) == expected


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    names = ["type", "required", "properties", "const", "items", "enum", "additionalProperties"]
    schema = root(properties=dict.fromkeys(names, STRING), required=["required"])

    assert normal(schema) == schema


def test_free_members_are_told_in_words() -> None:
    found = of_property({"type": "object", "description": "Env.", "additionalProperties": STRING})

    assert found == {
        "type": "object",
        "description": 'Env.\nOther members are allowed, each one like this: {"type":"string"}',
    }


def test_members_by_pattern_are_told_in_words() -> None:
    found = of_property({"type": "object", "patternProperties": {"^x-": True}})

    assert (
        found["description"] == "Members are allowed whose names match ^x-, each one of any kind."
    )


# -------------------------------------------------------------------------- property names


@pytest.mark.parametrize("name", ["$filter", "a b", "名", "x" * 65, "", "a/b"])
def test_a_property_with_an_odd_name_gets_a_lawful_one_and_the_way_back(name: str) -> None:
    inner = root(properties={name: STRING}, required=[name])
    found = normalise(Raw(json.dumps(root(properties={"deep": inner})).encode()))

    lawful = property_to_upstream(name)
    assert json.loads(bytes(found.schema))["properties"]["deep"] == root(
        properties={lawful: STRING}, required=[lawful]
    )
    assert found.properties == {lawful: name}


def test_lawful_properties_need_no_way_back() -> None:
    assert normalise(Raw(json.dumps(root(properties={"a.b-c": STRING})).encode())).properties == {}


# ------------------------------------------------------------------------------- repeating


def test_the_clients_bytes_are_not_touched() -> None:
    data = b'{"type": "object", "required": null, "$schema": "x"}'
    raw = Raw(data)
    normalise(raw)

    assert bytes(raw) == data


def test_a_schema_seen_before_is_the_same_object() -> None:
    schema = b'{"type":"object","properties":{"seen_before":{"type":"string"}}}'

    assert normalise(Raw(schema)) is normalise(Raw(bytes(bytearray(schema))))


def test_a_huge_schema_is_not_kept() -> None:
    schema = json.dumps(root(description="x" * MAX_CACHED_BYTES)).encode()

    assert normalise(Raw(schema)) is not normalise(Raw(schema))


# ------------------------------------------------------------------------------ for any schema

# fmt: off
KEYWORDS = [
    "type", "properties", "required", "items", "anyOf", "oneOf", "allOf", "$ref", "$defs",
    "definitions", "not", "const", "enum", "additionalProperties", "patternProperties",
    "description", "default", "exclusiveMinimum", "minimum", "prefixItems", "if", "x", "a b", "",
]
# fmt: on
words = st.sampled_from(KEYWORDS)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(0, 9)
    | st.sampled_from(
        ["object", "string", "array", "a b", "#", "#/$defs/x", "#/properties/x", "\x00", ""]
    )
)
schemas = st.dictionaries(
    words,
    st.recursive(
        leaves,
        lambda inner: st.dictionaries(words, inner, max_size=4) | st.lists(inner, max_size=3),
        max_leaves=20,
    ),
    max_size=6,
)


@given(schemas)
def test_any_object_becomes_a_schema_that_the_upstream_takes(schema: Json) -> None:
    found = normal(schema)

    assert found["type"] == "object"
    assert not found.keys() & {"anyOf", "oneOf", "allOf", "not", "enum", "const", "$ref"}
    assert list(schema_faults(found, "$")) == []


SANE = root(
    properties={
        "path": {"type": "string", "minLength": 1},
        "options": {"$ref": "#/$defs/Options"},
        "edits": {"type": "array", "items": {"$ref": "#/$defs/Edit"}, "minItems": 1},
    },
    required=["path"],
)
SANE["$defs"] = {
    "Options": root(properties={"deep": {"type": "boolean", "default": None}}),
    "Edit": {"oneOf": [{"const": "all"}, root(properties={"old": STRING}, required=["old"])]},
}


def test_a_real_schema_stays_lawful_and_means_the_same() -> None:
    found = normal(SANE)

    Draft202012Validator.check_schema(found)
    before, after = Draft202012Validator(SANE), Draft202012Validator(found)
    for value in (
        {"path": "x"},
        {"path": ""},
        {},
        {"path": "x", "options": {"deep": 1}},
        {"path": "x", "edits": ["all"]},
        {"path": "x", "edits": [{"old": "y"}]},
        {"path": "x", "edits": [{}]},
        {"path": "x", "edits": []},
    ):
        assert before.is_valid(value) == after.is_valid(value), value
