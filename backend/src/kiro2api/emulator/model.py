"""The model behind the emulated service: it obeys directives in the user's text, else echoes it.

`[[CALL tool {json}]]` lines in the newest user text that has any are obeyed in order, one line
for each round of tool results received since; then the answer is `FINAL:` and the last result.
Several directives in one line, joined by `&`, are called in one answer.
"""

import re

from kiro2api.emulator.call import Call, Turn
from kiro2api.emulator.catalogue import window_of
from kiro2api.emulator.steps import Reasoning, Step, Tail, Text, Tool
from kiro2api.emulator.untyped import items, members, parse, text
from kiro2api.protocol.wire import json

_ECHO_CHARACTERS = 200
_CHARACTERS_PER_FRAME = 24
_INPUT_CHARACTERS_PER_FRAME = 32
_OPENING = re.compile(r"\[\[CALL\s+([^\s\]]+)\s*")
# Shortened names share their start with the long name.
_SHARED_CHARACTERS = 16
_CHARACTERS_PER_TOKEN = 4
_IMAGE_TOKENS = 1500
_CREDITS_PER_THOUSAND_TOKENS = 0.01


class Directive:
    """One tool call that the user's text orders; lives as long as one answer is made."""

    def __init__(self, tool: str, input: object) -> None:
        self.tool = tool
        self.input = input


def answer(call: Call) -> list[Step]:
    """Return what the model says to `call`."""
    steps = [*_reasoning(call), *_content(call)]
    called = any(isinstance(step, Tool) for step in steps)
    return [*steps, _tail(call, steps, stop_reason="TOOL_USE" if called else "END_TURN")]


def estimate_tokens(call: Call) -> int:
    """Return about how many tokens the model has to read."""
    spelled = json.encode(call.body.get("conversationState"))
    pictures = 0
    picture_bytes = 0
    for turn in [*call.history, call.current]:
        for image in items(turn.message.get("images")):
            pictures += 1
            picture_bytes += len(text(members(members(image).get("source")).get("bytes")))
    return (len(spelled) - picture_bytes) // _CHARACTERS_PER_TOKEN + pictures * _IMAGE_TOKENS


def _content(call: Call) -> list[Step]:
    users = [turn for turn in [*call.history, call.current] if turn.role == "user"]
    declared = call.tool_names
    for back, turn in enumerate(reversed(users)):
        lines = _directives(turn.text)
        if not lines:
            continue
        results = [_results(later) for later in users[len(users) - back :]]
        rounds = sum(1 for answers in results if answers)
        if rounds >= len(lines):
            if back and not call.current.tool_results:
                break  # all is done, and the user has gone on to something else
            last = [answers for answers in results if answers]
            return [_say("FINAL:" + (last[-1][-1] if last else ""))]
        known = [(_declared(order.tool, declared), order) for order in lines[rounds]]
        if all(name for name, _ in known):
            return [_call(name, order) for name, order in known]
        break
    return [_say(_echo(call.current))]


def _say(said: str) -> Text:
    return Text(text=said, size=_CHARACTERS_PER_FRAME)


def _call(name: str, order: Directive) -> Tool:
    given = order.input if order.input != {} else None
    return Tool(name=name, input=given, size=_INPUT_CHARACTERS_PER_FRAME)


def _directives(said: str) -> list[list[Directive]]:
    """Return the directives of `said`: one list per answer, each with one call or more."""
    groups: list[list[Directive]] = []
    at = 0
    joined = False
    while opening := _OPENING.search(said, at):
        found = _input_after(said, opening.end())
        if found is None:
            at = opening.end()
            continue
        value, at = found
        directive = Directive(opening.group(1), value)
        if joined:
            groups[-1].append(directive)
        else:
            groups.append([directive])
        joined = said[at : at + 1] == "&"
    return groups


def _input_after(said: str, start: int) -> tuple[object, int] | None:
    """Return the JSON between `start` and its `]]`, and where the text goes on; None without."""
    stop = said.find("]]", start)
    while stop != -1:
        spelled = said[start:stop].strip()
        # Clients that quote the prompt again escape the quotation marks in it.
        for candidate in (spelled or "{}", spelled.replace('\\"', '"').replace("\\\\", "\\")):
            value = parse(candidate)
            if isinstance(value, dict):
                return value, stop + 2
        stop = said.find("]]", stop + 1)
    return None


def _declared(wanted: str, declared: list[str]) -> str:
    """Return the declared name that `wanted` means; "" when there is none.

    A gateway may have had to shorten a long name or replace characters of it.
    """
    if wanted in declared:
        return wanted
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)
    close = [name for name in declared if name == plain]
    if not close and len(plain) > _SHARED_CHARACTERS:
        close = [
            name for name in declared if name[:_SHARED_CHARACTERS] == plain[:_SHARED_CHARACTERS]
        ]
    return close[0] if len(close) == 1 else ""


def _results(turn: Turn) -> list[str]:
    """Return the texts of the tool results that `turn` brings, in order."""
    return [
        "\n".join(_result_block(block) for block in items(members(result).get("content")))
        for result in turn.tool_results
    ]


def _result_block(block: object) -> str:
    found = members(block)
    if "json" in found:
        return json.encode(found["json"]).decode()
    return text(found.get("text"))


def _echo(turn: Turn) -> str:
    paragraphs = [part.strip() for part in turn.text.split("\n\n") if part.strip()]
    if not paragraphs:
        answers = _results(turn)
        return "FINAL:" + answers[-1] if answers else "You said nothing."
    return "You said: " + paragraphs[-1][-_ECHO_CHARACTERS:]


def _reasoning(call: Call) -> list[Step]:
    """Return the reasoning that the call asks for; none on models that take no such wish."""
    asked = members(call.body.get("additionalModelRequestFields"))
    thinking = members(asked.get("thinking"))
    schema = call.model.get("additionalModelRequestFieldsSchema")
    if not schema or thinking.get("type") not in ("adaptive", "between_tools"):
        return []
    if thinking.get("display") == "omitted":
        return [Reasoning()]
    return [Reasoning(text="The user wants an answer. I know what to say.", size=20)]


def _tail(call: Call, steps: list[Step], *, stop_reason: str) -> Tail:
    said = sum(len(step.text) for step in steps if isinstance(step, Text | Reasoning))
    called = sum(len(json.encode(step.input)) for step in steps if isinstance(step, Tool))
    read = estimate_tokens(call)
    output = max(1, (said + called) // _CHARACTERS_PER_TOKEN)
    percentage = round(100 * (read + output) / window_of(call.model), 4)
    usage: dict[str, object] = {
        "uncachedInputTokens": read,
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
        "outputTokens": output,
        "totalTokens": read + output,
    }
    credits = round((read + output) / 1000 * _CREDITS_PER_THOUSAND_TOKENS + 0.001, 6)
    return Tail(stop_reason=stop_reason, usage=usage, percentage=percentage, credits=credits)
