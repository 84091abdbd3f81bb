"""The background work on accounts."""

import asyncio
import io

import pytest

from kiro2api import logs
from kiro2api.errors import FaultKind
from kiro2api.gateway.catalogue import Catalogue
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.ports import AccessToken
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.renewal import AHEAD_S, Renewal
from kiro2api.gateway.roster import Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.gateway.upkeep import FIRST_RETRY_S, Upkeep
from kiro2api.gateway.usage import UsagePolls
from kiro2api.pool.account import Condition, Standing
from kiro2api.pool.transitions import Fault
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import encode
from tests.support.fakes import (
    FakeChance,
    FakeClock,
    FakeStore,
    FakeTransfer,
    FakeUpstream,
    stored_account,
)

USAGE = {"usageBreakdownList": [{"resourceType": "CREDIT", "currentUsage": 1, "usageLimit": 50}]}


def healthy(call: HttpCall) -> FakeTransfer:
    if "getUsageLimits" in call.url:
        return FakeTransfer(200, encode(USAGE))
    if "ListAvailableModels" in call.url:
        return FakeTransfer(200, encode({"models": [{"modelId": "m"}]}))
    return FakeTransfer(200, encode({"accessToken": "new", "refreshToken": "r", "expiresIn": 3600}))


class Scene:
    """One account, its upkeep, and what went wrong."""

    def __init__(self, *, expires_in_s: float = 3600.0, enabled: bool = True) -> None:
        self.clock = FakeClock()
        token = AccessToken("old", self.clock.wall() + expires_in_s)
        self.store = FakeStore(stored_account(access_token=token, enabled=enabled))
        self.upstream = FakeUpstream(healthy)
        self.entry = make_entry(
            self.store.rows["a"], endpoints=Endpoints(), wall_to_monotonic_s=0.0
        )
        self.roster = Roster([self.entry])
        self.tasks = TaskOwner(lambda error: None)
        self.log = io.StringIO()
        logs.configure("debug", "json", stream=self.log)
        renewal = Renewal(
            upstream=self.upstream,
            store=self.store,
            roster=self.roster,
            tasks=self.tasks,
            clock=self.clock,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
            holder="this process",
        )
        control = ControlPlane(
            upstream=self.upstream,
            renewal=renewal,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
        )
        self.upkeep = Upkeep(
            roster=self.roster,
            renewal=renewal,
            profiles=Profiles(control=control, store=self.store, clock=self.clock),
            catalogue=Catalogue(control=control, store=self.store, clock=self.clock),
            usage=UsagePolls(
                control=control,
                store=self.store,
                roster=self.roster,
                clock=self.clock,
                chance=FakeChance(),
            ),
            store=self.store,
            tasks=self.tasks,
            clock=self.clock,
            chance=FakeChance(),
        )

    def round(self) -> list[str]:
        """Make one round; return what was called."""
        before = len(self.upstream.calls)

        async def once() -> None:
            self.upkeep._slots = asyncio.Semaphore(2)
            self.upkeep.start_round()
            await asyncio.gather(*self.tasks._tasks)
            await self.upkeep.save_verdicts()

        asyncio.run(once())
        return [call.url.rpartition("/")[2][:12] for call in self.upstream.calls[before:]]


def test_a_token_is_refreshed_before_it_ends() -> None:
    assert "refreshToken" in Scene(expires_in_s=AHEAD_S - 1).round()


def test_a_token_with_time_left_is_left_alone() -> None:
    assert "refreshToken" not in Scene(expires_in_s=AHEAD_S + 60).round()


def test_a_token_of_a_short_life_is_not_refreshed_without_end() -> None:
    scene = Scene(expires_in_s=-1)
    short = encode({"accessToken": "new", "refreshToken": "r", "expiresIn": 120})
    scene.upstream._answer = lambda call: (
        FakeTransfer(200, short) if "refreshToken" in call.url else healthy(call)
    )

    rounds = ["refreshToken" in scene.round(), "refreshToken" in scene.round()]
    scene.clock.advance(61)
    rounds.append("refreshToken" in scene.round())

    assert rounds == [True, False, True]


def test_a_list_of_models_that_stays_away_does_not_hold_up_the_refresh() -> None:
    scene = Scene(expires_in_s=AHEAD_S + 120)
    scene.upstream._answer = lambda call: (
        FakeTransfer(500) if "ListAvailableModels" in call.url else healthy(call)
    )
    scene.upkeep._failures["a"] = 20
    scene.round()
    scene.clock.advance(121)

    assert "refreshToken" in scene.round()


def test_the_list_of_models_is_fetched_at_the_start_and_kept() -> None:
    scene = Scene()

    first, second = scene.round(), scene.round()

    assert (first, second, scene.entry.listed) == (
        ["ListAvailabl", "getUsageLimi"],
        [],
        {"m"},
    )


def test_what_is_left_is_asked_for_and_kept_with_its_age() -> None:
    scene = Scene()

    scene.round()

    assert scene.entry.account.credits == 49.0
    assert scene.store.rows["a"].quota_fetched_at == scene.clock.wall()


def test_a_refused_question_about_usage_is_not_held_against_the_account() -> None:
    scene = Scene()
    refusal = encode({"message": "User is not authorized to make this call."})
    scene.upstream._answer = lambda call: (
        FakeTransfer(403, refusal) if "getUsageLimits" in call.url else healthy(call)
    )

    scene.round()

    assert scene.entry.account.condition == Condition()


def test_a_way_that_has_served_is_remembered() -> None:
    scene = Scene()
    scene.entry.proven_route = "placeholder/rest"

    scene.round()

    assert scene.store.rows["a"].route == "placeholder/rest"


def test_a_disabled_account_is_left_alone() -> None:
    assert Scene(expires_in_s=-1, enabled=False).round() == []


@pytest.mark.parametrize(
    "standing", [Standing.NEEDS_LOGIN, Standing.SUSPENDED, Standing.NOT_ENTITLED]
)
def test_an_account_that_waits_for_a_person_is_never_called(standing: Standing) -> None:
    scene = Scene(expires_in_s=-1)
    scene.entry.apply(Condition(standing=standing))

    assert scene.round() == []


def test_a_failure_is_told_and_tried_again_only_after_a_while() -> None:
    scene = Scene()
    scene.upstream._answer = lambda call: FakeTransfer(500)

    calls = [len(scene.round()), len(scene.round())]
    scene.clock.advance(FIRST_RETRY_S * 2)
    calls.append(len(scene.round()))

    assert calls == [1, 0, 1]
    assert scene.log.getvalue().count("models_fetch_failed") == 2


def test_a_verdict_worth_keeping_is_saved_in_wall_time() -> None:
    scene = Scene()
    fault = Fault(FaultKind.RATE_LIMITED, retry_after_s=600.0)
    scene.roster.record_fault(scene.entry, fault, now=scene.clock.monotonic(), jitter=0.0)

    scene.round()

    until = scene.store.conditions["a"].until
    assert until is not None
    assert until == pytest.approx(scene.clock.wall() + 600.0)


def test_a_verdict_whose_saving_is_cut_is_saved_at_the_end() -> None:
    scene = Scene()
    scene.roster.record_login_refused(scene.entry, "dead", now=scene.clock.monotonic())

    async def cut_off() -> None:
        save = scene.store.save_condition
        scene.store.save_condition = never  # type: ignore[method-assign]
        task = asyncio.create_task(scene.upkeep.save_verdicts())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        scene.store.save_condition = save  # type: ignore[method-assign]
        await scene.upkeep.save_verdicts()

    async def never(account_id: str, condition: Condition) -> None:
        await asyncio.Event().wait()

    asyncio.run(cut_off())

    assert scene.store.conditions["a"].standing is Standing.NEEDS_LOGIN


def test_a_verdict_that_could_not_be_saved_is_saved_in_the_next_round() -> None:
    scene = Scene()
    scene.roster.record_login_refused(scene.entry, "dead", now=scene.clock.monotonic())
    scene.store.is_away = True
    scene.round()
    scene.store.is_away = False

    scene.round()

    assert "store_write_failed" in scene.log.getvalue()
    assert scene.store.conditions["a"].standing is Standing.NEEDS_LOGIN


def test_a_bug_in_the_care_of_an_account_is_not_met_every_round() -> None:
    scene = Scene()

    def broken(call: HttpCall) -> FakeTransfer:
        raise KeyError("a bug")

    scene.upstream._answer = broken
    with pytest.raises(KeyError):
        scene.round()

    assert scene.round() == []


def test_a_verdict_is_known_for_ours_while_it_is_being_saved_and_after() -> None:
    scene = Scene()
    seen: list[set[str]] = []

    async def save(account_id: str, condition: Condition) -> None:
        seen.append(set(scene.roster.saving))

    scene.store.save_condition = save  # type: ignore[method-assign] # to look while it runs
    scene.roster.record_login_refused(scene.entry, "dead", now=scene.clock.monotonic())
    scene.round()

    assert seen == [{"a"}]
    assert scene.roster.saving == set()
    assert scene.entry.kept is not None
    assert scene.entry.kept.standing is Standing.NEEDS_LOGIN
