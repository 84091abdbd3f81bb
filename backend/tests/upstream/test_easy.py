"""Easy handles: reuse by method, origins fit for a log."""

import pytest

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.upstream.easy import EasyHandles, UpstreamOptions, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (
            "https://q.us-east-1.amazonaws.com/path?token=secret",
            "https://q.us-east-1.amazonaws.com",
        ),
        ("http://user:password@a.example:8080/", "http://a.example:8080"),
        ("http://[::1]:9/x", "http://[::1]:9"),
        ("http://a:notaport/", "the URL"),
    ],
)
def test_an_origin_holds_nothing_secret(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_a_handle_is_lent_again_for_its_method_only() -> None:
    handles = EasyHandles(UpstreamOptions())
    curl = handles.take(HttpCall("POST", "http://a.example", ()))
    handles.give_back(curl, "POST")

    other = handles.take(HttpCall("GET", "http://a.example", ()))
    again = handles.take(HttpCall("POST", "http://a.example", ()))

    assert other is not curl
    assert again is curl
    for handle in (other, again):
        handle.close()
    handles.close()


def test_idle_handles_are_kept_up_to_a_bound() -> None:
    handles = EasyHandles(UpstreamOptions())
    lent = [handles.take(HttpCall("GET", "http://a.example", ())) for _ in range(300)]
    for curl in lent:
        handles.give_back(curl, "GET")

    assert sum(not curl.closed for curl in lent) == 256
    handles.close()
    assert all(curl.closed for curl in lent)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b"])
def test_no_header_can_carry_another(value: str) -> None:
    handles = EasyHandles(UpstreamOptions())

    with pytest.raises(TransferError, match="line break"):
        handles.take(HttpCall("GET", "http://a.example", (("x", value),)))
