"""Tests of the records of an outbound call."""

from kiro2api.protocol.wire.http import HttpAnswer, HttpCall


def test_a_call_has_no_body_unless_one_is_given() -> None:
    assert HttpCall("GET", "http://upstream/x", ()).body == b""


def test_no_secret_of_a_call_is_in_its_repr() -> None:
    call = HttpCall("POST", "http://upstream/x?token=secret", (("a", "secret"),), b"secret")

    assert repr(call) == "HttpCall(POST http://upstream/x)"


def test_no_secret_of_an_answer_is_in_its_repr() -> None:
    assert repr(HttpAnswer(200, {"a": "secret"}, b"secret")) == "HttpAnswer(200)"
