"""How groups choose, set in the store while the gateway runs: strategies, stickiness, soft caps.

Case 24 of the field.
"""

import threading
import time
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.emulator import RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway, anthropic_body
from tests.support.talk import MIXED, WHOLE, Way, name_of, read

NAMES = ("one", "two", "three")
STICKING = ["round_robin", "least_in_flight"]
# The gateway looks at the store each second.
NOTICED_S = 1.3


def chosen(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, **settings: Any
) -> RunningGateway:
    """Return a gateway of three accounts whose group was set after its start."""
    accounts = [emulator.add_account(name, access_lifetime_s=86_400) for name in NAMES]
    gateway = start_gateway(accounts)
    gateway.wait_until_settled()
    database.set_group("default", **settings)
    time.sleep(NOTICED_S)
    return gateway


def talk(gateway: RunningGateway, way: Way, topic: str, turns: int = 3, **more: Any) -> list[str]:
    """Hold a conversation that grows; return the account of each turn."""
    messages: list[dict[str, object]] = []
    served = []
    for turn in range(turns):
        said = f"{topic}, turn {turn}"
        messages.append({"role": "user", "content": said})
        told = read(way.ask(gateway, messages=messages, **more))
        assert told.error is None
        messages.append({"role": "assistant", "content": told.text})
        served.append(gateway.emulator.generations()[-1].account)
    return served


@pytest.mark.parametrize("strategy", STICKING)
@pytest.mark.parametrize("way", MIXED, ids=name_of)
def test_conversations_stay_on_their_accounts_and_spread_over_all_of_them(
    start_gateway: StartGateway,
    emulator: RunningEmulator,
    database: Database,
    strategy: str,
    way: Way,
) -> None:
    gateway = chosen(start_gateway, emulator, database, strategy=strategy)
    talks = [talk(gateway, way, f"On subject {number}") for number in range(12)]

    assert [len(set(served)) for served in talks] == [1] * 12
    assert {served[0] for served in talks} == set(NAMES)


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_the_session_that_a_client_names_stays_though_its_words_change(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, way: Way
) -> None:
    """As after a compaction: another first message, the same session."""
    gateway = chosen(start_gateway, emulator, database, strategy="round_robin")

    def named(session: str) -> dict[str, object]:
        if way.dialect == "chat":
            return {"prompt_cache_key": session}
        return {"metadata": {"user_id": f"user_abc_account__session_{session}"}}

    sessions = [f"00000000-0000-4000-8000-{number:012d}" for number in range(8)]
    served = [
        [
            account
            for words in ("First words", "A summary instead")
            for account in talk(gateway, way, words, turns=1, **named(session))
        ]
        for session in sessions
    ]

    assert [len(set(accounts)) for accounts in served] == [1] * 8
    assert len({accounts[0] for accounts in served}) > 1


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_conversation_leaves_an_account_that_is_out_and_comes_back_to_it(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, way: Way
) -> None:
    gateway = chosen(start_gateway, emulator, database, strategy="round_robin")
    (home,) = talk(gateway, way, "Home", turns=1)
    emulator.queue(account=home, error="user_rate")
    (away,) = talk(gateway, way, "Home", turns=1)
    gateway.wait_for(lambda: gateway.account(home)["usable"], "the account back")

    assert away != home
    assert talk(gateway, way, "Home", turns=1) == [home]


def test_the_strategy_that_is_set_while_running_lasts_over_a_restart(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    gateway = chosen(start_gateway, emulator, database, strategy="round_robin")
    served = [talk(gateway, MIXED[0], f"On {number}", turns=1) for number in range(6)]
    gateway.kill()
    after = start_gateway([emulator.account(name) for name in NAMES])

    assert [talk(after, MIXED[0], f"On {number}", turns=1) for number in range(6)] == served
    database.set_group("default", strategy="sequential")
    time.sleep(NOTICED_S)
    assert {talk(after, MIXED[0], f"On {number}", turns=1)[0] for number in range(6)} == {"one"}


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_the_account_with_the_most_credits_serves(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, way: Way
) -> None:
    for name, used in zip(NAMES, (40.0, 10.0, 30.0), strict=True):
        emulator.add_account(name, credits_used=used, credits_per_call=0.0)
    gateway = start_gateway([emulator.account(name) for name in NAMES])
    gateway.wait_for(lambda: all(account["quota"] for account in gateway.accounts()), "credits")
    database.set_group("default", strategy="most_credits")
    time.sleep(NOTICED_S)

    assert talk(gateway, way, "Rich", turns=2) == ["two", "two"]


@pytest.mark.parametrize("of", ["group", "account"])
def test_what_is_above_a_soft_cap_goes_to_the_next_account_and_is_never_refused(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, of: str
) -> None:
    gateway = chosen(start_gateway, emulator, database, soft_cap=1 if of == "group" else 0)
    if of == "account":
        account_id = database.account("one").id
        database.work(lambda store: store.accounts.edit(account_id, soft_cap=1))
        time.sleep(NOTICED_S)
    count = 4 if of == "group" else 2
    emulator.queue(gate="all", times=count)
    statuses: list[int] = []
    clients = []
    for number in range(count):
        client = threading.Thread(target=lambda: statuses.append(gateway.messages().status))
        client.start()
        clients.append(client)
        emulator.wait_for(lambda n=number: len(emulator.generations()) > n, what="one more call")
    emulator.open_gate("all")
    for client in clients:
        client.join()

    assert statuses == [200] * count
    expected = ["one", "two", "three", "one"] if of == "group" else ["one", "two"]
    assert [record.account for record in emulator.generations()] == expected


def test_a_group_that_is_set_leaves_the_others_as_they_are(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    entries = [
        emulator.add_account(f"{group}-{name}").auth_entry(name=f"{group}-{name}", group=group)
        for group in ("default", "pro")
        for name in ("one", "two")
    ]
    gateway = start_gateway(entries)
    database.set_group("pro", strategy="round_robin")
    time.sleep(NOTICED_S)
    for number in range(8):
        for path in ("/v1/messages", "/pro/v1/messages"):
            assert gateway.post(path, anthropic_body(f"On {number}")).status == 200
    served = [record.account for record in emulator.generations()]

    assert {name for name in served if name.startswith("default")} == {"default-one"}
    assert {name for name in served if name.startswith("pro")} == {"pro-one", "pro-two"}
