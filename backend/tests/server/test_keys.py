"""Who may call."""

import pytest

from kiro2api.secrets import KeyRing
from kiro2api.server.keys import ClientKey, ClientKeys, presented_keys

SECRETS = KeyRing(["a secret of sixteen characters"])
PURPOSE = "client key"


def ring(*keys: str) -> ClientKeys:
    known = [ClientKey(f"key {key}", SECRETS.digest(PURPOSE, key)) for key in keys]
    return ClientKeys(lambda shown: SECRETS.digests(PURPOSE, shown), known)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer 123456"},
        {"authorization": "bearer 123456"},
        {"authorization": "BEARER   123456 "},
        {"x-api-key": "123456"},
        {"x-api-key": "123456", "authorization": "Bearer wrong"},
        {"x-api-key": "wrong", "authorization": "Bearer 123456"},
    ],
)
def test_a_valid_key_opens_in_either_header(headers: dict[str, str]) -> None:
    assert ring("123456").holder(headers) == "key 123456"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Basic 123456"},
        {"authorization": "123456"},
        {"x-api-key": ""},
        {"x-api-key": "12345"},
        {"x-api-key": "1234567"},
        {"x-api-key": "é"},
    ],
)
def test_anything_else_does_not_open(headers: dict[str, str]) -> None:
    assert ring("123456").holder(headers) is None


def test_without_keys_nothing_opens() -> None:
    assert ring().holder({"x-api-key": ""}) is None


def test_each_key_is_known_by_its_own_name() -> None:
    assert ring("one", "two").holder({"x-api-key": "two"}) == "key two"


def test_a_key_known_under_an_older_secret_still_opens() -> None:
    old, both = (
        KeyRing(["old secret of 16 or more"]),
        KeyRing(["x" * 20, "old secret of 16 or more"]),
    )
    known = [ClientKey("k", old.digest(PURPOSE, "123456"))]
    keys = ClientKeys(lambda shown: both.digests(PURPOSE, shown), known)

    assert keys.holder({"x-api-key": "123456"}) == "k"


def test_the_bearer_is_looked_at_first() -> None:
    assert presented_keys({"authorization": "Bearer a", "x-api-key": "b"}) == ["a", "b"]
