"""What may follow a failed attempt."""

import pytest

from kiro2api.errors import FaultKind
from kiro2api.gateway.retry import (
    BUDGET_FLOOR,
    MAX_HOST_CALLS,
    SHAPES,
    Next,
    RetryBudget,
    RetryPlan,
    Shape,
)

ACCOUNT_SHAPED = [kind for kind, shape in SHAPES.items() if shape is Shape.ACCOUNT]
HOST_SHAPED = [kind for kind, shape in SHAPES.items() if shape is Shape.HOST]
FINAL = [kind for kind, shape in SHAPES.items() if shape is Shape.FINAL]


def test_every_kind_of_fault_has_a_shape() -> None:
    assert set(SHAPES) == set(FaultKind)


@pytest.mark.parametrize("kind", ACCOUNT_SHAPED)
def test_a_fault_of_an_account_walks_on_however_many_there_are(kind: FaultKind) -> None:
    plan = RetryPlan(RetryBudget())

    steps = [plan.after(kind, f"account {n}") for n in range(20)]

    assert steps == [Next.OTHER] * 20


@pytest.mark.parametrize("kind", ACCOUNT_SHAPED)
def test_an_account_at_fault_is_not_asked_again_by_the_same_request(kind: FaultKind) -> None:
    plan = RetryPlan(RetryBudget())

    plan.after(kind, "a")

    assert plan.tried == {"a"}


@pytest.mark.parametrize("kind", HOST_SHAPED)
def test_a_fault_of_the_host_ends_after_three_calls(kind: FaultKind) -> None:
    plan = RetryPlan(RetryBudget())

    steps = [plan.after(kind, f"account {n}") for n in range(MAX_HOST_CALLS)]

    assert [step is Next.STOP for step in steps] == [False, False, True]


def test_a_model_short_of_capacity_is_asked_again_on_the_same_account() -> None:
    plan = RetryPlan(RetryBudget())

    assert plan.after(FaultKind.MODEL_CAPACITY, "a") is Next.SAME


@pytest.mark.parametrize("kind", FINAL)
def test_a_fault_that_no_retry_can_mend_stops_at_once(kind: FaultKind) -> None:
    assert RetryPlan(RetryBudget()).after(kind, "a") is Next.STOP


def test_faults_of_accounts_do_not_use_up_the_calls_for_faults_of_the_host() -> None:
    plan = RetryPlan(RetryBudget())
    for n in range(5):
        plan.after(FaultKind.RATE_LIMITED, f"account {n}")

    assert plan.after(FaultKind.OVERLOADED, "a") is Next.OTHER


def test_each_repair_is_made_once_on_each_account() -> None:
    plan = RetryPlan(RetryBudget())

    made = [plan.repair("a", "token"), plan.repair("a", "token"), plan.repair("b", "token")]

    assert made == [True, False, True]


def test_the_budget_stops_retries_that_all_requests_would_make_together() -> None:
    budget = RetryBudget()
    plans = [RetryPlan(budget) for _ in range(BUDGET_FLOOR + 1)]

    steps = [plan.after(FaultKind.OVERLOADED, "a") for plan in plans]

    assert steps == [Next.OTHER] * BUDGET_FLOOR + [Next.STOP]


def test_the_budget_grows_with_the_requests_in_flight() -> None:
    budget = RetryBudget()
    plans = [RetryPlan(budget) for _ in range(100)]

    steps = [plan.after(FaultKind.OVERLOADED, "a") for plan in plans]

    assert steps.count(Next.OTHER) == 20


def test_a_request_that_ends_gives_back_what_it_took() -> None:
    budget = RetryBudget()
    plan = RetryPlan(budget)
    plan.after(FaultKind.OVERLOADED, "a")

    plan.close()

    assert (budget.requests, budget.retries) == (0, 0)
