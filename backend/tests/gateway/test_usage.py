"""What accounts have left."""

import asyncio
import io

import pytest

from kiro2api import logs
from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.gateway.usage import MAX_AGE_S, SUSPICIOUS_STRIKES, UsagePolls
from kiro2api.pool.account import Condition, Standing
from kiro2api.pool.transitions import Fault
from kiro2api.protocol.wire.json import encode
from tests.support.fakes import FakeChance, FakeTransfer
from tests.support.scenes import ControlScene


def usage(used: float, *, resets_at: float | None = None, user: str = "") -> FakeTransfer:
    credit = {"resourceType": "CREDIT", "currentUsage": used, "usageLimit": 50}
    body: dict[str, object] = {"usageBreakdownList": [credit]}
    if resets_at is not None:
        body["nextDateReset"] = resets_at
    if user:
        body["userInfo"] = {"userId": user}
    return FakeTransfer(200, encode(body))


class Scene(ControlScene):
    """One account, and the polls of what it has left."""

    def __init__(self, answer) -> None:  # type: ignore[no-untyped-def] # as its parent
        super().__init__(answer)
        self.polls = UsagePolls(
            control=self.control,
            store=self.store,
            roster=self.roster,
            clock=self.clock,
            chance=FakeChance(),
        )

    def poll(self) -> None:
        asyncio.run(self.polls.poll(self.entry))

    def fault(self, kind: FaultKind, **more: float) -> None:
        fault = Fault(kind, **more)  # type: ignore[arg-type] # numbers by name
        self.roster.record_fault(self.entry, fault, now=self.clock.monotonic(), jitter=0.0)

    @property
    def condition(self) -> Condition:
        return self.entry.account.condition


def test_what_is_left_is_what_the_pool_chooses_by() -> None:
    scene = Scene(lambda call: usage(12.5))

    scene.poll()

    assert scene.entry.account.credits == 37.5


def test_numbers_are_asked_for_again_when_they_are_old() -> None:
    scene = Scene(lambda call: usage(1))
    unknown = scene.polls.is_due(scene.entry)
    scene.poll()
    fresh = scene.polls.is_due(scene.entry)
    scene.clock.advance(MAX_AGE_S + 1)

    assert (unknown, fresh, scene.polls.is_due(scene.entry)) == (True, False, True)


def test_a_drained_account_is_asked_about_at_once() -> None:
    scene = Scene(lambda call: usage(1))
    scene.poll()
    scene.clock.advance(MAX_AGE_S / 2)

    scene.fault(FaultKind.OUT_OF_QUOTA, resets_at=scene.clock.monotonic() + 9000)
    scene.clock.advance(1.0)

    assert scene.polls.is_due(scene.entry)


def test_a_drained_account_returns_when_the_upstream_says_that_its_quota_renews() -> None:
    scene = Scene(lambda call: usage(50, resets_at=scene.clock.wall() + 500))
    scene.fault(FaultKind.OUT_OF_QUOTA, resets_at=scene.clock.monotonic() + 9000)

    scene.poll()

    assert scene.condition.until == pytest.approx(scene.clock.monotonic() + 500)


def test_a_drained_account_whose_quota_has_renewed_is_put_back() -> None:
    scene = Scene(lambda call: usage(0))
    scene.fault(FaultKind.OUT_OF_QUOTA, resets_at=scene.clock.monotonic() + 9000)

    scene.poll()

    assert scene.condition.standing is Standing.READY


def test_rate_limits_in_a_row_without_credits_left_are_a_used_up_quota() -> None:
    scene = Scene(lambda call: usage(50, resets_at=scene.clock.wall() + 500))
    for _ in range(SUSPICIOUS_STRIKES):
        scene.fault(FaultKind.RATE_LIMITED, retry_after_s=1.0)
        scene.clock.advance(2.0)

    scene.poll()

    assert scene.condition.standing is Standing.DRAINED


def test_rate_limits_with_credits_left_stay_rate_limits() -> None:
    scene = Scene(lambda call: usage(1))
    for _ in range(SUSPICIOUS_STRIKES):
        scene.fault(FaultKind.RATE_LIMITED, retry_after_s=1.0)
        scene.clock.advance(2.0)

    scene.poll()

    assert scene.condition.standing is Standing.COOLING


@pytest.mark.parametrize("status", [403, 500])
def test_a_failed_question_changes_nothing_and_is_put_again_later(status: int) -> None:
    scene = Scene(lambda call: FakeTransfer(status))

    with pytest.raises(UpstreamError):
        scene.poll()

    assert scene.condition == Condition()
    assert scene.entry.account.credits is None
    assert not scene.polls.is_due(scene.entry)


def test_the_store_is_told_whose_the_account_is_and_the_numbers_do_not_name_the_user() -> None:
    scene = Scene(lambda call: usage(1, user="d-0000000000.user-1"))

    scene.poll()

    row = scene.store.rows["a"]
    assert row.user_id != ""
    assert b"user-1" not in row.quota


def test_a_second_login_of_one_user_is_told_to_be_the_same_account() -> None:
    scene = Scene(lambda call: usage(1, user="d-0000000000.user-1"))
    log = io.StringIO()
    logs.configure("info", "json", stream=log)

    async def merge(account_id: str, user_id: str) -> str | None:
        return "another"

    scene.store.set_user_id = merge  # type: ignore[method-assign] # as the real one answers then
    scene.poll()

    assert '"accounts_merged"' in log.getvalue()
