"""Changes that other processes make in the store."""

import asyncio

import msgspec

from kiro2api.errors import FaultKind
from kiro2api.gateway.ports import AccessToken
from kiro2api.gateway.reload import Reload
from kiro2api.gateway.roster import shifted
from kiro2api.pool.account import Condition, Standing
from kiro2api.pool.transitions import Fault
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from tests.support.fakes import FakeTransfer, stored_account
from tests.support.scenes import ControlScene


class Scene(ControlScene):
    """One account in the pool, and the eye on the store."""

    def __init__(self) -> None:
        super().__init__(lambda call: FakeTransfer(500))
        self.told = 0
        self.reload = Reload(
            roster=self.roster,
            store=self.store,
            clock=self.clock,
            endpoints=Endpoints(),
            others=(self._tell,),
        )

    async def _tell(self) -> None:
        self.told += 1

    def look(self) -> None:
        asyncio.run(self.reload.look())

    def change(self, **members: object) -> None:
        """Change the account in the store, as another process would."""
        self.store.rows["a"] = msgspec.structs.replace(self.store.rows["a"], **members)
        self.store.changes += 1


def test_nothing_is_read_while_the_revision_stands() -> None:
    scene = Scene()
    scene.look()

    scene.look()

    assert scene.told == 1


def test_an_account_that_was_added_joins_the_pool() -> None:
    scene = Scene()
    scene.store.rows["b"] = stored_account("b", position=1)

    scene.look()

    assert [entry.id for entry in scene.roster.entries()] == ["a", "b"]


def test_an_account_that_was_removed_leaves_the_pool() -> None:
    scene = Scene()
    del scene.store.rows["a"]

    scene.look()

    assert scene.roster.entries() == []


def test_what_a_person_sets_acts_on_the_account_as_it_is() -> None:
    scene = Scene()
    scene.entry.hold(+1)
    scene.change(enabled=False, group="pro", name="new", soft_cap=2, position=5)

    scene.look()

    account = scene.entry.account
    assert (account.enabled, account.group, account.name) == (False, "pro", "new")
    assert (account.soft_cap, account.position, account.in_flight) == (2, 5, 1)


def test_a_credential_of_another_process_is_taken_over() -> None:
    scene = Scene()
    token = AccessToken("theirs", scene.clock.wall() + 3600)
    scene.change(version=2, access_token=token)

    scene.look()

    assert scene.entry.token == token


def test_a_verdict_that_a_person_clears_is_over() -> None:
    scene = Scene()
    scene.roster.record_login_refused(scene.entry, "dead", now=scene.clock.monotonic())
    offset_s = scene.clock.wall() - scene.clock.monotonic()
    scene.entry.kept = shifted(scene.entry.account.condition, offset_s)
    scene.change(condition=scene.entry.kept)
    scene.look()
    scene.change(condition=None)

    scene.look()

    assert scene.entry.account.condition.standing is Standing.READY


def test_a_verdict_of_ours_that_is_not_saved_yet_stays() -> None:
    scene = Scene()
    scene.look()
    fault = Fault(FaultKind.RATE_LIMITED, retry_after_s=600.0)
    scene.roster.record_fault(scene.entry, fault, now=scene.clock.monotonic(), jitter=0.0)
    scene.change(name="new")

    scene.look()

    assert scene.entry.account.condition.standing is Standing.COOLING


def test_a_verdict_of_another_process_keeps_its_time_on_our_clock() -> None:
    scene = Scene()
    wall = scene.clock.wall()
    scene.change(condition=Condition(standing=Standing.DRAINED, since=wall, until=wall + 100))

    scene.look()

    until = scene.entry.account.condition.until
    assert until == scene.clock.monotonic() + 100


def test_a_verdict_that_is_saved_while_the_store_is_read_stays() -> None:
    scene = Scene()
    scene.look()
    fault = Fault(FaultKind.RATE_LIMITED, retry_after_s=600.0)
    scene.roster.record_fault(scene.entry, fault, now=scene.clock.monotonic(), jitter=0.0)
    scene.change(name="new")

    def save() -> None:
        offset_s = scene.clock.wall() - scene.clock.monotonic()
        scene.entry.kept = shifted(scene.entry.account.condition, offset_s)
        scene.change(condition=scene.entry.kept)

    scene.store.while_reading = save
    scene.look()

    assert scene.entry.account.condition.standing is Standing.COOLING
    scene.look()
    assert scene.entry.account.condition.standing is Standing.COOLING


def test_a_credential_that_is_saved_while_the_store_is_read_stays() -> None:
    scene = Scene()
    scene.look()
    scene.change(name="new")

    def rotate() -> None:
        token = AccessToken("ours", scene.clock.wall() + 3600)
        scene.change(version=scene.entry.version + 1, access_token=token)
        scene.entry.adopt(scene.store.rows["a"])

    scene.store.while_reading = rotate
    scene.look()

    assert scene.entry.token is not None
    assert scene.entry.token.value == "ours"


def test_a_verdict_that_is_being_saved_stays_and_the_store_is_read_again() -> None:
    scene = Scene()
    scene.look()
    fault = Fault(FaultKind.RATE_LIMITED, retry_after_s=600.0)
    scene.roster.record_fault(scene.entry, fault, now=scene.clock.monotonic(), jitter=0.0)
    wall = scene.clock.wall()
    scene.change(condition=Condition(standing=Standing.SUSPENDED, since=wall))
    scene.roster.saving.add("a")
    scene.look()
    before = scene.entry.account.condition.standing
    scene.roster.saving.discard("a")

    scene.look()

    assert before is Standing.COOLING
    assert scene.entry.account.condition.standing is Standing.SUSPENDED


def test_a_login_that_another_process_has_renewed_ends_the_refusal_of_the_one_before() -> None:
    scene = Scene()
    scene.look()
    scene.roster.record_login_refused(scene.entry, "dead", now=scene.clock.monotonic())
    offset_s = scene.clock.wall() - scene.clock.monotonic()
    scene.entry.kept = shifted(scene.entry.account.condition, offset_s)
    scene.change(version=2, condition=scene.entry.kept)

    scene.look()

    assert scene.entry.account.condition.standing is Standing.READY
    assert "a" in scene.roster.changed
