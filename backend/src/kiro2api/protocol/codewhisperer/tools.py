"""The tools of a request as the upstream is told of them, and what must be said of them in words."""

from collections.abc import Iterable, Mapping

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import ChatRequest, ChoiceMode, ToolChoice, ToolSpec
from kiro2api.protocol.chat.text import clean, is_blank
from kiro2api.protocol.codewhisperer.names import NameMap
from kiro2api.protocol.codewhisperer.schema import InputSchema, Tool, ToolSpecification
from kiro2api.protocol.codewhisperer.tool_schema import Normal, normalise

# One character more and the older hosts answer 500.
HARD_MAX_DESCRIPTION = 10_240
NO_LONGER_OFFERED = "Used earlier in this conversation; not available any more."
_NO_ARGUMENTS = msgspec.Raw(b'{"type":"object","properties":{}}')


class Offer(msgspec.Struct, frozen=True):
    """The tools as the upstream takes them, their names both ways, and words for the system text."""

    tools: tuple[Tool, ...]
    names: NameMap
    words: tuple[str, ...]


def offer(request: ChatRequest, used: Iterable[str], *, max_description_length: int) -> Offer:
    """Return what the upstream is told of the tools of `request`.

    `used` are the names in its history: each needs a specification, so those that the client no
    longer declares get an empty one. Descriptions beyond the limit go on in the system text.

    Raises:
        RequestError: two tools share a name, a schema is none, or `tool_choice` names no tool.
    """
    needed = dict.fromkeys(used)
    if not request.tools and not needed and request.tool_choice.mode is not ChoiceMode.TOOL:
        return Offer((), NameMap(()), ())
    specs = _unique(request.tools)
    schemas = {spec.name: _schema(spec, at) for at, spec in specs.values()}
    names = NameMap(
        [*specs, *needed],
        {name: normal.properties for name, normal in schemas.items() if normal.properties},
    )
    mode = request.tool_choice.mode
    offered = [s for _, s in specs.values() if mode is not ChoiceMode.NONE or s.name in needed]
    tools: list[Tool] = []
    words: list[str] = []
    limit = min(max_description_length, HARD_MAX_DESCRIPTION)
    for spec in offered:
        name = names.to_upstream(spec.name)
        description, rest = _cut(clean(spec.description), limit)
        if rest:
            words.append(f"The description of the tool {name} goes on:\n{rest}")
        tools.append(_tool(name, description, schemas[spec.name].schema))
    for unknown in (name for name in needed if name not in specs):
        tools.append(_tool(names.to_upstream(unknown), NO_LONGER_OFFERED, _NO_ARGUMENTS))
    words.extend(_wishes(request.tool_choice, specs, names, has_tools=bool(tools)))
    return Offer(tuple(tools), names, tuple(words))


def _unique(tools: tuple[ToolSpec, ...]) -> dict[str, tuple[int, ToolSpec]]:
    """Return the tools by name, each with its place; the very same tool twice counts once."""
    specs: dict[str, tuple[int, ToolSpec]] = {}
    for at, spec in enumerate(tools):
        _, known = specs.setdefault(spec.name, (at, spec))
        if known is not spec and not _is_same(known, spec):
            raise RequestError(
                f"Two tools have the name {spec.name!r}; names of tools must differ.",
                path=f"tools[{at}].name",
            )
    return specs


def _is_same(one: ToolSpec, other: ToolSpec) -> bool:
    return one.description == other.description and bytes(one.input_schema) == bytes(
        other.input_schema
    )


def _schema(spec: ToolSpec, at: int) -> Normal:
    try:
        return normalise(spec.input_schema)
    except RequestError as error:
        raise RequestError(
            f"The input schema of the tool {spec.name!r} cannot be used: {error.message}",
            path=f"tools[{at}]",
            code=error.code,
        ) from None


def _cut(description: str, limit: int) -> tuple[str, str]:
    if len(description) <= limit:
        return description, ""
    return description[: max(limit, 0)], description[max(limit, 0) :]


def _tool(name: str, description: str, schema: msgspec.Raw) -> Tool:
    told = name if is_blank(description) else description
    return Tool(ToolSpecification(name, told, InputSchema(schema)))


def _wishes(
    choice: ToolChoice,
    specs: Mapping[str, tuple[int, ToolSpec]],
    names: NameMap,
    *,
    has_tools: bool,
) -> Iterable[str]:
    """Yield in words what the client wants of the model's calls: there is no channel for it."""
    if choice.mode is ChoiceMode.TOOL:
        if choice.name not in specs:
            raise RequestError(
                f"tool_choice names the tool {choice.name!r}, which is not among the tools.",
                path="tool_choice",
            )
        yield f"In this reply you must call the tool {names.to_upstream(choice.name)}."
    elif has_tools and (choice.mode is ChoiceMode.NONE or not specs):
        yield "Do not call any tool in this reply."
        return
    elif has_tools and choice.mode is ChoiceMode.ANY:
        yield "In this reply you must call at least one of the tools."
    if has_tools and choice.one_at_most:
        yield "Call at most one tool in this reply."
