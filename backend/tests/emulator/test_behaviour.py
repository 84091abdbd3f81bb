"""What tests can queue, and which call gets it."""

import pytest

from kiro2api.emulator.behaviour import Behaviour, Operation, Queue, parse_behaviours
from kiro2api.emulator.steps import Text, Wait
from kiro2api.errors import RequestError

GENERATE = Operation.GENERATE


def queue_of(*behaviours: Behaviour) -> Queue:
    queue = Queue()
    for behaviour in behaviours:
        queue.add(behaviour)
    return queue


def take(queue: Queue, account: str = "a", model: str = "m") -> str:
    """Return the error that the next generation call gets; "" for none."""
    behaviour = queue.take(GENERATE, account=account, model=model)
    return behaviour.error if behaviour else ""


def test_behaviours_are_taken_in_order_and_once() -> None:
    queue = queue_of(Behaviour(error="internal"), Behaviour(error="suspended"))

    assert [take(queue) for _ in range(3)] == ["internal", "suspended", ""]


def test_the_first_calls_fail_and_then_succeed() -> None:
    queue = queue_of(Behaviour(error="internal", times=2))

    assert [take(queue) for _ in range(3)] == ["internal", "internal", ""]


def test_a_behaviour_can_last_for_ever() -> None:
    queue = queue_of(Behaviour(error="internal", times=0))

    assert [take(queue) for _ in range(5)] == ["internal"] * 5


def test_a_behaviour_can_let_calls_pass_first() -> None:
    queue = queue_of(Behaviour(error="internal", after=2))

    assert [take(queue) for _ in range(4)] == ["", "", "internal", ""]


def test_an_account_can_fail_while_others_work() -> None:
    queue = queue_of(Behaviour(error="internal", account="a", times=0))

    assert [take(queue, account=name) for name in "abab"] == ["internal", "", "internal", ""]


def test_a_model_can_fail_while_others_work() -> None:
    queue = queue_of(Behaviour(error="internal", model="m", times=0))

    assert [take(queue, model=name) for name in "mn"] == ["internal", ""]


def test_other_operations_are_left_alone() -> None:
    queue = queue_of(Behaviour(operation=Operation.REFRESH, error="server_error"))

    assert take(queue) == ""
    assert queue.take(Operation.REFRESH, account="", model="") is not None


def test_a_cleared_queue_is_empty() -> None:
    queue = queue_of(Behaviour(error="internal"))
    queue.clear()

    assert take(queue) == ""


def test_one_or_several_are_parsed_from_json() -> None:
    one = parse_behaviours(b'{"error": "internal"}')
    two = parse_behaviours(
        b'[{"steps": [{"do": "text", "text": "a"}, {"do": "wait", "s": 1}]}, {}]'
    )

    assert one == [Behaviour(error="internal")]
    assert two == [Behaviour(steps=[Text(text="a"), Wait(s=1.0)]), Behaviour()]


@pytest.mark.parametrize(
    "spelled",
    [
        '{"error": "no such error"}',
        '{"scenario": "no such scenario"}',
        '{"operation": "refresh", "error": "internal"}',
        '{"error": "internal", "scenario": "text"}',
        '{"steps": [], "paced": {"events": 1}}',
        '{"steps": [{"do": "dance"}]}',
        '{"steps": [{"do": "text", "txt": "a"}]}',
        '{"colour": "red"}',
        "{",
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_queued(spelled: str) -> None:
    with pytest.raises(RequestError):
        parse_behaviours(spelled.encode())
