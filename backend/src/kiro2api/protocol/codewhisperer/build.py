"""A request of the hub as the body of the upstream's call.

Source: docs/reference/upstream.md, Request.
"""

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.history import repair
from kiro2api.protocol.chat.request import ChatRequest, Role, ToolUse, Turn
from kiro2api.protocol.codewhisperer import schema as wire
from kiro2api.protocol.codewhisperer.messages import Messages
from kiro2api.protocol.codewhisperer.names import NameMap
from kiro2api.protocol.codewhisperer.system_text import system_text
from kiro2api.protocol.codewhisperer.tool_input import settle_inputs
from kiro2api.protocol.codewhisperer.tools import offer
from kiro2api.protocol.wire import json


class BuildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the attempt knows and the request does not.

    `without_reasoning` leaves out all reasoning of earlier replies: the answer to a signature that
    the upstream did not accept. Ids, ARN and agent mode are left out when empty.
    """

    model_id: str
    conversation_id: str
    continuation_id: str = ""
    profile_arn: str = ""
    max_description_length: int = 10_000
    without_reasoning: bool = False
    origin: str = "AI_EDITOR"
    agent_mode: str = ""


class Built(msgspec.Struct, frozen=True):
    """The body to send, and the way back from its names to those of the client."""

    body: bytes
    names: NameMap


def build(request: ChatRequest, plan: BuildPlan) -> Built:
    """Return the body of the upstream's call for `request`, valid by all rules that we know.

    Raises:
        RequestError: the request cannot be expressed; the client must change it.
    """
    turns = repair(settle_inputs(request.turns))
    if not turns:
        raise RequestError("The messages have no content: each one is blank.", path="messages")
    offered = offer(request, _used_names(turns), max_description_length=plan.max_description_length)
    messages = Messages(
        offered.names,
        model_id=plan.model_id,
        origin=plan.origin,
        with_reasoning=not plan.without_reasoning,
    )
    system = system_text(request, offered.words)
    history: list[wire.UserMessage | wire.AssistantMessage] = []
    for turn in turns[:-1]:
        if turn.role is Role.ASSISTANT:
            history.append(messages.assistant(turn))
        else:
            history.append(messages.user(turn, system="" if history else system))
    current = messages.user(
        turns[-1], system="" if history else system, tools=offered.tools, is_current=True
    )
    state = wire.ConversationState(
        chat_trigger_type="MANUAL",
        agent_task_type="vibe",
        conversation_id=plan.conversation_id,
        current_message=current,
        history=tuple(history),
        agent_continuation_id=plan.continuation_id,
    )
    body = json.encode(wire.GenerationRequest(state, plan.profile_arn, plan.agent_mode))
    return Built(body, offered.names)


def _used_names(turns: tuple[Turn, ...]) -> list[str]:
    """Return the names of the tools that were called, each once, in order."""
    uses = [block for turn in turns for block in turn.blocks if isinstance(block, ToolUse)]
    return list(dict.fromkeys([use.name for use in uses]))
