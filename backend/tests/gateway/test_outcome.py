"""What clients are told about failures."""

import pytest

from kiro2api.errors import (
    BusyError,
    FaultKind,
    FramingError,
    NoAccountError,
    RequestError,
    StoreError,
    TransferError,
    UpstreamError,
)
from kiro2api.gateway.outcome import (
    STATUSES,
    answer_for,
    as_upstream_error,
    failure_for,
    fault_text,
    too_long_text,
)


def test_every_kind_of_fault_has_a_status() -> None:
    assert set(STATUSES) == set(FaultKind)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.RATE_LIMITED, 429),
        (FaultKind.MODEL_CAPACITY, 529),
        (FaultKind.OUT_OF_QUOTA, 429),
        (FaultKind.TOKEN_REJECTED, 503),
        (FaultKind.PROFILE_REQUIRED, 502),
        (FaultKind.WRONG_ENDPOINT, 502),
        (FaultKind.SUSPENDED, 503),
        (FaultKind.NOT_ENTITLED, 403),
        (FaultKind.MODEL_UNAVAILABLE, 404),
        (FaultKind.CONTEXT_TOO_LONG, 400),
        (FaultKind.BAD_REQUEST, 400),
        (FaultKind.CONVERSATION_LIMIT, 400),
        (FaultKind.SIGNATURE_INVALID, 400),
        (FaultKind.BROKEN_STREAM, 502),
        (FaultKind.UNKNOWN, 502),
    ],
)
def test_a_fault_becomes_its_status(kind: FaultKind, status: int) -> None:
    assert answer_for(UpstreamError(kind, "why")).status == status


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("kind", [FaultKind.OVERLOADED, FaultKind.NETWORK])
def test_a_fault_of_the_host_keeps_its_own_status(kind: FaultKind, status: int) -> None:
    assert answer_for(UpstreamError(kind, "why", status=status)).status == status


def test_an_upstream_that_gave_up_waiting_is_a_gateway_timeout() -> None:
    assert answer_for(UpstreamError(FaultKind.OVERLOADED, "why", status=408)).status == 504


def test_a_fault_of_the_host_without_a_status_is_a_bad_gateway() -> None:
    assert answer_for(UpstreamError(FaultKind.NETWORK, "why")).status == 502


def test_the_upstreams_own_words_reach_the_client() -> None:
    answer = answer_for(UpstreamError(FaultKind.BAD_REQUEST, "Improperly formed request."))

    assert "Improperly formed request." in answer.message


def test_words_about_a_too_long_prompt_are_not_wrapped() -> None:
    error = UpstreamError(FaultKind.CONTEXT_TOO_LONG, "prompt is too long: 3 tokens > 2 maximum")

    assert fault_text(error) == "prompt is too long: 3 tokens > 2 maximum"


def test_a_request_error_keeps_its_path_and_code() -> None:
    answer = answer_for(RequestError("no", path="messages.0", code="c", status=413))

    assert (answer.status, answer.path, answer.code) == (413, "messages.0", "c")


def test_a_pool_that_returns_is_a_429_with_the_time() -> None:
    answer = answer_for(NoAccountError("all cooling", retry_after_s=12.0))

    assert (answer.status, answer.retry_after_s) == (429, 12.0)


def test_a_pool_without_accounts_is_a_503() -> None:
    assert answer_for(NoAccountError("none", retry_after_s=None)).status == 503


def test_a_database_that_is_away_is_a_503() -> None:
    assert answer_for(StoreError("locked")).status == 503


def test_a_bug_of_ours_tells_the_client_nothing_of_itself() -> None:
    answer = answer_for(KeyError("secret detail"))

    assert answer.status == 500
    assert "secret detail" not in answer.message


def test_a_silent_upstream_is_a_gateway_timeout() -> None:
    error = as_upstream_error(TransferError("no answer within 90 s", timed_out=True))

    assert (error.kind, error.status) == (FaultKind.NETWORK, 504)


def test_a_refused_connection_is_a_bad_gateway() -> None:
    error = as_upstream_error(TransferError("could not connect"))

    assert (error.kind, error.status) == (FaultKind.NETWORK, 502)


def test_bytes_that_are_no_frames_are_a_broken_stream() -> None:
    assert as_upstream_error(FramingError("CRC")).kind is FaultKind.BROKEN_STREAM


def test_other_errors_are_not_taken_for_faults_of_the_upstream() -> None:
    with pytest.raises(TypeError):
        as_upstream_error(KeyError("x"))


def test_sizes_are_told_only_when_they_say_that_the_prompt_is_too_long() -> None:
    texts = [too_long_text(300, 200), too_long_text(100, 200)]

    assert texts == [
        "prompt is too long: 300 tokens > 200 maximum",
        "prompt is too long: the upstream refused about 100 tokens (estimated)",
    ]


def test_a_busy_gateway_says_when_to_come_again() -> None:
    answer = answer_for(BusyError("The gateway is stopping.", retry_after_s=5.0))

    assert (answer.status, answer.code, answer.retry_after_s) == (503, "busy", 5.0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UpstreamError(FaultKind.CONTEXT_TOO_LONG, "why"), FaultKind.CONTEXT_TOO_LONG),
        (NoAccountError("all rest", retry_after_s=3.0), FaultKind.RATE_LIMITED),
        (BusyError("stopping", retry_after_s=5.0), FaultKind.OVERLOADED),
        (RequestError("wrong"), FaultKind.BAD_REQUEST),
        (RuntimeError("a bug"), FaultKind.UNKNOWN),
    ],
)
def test_inside_a_stream_an_error_has_the_kind_of_its_status(
    error: Exception, kind: FaultKind
) -> None:
    assert failure_for(error).kind is kind


def test_inside_a_stream_a_bug_is_not_told_to_the_client() -> None:
    assert "secret" not in failure_for(RuntimeError("secret")).message
