"""A generation request as the checks and the model look at it: untyped, but with its turns found."""

import msgspec

from kiro2api.emulator.accounts import Account
from kiro2api.emulator.untyped import items, members, text

JsonObject = dict[str, object]


class Turn(msgspec.Struct, frozen=True):
    """One message of the conversation; `role` is "" when it is neither of the two kinds."""

    path: str
    role: str
    message: JsonObject

    @property
    def text(self) -> str:
        """Its text; "" when there is none."""
        return text(self.message.get("content"))

    @property
    def context(self) -> JsonObject:
        """What stands beside the text of a user message."""
        return members(self.message.get("userInputMessageContext"))

    @property
    def tool_results(self) -> list[object]:
        """The tool results that a user message brings."""
        return items(self.context.get("toolResults"))

    @property
    def tool_uses(self) -> list[object]:
        """The tool calls that an assistant message made."""
        return items(self.message.get("toolUses"))


class Call(msgspec.Struct, frozen=True):
    """One generation request with what is known about its sender and its model."""

    body: JsonObject
    account: Account
    model_id: str
    model: JsonObject
    history: list[Turn]
    current: Turn

    @property
    def conversation_id(self) -> str:
        """The conversation that it names; "" when it names none."""
        return text(members(self.body.get("conversationState")).get("conversationId"))

    @property
    def tools(self) -> list[object]:
        """The tools that the current message declares."""
        return items(self.current.context.get("tools"))

    @property
    def tool_names(self) -> list[str]:
        """Their names, in order."""
        return [
            text(members(members(tool).get("toolSpecification")).get("name")) for tool in self.tools
        ]


_ROLES = {"userInputMessage": "user", "assistantResponseMessage": "assistant"}


def turn_of(message: object, path: str) -> Turn:
    """Return the turn that a member of the conversation is."""
    found = members(message)
    for member, role in _ROLES.items():
        if member in found:
            return Turn(f"{path}.{member}", role, members(found[member]))
    return Turn(path, "", {})


def make_call(body: JsonObject, account: Account, model_id: str, model: JsonObject) -> Call:
    """Return `body` with its turns found; whatever is malformed becomes an empty turn."""
    state = members(body.get("conversationState"))
    history = [
        turn_of(message, f"conversationState.history[{at}]")
        for at, message in enumerate(items(state.get("history")))
    ]
    current = turn_of(state.get("currentMessage"), "conversationState.currentMessage")
    return Call(body, account, model_id, model, history, current)


def model_id_of(body: JsonObject) -> str:
    """Return the model that the current message names; "" when it names none."""
    state = members(body.get("conversationState"))
    message = members(members(state.get("currentMessage")).get("userInputMessage"))
    return text(message.get("modelId"))
