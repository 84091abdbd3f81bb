"""Streams worth trying, by name: whole answers, odd ones, cut ones and broken ones."""

from kiro2api.emulator.steps import (
    Broken,
    End,
    ErrorFrame,
    Event,
    Flaw,
    How,
    InStreamException,
    Reasoning,
    Step,
    Tail,
    Text,
    Tool,
    Wait,
)

_PLAIN = "Hello, world."
_MIXED = 'Grüße, 世界! 👩‍👩‍👧 é ñ 🇨🇭 "quotes" \\n \\u0041 <tag> &amp;\n\n\tend'
_OVERFLOW = "CONTENT_LENGTH_EXCEEDS_THRESHOLD: Input is too long."
_USAGE: dict[str, object] = {
    "uncachedInputTokens": 812,
    "cacheReadInputTokens": 10240,
    "cacheWriteInputTokens": 64,
    "outputTokens": 96,
    "totalTokens": 11212,
}
_USAGE_NO_CACHE = {**_USAGE, "cacheReadInputTokens": 0, "cacheWriteInputTokens": 0}
_TAIL = Tail()
_TOOL_TAIL = Tail(stop_reason="TOOL_USE")
_ARGUMENTS = {"path": "a/b.txt", "text": 'line "one"\nline two \\ é 世 👋', "n": 3}
_ESCAPED = (
    '{"p\\u0061th":"\\ud83d\\ude00 \\u00e9","quote\\"d":"a\\\\b\\/c","n":[1,2.5e3,null,true]}'
)
# 100 KB of input.
_LONG_INPUT = {"path": "big.txt", "content": "0123456789abcdef" * 6400}


def _refusal(category: str) -> dict[str, object]:
    explanation = "The request was declined."
    return {
        "refusal": {
            "category": category,
            "explanation": explanation,
            "recommendedModel": "claude-sonnet-5",
        }
    }


def _fragment(tool_use_id: str, name: str, **members: object) -> Event:
    return Event(type="toolUseEvent", payload={"toolUseId": tool_use_id, "name": name, **members})


def _texts() -> dict[str, list[Step]]:
    return {
        "text": [Text(text=_PLAIN), _TAIL],
        "text_by_character": [Text(text=_MIXED, size=1), _TAIL],
        "text_mixed": [Text(text=_MIXED), _TAIL],
        "text_equal_neighbours": [Text(text="ha", times=2), Text(text="\n", times=2), _TAIL],
        "text_quotes_overflow": [Text(text=f"The error says: {_OVERFLOW}"), _TAIL],
        "text_leaked_tool_call": [
            Text(text='<invoke name="ls"><parameter name="path">.</parameter></invoke>'),
            _TAIL,
        ],
        "text_thinking_tags": [Text(text="<thinking>\nhm\n</thinking>\n\nYes.", size=3), _TAIL],
        "initial_frames": [
            Event(type="initial-response", payload={"conversationId": "c-1"}),
            Event(
                type="messageMetadataEvent",
                payload={"conversationId": "c-1", "utteranceId": "u-1"},
            ),
            Text(text=_PLAIN),
            _TAIL,
        ],
        "unknown_event": [
            Text(text="be"),
            Event(type="brandNewEvent", payload={"a": [1, {"b": None}]}),
            Event(type="followupPromptEvent", payload={"followupPrompt": {"content": "no"}}),
            Text(text="fore"),
            _TAIL,
        ],
        "unknown_members": [
            Event(
                type="assistantResponseEvent",
                payload={"content": _PLAIN, "later": {"x": 1}, "modelTag": "tag"},
            ),
            _TAIL,
        ],
        "wrapped_events": [
            Event(type="assistantResponseEvent", payload={"content": _PLAIN}, wrapped=True),
            Event(type="metadataEvent", payload={"stopReason": "END_TURN"}, wrapped=True),
        ],
        "extra_headers": [
            Event(type="assistantResponseEvent", payload={"content": _PLAIN}, extra_headers=True),
            _TAIL,
        ],
        "half_surrogate": [Broken(flaw=Flaw.HALF_SURROGATE, text="half "), _TAIL],
    }


def _reasonings() -> dict[str, list[Step]]:
    thought = Reasoning(text="The user greets. I greet back.", size=7)
    return {
        "reasoning": [thought, Text(text=_PLAIN), _TAIL],
        "reasoning_signature_only": [Reasoning(), Text(text=_PLAIN), _TAIL],
        "reasoning_unsigned": [Reasoning(text="hm", signature=""), Text(text=_PLAIN), _TAIL],
        "reasoning_redacted": [Reasoning(redacted="b3BhcXVl"), Text(text=_PLAIN), _TAIL],
        "reasoning_opaque_after_tools": [
            Tool(name="ls", id="tooluse_o1", input={"path": "."}),
            Reasoning(text="...", signature="opaque"),
            _TOOL_TAIL,
        ],
        "reasoning_only": [thought, _TAIL],
    }


def _tools() -> dict[str, list[Step]]:
    call = Tool(name="ls", id="tooluse_1", input=_ARGUMENTS, size=9)
    return {
        "tool": [Text(text="I look."), call, _TOOL_TAIL],
        "tool_several": [
            Tool(name="ls", id="tooluse_1", input={"path": "a"}),
            Tool(name="ls", id="tooluse_2", input={"path": "b"}),
            Tool(name="cat", id="tooluse_3", input={"path": "c"}),
            _TOOL_TAIL,
        ],
        "tool_interleaved": [
            _fragment("tooluse_1", "ls"),
            _fragment("tooluse_2", "cat"),
            _fragment("tooluse_1", "ls", input='{"path":'),
            _fragment("tooluse_2", "cat", input='{"path":"b'),
            _fragment("tooluse_1", "ls", input='"a"}'),
            _fragment("tooluse_2", "cat", input='"}'),
            _fragment("tooluse_2", "cat", stop=True),
            _fragment("tooluse_1", "ls", stop=True),
            _TOOL_TAIL,
        ],
        "tool_text_between": [
            Text(text="First. "),
            Tool(name="ls", id="tooluse_1", input={"path": "a"}),
            Text(text="Second. "),
            Tool(name="ls", id="tooluse_2", input={"path": "b"}),
            Text(text="Done."),
            _TOOL_TAIL,
        ],
        "tool_no_arguments": [Tool(name="now", id="tooluse_1"), _TOOL_TAIL],
        "tool_whole": [Tool(name="ls", id="tooluse_1", input=_ARGUMENTS, whole=True), _TOOL_TAIL],
        "tool_stop_with_last": [
            Tool(name="ls", id="tooluse_1", input=_ARGUMENTS, size=9, stop_with_last=True),
            _TOOL_TAIL,
        ],
        "tool_named_once": [
            Tool(name="ls", id="tooluse_1", input=_ARGUMENTS, size=9, named_once=True),
            _TOOL_TAIL,
        ],
        "tool_by_character": [
            Tool(name="ls", id="tooluse_1", raw_input=_ESCAPED, size=1),
            _TOOL_TAIL,
        ],
        "tool_long": [
            Tool(name="write", id="tooluse_1", input=_LONG_INPUT, size=1024),
            _TOOL_TAIL,
        ],
        "tool_not_json": [
            Tool(name="ls", id="tooluse_1", raw_input='{"path": "a'),
            _TOOL_TAIL,
        ],
        "tool_not_object": [Tool(name="ls", id="tooluse_1", raw_input="[1]"), _TOOL_TAIL],
        "tool_stop_string": [
            Tool(name="ls", id="tooluse_1", input=_ARGUMENTS, stop="true"),
            _TOOL_TAIL,
        ],
        "tool_object_input": [
            _fragment("tooluse_1", "ls", input={"path": "a"}),
            _fragment("tooluse_1", "ls", stop=True),
            _TOOL_TAIL,
        ],
        "tool_end_turn": [call, Tail(stop_reason="END_TURN")],
        "tool_max_tokens": [call, Tail(stop_reason="MAX_TOKENS")],
        "tool_without_tail": [call],
        "tool_open": [
            Text(text="I look."),
            Tool(name="ls", id="tooluse_1", input=_ARGUMENTS, stop=None),
        ],
        "tool_open_with_tail": [
            Tool(name="ls", id="tooluse_1", input=_ARGUMENTS, stop=None),
            _TOOL_TAIL,
        ],
        "tool_whole_then_open": [
            call,
            Tool(name="ls", id="tooluse_2", raw_input='{"pa', stop=None),
        ],
    }


def _tails() -> dict[str, list[Step]]:
    names = ("metadata", "context", "metering")
    orders = [(a, b, c) for a in names for b in names for c in names if len({a, b, c}) == 3]
    tails: dict[str, list[Step]] = {
        f"tail_{'_'.join(order)}": [Text(text=_PLAIN), Tail(order=list(order), usage=_USAGE)]
        for order in orders
    }
    reasons = (
        "END_TURN",
        "TOOL_USE",
        "MAX_TOKENS",
        "CONTENT_FILTERED",
        "PAUSE_TURN",
        "MODEL_CONTEXT_WINDOW_EXCEEDED",
        "UNKNOWN",
    )
    for reason in reasons:
        tails[f"stop_{reason.lower()}"] = [Text(text=_PLAIN), Tail(stop_reason=reason)]
        tails[f"empty_{reason.lower()}"] = [Tail(stop_reason=reason)]
    for category in ("CYBER", "BIO", "FRONTIER_LLM", "REASONING_EXTRACTION", "UNKNOWN"):
        details = _refusal(category)
        tail = Tail(stop_reason="CONTENT_FILTERED", stop_details=details)
        tails[f"refusal_{category.lower()}"] = [tail]
    for percentage in (0.01, 12.84, 99.9, 100.0, 103.2):
        tail = Tail(percentage=percentage)
        tails[f"context_{percentage}"] = [Text(text=_PLAIN), tail]
    return tails | {
        "usage_cached": [Text(text=_PLAIN), Tail(usage=_USAGE)],
        "usage_uncached": [Text(text=_PLAIN), Tail(usage=_USAGE_NO_CACHE)],
        "usage_zero": [
            Text(text=_PLAIN),
            Tail(usage={"uncachedInputTokens": 0, "outputTokens": 0, "totalTokens": 0}),
        ],
        "tail_no_metering": [Text(text=_PLAIN), Tail(order=["metadata", "context"])],
        "tail_metering_only": [Text(text=_PLAIN), Tail(order=["metering"], credits=0.0123)],
        "tail_no_stop_reason": [Text(text=_PLAIN), Tail(stop_reason=None, usage=_USAGE)],
    }


def _ends() -> dict[str, list[Step]]:
    half: Step = Text(text="Half a sen")
    ends: dict[str, list[Step]] = {
        "empty": [End()],
        "no_tail": [half],
        "reset_at_start": [End(how=How.RESET)],
        "reset_after_text": [half, Wait(s=0.05), End(how=How.RESET)],
        "reset_inside_frame": [
            half,
            Broken(flaw=Flaw.CUT_PAYLOAD),
            Wait(s=0.05),
            End(how=How.RESET),
        ],
        "close_after_text": [half, End(how=How.CLOSE)],
        "stall_at_start": [End(how=How.STALL)],
        "stall_after_text": [half, End(how=How.STALL)],
        "stall_after_reasoning": [Reasoning(text="hm"), End(how=How.STALL)],
    }
    for flaw in Flaw:
        if flaw.startswith("cut_"):
            ends[f"eof_{flaw}"] = [half, Broken(flaw=flaw)]
        elif flaw is not Flaw.HALF_SURROGATE:
            ends[f"flaw_{flaw}"] = [half, Broken(flaw=flaw), _TAIL]
            ends[f"flaw_{flaw}_first"] = [Broken(flaw=flaw), Text(text=_PLAIN), _TAIL]
    return ends


EXCEPTIONS: dict[str, tuple[str, str, str | None]] = {
    "throttling": ("throttlingError", "ThrottlingException", None),
    "validation": ("validationError", "ValidationException", "REQUEST_BODY_INVALID"),
    "internal": ("error", "InternalServerException", None),
    "unavailable": ("serviceUnavailableError", "ServiceUnavailableException", None),
    "capacity": ("ThrottlingException", "ThrottlingException", "INSUFFICIENT_MODEL_CAPACITY"),
    "overflow": ("validationError", "ValidationException", "CONTENT_LENGTH_EXCEEDS_THRESHOLD"),
    "content_length": ("ContentLengthExceededException", "ContentLengthExceededException", None),
    "denied": ("AccessDeniedException", "AccessDeniedException", None),
    "unheard_of": ("NeverSeenException", "NeverSeenException", None),
}


def _exceptions() -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for name, (kind, exception, reason) in EXCEPTIONS.items():
        payload: dict[str, object] = {
            "__type": f"com.amazon.kiro.runtimeservice#{exception}",
            "message": f"The stream ended: {name}.",
        }
        if reason is not None:
            payload["reason"] = reason
        if name == "capacity":
            payload["retryAfterMilliseconds"] = 5000
        failure = InStreamException(type=kind, payload=payload)
        found[f"exception_{name}"] = [failure]
        found[f"exception_{name}_after_text"] = [Text(text="Half a sen"), failure]
    error = ErrorFrame(code="InternalFailure", message="Something broke.")
    found["error_frame"] = [error]
    found["error_frame_after_text"] = [Text(text="Half a sen"), error]
    invalid = {"reason": "INVALID_TASK_ASSIST_PLAN", "message": "Invalid state."}
    found["invalid_state"] = [Event(type="invalidStateEvent", payload=invalid)]
    return found


SCENARIOS: dict[str, list[Step]] = (
    _texts() | _reasonings() | _tools() | _tails() | _ends() | _exceptions()
)
