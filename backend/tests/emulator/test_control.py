"""The control API."""

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import RunningEmulator
from tests.support.emulator_calls import fetch, generate, refresh


def test_it_tells_what_can_be_asked_for(emulator: RunningEmulator) -> None:
    info = emulator.info()

    assert "suspended" in info["errors"]
    assert "invalid_grant" in info["sign_in_errors"]
    assert "tool_interleaved" in info["scenarios"]


def test_an_account_is_added_with_what_it_needs(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", kind="idc", access_token="tok")

    assert account.auth_entry() == {
        "auth": "IdC",
        "refreshToken": account.refresh_token,
        "clientId": account.spec["client_id"],
        "clientSecret": account.spec["client_secret"],
    }
    assert account.access_token == "tok"


def test_an_account_of_the_same_name_is_replaced(emulator: RunningEmulator) -> None:
    emulator.add_account("a", email="old@example.com")
    emulator.add_account("a", email="new@example.com")

    assert emulator.account("a").spec["email"] == "new@example.com"


def test_an_account_changes_while_it_is_used(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok")
    before = generate(emulator, account).status
    emulator.change_account("a", state="suspended")

    assert (before, generate(emulator, account).status) == (200, 403)


def test_the_accounts_are_listed(emulator: RunningEmulator) -> None:
    emulator.add_account("a")
    emulator.add_account("b")

    listed = fetch(emulator, "GET", "/_emulator/accounts").json
    assert [account["spec"]["name"] for account in listed] == ["a", "b"]


def test_records_can_be_chosen_and_forgotten(emulator: RunningEmulator) -> None:
    for name in "ab":
        refresh(emulator, emulator.add_account(name).refresh_token)
    chosen = emulator.refreshes(account="b")
    fetch(emulator, "GET", "/nowhere")
    emulator.forget_records()

    assert [record.account for record in chosen] == ["b"]
    assert (emulator.records(), emulator.violations()) == ([], [])


def test_the_queue_can_be_cleared(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok")
    emulator.queue(error="internal")
    emulator.clear_queue()

    assert generate(emulator, account).status == 200


def test_the_clock_moves(emulator: RunningEmulator) -> None:
    before = emulator.counters().now
    emulator.advance_clock(1000.0)

    assert 1000.0 <= emulator.counters().now - before < 1010.0


def test_control_calls_are_no_records(emulator: RunningEmulator) -> None:
    emulator.info()

    assert emulator.records() == []


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("GET", "elsewhere", None, 404),
        ("PUT", "accounts", b"{}", 404),
        ("POST", "accounts", b"{}", 400),
        ("POST", "accounts", b'{"name":"a","colour":1}', 400),
        ("POST", "accounts", b"{", 400),
        ("GET", "accounts/nobody", None, 400),
        ("PATCH", "accounts/nobody", b"{}", 400),
        ("POST", "behaviours", b'{"error":"no such"}', 400),
        ("POST", "rules", b'{"rules":{"R99":true}}', 400),
        ("POST", "rules", b'{"profile":"tomorrow"}', 400),
        ("POST", "clock", b"{}", 400),
        ("POST", "hosts", b'{"name":"example.com"}', 400),
        ("POST", "hosts", b'{"refuses":["grpc"]}', 400),
        ("POST", "signin", b'{"person":"nobody"}', 400),
        ("POST", "consents", b'{"account":"nobody","user_code":"ABCD-1234"}', 400),
        ("POST", "consents", b'{"account":"nobody","url":"http://x/authorize"}', 400),
    ],
)
def test_mistakes_of_the_test_itself_are_told(
    emulator: RunningEmulator, method: str, path: str, data: bytes | None, status: int
) -> None:
    reply = fetch(emulator, method, f"/_emulator/{path}", data)

    assert reply.status == status
    assert reply.json["error"]


def test_refreshes_and_dead_tokens_are_counted_over_all_accounts(
    emulator: RunningEmulator,
) -> None:
    accounts = [emulator.add_account(name) for name in ("a", "b")]
    for account in accounts:
        refresh(emulator, account.refresh_token)
    refresh(emulator, accounts[0].refresh_token)
    found = emulator.counters()

    assert (found.refreshes, found.max_parallel_refreshes, found.dead_token_uses) == (2, 1, 1)


def test_an_external_account_tells_its_issuer(emulator: RunningEmulator) -> None:
    accounts = [emulator.add_account(kind, kind=kind) for kind in ("external_idp", "idc")]

    assert [account.issuer_url for account in accounts] == [f"{emulator.url}/idp/external_idp", ""]


def test_a_change_of_its_registration_counts_from_now(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", kind="idc")
    emulator.change_account("a", registration_lifetime_s=0)
    sent = {
        "clientId": account.spec["client_id"],
        "clientSecret": account.spec["client_secret"],
        "refreshToken": account.refresh_token,
        "grantType": "refresh_token",
    }

    assert fetch(emulator, "POST", "/token", json.encode(sent)).json["error"] == "invalid_client"
