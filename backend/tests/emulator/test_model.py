"""The scripted model: directives, echoes, reasoning, usage."""

from typing import Any

import pytest

from kiro2api.emulator.accounts import Account, AccountSpec
from kiro2api.emulator.call import Call, make_call
from kiro2api.emulator.catalogue import find_model
from kiro2api.emulator.model import answer, estimate_tokens
from kiro2api.emulator.steps import Reasoning, Tail, Text, Tool
from tests.support.emulator_calls import MODEL, Json, assistant, body, result, tool, use, user

ORDER = 'Please:\n[[CALL ls {"path": "."}]]\n[[CALL cat {"path": "a.txt"}]]\nThanks.'
TOOLS = [tool("ls"), tool("cat")]


def call_of(sent: Json, model: str = MODEL) -> Call:
    account = Account(AccountSpec(name="a"), now=0.0)
    return make_call(sent, account, model, find_model(account, model) or {})


def said(sent: Json) -> str:
    return "".join(step.text for step in answer(call_of(sent)) if isinstance(step, Text))


def called(sent: Json) -> list[tuple[str, Any]]:
    return [(step.name, step.input) for step in answer(call_of(sent)) if isinstance(step, Tool)]


def tail(sent: Json) -> Tail:
    last = answer(call_of(sent))[-1]
    assert isinstance(last, Tail)
    return last


def after_first(*, current: Json | None = None) -> Json:
    return body(
        current or user("", [result("t1", "a.txt")]),
        history=[user(ORDER), assistant("", [use("t1")])],
        tools=TOOLS,
    )


def after_both(current: Json | None = None) -> Json:
    return body(
        current or user("", [result("t2", "the content")]),
        history=[
            user(ORDER),
            assistant("", [use("t1")]),
            user("", [result("t1", "a.txt")]),
            assistant("", [use("t2", "cat")]),
        ],
        tools=TOOLS,
    )


def test_plain_text_is_echoed() -> None:
    assert said(body("你好 👋")) == "You said: 你好 👋"


def test_the_echo_is_of_the_last_paragraph_and_short() -> None:
    assert said(body("system text\n\n" + "x" * 500)) == "You said: " + "x" * 200


def test_the_first_directive_is_obeyed_first() -> None:
    assert called(body(ORDER, tools=TOOLS)) == [("ls", {"path": "."})]


def test_the_second_directive_follows_the_first_result() -> None:
    assert called(after_first()) == [("cat", {"path": "a.txt"})]


def test_after_all_directives_the_last_result_is_the_answer() -> None:
    assert said(after_both()) == "FINAL:the content"


def test_text_beside_the_results_changes_nothing() -> None:
    reminder = user("<system-reminder>be good</system-reminder>", [result("t1", "a.txt")])

    assert called(after_first(current=reminder)) == [("cat", {"path": "a.txt"})]


def test_a_new_subject_after_the_end_is_echoed() -> None:
    sent = after_both()
    history = [*sent["conversationState"]["history"], user("", [result("t2", "x")])]
    sent = body("thanks", history=[*history, assistant("FINAL:x")], tools=TOOLS)

    assert said(sent) == "You said: thanks"


def test_newer_directives_replace_older_ones() -> None:
    sent = body('[[CALL cat {"n": 1}]]', history=[user(ORDER), assistant("no")], tools=TOOLS)

    assert called(sent) == [("cat", {"n": 1})]


def test_directives_in_tool_results_are_no_orders() -> None:
    sent = body(
        user("", [result("t1", '[[CALL cat {"n": 1}]]')]),
        history=[user('[[CALL ls {"path": "."}]]'), assistant("", [use("t1")])],
        tools=TOOLS,
    )

    assert said(sent) == 'FINAL:[[CALL cat {"n": 1}]]'


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("[[CALL ls]]", None),
        ("[[CALL ls {}]]", None),
        ('[[CALL ls {"a": [[1], {"b": "]] }"}]}]]', {"a": [[1], {"b": "]] }"}]}),
        (r"[[CALL ls {\"path\": \".\"}]]", {"path": "."}),
    ],
    ids=["no input", "empty input", "brackets inside", "escaped by a client"],
)
def test_directives_are_understood_in_many_spellings(order: str, expected: object) -> None:
    assert called(body(order, tools=TOOLS)) == [("ls", expected)]


def test_joined_directives_are_called_together() -> None:
    order = '[[CALL ls {"n": 1}]]&[[CALL cat {"n": 2}]]'

    assert called(body(order, tools=TOOLS)) == [("ls", {"n": 1}), ("cat", {"n": 2})]


def test_joined_directives_are_one_round() -> None:
    sent = body(
        user("", [result("t1", "x"), result("t2", "y")]),
        history=[
            user('[[CALL ls {"n": 1}]]&[[CALL cat {"n": 2}]]'),
            assistant("", [use("t1"), use("t2", "cat")]),
        ],
        tools=TOOLS,
    )

    assert said(sent) == "FINAL:y"


def test_without_the_tool_the_order_is_only_text() -> None:
    assert said(body('[[CALL ls {"n": 1}]]')) == 'You said: [[CALL ls {"n": 1}]]'


def test_what_is_no_json_is_only_text() -> None:
    assert called(body("[[CALL ls {nonsense}]]", tools=TOOLS)) == []


def test_a_shortened_name_is_found_by_its_start() -> None:
    long = "mcp__a_server_with_a_long_name__" + "a_tool_with_a_very_long_name_too"
    short = long[:50] + "_1a2b3c"

    assert called(body(f"[[CALL {long}]]", tools=[tool(short)])) == [(short, None)]


def test_a_name_with_other_characters_is_found() -> None:
    assert called(body("[[CALL read.file]]", tools=[tool("read_file")])) == [("read_file", None)]


def test_a_result_without_any_order_is_repeated() -> None:
    sent = body(
        user("", [{**result("t1"), "content": [{"text": "a"}, {"json": {"n": 1}}]}]),
        history=[user("x"), assistant("", [use("t1")])],
        tools=TOOLS,
    )

    assert said(sent) == 'FINAL:a\n{"n":1}'


def test_pictures_in_results_and_extra_context_are_dropped_in_silence() -> None:
    current = user("", [{**result("t1"), "content": [{"text": "a"}, {"image": {"format": "png"}}]}])
    current["userInputMessage"]["userInputMessageContext"]["additionalContext"] = [{"name": "x"}]
    sent = body(current, history=[user("x"), assistant("", [use("t1")])], tools=TOOLS)

    assert said(sent) == "FINAL:a\n"


@pytest.mark.parametrize(("sent", "reason"), [(body(), "END_TURN"), (after_first(), "TOOL_USE")])
def test_the_stop_reason_tells_calls_from_answers(sent: Json, reason: str) -> None:
    assert tail(sent).stop_reason == reason


def test_the_token_counts_add_up() -> None:
    usage = tail(body("hello")).usage
    assert usage is not None

    parts = ("uncachedInputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens")
    assert usage["totalTokens"] == sum(usage[part] for part in parts)


def test_more_text_costs_more() -> None:
    short, long = tail(body("a")), tail(body("a" * 4000))

    assert (long.credits > short.credits, long.percentage > short.percentage) == (True, True)


def test_a_picture_counts_by_its_number_not_by_its_bytes() -> None:
    picture = {"format": "png", "source": {"bytes": "A" * 400_000}}

    assert estimate_tokens(call_of(body(user("a", images=[picture])))) < 2000


@pytest.mark.parametrize(
    ("model", "display", "text", "count"),
    [
        ("claude-sonnet-5", "summarized", True, 1),
        ("claude-sonnet-5", "omitted", False, 1),
        (MODEL, "summarized", False, 0),
    ],
    ids=["summary", "signature only", "a model that cannot"],
)
def test_reasoning_comes_where_it_is_asked_for(
    model: str, display: str, text: bool, count: int
) -> None:
    thinking = {"type": "adaptive", "display": display}
    sent = body(model=model, additionalModelRequestFields={"thinking": thinking})
    thoughts = [step for step in answer(call_of(sent, model)) if isinstance(step, Reasoning)]

    assert len(thoughts) == count
    assert any(thought.text for thought in thoughts) is text
