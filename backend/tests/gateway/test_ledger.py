"""What one request leaves in the log."""

from kiro2api.errors import FaultKind
from kiro2api.gateway.ledger import AttemptNote, RequestRecord
from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.chat.events import Finish, StopReason, Usage


def record() -> RequestRecord:
    return RequestRecord("req_1", started_s=10.0)


def test_a_finished_request_tells_its_usage_and_stop_reason() -> None:
    line = record()
    usage = Usage(input_tokens=3, output_tokens=5, credits=0.25, estimated=False)

    line.finished(Finish(StopReason.TOOL_USE, usage))

    fields = line.fields(11.5)
    assert {
        "outcome": "complete",
        "stop_reason": "tool_use",
        "input_tokens": 3,
        "output_tokens": 5,
        "credits": 0.25,
        "usage_estimated": False,
        "ms": 1500.0,
    }.items() <= fields.items()


def test_credits_that_nobody_told_are_not_invented() -> None:
    line = record()

    line.finished(Finish(StopReason.END_TURN, Usage()))

    assert "credits" not in line.fields(11.0)


def test_each_attempt_is_told_with_its_account_and_cause() -> None:
    line = record()
    first, second = AttemptNote("a"), AttemptNote("b")
    first.cause, first.ms = "rate_limited", 12.0
    line.attempts += [first, second]

    assert line.fields(11.0)["attempts"] == ["a:rate_limited:12ms", "b:ok:0ms"]


def test_one_good_attempt_is_told_by_its_account_alone() -> None:
    line = record()
    line.attempts.append(AttemptNote("a"))

    fields = line.fields(11.0)
    assert fields["account"] == "a"
    assert "attempts" not in fields


def test_an_error_does_not_take_the_place_of_an_end_that_is_noted() -> None:
    line = record()
    line.failed("stopping")

    line.refused(ErrorAnswer(503, "Busy.", code="busy"))

    assert line.fields(11.0)["outcome"] == "stopping"


def test_a_name_of_a_model_is_told_no_longer_than_names_are() -> None:
    line = record()
    line.model = "m" * 1_000_000

    assert line.fields(11.0)["model"] == "m" * 200


def test_one_failed_attempt_is_told_with_its_cause() -> None:
    line = record()
    line.attempts.append(AttemptNote("a"))
    line.attempts[0].cause = "network"

    assert line.fields(11.0)["attempts"] == ["a:network:0ms"]


def test_a_failure_is_told_by_its_kind() -> None:
    line = record()

    line.failed(FaultKind.BROKEN_STREAM)

    assert line.fields(11.0)["outcome"] == "broken_stream"


def test_the_time_to_the_first_event_is_told_once_there_was_one() -> None:
    line = record()
    line.first_event_s = 10.25

    assert line.fields(11.0)["first_event_ms"] == 250.0
