"""Logging in without another program: logins that wait for a person, from start to account."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from kiro2api.errors import FaultKind, RequestError, TransferError, UpstreamError
from kiro2api.gateway.ports import AccessToken, AccountStore, Added, Clock, NewAccount, Upstream
from kiro2api.pool.group import DEFAULT_GROUP
from kiro2api.protocol.codewhisperer import login as steps
from kiro2api.protocol.codewhisperer.auth import Login, read_login
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.login import SocialProvider
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall

CALL_LIMIT_S = 30.0
# A code that is not pasted by then is worth nothing any more.
SOCIAL_LIFE_S = 600.0
SOURCE = "login"


class LoginState(StrEnum):
    """How far a login is; only the first one changes."""

    PENDING = "pending"
    APPROVED = "approved"
    FAILED = "failed"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the account of a login shall be called, and where it shall be."""

    name: str
    group: str = DEFAULT_GROUP


class PendingLogin:
    """A login between its start and its end; belongs to whoever shows it to a person.

    `address` is where the person goes, `user_code` what is to be compared there ("" for none),
    `until` the wall time at which the login is over by itself. At its end there is the account it
    `became`, or the `reason` why there is none.
    """

    def __init__(self, *, address: str, until: float, user_code: str = "") -> None:
        self.address = address
        self.user_code = user_code
        self.until = until
        self.state = LoginState.PENDING
        self.reason = ""
        self.became: Added | None = None

    def approve(self, added: Added) -> None:
        """End well."""
        self.state, self.became = LoginState.APPROVED, added

    def fail(self, reason: str) -> None:
        """End without an account."""
        self.state, self.reason = LoginState.FAILED, reason


class Logins:
    """Makes logins; one for the whole program, or for one command.

    `new_secret` gives a fresh random text of 43 or more URL-safe characters.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        store: AccountStore,
        clock: Clock,
        endpoints: Endpoints,
        user_agent: str,
        new_secret: Callable[[], str],
    ) -> None:
        self.clock = clock
        self.endpoints = endpoints
        self.user_agent = user_agent
        self._upstream = upstream
        self._store = store
        self._new_secret = new_secret

    async def start_builder_id(self, wish: Wish) -> "DeviceLogin":
        """Return a login with a Builder ID that waits for its person.

        Raises:
            UpstreamError: the login service does not start one, or is away.
        """
        return await self._start_device(
            AuthKind.BUILDER_ID, steps.BUILDER_ID_START_URL, steps.BUILDER_ID_REGION, wish
        )

    async def start_idc(self, start_url: str, region: str, wish: Wish) -> "DeviceLogin":
        """Return a login at an organisation's identity centre that waits for its person.

        Raises:
            UpstreamError: as `start_builder_id`.
        """
        return await self._start_device(AuthKind.IDC, start_url, region, wish)

    async def _start_device(
        self, kind: AuthKind, start_url: str, region: str, wish: Wish
    ) -> "DeviceLogin":
        answer = await self.call(
            steps.register_call(region=region, endpoints=self.endpoints, user_agent=self.user_agent)
        )
        registration = steps.read_registration(answer, now=self.clock.wall())
        answer = await self.call(
            steps.device_call(
                registration,
                start_url=start_url,
                region=region,
                endpoints=self.endpoints,
                user_agent=self.user_agent,
            )
        )
        credential = Credential(
            kind,
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            region=region,
            start_url=start_url,
            provider="BuilderId" if kind is AuthKind.BUILDER_ID else "Enterprise",
        )
        return DeviceLogin(
            self, wish, credential, registration=registration, device=steps.read_device(answer)
        )

    def start_social(self, provider: SocialProvider, wish: Wish) -> "SocialLogin":
        """Return a login with `provider` that waits for the address it comes back to."""
        return SocialLogin(
            self, wish, provider, verifier=self._new_secret(), state=self._new_secret()
        )

    async def call(self, call: HttpCall) -> HttpAnswer:
        """Return the answer of the login service.

        Raises:
            UpstreamError: `NETWORK`, it did not come.
        """
        try:
            return await self._upstream.fetch(call, total_s=CALL_LIMIT_S)
        except TransferError as error:
            raise UpstreamError(
                FaultKind.NETWORK, f"the login service did not answer: {error.message}", status=503
            ) from None

    async def keep(self, login: Login, credential: Credential, wish: Wish) -> Added:
        """Return the account that a completed login has become, saved.

        Raises:
            StoreError: it could not be saved.
        """
        expires_at = self.clock.wall() + login.expires_in_s
        return await self._store.add(
            NewAccount(
                name=wish.name,
                group=wish.group,
                credential=msgspec.structs.replace(credential, refresh_token=login.refresh_token),
                profile_arn=login.profile_arn,
                source=SOURCE,
                access_token=AccessToken(login.access_token, expires_at),
            )
        )


class DeviceLogin(PendingLogin):
    """A login in which a person compares a code, while we ask whether it is done."""

    def __init__(
        self,
        logins: Logins,
        wish: Wish,
        credential: Credential,
        *,
        registration: steps.Registration,
        device: steps.Device,
    ) -> None:
        until = logins.clock.wall() + device.expires_in_s
        super().__init__(address=device.address, user_code=device.user_code, until=until)
        self._logins = logins
        self._wish = wish
        self._credential = credential
        self._registration = registration
        self._device = device
        self._interval_s = device.interval_s

    async def finish(self) -> None:
        """Return when the login is no longer pending.

        Raises:
            StoreError: the account could not be saved; its login is lost.
        """
        while self.state is LoginState.PENDING:
            await self.step()

    async def step(self) -> None:
        """Wait as long as the service wants, and ask once.

        Raises:
            StoreError: as `finish`.
        """
        clock = self._logins.clock
        left_s = self.until - clock.wall()
        if left_s <= 0:
            return self.fail("nobody has agreed in time")
        await clock.sleep(min(self._interval_s, left_s))
        try:
            poll = steps.read_poll(await self._logins.call(self._poll()))
        except UpstreamError as error:
            return self._judge(error)
        match poll:
            case steps.SlowDown():
                self._interval_s += steps.SLOW_DOWN_S
            case steps.Done():
                self.approve(await self._logins.keep(poll, self._credential, self._wish))
            case steps.Pending():
                pass
        return None

    def _poll(self) -> HttpCall:
        return steps.token_call_device(
            self._registration,
            self._device,
            region=self._credential.region,
            endpoints=self._logins.endpoints,
            user_agent=self._logins.user_agent,
        )

    def _judge(self, error: UpstreamError) -> None:
        if error.kind in (FaultKind.OVERLOADED, FaultKind.NETWORK):
            return  # nothing is known: ask again
        match error.code:
            case "access_denied":
                self.fail("the person has refused")
            case "expired_token":
                self.fail("nobody has agreed in time")
            case _:
                self.fail(error.message)


class SocialLogin(PendingLogin):
    """A login whose end a person brings: the address that the browser was sent to."""

    def __init__(
        self, logins: Logins, wish: Wish, provider: SocialProvider, *, verifier: str, state: str
    ) -> None:
        address = steps.social_login_url(
            provider,
            challenge=steps.pkce_challenge(verifier),
            state=state,
            endpoints=logins.endpoints,
        )
        super().__init__(address=address, until=logins.clock.wall() + SOCIAL_LIFE_S)
        self._logins = logins
        self._wish = wish
        self._provider = provider
        self._verifier = verifier
        self._expected_state = state

    async def redeem(self, pasted: str) -> None:
        """End the login with the address that the browser was sent to.

        An address that is not one of this login leaves it pending: another may be pasted.

        Raises:
            RequestError: it is not; says what to paste.
            StoreError: the account could not be saved; its login is lost.
        """
        if self.state is not LoginState.PENDING:
            return
        if self.until <= self._logins.clock.wall():
            return self.fail("the address came too late")
        try:
            code = steps.read_callback(pasted, state=self._expected_state)
        except RequestError as error:
            if error.code != "access_denied":
                raise
            return self.fail(error.message)
        call = steps.social_code_call(
            code=code,
            verifier=self._verifier,
            endpoints=self._logins.endpoints,
            user_agent=self._logins.user_agent,
        )
        try:
            login = read_login(await self._logins.call(call))
        except UpstreamError as error:
            # A code works once: what became of it is not known.
            return self.fail(error.message)
        credential = Credential(AuthKind.SOCIAL, provider=self._provider.value)
        self.approve(await self._logins.keep(login, credential, self._wish))
        return None
