"""The closed list of the hub's events."""

import typing

from kiro2api.protocol.chat import events as ev


def test_everything_after_the_beginning_is_content_save_a_failure() -> None:
    everything = set(typing.get_args(ev.StreamEvent))

    assert everything - ev.CONTENT_EVENTS == {ev.Begin, ev.Failure}


def test_usage_is_an_estimate_until_the_upstream_has_spoken() -> None:
    assert ev.Usage().estimated
