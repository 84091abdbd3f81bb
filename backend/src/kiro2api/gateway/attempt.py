"""One client request through accounts: choose, call, relay, and what follows a failure."""

import asyncio

import msgspec

from kiro2api import logs
from kiro2api.errors import (
    FaultKind,
    FramingError,
    NoAccountError,
    RequestError,
    StoreError,
    TransferError,
    UpstreamError,
)
from kiro2api.gateway.calendar import quota_reset
from kiro2api.gateway.conversation import conversation_id, sticky_key
from kiro2api.gateway.ledger import AttemptNote, RequestRecord
from kiro2api.gateway.outcome import STATUSES, as_upstream_error, fault_text, too_long_text
from kiro2api.gateway.ports import Chance, Clock, ReplySink, Transfer, Upstream
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.relay import relay
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.retry import Next, RetryBudget, RetryPlan
from kiro2api.gateway.roster import Entry, Roster, listed_models
from kiro2api.logs import LogEvent
from kiro2api.pool.backoff import retry_delay_s
from kiro2api.pool.selection import Chosen, Need, NoneLeft, Wait, choose
from kiro2api.pool.strategy import Turn, strategy_named
from kiro2api.pool.transitions import Fault
from kiro2api.protocol.chat.events import Failure, Finish
from kiro2api.protocol.chat.request import ChatRequest
from kiro2api.protocol.codewhisperer.build import BuildPlan, Built, build
from kiro2api.protocol.codewhisperer.endpoints import AGENT_MODE, WireForm, generation_call, onward
from kiro2api.protocol.codewhisperer.fault import classify
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.protocol.codewhisperer.read import Ending, Flaw, Reader

MAX_ERROR_BODY_BYTES = 64 * 1024
BROKEN_TOOL_CALL = "broken_tool_call"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long the upstream may take, and how much of a tool's description it is sent."""

    first_event_s: float = 90.0
    idle_s: float = 120.0
    max_tool_description: int = 10_000


class Gateway:
    """What every request needs; one for the whole program."""

    def __init__(
        self,
        *,
        roster: Roster,
        renewal: Renewal,
        profiles: Profiles,
        upstream: Upstream,
        models: ModelMap,
        clock: Clock,
        chance: Chance,
        limits: Limits,
        user_agent: str,
    ) -> None:
        self.roster = roster
        self.renewal = renewal
        self.profiles = profiles
        self.turns = Turn()
        self.upstream = upstream
        self.models = models
        self.clock = clock
        self.chance = chance
        self.limits = limits
        self.user_agent = user_agent
        self.budget = RetryBudget()

    async def serve(
        self,
        request: ChatRequest,
        *,
        group: str,
        input_tokens: int,
        sink: ReplySink,
        record: RequestRecord,
    ) -> None:
        """Deliver the reply to `request` into `sink`, through as many attempts as it takes.

        Returns after a `Finish`, or after a `Failure` that came when content was committed.

        Raises:
            RequestError, NoAccountError, UpstreamError, StoreError: nothing was committed; the
                client can be told with a status.
        """
        plan = RetryPlan(self.budget)
        try:
            run = Run(
                self,
                request,
                group=group,
                input_tokens=input_tokens,
                sink=sink,
                record=record,
                plan=plan,
            )
            await run.serve()
        finally:
            plan.close()


class _NoToken(Exception):
    """The account has no bearer to call with; `cause` says why."""

    def __init__(self, cause: UpstreamError | StoreError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Run:
    """The attempts of one request; lives as long as the request."""

    def __init__(
        self,
        gateway: Gateway,
        request: ChatRequest,
        *,
        group: str,
        input_tokens: int,
        sink: ReplySink,
        record: RequestRecord,
        plan: RetryPlan,
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._group = group
        self._input_tokens = input_tokens
        self._sink = sink
        self._record = record
        self._plan = plan
        self._without_reasoning = False
        self._conversation_id = conversation_id(
            request.conversation_key, owner=record.key, chance=gateway.chance
        )
        # One name for both: each is new with a request and stays through its attempts.
        self._invocation_id = gateway.chance.uuid()
        self._strategy = strategy_named(gateway.roster.settings(group).strategy)
        self._key = sticky_key(request, owner=record.key) if self._strategy.sticks else ""
        self._turn = gateway.turns.take(group)
        self._token = ""
        self._window_tokens = 0
        self._last: Exception | None = None

    async def serve(self) -> None:
        """Run attempts until one is delivered or the plan has no next one."""
        keep: Entry | None = None
        trial = False
        while True:
            # Whoever stays on an account stays on trial there, if it is on trial.
            entry, trial = (keep, trial) if keep is not None else self._choose()
            keep = None
            try:
                await self._held(entry, trial)
                return
            except _NoToken as error:
                self._last = error.cause
                self._plan.tried.add(entry.id)
            except RequestError as error:
                self._record.attempts[-1].cause = error.code or "bad_request"
                if error.code != "model_not_found":
                    raise
                # Another account's list may have the model.
                self._last = error
                self._plan.tried.add(entry.id)
            except (UpstreamError, FramingError, TransferError) as error:
                fault = as_upstream_error(error)
                self._record.attempts[-1].cause = str(fault.kind)
                self._last = fault
                if self._sink.content_committed:
                    await self._fail(entry, fault)
                    return
                keep = await self._after(entry, fault)
            self._sink.restart()

    def _pick(self, now: float) -> Chosen | Wait | NoneLeft:
        roster = self._gateway.roster
        need = Need(
            group=self._group,
            model=self._request.model,
            tried=frozenset(self._plan.tried),
            trials_under_way=frozenset(roster.trials),
            key=self._key,
            strategy=self._strategy,
            turn=self._turn,
        )
        return choose(roster.accounts(self._group), need, now=now)

    def _choose(self) -> tuple[Entry, bool]:
        """Return the account of the next attempt, and whether it is on trial.

        Raises:
            Exception: the last failure, or why no account can serve at all.
        """
        now = self._gateway.clock.monotonic()
        match self._pick(now):
            case Chosen(account=account, trial=trial):
                return self._gateway.roster.entry(account.id), trial
            case Wait(until=until, reason=reason):
                raise self._none_left(reason, max(until - now, 0.0), FaultKind.RATE_LIMITED)
            case NoneLeft(reason=reason, kind=kind, configured=configured):
                if not configured and self._last is None:
                    raise NoAccountError(
                        f"Group {self._group!r} has no account. Set KIRO_AUTH_TOKEN to your "
                        "accounts (JSON, or the path of a file with it) and start again.",
                        retry_after_s=None,
                    )
                raise self._none_left(reason, None, kind)

    def _none_left(
        self, reason: str, retry_after_s: float | None, kind: FaultKind | None
    ) -> Exception:
        """Return what the client is told: the last failure if there was one, else the reason."""
        last = self._last
        if isinstance(last, RequestError) and retry_after_s is not None and self._is_known():
            # Some account has the model and comes back: to wait helps, unlike another name.
            last = None
        if isinstance(last, UpstreamError):
            if retry_after_s is not None and STATUSES[last.kind] == 429:
                last.retry_after_s = retry_after_s
            return self._final(last)
        if last is not None:
            return last
        if retry_after_s is None and kind is not None:
            return self._final(UpstreamError(kind, reason))
        return NoAccountError(
            f"No account of group {self._group!r} can serve now: {reason}",
            retry_after_s=retry_after_s,
        )

    def _is_known(self) -> bool:
        """Tell whether an account that was not asked has the model."""
        for account in self._gateway.roster.accounts(self._group):
            if account.enabled and account.id not in self._plan.tried:
                listed = self._gateway.roster.entry(account.id).listed
                try:
                    self._gateway.models.resolve(self._request.model, listed)
                except RequestError:
                    continue
                return True
        return False

    async def _held(self, entry: Entry, trial: bool) -> None:
        """Make one attempt, counted on the account while it runs."""
        gateway = self._gateway
        started = gateway.clock.monotonic()
        note = AttemptNote(entry.account.name)
        self._record.attempts.append(note)
        entry.hold(+1)
        if trial:
            gateway.roster.trials.add(entry.id)
        try:
            await self._attempt(entry, note)
        except asyncio.CancelledError:
            note.cause = "given_up"
            raise
        finally:
            note.ms = (gateway.clock.monotonic() - started) * 1000
            entry.hold(-1)
            if trial:
                gateway.roster.trials.discard(entry.id)

    async def _attempt(self, entry: Entry, note: AttemptNote) -> None:
        gateway = self._gateway
        note.model = model_id = gateway.models.resolve(self._request.model, entry.listed)
        self._window_tokens = gateway.models.window_tokens(model_id, entry.models or ())
        try:
            self._token = await gateway.renewal.fresh_token(entry)
            if gateway.profiles.is_due(entry):
                await gateway.profiles.ensure(entry)
        except (UpstreamError, StoreError) as error:
            note.cause = "no_token"
            raise _NoToken(error) from None
        built = self._build(entry, model_id)
        call = generation_call(
            entry.route,
            kind=entry.credential.kind,
            token=self._token,
            body=built.body,
            user_agent=gateway.user_agent,
            invocation_id=self._invocation_id,
            attempt=len(self._record.attempts),
        )
        transfer = await gateway.upstream.open(call, first_byte_s=gateway.limits.first_event_s)
        # From here on: the body of an error can fall silent as well.
        transfer.idle_limit_s = gateway.limits.first_event_s
        try:
            if transfer.status != 200:
                body = await transfer.read_all(MAX_ERROR_BODY_BYTES)
                raise classify(transfer.status, transfer.headers, body)
            await self._relay(entry, transfer, built)
        finally:
            transfer.cancel()
        entry.prove_route()
        gateway.roster.record_success(
            entry, model=self._request.model, now=gateway.clock.monotonic()
        )

    def _build(self, entry: Entry, model_id: str) -> Built:
        plan = BuildPlan(
            model_id=model_id,
            conversation_id=self._conversation_id,
            continuation_id=self._invocation_id,
            profile_arn=entry.route.profile_arn,
            agent_mode=AGENT_MODE if entry.route.form is WireForm.JSON10 else "",
            max_description_length=self._gateway.limits.max_tool_description,
            without_reasoning=self._without_reasoning,
        )
        return build(self._request, plan)

    async def _relay(self, entry: Entry, transfer: Transfer, built: Built) -> None:
        limits, record, clock = self._gateway.limits, self._record, self._gateway.clock
        reader = Reader(
            names=built.names,
            input_tokens=self._input_tokens,
            window_tokens=self._window_tokens,
        )

        def on_first_event() -> None:
            transfer.idle_limit_s = limits.idle_s
            # An account that answers may be tried by the next request as well.
            self._gateway.roster.trials.discard(entry.id)
            if record.first_event_s is None:
                record.first_event_s = clock.monotonic()

        try:
            ending = await relay(transfer, reader, self._sink, on_first_event)
        finally:
            record.skipped_events += reader.skipped
        await self._end(ending)

    async def _end(self, ending: Ending) -> None:
        """Deliver how the reply ended, unless its flaw deserves another attempt."""
        if ending.flaw is Flaw.EMPTY:
            raise UpstreamError(FaultKind.BROKEN_STREAM, "the reply was empty", code="empty")
        if (
            ending.flaw is Flaw.BROKEN_TOOL_CALL
            and not self._sink.content_committed
            and self._plan.repair("", BROKEN_TOOL_CALL)
        ):
            raise UpstreamError(
                FaultKind.BROKEN_STREAM, "a tool call broke off", code=BROKEN_TOOL_CALL
            )
        self._record.is_partial = ending.is_cut
        for event in ending.events:
            if isinstance(event, Finish):
                self._record.finished(event)
        await self._sink.deliver(ending.events)

    async def _fail(self, entry: Entry, fault: UpstreamError) -> None:
        """End a reply that the client has begun to read."""
        self._punish(entry, fault)
        self._record.failed(fault.kind)
        self._record.is_partial = True
        await self._sink.deliver([Failure(fault.kind, fault_text(fault))])

    async def _after(self, entry: Entry, fault: UpstreamError) -> Entry | None:
        """Return the account to stay on, None to choose again.

        Raises:
            UpstreamError: nothing may follow.
        """
        if fault.kind is FaultKind.TOKEN_REJECTED and self._plan.repair(entry.id, "token"):
            return await self._with_new_token(entry)
        if self._repaired(entry, fault):
            return entry
        self._punish(entry, fault)
        match self._plan.after(fault.kind, entry.id):
            case Next.STOP:
                raise self._final(fault)
            case Next.SAME:
                await self._pause()
                return entry
            case Next.OTHER:
                return await self._other_than(entry)

    async def _with_new_token(self, entry: Entry) -> Entry | None:
        """Return the account once its bearer is a new one; None when it cannot get one now."""
        try:
            await self._gateway.renewal.renew(entry, rejected=self._token)
        except (UpstreamError, StoreError) as error:
            self._last = error
            self._plan.tried.add(entry.id)
            return None
        return entry

    async def _other_than(self, entry: Entry) -> Entry | None:
        """Return None when another account can be asked; after a host's fault else the same one."""
        if entry.id in self._plan.tried:
            return None
        self._plan.tried.add(entry.id)
        if isinstance(self._pick(self._gateway.clock.monotonic()), Chosen):
            return None
        self._plan.tried.discard(entry.id)
        await self._pause()
        return entry

    async def _pause(self) -> None:
        gateway = self._gateway
        delay_s = retry_delay_s(len(self._record.attempts), gateway.chance.fraction())
        await gateway.clock.sleep(delay_s)

    def _repaired(self, entry: Entry, fault: UpstreamError) -> bool:
        """Tell whether the cause lay in our own request and has been mended, once for each cause."""
        match fault.kind:
            case FaultKind.TOKEN_REJECTED | FaultKind.PROFILE_REQUIRED | FaultKind.WRONG_ENDPOINT:
                return self._next_route(entry, fault.kind)
            case FaultKind.SIGNATURE_INVALID if self._plan.repair("", "signature"):
                self._without_reasoning = True
                return True
            case FaultKind.CONVERSATION_LIMIT if self._plan.repair("", "conversation"):
                self._conversation_id = self._gateway.chance.uuid()
                return True
            case FaultKind.BROKEN_STREAM:
                # Of this kind the code is a word of ours, not the upstream's.
                return fault.code == BROKEN_TOOL_CALL
            case _:
                return False

    def _next_route(self, entry: Entry, kind: FaultKind) -> bool:
        """Put the account on a strategy that this request has not tried; the last one stays."""
        at = entry.route_index
        self._plan.repair(entry.id, f"route {at}")
        for index in onward(entry.routes, at=at, fault=kind):
            if self._plan.repair(entry.id, f"route {index}"):
                entry.route_index = index
                return True
        return False

    def _nearest(self) -> str:
        """Return a sentence with the names of models that the client may have meant."""
        entries = self._gateway.roster.entries()
        listed = frozenset(listed_models(entries, self._group))
        asked = self._request.model
        names = [name for name in self._gateway.models.nearest(asked, listed) if name != asked]
        return f"Nearest: {', '.join(names)}." if names else ""

    def _final(self, fault: UpstreamError) -> UpstreamError:
        """Return `fault` with what the client needs to act on it."""
        if fault.kind is FaultKind.CONTEXT_TOO_LONG:
            fault.message = too_long_text(self._input_tokens, self._window_tokens)
        elif fault.kind is FaultKind.MODEL_UNAVAILABLE:
            fault.message = f"{fault.message} {self._nearest()}".strip()
        elif fault.kind is FaultKind.UNKNOWN:
            logs.write(
                LogEvent.UNKNOWN_FAULT_SEEN,
                request_id=self._record.request_id,
                status=fault.status,
                code=fault.code,
                reason=fault.message,
            )
        return fault

    def _punish(self, entry: Entry, fault: UpstreamError) -> None:
        gateway = self._gateway
        wall, now = gateway.clock.wall(), gateway.clock.monotonic()
        resets_at = None
        if fault.kind is FaultKind.OUT_OF_QUOTA and fault.retry_after_s is None:
            told = entry.quota.resets_at if entry.quota is not None else None
            resets_at = now + quota_reset(fault.code, wall, told=told) - wall
        gateway.roster.record_fault(
            entry,
            Fault(
                fault.kind,
                model=self._request.model,
                reason=fault.message,
                retry_after_s=fault.retry_after_s,
                resets_at=resets_at,
            ),
            now=now,
            jitter=gateway.chance.fraction(),
        )
