"""Accounts whose month is used up: out until the credits renew, and back by themselves.

Case 10 of the field.
"""

import time

import pytest

from tests.support.database import Database
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway
from tests.support.talk import MIXED, WAYS, Way, name_of, read

A_DAY_S = 86_400.0


def spent(emulator: RunningEmulator, name: str, resets_in_s: float) -> EmulatedAccount:
    """Return an account without a credit left."""
    return emulator.add_account(
        name, credits_limit=10.0, credits_used=10.0, resets_in_s=resets_in_s
    )


def with_known_credits(gateway: RunningGateway) -> RunningGateway:
    gateway.wait_for(lambda: all(account["quota"] for account in gateway.accounts()), "credits")
    return gateway


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_pool_that_is_used_up_tells_when_its_first_account_renews(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    accounts = [spent(emulator, "one", 3 * A_DAY_S), spent(emulator, "two", 2 * A_DAY_S)]
    gateway = with_known_credits(start_gateway(accounts))
    answers = [way.ask(gateway) for _ in range(2)]

    assert [answer.status for answer in answers] == [429, 429]
    for answer in answers:
        assert int(answer.headers["retry-after"]) == pytest.approx(2 * A_DAY_S, abs=20)
    kind = "rate_limit_error" if way.dialect == "anthropic" else "insufficient_quota"
    assert read(answers[0]).error["type"] == kind
    assert [record.account for record in emulator.generations()] == ["one", "two"]


def test_a_used_up_account_is_passed_over_and_shown_with_the_reset_that_usage_tells(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    accounts = [spent(emulator, "one", 3 * A_DAY_S), emulator.add_account("two")]
    gateway = with_known_credits(start_gateway(accounts))

    assert [way.ask(gateway).status for way in MIXED] == [200, 200]
    assert [record.account for record in emulator.generations()] == ["one", "two", "two"]
    account = gateway.account("one")
    assert account["standing"] == "drained"
    assert account["until"] == pytest.approx(emulator.account("one").resets_at, abs=2)


def drained_until_soon(gateway: RunningGateway, emulator: RunningEmulator) -> None:
    """Return when the account is drained and the usage call, held so far, has told the reset."""
    assert gateway.messages().status == 429
    assert gateway.account("one")["until"] > time.time() + 60
    emulator.open_gate("usage")
    gateway.wait_for(
        lambda: (gateway.account("one")["until"] or 0) < time.time() + 60, "the reset as told"
    )


def test_a_used_up_account_returns_by_itself_when_its_credits_renew(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    emulator.queue(operation="usage", gate="usage")
    gateway = start_gateway(spent(emulator, "one", 4.0))
    drained_until_soon(gateway, emulator)
    gateway.wait_for(lambda: gateway.account("one")["usable"], "the account back")

    assert [way.ask(gateway).status for way in MIXED] == [200, 200]


def test_credits_that_renew_while_the_program_is_down_are_found_after_the_start(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = spent(emulator, "one", 5 * A_DAY_S)
    gateway = with_known_credits(start_gateway(account))
    assert gateway.messages().status == 429
    database.wait_for("SELECT count(condition) FROM accounts")
    gateway.kill()
    emulator.change_account("one", credits_used=0.0)
    after = start_gateway(account)
    after.wait_for(lambda: after.account("one")["usable"], "the account back")

    assert [way.ask(after).status for way in MIXED] == [200, 200]
