"""What the emulated service demands of a generation request: a table of pure checks, in order."""

from collections.abc import Callable, Iterator

import msgspec

from kiro2api.emulator import checks_media, checks_tools
from kiro2api.emulator.call import Call
from kiro2api.emulator.catalogue import window_of
from kiro2api.emulator.errors_table import REFUSALS, Refusal
from kiro2api.emulator.model import estimate_tokens
from kiro2api.emulator.profile import Rules
from kiro2api.emulator.rejection import Rejection, constraint, malformed
from kiro2api.emulator.untyped import items, members, text

_TRIGGERS = ("MANUAL", "DIAGNOSTIC", "INLINE_CHAT")
_ORIGINS = frozenset(
    (
        *("AI_EDITOR", "CHATBOT", "CLI", "CONSOLE", "DOCUMENTATION", "GITLAB", "IDE"),
        *("INLINE_CHAT", "KIRO_CLI", "KIRO_WEB", "MARKETING", "MD", "MD_CE", "MD_IDE", "MOBILE"),
        *("OPENSEARCH_DASHBOARD", "Q_DEV_BEXT", "SAGE_MAKER", "SERVICE_INTERNAL"),
        *("SM_AI_STUDIO_IDE", "UNIFIED_SEARCH", "UNKNOWN"),
    )
)
_TASK_TYPES = ("vibe", "spectask")
_MAX_CONVERSATION_ID = 128
_MESSAGE_KINDS = ("userInputMessage", "assistantResponseMessage")

Check = Callable[[Call], Rejection | None]


def first_rejection(call: Call, rules: Rules) -> Rejection | None:
    """Return what the service refuses in `call`; None when it is welcome."""
    for rule, check in CHECKS:
        if rules.demands(rule):
            rejection = check(call)
            if rejection is not None:
                return msgspec.structs.replace(rejection, rule=rule)
    return None


def as_refusal(rejection: Rejection, *, names_reasons: bool) -> Refusal:
    """Return `rejection` as the service of the profile words it.

    The older service has one sentence, without a reason, for every malformed body.
    """
    if rejection.structural and not names_reasons:
        return REFUSALS["bad_request_old"]
    exception = "InternalServerException" if rejection.status >= 500 else "ValidationException"
    return Refusal(
        status=rejection.status,
        exception=exception,
        message=rejection.message,
        reason=rejection.reason,
    )


def _envelope(call: Call) -> Rejection | None:
    state = call.body.get("conversationState")
    if not isinstance(state, dict):
        return constraint("/conversationState", "Member must not be null")
    message = members(state.get("currentMessage")).get("userInputMessage")
    if not isinstance(message, dict):
        where = "/conversationState/currentMessage/userInputMessage"
        return constraint(where, "Member must not be null")
    trigger = state.get("chatTriggerType")
    if trigger not in _TRIGGERS:
        where = "/conversationState/chatTriggerType"
        return constraint(where, f"Member must satisfy enum value set: {list(_TRIGGERS)}")
    history = state.get("history", [])
    if not isinstance(history, list):
        return constraint("/conversationState/history", "Member must be a list")
    identity = state.get("conversationId", "x")
    if not isinstance(identity, str) or not 0 < len(identity) <= _MAX_CONVERSATION_ID:
        return constraint("/conversationState/conversationId", "Member must have length 1 to 128")
    # In the forms with a target it is here; by path it is in a header.
    if not text(call.body.get("agentMode", "vibe")):
        return constraint("/agentMode", "Member must be a string")
    return None


def _closed_words(call: Call) -> Rejection | None:
    task_type = members(call.body.get("conversationState")).get("agentTaskType", "vibe")
    if task_type not in _TASK_TYPES:
        return constraint("/conversationState/agentTaskType", "Member must satisfy enum value set")
    for path, word, allowed in _enum_members(call):
        if word not in allowed:
            return constraint(f"/{path}", f"Member must satisfy enum value set: {sorted(allowed)}")
    return None


_IMAGE_FORMATS = frozenset(("png", "jpeg", "gif", "webp"))
_DOCUMENT_FORMATS = frozenset(("csv", "doc", "docx", "html", "md", "pdf", "txt", "xls", "xlsx"))
_STATUSES = frozenset(("success", "error"))


def _enum_members(call: Call) -> Iterator[tuple[str, object, frozenset[str]]]:
    for turn in [*call.history, call.current]:
        if turn.role != "user":
            continue
        if "origin" in turn.message:
            yield f"{turn.path}.origin", turn.message["origin"], _ORIGINS
        for image in items(turn.message.get("images")):
            yield f"{turn.path}.images.format", members(image).get("format"), _IMAGE_FORMATS
        for document in items(turn.message.get("documents")):
            found = members(document).get("format")
            yield f"{turn.path}.documents.format", found, _DOCUMENT_FORMATS
        for result in turn.tool_results:
            if "status" in members(result):
                yield f"{turn.path}.toolResults.status", members(result)["status"], _STATUSES


def _content(call: Call) -> Rejection | None:
    for turn in [*call.history, call.current]:
        if not isinstance(turn.message.get("content"), str) and turn.role:
            continue  # a wrong type is another check's
        if turn.role == "user" and not turn.text.strip() and not turn.tool_results:
            return malformed(f"{turn.path}.content: the message is empty")
    return None


def _assistant_content(call: Call) -> Rejection | None:
    for turn in call.history:
        if turn.role == "assistant" and not turn.text.strip() and not turn.tool_uses:
            return malformed(f"{turn.path}.content: the message is empty")
    return None


def _types(call: Call) -> Rejection | None:
    found = _null_path(call.body, "")
    if found is not None:
        return malformed(f"{found}: null is not allowed")
    for turn in [*call.history, call.current]:
        if turn.role and not isinstance(turn.message.get("content"), str):
            return malformed(f"{turn.path}.content: a string is expected")
    return checks_tools.types(call)


# Free JSON: nulls inside are the tool's own business.
_FREE = frozenset(("input", "json", "additionalModelRequestFields"))


def _null_path(value: object, path: str) -> str | None:
    """Return the path of the first null in `value`; None when there is none."""
    if value is None:
        return path
    children: Iterator[tuple[object, str]]
    if isinstance(value, dict):
        children = ((v, f"{path}/{k}") for k, v in value.items() if k not in _FREE or v is None)
    elif isinstance(value, list):
        children = ((v, f"{path}[{at}]") for at, v in enumerate(value))
    else:
        return None
    for child, child_path in children:
        found = _null_path(child, child_path)
        if found is not None:
            return found
    return None


def _empty_arrays(call: Call) -> Rejection | None:
    for turn in [*call.history, call.current]:
        for holder, name in (
            (turn.message, "toolUses"),
            (turn.message, "images"),
            (turn.context, "tools"),
            (turn.context, "toolResults"),
        ):
            if holder.get(name) == []:
                return malformed(f"{turn.path}.{name}: an empty list is not allowed")
    return None


def _unions(call: Call) -> Rejection | None:
    state = members(call.body.get("conversationState"))
    messages = [*items(state.get("history")), state.get("currentMessage")]
    for at, message in enumerate(messages):
        if len(members(message)) != 1 or next(iter(members(message))) not in _MESSAGE_KINDS:
            return malformed(f"message {at}: exactly one member of the union is expected")
    for turn in [*call.history, call.current]:
        reasoning = turn.message.get("reasoningContent")
        if reasoning is not None and len(members(reasoning)) != 1:
            return malformed(f"{turn.path}.reasoningContent: exactly one member is expected")
        for media in ("images", "documents"):
            for item in items(turn.message.get(media)):
                if len(members(members(item).get("source"))) != 1:
                    return malformed(f"{turn.path}.{media}: a source has exactly one member")
    return checks_tools.unions(call)


def _alternation(call: Call) -> Rejection | None:
    expected = "user"
    for turn in call.history:
        if turn.role != expected:
            return malformed(f"{turn.path}: a message of the {expected} is expected here")
        expected = "assistant" if expected == "user" else "user"
    if expected != "user":
        return malformed("conversationState.history: it does not end with the assistant")
    return None


def _model(call: Call) -> Rejection | None:
    if call.model:
        return None
    refusal = REFUSALS["invalid_model"]
    return Rejection(message=refusal.message, reason="INVALID_MODEL_ID", structural=False)


def _system_prompt(call: Call) -> Rejection | None:
    return malformed("systemPrompt is not allowed") if "systemPrompt" in call.body else None


def _window(call: Call) -> Rejection | None:
    if estimate_tokens(call) <= window_of(call.model):
        return None
    reason = "CONTENT_LENGTH_EXCEEDS_THRESHOLD"
    return Rejection(message="Input is too long.", reason=reason, structural=False)


def model_id_is_text(call: Call) -> Rejection | None:
    """Refuse a model id that is no string of the allowed characters."""
    named = call.current.message.get("modelId", "auto")
    if not text(named) or not all(
        c.isascii() and (c.isalnum() or c in "_:.-") for c in text(named)
    ):
        return constraint("/conversationState/currentMessage/userInputMessage/modelId", "pattern")
    return None


CHECKS: tuple[tuple[str, Check], ...] = (
    ("R26", _system_prompt),
    ("R10", _envelope),
    ("R10", model_id_is_text),
    ("R14", _unions),
    ("R13", _types),
    ("R13.empty", _empty_arrays),
    ("R11", _closed_words),
    ("R24", _model),
    ("R12", _content),
    ("R12.assistant", _assistant_content),
    ("R16", _alternation),
    ("R21", checks_tools.ids),
    ("R15", checks_tools.pairs),
    ("R17", checks_tools.declared),
    ("R18", checks_tools.names),
    ("R19", checks_tools.descriptions),
    ("R19.limit", checks_tools.long_descriptions),
    ("R20", checks_tools.schemas),
    ("R20.keywords", checks_tools.schema_keywords),
    ("R22", checks_media.images),
    ("R23", checks_media.documents),
    ("R27", _window),
)
