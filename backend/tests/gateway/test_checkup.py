"""Whether an account works."""

import asyncio
from collections.abc import Callable

import pytest

from kiro2api.errors import TransferError
from kiro2api.gateway.catalogue import Catalogue
from kiro2api.gateway.checkup import Check, Checkup
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.usage import UsagePolls
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import encode
from tests.support.fakes import FakeChance, FakeClock, FakeTransfer
from tests.support.scenes import ControlScene

Answer = Callable[[], FakeTransfer | Exception]
NOW = FakeClock().wall()


def refreshed() -> FakeTransfer:
    return FakeTransfer(200, encode({"accessToken": "new", "expiresIn": 3600}))


def models() -> FakeTransfer:
    return FakeTransfer(200, encode({"models": [{"modelId": "one"}, {"modelId": "two"}]}))


def usage() -> FakeTransfer:
    credit = {"resourceType": "CREDIT", "currentUsage": 12.5, "usageLimit": 50}
    return FakeTransfer(200, encode({"usageBreakdownList": [credit]}))


def refusal(status: int, **body: str) -> FakeTransfer:
    return FakeTransfer(status, encode(body))


def suspended() -> FakeTransfer:
    return refusal(403, reason="TEMPORARILY_SUSPENDED", message="locked")


class Scene(ControlScene):
    """One account, and its check."""

    def __init__(
        self,
        login: Answer = refreshed,
        models: Answer = models,
        usage: Answer = usage,
        **account: object,
    ) -> None:
        def answer(call: HttpCall) -> FakeTransfer | Exception:
            if "refreshToken" in call.url:
                return login()
            return usage() if "sage" in call.url else models()

        super().__init__(answer, **account)
        control, store, clock = self.control, self.store, self.clock
        self.checkup = Checkup(
            roster=self.roster,
            renewal=self.renewal,
            profiles=Profiles(control=control, store=store, clock=clock),
            catalogue=Catalogue(control=control, store=store, clock=clock),
            usage=UsagePolls(
                control=control, store=store, roster=self.roster, clock=clock, chance=FakeChance()
            ),
            clock=clock,
        )

    def check(self) -> Check:
        return asyncio.run(self.checkup.check(self.entry))

    @property
    def standing(self) -> Standing:
        return self.entry.account.condition.standing


def out(standing: Standing, until: float | None = None) -> Condition:
    return Condition(standing, "a reason", NOW - 60, until)


def outline(check: Check) -> list[tuple[str, bool]]:
    return [(step.name, step.passed) for step in check.steps]


def test_an_account_that_works_is_refreshed_and_says_what_it_has() -> None:
    scene = Scene()

    check = scene.check()

    assert check.passed
    assert [(step.name, step.detail) for step in check.steps] == [
        ("login", "refreshed, good for 3600 s"),
        ("models", "2 models"),
        ("credits", "37.5 credits left"),
    ]


def test_the_refresh_is_real_though_the_token_is_good_for_long() -> None:
    scene = Scene()

    scene.check()

    assert scene.urls()[0] == "refreshToken"
    assert scene.store.rows["a"].access_token.value == "new"


@pytest.mark.parametrize(
    "standing", [Standing.NEEDS_LOGIN, Standing.SUSPENDED, Standing.NOT_ENTITLED]
)
def test_an_account_that_works_loses_a_verdict_without_end(standing: Standing) -> None:
    scene = Scene(condition=out(standing))

    assert scene.check().passed
    assert scene.standing is Standing.READY
    assert "a" in scene.roster.changed


def test_a_verdict_that_ends_by_itself_is_left_alone() -> None:
    scene = Scene(condition=out(Standing.COOLING, NOW + 900))

    assert scene.check().passed
    assert scene.standing is Standing.COOLING


def test_a_login_that_is_refused_is_asked_nothing_more() -> None:
    scene = Scene(login=lambda: refusal(401, message="gone"))

    check = scene.check()

    assert (check.passed, outline(check)) == (False, [("login", False)])
    assert scene.standing is Standing.NEEDS_LOGIN


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("models", suspended),
        ("usage", suspended),
        ("models", lambda: TransferError("no answer")),
    ],
)
def test_an_account_that_is_refused_further_on_keeps_its_verdict(
    asked: str, answer: Answer
) -> None:
    scene = Scene(condition=out(Standing.SUSPENDED), **{asked: answer})

    assert not scene.check().passed
    assert scene.standing is Standing.SUSPENDED


def test_credits_that_may_not_be_asked_for_say_nothing_of_the_account() -> None:
    scene = Scene(
        usage=lambda: refusal(403, message="no permission"), condition=out(Standing.NOT_ENTITLED)
    )

    check = scene.check()

    assert check.passed
    assert outline(check) == [("login", True), ("models", True), ("credits", False)]
    assert scene.standing is Standing.READY


def test_an_api_key_is_not_refreshed() -> None:
    scene = Scene(credential=Credential(AuthKind.API_KEY, api_key="ksk_1"), profile_arn="arn")

    check = scene.check()

    assert check.passed
    assert check.steps[0].detail == "an API key, which is not refreshed"
    assert "refreshToken" not in scene.urls()


def test_an_api_key_that_is_refused_needs_a_new_login() -> None:
    scene = Scene(
        models=lambda: refusal(401, message="no"),
        credential=Credential(AuthKind.API_KEY, api_key="ksk_1"),
        profile_arn="arn",
    )

    assert not scene.check().passed
    assert scene.standing is Standing.NEEDS_LOGIN


def test_what_the_upstream_says_is_masked() -> None:
    scene = Scene(models=lambda: refusal(403, message="not for me@mail.example"))

    assert "me@mail.example" not in scene.check().steps[1].detail
