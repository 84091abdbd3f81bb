"""Kinds of accounts beside the first two: API keys, and logins of other identity providers."""

import pytest

from tests.support.database import Database
from tests.support.emulator import RunningEmulator
from tests.support.gateway import StartGateway
from tests.support.talk import MIXED

TRUST = {"KIRO_IDP_HOSTS": "127.0.0.1"}


def token_types(emulator: RunningEmulator) -> dict[str, set[str]]:
    """Return the types of token that each kind of call has named."""
    return {
        operation: {
            record.headers.get("tokentype", "") for record in emulator.records(operation=operation)
        }
        for operation in ("generate", "models", "usage")
    }


def everywhere(token_type: str) -> dict[str, set[str]]:
    return {operation: {token_type} for operation in ("generate", "models", "usage")}


@pytest.mark.parametrize(
    ("kind", "token_type"), [("api_key", "API_KEY"), ("external_idp", "EXTERNAL_IDP")]
)
@pytest.mark.parametrize("shape", ["nested", "flat"])
def test_every_call_of_the_account_names_the_type_of_its_token(
    start_gateway: StartGateway,
    emulator: RunningEmulator,
    database: Database,
    kind: str,
    token_type: str,
    shape: str,
) -> None:
    gateway = start_gateway(emulator.add_account("one", kind=kind, profile_shape=shape), **TRUST)
    statuses = [way.ask(gateway).status for way in MIXED]
    database.wait_for("SELECT quota_fetched_at > 0 AND models_fetched_at > 0 FROM accounts")

    assert statuses == [200, 200]
    assert token_types(emulator) == everywhere(token_type)
    assert emulator.violations() == []
    assert database.account("one").profile_arn == emulator.account("one").profile_arn


def test_an_api_key_is_the_bearer_and_nothing_is_refreshed(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("one", kind="api_key")
    gateway = start_gateway(account)
    emulator.advance_clock(86_400.0)

    assert [way.ask(gateway).status for way in MIXED] == [200, 200]
    assert emulator.refreshes() == []
    assert account.access_token.startswith("ksk_")
    assert account.access_token not in gateway.log_text()


def test_an_api_key_that_is_revoked_needs_a_person(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    key = emulator.add_account("key", kind="api_key")
    gateway = start_gateway([key, emulator.add_account("two")])
    assert gateway.messages().status == 200
    emulator.change_account("key", state="revoked")

    assert [way.ask(gateway).status for way in MIXED] == [200, 200]
    assert emulator.generations()[-1].account == "two"
    assert gateway.account("key")["standing"] == "needs_login"


def test_a_login_of_another_provider_is_refreshed_there_and_rotated(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = emulator.add_account("one", kind="external_idp")
    gateway = start_gateway(account, **TRUST)
    assert gateway.messages().status == 200
    emulator.advance_clock(7200.0)

    assert gateway.chat().status == 200
    assert {record.path for record in emulator.refreshes()} == {"/idp/one/token"}
    now = emulator.account("one")
    assert database.account("one").credential.refresh_token == now.refresh_token
    assert now.dead_token_uses == 0


def test_no_secret_goes_to_a_provider_that_nobody_trusts(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    accounts = [emulator.add_account("one", kind="external_idp"), emulator.add_account("two")]
    gateway = start_gateway(accounts)

    assert [way.ask(gateway).status for way in MIXED] == [200, 200]
    assert emulator.refreshes(account="one") == []
    assert {record.account for record in emulator.generations()} == {"two"}
    assert "is not trusted" in gateway.account("one")["reason"]
