"""What is known of accounts is known after a restart as well, however the process ended."""

import time
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.gateway import MODEL, RunningGateway, StartGateway
from tests.support.talk import MIXED, WHOLE, Way, name_of

ENDS = ["stop", "kill"]
ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEFGHIJKL"
RUNTIME = "runtime.us-east-1.kiro.dev"
A_DAY_S = 86_400.0
# Each state is that of an account of its own, in the group of the same name.
STATES = ("cooling", "drained", "suspended", "not_entitled", "needs_login")


def end(gateway: RunningGateway, how: str) -> None:
    if how == "kill":
        gateway.kill()
    else:
        assert gateway.stop() == 0


def spoilt(emulator: RunningEmulator) -> list[dict[str, object]]:
    """Return the entries of one account for each state; the first request will put it there."""
    specs: dict[str, dict[str, Any]] = {
        "cooling": {},
        "drained": {"credits_limit": 1.0, "credits_used": 1.0, "resets_in_s": 3 * A_DAY_S},
        "suspended": {"state": "suspended"},
        "not_entitled": {"state": "not_entitled"},
        "needs_login": {},
    }
    accounts = [emulator.add_account(state, **specs[state]) for state in STATES]
    emulator.queue(account="cooling", error="credit_rate")
    return [account.auth_entry(name=account.name, group=account.name) for account in accounts]


def put_into_their_states(gateway: RunningGateway, emulator: RunningEmulator) -> None:
    gateway.wait_for(
        lambda: gateway.account("needs_login")["token_expires_at"] is not None, "a first token"
    )
    # The reset that the usage call tells is then known when the account drains.
    gateway.wait_for(lambda: gateway.account("drained")["quota"], "credits")
    emulator.change_account("needs_login", state="revoked")
    for state in STATES:
        gateway.messages(path=f"/{state}/v1/messages")


def verdicts(gateway: RunningGateway) -> dict[str, tuple[object, ...]]:
    """Return what the operator is told of each account, but for its times."""
    return {a["name"]: (a["standing"], a["reason"], a["usable"]) for a in gateway.accounts()}


def times(gateway: RunningGateway) -> list[float | None]:
    return [a[moment] for a in gateway.accounts() for moment in ("since", "until")]


def wait_until_all_is_kept(database: Database) -> None:
    """Return when the store has every verdict."""
    database.wait_for("SELECT count(condition) = 5 FROM accounts")


@pytest.mark.parametrize("how", ENDS)
def test_every_verdict_outlives_the_process_with_its_reason_and_its_times(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, how: str
) -> None:
    entries = spoilt(emulator)
    gateway = start_gateway(entries)
    put_into_their_states(gateway, emulator)
    wait_until_all_is_kept(database)
    before, moments = verdicts(gateway), times(gateway)
    end(gateway, how)
    emulator.forget_records()
    after = start_gateway(entries)

    assert {name: verdict[0] for name, verdict in before.items()} == {s: s for s in STATES}
    assert verdicts(after) == before
    assert times(after) == pytest.approx(moments, abs=2.0)


def test_no_account_that_is_out_is_asked_after_a_restart(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    entries = spoilt(emulator)
    gateway = start_gateway(entries)
    put_into_their_states(gateway, emulator)
    wait_until_all_is_kept(database)
    end(gateway, "kill")
    emulator.forget_records()
    after = start_gateway(entries)
    answers = {
        (state, way.dialect): way.ask(after, path=f"/{state}{way.path}").status
        for state in STATES
        for way in MIXED
    }

    assert emulator.generations() == []
    assert emulator.refreshes(account="needs_login") == []
    assert {status for (state, _), status in answers.items() if state in STATES[:2]} == {429}
    assert 200 not in answers.values()


@pytest.mark.parametrize("how", ENDS)
def test_a_refused_model_is_not_asked_for_again_after_a_restart(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, how: str
) -> None:
    accounts = [emulator.add_account(name) for name in ("one", "two")]
    gateway = start_gateway(accounts)
    emulator.queue(account="one", error="invalid_model")
    assert gateway.messages().status == 200
    database.wait_for("SELECT count(condition) FROM accounts")
    end(gateway, how)
    emulator.forget_records()
    after = start_gateway(accounts)

    assert after.account("one")["models_refused"] == [MODEL]
    assert after.account("one")["standing"] == "ready"
    assert [way.ask(after).status for way in MIXED] == [200, 200]
    assert [record.account for record in emulator.generations()] == ["two", "two"]


def test_a_rest_that_ends_while_the_program_is_down_is_over(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = emulator.add_account("one")
    gateway = start_gateway(account)
    emulator.queue(error="credit_rate")
    assert gateway.messages().status == 429
    database.wait_for("SELECT count(condition) FROM accounts")
    end(gateway, "stop")
    past = time.time() - 1.0
    database.ask("UPDATE accounts SET condition = json_set(condition, '$.until', ?)", past)
    after = start_gateway(account)

    assert after.account("one")["standing"] == "ready"
    assert [way.ask(after).status for way in MIXED] == [200, 200]


@pytest.mark.parametrize("how", ENDS)
def test_the_way_that_served_is_gone_again_after_a_restart(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, how: str
) -> None:
    arn = ARN.replace("eu-central-1", "us-east-1")
    account = emulator.add_account("one", profile_arn=arn)
    hosts = {f"KIRO_{plane}_ENDPOINT": emulator.host_url for plane in ("API", "SOCIAL", "OIDC")}
    emulator.set_host(RUNTIME, refuses=["rest"])
    gateway = start_gateway(account, **hosts)
    assert gateway.messages().status == 200
    database.wait_for("SELECT route = 'own/json10' FROM accounts")
    end(gateway, how)
    emulator.forget_records()
    after = start_gateway(account, **hosts)

    assert [way.ask(after).status for way in MIXED] == [200, 200]
    assert [(r.host, r.path) for r in emulator.generations()] == [(RUNTIME, "/")] * 2


@pytest.mark.parametrize("how", ENDS)
def test_a_profile_that_was_found_is_not_looked_for_again(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, how: str
) -> None:
    account = emulator.add_account("one", kind="idc", profile_arn=ARN)
    gateway = start_gateway(account)
    assert gateway.messages().status == 200
    database.wait_for("SELECT profile_arn != '' FROM accounts")
    end(gateway, how)
    emulator.forget_records()
    after = start_gateway(account)

    assert [way.ask(after).status for way in MIXED] == [200, 200]
    assert {r.body["profileArn"] for r in emulator.generations() if isinstance(r.body, dict)} == {
        ARN
    }
    assert emulator.records(operation="profiles") == []


def known(gateway: RunningGateway) -> tuple[object, ...]:
    account = gateway.account("one")
    return account["quota"], account["models"]


def settled(gateway: RunningGateway, database: Database) -> None:
    database.wait_for("SELECT quota_fetched_at > 0 AND models_fetched_at > 0 FROM accounts")
    assert None not in known(gateway)


@pytest.mark.parametrize("how", ENDS)
def test_credits_and_models_are_known_at_once_after_a_restart_without_a_call(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, how: str
) -> None:
    account = emulator.add_account("one", credits_used=12.5)
    gateway = start_gateway(account)
    settled(gateway, database)
    before = known(gateway)
    end(gateway, how)
    emulator.forget_records()
    after = start_gateway(account)

    assert known(after) == before
    assert after.account("one")["quota"]["remaining"] == 37.5
    assert after.messages().status == 200
    assert [r.operation for r in emulator.records() if r.operation != "generate"] == []


def aged(account: EmulatedAccount, database: Database, gateway: RunningGateway) -> float:
    """Stop the gateway and let an hour pass over what it knows; return when that was fetched."""
    settled(gateway, database)
    end(gateway, "stop")
    database.ask("UPDATE accounts SET quota_fetched_at = quota_fetched_at - 3600")
    fetched_at = database.account(account.name).quota_fetched_at
    return float(int(fetched_at))


def test_old_credits_are_shown_as_stale_while_the_upstream_tells_no_newer_ones(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = emulator.add_account("one")
    fetched_at = aged(account, database, start_gateway(account))
    emulator.queue(operation="usage", times=0, error="internal")
    after = start_gateway(account)
    after.wait_for(lambda: after.log_lines("usage_poll_failed"), "a failed poll")
    quota = after.account("one")["quota"]

    assert (quota["stale"], quota["fetched_at"]) == (True, fetched_at)
    assert [way.ask(after).status for way in WHOLE] == [200, 200]


def test_old_credits_are_asked_anew_in_the_background(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = emulator.add_account("one")
    fetched_at = aged(account, database, start_gateway(account))
    after = start_gateway(account)
    after.wait_for(lambda: not after.account("one")["quota"]["stale"], "new numbers")

    assert after.account("one")["quota"]["fetched_at"] > fetched_at + 3000
    assert emulator.generations() == []


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_verdict_that_another_process_ends_is_over_in_the_running_gateway(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, way: Way
) -> None:
    account = emulator.add_account("one", state="suspended")
    gateway = start_gateway(account)
    assert way.ask(gateway).status == 503
    database.wait_for("SELECT count(condition) FROM accounts")
    emulator.change_account("one", state="active")
    account_id = database.account("one").id
    database.work(lambda store: store.accounts.clear_condition(account_id))
    gateway.wait_for(lambda: gateway.account("one")["usable"], "the account back", within_s=3.0)

    assert way.ask(gateway).status == 200


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_verdict_of_one_process_holds_in_another_one_on_the_same_database(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    accounts = [emulator.add_account(name) for name in ("one", "two")]
    first, second = start_gateway(accounts), start_gateway(accounts)
    emulator.queue(account="one", error="credit_rate")
    assert way.ask(first).status == 200
    second.wait_for(
        lambda: second.account("one")["standing"] == "cooling", "the verdict", within_s=8.0
    )

    assert way.ask(second).status == 200
    assert [record.account for record in emulator.generations()] == ["one", "two", "two"]
    assert second.account("one")["until"] == pytest.approx(first.account("one")["until"], abs=2)
