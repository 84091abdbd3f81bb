"""One request through accounts."""

import asyncio
from collections.abc import Callable

import pytest

from kiro2api.errors import (
    FaultKind,
    NoAccountError,
    RequestError,
    TransferError,
    UpstreamError,
)
from kiro2api.gateway.attempt import Gateway, Limits
from kiro2api.gateway.calendar import quota_reset
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.ledger import RequestRecord
from kiro2api.gateway.outcome import answer_for
from kiro2api.gateway.ports import GroupSettings
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.chat.events import Failure, Finish, StopReason, TextDelta
from kiro2api.protocol.chat.fold import Reply, fold
from kiro2api.protocol.chat.grammar import Grammar
from kiro2api.protocol.chat.request import ChatRequest, Role, Text, Turn
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.models import ModelMap, UpstreamModel
from kiro2api.protocol.codewhisperer.quota import Quota
from kiro2api.protocol.wire.eventstream import Header, encode_frame
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import decode, encode
from tests.support.fakes import (
    FakeChance,
    FakeClock,
    FakeSink,
    FakeStore,
    FakeTransfer,
    FakeUpstream,
    payload_event,
    stored_account,
    text_reply,
)

HELLO = ChatRequest("claude-sonnet-4-20250514", (Turn(Role.USER, (Text("Hello"),)),))
OPEN_CALL = payload_event("toolUseEvent", {"toolUseId": "t", "name": "f", "input": '{"a"'})

Answer = FakeTransfer | Exception
Script = dict[str, list[Callable[[], Answer]]]


def ok(*texts: str) -> Callable[[], Answer]:
    return lambda: FakeTransfer(200, text_reply(*(texts or ("Hi",))))


def refusal(status: int, message: str = "no", reason: str = "") -> Callable[[], Answer]:
    body = encode({"message": message, "reason": reason or None})
    return lambda: FakeTransfer(status, body)


def body(*pieces: bytes | Exception) -> Callable[[], Answer]:
    return lambda: FakeTransfer(200, *pieces)


def reset() -> Answer:
    return TransferError("connection reset")


class Scene:
    """Accounts a, b, c … and what the upstream says to each, call after call; the last stays."""

    def __init__(self, *accounts: str, **script: list[Callable[[], Answer]]) -> None:
        self.script = script
        self.clock = FakeClock()
        names = accounts or tuple(script)
        self.store = FakeStore(*(stored_account(n, position=i) for i, n in enumerate(names)))
        self.upstream = FakeUpstream(self._answer)
        self.roster = Roster(
            make_entry(row, endpoints=Endpoints(), wall_to_monotonic_s=0.0)
            for row in self.store.rows.values()
        )
        self.renewal = Renewal(
            upstream=self.upstream,
            store=self.store,
            roster=self.roster,
            tasks=TaskOwner(lambda error: None),
            clock=self.clock,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
            holder="this process",
        )
        control = ControlPlane(
            upstream=self.upstream,
            renewal=self.renewal,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
        )
        self.gateway = Gateway(
            roster=self.roster,
            renewal=self.renewal,
            profiles=Profiles(control=control, store=self.store, clock=self.clock),
            upstream=self.upstream,
            models=ModelMap(),
            clock=self.clock,
            chance=FakeChance(),
            limits=Limits(),
            user_agent="kiro2api/test",
        )
        self.sink = FakeSink()
        self.record = RequestRecord("req_1", started_s=0.0)
        self.asked: list[str] = []

    def _answer(self, call: HttpCall) -> Answer:
        if "refreshToken" in call.url:
            name = decode(call.body)["refreshToken"].partition("-")[2][:1]
            self.asked.append(f"refresh {name}")
            answers = self.script.get(f"refresh_{name}")
            if answers is None:
                fresh = {"accessToken": f"access-{name}", "expiresIn": 3600}
                return FakeTransfer(200, encode(fresh))
            return (answers.pop(0) if len(answers) > 1 else answers[0])()
        name = dict(call.headers)["authorization"].removeprefix("Bearer access-")[:1]
        self.asked.append(name)
        answers = self.script[name]
        return (answers.pop(0) if len(answers) > 1 else answers[0])()

    def serve(self, *, commits: bool = True, request: ChatRequest = HELLO) -> str:
        """Serve one request; return the text that reached the client."""
        self.sink = FakeSink(commits=commits)
        asyncio.run(
            self.gateway.serve(
                request, group="default", input_tokens=10, sink=self.sink, record=self.record
            )
        )
        Grammar().check_all(self.sink.events)
        return "".join(event.text for event in self.sink.events if isinstance(event, TextDelta))

    def fail(self, *, commits: bool = True) -> Exception:
        """Serve one request that must not be served; return what the client is told."""
        with pytest.raises((UpstreamError, NoAccountError, RequestError)) as caught:
            self.serve(commits=commits)
        return caught.value

    def standing(self, name: str) -> Standing:
        return self.roster.entry(name).account.condition.standing


def kind_of(error: Exception) -> FaultKind:
    assert isinstance(error, UpstreamError)
    return error.kind


def test_the_first_account_serves_all_requests_while_it_can() -> None:
    scene = Scene(a=[ok()], b=[ok()])

    for _ in range(3):
        scene.serve()

    assert scene.asked == ["a", "a", "a"]


@pytest.mark.parametrize("status", [402, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("commits", [True, False])
def test_a_failure_of_one_account_is_served_by_the_next(status: int, commits: bool) -> None:
    scene = Scene(a=[refusal(status)], b=[ok("fine")])

    assert scene.serve(commits=commits) == "fine"


def test_a_connection_that_is_refused_is_served_by_the_next_account() -> None:
    scene = Scene(a=[reset], b=[ok("fine")])

    assert scene.serve() == "fine"


def test_three_drained_accounts_do_not_keep_the_fourth_from_serving() -> None:
    drained = refusal(402, reason="MONTHLY_REQUEST_COUNT")
    scene = Scene(a=[drained], b=[drained], c=[drained], d=[drained], e=[ok("fine")])

    assert (scene.serve(), scene.asked) == ("fine", ["a", "b", "c", "d", "e"])


def test_an_account_that_cools_is_not_asked_until_its_time_has_come() -> None:
    scene = Scene(a=[refusal(429), ok("a again")], b=[ok("b")])

    scene.serve()
    scene.serve()
    scene.clock.advance(40.0)
    text = scene.serve()

    assert (text, scene.asked) == ("a again", ["a", "b", "b", "a"])


def test_a_sick_host_is_called_three_times_at_most() -> None:
    scene = Scene(a=[refusal(503)], b=[refusal(503)], c=[refusal(503)], d=[ok()])

    error = scene.fail()

    assert (kind_of(error), len(scene.asked)) == (FaultKind.OVERLOADED, 3)


def test_the_only_account_is_asked_again_after_a_pause_when_the_host_failed() -> None:
    scene = Scene(a=[refusal(500), ok("fine")])

    assert scene.serve() == "fine"
    assert scene.clock.slept


def test_a_model_short_of_capacity_is_asked_again_without_punishing_the_account() -> None:
    busy = refusal(429, reason="INSUFFICIENT_MODEL_CAPACITY")
    scene = Scene(a=[busy, busy, ok("fine")], b=[ok("other")])

    assert (scene.serve(), scene.asked) == ("fine", ["a", "a", "a"])
    assert scene.standing("a") is Standing.READY


def test_the_status_of_the_last_failure_reaches_the_client_when_all_fail() -> None:
    scene = Scene(a=[refusal(429)], b=[refusal(429)])

    error = scene.fail()

    assert kind_of(error) is FaultKind.RATE_LIMITED


def test_a_pool_that_cools_tells_when_the_soonest_account_returns() -> None:
    scene = Scene(a=[refusal(429)])
    scene.fail()

    error = scene.fail()

    assert isinstance(error, NoAccountError)
    assert error.retry_after_s is not None
    assert 0 < error.retry_after_s <= 33.0


def test_a_group_without_accounts_says_how_to_add_one() -> None:
    error = Scene().fail()

    assert isinstance(error, NoAccountError)
    assert (error.retry_after_s, "KIRO_AUTH_TOKEN" in error.message) == (None, True)


def test_a_bad_request_is_told_at_once_and_punishes_nobody() -> None:
    scene = Scene(a=[refusal(400, "Improperly formed request.")], b=[ok()])

    error = scene.fail()

    assert (kind_of(error), scene.asked) == (FaultKind.BAD_REQUEST, ["a"])
    assert scene.roster.entry("a").account.condition == Condition()


def test_a_rejected_bearer_is_refreshed_once_and_tried_again() -> None:
    rejected = refusal(403, "The bearer token included in the request is invalid.")
    scene = Scene(a=[rejected, ok("fine")])

    assert (scene.serve(), scene.asked) == ("fine", ["a", "refresh a", "a"])


def test_a_bearer_rejected_after_a_refresh_tries_the_other_profiles_then_the_next_account() -> None:
    rejected = refusal(403, "The bearer token included in the request is invalid.")
    scene = Scene(a=[rejected], b=[ok("fine")])

    assert (scene.serve(), scene.asked) == ("fine", ["a", "refresh a", "a", "a", "b"])
    assert scene.standing("a") is Standing.COOLING


def test_an_account_whose_login_is_dead_is_left_for_the_next_one() -> None:
    scene = Scene(
        a=[refusal(401)],
        b=[ok("fine")],
        refresh_a=[lambda: FakeTransfer(400, encode({"error": "invalid_grant"}))],
    )

    assert scene.serve() == "fine"
    assert scene.standing("a") is Standing.NEEDS_LOGIN


def test_a_login_service_that_is_away_does_not_cost_the_account_more_than_a_second() -> None:
    scene = Scene(a=[refusal(401)], b=[ok("fine")], refresh_a=[reset])

    scene.serve()

    until = scene.roster.entry("a").account.condition.until
    assert until is None or until - scene.clock.monotonic() <= 1.0


def test_a_profile_that_is_missing_is_tried_at_the_next_place_and_remembered() -> None:
    missing = refusal(400, "profileArn is required for this request.")
    scene = Scene(a=[missing, ok("fine")])

    scene.serve()
    scene.serve()

    urls = [call.url for call in scene.upstream.calls]
    assert urls[0] != urls[1] == urls[2]


def test_a_refused_signature_is_left_out_and_the_request_made_again() -> None:
    bad = refusal(400, reason="THINKING_SIGNATURE_INVALID")
    scene = Scene(a=[bad, ok("fine")])

    assert (scene.serve(), scene.asked) == ("fine", ["a", "a"])


def test_a_signature_refused_twice_is_the_clients_to_mend() -> None:
    bad = refusal(400, reason="THINKING_SIGNATURE_INVALID")
    scene = Scene(a=[bad], b=[ok()])

    assert (kind_of(scene.fail()), scene.asked) == (FaultKind.SIGNATURE_INVALID, ["a", "a"])


def test_a_full_conversation_goes_on_under_a_new_name() -> None:
    full = refusal(402, reason="CONVERSATION_LIMIT_EXCEEDED")
    scene = Scene(a=[full, ok("fine")])

    scene.serve()

    names = [
        decode(call.body)["conversationState"]["conversationId"] for call in scene.upstream.calls
    ]
    assert names[0] != names[1]


def test_an_empty_reply_is_tried_again_twice() -> None:
    empty = body(payload_event("meteringEvent", {"usage": 0.1}))
    scene = Scene(a=[empty, empty, ok("fine")])

    assert scene.serve() == "fine"


def test_a_reply_that_stays_empty_is_a_failure_and_not_silence() -> None:
    scene = Scene(a=[body()])

    assert (kind_of(scene.fail()), len(scene.asked)) == (FaultKind.BROKEN_STREAM, 3)


def test_a_tool_call_that_breaks_off_is_tried_once_again_before_anything_was_seen() -> None:
    scene = Scene(a=[body(OPEN_CALL), ok("fine")])

    assert (scene.serve(), scene.asked) == ("fine", ["a", "a"])


def test_a_tool_call_that_breaks_off_again_ends_the_reply_as_cut() -> None:
    scene = Scene(a=[body(OPEN_CALL)])

    scene.serve()

    finish = scene.sink.events[-1]
    assert isinstance(finish, Finish)
    assert finish.stop_reason is StopReason.MAX_TOKENS


def test_after_content_a_broken_stream_is_never_tried_again() -> None:
    text = payload_event("assistantResponseEvent", {"content": "Half"})
    scene = Scene(a=[body(text, TransferError("reset"))], b=[ok()])

    said = scene.serve()

    assert (said, scene.asked) == ("Half", ["a"])
    assert isinstance(scene.sink.events[-1], Failure)


def test_text_that_came_in_the_same_read_as_the_failure_is_not_lost() -> None:
    first = payload_event("assistantResponseEvent", {"content": "One "})
    second = payload_event("assistantResponseEvent", {"content": "two"})
    broken = encode_frame(
        [Header(":message-type", "event"), Header(":event-type", "assistantResponseEvent")], b"{"
    )
    scene = Scene(a=[body(first, second + broken)])

    assert scene.serve() == "One two"


def test_a_client_that_has_seen_nothing_is_served_anew_when_the_stream_breaks() -> None:
    text = payload_event("assistantResponseEvent", {"content": "Half"})
    scene = Scene(a=[body(text, TransferError("reset"))], b=[ok("Whole")])

    assert scene.serve(commits=False) == "Whole"
    assert isinstance(fold(scene.sink.events), Reply)


def test_a_stream_cut_inside_a_frame_is_a_failure() -> None:
    whole = payload_event("assistantResponseEvent", {"content": "Half"})
    scene = Scene(a=[body(whole + whole[:20])])

    assert kind_of(scene.fail(commits=False)) is FaultKind.BROKEN_STREAM


def test_a_silent_stream_is_a_gateway_timeout() -> None:
    scene = Scene(a=[body(TransferError("no answer", timed_out=True))])

    error = scene.fail()

    assert isinstance(error, UpstreamError)
    assert (error.kind, error.status) == (FaultKind.NETWORK, 504)


def test_an_exception_in_the_stream_decides_by_its_kind_before_content() -> None:
    throttled = encode_frame(
        [Header(":message-type", "exception"), Header(":exception-type", "throttlingError")],
        b'{"message":"slow down"}',
    )
    scene = Scene(a=[body(throttled)], b=[ok("fine")])

    assert scene.serve() == "fine"
    assert scene.standing("a") is Standing.COOLING


@pytest.mark.parametrize("status", [200, 500])
def test_no_body_may_fall_silent_for_good(status: int) -> None:
    scene = Scene(a=[lambda: FakeTransfer(status, text_reply("Hi")), ok()])

    scene.serve()

    limits = {transfer.idle_limit_s for transfer in scene.upstream.transfers}
    assert all(0 < limit_s <= Limits().idle_s for limit_s in limits)


def test_an_upstream_that_uses_our_word_for_a_broken_tool_call_is_not_asked_for_ever() -> None:
    scene = Scene(a=[refusal(400, "no", "broken_tool_call")])

    scene.fail()

    assert scene.asked == ["a"]


def test_every_transfer_is_given_up_at_the_end() -> None:
    scene = Scene(a=[refusal(500), ok()])

    scene.serve()

    assert all(transfer.cancelled for transfer in scene.upstream.transfers)


def test_nothing_is_counted_in_flight_after_the_request() -> None:
    scene = Scene(a=[refusal(500)], b=[ok()])

    scene.serve()

    assert [account.in_flight for account in scene.roster.accounts("default")] == [0, 0]
    assert (scene.gateway.budget.requests, scene.gateway.budget.retries) == (0, 0)


def test_a_model_that_one_account_lacks_is_served_by_the_one_that_has_it() -> None:
    scene = Scene(a=[ok("a")], b=[ok("b")])
    scene.roster.entry("a").models = (UpstreamModel("claude-haiku-4.5", "Haiku"),)
    scene.roster.entry("b").models = (UpstreamModel("rare-model", "Rare"),)
    request = ChatRequest("rare-model", HELLO.turns)

    assert scene.serve(request=request) == "b"


def test_a_model_that_nobody_knows_is_named_in_the_refusal() -> None:
    scene = Scene(a=[ok()])

    with pytest.raises(RequestError) as caught:
        scene.serve(request=ChatRequest("no-such-model", HELLO.turns))

    assert (caught.value.status, scene.asked) == (404, [])


def test_an_account_that_lacks_the_model_is_not_noted_as_asked_well() -> None:
    scene = Scene(a=[ok()])

    with pytest.raises(RequestError):
        scene.serve(request=ChatRequest("no-such-model", HELLO.turns))

    assert [note.cause for note in scene.record.attempts] == ["model_not_found"]


def test_a_refused_model_is_remembered_for_the_account() -> None:
    scene = Scene(a=[refusal(400, "Invalid model", "INVALID_MODEL_ID"), ok("a")], b=[ok("b")])

    texts = [scene.serve(), scene.serve()]

    assert (texts, scene.asked) == (["b", "b"], ["a", "b", "b"])


def test_a_prompt_that_is_too_long_is_told_in_the_words_that_make_agents_compact() -> None:
    scene = Scene(a=[refusal(400, "Input is too long.", "CONTENT_LENGTH_EXCEEDS_THRESHOLD")])

    assert answer_for(scene.fail()).message.startswith("prompt is too long")


def test_a_drained_account_returns_when_its_quota_renews() -> None:
    scene = Scene(a=[refusal(402, reason="MONTHLY_REQUEST_COUNT")], b=[ok()])

    scene.serve()

    wall = scene.clock.wall()
    until = scene.roster.entry("a").account.condition.until or 0.0
    assert until - scene.clock.monotonic() == pytest.approx(quota_reset("MONTHLY", wall) - wall)


def test_a_drained_account_returns_when_the_upstream_has_said_that_its_credits_renew() -> None:
    scene = Scene(a=[refusal(402, reason="MONTHLY_REQUEST_COUNT")], b=[ok()])
    entry = scene.roster.entry("a")
    entry.know_quota(Quota(50.0, 50.0, 0.0, scene.clock.wall() + 5_000.0), fetched_at=1.0)
    scene.serve()

    assert entry.account.condition.until == scene.clock.monotonic() + 5_000.0


def conversation(first_words: str) -> ChatRequest:
    return ChatRequest(HELLO.model, (Turn(Role.USER, (Text(first_words),)),))


def test_a_conversation_stays_on_its_account_in_a_group_that_takes_turns() -> None:
    scene = Scene(a=[ok()], b=[ok()], c=[ok()])
    scene.roster.group_settings = {"default": GroupSettings(strategy="round_robin")}

    for _ in range(5):
        scene.serve(request=conversation("the same words"))

    assert len(set(scene.asked)) == 1


def test_conversations_spread_over_the_accounts_of_a_group_that_takes_turns() -> None:
    scene = Scene(a=[ok()], b=[ok()], c=[ok()])
    scene.roster.group_settings = {"default": GroupSettings(strategy="round_robin")}

    for number in range(30):
        scene.serve(request=conversation(f"words {number}"))

    assert set(scene.asked) == {"a", "b", "c"}


def test_a_group_without_a_strategy_keeps_to_its_order() -> None:
    scene = Scene(a=[ok()], b=[ok()])

    for number in range(5):
        scene.serve(request=conversation(f"words {number}"))

    assert set(scene.asked) == {"a"}


def test_a_refused_model_is_told_with_the_nearest_names() -> None:
    scene = Scene(a=[refusal(400, "Invalid model.", "INVALID_MODEL_ID")])

    first, second = answer_for(scene.fail()), answer_for(scene.fail())

    assert [(first.status, "Nearest: claude-" in first.message)] * 2 == [
        (404, True),
        (second.status, "Nearest: claude-" in second.message),
    ]
    assert f"{HELLO.model}," not in first.message


def test_a_model_whose_only_account_cools_is_worth_waiting_for() -> None:
    scene = Scene(a=[ok()], b=[refusal(429)])
    scene.roster.entry("a").models = (UpstreamModel("claude-haiku-4.5", "Haiku"),)
    scene.roster.entry("b").models = (UpstreamModel("rare-model", "Rare"),)
    request = ChatRequest("rare-model", HELLO.turns)
    with pytest.raises(UpstreamError):
        scene.serve(request=request)

    with pytest.raises(NoAccountError) as caught:
        scene.serve(request=request)

    assert caught.value.retry_after_s is not None


def rest_softly(scene: Scene, name: str) -> None:
    until = scene.clock.monotonic() + 60.0
    scene.roster.entry(name).apply(Condition(soft_strikes=3, soft_until=until))


def test_a_trial_stays_a_trial_when_it_is_tried_again() -> None:
    scene = Scene(a=[refusal(503)])
    rest_softly(scene, "a")
    trials: list[frozenset[str]] = []

    def watched() -> Answer:
        trials.append(frozenset(scene.roster.trials))
        return refusal(503)()

    scene.script["a"] = [watched]
    scene.fail()

    assert trials == [frozenset({"a"})] * 3


def test_an_account_on_trial_may_be_tried_by_others_once_it_answers() -> None:
    scene = Scene(a=[refusal(503)])
    rest_softly(scene, "a")
    seen: list[frozenset[str]] = []

    class Looking(FakeTransfer):
        async def read(self) -> bytes:
            seen.append(frozenset(scene.roster.trials))
            return await super().read()

    scene.script["a"] = [lambda: Looking(200, text_reply("Hi"), b"")]
    scene.serve()

    assert seen == [frozenset({"a"}), frozenset()]
