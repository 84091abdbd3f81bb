"""The checks of a generation request: each one refuses what it is for, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from kiro2api.emulator.accounts import Account, AccountSpec
from kiro2api.emulator.call import make_call, model_id_of
from kiro2api.emulator.catalogue import find_model
from kiro2api.emulator.checks import CHECKS, as_refusal, first_rejection
from kiro2api.emulator.profile import KNOWN_RULES, ProfileName, Rules
from kiro2api.emulator.rejection import Rejection
from tests.support.emulator_calls import Json, assistant, body, result, tool, use, user

STRICT, OLD = ProfileName.RUNTIME_2026, ProfileName.Q_2025


def rejection(
    sent: Json, profile: ProfileName = STRICT, without: tuple[str, ...] = ()
) -> Rejection | None:
    account = Account(AccountSpec(name="a"), now=0.0)
    model_id = model_id_of(sent)
    model = find_model(account, model_id or "auto")
    rules = Rules(profile)
    for rule in without:
        rules.switch(rule, False)
    return first_rejection(make_call(sent, account, model_id, model or {}), rules)


def rule_of(sent: Json, profile: ProfileName = STRICT) -> str:
    found = rejection(sent, profile)
    return found.rule if found else ""


def changed(*path: str | int, value: object) -> Json:
    """Return a good body with one member replaced."""
    sent = round_trip()
    at: Any = sent
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return sent


def round_trip() -> Json:
    """Return a good body with one tool call and its result."""
    return body(
        user("", [result("t1")]),
        history=[user("list"), assistant("I look.", [use("t1", path=".")])],
        tools=[tool()],
        conversationState2={"ignored": True},
    )


STATE = "conversationState"
CURRENT = (STATE, "currentMessage", "userInputMessage")
CONTEXT = (*CURRENT, "userInputMessageContext")
FIRST_USER = (STATE, "history", 0, "userInputMessage")
ASSISTANT = (STATE, "history", 1, "assistantResponseMessage")


@pytest.mark.parametrize("profile", [STRICT, OLD])
def test_a_good_round_passes(profile: ProfileName) -> None:
    assert rejection(round_trip(), profile) is None


def test_the_smallest_request_passes() -> None:
    assert rejection({STATE: {"chatTriggerType": "MANUAL", "currentMessage": user("hi")}}) is None


CASES: dict[str, tuple[str, Callable[[], Json]]] = {
    "no state": ("R10", dict),
    "no message": ("R10", lambda: {STATE: {"chatTriggerType": "MANUAL"}}),
    "trigger of another program": ("R10", lambda: changed(STATE, "chatTriggerType", value="AUTO")),
    "long conversation id": ("R10", lambda: changed(STATE, "conversationId", value="x" * 129)),
    "agent mode that is no text": ("R10", lambda: changed("agentMode", value=1)),
    "history no list": ("R10", lambda: changed(STATE, "history", value={})),
    "model id with a space": ("R10", lambda: changed(*CURRENT, "modelId", value="a b")),
    "origin": ("R11", lambda: changed(*CURRENT, "origin", value="MY_EDITOR")),
    "origin in the history": ("R11", lambda: changed(*FIRST_USER, "origin", value="X")),
    "task type": ("R11", lambda: changed(STATE, "agentTaskType", value="chat")),
    "status": ("R11", lambda: changed(*CONTEXT, "toolResults", 0, "status", value="failed")),
    "image format": ("R11", lambda: changed(*CURRENT, "images", value=[image_of("jpg")])),
    "document format": (
        "R11",
        lambda: changed(*CURRENT, "documents", value=[{**image_of("rtf"), "name": "a"}]),
    ),
    "empty text": ("R12", lambda: body(" \n")),
    "empty text in the history": ("R12", lambda: changed(*FIRST_USER, "content", value="")),
    "empty answer in the history": (
        "R12.assistant",
        lambda: body("b", history=[user("a"), assistant("")]),
    ),
    "null": ("R13", lambda: changed(*CURRENT, "userIntent", value=None)),
    "null deep inside": ("R13", lambda: changed(*CONTEXT, "editorState", value={"document": None})),
    "content as a list": ("R13", lambda: changed(*FIRST_USER, "content", value=[{"text": "a"}])),
    "two kinds of message": ("R14", lambda: changed(STATE, "history", 0, "x", value={})),
    "current message of the assistant": (
        "R10",
        lambda: changed(STATE, "currentMessage", value=assistant("x")),
    ),
    "two kinds of source": (
        "R14",
        lambda: changed(*CURRENT, "images", value=[{"format": "png", "source": {"a": 1, "b": 2}}]),
    ),
    "two kinds of reasoning": (
        "R14",
        lambda: changed(
            *ASSISTANT, "reasoningContent", value={"reasoningText": {}, "redactedContent": ""}
        ),
    ),
    "two users in a row": ("R16", lambda: body("b", history=[user("a")])),
    "assistant first": ("R16", lambda: body("b", history=[assistant("a")])),
    "unknown model": ("R24", lambda: body(model="claude-9")),
    "system prompt": ("R26", lambda: body(systemPrompt="be nice")),
    "too long": ("R27", lambda: body("word " * 200_000)),
}


def image_of(form: str) -> Json:
    return {"format": form, "source": {"bytes": "AAAA"}}


@pytest.mark.parametrize("case", CASES)
def test_the_strict_service_refuses(case: str) -> None:
    rule, make = CASES[case]

    assert rule_of(make()) == rule


def test_an_old_service_tolerates_two_users_in_a_row() -> None:
    assert rule_of(body("b", history=[user("a")]), OLD) == ""


@pytest.mark.parametrize("member", ["tools", "toolResults"])
def test_an_old_service_refuses_empty_lists(member: str) -> None:
    sent = body("b")
    sent[STATE]["currentMessage"]["userInputMessage"]["userInputMessageContext"] = {member: []}

    assert (rule_of(sent, OLD), rule_of(sent, STRICT)) == ("R13.empty", "")


def test_nulls_inside_tool_input_and_schemas_are_the_tool_s_business() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x", None], "default": None}}}
    sent = body(
        user("", [result("t1")]),
        history=[user("a"), assistant("", [use("t1", path=None)])],
        tools=[tool(schema=schema)],
    )

    assert rejection(sent) is None


def test_unknown_members_are_ignored() -> None:
    sent = changed(*CURRENT, "brandNew", value={"a": 1})
    sent["inferenceConfig"] = {"temperature": 1}

    assert rejection(sent) is None


def test_an_answer_with_calls_may_be_silent() -> None:
    assert rule_of(changed(*ASSISTANT, "content", value="")) == ""


@pytest.mark.parametrize("case", [c for c in CASES if CASES[c][0] in KNOWN_RULES])
def test_a_check_that_is_switched_off_refuses_nothing(case: str) -> None:
    rule, make = CASES[case]
    found = rejection(make(), without=(rule,))

    assert found is None or found.rule != rule


def test_every_check_has_a_switch() -> None:
    assert {rule for rule, _ in CHECKS} <= KNOWN_RULES


def test_the_newer_service_says_what_is_wrong() -> None:
    found = rejection(body(" "))
    assert found is not None
    refusal = as_refusal(found, names_reasons=True)

    assert (refusal.status, refusal.reason) == (400, "REQUEST_BODY_INVALID")


def test_the_older_service_has_one_sentence_for_every_malformed_body() -> None:
    found = rejection(body(" "))
    assert found is not None
    refusal = as_refusal(found, names_reasons=False)

    assert (refusal.message, refusal.reason) == ("Improperly formed request.", None)


def test_the_older_service_still_names_a_model_that_it_lacks() -> None:
    found = rejection(body(model="claude-9"))
    assert found is not None

    assert as_refusal(found, names_reasons=False).reason == "INVALID_MODEL_ID"


def test_a_broken_constraint_names_the_path() -> None:
    found = rejection(changed(STATE, "chatTriggerType", value="AUTO"))

    assert found is not None
    assert "'/conversationState/chatTriggerType'" in found.message
