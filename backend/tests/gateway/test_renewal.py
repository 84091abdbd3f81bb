"""Access tokens that are always fresh."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from kiro2api.errors import FaultKind, StoreError, TransferError, UpstreamError
from kiro2api.gateway.ports import AccessToken
from kiro2api.gateway.renewal import Renewal, Unsaved
from kiro2api.gateway.roster import Entry, Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import decode, encode
from tests.support.fakes import FakeClock, FakeStore, FakeTransfer, FakeUpstream, stored_account


def refreshed(call: HttpCall, *, suffix: str = "'") -> FakeTransfer:
    """Answer like the login service: each refresh token is traded for its successor."""
    old = decode(call.body)["refreshToken"]
    body = {"accessToken": f"for {old}", "refreshToken": old + suffix, "expiresIn": 3600}
    return FakeTransfer(200, encode(body))


class Scene:
    """One account whose token has ended, and the renewal that looks after it."""

    def __init__(
        self,
        answer: Callable[[HttpCall], FakeTransfer | Exception] = refreshed,
        *,
        expires_in_s: float = -1.0,
    ) -> None:
        self.clock = FakeClock()
        token = AccessToken("old", self.clock.wall() + expires_in_s)
        self.store = FakeStore(stored_account(access_token=token))
        self.upstream = FakeUpstream(answer)
        self.entry: Entry = make_entry(
            self.store.rows["a"], endpoints=Endpoints(), wall_to_monotonic_s=0.0
        )
        self.renewal = Renewal(
            upstream=self.upstream,
            store=self.store,
            roster=Roster([self.entry]),
            tasks=TaskOwner(lambda error: None),
            clock=self.clock,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
            holder="this process",
        )

    def token(self) -> str:
        return asyncio.run(self.renewal.fresh_token(self.entry))

    @property
    def standing(self) -> Standing:
        return self.entry.account.condition.standing


def test_a_token_with_time_left_is_used_as_it_is() -> None:
    scene = Scene(expires_in_s=3600)

    assert (scene.token(), scene.upstream.calls) == ("old", [])


def test_an_expired_token_is_refreshed_before_it_is_used() -> None:
    assert Scene().token() == "for refresh-a"


def test_a_rotated_credential_is_in_the_store_when_its_token_is_first_used() -> None:
    scene = Scene()

    scene.token()

    row = scene.store.rows["a"]
    assert (row.credential.refresh_token, row.version) == ("refresh-a'", 2)


def test_a_refresh_that_gives_no_new_credential_keeps_the_old_one() -> None:
    answer = FakeTransfer(200, encode({"accessToken": "new", "expiresIn": 3600}))
    scene = Scene(lambda call: answer)

    scene.token()

    assert scene.store.rows["a"].credential.refresh_token == "refresh-a"


def test_many_waiters_share_one_refresh() -> None:
    scene = Scene()

    async def wait_together() -> list[str]:
        waiters = [scene.renewal.fresh_token(scene.entry) for _ in range(10)]
        return list(await asyncio.gather(*waiters))

    tokens = asyncio.run(wait_together())

    assert (set(tokens), len(scene.upstream.calls)) == ({"for refresh-a"}, 1)


def test_a_waiter_that_leaves_does_not_end_the_refresh_of_the_others() -> None:
    scene = Scene()

    async def leave_one() -> str:
        async with asyncio.TaskGroup() as group:
            leaver = group.create_task(scene.renewal.fresh_token(scene.entry))
            stayer = group.create_task(scene.renewal.fresh_token(scene.entry))
            await asyncio.sleep(0)
            leaver.cancel()
        return stayer.result()

    assert asyncio.run(leave_one()) == "for refresh-a"


def test_a_rejected_token_that_has_been_replaced_meanwhile_costs_no_refresh() -> None:
    scene = Scene(expires_in_s=3600)

    token = asyncio.run(scene.renewal.renew(scene.entry, rejected="older"))

    assert (token.value, scene.upstream.calls) == ("old", [])


def test_a_token_that_is_rejected_before_its_refresh_has_ended_is_refreshed_once_more() -> None:
    scene = Scene()
    release, gate = scene.store.release_lease, asyncio.Event()

    async def release_late(account_id: str, holder: str) -> None:
        await gate.wait()
        await release(account_id, holder)

    async def reject() -> str:
        scene.store.release_lease = release_late  # type: ignore[method-assign]
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.renewal.fresh_token(scene.entry))
            while scene.entry.token is None or scene.entry.token.value == "old":
                await asyncio.sleep(0)
            rejected = scene.entry.token.value
            again = group.create_task(scene.renewal.renew(scene.entry, rejected=rejected))
            await asyncio.sleep(0)
            gate.set()
        return again.result().value

    assert asyncio.run(reject()) == "for refresh-a'"


def test_a_rejected_token_is_refreshed_although_its_time_is_not_up() -> None:
    scene = Scene(expires_in_s=3600)

    token = asyncio.run(scene.renewal.renew(scene.entry, rejected="old"))

    assert token.value == "for refresh-a"


def test_a_refused_login_needs_a_person() -> None:
    refusal = FakeTransfer(400, encode({"error": "invalid_grant"}))
    scene = Scene(lambda call: refusal)

    with pytest.raises(UpstreamError) as caught:
        scene.token()

    assert (caught.value.kind, scene.standing) == (
        FaultKind.TOKEN_REJECTED,
        Standing.NEEDS_LOGIN,
    )


def test_a_refused_login_whose_credential_another_process_has_rotated_is_tried_again() -> None:
    scene = Scene()

    def answer(call: HttpCall) -> FakeTransfer:
        if decode(call.body)["refreshToken"] == "refresh-a":
            row = scene.store.rows["a"]
            rotated = Credential(AuthKind.SOCIAL, "from elsewhere")
            scene.store.rows["a"] = msgspec.structs.replace(row, credential=rotated, version=2)
            return FakeTransfer(401, encode({"message": "Bad credentials"}))
        return refreshed(call)

    scene.upstream._answer = answer

    assert (scene.token(), scene.standing) == ("for from elsewhere", Standing.READY)


def test_a_token_that_another_process_has_refreshed_is_adopted_without_a_call() -> None:
    scene = Scene()
    fresh = AccessToken("theirs", scene.clock.wall() + 3600)
    scene.store.rows["a"] = msgspec.structs.replace(
        scene.store.rows["a"], access_token=fresh, version=2
    )

    assert (scene.token(), scene.upstream.calls) == ("theirs", [])


@pytest.mark.parametrize(
    "failure",
    [TransferError("reset"), FakeTransfer(500), FakeTransfer(429), FakeTransfer(200, b"{broken")],
)
def test_a_passing_failure_is_tried_again_inside_the_waiting_request(
    failure: FakeTransfer | Exception,
) -> None:
    failures = [failure]
    scene = Scene(lambda call: failures.pop() if failures else refreshed(call))

    assert scene.token() == "for refresh-a"


def test_a_login_service_that_stays_away_keeps_the_account_out_for_a_second_at_most() -> None:
    scene = Scene(lambda call: TransferError("reset"))

    with pytest.raises(UpstreamError):
        scene.token()

    condition = scene.entry.account.condition
    assert condition.until is not None
    assert condition.until - scene.clock.monotonic() <= 1.0


def test_a_token_in_its_last_seconds_serves_while_the_login_service_is_away() -> None:
    scene = Scene(lambda call: TransferError("reset"), expires_in_s=30)

    assert scene.token() == "old"


def test_nothing_is_refreshed_while_the_database_is_away() -> None:
    scene = Scene()
    scene.store.is_away = True

    with pytest.raises(StoreError):
        scene.token()

    assert scene.upstream.calls == []


def test_a_rotation_that_could_not_be_saved_is_saved_later_and_not_made_twice() -> None:
    scene = Scene()
    scene.store.saves_fail = True
    with pytest.raises(StoreError):
        scene.token()
    scene.store.saves_fail = False

    assert scene.token() == "for refresh-a"
    assert len(scene.upstream.calls) == 1


def test_the_loser_of_a_race_uses_what_the_winner_has_saved() -> None:
    scene = Scene()

    def answer(call: HttpCall) -> FakeTransfer:
        row = scene.store.rows["a"]
        fresh = AccessToken("the winner's", scene.clock.wall() + 3600)
        scene.store.rows["a"] = msgspec.structs.replace(row, access_token=fresh, version=7)
        return refreshed(call)

    scene.upstream._answer = answer

    assert (scene.token(), scene.entry.version) == ("the winner's", 7)


def test_no_secret_of_a_rotation_that_waits_is_in_its_repr() -> None:
    assert repr(Unsaved(3, "secret", AccessToken("secret", 1.0), "arn")) == "Unsaved(3)"


def test_the_lease_is_given_back_after_the_refresh() -> None:
    scene = Scene()

    scene.token()

    assert scene.store.leases == {}


def test_while_another_process_holds_the_lease_its_refresh_is_waited_for_and_adopted() -> None:
    scene = Scene()
    scene.store.leases["a"] = ("another process", scene.clock.wall() + 10.0)
    looks = []
    prolong = scene.store.acquire_lease

    async def acquire(account_id: str, *, holder: str, now: float, for_s: float) -> bool:
        looks.append(now)
        if len(looks) == 3:
            row = scene.store.rows["a"]
            fresh = AccessToken("theirs", scene.clock.wall() + 3600)
            scene.store.rows["a"] = msgspec.structs.replace(row, access_token=fresh, version=2)
        return await prolong(account_id, holder=holder, now=now, for_s=for_s)

    scene.store.acquire_lease = acquire  # type: ignore[method-assign] # to act in between

    assert (scene.token(), scene.upstream.calls) == ("theirs", [])


def test_the_lease_of_a_process_that_died_ends_by_itself() -> None:
    scene = Scene()
    scene.store.leases["a"] = ("a dead process", scene.clock.wall() + 10.0)

    assert scene.token() == "for refresh-a"
    assert sum(scene.clock.slept) >= 10.0


def test_an_account_that_works_again_is_put_back() -> None:
    scene = Scene()
    scene.entry.apply(Condition(standing=Standing.NEEDS_LOGIN))

    scene.token()

    assert scene.standing is Standing.READY


def followed(scene: Scene, **changes: object) -> list[str]:
    """Let the account follow a file, whose look makes `changes`; return the paths looked at."""
    scene.entry.source = "follow:/home/someone/data.sqlite3"
    asked: list[str] = []

    async def follow(path: str) -> None:
        asked.append(path)
        if len(asked) == 1:
            scene.store.rows["a"] = msgspec.structs.replace(
                scene.store.rows["a"], version=2, **changes
            )

    scene.renewal._follow = follow
    return asked


def test_a_followed_file_is_looked_at_before_each_refresh() -> None:
    scene = Scene()
    asked = followed(scene, credential=Credential(AuthKind.SOCIAL, "from the other program"))

    assert scene.token() == "for from the other program"
    assert asked == ["/home/someone/data.sqlite3"]


def test_a_good_bearer_of_a_followed_file_is_used_and_nothing_rotated() -> None:
    scene = Scene()
    followed(scene, access_token=AccessToken("theirs", scene.clock.wall() + 3600))

    assert (scene.token(), scene.upstream.calls) == ("theirs", [])


def test_a_key_is_its_own_bearer_and_never_refreshed() -> None:
    scene = Scene()
    scene.entry.credential = Credential(AuthKind.API_KEY, api_key="ksk_something")

    assert (scene.token(), scene.upstream.calls) == ("ksk_something", [])
