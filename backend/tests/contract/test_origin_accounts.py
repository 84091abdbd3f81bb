"""Accounts as first described: where they come from, how they log in, what a restart does."""

import sys
from pathlib import Path
from typing import Any

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway
from tests.support.pairs import ADMIN, Pair


def names(gateway: RunningGateway) -> list[str]:
    return [account["name"] for account in gateway.accounts()]


def use_once(gateway: RunningGateway) -> str:
    """Return the account that served one request."""
    assert gateway.messages().status == 200
    return gateway.emulator.generations()[-1].account


# --------------------------------------------------------------------- where accounts come from


@pytest.fixture
def mixed(emulator: RunningEmulator) -> str:
    """Three accounts of both kinds, as a person writes them over many lines."""
    social = emulator.add_account("social")
    idc = emulator.add_account("idc", kind="idc")
    last = emulator.add_account("last")
    return f"""
[
  {{
    "auth": "Social",
    "refreshToken": "{social.refresh_token}"
  }},
  {{
    "auth": "IdC",
    "refreshToken": "{idc.refresh_token}",
    "clientId": "{idc.spec["client_id"]}",
    "clientSecret": "{idc.spec["client_secret"]}"
  }},
  {{
    "auth": "social",
    "refreshToken": "{last.refresh_token}",
    "disabled": false
  }}
]
"""


@pytest.mark.parametrize("form", ["value", "quotes kept", "file"])
def test_a_mixed_array_gives_its_accounts_in_order(
    start_gateway: StartGateway, tmp_path: Path, mixed: str, form: str
) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(mixed)
    # Some programs hand the quotes of a line `NAME='…'` on as part of the value.
    values = {"value": mixed, "quotes kept": f"'{mixed}'"}
    gateway = start_gateway(values.get(form, str(path)))

    assert [account["auth"] for account in gateway.accounts()] == ["Social", "IdC", "Social"]
    assert {account["group"] for account in gateway.accounts()} == {"default"}
    assert use_once(gateway) == "social"
    gateway.wait_until_settled()
    assert sorted(r.account for r in gateway.emulator.refreshes()) == ["idc", "last", "social"]


def test_the_same_array_may_stand_in_a_file_of_settings(
    start_gateway: StartGateway, tmp_path: Path, mixed: str
) -> None:
    """Named by `--env-file`; the quotes reach over many lines."""
    path = tmp_path / "settings.env"
    path.write_text(f"# my accounts\nKIRO_AUTH_TOKEN='{mixed}'\nKIRO_REGION=eu-west-1\n")
    command = (sys.executable, "-m", "kiro2api", "serve", "--env-file", str(path))
    gateway = start_gateway("", command=command)

    assert [account["auth"] for account in gateway.accounts()] == ["Social", "IdC", "Social"]


def cache_file(folder: Path, account: EmulatedAccount, **more: Any) -> Path:
    """Return a token file as the Kiro IDE leaves it."""
    path = folder / ".aws" / "sso" / "cache" / "kiro-auth-token.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "accessToken": "aoa-old",
        "refreshToken": account.refresh_token,
        "expiresAt": "2025-01-01T00:00:00.000Z",
    }
    path.write_bytes(json.encode(content | more))
    return path


def test_the_token_file_of_the_ide_gives_a_social_account(
    start_gateway: StartGateway, emulator: RunningEmulator, tmp_path: Path
) -> None:
    account = emulator.add_account("one")
    arn = account.profile_arn
    path = cache_file(tmp_path, account, authMethod="social", provider="Google", profileArn=arn)
    gateway = start_gateway(f"~/{path.relative_to(tmp_path)}")

    assert gateway.accounts()[0]["auth"] == "Social"
    assert use_once(gateway) == "one"


def test_the_token_file_of_the_ide_gives_an_idc_account_with_the_registration_beside_it(
    start_gateway: StartGateway, emulator: RunningEmulator, tmp_path: Path
) -> None:
    account = emulator.add_account("one", kind="builder_id")
    name = "5f3c1b0a9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"
    path = cache_file(
        tmp_path,
        account,
        authMethod="IdC",
        provider="BuilderId",
        clientIdHash=name,
        region="us-east-1",
    )
    registration = {
        "clientId": account.spec["client_id"],
        "clientSecret": account.spec["client_secret"],
        "expiresAt": "2026-01-01T00:00:00.000Z",
    }
    path.with_name(f"{name}.json").write_bytes(json.encode(registration))
    gateway = start_gateway(str(path))

    assert gateway.accounts()[0]["auth"] == "IdC"
    assert use_once(gateway) == "one"


def test_wrong_entries_are_logged_and_the_others_serve(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    good, idc = emulator.add_account("good"), emulator.add_account("idc", kind="idc")
    without_id = {"auth": "IdC", "refreshToken": idc.refresh_token, "clientSecret": "s"}
    without_secret = {"auth": "IdC", "refreshToken": idc.refresh_token, "clientId": "c"}
    clashes = [
        idc.auth_entry(group=group) for group in ("v1", "api", "health", "metrics", "assets")
    ]
    gateway = start_gateway([without_id, good.auth_entry(), without_secret, *clashes])
    skipped = gateway.log_lines("account_entry_skipped")

    assert [line["index"] for line in skipped] == [0, 2, 3, 4, 5, 6, 7]
    assert {line["level"] for line in skipped} == {"warning"}
    assert "clientId is missing" in skipped[0]["reason"]
    assert "clientSecret is missing" in skipped[1]["reason"]
    assert all("is reserved" in line["reason"] for line in skipped[2:])
    assert len(gateway.accounts()) == 1
    assert use_once(gateway) == "good"
    assert idc.refresh_token not in gateway.log_text()


# ------------------------------------------------------------------------------- how they log in


def test_both_kinds_of_login_are_refreshed_as_their_services_want(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway([emulator.add_account("one"), emulator.add_account("two", kind="idc")])
    gateway.wait_until_settled()
    [social] = emulator.refreshes(account="one")
    [idc] = emulator.refreshes(account="two")

    assert (social.method, social.path, social.query) == ("POST", "/refreshToken", {})
    assert social.body == {"refreshToken": "[refresh token 1 of one]"}
    assert (idc.method, idc.path, idc.query) == ("POST", "/token", {})
    assert idc.body == {
        "clientId": "client-two",
        "clientSecret": "[client secret of two]",
        "refreshToken": "[refresh token 1 of two]",
        "grantType": "refresh_token",
    }
    for record in (social, idc):
        assert record.headers["content-type"] == "application/json"
        assert record.headers["user-agent"].startswith("kiro2api/")
        assert "authorization" not in record.headers


def test_every_kind_of_login_serves(start_gateway: StartGateway, emulator: RunningEmulator) -> None:
    entries = []
    for kind in ("social", "builder_id", "idc"):
        account = emulator.add_account(kind, kind=kind)
        own_profile = {"profileArn": account.profile_arn} if kind == "idc" else {}
        entries.append(account.auth_entry(group=kind, **own_profile))
    gateway = start_gateway(entries)
    for group in ("social", "builder_id", "idc"):
        assert gateway.messages(path=f"/{group}/v1/messages").status == 200
        assert gateway.chat(path=f"/{group}/v1/chat/completions", stream=True).status == 200

    assert emulator.violations() == []


# ------------------------------------------------------------------------------ what a restart does


def test_a_changed_value_takes_effect_at_the_next_start(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    one, two, three = (emulator.add_account(name) for name in ("one", "two", "three"))
    first = start_gateway([one, two])
    assert names(first) == ["one", "two"]
    first.stop()

    second = start_gateway([three, two, one])
    assert names(second) == ["three", "two", "one"]
    assert use_once(second) == "three"
    second.stop()

    third = start_gateway([two])
    told = third.get("/api/tokens").json
    assert (told["total_tokens"], [token["name"] for token in told["tokens"]]) == (1, ["two"])
    assert use_once(third) == "two"


def test_a_rotated_login_outlives_a_restart_with_the_stale_one_in_the_settings(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    """The upstream takes every refresh token once; the settings still name the first one."""
    accounts = [
        emulator.add_account("one", rotation="strict", access_lifetime_s=1.0),
        emulator.add_account("two", kind="idc", rotation="strict", access_lifetime_s=1.0),
    ]
    for _ in range(2):
        gateway = start_gateway(accounts)
        gateway.wait_until_settled()
        assert names(gateway) == ["one", "two"]
        assert gateway.messages().status == 200
        assert gateway.stop() == 0

    told = [emulator.account(name) for name in ("one", "two")]
    assert [account.dead_token_uses for account in told] == [0, 0]
    assert all(account.refreshes >= 2 for account in told)


def test_a_new_login_of_an_account_is_taken_from_the_settings(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    """A login that died is replaced by another one, written in its place."""
    dead = {"auth": "Social", "refreshToken": "aor-" + "x" * 60, "name": "mine"}
    first = start_gateway([dead])
    assert first.messages().status == 503
    assert first.account("mine")["standing"] == "needs_login"
    assert first.log_lines("request_crashed") == []
    first.stop()

    alive = emulator.add_account("one")
    second = start_gateway([alive.auth_entry(name="mine")])
    assert use_once(second) == "one"
    assert names(second) == ["mine"]


# -------------------------------------------------------------------------------- what is told


def test_the_list_of_accounts_tells_totals_and_one_object_for_each(pair: Pair) -> None:
    pair.queue(pair.first, error="rate_plain")
    pair.gateway.chat(path=pair.path("/v1/chat/completions"))
    told = pair.gateway.get("/api/tokens").json
    by_name = {token["name"]: token for token in told["tokens"]}
    cooling, ready = by_name[pair.first], by_name[pair.second]

    assert told["total_tokens"] == len(told["tokens"]) == 128
    assert [ready[member] for member in ("standing", "reason", "until")] == ["ready", "", None]
    assert cooling["standing"] == "cooling"
    assert cooling["reason"]
    assert cooling["until"] > cooling["since"] > 1_700_000_000


def test_listing_the_accounts_asks_nobody(gateway: RunningGateway) -> None:
    for path in ("/api/tokens", "/api/tokens/", "/api/tokens?refresh=true"):
        assert gateway.get(path).status == 200

    assert gateway.emulator.records() == []


def test_the_list_of_accounts_opens_to_a_client_key_and_to_the_operators(pair: Pair) -> None:
    gateway = pair.gateway

    assert gateway.get("/api/tokens", key=None).status == 401
    assert gateway.get("/api/tokens", key="wrong").status == 401
    assert gateway.get("/api/tokens").status == 200
    assert gateway.get("/api/tokens", key=ADMIN).status == 200
    assert gateway.get("/api/tokens", key=None, headers={"x-api-key": ADMIN}).status == 200


def test_the_operators_key_opens_nothing_else(pair: Pair) -> None:
    assert pair.gateway.post("/v1/messages", b"{}", key=ADMIN).status == 401
    assert pair.gateway.get("/v1/models", key=ADMIN).status == 401


def test_the_list_of_accounts_shows_no_secret_and_no_address(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("one", kind="idc")
    arn = account.profile_arn
    gateway = start_gateway([account.auth_entry(name="someone@example.com", profileArn=arn)])
    assert gateway.messages().status == 200
    gateway.wait_until_settled()
    told = gateway.get("/api/tokens").body.decode()
    secrets = [
        account.refresh_token,
        emulator.account("one").access_token,
        account.spec["client_secret"],
        account.spec["client_id"],
        arn,
        "someone@example.com",
    ]

    assert [secret for secret in secrets if secret in told] == []
