"""Logins that wait for a person, against a login service that a test plays."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kiro2api.errors import RequestError, StoreError, TransferError, UpstreamError
from kiro2api.gateway.login import SOCIAL_LIFE_S, DeviceLogin, Logins, LoginState, SocialLogin, Wish
from kiro2api.gateway.ports import AccessToken, Outcome, StoredAccount
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.login import SocialProvider, pkce_challenge
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import decode, encode
from tests.support.fakes import FakeClock, FakeStore, FakeTransfer, FakeUpstream

START_URL = "https://acme.awsapps.com/start"
REDIRECT = "kiro://kiro.kiroAgent/authenticate-success"
DONE = {"accessToken": "bearer", "refreshToken": "secret", "expiresIn": 3600}
Answer = FakeTransfer | Exception


def ok(**members: object) -> FakeTransfer:
    return FakeTransfer(200, encode(members))


def refused(word: str, status: int = 400) -> FakeTransfer:
    return FakeTransfer(status, encode({"error": word, "error_description": "said so"}))


class Scene:
    """A login service that answers polls from a script, and the logins at it."""

    def __init__(self, *polls: Answer) -> None:
        self.clock = FakeClock()
        self.store = FakeStore()
        self.polls = list(polls)
        self.upstream = FakeUpstream(self.answer)
        secrets = iter(["v" * 43, "s" * 43])
        self.logins = Logins(
            upstream=self.upstream,
            store=self.store,
            clock=self.clock,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
            new_secret=lambda: next(secrets),
        )

    def answer(self, call: HttpCall) -> Answer:
        match urlsplit(call.url).path:
            case "/client/register":
                return ok(clientId="client", clientSecret="client-secret")
            case "/device_authorization":
                return ok(
                    deviceCode="device",
                    userCode="ABCD-EFGH",
                    verificationUriComplete="https://device.example/?user_code=ABCD-EFGH",
                    expiresIn=600,
                    interval=2,
                )
            case _:
                return self.polls.pop(0)

    def device(self, start: Callable[[Logins], Any] | None = None) -> DeviceLogin:
        """Return a login after its end."""

        async def run() -> DeviceLogin:
            wish = Wish(name="work", group="pro")
            if start is not None:
                login = await start(self.logins)
            else:
                login = await self.logins.start_idc(START_URL, "eu-west-1", wish)
            await login.finish()
            return login  # type: ignore[no-any-return]

        return asyncio.run(run())

    def social(self) -> SocialLogin:
        return self.logins.start_social(SocialProvider.GITHUB, Wish(name="mine"))

    @property
    def account(self) -> StoredAccount:
        (account,) = self.store.rows.values()
        return account

    def sent(self, place: int) -> dict[str, Any]:
        found: dict[str, Any] = decode(self.upstream.calls[place].body)
        return found


def test_a_login_that_a_person_agrees_to_becomes_an_account() -> None:
    scene = Scene(ok(**DONE))

    login = scene.device()

    assert login.state is LoginState.APPROVED
    assert login.became is not None
    assert login.became.outcome is Outcome.ADDED
    assert scene.account.credential == Credential(
        AuthKind.IDC,
        "secret",
        client_id="client",
        client_secret="client-secret",
        region="eu-west-1",
        start_url=START_URL,
        provider="Enterprise",
    )
    assert scene.account.access_token == AccessToken("bearer", scene.clock.wall() + 3600)
    assert (scene.account.name, scene.account.group, scene.account.source) == (
        "work",
        "pro",
        "login",
    )


def test_a_login_at_an_organisation_goes_to_its_region_and_start() -> None:
    scene = Scene(ok(**DONE))
    scene.device()

    assert {urlsplit(call.url).netloc for call in scene.upstream.calls} == {
        "oidc.eu-west-1.amazonaws.com"
    }
    assert scene.sent(1)["startUrl"] == START_URL


def test_a_builder_id_logs_in_at_its_own_start() -> None:
    scene = Scene(ok(**DONE))
    scene.device(lambda logins: logins.start_builder_id(Wish(name="me")))

    assert scene.sent(1)["startUrl"] == "https://view.awsapps.com/start"
    assert scene.account.credential.kind is AuthKind.BUILDER_ID
    assert scene.account.credential.region == "us-east-1"


def test_a_pending_login_says_where_to_go_with_what_code_and_until_when() -> None:
    scene = Scene()

    login = asyncio.run(scene.logins.start_builder_id(Wish(name="me")))

    assert login.state is LoginState.PENDING
    assert login.user_code == "ABCD-EFGH"
    assert login.address == "https://device.example/?user_code=ABCD-EFGH"
    assert login.until == scene.clock.wall() + 600


def test_it_is_asked_at_the_pace_that_the_service_wants() -> None:
    scene = Scene(refused("authorization_pending"), refused("authorization_pending"), ok(**DONE))
    scene.device()

    assert scene.clock.slept == [2, 2, 2]


def test_each_slow_down_makes_the_pace_slower_for_good() -> None:
    pending = "authorization_pending"
    scene = Scene(refused("slow_down"), refused(pending), refused("slow_down"), ok(**DONE))
    scene.device()

    assert scene.clock.slept == [2, 7, 7, 12]


@pytest.mark.parametrize(
    "failure", [TransferError("reset"), FakeTransfer(503), refused("server_error", 500)]
)
def test_a_failure_of_the_service_in_between_does_not_end_the_login(failure: Answer) -> None:
    scene = Scene(failure, ok(**DONE))

    assert scene.device().state is LoginState.APPROVED


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("access_denied", "the person has refused"),
        ("expired_token", "nobody has agreed in time"),
        ("invalid_grant", "said so"),
    ],
)
def test_a_login_that_the_service_ends_says_why(word: str, reason: str) -> None:
    scene = Scene(refused(word))

    login = scene.device()

    assert (login.state, login.reason) == (LoginState.FAILED, reason)
    assert scene.store.rows == {}


def test_a_login_ends_at_its_time_whatever_the_service_says() -> None:
    scene = Scene(*(refused("authorization_pending") for _ in range(1000)))

    login = scene.device()

    assert (login.state, login.reason) == (LoginState.FAILED, "nobody has agreed in time")
    assert scene.clock.wall() == login.until


def test_a_login_that_cannot_be_started_says_so_at_once() -> None:
    scene = Scene()
    scene.upstream = FakeUpstream(lambda call: refused("invalid_request"))
    scene.logins._upstream = scene.upstream

    with pytest.raises(UpstreamError, match="said so"):
        scene.device()


def test_a_service_that_is_away_is_no_login() -> None:
    scene = Scene()
    scene.logins._upstream = FakeUpstream(lambda call: TransferError("no route"))

    with pytest.raises(UpstreamError, match="did not answer: no route"):
        scene.device()


def test_a_login_that_cannot_be_saved_is_no_success() -> None:
    scene = Scene(ok(**DONE))
    scene.store.is_away = True

    with pytest.raises(StoreError):
        scene.device()


# --------------------------------------------------------------------------------------- social


def query(login: SocialLogin) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(login.address).query).items()}


def back(**members: str) -> str:
    return f"{REDIRECT}?" + "&".join(f"{key}={value}" for key, value in members.items())


def test_a_social_login_sends_the_person_with_a_challenge_and_a_state() -> None:
    login = Scene().social()

    assert query(login) == {
        "idp": "Github",
        "redirect_uri": REDIRECT,
        "code_challenge": pkce_challenge("v" * 43),
        "code_challenge_method": "S256",
        "state": "s" * 43,
    }


def test_the_address_that_it_comes_back_to_becomes_an_account() -> None:
    scene = Scene(ok(**DONE, profileArn="arn:aws:codewhisperer:us-east-1:1:profile/A"))
    login = scene.social()

    asyncio.run(login.redeem(f"  {back(code='c', state='s' * 43)}\n"))

    assert login.state is LoginState.APPROVED
    assert scene.sent(0) == {"code": "c", "code_verifier": "v" * 43, "redirect_uri": REDIRECT}
    assert scene.account.credential == Credential(AuthKind.SOCIAL, "secret", provider="Github")
    assert scene.account.profile_arn == "arn:aws:codewhisperer:us-east-1:1:profile/A"


@pytest.mark.parametrize(
    "pasted", ["", "anything", back(state="s" * 43), back(code="c", state="x")]
)
def test_another_address_is_refused_and_the_right_one_still_works(pasted: str) -> None:
    scene = Scene(ok(**DONE))
    login = scene.social()

    with pytest.raises(RequestError):
        asyncio.run(login.redeem(pasted))
    assert login.state is LoginState.PENDING
    asyncio.run(login.redeem(back(code="c", state="s" * 43)))

    assert login.state is LoginState.APPROVED


def test_a_person_who_refuses_ends_the_login() -> None:
    scene = Scene()
    login = scene.social()
    asyncio.run(login.redeem(back(error="access_denied", state="s" * 43)))

    assert (login.state, scene.upstream.calls) == (LoginState.FAILED, [])
    assert "access_denied" in login.reason


@pytest.mark.parametrize("answer", [refused("invalid_grant"), TransferError("reset")])
def test_a_code_that_gives_no_login_ends_it(answer: Answer) -> None:
    scene = Scene(answer)
    login = scene.social()
    asyncio.run(login.redeem(back(code="c", state="s" * 43)))
    asyncio.run(login.redeem(back(code="c", state="s" * 43)))

    assert login.state is LoginState.FAILED
    assert len(scene.upstream.calls) == 1


def test_an_address_that_comes_too_late_is_not_tried() -> None:
    scene = Scene()
    login = scene.social()
    scene.clock.advance(SOCIAL_LIFE_S)
    asyncio.run(login.redeem(back(code="c", state="s" * 43)))

    assert (login.state, login.reason) == (LoginState.FAILED, "the address came too late")
    assert scene.upstream.calls == []
