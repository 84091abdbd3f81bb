"""Calls to the control plane in an account's name."""

import asyncio

import pytest

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.endpoints import WireForm
from kiro2api.protocol.wire.http import HttpCall
from tests.support.fakes import FakeTransfer
from tests.support.scenes import ControlScene


def ask(scene: ControlScene) -> bytes:
    def call_with(token: str, form: WireForm) -> HttpCall:
        return HttpCall("GET", f"https://example.test/{form}/{token}", ())

    return asyncio.run(scene.control.ask(scene.entry, call_with))


def test_a_call_is_made_with_the_accounts_bearer() -> None:
    scene = ControlScene(lambda call: FakeTransfer(200, b"{}"))

    body = ask(scene)

    assert (body, scene.urls()) == (b"{}", ["access-a"])


def test_a_refusal_is_the_fault_that_it_is() -> None:
    scene = ControlScene(lambda call: FakeTransfer(429))

    with pytest.raises(UpstreamError) as caught:
        ask(scene)

    assert caught.value.kind is FaultKind.RATE_LIMITED


def test_a_host_that_does_not_know_the_form_is_asked_in_the_other_one_from_then_on() -> None:
    def answer(call: HttpCall) -> FakeTransfer:
        return FakeTransfer(200, b"{}") if "/json10/" in call.url else FakeTransfer(404)

    scene = ControlScene(answer)

    bodies = [ask(scene), ask(scene)]

    forms = [call.url.split("/")[3] for call in scene.upstream.calls]
    assert (bodies, forms) == ([b"{}"] * 2, ["rest", "json10", "json10"])


def test_a_host_that_knows_neither_form_is_told_as_such() -> None:
    scene = ControlScene(lambda call: FakeTransfer(404))

    with pytest.raises(UpstreamError) as caught:
        ask(scene)

    assert caught.value.kind is FaultKind.WRONG_ENDPOINT
    assert len(scene.upstream.calls) == 2
