"""The law of a reply."""

import pytest
from hypothesis import given

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat import events as ev
from kiro2api.protocol.chat.grammar import Grammar, GrammarError
from tests.support.replies import replies

BEGIN = ev.Begin(1)
FINISH = ev.Finish(ev.StopReason.END_TURN, ev.Usage())
FAILURE = ev.Failure(FaultKind.NETWORK, "gone")


@given(replies())
def test_every_whole_reply_is_lawful(events: list[ev.StreamEvent]) -> None:
    Grammar().check_all(events)


@given(replies())
def test_a_failure_may_cut_a_reply_anywhere(events: list[ev.StreamEvent]) -> None:
    for cut in range(len(events)):
        Grammar().check_all([*events[:cut], FAILURE])


@given(replies())
def test_a_reply_that_lacks_its_end_is_unlawful(events: list[ev.StreamEvent]) -> None:
    with pytest.raises(GrammarError, match="no end"):
        Grammar().check_all(events[:-1])


@pytest.mark.parametrize(
    "events",
    [
        [FINISH],
        [ev.TextStart(0)],
        [BEGIN, BEGIN],
        [BEGIN, FINISH, BEGIN],
        [BEGIN, FINISH, FAILURE],
        [FAILURE, FAILURE],
        [BEGIN, ev.TextStart(1)],
        [BEGIN, ev.TextDelta(0, "a")],
        [BEGIN, ev.BlockStop(0)],
        [BEGIN, ev.TextStart(0), ev.TextStart(0)],
        [BEGIN, ev.TextStart(0), FINISH],
        [BEGIN, ev.TextStart(0), ev.TextDelta(1, "a")],
        [BEGIN, ev.TextStart(0), ev.ThinkingDelta(0, "a")],
        [BEGIN, ev.TextStart(0), ev.SignatureDelta(0, "a")],
        [BEGIN, ev.ThinkingStart(0), ev.TextDelta(0, "a")],
        [BEGIN, ev.ToolUseStart(0, "t", "n"), ev.TextDelta(0, "a")],
        [BEGIN, ev.RedactedThinking(0, "x"), ev.ThinkingDelta(0, "a")],
        [BEGIN, ev.TextStart(0), ev.BlockStop(0), ev.TextStart(0)],
        [BEGIN, ev.TextStart(0), ev.BlockStop(0), ev.TextStart(2)],
    ],
    ids=repr,
)
def test_the_law_forbids(events: list[ev.StreamEvent]) -> None:
    grammar = Grammar()
    for event in events[:-1]:
        grammar.check(event)

    with pytest.raises(GrammarError):
        grammar.check(events[-1])
