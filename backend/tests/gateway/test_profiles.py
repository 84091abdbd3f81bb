"""Finding the profile of an account."""

import asyncio

import pytest

from kiro2api.gateway.profiles import LOOK_AGAIN_S, Profiles
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import decode, encode
from tests.support.fakes import FakeTransfer
from tests.support.scenes import ControlScene

ARN = "arn:aws:codewhisperer:us-east-1:111122223333:profile/ABCDEFGHIJKL"
EUROPEAN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEFGHIJKL"
ORGANISATION = Credential(AuthKind.IDC, "r", client_id="c", client_secret="s")
KEY = Credential(AuthKind.API_KEY, api_key="ksk_something")


def listing(*arns: str, next_token: str = "") -> FakeTransfer:
    body = {"profiles": [{"arn": arn, "status": "ACTIVE"} for arn in arns], "nextToken": next_token}
    return FakeTransfer(200, encode(body))


class Scene(ControlScene):
    """An account of an organisation, whose profile nobody knows yet."""

    def __init__(self, answer, **account) -> None:  # type: ignore[no-untyped-def] # as its parent
        super().__init__(answer, **({"credential": ORGANISATION} | account))
        self.profiles = Profiles(control=self.control, store=self.store, clock=self.clock)

    def ensure(self) -> str:
        asyncio.run(self.profiles.ensure(self.entry))
        return self.entry.profile_arn


def test_a_profile_is_found_kept_and_named_from_then_on() -> None:
    scene = Scene(lambda call: listing(ARN))

    assert scene.ensure() == ARN
    assert scene.store.rows["a"].profile_arn == ARN
    assert scene.entry.route.profile_arn == ARN


def test_a_known_profile_costs_no_call() -> None:
    scene = Scene(lambda call: listing(ARN), profile_arn=EUROPEAN)

    assert (scene.ensure(), scene.upstream.calls) == (EUROPEAN, [])


def test_a_region_that_refuses_says_nothing_about_the_other() -> None:
    def answer(call: HttpCall) -> FakeTransfer:
        return listing(EUROPEAN) if "eu-central-1" in call.url else FakeTransfer(403)

    assert Scene(answer).ensure() == EUROPEAN


def test_a_profile_that_cannot_be_used_is_passed_over() -> None:
    pages = [{"arn": ARN, "status": "DELETING"}, {"arn": EUROPEAN, "status": "ACTIVE"}]

    assert Scene(lambda call: FakeTransfer(200, encode({"profiles": pages}))).ensure() == EUROPEAN


def test_a_profile_on_a_later_page_is_found() -> None:
    def answer(call: HttpCall) -> FakeTransfer:
        return listing(ARN) if "nextToken" in decode(call.body) else listing(next_token="more")

    assert Scene(answer).ensure() == ARN


def test_the_profile_of_a_key_is_asked_of_the_key() -> None:
    scene = Scene(lambda call: FakeTransfer(200, encode({"profile": {"arn": ARN}})), credential=KEY)

    assert scene.ensure() == ARN


def test_an_account_without_a_profile_is_asked_again_only_after_an_hour() -> None:
    scene = Scene(lambda call: listing())
    scene.ensure()
    soon = scene.profiles.is_due(scene.entry)
    scene.clock.advance(LOOK_AGAIN_S + 1)

    assert (soon, scene.profiles.is_due(scene.entry)) == (False, True)


@pytest.mark.parametrize("kind", [AuthKind.SOCIAL, AuthKind.BUILDER_ID])
def test_a_login_that_is_told_its_profile_or_has_none_is_not_asked(kind: AuthKind) -> None:
    scene = Scene(lambda call: listing(ARN), credential=Credential(kind, "r"))

    assert not scene.profiles.is_due(scene.entry)


def test_requests_that_come_together_wait_for_one_search() -> None:
    scene = Scene(lambda call: listing(ARN))

    async def together() -> None:
        await asyncio.gather(*(scene.profiles.ensure(scene.entry) for _ in range(5)))

    asyncio.run(together())

    assert len(scene.upstream.calls) == 1
