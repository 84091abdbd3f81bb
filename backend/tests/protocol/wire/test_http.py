"""Tests of the records of an outbound call."""

from kiro2api.protocol.wire.http import HttpCall


def test_a_call_has_no_body_unless_one_is_given() -> None:
    assert HttpCall("GET", "http://upstream/x", ()).body == b""
