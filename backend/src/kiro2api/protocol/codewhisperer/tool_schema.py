"""The one normaliser of tool schemas: whatever a client declares, the upstream gets plain objects.

Source: docs/reference/upstream.md, Tools.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.text import clean
from kiro2api.protocol.codewhisperer.names import property_to_upstream
from kiro2api.protocol.wire import json

# Any decoded JSON value: schemas are untyped until each keyword is looked at.
Json = Any

ANY_OBJECT: Mapping[str, Json] = {"type": "object"}
MAX_CACHED_BYTES = 32 * 1024
MAX_DEPTH = 64
# How much references may unfold to: schemas can be written that would fill any memory.
MAX_UNFOLDED = 4_000
_MAX_NOTE = 600

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_COMBINATORS = ("allOf", "anyOf", "oneOf")
_ONE_SCHEMA = frozenset({"items", "contains", "not", "if", "then", "else"})
_MANY_SCHEMAS = frozenset({*_COMBINATORS, "prefixItems"})
_TEXTS = frozenset({"title", "description", "pattern", "format"})
# Keywords that the upstream stumbles over and that say little; all that start with $ go too.
_DROPPED = frozenset(
    {
        "definitions",
        "propertyNames",
        "unevaluatedProperties",
        "unevaluatedItems",
        "dependencies",
        "dependentSchemas",
        "dependentRequired",
    }
)
_NOT_AT_ROOT = ("not", "if", "then", "else", "enum", "items", "prefixItems", "contains")


class Normal(msgspec.Struct, frozen=True):
    """A schema that the upstream takes; `properties` leads from its names back to the client's."""

    schema: msgspec.Raw
    properties: Mapping[str, str]


def normalise(schema: msgspec.Raw) -> Normal:
    """Return `schema` as a plain object schema without references.

    Agents send the same tools with every turn: a schema seen before costs a look-up.

    Raises:
        RequestError: it is no JSON schema at all, or nested without end.
    """
    data = bytes(schema)
    return _cached(data) if len(data) <= MAX_CACHED_BYTES else _normalise(data)


def _normalise(data: bytes) -> Normal:
    decoded = json.decode(data) if data.strip() else None
    if decoded is None or decoded is True:
        decoded = ANY_OBJECT
    if not isinstance(decoded, dict):
        raise RequestError("A tool schema must be a JSON object.")
    walk = _Walk(decoded)
    try:
        schema = walk.root()
        return Normal(msgspec.Raw(json.encode(schema)), walk.properties)
    except RecursionError:
        raise RequestError("The tool schema is nested too deeply.", code="json_too_deep") from None


_cached = lru_cache(maxsize=512)(_normalise)


class _Walk:
    """One walk through one schema; `properties` collects what had to be renamed."""

    def __init__(self, root: dict[str, Json]) -> None:
        self._root = root
        self._unfolding = ["#"]
        self._unfolded = 0
        self.properties: dict[str, str] = {}

    def root(self) -> dict[str, Json]:
        """Return the whole schema, with an object at its root."""
        schema = _as_object(self._schema(self._root, 0))
        schema.setdefault("properties", {})
        return schema

    def _schema(self, value: Json, depth: int) -> dict[str, Json]:
        if not isinstance(value, dict):
            # True allows anything; false and whatever else is no schema are rare slips.
            return {}
        if len(self._unfolding) > 1:
            self._unfolded += 1
        if depth > MAX_DEPTH or self._unfolded > MAX_UNFOLDED:
            return dict(ANY_OBJECT)
        if isinstance(value.get("$ref"), str):
            return self._reference(value, depth)
        return self._keywords(value, depth)

    def _reference(self, value: dict[str, Json], depth: int) -> dict[str, Json]:
        """Return what the reference leads to, unfolded; beside it its neighbours win."""
        reference = value["$ref"]
        beside = self._keywords({k: v for k, v in value.items() if k != "$ref"}, depth)
        target = self._target(reference)
        if not isinstance(target, dict):
            return {**ANY_OBJECT, **beside}
        if reference in self._unfolding:
            cut = {"type": target.get("type"), "description": target.get("description")}
            return {**ANY_OBJECT, **self._keywords(cut, depth), **beside}
        self._unfolding.append(reference)
        unfolded = self._schema(target, depth + 1)
        self._unfolding.pop()
        _absorb(unfolded, beside)
        return {**unfolded, **{k: v for k, v in beside.items() if k not in _OBJECT_PARTS}}

    def _target(self, reference: str) -> Json:
        """Return what a local reference leads to; None when it leads nowhere."""
        if not reference.startswith("#"):
            return None
        found: Json = self._root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("%24", "$").replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found if reference == "#" or reference.startswith("#/") else None

    def _keywords(self, value: dict[str, Json], depth: int) -> dict[str, Json]:
        schema: dict[str, Json] = {}
        for keyword, child in value.items():
            kept = self._keyword(keyword, child, depth)
            if kept is not None:
                schema[keyword] = kept
        if isinstance(schema.get("items"), list):
            # The older spelling of a tuple.
            schema["prefixItems"] = schema.pop("items")
        if "const" in value:
            constant = _data(value["const"])
            schema |= {"type": "null"} if constant is None else {"enum": [constant]}
        _repair_bounds(schema)
        if "properties" in schema and "type" not in schema:
            schema["type"] = "object"
        for note in self._notes(value, depth):
            told = schema.get("description")
            schema["description"] = f"{told}\n{note}" if told else note
        return schema

    def _keyword(self, keyword: str, child: Json, depth: int) -> Json:
        """Return the value of a keyword as it may stay; None when it must go."""
        if child is None or keyword.startswith("$") or keyword in _DROPPED:
            return None
        if keyword in ("const", "additionalProperties", "patternProperties", "additionalItems"):
            return None
        if keyword == "properties":
            return self._properties(child, depth)
        if keyword == "required":
            return self._required(child)
        if keyword == "type":
            return _type(child)
        if keyword in _TEXTS:
            return clean(child) if isinstance(child, str) else None
        if keyword == "enum":
            return _data(child) if isinstance(child, list) and child else None
        if keyword in _MANY_SCHEMAS or (keyword == "items" and isinstance(child, list)):
            branches = child if isinstance(child, list) else []
            return [self._schema(branch, depth + 1) for branch in branches] or None
        if keyword in _ONE_SCHEMA:
            return self._schema(child, depth + 1) if isinstance(child, dict) else None
        return _data(child)

    def _properties(self, value: Json, depth: int) -> dict[str, Json] | None:
        if not isinstance(value, dict):
            return None
        return {
            self._name(name): self._schema(child, depth + 1)
            for name, child in value.items()
            if child is not False
        }

    def _required(self, value: Json) -> list[str] | None:
        names = value if isinstance(value, list) else []
        unique = dict.fromkeys(name for name in names if isinstance(name, str))
        return [self._name(name) for name in unique] or None

    def _name(self, name: str) -> str:
        upstream = property_to_upstream(name)
        if upstream != name:
            self.properties[upstream] = name
        return upstream

    def _notes(self, value: dict[str, Json], depth: int) -> list[str]:
        """Return in words what no keyword can say upstream: members whose names are free."""
        notes = []
        others = value.get("additionalProperties")
        if isinstance(others, dict) and others:
            notes.append(
                _note("Other members are allowed, each one", self._schema(others, depth + 1))
            )
        patterns = value.get("patternProperties")
        for pattern, child in (patterns if isinstance(patterns, dict) else {}).items():
            what = f"Members are allowed whose names match {clean(pattern)}, each one"
            notes.append(_note(what, self._schema(child, depth + 1)))
        return notes


def _note(what: str, schema: dict[str, Json]) -> str:
    spelled = json.encode(schema).decode()
    return (
        f"{what} like this: {spelled}" if 2 < len(spelled) <= _MAX_NOTE else f"{what} of any kind."
    )


def _type(value: Json) -> Json:
    if isinstance(value, str):
        return value.lower() if value.lower() in _TYPES else None
    if isinstance(value, list):
        names = dict.fromkeys(t.lower() for t in value if isinstance(t, str))
        return [name for name in names if name in _TYPES] or None
    return None


def _data(value: Json) -> Json:
    """Return a value that is no schema, without control characters and members that are null."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_data(item) for item in value]
    if isinstance(value, dict):
        return {clean(k): _data(v) for k, v in value.items() if v is not None}
    return value


def _repair_bounds(schema: dict[str, Json]) -> None:
    """Turn the older, boolean form of exclusive bounds into the number that it means."""
    for exclusive, inclusive in (
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ):
        given = schema.get(exclusive)
        if isinstance(given, bool):
            del schema[exclusive]
            if given and inclusive in schema:
                schema[exclusive] = schema.pop(inclusive)


# ------------------------------------------------------------------------------- the root

_OBJECT_PARTS = frozenset({"properties", "required"})


def _as_object(schema: dict[str, Json]) -> dict[str, Json]:
    """Return `schema` as an object without combinators: their branches become members of it."""
    merged = {k: v for k, v in schema.items() if k not in (*_COMBINATORS, *_NOT_AT_ROOT)}
    merged["type"] = "object"
    for branch in schema.get("allOf", ()):
        part = _as_object(branch)
        _absorb(merged, part)
        if "description" in part:
            merged.setdefault("description", part["description"])
    for combinator in ("anyOf", "oneOf"):
        _absorb_alternatives(merged, schema.get(combinator, ()))
    return merged


def _absorb(merged: dict[str, Json], part: dict[str, Json]) -> None:
    """Give `merged` the members of `part`: both hold at once."""
    if "properties" in part:
        ours = merged.get("properties", {})
        theirs = part["properties"]
        both = {name: {**ours[name], **theirs[name]} for name in theirs if name in ours}
        merged["properties"] = {**ours, **theirs, **both}
    if required := [*merged.get("required", ()), *part.get("required", ())]:
        merged["required"] = list(dict.fromkeys(required))


def _absorb_alternatives(merged: dict[str, Json], branches: list[dict[str, Json]]) -> None:
    """Give `merged` the members of all `branches`: what one of them lacks is not required."""
    objects = [_as_object(branch) for branch in branches if _may_be_object(branch)]
    if not objects:
        return
    ours = dict(merged.get("properties", {}))
    found: dict[str, list[Json]] = {}
    for branch in objects:
        for name, child in branch.get("properties", {}).items():
            variants = found.setdefault(name, [])
            if child not in variants:
                variants.append(child)
    for name, variants in found.items():
        if name not in ours:
            ours[name] = variants[0] if len(variants) == 1 else {"anyOf": variants}
    sets = [branch.get("required", []) for branch in objects]
    shared = [name for name in sets[0] if all(name in other for other in sets)]
    _absorb(merged, {"properties": ours, "required": shared})
    if any(len(names) > len(shared) for names in sets):
        choices = "; ".join(", ".join(names) or "none" for names in sets)
        note = f"Give the members of one of these sets: {choices}."
        told = merged.get("description")
        merged["description"] = f"{told}\n{note}" if told else note


def _may_be_object(schema: dict[str, Json]) -> bool:
    types = schema.get("type", "object")
    return "object" in (types if isinstance(types, list) else [types])
