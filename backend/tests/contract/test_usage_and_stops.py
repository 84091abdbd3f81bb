"""How replies end and what they cost: the same in both dialects, streamed and not (case 17)."""

from typing import Any

import pytest

from kiro2api.emulator.scenarios import SCENARIOS
from tests.support.emulator import RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway, anthropic_body
from tests.support.talk import STREAMS, WAYS, Told, Way, name_of

# Scenario: what an Anthropic client is told, what a Chat Completions client is told.
STOPS = {
    "stop_end_turn": ("end_turn", "stop"),
    # The upstream's word alone does not make a tool call.
    "stop_tool_use": ("end_turn", "stop"),
    "stop_unknown": ("end_turn", "stop"),
    "tail_no_stop_reason": ("end_turn", "stop"),
    "tail_metering_only": ("end_turn", "stop"),
    "reasoning_only": ("end_turn", "stop"),
    "stop_pause_turn": ("pause_turn", "stop"),
    "stop_max_tokens": ("max_tokens", "length"),
    "empty_max_tokens": ("max_tokens", "length"),
    "no_tail": ("max_tokens", "length"),
    "stop_content_filtered": ("refusal", "content_filter"),
    "empty_content_filtered": ("refusal", "content_filter"),
    "refusal_cyber": ("refusal", "content_filter"),
    "stop_model_context_window_exceeded": ("model_context_window_exceeded", "length"),
    "empty_model_context_window_exceeded": ("model_context_window_exceeded", "length"),
    "context_99.9": ("end_turn", "stop"),
    "context_100.0": ("model_context_window_exceeded", "length"),
    "context_103.2": ("model_context_window_exceeded", "length"),
    "tool": ("tool_use", "tool_calls"),
    "tool_several": ("tool_use", "tool_calls"),
    "tool_end_turn": ("tool_use", "tool_calls"),
    "tool_max_tokens": ("tool_use", "tool_calls"),
    "tool_without_tail": ("tool_use", "tool_calls"),
    "reasoning_opaque_after_tools": ("tool_use", "tool_calls"),
}

BROKEN = ("tool_not_", "tool_stop_string", "tool_open", "tool_whole_then_open")
FAILING = (
    "empty",
    "reset_",
    "close_",
    "stall_",
    "eof_",
    "flaw_",
    "exception_",
    "error_",
    "invalid",
)
EXPLAINED = ("empty_max_tokens", "empty_content_filtered", "empty_model_context_window_exceeded")
WELL_ENDED = [
    name for name in SCENARIOS if not name.startswith(BROKEN + FAILING) or name in EXPLAINED
]


def anthropic(stream: bool = True) -> Way:
    return Way("anthropic", stream)


def chat(stream: bool = True) -> Way:
    return Way("chat", stream)


def hear(gateway: RunningGateway, way: Way, scenario: str) -> Told:
    gateway.emulator.queue(scenario=scenario)
    return way.hear(gateway)


# ---------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize("scenario", STOPS)
def test_a_reply_ends_with_the_reason_of_the_table(
    gateway: RunningGateway, way: Way, scenario: str
) -> None:
    told = hear(gateway, way, scenario)

    assert told.stop == STOPS[scenario][way.dialect == "chat"]
    assert len(gateway.emulator.generations()) == 1


@pytest.mark.parametrize("dialect", ["anthropic", "chat"])
@pytest.mark.parametrize("scenario", WELL_ENDED)
def test_streamed_or_not_a_reply_says_the_same(
    gateway: RunningGateway, dialect: Any, scenario: str
) -> None:
    streamed = hear(gateway, Way(dialect, stream=True), scenario)
    whole = hear(gateway, Way(dialect, stream=False), scenario)

    assert streamed.content == whole.content


@pytest.mark.parametrize("scenario", WELL_ENDED)
def test_both_dialects_say_the_same(gateway: RunningGateway, scenario: str) -> None:
    one, other = (hear(gateway, way, scenario) for way in (anthropic(False), chat(False)))

    assert one.text == other.text
    assert one.reasoning == other.reasoning
    assert [call.input for call in one.calls] == [call.input for call in other.calls]
    assert other.usage["completion_tokens"] == one.usage["output_tokens"]
    assert other.usage["prompt_tokens"] == sum(
        one.usage[f"{part}input_tokens"] for part in ("", "cache_read_", "cache_creation_")
    )


CATEGORIES = {
    "refusal_cyber": "cyber",
    "refusal_bio": "bio",
    "refusal_frontier_llm": "frontier_llm",
    "refusal_reasoning_extraction": "reasoning_extraction",
    "refusal_unknown": None,
    "stop_content_filtered": None,
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("scenario", CATEGORIES)
def test_a_refusal_brings_its_details(gateway: RunningGateway, stream: bool, scenario: str) -> None:
    told = hear(gateway, anthropic(stream), scenario)

    assert told.details == {
        "type": "refusal",
        "category": CATEGORIES[scenario],
        "explanation": "The request was declined." if "refusal" in scenario else None,
    }


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_refusal_explains_itself_in_the_chat_dialect_too(
    gateway: RunningGateway, stream: bool
) -> None:
    told = hear(gateway, chat(stream), "refusal_bio")

    assert (told.stop, told.details) == ("content_filter", "The request was declined.")


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_reply_that_was_not_refused_has_no_details(gateway: RunningGateway, way: Way) -> None:
    assert hear(gateway, way, "stop_max_tokens").details is None


# --------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_tokens_read_from_cache_are_not_counted_twice(
    gateway: RunningGateway, stream: bool
) -> None:
    assert hear(gateway, anthropic(stream), "usage_cached").usage == {
        "input_tokens": 812,
        "cache_read_input_tokens": 10240,
        "cache_creation_input_tokens": 64,
        "output_tokens": 96,
    }


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_the_sums_of_the_chat_dialect_add_up(gateway: RunningGateway, stream: bool) -> None:
    usage = hear(gateway, chat(stream), "usage_cached").usage

    assert usage["prompt_tokens"] == 812 + 10240 + 64
    assert usage["completion_tokens"] == 96
    assert usage["total_tokens"] == 11212
    assert usage["prompt_tokens_details"]["cached_tokens"] == 10240


@pytest.mark.parametrize("scenario", ["text", "usage_zero", "tail_no_metering", "tool", "no_tail"])
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_tokens_are_never_nothing(gateway: RunningGateway, way: Way, scenario: str) -> None:
    usage = hear(gateway, way, scenario).usage

    assert usage["input_tokens" if way.dialect == "anthropic" else "prompt_tokens"] > 0
    assert usage["output_tokens" if way.dialect == "anthropic" else "completion_tokens"] > 0


@pytest.mark.parametrize(
    ("model", "window"), [("claude-haiku-4.5", 200_000), ("claude-opus-4.7", 1_000_000)]
)
def test_input_is_derived_from_the_window_of_the_model_that_was_used(
    gateway: RunningGateway, model: str, window: int
) -> None:
    """Where the upstream counts no tokens; its percentage counts the output too."""
    gateway.emulator.queue_stream({"do": "text", "text": "Hello."}, {"do": "tail", "percentage": 2})
    usage = anthropic().hear(gateway, model=model).usage

    assert usage["input_tokens"] + usage["output_tokens"] == window * 2 // 100


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_what_the_upstream_does_not_count_is_the_estimate_from_start_to_end(
    gateway: RunningGateway, stream: bool
) -> None:
    counted = gateway.post("/v1/messages/count_tokens", anthropic_body("Say something long."))
    gateway.emulator.queue(scenario="tail_metering_only")
    told = anthropic(stream).hear(gateway, "Say something long.")

    assert told.usage["input_tokens"] == counted.json["input_tokens"]
    assert (
        told.start_usage is None or told.start_usage["input_tokens"] == counted.json["input_tokens"]
    )


def test_the_cache_numbers_come_from_the_upstream_only(gateway: RunningGateway) -> None:
    marked = [{"type": "text", "text": "x " * 9000, "cache_control": {"type": "ephemeral"}}]
    first = anthropic().hear(gateway, "Hello", system=marked).usage
    second = anthropic().hear(gateway, "Hello", system=marked).usage

    for usage in (first, second):
        assert usage["cache_read_input_tokens"] == usage["cache_creation_input_tokens"] == 0


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
@pytest.mark.parametrize(
    ("scenario", "estimated"), [("usage_cached", False), ("no_tail", True), ("usage_zero", True)]
)
def test_the_log_says_whether_a_number_is_an_estimate(
    gateway: RunningGateway, way: Way, scenario: str, estimated: bool
) -> None:
    before = gateway.lines_until_now()
    hear(gateway, way, scenario)

    assert gateway.finished(before + 1)[-1]["usage_estimated"] is estimated


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
def test_a_chat_stream_has_no_usage_unless_asked_for(gateway: RunningGateway, options: Any) -> None:
    """The checker of streams requires the usage chunk when, and only when, it was asked for."""
    events = gateway.chat("Hello", stream=True, stream_options=options).events

    assert [event.data["choices"] for event in events[:-1] if not event.data["choices"]] == []


def test_the_usage_chunk_comes_last_and_without_choices(gateway: RunningGateway) -> None:
    options = {"include_usage": True}
    *_, usage, done = gateway.chat("Hello", stream=True, stream_options=options).events

    assert done.is_done
    assert usage.data["choices"] == []
    assert usage.data["usage"]["total_tokens"] > 0


# -------------------------------------------------------------------------------------- credits


def test_the_credits_of_the_log_add_up_to_what_the_upstream_charged(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("one"))
    charged = (0.01, 1.25, 0.0007)
    for way, credits in zip(WAYS, charged, strict=False):
        emulator.queue_stream({"do": "text", "text": "Hi."}, {"do": "tail", "credits": credits})
        way.hear(gateway)
    way.hear(gateway)

    lines = gateway.finished(4)
    assert [line["credits"] for line in lines[:3]] == list(charged)
    assert sum(line["credits"] for line in lines) == pytest.approx(
        emulator.account("one").credits_used
    )


def test_a_reply_that_the_client_left_is_marked_partial(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("one"))
    emulator.queue_stream({"do": "text", "text": "Hi."}, {"do": "gate", "name": "never"})
    stream = gateway.open_stream("/v1/messages", anthropic_body(stream=True))
    stream.read()
    stream.close()

    [line] = gateway.finished()
    assert line["partial"] is True
    assert line["outcome"] == "client_gone"


@pytest.mark.parametrize("scenario", ["no_tail", "tool_without_tail"])
def test_a_reply_that_was_cut_is_marked_partial(gateway: RunningGateway, scenario: str) -> None:
    before = gateway.lines_until_now()
    hear(gateway, anthropic(), scenario)

    assert gateway.finished(before + 1)[-1]["partial"] is True
