"""Two logins of one person are one account, found out by what the usage call tells."""

from typing import Any

import pytest

from tests.support.database import Database
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway
from tests.support.talk import MIXED

SAME: dict[str, Any] = {"usage": {"userInfo": {"userId": "d-0000000000.somebody"}}}


def logins(emulator: RunningEmulator) -> list[EmulatedAccount]:
    """Return two logins of one person, and one of another."""
    return [
        emulator.add_account("first", **SAME),
        emulator.add_account("second", kind="idc", **SAME),
        emulator.add_account("other"),
    ]


def names(gateway: RunningGateway) -> set[str]:
    return {account["name"] for account in gateway.accounts()}


def merged(gateway: RunningGateway) -> set[str]:
    """Return the names of the accounts that are left once two have become one."""
    gateway.wait_for(lambda: len(gateway.accounts()) == 2, "two accounts left")
    return names(gateway)


def test_two_logins_of_one_person_become_one_account_that_serves_on(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    gateway = start_gateway(logins(emulator))
    left = merged(gateway)
    (gone,) = {"first", "second"} - left

    assert "other" in left
    assert [way.ask(gateway).status for way in MIXED] == [200, 200]
    assert database.account(gone).removed.startswith("the same user as ")
    assert "d-0000000000" not in database.account(gone).user_id
    assert gateway.log_lines("accounts_merged")


def test_they_stay_one_account_after_a_restart_with_both_logins_in_the_configuration(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    accounts = logins(emulator)
    gateway = start_gateway(accounts)
    merged(gateway)
    ids = {account["id"] for account in gateway.accounts()}
    gateway.kill()
    after = start_gateway(accounts)

    assert {account["id"] for account in after.accounts()} == ids
    assert [way.ask(after).status for way in MIXED] == [200, 200]
    assert emulator.counters().dead_token_uses == 0


def test_a_second_login_of_a_person_whose_first_is_refused_takes_its_place(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    first = emulator.add_account("first", **SAME)
    gateway = start_gateway(first)
    database.wait_for("SELECT user_id != '' FROM accounts")
    gateway.kill()
    emulator.change_account("first", state="revoked")
    gateway = start_gateway(first)
    assert gateway.messages().status == 503
    assert gateway.account("first")["standing"] == "needs_login"
    database.wait_for("SELECT count(condition) FROM accounts")
    gateway.kill()
    second = emulator.add_account("second", kind="idc", **SAME)
    gateway = start_gateway([first, second])
    gateway.wait_for(lambda: len(gateway.accounts()) == 1, "one account left")
    gateway.wait_for(lambda: gateway.accounts()[0]["usable"], "the account back")

    assert names(gateway) == {"first"}
    assert [way.ask(gateway).status for way in MIXED] == [200, 200]
    assert {record.account for record in emulator.generations()[-2:]} == {"second"}


@pytest.mark.parametrize("second_group", ["pro"])
def test_the_same_person_in_two_groups_is_two_accounts(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, second_group: str
) -> None:
    first, second, _ = logins(emulator)
    gateway = start_gateway(
        [
            first.auth_entry(name="first"),
            second.auth_entry(name="second", group=second_group),
        ]
    )
    database.wait_for("SELECT count(*) = 2 FROM accounts WHERE user_id != ''")

    assert names(gateway) == {"first", "second"}
    assert [way.ask(gateway, path="/pro" + way.path).status for way in MIXED] == [200, 200]
