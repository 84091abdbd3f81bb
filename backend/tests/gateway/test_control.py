"""Calls to the control plane in an account's name."""

import asyncio

import pytest

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.wire.http import HttpCall
from tests.support.fakes import FakeTransfer
from tests.support.scenes import ControlScene


def ask(scene: ControlScene) -> bytes:
    def call_with(token: str) -> HttpCall:
        return HttpCall("GET", f"https://example.test/{token}", ())

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
