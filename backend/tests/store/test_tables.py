"""The tables: what may lie in them in the open."""

from sqlalchemy import LargeBinary

from kiro2api.store.tables import ACCOUNTS, METADATA, SEALED


def test_the_columns_of_secrets_hold_sealed_bytes() -> None:
    assert {"refresh_token", "client_secret", "access_token", "api_key"} == set(SEALED)
    for name in SEALED:
        assert isinstance(ACCOUNTS.c[name].type, LargeBinary)


def test_digests_of_an_account_go_with_it() -> None:
    (reference,) = METADATA.tables["credential_digests"].foreign_keys

    assert reference.ondelete == "CASCADE"
