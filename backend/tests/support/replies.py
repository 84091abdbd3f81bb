"""Replies of the hub for tests: written out, or drawn at random within the grammar."""

import msgspec
from hypothesis import strategies as st

from kiro2api.protocol.chat import events as ev

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_OBJECTS = st.dictionaries(TEXTS, st.none() | st.integers(-9, 9) | TEXTS, max_size=3)


def events_of(*blocks: list[ev.StreamEvent], finish: ev.Finish) -> list[ev.StreamEvent]:
    """Return a whole reply made of blocks that lack only their stops."""
    events: list[ev.StreamEvent] = [ev.Begin(7)]
    for index, block in enumerate(blocks):
        events += block
        events.append(ev.BlockStop(index))
    return [*events, finish]


@st.composite
def replies(draw: st.DrawFn) -> list[ev.StreamEvent]:
    """Draw a whole reply with blocks of every kind."""
    blocks = [draw(_block(index)) for index in range(draw(st.integers(0, 4)))]
    stop_reason = draw(st.sampled_from(ev.StopReason))
    refused = stop_reason is ev.StopReason.REFUSAL
    finish = ev.Finish(
        stop_reason,
        draw(_usages()),
        stop_sequence=draw(TEXTS) if stop_reason is ev.StopReason.STOP_SEQUENCE else None,
        refusal=ev.Refusal("CYBER", draw(TEXTS)) if refused else None,
    )
    return events_of(*blocks, finish=finish)


def _usages() -> st.SearchStrategy[ev.Usage]:
    count = st.integers(0, 10**6)
    return st.builds(
        ev.Usage,
        input_tokens=count,
        output_tokens=count,
        cache_read_tokens=count,
        cache_write_tokens=count,
    )


def _block(index: int) -> st.SearchStrategy[list[ev.StreamEvent]]:
    ids = st.integers(0, 999).map("toolu_{:03}".format)
    return st.one_of(
        st.lists(TEXTS, max_size=4).map(
            lambda texts: [ev.TextStart(index), *(ev.TextDelta(index, text) for text in texts)]
        ),
        st.tuples(st.lists(TEXTS, max_size=3), TEXTS).map(lambda drawn: _thinking(index, *drawn)),
        TEXTS.map(lambda data: [ev.RedactedThinking(index, data)]),
        st.tuples(ids, _OBJECTS, st.integers(0, 20)).map(lambda drawn: _tool_use(index, *drawn)),
        ids.map(
            lambda call: [
                ev.ServerToolUse(index, call, "web_search", msgspec.Raw(b'{"query":"x"}'))
            ]
        ),
        ids.map(lambda call: [ev.ServerToolResult(index, call, msgspec.Raw(b"[]"))]),
    )


def _thinking(index: int, texts: list[str], signature: str) -> list[ev.StreamEvent]:
    deltas = [ev.ThinkingDelta(index, text) for text in texts]
    signed = [ev.SignatureDelta(index, signature)] if signature else []
    return [ev.ThinkingStart(index), *deltas, *signed]


def _tool_use(index: int, call: str, value: object, cut: int) -> list[ev.StreamEvent]:
    start = ev.ToolUseStart(index, call, "read_file")
    if not value:
        return [start]
    text = msgspec.json.encode(value).decode()
    return [start, ev.ToolInputDelta(index, text[:cut]), ev.ToolInputDelta(index, text[cut:])]
