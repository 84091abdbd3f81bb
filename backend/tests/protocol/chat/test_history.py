"""Tests of the repair of histories."""

from time import process_time

import msgspec
import pytest
from hypothesis import given

from kiro2api.protocol.chat.history import (
    CLOSING,
    NO_RESULT,
    OPENING,
    _repaired,
    call_as_text,
    repair,
)
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
from tests.support.histories import PNG, histories

PICTURE = Image("image/png", PNG)


def user(*blocks: Block | str) -> Turn:
    return Turn(Role.USER, tuple(Text(b) if isinstance(b, str) else b for b in blocks))


def assistant(*blocks: Block | str) -> Turn:
    return Turn(Role.ASSISTANT, tuple(Text(b) if isinstance(b, str) else b for b in blocks))


def use(id: str, name: str = "Read") -> ToolUse:
    return ToolUse(id, name, msgspec.Raw(b"{}"))


def result(id: str, *content: Text | Image, is_error: bool = False) -> ToolResult:
    return ToolResult(id, content or (Text(f"output of {id}"),), is_error)


def lost(id: str) -> ToolResult:
    return ToolResult(id, (Text(NO_RESULT),), is_error=True)


def check(given: tuple[Turn, ...], expected: tuple[Turn, ...]) -> None:
    assert msgspec.json.encode(repair(given)) == msgspec.json.encode(expected)


def test_a_sound_history_stays_as_it_is() -> None:
    turns = (
        user("hello"),
        assistant(Thinking("hm", "sig"), "I look.", use("a"), use("b")),
        user(result("a"), result("b"), "and?"),
        assistant("done"),
        user("thanks", PICTURE),
    )

    check(turns, turns)


# ------------------------------------------------------------------------------ roles


def test_neighbours_of_one_role_become_one_turn_with_a_blank_line_between_their_texts() -> None:
    check(
        (
            user("one", "two"),
            user("three"),
            user("four"),
            assistant("x"),
            assistant("y"),
            user("z"),
        ),
        (user("one", "two\n\nthree\n\nfour"), assistant("x\n\ny"), user("z")),
    )


def test_three_messages_of_the_user_are_one_turn() -> None:
    check((user("a"), user("b"), user("c")), (user("a\n\nb\n\nc"),))


def test_merged_turns_keep_their_files_in_order() -> None:
    check(
        (user(PICTURE), user("a", PICTURE, "b"), user("c"), user(PICTURE)),
        (user(PICTURE, "a", PICTURE, "b\n\nc", PICTURE),),
    )


def test_a_history_that_opens_with_the_assistant_gets_a_neutral_turn_before_it() -> None:
    check((assistant("hi"), user("hello")), (user(OPENING), assistant("hi"), user("hello")))


def test_a_history_that_ends_with_the_assistant_gets_a_neutral_turn_after_it() -> None:
    check((user("hello"), assistant("hi")), (user("hello"), assistant("hi"), user(CLOSING)))


# ------------------------------------------------------------------------- empty turns


@pytest.mark.parametrize("turns", [(), (user(),), (user("", " \n"), assistant(" "), user("\x00"))])
def test_a_history_in_which_nothing_is_said_is_none(turns: tuple[Turn, ...]) -> None:
    assert repair(turns) == ()


def test_a_blank_user_turn_vanishes_and_its_neighbours_meet() -> None:
    check(
        (user("a"), assistant("b"), user(" "), assistant("c"), user("d")),
        (user("a"), assistant("b\n\nc"), user("d")),
    )


def test_a_blank_assistant_turn_vanishes_and_its_neighbours_meet() -> None:
    check((user("a"), assistant(""), user("b")), (user("a\n\nb"),))


def test_a_blank_last_turn_leaves_the_reply_to_go_on() -> None:
    check((user("a"), assistant("b"), user("")), (user("a"), assistant("b"), user(CLOSING)))


def test_blank_texts_beside_others_vanish() -> None:
    check((user("", "a", "  "),), (user("a"),))


def test_an_assistant_turn_of_nothing_but_reasoning_vanishes() -> None:
    check(
        (user("a"), assistant(Thinking("t", "sig"), RedactedThinking("x")), user("b")),
        (user("a\n\nb"),),
    )


def test_reasoning_in_a_message_of_its_own_stays_with_the_call_that_follows() -> None:
    check(
        (user("a"), assistant(Thinking("t", "sig")), assistant(use("1")), user(result("1"))),
        (user("a"), assistant(Thinking("t", "sig"), use("1")), user(result("1"))),
    )


# ------------------------------------------------------------------- blocks of the wrong role


def test_a_file_of_the_assistant_moves_to_the_next_user_turn() -> None:
    paper = Document("p.pdf", "application/pdf", data="cGRm")

    check(
        (user("draw"), assistant(PICTURE, paper), user("nice")),
        (
            user("draw"),
            assistant(
                "(image of the assistant: see the next message)",
                "(document of the assistant: see the next message)",
            ),
            user(PICTURE, paper, "nice"),
        ),
    )


def test_a_file_of_a_last_assistant_turn_makes_a_user_turn() -> None:
    repaired = repair((user("draw"), assistant(PICTURE)))

    assert repaired[-1] == user(PICTURE)


def test_a_result_in_an_assistant_turn_answers_its_call() -> None:
    check(
        (user("go"), assistant(use("a"), result("a")), user("next")),
        (user("go"), assistant(use("a")), user(result("a"), "next")),
    )


def test_a_call_in_a_user_turn_becomes_text_and_reasoning_there_vanishes() -> None:
    odd = ToolUse("a", "Read", msgspec.Raw(b'{"x":1}'))

    check((user(odd, Thinking("t", "s"), "go"),), (user(call_as_text(odd), "go"),))


def test_a_call_as_text_tells_its_name_its_id_and_its_input() -> None:
    text = call_as_text(ToolUse("id7", "Read", msgspec.Raw(b'{"x":1}\xff'))).text

    assert "Read" in text
    assert "id7" in text
    assert '{"x":1}' in text


# ----------------------------------------------------------------------------- pairs


def test_results_come_first_in_the_order_of_their_calls() -> None:
    check(
        (user("go"), assistant(use("a"), use("b")), user("note", result("b"), result("a"))),
        (user("go"), assistant(use("a"), use("b")), user(result("a"), result("b"), "note")),
    )


def test_parallel_results_in_turns_of_their_own_are_grouped_in_one() -> None:
    check(
        (user("go"), assistant(use("a"), use("b")), user(result("b")), user(result("a"), "on")),
        (user("go"), assistant(use("a"), use("b")), user(result("a"), result("b"), "on")),
    )


def test_a_late_result_moves_to_its_call_over_the_turns_between() -> None:
    check(
        (
            user("go"),
            assistant(use("a"), use("b")),
            user(result("a")),
            assistant("wait"),
            user(result("b"), "there"),
        ),
        (
            user("go"),
            assistant(use("a"), use("b")),
            user(result("a"), result("b")),
            assistant("wait"),
            user("there"),
        ),
    )


def test_a_turn_emptied_by_a_late_result_vanishes() -> None:
    check(
        (
            user("go"),
            assistant(use("a"), use("b")),
            user(result("a")),
            assistant("wait"),
            user(result("b")),
            assistant("done"),
            user("thanks"),
        ),
        (
            user("go"),
            assistant(use("a"), use("b")),
            user(result("a"), result("b")),
            assistant("wait\n\ndone"),
            user("thanks"),
        ),
    )


def test_a_result_without_a_call_becomes_text_with_its_files() -> None:
    check(
        (user("go", result("gone", Text("out"), Text(" "), PICTURE)), assistant("x"), user("y")),
        (
            user("go", "(result of an earlier tool call, id gone)", "out", PICTURE),
            assistant("x"),
            user("y"),
        ),
    )


def test_a_failed_result_without_a_call_says_that_it_failed() -> None:
    (turn,) = repair((user(result("gone", is_error=True)),))

    assert turn == user("(failure of an earlier tool call, id gone)", "output of gone")


def test_a_result_before_its_call_does_not_answer_it() -> None:
    repaired = repair((user(result("a")), assistant(use("a")), user("x")))

    assert repaired[0] == user("(result of an earlier tool call, id a)", "output of a")
    assert repaired[2] == user(lost("a"), "x")


def test_a_second_result_of_one_call_becomes_text() -> None:
    check(
        (user("go"), assistant(use("a")), user(result("a"), result("a"))),
        (
            user("go"),
            assistant(use("a")),
            user(result("a"), "(result of an earlier tool call, id a)", "output of a"),
        ),
    )


def test_a_call_without_a_result_gets_an_error_that_says_so() -> None:
    check(
        (user("go"), assistant(use("a"), use("b")), user(result("b"), "stop")),
        (user("go"), assistant(use("a"), use("b")), user(lost("a"), result("b"), "stop")),
    )


def test_a_last_call_without_a_result_makes_the_last_turn() -> None:
    check((user("go"), assistant(use("a"))), (user("go"), assistant(use("a")), user(lost("a"))))


# ---------------------------------------------------------------------- ids that come twice


def test_an_id_that_comes_again_in_a_later_turn_is_renamed_with_its_result() -> None:
    check(
        (
            user("go"),
            assistant(use("a")),
            user(result("a", Text("first"))),
            assistant(use("a")),
            user(result("a", Text("second"))),
        ),
        (
            user("go"),
            assistant(use("a")),
            user(result("a", Text("first"))),
            assistant(use("a-2")),
            user(result("a-2", Text("second"))),
        ),
    )


def test_an_id_that_comes_twice_in_one_turn_pairs_in_order() -> None:
    check(
        (
            user("go"),
            assistant(use("a"), use("a"), use("a-2")),
            user(result("a", Text("1")), result("a", Text("2")), result("a-2", Text("3"))),
        ),
        (
            user("go"),
            assistant(use("a"), use("a-2"), use("a-2-2")),
            user(result("a", Text("1")), result("a-2", Text("2")), result("a-2-2", Text("3"))),
        ),
    )


def test_a_result_answers_the_latest_call_with_its_id() -> None:
    repaired = repair(
        (user("go"), assistant(use("a")), user("again"), assistant(use("a")), user(result("a")))
    )

    assert repaired[2] == user(lost("a"), "again")
    assert repaired[4] == user(result("a-2", Text("output of a")))


def test_an_open_call_of_an_older_turn_takes_the_result_that_is_left() -> None:
    repaired = repair(
        (
            user("go"),
            assistant(use("a")),
            user("again"),
            assistant(use("a")),
            user(result("a", Text("new")), result("a", Text("old"))),
        )
    )

    assert repaired[2] == user(result("a", Text("old")), "again")
    assert repaired[4] == user(result("a-2", Text("new")))


# ---------------------------------------------------------------------------- for any history


@given(histories)
def test_any_history_alternates_between_a_first_and_a_last_user_turn(
    turns: tuple[Turn, ...],
) -> None:
    roles = [turn.role for turn in repair(turns)]

    assert roles == [Role.ASSISTANT if at % 2 else Role.USER for at in range(len(roles))]
    assert not roles or len(roles) % 2


@given(histories)
def test_any_history_answers_each_call_in_the_next_turn_and_nothing_else(
    turns: tuple[Turn, ...],
) -> None:
    due: list[str] = []
    seen: list[str] = []
    for turn in repair(turns):
        first = turn.blocks[: len(due)]
        assert [b.tool_use_id for b in first if isinstance(b, ToolResult)] == due
        assert not any(isinstance(b, ToolResult) for b in turn.blocks[len(due) :])
        due = [b.id for b in turn.blocks if isinstance(b, ToolUse)]
        seen += due
        assert not due or turn.role is Role.ASSISTANT

    assert not due
    assert len(set(seen)) == len(seen)


@given(histories)
def test_any_history_is_repaired_once_and_for_all(turns: tuple[Turn, ...]) -> None:
    once = repair(turns)

    assert not once or repair(once) is once


@given(histories)
def test_what_is_taken_for_sound_would_not_be_changed(turns: tuple[Turn, ...]) -> None:
    sound = repair(turns)

    assert msgspec.json.encode(_printable(_repaired(sound))) == msgspec.json.encode(
        _printable(sound)
    )


@given(histories)
def test_any_history_keeps_every_text_and_every_file(turns: tuple[Turn, ...]) -> None:
    before, after = _readable(turns), _readable(repair(turns))

    for text in before[0]:
        assert text in "\n".join(after[0])
    assert sorted(map(str, before[1])) == sorted(map(str, after[1]))


def _readable(turns: tuple[Turn, ...]) -> tuple[list[str], list[Image | Document]]:
    texts: list[str] = []
    files: list[Image | Document] = []
    for turn in turns:
        for block in turn.blocks:
            for one in block.content if isinstance(block, ToolResult) else (block,):
                if isinstance(one, Text) and not is_blank(one.text):
                    texts.append(one.text)
                elif isinstance(one, Image | Document):
                    files.append(one)
    return texts, files


def _printable(turns: tuple[Turn, ...]) -> str:
    return repr(
        [
            (t.role, [(b.id, b.name, bytes(b.input)) if isinstance(b, ToolUse) else b])
            for t in turns
            for b in t.blocks
        ]
    )


def test_ten_times_as_many_odd_turns_take_about_ten_times_as_long() -> None:
    few, many = odd_turns(500), odd_turns(5_000)

    assert len(repair(many)) == 10_001
    assert best_cpu_s(many) < 40 * best_cpu_s(few)


def odd_turns(rounds: int) -> tuple[Turn, ...]:
    """Return turns that merge, one id for all calls, and the results only at the end."""
    calls = (user("x"), user("y"), assistant(use("a"))) * rounds
    return (*calls, *(user(result("a")) for _ in range(rounds)))


def best_cpu_s(turns: tuple[Turn, ...]) -> float:
    durations = []
    for _ in range(3):
        started = process_time()
        repair(turns)
        durations.append(process_time() - started)
    return min(durations)
