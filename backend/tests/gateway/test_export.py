"""Accounts as a file, and the way back."""

from kiro2api.gateway.export import is_export, write_export
from kiro2api.gateway.intake import Reading, read_entries
from kiro2api.gateway.ports import AccessToken, NewAccount, StoredAccount
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.protocol.wire.json import decode
from tests.support.fakes import stored_account

ACCOUNTS = [
    stored_account(
        "social", credential=Credential(AuthKind.SOCIAL, "secret-1", provider="Github"), soft_cap=3
    ),
    stored_account(
        "idc",
        group="pro",
        enabled=False,
        profile_arn="arn:aws:codewhisperer:eu-central-1:1:profile/A",
        access_token=None,
        credential=Credential(
            AuthKind.IDC,
            "secret-2",
            client_id="client",
            client_secret="secret-3",
            region="eu-west-1",
            start_url="https://acme.awsapps.com/start",
        ),
    ),
    stored_account(
        "builder",
        access_token=AccessToken("secret-4", 1_780_000_000.25),
        credential=Credential(
            AuthKind.BUILDER_ID, "secret-5", client_id="client", client_secret="secret-6"
        ),
    ),
    stored_account("key", credential=Credential(AuthKind.API_KEY, api_key="secret-7")),
    stored_account(
        "external",
        credential=Credential(
            AuthKind.EXTERNAL_IDP,
            "secret-8",
            client_id="theirs",
            token_endpoint="https://acme.okta.com/token",
            issuer_url="https://acme.okta.com",
            scopes=("openid", "offline_access"),
        ),
    ),
]


def test_every_kind_of_account_comes_back_as_it_was() -> None:
    document = decode(write_export(ACCOUNTS, with_secrets=True))

    intake = read_entries(document["accounts"], Reading())

    assert intake.problems == ()
    assert [brought(account) for account in ACCOUNTS] == intake.new_accounts(source="import")


def brought(account: StoredAccount) -> NewAccount:
    """Return the account as one that a person brings."""
    return NewAccount(
        name=account.name,
        group=account.group,
        enabled=account.enabled,
        credential=account.credential,
        profile_arn=account.profile_arn,
        source="import",
        access_token=account.access_token,
        soft_cap=account.soft_cap,
    )


def test_without_secrets_there_is_none_in_it() -> None:
    text = write_export(ACCOUNTS, with_secrets=False)

    assert b"secret-" not in text
    assert b"access-" not in text
    assert [entry["name"] for entry in decode(text)["accounts"]] == [a.name for a in ACCOUNTS]


def test_an_export_is_known_by_its_format() -> None:
    assert is_export(decode(write_export([], with_secrets=False)))
    assert not is_export({"accounts": []})
    assert not is_export([])
