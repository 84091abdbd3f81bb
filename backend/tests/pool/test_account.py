"""Tests of the pool's records."""

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Account, Condition, ModelRefusal, Standing


def test_a_new_account_is_enabled_and_ready() -> None:
    account = Account("a", "first", "default", 0)

    assert account.enabled
    assert account.condition == Condition()
    assert account.condition.standing is Standing.READY


def test_a_refused_model_is_unavailable_unless_another_kind_is_told() -> None:
    assert ModelRefusal(1.0, "unknown").kind is FaultKind.MODEL_UNAVAILABLE
