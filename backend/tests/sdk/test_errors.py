"""Upstream failures reach the callers of both SDKs as the exceptions that they expect."""

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tests.sdk import anthropic_judge, openai_judge
from tests.sdk.conftest import FAULTS
from tests.support.gateway import KEY, MODEL
from tests.support.wiretap import Wiretap

pytestmark = pytest.mark.sdk

QUESTION: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

# The fault of the group's only account: Anthropic's exception, its status, OpenAI's and its status.
EXPECTED: dict[str, tuple[type[Exception], int, type[Exception], int]] = {
    "limited": (anthropic.RateLimitError, 429, openai.RateLimitError, 429),
    "used_up": (anthropic.RateLimitError, 429, openai.RateLimitError, 429),
    "crowded": (anthropic.InternalServerError, 529, openai.InternalServerError, 503),
    "on_hold": (anthropic.InternalServerError, 503, openai.InternalServerError, 503),
    "not_entitled": (anthropic.PermissionDeniedError, 403, openai.PermissionDeniedError, 403),
    "refusing": (anthropic.BadRequestError, 400, openai.BadRequestError, 400),
    "too_long": (anthropic.BadRequestError, 400, openai.BadRequestError, 400),
    "no_model": (anthropic.NotFoundError, 404, openai.NotFoundError, 404),
    "broken": (anthropic.InternalServerError, 500, openai.InternalServerError, 500),
    "away": (anthropic.InternalServerError, 503, openai.InternalServerError, 503),
    "late": (anthropic.InternalServerError, 504, openai.InternalServerError, 504),
    "silent": (anthropic.InternalServerError, 502, openai.InternalServerError, 502),
}


def ask_anthropic(tap: Wiretap, group: str, *, stream: bool) -> Any:
    url = f"{tap.url}/{group}"
    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        if not stream:
            return client.messages.create(**QUESTION, max_tokens=100)
        with client.messages.stream(**QUESTION, max_tokens=100) as events:
            return events.get_final_message()


def ask_openai(tap: Wiretap, group: str, *, stream: bool) -> Any:
    with openai.OpenAI(base_url=f"{tap.url}/{group}/v1", api_key=KEY, max_retries=0) as client:
        if not stream:
            return client.chat.completions.create(**QUESTION)
        with client.chat.completions.stream(**QUESTION) as events:
            return events.get_final_completion()


def failure_of(call: Callable[[], object]) -> Any:
    """Return the SDK's exception, whatever it is, of a call that must fail."""
    with pytest.raises((anthropic.APIError, openai.APIError)) as caught:
        call()
    return caught.value


def test_every_fault_before_the_first_word_has_its_exception() -> None:
    assert set(EXPECTED) == set(FAULTS) - {"cutting"}


@STREAMED
@pytest.mark.parametrize("fault", EXPECTED)
def test_anthropic_s_sdk_raises_what_fits(failing_tap: Wiretap, fault: str, stream: bool) -> None:
    error = failure_of(lambda: ask_anthropic(failing_tap, fault, stream=stream))

    kind, status, _, _ = EXPECTED[fault]
    assert isinstance(error, kind)
    assert error.status_code == status
    assert error.request_id.startswith("req_")
    anthropic_judge.judge(failing_tap.exchanges())


@STREAMED
@pytest.mark.parametrize("fault", EXPECTED)
def test_openai_s_sdk_raises_what_fits(failing_tap: Wiretap, fault: str, stream: bool) -> None:
    error = failure_of(lambda: ask_openai(failing_tap, fault, stream=stream))

    _, _, kind, status = EXPECTED[fault]
    assert isinstance(error, kind)
    assert error.status_code == status
    assert error.request_id.startswith("req_")
    openai_judge.judge(failing_tap.exchanges())


@pytest.mark.parametrize("ask", [ask_anthropic, ask_openai])
@pytest.mark.parametrize("fault", ["limited", "used_up", "crowded"])
def test_who_must_wait_is_told_for_how_long(
    failing_tap: Wiretap, fault: str, ask: Callable[..., object]
) -> None:
    error = failure_of(lambda: ask(failing_tap, fault, stream=False))

    assert int(error.response.headers["retry-after"]) > 0


def test_anthropic_s_sdk_reads_that_the_prompt_is_too_long(failing_tap: Wiretap) -> None:
    error = failure_of(lambda: ask_anthropic(failing_tap, "too_long", stream=False))

    assert error.body["error"]["message"].startswith("prompt is too long")


def test_openai_s_sdk_reads_that_the_context_is_too_long(failing_tap: Wiretap) -> None:
    error = failure_of(lambda: ask_openai(failing_tap, "too_long", stream=False))

    assert error.code == "context_length_exceeded"


def test_anthropic_s_sdk_raises_when_a_stream_breaks_off(failing_tap: Wiretap) -> None:
    error = failure_of(lambda: ask_anthropic(failing_tap, "cutting", stream=True))

    assert isinstance(error, anthropic.APIError)
    assert failing_tap.exchanges()[0].events[-1].name == "error"
    anthropic_judge.judge(failing_tap.exchanges())


def test_openai_s_sdk_raises_when_a_stream_breaks_off(failing_tap: Wiretap) -> None:
    error = failure_of(lambda: ask_openai(failing_tap, "cutting", stream=True))

    assert isinstance(error, openai.APIError)
    openai_judge.judge(failing_tap.exchanges())
