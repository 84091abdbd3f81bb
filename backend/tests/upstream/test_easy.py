"""Easy handles: reuse by method, origins fit for a log."""

import pytest

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.upstream.easy import EasyHandles, HandleKind, UpstreamOptions, origin_of


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


def kind(method: str = "GET", *, shares: bool = False) -> HandleKind:
    return HandleKind(method, "http://a.example", shares)


def call(method: str = "GET", *headers: tuple[str, str]) -> HttpCall:
    return HttpCall(method, "http://a.example/p", headers)


@pytest.mark.parametrize("other", [kind("GET"), kind("POST", shares=True)])
def test_a_handle_is_lent_again_for_its_kind_only(other: HandleKind) -> None:
    handles = EasyHandles(UpstreamOptions())
    curl = handles.take(call("POST"), kind("POST"))
    handles.give_back(curl, kind("POST"))

    unlike = handles.take(call(other.method), other)
    like = handles.take(call("POST"), kind("POST"))

    assert unlike is not curl
    assert like is curl
    for handle in (unlike, like):
        handle.close()
    handles.close()


def test_idle_handles_are_kept_up_to_a_bound() -> None:
    handles = EasyHandles(UpstreamOptions())
    lent = [handles.take(call(), kind()) for _ in range(300)]
    for curl in lent:
        handles.give_back(curl, kind())

    assert sum(not curl.closed for curl in lent) == 256
    handles.close()
    assert all(curl.closed for curl in lent)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b"])
def test_no_header_can_carry_another(value: str) -> None:
    handles = EasyHandles(UpstreamOptions())

    with pytest.raises(TransferError, match="line break"):
        handles.take(call("GET", ("x", value)), kind())
