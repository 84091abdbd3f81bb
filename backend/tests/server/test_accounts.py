"""The list of accounts for the operator."""

from typing import Any

import msgspec
import pytest

from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.protocol.codewhisperer.models import UpstreamModel
from kiro2api.server.accounts import describe
from tests.support.asgi import ADMIN_KEY, Plane
from tests.support.fakes import FakeClock, stored_account

CLOCK = FakeClock()
NOW, WALL = CLOCK.monotonic(), int(CLOCK.wall())


def shown(condition: Condition | None = None, **changes: Any) -> dict[str, object]:
    """Return what is told of an account."""
    row = msgspec.structs.replace(stored_account("a"), **changes)
    [entry] = Plane(accounts=(row,)).roster.entries()
    entry.apply(condition or Condition())
    return describe(entry, CLOCK)


def test_a_ready_account_has_no_reason_and_no_times() -> None:
    told = shown()

    assert (told["standing"], told["usable"], told["reason"]) == ("ready", True, "")
    assert (told["since"], told["until"]) == (None, None)


@pytest.mark.parametrize("standing", [Standing.COOLING, Standing.DRAINED])
def test_an_account_that_is_out_for_a_time_says_why_since_and_until_when(
    standing: Standing,
) -> None:
    told = shown(Condition(standing, reason="too many", since=NOW - 5, until=NOW + 25))

    assert (told["standing"], told["usable"], told["reason"]) == (standing, False, "too many")
    assert (told["since"], told["until"]) == (WALL - 5, WALL + 25)


def test_an_account_that_waits_for_a_person_has_no_end() -> None:
    told = shown(Condition(Standing.NEEDS_LOGIN, reason="log in again", since=NOW))

    assert (told["standing"], told["until"]) == ("needs_login", None)


def test_an_account_whose_time_has_come_is_ready() -> None:
    told = shown(Condition(Standing.COOLING, reason="too many", since=NOW - 9, until=NOW - 1))

    assert (told["standing"], told["usable"], told["reason"]) == ("ready", True, "")


def test_an_account_that_a_person_disabled_says_so() -> None:
    told = shown(enabled=False)

    assert (told["standing"], told["usable"], told["enabled"]) == ("disabled", False, False)


def test_a_soft_rest_is_told_but_does_not_make_it_unusable() -> None:
    told = shown(Condition(soft_strikes=2, soft_until=NOW + 5))

    assert (told["standing"], told["usable"]) == ("ready", True)
    assert told["until"] == WALL + 5


def test_refused_models_are_named_while_the_refusal_lasts() -> None:
    refusals = {
        "b": ModelRefusal(NOW + 60, "no"),
        "a": ModelRefusal(NOW + 60, "no"),
        "old": ModelRefusal(NOW - 1, "no"),
    }

    assert shown(Condition(models=refusals))["models_refused"] == ["a", "b"]


def test_the_number_of_models_is_unknown_until_the_list_is_known() -> None:
    plane = Plane()
    [entry] = plane.roster.entries()
    before = describe(entry, CLOCK)["models"]
    entry.models = (UpstreamModel("m", "M"),)

    assert (before, describe(entry, CLOCK)["models"]) == (None, 1)


def test_an_address_in_a_name_or_a_reason_is_masked() -> None:
    told = shown(
        Condition(Standing.SUSPENDED, reason="locked for someone@example.com"),
        name="someone@example.com",
    )

    assert "someone@example.com" not in str(told)


def test_no_secret_is_shown() -> None:
    told = str(shown())

    assert "refresh-a" not in told
    assert "access-a" not in told


@pytest.mark.parametrize("key", ["123456", ADMIN_KEY])
def test_the_list_counts_the_accounts_and_asks_nobody(key: str) -> None:
    rows = (stored_account("a"), stored_account("b", position=1, enabled=False))
    plane = Plane(accounts=rows)
    answer = plane.call("GET", "/api/tokens", key=key)

    assert answer.status == 200
    assert (answer.json["total_tokens"], answer.json["usable_tokens"]) == (2, 1)
    assert [token["name"] for token in answer.json["tokens"]] == ["a", "b"]
    assert plane.upstream.calls == []
