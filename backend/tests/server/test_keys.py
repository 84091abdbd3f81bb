"""Who may call."""

import pytest

from kiro2api.errors import RequestError
from kiro2api.secrets import KeyRing
from kiro2api.server.keys import ClientKey, ClientKeys, presented_keys, require_model

SECRETS = KeyRing(["a secret of sixteen characters"])
PURPOSE = "client key"
NOW = 1000.0


def ring(*keys: str) -> ClientKeys:
    known = [ClientKey(f"key {key}", SECRETS.digest(PURPOSE, key)) for key in keys]
    return ClientKeys(lambda shown: SECRETS.digests(PURPOSE, shown), known, wall=lambda: NOW)


def name_of(keys: ClientKeys, headers: dict[str, str]) -> str | None:
    key = keys.holder(headers)
    return None if key is None else key.id


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
    assert name_of(ring("123456"), headers) == "key 123456"


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
    assert name_of(ring("one", "two"), {"x-api-key": "two"}) == "key two"


def test_a_key_known_under_an_older_secret_still_opens() -> None:
    old, both = (
        KeyRing(["old secret of 16 or more"]),
        KeyRing(["x" * 20, "old secret of 16 or more"]),
    )
    known = [ClientKey("k", old.digest(PURPOSE, "123456"))]
    keys = ClientKeys(lambda shown: both.digests(PURPOSE, shown), known, wall=lambda: NOW)

    assert name_of(keys, {"x-api-key": "123456"}) == "k"


def test_the_bearer_is_looked_at_first() -> None:
    assert presented_keys({"authorization": "Bearer a", "x-api-key": "b"}) == ["a", "b"]


def limited(**limits: object) -> ClientKeys:
    key = ClientKey("k", SECRETS.digest(PURPOSE, "123456"), **limits)  # type: ignore[arg-type] # by name
    return ClientKeys(lambda shown: SECRETS.digests(PURPOSE, shown), [key], wall=lambda: NOW)


@pytest.mark.parametrize(
    ("limits", "opens"),
    [
        ({"enabled": False}, False),
        ({"expires_at": NOW - 1}, False),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW + 1}, True),
        ({}, True),
    ],
)
def test_a_key_opens_while_it_is_enabled_and_its_time_is_not_up(
    limits: dict[str, object], opens: bool
) -> None:
    assert (limited(**limits).holder({"x-api-key": "123456"}) is not None) is opens


def test_keys_are_replaced_for_the_next_request() -> None:
    keys = ring("old")

    keys.replace([ClientKey("new", SECRETS.digest(PURPOSE, "new"))])

    assert (name_of(keys, {"x-api-key": "old"}), name_of(keys, {"x-api-key": "new"})) == (
        None,
        "new",
    )


def test_the_last_use_of_each_key_is_told_once() -> None:
    keys = ring("one", "two")
    keys.holder({"x-api-key": "two"})

    assert (keys.take_used(), keys.take_used()) == ({"key two": NOW}, {})


@pytest.mark.parametrize(("groups", "opens"), [((), True), (("pro",), True), (("default",), False)])
def test_a_key_opens_the_groups_that_it_names_or_all(groups: tuple[str, ...], opens: bool) -> None:
    assert ClientKey("k", b"", groups=groups).opens_group("pro") is opens


def test_a_model_that_the_key_does_not_name_is_refused() -> None:
    key = ClientKey("k", b"", models=("claude-haiku-4-5",))

    require_model(key, "Claude-Haiku-4-5")
    with pytest.raises(RequestError) as caught:
        require_model(key, "claude-opus-4.5")

    assert (caught.value.status, caught.value.path) == (403, "model")
