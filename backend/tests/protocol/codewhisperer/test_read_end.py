"""How a reply ends: its reason, its usage, its failures, whatever the upstream says."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.chat.events import (
    Begin,
    Finish,
    Refusal,
    StopReason,
    StreamEvent,
    TextDelta,
    TextStart,
)
from kiro2api.protocol.chat.grammar import Grammar
from kiro2api.protocol.chat.request import Text
from kiro2api.protocol.codewhisperer.read import Ending, Flaw
from kiro2api.protocol.tokens import estimate_text
from kiro2api.protocol.wire.eventstream import Frame
from tests.support.upstream_reply import (
    TAIL,
    context,
    exception,
    finish_of,
    frame,
    metadata,
    metering,
    reader,
    reply_of,
    run,
    text,
    thinking,
    tool,
)

# ---------------------------------------------------------------------- stop reasons


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((text("a"), metadata("END_TURN")), StopReason.END_TURN),
        ((text("a"), metadata("UNKNOWN")), StopReason.END_TURN),
        ((text("a"), metadata("SOMETHING_NEW")), StopReason.END_TURN),
        ((text("a"), metadata(None)), StopReason.END_TURN),
        ((text("a"), metadata("TOOL_USE")), StopReason.END_TURN),
        ((text("a"), metadata("MAX_TOKENS")), StopReason.MAX_TOKENS),
        ((text("a"), metadata("PAUSE_TURN")), StopReason.PAUSE_TURN),
        ((text("a"), metadata("CONTENT_FILTERED")), StopReason.REFUSAL),
        ((text("a"), metadata("MODEL_CONTEXT_WINDOW_EXCEEDED")), StopReason.CONTEXT_WINDOW),
        ((text("a"), metadata("END_TURN"), context(100.0)), StopReason.CONTEXT_WINDOW),
        ((text("a"), metadata("END_TURN"), context(112.5)), StopReason.CONTEXT_WINDOW),
        ((text("a"), metadata("END_TURN"), context(99.9)), StopReason.END_TURN),
        ((tool(stop=True), metadata("END_TURN")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("TOOL_USE")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("MAX_TOKENS")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("PAUSE_TURN")), StopReason.TOOL_USE),
        ((tool(stop=True), text("done"), metadata("END_TURN")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("CONTENT_FILTERED")), StopReason.REFUSAL),
        ((tool(stop=True), context(100.0)), StopReason.CONTEXT_WINDOW),
        ((tool(stop=True),), StopReason.TOOL_USE),
        ((text("a"),), StopReason.MAX_TOKENS),
        ((thinking(text="a"),), StopReason.MAX_TOKENS),
        ((text("a"), context(5.0)), StopReason.END_TURN),
        ((text("a"), metering(0.1)), StopReason.END_TURN),
    ],
)
def test_the_stop_reason_follows_what_happened(
    frames: tuple[Frame, ...], expected: StopReason
) -> None:
    assert finish_of(*frames).stop_reason is expected


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_tail_may_come_in_any_order(order: tuple[int, int, int]) -> None:
    tail = (metadata("PAUSE_TURN"), context(10.0), metering(0.25))
    finish = finish_of(text("a"), *(tail[at] for at in order))

    assert finish.stop_reason is StopReason.PAUSE_TURN
    assert finish.usage.credits == 0.25
    assert finish.usage.input_tokens == 20_000 - estimate_text("a")


def test_content_after_the_metadata_is_still_read() -> None:
    assert reply_of(metadata(), text("late"), metering(0.1)).blocks == (Text("late"),)


@pytest.mark.parametrize(
    ("frames", "is_cut"),
    [
        ((text("a"),), True),
        ((tool(stop=True),), True),
        ((text("a"), metadata()), False),
        ((text("a"), context(1.0)), False),
        ((text("a"), metering(0.1)), False),
    ],
)
def test_content_without_any_tail_is_a_cut(frames: tuple[Frame, ...], is_cut: bool) -> None:
    assert run(*frames)[1].is_cut is is_cut


def test_a_refusal_says_why() -> None:
    details = {"refusal": {"category": "CYBER", "explanation": "No.", "recommendedModel": "x"}}
    finish = finish_of(text("a"), metadata("CONTENT_FILTERED", stopDetails=details))

    assert finish.refusal == Refusal("cyber", "No.")


@pytest.mark.parametrize("details", [None, {}, {"refusal": None}, {"refusal": {}}])
def test_a_refusal_without_details_is_a_refusal(details: object) -> None:
    finish = finish_of(metadata("CONTENT_FILTERED", stopDetails=details))

    assert (finish.stop_reason, finish.refusal) == (StopReason.REFUSAL, Refusal())


def test_no_other_end_has_a_refusal() -> None:
    assert finish_of(text("a"), metadata("END_TURN")).refusal is None


# ---------------------------------------------------------------------- empty replies


@pytest.mark.parametrize(
    "frames",
    [
        (),
        TAIL,
        (metadata(None), metering(0.1)),
        (text(""), *TAIL),
        (context(100.0),),
        (frame("newEvent", {}),),
    ],
)
def test_a_reply_without_content_is_empty(frames: tuple[Frame, ...]) -> None:
    events, ending = run(*frames)

    assert events == []
    assert ending == Ending((), Flaw.EMPTY)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("CONTENT_FILTERED", StopReason.REFUSAL),
        ("MODEL_CONTEXT_WINDOW_EXCEEDED", StopReason.CONTEXT_WINDOW),
        ("MAX_TOKENS", StopReason.MAX_TOKENS),
    ],
)
def test_an_empty_reply_that_explains_itself_is_a_reply(told: str, reason: StopReason) -> None:
    events, ending = run(metadata(told), metering(0.1))

    assert [type(event) for event in events] == [Begin, Finish]
    assert finish_of(metadata(told)).stop_reason is reason
    assert (ending.flaw, ending.is_cut) == (None, False)


@pytest.mark.parametrize("told", ["CONTENT_FILTERED", "MODEL_CONTEXT_WINDOW_EXCEEDED"])
def test_a_call_broken_by_a_filter_or_a_full_window_deserves_no_other_attempt(told: str) -> None:
    assert run(tool(input="{"), metadata(told))[1].flaw is None


# ---------------------------------------------------------------------- failures


def test_an_exception_in_the_stream_is_raised_as_what_it_means() -> None:
    payload = {"message": "slow", "reason": "INSUFFICIENT_MODEL_CAPACITY"}
    with pytest.raises(UpstreamError) as caught:
        reader().read([exception("throttlingError", payload)])

    assert caught.value.kind is FaultKind.MODEL_CAPACITY


def test_what_came_before_an_exception_in_the_same_read_can_be_salvaged() -> None:
    one = reader()
    with pytest.raises(UpstreamError):
        one.read([text("Hi"), exception("error")])

    assert one.salvage() == [Begin(77), TextStart(0), TextDelta(0, "Hi")]


def test_what_an_earlier_read_returned_is_not_salvaged_again() -> None:
    one = reader()
    one.read([text("Hi")])
    with pytest.raises(UpstreamError):
        one.read([exception("error")])

    assert one.salvage() == []


def test_an_error_message_is_raised_by_its_code() -> None:
    odd = Frame(
        {":message-type": "error", ":error-code": "ThrottlingException", ":error-message": "slow"},
        b"",
    )
    with pytest.raises(UpstreamError) as caught:
        reader().read([odd])

    assert (caught.value.kind, caught.value.message) == (FaultKind.RATE_LIMITED, "slow")


def test_an_invalid_state_is_a_failure() -> None:
    odd = frame("invalidStateEvent", {"reason": "INVALID_TASK_ASSIST_PLAN", "message": "bad"})
    with pytest.raises(UpstreamError) as caught:
        reader().read([odd])

    assert caught.value.kind is FaultKind.OVERLOADED
    assert caught.value.code == "INVALID_TASK_ASSIST_PLAN"


def test_an_overflow_before_any_content_is_a_prompt_that_is_too_long() -> None:
    with pytest.raises(UpstreamError) as caught:
        reader().read([exception("ContentLengthExceededException")])

    assert caught.value.kind is FaultKind.CONTEXT_TOO_LONG


def test_an_overflow_after_content_is_an_end_by_the_limit() -> None:
    one = reader()
    events = one.read([text("Hi"), exception("ContentLengthExceededException"), text("late")])
    assert one.is_over
    assert one.read([text("later")]) == []
    ending = one.end()
    Grammar().check_all([*events, *ending.events])

    finish = ending.events[-1]
    assert isinstance(finish, Finish)
    assert finish.stop_reason is StopReason.MAX_TOKENS
    assert (ending.flaw, ending.is_cut) == (None, False)


def test_an_overflow_inside_a_call_drops_it_and_asks_for_no_other_attempt() -> None:
    one = reader()
    one.read([tool(input='{"a":'), exception("ContentLengthExceededException")])
    ending = one.end()

    assert [type(event) for event in ending.events] == [Begin, Finish]
    assert ending.flaw is None


def test_an_answer_that_quotes_the_words_of_an_error_is_an_answer() -> None:
    words = 'Input is too long. {"reason":"CONTENT_LENGTH_EXCEEDS_THRESHOLD"}'

    assert reply_of(text(words), *TAIL).blocks == (Text(words),)


# ---------------------------------------------------------------------- usage


def test_the_upstreams_numbers_reach_the_finish() -> None:
    told = {
        "uncachedInputTokens": 812,
        "cacheReadInputTokens": 10240,
        "cacheWriteInputTokens": 3,
        "outputTokens": 96,
        "totalTokens": 11151,
        "contextUsagePercentage": 5.574,
    }
    usage = finish_of(text("a"), metadata("END_TURN", tokenUsage=told), metering(0.5)).usage

    assert (usage.input_tokens, usage.output_tokens) == (812, 96)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (10240, 3)
    assert (usage.credits, usage.estimated) == (0.5, False)


def test_text_reasoning_and_tool_input_count_as_output() -> None:
    usage = finish_of(
        thinking(text="Let me think."), text("Hello."), tool(input='{"a":"b"}', stop=True)
    ).usage

    assert usage.output_tokens == pytest.approx(
        estimate_text("Let me think.") + estimate_text('Hello.{"a":"b"}'), abs=1
    )
    assert usage.reasoning_tokens == estimate_text("Let me think.")
    assert usage.input_tokens == 77
    assert usage.credits is None


def test_a_charge_without_a_number_is_lost_bookkeeping_and_no_error() -> None:
    finish = finish_of(text("a"), frame("meteringEvent", {"unit": "credit"}))

    assert (finish.stop_reason, finish.usage.credits) == (StopReason.END_TURN, None)


# ---------------------------------------------------------------------- properties

FRAMES = st.one_of(
    st.text(max_size=5).map(text),
    st.sampled_from([b"\\ud83d", b"\\ude00", b"\\ude00x\\ud83d"]).map(
        lambda half: frame("assistantResponseEvent", b'{"content":"%s"}' % half)
    ),
    st.text(max_size=5).map(lambda one: thinking(text=one)),
    st.sampled_from(["", "EqQB"]).map(lambda one: thinking(signature=one)),
    st.just(thinking(redactedContent="b3BhcXVl")),
    st.builds(
        tool,
        st.sampled_from(["t1", "t2", "t3"]),
        st.sampled_from(["f", "g"]),
        input=st.sampled_from(["", "{}", '{"a":', "1}", None]),
        stop=st.sampled_from([None, True, "true"]),
    ),
    st.sampled_from(["END_TURN", "TOOL_USE", "MAX_TOKENS", "CONTENT_FILTERED", None]).map(metadata),
    st.sampled_from([0.0, 5.0, 100.0]).map(context),
    st.sampled_from([0.1, 0.0]).map(metering),
    st.just(frame("newEvent", b"?")),
    st.just(exception("ContentLengthExceededException")),
    st.just(exception("throttlingError")),
)


@given(frames=st.lists(FRAMES, max_size=12), cuts=st.lists(st.integers(0, 12)))
def test_any_reply_obeys_the_law_and_is_the_same_at_every_cut(
    frames: list[Frame], cuts: list[int]
) -> None:
    at_once = outcome(frames, [0, len(frames)])
    cut = outcome(frames, [0, *sorted(cut for cut in cuts if cut < len(frames)), len(frames)])
    one_by_one = outcome(frames, list(range(len(frames) + 1)))

    assert at_once == cut == one_by_one


def outcome(frames: list[Frame], edges: list[int]) -> tuple[list[StreamEvent], object]:
    """Return the events that `frames` tell when read from edge to edge, and how that ended."""
    one, law = reader(), Grammar()
    events: list[StreamEvent] = []
    ended: object
    try:
        for start, stop in itertools.pairwise(edges):
            events += one.read(frames[start:stop])
        ending = one.end()
        events += ending.events
        ended = (ending.flaw, ending.is_cut)
    except UpstreamError as error:
        events += one.salvage()
        ended = error.kind
    for event in events:
        law.check(event)
    return events, ended
