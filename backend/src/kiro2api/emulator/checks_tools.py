"""Checks of a generation request that concern tools: specifications, calls, results, schemas."""

import re
from collections.abc import Iterator

from kiro2api.emulator.call import Call
from kiro2api.emulator.rejection import Rejection, malformed
from kiro2api.emulator.untyped import items, members, text

_MAX_NAME = 64
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_DESCRIPTION = 10_240
_ROOT_COMBINATORS = ("anyOf", "oneOf", "allOf", "not", "const", "enum", "$ref")
_UNWELCOME_KEYWORDS = ("$schema", "additionalProperties")
_MISMATCH = "TOOL_USE_RESULT_MISMATCH"
_SCHEMA = "TOOL_SCHEMA_INVALID"


def types(call: Call) -> Rejection | None:
    """Refuse tool input and tool schemas that are no JSON objects."""
    for turn in call.history:
        for use in turn.tool_uses:
            given = members(use).get("input")
            if not isinstance(given, dict) or _has_empty_key(given):
                return Rejection(message="Invalid tool use format.", reason="REQUEST_BODY_INVALID")
    for specification in _specifications(call):
        schema = members(specification.get("inputSchema")).get("json")
        if not isinstance(schema, dict):
            return malformed("inputSchema.json: an object is expected")
    for turn in [*call.history, call.current]:
        for result in turn.tool_results:
            if not items(members(result).get("content")):
                return malformed("toolResults.content: at least one block is expected")
    return None


def _has_empty_key(value: object) -> bool:
    if isinstance(value, dict):
        return "" in value or any(_has_empty_key(child) for child in value.values())
    return isinstance(value, list) and any(_has_empty_key(child) for child in value)


def unions(call: Call) -> Rejection | None:
    """Refuse tools and result blocks that are not exactly one thing."""
    for tool in call.tools:
        if list(members(tool)) != ["toolSpecification"]:
            return malformed("tools: exactly one member, toolSpecification, is expected")
    for turn in [*call.history, call.current]:
        for result in turn.tool_results:
            for block in items(members(result).get("content")):
                kinds = list(members(block))
                # An image is taken, and dropped: see the model.
                if len(kinds) != 1 or kinds[0] not in ("text", "json", "image"):
                    return malformed("toolResults.content: exactly one of text and json")
    return None


def ids(call: Call) -> Rejection | None:
    """Refuse ids of tool calls that the service cannot keep."""
    for turn in [*call.history, call.current]:
        for found in [*turn.tool_uses, *turn.tool_results]:
            if not _ID.fullmatch(text(members(found).get("toolUseId"))):
                return malformed("toolUseId: at most 64 of letters, digits, _ . : - are expected")
    return None


def _ids(entries: list[object]) -> list[str]:
    return [text(members(entry).get("toolUseId")) for entry in entries]


def pairs(call: Call) -> Rejection | None:
    """Refuse calls without a result, results without a call, and ids that come twice."""
    turns = [*call.history, call.current]
    seen: set[str] = set()
    open_ids: list[str] = []
    for at, turn in enumerate(turns):
        answered = _ids(turn.tool_results)
        if missing := [one for one in open_ids if one not in answered]:
            return _mismatch(
                f"messages.{at}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(missing)}"
            )
        if [one for one in answered if one not in open_ids] or len(set(answered)) < len(answered):
            return _mismatch(
                f"The number of toolResult blocks at messages.{at}.content exceeds the number "
                "of toolUse blocks of previous turn."
            )
        open_ids = _ids(turn.tool_uses)
        if len(set(open_ids)) < len(open_ids) or seen.intersection(open_ids):
            return _mismatch(f"messages.{at}: `tool_use` ids must be unique")
        seen.update(open_ids)
    return None


def _mismatch(message: str) -> Rejection:
    return Rejection(message=message, reason=_MISMATCH)


def declared(call: Call) -> Rejection | None:
    """Refuse a history that uses tools which the current message does not declare."""
    used = {text(members(use).get("name")) for turn in call.history for use in turn.tool_uses}
    has_results = any(turn.tool_results for turn in [*call.history, call.current])
    if (used or has_results) and not call.tools:
        return _config("The toolConfig field must be defined when using tool blocks.")
    if missing := sorted(used.difference(call.tool_names)):
        return _config(f"Tools are used but not defined: {', '.join(missing)}")
    return None


def _config(message: str) -> Rejection:
    return Rejection(message=message, reason="TOOL_CONFIG_MISSING")


def names(call: Call) -> Rejection | None:
    """Refuse names that are malformed, too long, or there twice (case does not count)."""
    used = [text(members(use).get("name")) for turn in call.history for use in turn.tool_uses]
    for name in [*call.tool_names, *used]:
        if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
            return malformed(f"toolSpecification.name: {name[:80]!r} is not allowed")
    folded = [name.casefold() for name in call.tool_names]
    if len(set(folded)) < len(folded):
        return Rejection(message="Duplicate tool name.", reason="TOOL_DUPLICATE")
    return None


def descriptions(call: Call) -> Rejection | None:
    """Refuse tools without a description."""
    for specification in _specifications(call):
        if not text(specification.get("description")).strip():
            return malformed("toolSpecification.description: it is empty")
    return None


def long_descriptions(call: Call) -> Rejection | None:
    """Fail, as the older service does, on descriptions over its limit."""
    for specification in _specifications(call):
        if len(text(specification.get("description"))) > _MAX_DESCRIPTION:
            message = "Encountered an unexpected error when processing the request."
            return Rejection(message=message, reason=None, status=500, structural=False)
    return None


def schemas(call: Call) -> Rejection | None:
    """Refuse tool schemas with a fault that the service is known to stumble over."""
    for specification in _specifications(call):
        schema = members(members(specification.get("inputSchema")).get("json"))
        fault = _root_fault(schema) or _fault(schema, schema, "$")
        if fault:
            name = text(specification.get("name"))
            return Rejection(message=f"Tool {name}: {fault}", reason=_SCHEMA)
    return None


def schema_keywords(call: Call) -> Rejection | None:
    """Refuse, as the older service does, schemas with some harmless keywords."""
    for specification in _specifications(call):
        schema = members(members(specification.get("inputSchema")).get("json"))
        if any(keyword in schema for keyword in _UNWELCOME_KEYWORDS):
            return Rejection(message="Unsupported schema keyword.", reason=_SCHEMA)
    return None


def _root_fault(schema: dict[str, object]) -> str:
    if schema.get("type") != "object":
        return "the root of the schema is not of type object"
    for keyword in _ROOT_COMBINATORS:
        if keyword in schema:
            return f"{keyword} is not allowed at the root of the schema"
    return ""


def _fault(schema: object, root: dict[str, object], path: str) -> str:
    """Return the first fault in `schema` and the schemas inside it; "" when there is none."""
    if not isinstance(schema, dict):
        return "" if isinstance(schema, bool) else f"{path}: no schema"
    required = schema.get("required", ["x"])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return f"{path}.required: a list of names is expected"
    if not required:
        return f"{path}.required: it is empty"
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        return f"{path}.properties: an object is expected"
    for name in properties:
        if not _PROPERTY.fullmatch(name):
            return f"{path}.properties: the name {name[:80]!r} is not allowed"
    reference = schema.get("$ref")
    if reference is not None and not _resolves(reference, root):
        return f"{path}.$ref: it leads nowhere"
    for child, where in _children(schema, path):
        if fault := _fault(child, root, where):
            return fault
    return ""


def _children(schema: dict[str, object], path: str) -> Iterator[tuple[object, str]]:
    for keyword in ("properties", "$defs", "definitions", "patternProperties"):
        for name, child in members(schema.get(keyword)).items():
            yield child, f"{path}.{keyword}.{name}"
    for keyword in ("items", "additionalProperties", "not", "contains", "propertyNames"):
        if isinstance(schema.get(keyword), dict):
            yield schema[keyword], f"{path}.{keyword}"
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for at, child in enumerate(items(schema.get(keyword))):
            yield child, f"{path}.{keyword}[{at}]"


def _resolves(reference: object, root: dict[str, object]) -> bool:
    spelled = text(reference)
    if not spelled.startswith("#"):
        return False
    found: object = root
    for step in spelled.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if name not in members(found):
            return False
        found = members(found)[name]
    return True


def _specifications(call: Call) -> list[dict[str, object]]:
    return [members(members(tool).get("toolSpecification")) for tool in call.tools]
