"""Whether the program lives, and whether it can serve."""

from typing import Any

import pytest

from kiro2api.pool.account import Condition, Standing
from tests.support.asgi import Caller, Plane
from tests.support.fakes import stored_account

LATER = 10_000.0


def readiness(*conditions: Condition, draining: bool = False, **changes: Any) -> Caller:
    rows = [stored_account(str(i), position=i, **changes) for i in range(len(conditions))]
    plane = Plane(accounts=rows)
    for entry, condition in zip(plane.roster.entries(), conditions, strict=True):
        entry.apply(condition)
    plane.app.draining = draining
    return plane.call("GET", "/readyz", key="")


def test_the_program_lives_without_any_account() -> None:
    answer = Plane(accounts=()).call("GET", "/health", key="")

    assert (answer.status, answer.json) == (200, {"status": "ok", "version": "1.2.3"})


def test_it_is_ready_with_an_account_that_can_serve() -> None:
    answer = readiness(Condition(), Condition(Standing.SUSPENDED))

    assert answer.status == 200
    assert answer.json == {"status": "ok", "reason": "", "accounts": 2, "usable": 1}


def test_it_is_not_ready_without_an_account_and_says_what_to_do() -> None:
    answer = readiness()

    assert answer.status == 503
    assert "KIRO_AUTH_TOKEN" in answer.json["reason"]


@pytest.mark.parametrize(
    "condition",
    [
        Condition(Standing.COOLING, until=LATER),
        Condition(Standing.DRAINED, until=LATER),
        Condition(Standing.NEEDS_LOGIN),
        Condition(Standing.SUSPENDED),
    ],
    ids=lambda c: c.standing,
)
def test_it_is_not_ready_while_every_account_is_out(condition: Condition) -> None:
    assert readiness(condition).status == 503


def test_it_is_not_ready_while_every_account_is_disabled() -> None:
    assert readiness(Condition(), enabled=False).status == 503


def test_an_account_that_rests_for_a_soft_reason_still_serves() -> None:
    assert readiness(Condition(soft_strikes=2, soft_until=LATER)).status == 200


def test_it_is_not_ready_when_it_stops() -> None:
    answer = readiness(Condition(), draining=True)

    assert (answer.status, answer.json["reason"]) == (503, "stopping")
