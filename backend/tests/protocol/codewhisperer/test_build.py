"""Tests of the whole body of the upstream's call."""

import json
from collections.abc import Callable
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.history import CLOSING, OPENING
from kiro2api.protocol.chat.request import (
    Block,
    ChatRequest,
    ChoiceMode,
    Document,
    Image,
    Role,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolSpec,
    ToolUse,
    Turn,
)
from kiro2api.protocol.chat.text import clean, is_blank
from kiro2api.protocol.codewhisperer.build import BuildPlan, Built, build
from kiro2api.protocol.wire import json as door
from tests.support.histories import NAMES, histories, texts
from tests.support.strict_body import messages_of, violations

PLAN = BuildPlan(model_id="claude-sonnet-4.5", conversation_id="conversation-1")
NO_SCHEMA = Raw(b'{"type":"object"}')
READ = ToolSpec("Read", "Reads.", NO_SCHEMA)


def user(*blocks: Block | str) -> Turn:
    return Turn(Role.USER, tuple(Text(b) if isinstance(b, str) else b for b in blocks))


def assistant(*blocks: Block | str) -> Turn:
    return Turn(Role.ASSISTANT, tuple(Text(b) if isinstance(b, str) else b for b in blocks))


def use(id: str, name: str = "Read") -> ToolUse:
    return ToolUse(id, name, Raw(b"{}"))


def request(*turns: Turn, **members: Any) -> ChatRequest:
    return ChatRequest("m", turns, **members)


def built(request: ChatRequest, plan: BuildPlan = PLAN) -> Built:
    found = build(request, plan)
    assert violations(found.body) == []
    return found


def body(request: ChatRequest, plan: BuildPlan = PLAN) -> Any:
    return json.loads(built(request, plan).body)


def contents(request: ChatRequest) -> list[str]:
    """Return the text of each message."""
    messages = messages_of(built(request).body)
    return [next(iter(message.values()))["content"] for message in messages]


def context_of(body: Any) -> Any:
    return body["conversationState"]["currentMessage"]["userInputMessage"][
        "userInputMessageContext"
    ]


# -------------------------------------------------------------------------------- envelope


def test_the_smallest_request_has_what_the_upstream_wants_and_no_more() -> None:
    assert body(request(user("hello"))) == {
        "conversationState": {
            "conversationId": "conversation-1",
            "chatTriggerType": "MANUAL",
            "agentTaskType": "vibe",
            "currentMessage": {
                "userInputMessage": {
                    "content": "hello",
                    "modelId": "claude-sonnet-4.5",
                    "origin": "AI_EDITOR",
                }
            },
        }
    }


def test_the_agent_mode_is_in_the_body_where_no_header_can_carry_it() -> None:
    plan = BuildPlan(model_id="auto", conversation_id="c", agent_mode="vibe")

    assert body(request(user("hello")), plan)["agentMode"] == "vibe"


def test_the_plan_gives_the_profile_and_the_ids() -> None:
    plan = BuildPlan(
        model_id="auto",
        conversation_id="c",
        continuation_id="turn-7",
        profile_arn="arn:aws:x",
        origin="AI_EDITOR",
    )
    found = body(request(user("a"), assistant("b"), user("c")), plan)

    assert found["profileArn"] == "arn:aws:x"
    assert found["conversationState"]["agentContinuationId"] == "turn-7"
    models = [
        message["userInputMessage"]["modelId"]
        for message in messages_of(json.dumps(found).encode())
        if "userInputMessage" in message
    ]
    assert models == ["auto", "auto"]


def test_older_turns_are_the_history_and_the_last_one_is_current() -> None:
    assert contents(request(user("one"), assistant("two"), user("three"))) == [
        "one",
        "two",
        "three",
    ]


def test_the_same_request_gives_the_same_bytes() -> None:
    asked = request(user("x"), assistant(use("a b")), user("y"), tools=(READ,))

    assert build(asked, PLAN).body == build(asked, PLAN).body


# ------------------------------------------------------------------------------ system text


def test_the_system_text_opens_the_only_message() -> None:
    assert contents(request(user("hi"), system=(Text("Be kind."),))) == ["Be kind.\n\nhi"]


def test_the_system_text_opens_the_first_message_and_no_other() -> None:
    asked = request(user("hi"), assistant("yes"), user("now"), system=(Text("Be kind."),))

    assert contents(asked) == ["Be kind.\n\nhi", "yes", "now"]


def test_the_system_text_opens_the_turn_put_before_an_assistants() -> None:
    asked = request(assistant("yes"), user("now"), system=(Text("Be kind."),))

    assert contents(asked)[0] == f"Be kind.\n\n{OPENING}"


# ------------------------------------------------------------------------------------ tools


def test_tools_stand_on_the_current_message_alone() -> None:
    asked = request(
        user("go"), assistant(use("a")), user(ToolResult("a", (Text("out"),))), tools=(READ,)
    )
    found = body(asked)

    (tool,) = context_of(found)["tools"]
    assert tool["toolSpecification"]["name"] == "Read"
    first = found["conversationState"]["history"][0]["userInputMessage"]
    assert "userInputMessageContext" not in first


def test_a_cut_description_goes_on_in_the_system_text() -> None:
    plan = BuildPlan(model_id="m", conversation_id="c", max_description_length=10)
    long = ToolSpec("Read", "0123456789 and then some", NO_SCHEMA)
    found = body(request(user("hi"), system=(Text("S"),), tools=(long,)), plan)

    (tool,) = context_of(found)["tools"]
    assert tool["toolSpecification"]["description"] == "0123456789"
    content = found["conversationState"]["currentMessage"]["userInputMessage"]["content"]
    assert content == "S\n\nThe description of the tool Read goes on:\n and then some\n\nhi"


def test_a_history_with_tools_declares_them_when_the_client_does_not() -> None:
    found = body(request(user("go"), assistant(use("a", "Gone")), user("so?")))

    (tool,) = context_of(found)["tools"]
    assert tool["toolSpecification"]["name"] == "Gone"


def test_a_history_without_tools_declares_none() -> None:
    assert "toolSpecification" not in json.dumps(body(request(user("go"))))


def test_tool_choice_none_sends_no_tools() -> None:
    asked = request(user("go"), tools=(READ,), tool_choice=ToolChoice(ChoiceMode.NONE))

    assert "tools" not in json.dumps(body(asked))


def test_a_forced_tool_is_asked_for_in_the_system_text() -> None:
    asked = request(user("go"), tools=(READ,), tool_choice=ToolChoice(ChoiceMode.TOOL, "Read"))

    assert "must call the tool Read" in contents(asked)[0]


def test_the_names_lead_back_to_the_clients() -> None:
    long = "mcp__" + "x" * 80
    found = built(request(user("go"), tools=(ToolSpec(long, "d", NO_SCHEMA),)))
    (tool,) = context_of(json.loads(found.body))["tools"]

    assert found.names.to_client(tool["toolSpecification"]["name"]) == long


# ------------------------------------------------------------------------------ the history


def test_a_call_with_input_that_is_no_object_goes_up_as_text_with_its_result() -> None:
    broken = ToolUse("a", "Read", Raw(b"[1]"))
    found = contents(request(user("go"), assistant(broken), user(ToolResult("a", (Text("out"),)))))

    assert "Read" in found[1]
    assert "out" in found[2]


def test_a_request_that_ends_with_the_assistant_asks_to_go_on() -> None:
    assert contents(request(user("go"), assistant("Once upon")))[-1] == CLOSING


def test_reasoning_is_left_out_when_the_plan_says_so() -> None:
    asked = request(user("a"), assistant(Thinking("hm", "c2ln"), "b"), user("c"))
    plan = BuildPlan(model_id="m", conversation_id="c", without_reasoning=True)

    assert "reasoningText" in json.dumps(body(asked))
    assert "reasoningText" not in json.dumps(body(asked, plan))


def test_an_old_image_that_cannot_be_sent_does_not_fail_a_later_turn() -> None:
    broken = Image("image/png", "none of it")

    with pytest.raises(RequestError):
        build(request(user("see", broken)), PLAN)
    assert "left out" in contents(request(user("see", broken), assistant("no"), user("ok")))[0]


@pytest.mark.parametrize("turns", [(), (user(" \n"),), (user(""), assistant(""), user("\x00"))])
def test_a_request_in_which_nothing_is_said_is_refused(turns: tuple[Turn, ...]) -> None:
    with pytest.raises(RequestError) as caught:
        build(request(*turns, system=(Text("Be kind."),)), PLAN)

    assert caught.value.status == 400
    assert caught.value.path == "messages"


# ----------------------------------------------------------------------- for any request

requests = st.builds(
    ChatRequest,
    st.just("m"),
    histories,
    system=st.lists(st.builds(Text, texts), max_size=2).map(tuple),
    tools=st.lists(
        st.builds(ToolSpec, st.sampled_from(NAMES), texts, st.just(NO_SCHEMA)),
        max_size=4,
        unique_by=lambda spec: spec.name,
    ).map(tuple),
    tool_choice=st.sampled_from([ToolChoice(mode) for mode in ChoiceMode if mode != "tool"]),
)


@given(requests)
def test_any_request_becomes_a_body_that_the_strictest_host_takes(asked: ChatRequest) -> None:
    refusal, faults = None, []
    try:
        faults = violations(build(asked, PLAN).body)
    except RequestError as error:
        refusal = error

    assert faults == []
    assert refusal is None or _has_an_excuse(asked, refusal)


def _has_an_excuse(asked: ChatRequest, error: RequestError) -> bool:
    """A request may be refused for a file of its end, or because nothing is said in it."""
    if "cannot be sent" in error.message:
        return any(isinstance(block, Image | Document) for block in _inside(asked))
    return all(_says_nothing(block) for block in _inside(asked))


def _says_nothing(block: Block) -> bool:
    return (
        isinstance(block, Thinking)
        or (isinstance(block, Text) and is_blank(block.text))
        or (not isinstance(block, Text | Image | Document | ToolUse | ToolResult))
    )


def _inside(asked: ChatRequest) -> list[Block]:
    found: list[Block] = []
    for block in asked.blocks():
        found.append(block)
        if isinstance(block, ToolResult):
            found.extend(block.content)
    return found


@given(requests)
def test_no_text_of_any_request_is_lost(asked: ChatRequest) -> None:
    try:
        found = build(asked, PLAN).body
    except RequestError:
        return
    written = json.dumps(json.loads(found), ensure_ascii=False)

    for block in (*asked.system, *_inside(asked)):
        if isinstance(block, Text) and not is_blank(block.text):
            assert json.dumps(clean(block.text), ensure_ascii=False)[1:-1] in written


# --------------------------------------------------------------------------------- the price


def test_long_texts_cost_little_more_than_their_encoding() -> None:
    line = 'def foo(self, x):\n    return x + 1  # a comment on "things"\n'
    edit = Raw(json.dumps({"path": "/a", "new": line * 700}).encode())
    turns = [user("go")]
    for n in range(10):
        turns.append(assistant("I edit.", ToolUse(f"toolu_{n}", "Edit", edit)))
        turns.append(user(ToolResult(f"toolu_{n}", (Text(line * 1000),))))
    properties = {f"p{n}": {"type": "string"} for n in range(9)}
    schema = Raw(json.dumps({"type": "object", "properties": properties}).encode())
    tools = tuple(ToolSpec(f"tool{n}", "Does. " * 500, schema) for n in range(40))
    asked = request(*turns, tools=(*tools, ToolSpec("Edit", "Edits.", schema)))
    body = build(asked, PLAN).body

    assert len(body) > 900_000
    assert best_s(lambda: build(asked, PLAN)) < 4 * best_s(lambda: door.encode(door.decode(body)))


def best_s(work: Callable[[], object]) -> float:
    """Return the shortest of a few runs: the one that nobody disturbed."""
    durations = []
    for _ in range(7):
        started = process_time()
        work()
        durations.append(process_time() - started)
    return min(durations)
