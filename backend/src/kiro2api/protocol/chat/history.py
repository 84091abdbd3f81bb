"""Repair of a conversation: whatever a client sent, turns alternate and each call is answered."""

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from kiro2api.protocol.chat.request import (
    Block,
    Document,
    Image,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from kiro2api.protocol.chat.text import is_blank

# Neutral on purpose: models obey or repeat what sounds like a person's wish.
OPENING = "(The conversation starts here with a message of the assistant.)"
CLOSING = "(No new message: the reply goes on where the last one ended.)"
NO_RESULT = "No result of this call was recorded: it was interrupted, or its result is lost."


class _Draft:
    """One turn in the making: the blocks of each client message that was merged into it.

    Lives while one history is repaired.
    """

    __slots__ = ("groups", "role")

    def __init__(self, role: Role, groups: list[list[Block]]) -> None:
        self.role = role
        self.groups = groups

    def turn(self) -> Turn:
        """Return the turn; where two messages met, their texts are parted by a blank line."""
        if len(self.groups) == 1:
            return Turn(self.role, tuple(self.groups[0]))
        blocks: list[Block] = []
        parts: list[str] = []
        for group in self.groups:
            for at, block in enumerate(group):
                if parts and not (at == 0 and isinstance(block, Text)):
                    blocks.append(Text("\n\n".join(parts)))
                    parts = []
                if isinstance(block, Text):
                    parts.append(block.text)
                else:
                    blocks.append(block)
        if parts:
            blocks.append(Text("\n\n".join(parts)))
        return Turn(self.role, tuple(blocks))

    def is_only_reasoning(self) -> bool:
        """Return whether there is nothing but reasoning, which the upstream takes for nothing."""
        return all(isinstance(b, Thinking | RedactedThinking) for g in self.groups for b in g)


class _Call:
    """A tool use and the result that was found for it; lives while one history is repaired."""

    __slots__ = ("id", "result", "turn")

    def __init__(self, id: str, turn: int) -> None:
        self.id = id
        self.turn = turn
        self.result: ToolResult | None = None


def repair(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return the conversation in the shape that the upstream demands; () when nothing was said.

    It starts and ends with the user and alternates. Each tool use has an id of its own and is
    answered in the next turn, whose results come first, in the order of the uses. Results without
    a use become text, uses without a result get an error that says so, images of the assistant
    move to the next user turn. Reasoning survives only beside something that was said.

    Source: docs/reference/upstream.md, History.
    """
    return turns if _is_sound(turns) else _repaired(turns)


def _is_sound(turns: tuple[Turn, ...]) -> bool:
    """Tell whether nothing needs repair: so it is with nearly all that good clients send."""
    if len(turns) % 2 == 0:
        return False
    used: set[str] = set()
    calls: list[str] | None = []
    for at, turn in enumerate(turns):
        if at % 2:
            calls = _sound_calls(turn, used)
        elif calls is None or not _is_sound_answer(turn, calls):
            return False
    return True


def _sound_calls(turn: Turn, used: set[str]) -> list[str] | None:
    """Return the ids of the calls of a sound turn of the assistant; None when it is not sound."""
    if turn.role is not Role.ASSISTANT:
        return None
    calls: list[str] = []
    is_only_reasoning = True
    for block in turn.blocks:
        if isinstance(block, Thinking | RedactedThinking):
            continue
        is_only_reasoning = False
        if isinstance(block, ToolUse) and block.id not in used:
            used.add(block.id)
            calls.append(block.id)
        elif not isinstance(block, Text) or is_blank(block.text):
            return None
    return None if is_only_reasoning else calls


def _is_sound_answer(turn: Turn, calls: list[str]) -> bool:
    """Tell whether a turn is the user's, with the results of `calls` first and something in it."""
    answered, said = turn.blocks[: len(calls)], turn.blocks[len(calls) :]
    return (
        turn.role is Role.USER
        and bool(turn.blocks)
        and [block.tool_use_id for block in answered if isinstance(block, ToolResult)] == calls
        and not any(
            [
                isinstance(block, ToolResult | ToolUse | Thinking | RedactedThinking)
                or _is_blank_text(block)
                for block in said
            ]
        )
    )


def _repaired(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    merged = _merge(_drafts(turns))
    drafts = [draft for draft in merged if not draft.is_only_reasoning()]
    if len(drafts) < len(merged):
        drafts = _merge(drafts)
    if not drafts:
        return ()
    _answer(drafts, _match(drafts))
    repaired = [draft.turn() for draft in _merge(drafts)]
    if repaired[0].role is Role.ASSISTANT:
        repaired.insert(0, Turn(Role.USER, (Text(OPENING),)))
    if repaired[-1].role is Role.ASSISTANT:
        repaired.append(Turn(Role.USER, (Text(CLOSING),)))
    return tuple(repaired)


def call_as_text(use: ToolUse) -> Text:
    """Return a call that cannot stay one, in words."""
    given = bytes(use.input).decode("utf-8", "replace")
    return Text(f"(call of the tool {use.name}, id {use.id}, with the input {given})")


def _drafts(turns: tuple[Turn, ...]) -> Iterator[_Draft]:
    """Yield a draft per turn, with only the blocks that its role may have."""
    carried: list[Block] = []
    for turn in turns:
        if turn.role is Role.ASSISTANT:
            yield _Draft(Role.ASSISTANT, [_assistant_blocks(turn.blocks, carried)])
        else:
            yield _Draft(Role.USER, [carried, _user_blocks(turn.blocks)])
            carried = []
    yield _Draft(Role.USER, [carried])


def _assistant_blocks(blocks: tuple[Block, ...], carried: list[Block]) -> list[Block]:
    """Return what an assistant turn may hold; the rest goes to `carried`, for the user's next."""
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Image | Document):
            kind = "image" if isinstance(block, Image) else "document"
            kept.append(Text(f"({kind} of the assistant: see the next message)"))
            carried.append(block)
        elif isinstance(block, ToolResult):
            carried.append(block)
        elif not _is_blank_text(block):
            kept.append(block)
    return kept


def _user_blocks(blocks: tuple[Block, ...]) -> list[Block]:
    """Return what a user turn may hold: a call becomes text; reasoning there is nobody's."""
    return [
        call_as_text(block) if isinstance(block, ToolUse) else block
        for block in blocks
        if not isinstance(block, Thinking | RedactedThinking) and not _is_blank_text(block)
    ]


def _is_blank_text(block: Block) -> bool:
    return isinstance(block, Text) and is_blank(block.text)


def _merge(drafts: Iterable[_Draft]) -> list[_Draft]:
    """Return `drafts` without empty ones, neighbours of one role in one."""
    merged: list[_Draft] = []
    for draft in drafts:
        groups = [group for group in draft.groups if group]
        if not groups:
            continue
        if merged and merged[-1].role is draft.role:
            merged[-1].groups.extend(groups)
        else:
            merged.append(_Draft(draft.role, groups))
    return merged


class _Pairing:
    """The calls that wait for their results; lives while one history is repaired."""

    def __init__(self) -> None:
        self._copies: dict[str, int] = {}
        # Per id as the client wrote it, the calls of each turn: ids come twice in the field.
        self._waiting: dict[str, list[deque[_Call]]] = {}

    def open(self, use: ToolUse, *, turn: int) -> tuple[ToolUse, _Call]:
        """Return `use` under an id that no earlier one has, and the call that now waits."""
        id = use.id
        while id in self._copies:
            self._copies[use.id] += 1
            id = f"{use.id}-{self._copies[use.id]}"
        self._copies[id] = 1
        call = _Call(id, turn)
        turns = self._waiting.setdefault(use.id, [])
        if turns and turns[-1][0].turn == turn:
            turns[-1].append(call)
        else:
            turns.append(deque([call]))
        return (use if id == use.id else msgspec.structs.replace(use, id=id)), call

    def close(self, result: ToolResult) -> bool:
        """Give `result` to its call: of the latest turn with its id, the first one that waits."""
        turns = self._waiting.get(result.tool_use_id)
        if not turns:
            return False
        call = turns[-1].popleft()
        if not turns[-1]:
            turns.pop()
        call.result = ToolResult(call.id, result.content, result.is_error)
        return True


def _match(drafts: list[_Draft]) -> list[list[_Call]]:
    """Take every result out of its turn and give it to its call; return the calls of each draft.

    Results without a call become text where they stand.
    """
    calls: list[list[_Call]] = [[] for _ in drafts]
    pairing = _Pairing()
    for at, draft in enumerate(drafts):
        for group in draft.groups:
            blocks: list[Block] = []
            for block in group:
                if isinstance(block, ToolUse):
                    use, call = pairing.open(block, turn=at)
                    calls[at].append(call)
                    blocks.append(use)
                elif not isinstance(block, ToolResult):
                    blocks.append(block)
                elif not pairing.close(block):
                    blocks.extend(_result_as_text(block))
            group[:] = blocks
    return calls


def _result_as_text(result: ToolResult) -> list[Block]:
    """Return a result without a call as plain blocks."""
    verdict = "failure" if result.is_error else "result"
    head = f"({verdict} of an earlier tool call, id {result.tool_use_id})"
    return [Text(head), *(block for block in result.content if not _is_blank_text(block))]


def _answer(drafts: list[_Draft], calls: list[list[_Call]]) -> None:
    """Put the results of each turn's calls at the start of the next turn."""
    for at, made in enumerate(calls):
        if not made:
            continue
        if at + 1 == len(drafts):
            drafts.append(_Draft(Role.USER, []))
        drafts[at + 1].groups.insert(0, [call.result or _lost(call.id) for call in made])


def _lost(id: str) -> ToolResult:
    return ToolResult(id, (Text(NO_RESULT),), is_error=True)
