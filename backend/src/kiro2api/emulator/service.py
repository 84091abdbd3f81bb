"""The emulated service itself: which operation a request means, and what it gets."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from kiro2api.emulator import (
    access,
    browser,
    checks,
    code_grants,
    control_plane,
    credits,
    oidc,
    rates,
    sign_in,
)
from kiro2api.emulator.accounts import Account
from kiro2api.emulator.behaviour import (
    EVENT_STREAM,
    JSON_1_0,
    SIGN_IN_OPERATIONS,
    Behaviour,
    Fault,
    Operation,
    Paced,
)
from kiro2api.emulator.call import Call, make_call, model_id_of
from kiro2api.emulator.catalogue import find_model
from kiro2api.emulator.clock import uuid
from kiro2api.emulator.errors_table import REFUSALS, Form, Refusal, spell_refusal
from kiro2api.emulator.exchange import Exchange, Request, reply
from kiro2api.emulator.generation import Voice, compile_steps, event_frame, text_frame
from kiro2api.emulator.hosts import Host, HostKind, take_host
from kiro2api.emulator.model import answer
from kiro2api.emulator.operations import Meaning, Wire, meaning_of, serves
from kiro2api.emulator.player import PacedStream, Wheel, finish, play
from kiro2api.emulator.records import Record
from kiro2api.emulator.scenarios import SCENARIOS
from kiro2api.emulator.steps import Event, How, Step, Tail
from kiro2api.emulator.untyped import members, parse
from kiro2api.emulator.world import World
from kiro2api.protocol.wire import json

_JSON_TYPES = ("application/json", JSON_1_0)
_SIGN_IN: dict[Operation, Callable[[World, Request, Record], sign_in.Answer]] = {
    Operation.REGISTER: oidc.register,
    Operation.DEVICE: oidc.authorize_device,
    Operation.AUTHORIZE: browser.answer_page,
    Operation.LOGIN: code_grants.trade,
    Operation.DISCOVER: code_grants.discover,
}
# A request refused by one of these is one that the gateway should never have sent.
_NEVER = frozenset(
    (
        *("R1", "R7", "R8", "R10", "R11", "R12", "R12.assistant", "R13", "R13.empty", "R14"),
        *("R15", "R16", "R17", "R18", "R19", "R19.limit", "R20", "R20.keywords", "R21", "R22"),
        *("R23", "R26"),
    )
)


class Service:
    """Answers every request but those of the control API; one per emulator."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._wheel = Wheel()

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request to its end."""
        world = self._world
        host, exchange.request = take_host(exchange.request)
        meaning = meaning_of(exchange.request)
        record = world.record(exchange.request, meaning.operation)
        watch = _Watch(world, exchange, record, host, meaning)
        exchange.on_gone(watch.leave)
        traffic = world.traffic
        traffic.enter()
        try:
            await self._answer(watch)
        finally:
            traffic.leave()
            watch.end()

    async def _answer(self, watch: "_Watch") -> None:
        host, meaning, request = watch.host, watch.meaning, watch.exchange.request
        if not host.exists:
            # There is no such name: the nearest to that is a connection that breaks.
            self._world.violate("R1", f"there is no host {host.name}", watch.record)
            watch.record.rule = "R1"
            await finish(How.RESET, watch.exchange)
            return
        if meaning.operation is Operation.UNKNOWN:
            said = f"unscripted: {request.method} {request.path}"
            self._world.violate("R1", said, watch.record)
            watch.refuse(REFUSALS["unknown_operation"], rule="R1")
            return
        settings = self._world.host_settings.get(host.name)
        generates = meaning.operation is Operation.GENERATE
        refused = generates and settings is not None and meaning.wire in settings.refuses
        if refused or not serves(host, request, meaning):
            watch.refuse(REFUSALS["unknown_operation"], rule="R1")
        elif generates:
            await self._generate(watch)
        elif meaning.operation is Operation.REFRESH:
            await self._refresh(watch)
        elif meaning.operation in SIGN_IN_OPERATIONS:
            await self._sign_in(watch)
        else:
            await self._control(watch)

    # ------------------------------------------------------------------------------ generation

    async def _generate(self, watch: "_Watch") -> None:
        account = self._let_in(watch)
        if account is None:
            return
        buckets = self._take_turn(watch, account)
        if buckets is None:
            return
        try:
            await self._reply(watch, account)
        finally:
            for bucket in buckets:
                self._world.rates.leave(bucket)

    def _let_in(self, watch: "_Watch") -> Account | None:
        """Return the account whose call this is; else refuse it and return None."""
        world, request = self._world, watch.exchange.request
        account = access.sender(world, request)
        watch.record.account = account.name if account else ""
        denied = access.deny(world, request)
        if denied is not None or account is None:
            refusal = denied.refusal if denied else REFUSALS["bearer_invalid"]
            if (denied is None or denied.rule in ("R2", "R3")) and watch.is_management:
                refusal = REFUSALS["invalid_token_400"]
            watch.refuse(refusal, rule=denied.rule if denied else "R2")
            return None
        return account

    def _take_turn(self, watch: "_Watch", account: Account) -> list[str] | None:
        """Return the buckets in which the call counts; None when it is refused for its rate."""
        world, host = self._world, watch.host
        settings = world.host_settings.get(host.name)
        limits = (
            (f"{account.name}@{host.name}", account.spec.rate, "user_rate"),
            (f"@{host.name}", settings.rate if settings else None, "service_rate"),
        )
        taken: list[str] = []
        for bucket, limit, name in limits:
            if limit is None or not world.rules.demands("R32"):
                continue
            wait_s = world.rates.admit(bucket, limit, now=world.clock.now())
            if wait_s > 0:
                for earlier in taken:
                    world.rates.leave(earlier)
                watch.refuse(rates.with_hint(REFUSALS[name], limit, wait_s), rule="R32")
                return None
            taken.append(bucket)
        return taken

    async def _reply(self, watch: "_Watch", account: Account) -> None:
        call = self._admit(watch, account)
        if call is None:
            return
        watch.record.account, watch.record.model = call.account.name, call.model_id
        behaviour = self._world.queue.take(
            Operation.GENERATE, account=call.account.name, model=call.model_id
        )
        if behaviour is None:
            await self._stream(watch, _own_steps(watch, call), call, Behaviour())
        elif not await self._misbehave(watch, behaviour):
            steps = behaviour.steps
            if behaviour.scenario:
                steps = SCENARIOS[behaviour.scenario]
            if behaviour.paced is not None:
                await self._paced(watch, behaviour, behaviour.paced, call)
            else:
                own = _own_steps(watch, call) if steps is None else steps
                await self._stream(watch, own, call, behaviour)

    def _admit(self, watch: "_Watch", account: Account) -> Call | None:
        """Return the call when the service takes it; else refuse it and return None."""
        world = self._world
        body = self._body(watch)
        if body is None:
            return None
        model_id = model_id_of(body)
        watch.record.model = model_id
        arn = body.get("profileArn")
        denied = access.deny_region(account, watch.host)
        denied = denied or access.deny_profile(world, account, arn, watch.host)
        if denied is not None:
            watch.refuse(denied.refusal, rule=denied.rule)
            return None
        model = find_model(account, model_id or "auto")
        call = make_call(body, account, model_id, model or {})
        rejection = checks.first_rejection(call, world.rules)
        if rejection is None:
            now = world.clock.now()
            broke = credits.deny_spending(account, now=now) if world.rules.demands("R31") else None
            if broke is not None:
                watch.refuse(broke, rule="R31")
                return None
            return call
        named = world.rules.profile.names_reasons
        watch.refuse(checks.as_refusal(rejection, names_reasons=named), rule=rejection.rule)
        if rejection.rule in _NEVER:
            world.violate(rejection.rule, rejection.message, watch.record)
        return None

    def _body(self, watch: "_Watch") -> dict[str, object] | None:
        world, request = self._world, watch.exchange.request
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        taken = _JSON_TYPES if watch.meaning.wire is Wire.REST else (JSON_1_0,)
        if world.rules.demands("R7") and content_type not in taken:
            said = f"content-type {content_type!r} is not {' or '.join(taken)}"
            watch.refuse(_plain(415, "UnsupportedMediaTypeException", said), rule="R7")
            world.violate("R7", said, watch.record)
            return None
        fault = ""
        if len(request.body) > world.rules.profile.max_body_bytes:
            fault = f"the body has {len(request.body)} bytes"
        elif json.repair_surrogates(request.body) is not None:
            fault = "the body has half a surrogate pair"
        body = parse(request.body)
        if not isinstance(body, dict):
            fault = "the body is no JSON object"
        if fault and world.rules.demands("R8"):
            named = world.rules.profile.names_reasons
            refusal = REFUSALS["bad_request" if named else "bad_request_old"]
            if named:
                refusal = msgspec.structs.replace(refusal, reason="REQUEST_BODY_INVALID_JSON")
            watch.refuse(refusal, rule="R8")
            world.violate("R8", fault, watch.record)
            return None
        return members(body)

    async def _stream(
        self, watch: "_Watch", steps: Sequence[Step], call: Call, behaviour: Behaviour
    ) -> None:
        world = self._world
        for step in steps:
            if isinstance(step, Tail) and "metering" in step.order:
                call.account.credits_used += step.credits
        voice = Voice(call.model_id or "auto", world.seed, lambda: world.ids.next("tooluse_"))
        ops = compile_steps(list(steps), voice, behaviour.cut)
        self._begin(watch, call, behaviour)
        await play(ops, watch.exchange, world)

    async def _paced(self, watch: "_Watch", behaviour: Behaviour, paced: Paced, call: Call) -> None:
        model = call.model_id or "auto"
        frame = text_frame(paced.text, model=model)
        tail = (
            event_frame("metadataEvent", {"stopReason": "END_TURN"}),
            event_frame("contextUsageEvent", {"contextUsagePercentage": 1.0}),
            event_frame(
                "meteringEvent", {"unit": "credit", "unitPlural": "credits", "usage": 0.01}
            ),
        )
        self._begin(watch, call, behaviour)
        stream = PacedStream(
            watch.exchange,
            frame,
            b"".join(tail),
            events=paced.events,
            every_s=paced.every_s,
        )
        await self._wheel.run(stream)

    def _begin(self, watch: "_Watch", call: Call, behaviour: Behaviour) -> None:
        by_path = watch.meaning.wire is Wire.REST
        headers = {
            "content-type": behaviour.content_type or (EVENT_STREAM if by_path else JSON_1_0),
            "x-amzn-requestid": uuid(self._world.ids.next("")),
        }
        if by_path:
            conversation_id = _as_header(call.conversation_id)
            headers["x-amzn-codewhisperer-conversation-id"] = conversation_id
        watch.begin(200, {**headers, **behaviour.headers}, length=None)

    # ----------------------------------------------------------------------------- other calls

    async def _refresh(self, watch: "_Watch") -> None:
        world, request = self._world, watch.exchange.request
        asked = sign_in.parse_refresh(world, request)
        account = asked.account
        watch.record.account = account.name if account else ""
        behaviour = world.queue.take(Operation.REFRESH, account=watch.record.account, model="")
        if account is None:
            if behaviour is None or not await self._misbehave(watch, behaviour):
                watch.reply(*sign_in.refuse_unknown(world, asked, watch.record))
            return
        account.refreshes_in_flight += 1
        try:
            parallel = account.refreshes_in_flight
            account.max_parallel_refreshes = max(account.max_parallel_refreshes, parallel)
            if parallel > 1:
                said = f"{parallel} refreshes of {account.name} at once"
                world.violate("A4", said, watch.record)
            await asyncio.sleep(account.spec.refresh_latency_s)
            if behaviour is not None and await self._misbehave(watch, behaviour):
                return
            watch.reply(*sign_in.refresh(world, asked, account, watch.record))
        finally:
            account.refreshes_in_flight -= 1

    async def _sign_in(self, watch: "_Watch") -> None:
        operation, request = watch.meaning.operation, watch.exchange.request
        behaviour = self._world.queue.take(operation, account="", model="")
        if behaviour is not None and await self._misbehave(watch, behaviour):
            return
        watch.reply(*_SIGN_IN[operation](self._world, request, watch.record))

    async def _control(self, watch: "_Watch") -> None:
        world, request, operation = self._world, watch.exchange.request, watch.meaning.operation
        account = self._let_in(watch)
        if account is None:
            return
        behaviour = world.queue.take(operation, account=account.name, model="")
        if behaviour is not None and await self._misbehave(watch, behaviour):
            return
        asked = {**request.query, **members(parse(request.body or b"{}"))}
        denied = None
        if operation is not Operation.PROFILES:
            arn = asked.get("profileArn")
            denied = access.deny_region(account, watch.host)
            denied = denied or access.deny_listing(account, arn, watch.host)
        if denied is not None and world.rules.demands("R9"):
            watch.refuse(denied.refusal, rule=denied.rule)
            return
        status, value = control_plane.answer(world, operation, account, asked, watch.host)
        if isinstance(value, Refusal):
            watch.refuse(value, rule="C")
            return
        watch.reply(status, {"content-type": "application/json"}, json.encode(value))

    # ------------------------------------------------------------------------------ behaviours

    async def _misbehave(self, watch: "_Watch", behaviour: Behaviour) -> bool:
        """Do what `behaviour` says before an answer; tell whether that was the answer."""
        watch.record.behaviour = behaviour.error or behaviour.scenario or "scripted"
        if behaviour.gate:
            await self._world.gate(behaviour.gate).wait()
        if behaviour.delay_s > 0:
            await asyncio.sleep(behaviour.delay_s)
        if behaviour.fault is not None:
            ends = {Fault.RESET: How.RESET, Fault.CLOSE: How.CLOSE, Fault.HANG: How.STALL}
            await finish(ends[behaviour.fault], watch.exchange)
            return True
        if behaviour.error:
            self._send_error(watch, behaviour)
            return True
        if behaviour.body is not None or behaviour.body_text is not None or behaviour.status != 200:
            body = (behaviour.body_text or "").encode()
            if behaviour.body is not None:
                body = json.encode(behaviour.body)
            headers = {"content-type": "application/json", **behaviour.headers}
            watch.reply(behaviour.status, headers, body)
            return True
        return False

    def _send_error(self, watch: "_Watch", behaviour: Behaviour) -> None:
        if watch.meaning.operation in SIGN_IN_OPERATIONS:
            status, headers, body = sign_in.named_refusal(behaviour.error)
        else:
            refusal = REFUSALS[behaviour.error]
            status = refusal.status
            headers, body = spell_refusal(refusal, behaviour.form or watch.form)
        watch.reply(status, {**headers, **behaviour.headers}, body)


def _own_steps(watch: "_Watch", call: Call) -> list[Step]:
    """Return what the scripted model answers, at the account's price, in the form of the call."""
    steps = list(answer(call))
    price = call.account.spec.credits_per_call
    if price is not None:
        steps = [
            msgspec.structs.replace(step, credits=price) if isinstance(step, Tail) else step
            for step in steps
        ]
    if watch.meaning.wire is not Wire.REST:
        said = {"conversationId": call.conversation_id or uuid("")}
        steps.insert(0, Event(type="initial-response", payload=said))
    return steps


def _as_header(conversation_id: str) -> str:
    """Return the id that the service answers with: the client's, where a header can carry it."""
    fits = conversation_id.isascii() and conversation_id.isprintable()
    return conversation_id.strip() if fits and conversation_id else uuid(conversation_id)


def _plain(status: int, exception: str, message: str) -> Refusal:
    return Refusal(status=status, exception=exception, message=message)


class _Watch:
    """One exchange together with its record; lives until the answer has ended."""

    def __init__(
        self, world: World, exchange: Exchange, record: Record, host: Host, meaning: Meaning
    ) -> None:
        self.exchange = exchange
        self.record = record
        self.host = host
        self.meaning = meaning
        self._world = world
        self._sending = world.sending
        self._sending[record.id] = lambda: exchange.sent_bytes
        has_target = exchange.request.path == "/" and "x-amz-target" in exchange.request.headers
        self.form = Form.JSON if has_target else Form.REST
        # The control plane of today words a bad token in its own way.
        lists = meaning.operation not in (Operation.GENERATE, *SIGN_IN_OPERATIONS)
        any_host = host.kind is HostKind.ANY and has_target
        self.is_management = lists and (host.kind is HostKind.MANAGEMENT or any_host)

    def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        self.record.status = status
        self.exchange.begin(status, headers, length=length)

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.record.status = status
        reply(self.exchange, status, headers, body)

    def refuse(self, refusal: Refusal, *, rule: str) -> None:
        self.record.rule = rule
        headers, body = spell_refusal(refusal, self.form)
        self.reply(refusal.status, headers, body)

    def leave(self) -> None:
        self.record.closed_early = True
        self.end()

    def end(self) -> None:
        if self.record.ended_at_monotonic_s is None:
            self.record.ended_at_monotonic_s = self._world.monotonic()
            self.record.sent_bytes = self.exchange.sent_bytes
            self._sending.pop(self.record.id, None)
