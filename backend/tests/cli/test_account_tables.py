"""Accounts as a person reads them."""

import pytest

from kiro2api.cli.account_tables import (
    CheckedAccount,
    print_account,
    print_accounts,
    print_changed,
    print_checks,
)
from kiro2api.gateway.checkup import Step
from kiro2api.gateway.telling import AccountReport, report_accounts
from kiro2api.gateway.usage import STALE_S
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.protocol.codewhisperer.quota import Quota, write_quota
from tests.support.fakes import FakeClock, stored_account

NOW = FakeClock().wall()


def report(**account: object) -> AccountReport:
    return report_accounts([stored_account(**account)], now=NOW)[0]


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_credits_are_told_and_old_ones_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    quota = write_quota(Quota(used=3.0, limit=50.0, remaining=47.0, resets_at=None, plan="PRO"))
    fresh = report(quota=quota, quota_fetched_at=NOW)
    old = report(quota=quota, quota_fetched_at=NOW - STALE_S - 1)
    print_accounts([fresh, old, report()])
    _, first, second, third = printed(capsys)
    print_account(fresh)
    (in_full,) = [line for line in printed(capsys) if line.startswith("credits")]

    assert first.endswith("47")
    assert second.endswith("47 (old)")
    assert third.endswith("unknown")
    assert "47 left, 3 of 50 of PRO used, asked at " in in_full


@pytest.mark.parametrize(
    ("account", "cure"),
    [
        ({"enabled": False}, "accounts enable a"),
        ({"condition": Condition(Standing.NEEDS_LOGIN, "refused", NOW)}, "login"),
        ({"condition": Condition(Standing.SUSPENDED, "locked", NOW)}, "accounts test a"),
        ({"condition": Condition(Standing.NOT_ENTITLED, "no", NOW)}, "accounts test a"),
    ],
)
def test_what_only_a_person_ends_comes_with_the_command_that_ends_it(
    capsys: pytest.CaptureFixture[str], account: dict[str, object], cure: str
) -> None:
    print_accounts([report(**account)])

    assert printed(capsys)[1].endswith(f"kiro2api {cure}")


def test_a_command_that_is_told_can_be_typed_as_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_accounts([report(name="Builder ID", enabled=False)])

    assert printed(capsys)[1].endswith("kiro2api accounts enable 'Builder ID'")


def test_what_returns_by_itself_names_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    print_accounts([report(condition=Condition(Standing.COOLING, "slow down", NOW, NOW + 60))])

    assert printed(capsys)[1].endswith("it returns by itself")


def test_refused_models_are_named_beside_an_account_that_serves_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    condition = Condition(models={"opus": ModelRefusal(NOW + 60, "not in the plan")})
    print_accounts([report(condition=condition)])
    listed = printed(capsys)
    print_account(report(condition=condition))
    shown = printed(capsys)

    assert listed[1].endswith("refused: opus")
    assert [line.split()[2] for line in shown if line.startswith("refused model")] == ["opus"]


def test_a_change_is_told_with_what_the_account_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    print_changed([report(), report(removed="gone")], "changed")

    assert printed(capsys) == [
        "a: changed, place 1 of group default, ready",
        "a: changed, out, removed",
    ]


def test_a_failed_test_tells_the_step_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    account = report(condition=Condition(Standing.NEEDS_LOGIN, "refused", NOW))
    print_checks(
        [CheckedAccount(passed=False, steps=(Step("login", False, "no"),), account=account)]
    )

    assert [line.split()[:4] for line in printed(capsys)[1:]] == [
        ["a", "login", "failed", "no"],
        ["a", "state", "needs_login", "refused;"],
    ]


def test_no_account_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_accounts([])
    print_checks([])

    assert printed(capsys) == ["There is no account."] * 2
