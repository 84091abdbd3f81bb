"""The state of the emulated service: accounts, clock, demands, queue, records; reset by tests."""

import asyncio
from collections.abc import Callable

import msgspec

from kiro2api.emulator.accounts import Account, AccountKind, AccountSpec
from kiro2api.emulator.behaviour import Operation, Queue
from kiro2api.emulator.clock import Clock, Ids
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.logins import Logins, Registration
from kiro2api.emulator.operations import Wire
from kiro2api.emulator.profile import ProfileName, Rules
from kiro2api.emulator.rates import RateLimit, Rates
from kiro2api.emulator.records import Record, Redactor, Violation


class AccessToken(msgspec.Struct, frozen=True):
    """One access token that the service gave out."""

    account: Account
    expires_at: float


class HostSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one host differs from what it is by itself; the name "" is calls that name no host."""

    name: str = ""
    # The spellings of generation that it does not know.
    refuses: list[Wire] = msgspec.field(default_factory=list)
    rate: RateLimit | None = None


class Traffic:
    """How many requests are being answered, and were at most; one per world and reset."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.max_in_flight = 0

    def enter(self) -> None:
        """Count one more."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def leave(self) -> None:
        """Count one less."""
        self.in_flight -= 1


class World:
    """Everything that the service remembers; one per emulator, its contents until a reset."""

    def __init__(
        self,
        *,
        seed: int,
        profile: ProfileName,
        accounts: tuple[AccountSpec, ...],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.seed = seed
        self._profile = profile
        self._initial = accounts
        self._read_clock = clock
        self.monotonic = monotonic
        # The address under which the emulator is reached, once it listens.
        self.url = ""
        self.reset()

    def reset(self) -> None:
        """Return to the state of the start: same accounts, same ids to come, nothing recorded."""
        self.clock = Clock(self._read_clock)
        self.ids = Ids(self.seed)
        self.rules = Rules(self._profile)
        self.queue = Queue()
        self.redactor = Redactor()
        self.accounts: dict[str, Account] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.records: list[Record] = []
        self.violations: list[Violation] = []
        self.traffic = Traffic()
        self.logins = Logins()
        self.rates = Rates()
        self.host_settings: dict[str, HostSettings] = {}
        # For each answer that is still being sent: how many bytes of it are out.
        self.sending: dict[int, Callable[[], int]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        for spec in self._initial:
            self.add_account(spec)

    def use_profile(self, name: ProfileName) -> None:
        """Demand what that profile demands, without the switches set so far."""
        self.rules = Rules(name)

    def add_account(self, spec: AccountSpec) -> Account:
        """Return the account that `spec` defines; one of the same name is replaced."""
        now = self.clock.now()
        account = Account(spec, now=now)
        self.accounts[account.name] = account
        self.redactor.learn(account.refresh_token, f"refresh token 1 of {account.name}")
        self.redactor.learn(account.spec.client_secret, f"client secret of {account.name}")
        self._register(account)
        if account.spec.access_token:
            lifetime_s = account.spec.access_lifetime_s
            is_key = account.spec.kind is AccountKind.API_KEY
            expires_at = float("inf") if is_key else now + lifetime_s
            self._remember(account, account.spec.access_token, expires_at)
        return account

    def change_account(self, name: str, changes: dict[str, object]) -> Account:
        """Return the account of that name after members of its definition have changed.

        Raises:
            KeyError: there is none.
            msgspec.ValidationError: a member is unknown or of a wrong type.
        """
        account = self.accounts[name]
        account.change(changes, now=self.clock.now())
        if "registration_lifetime_s" in changes:
            self._register(account)
        return account

    def issuer_of(self, name: str) -> str:
        """Return the address of the identity provider of the account of that name."""
        return f"{self.url}/idp/{name}"

    def issue_access_token(self, account: Account) -> str:
        """Return a new access token of `account`, good for one lifetime."""
        token = self.ids.next(f"aoa{account.name}", length=80)
        self._remember(account, token, self.clock.now() + account.spec.access_lifetime_s)
        return token

    def learn_refresh_token(self, account: Account) -> None:
        """Have the account's newest refresh token known to the records."""
        number = len(account.refresh_tokens)
        words = f"refresh token {number} of {account.name}"
        self.redactor.learn(account.refresh_token, words)

    def account_of_refresh_token(self, token: str) -> Account | None:
        """Return whose refresh token this is or was; None for an unknown one."""
        for account in self.accounts.values():
            if token in account.refresh_tokens:
                return account
        return None

    def record(self, request: Request, operation: Operation) -> Record:
        """Return the new record of `request`."""
        record = Record(
            id=len(self.records) + 1,
            at=self.clock.now(),
            monotonic_s=self.monotonic(),
            operation=operation,
            method=request.method,
            path=request.path,
            host=request.host,
            query=request.query,
            headers={n: self.redactor.header(n, v) for n, v in request.headers.items()},
            body=self.redactor.body(request),
            body_bytes=len(request.body),
            http_version=request.version,
            connection=request.connection,
        )
        self.records.append(record)
        return record

    def look(self) -> list[Record]:
        """Return the records, those of unfinished answers brought up to date."""
        for record in self.records:
            sent_bytes = self.sending.get(record.id)
            if sent_bytes is not None:
                record.sent_bytes = sent_bytes()
        return self.records

    def violate(self, rule: str, message: str, record: Record) -> None:
        """Note that the client has done what a good one never does."""
        self.violations.append(Violation(rule=rule, message=message, record=record.id))

    def gate(self, name: str) -> asyncio.Event:
        """Return the gate of that name; it is shut until a test opens it."""
        return self._gates.setdefault(name, asyncio.Event())

    def _register(self, account: Account) -> None:
        """Have the client of the account's definition known, from now for its lifetime."""
        spec = account.spec
        if spec.client_id and spec.client_secret:
            self.logins.registrations[spec.client_id] = Registration(
                client_id=spec.client_id,
                client_secret=spec.client_secret,
                expires_at=self.clock.now() + spec.registration_lifetime_s,
                region=spec.region,
            )

    def _remember(self, account: Account, token: str, expires_at: float) -> None:
        account.access_tokens.append(token)
        self.access_tokens[token] = AccessToken(account, expires_at)
        number = len(account.access_tokens)
        self.redactor.learn(token, f"access token {number} of {account.name}")
