"""Finding the turns of a generation request."""

from kiro2api.emulator.accounts import Account, AccountSpec
from kiro2api.emulator.call import Call, make_call, model_id_of
from tests.support.emulator_calls import Json, assistant, body, result, tool, use, user


def call_of(sent: Json) -> Call:
    return make_call(sent, Account(AccountSpec(name="a"), now=0.0), "m", {})


def test_turns_have_their_roles_and_paths() -> None:
    call = call_of(body("b", history=[user("a"), assistant("x")]))

    assert [(turn.role, turn.path) for turn in [*call.history, call.current]] == [
        ("user", "conversationState.history[0].userInputMessage"),
        ("assistant", "conversationState.history[1].assistantResponseMessage"),
        ("user", "conversationState.currentMessage.userInputMessage"),
    ]


def test_what_is_no_message_is_a_turn_without_a_role() -> None:
    call = call_of({"conversationState": {"history": [{"odd": 1}, 3]}})

    assert [turn.role for turn in [*call.history, call.current]] == ["", "", ""]


def test_calls_and_results_are_found() -> None:
    call = call_of(body(user("", [result("t1")]), history=[assistant("", [use("t1")])]))

    assert call.history[0].tool_uses == [use("t1")]
    assert call.current.tool_results == [result("t1")]


def test_the_names_of_the_declared_tools_are_found() -> None:
    assert call_of(body(tools=[tool("a"), tool("b")])).tool_names == ["a", "b"]


def test_the_model_is_that_of_the_current_message() -> None:
    assert model_id_of(body(model="m-1")) == "m-1"


def test_a_body_without_a_model_names_none() -> None:
    assert model_id_of({}) == ""


def test_the_conversation_is_named() -> None:
    assert call_of({"conversationState": {"conversationId": "c-1"}}).conversation_id == "c-1"
