"""What an operator is told of an account."""

import msgspec
import pytest

from kiro2api.gateway.ports import StoredAccount
from kiro2api.gateway.telling import AccountReport, QuotaReport, RefusedModel, report_accounts
from kiro2api.gateway.usage import STALE_S
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.protocol.codewhisperer.models import UpstreamModel, write_models
from kiro2api.protocol.codewhisperer.quota import Quota, write_quota
from tests.support.fakes import FakeClock, stored_account

NOW = FakeClock().wall()


def told(account: StoredAccount) -> AccountReport:
    (report,) = report_accounts([account], now=NOW)
    return report


def in_condition(*condition: object) -> AccountReport:
    return told(stored_account(condition=Condition(*condition)))  # type: ignore[arg-type]


def test_an_account_that_serves_has_no_reason_and_no_next_step() -> None:
    report = told(stored_account())

    assert (report.standing, report.usable) == ("ready", True)
    assert (report.reason, report.since, report.until, report.next_step) == ("", None, None, "")


@pytest.mark.parametrize("standing", [one for one in Standing if one is not Standing.READY])
def test_every_state_that_keeps_an_account_out_says_why_since_when_and_what_is_next(
    standing: Standing,
) -> None:
    until = NOW + 60 if standing in (Standing.COOLING, Standing.DRAINED) else None
    report = in_condition(standing, "a reason", NOW - 60, until)

    assert (report.standing, report.usable) == (standing.value, False)
    assert (report.reason, report.since, report.until) == ("a reason", NOW - 60, until)
    assert report.next_step


def test_a_state_whose_time_has_come_is_over() -> None:
    assert in_condition(Standing.DRAINED, "used up", NOW - 60, NOW - 1).standing == "ready"


def test_an_account_that_rests_for_a_soft_reason_is_ready_and_says_so() -> None:
    report = told(stored_account(condition=Condition(soft_until=NOW + 5)))

    assert (report.standing, report.usable, report.until) == ("ready", True, NOW + 5)
    assert "failed repeatedly" in report.reason


def test_one_that_a_person_disabled_waits_for_a_person() -> None:
    report = told(stored_account(enabled=False))

    assert (report.standing, report.usable) == ("disabled", False)
    assert report.next_step == "a person enables it"


def test_one_that_has_left_the_pool_has_no_place_and_takes_none() -> None:
    gone, here = report_accounts(
        [stored_account("a", removed="removed by a person"), stored_account("b")], now=NOW
    )

    assert (gone.standing, gone.reason, gone.place) == ("removed", "removed by a person", 0)
    assert here.place == 1


def test_secrets_and_persons_in_a_reason_are_masked() -> None:
    report = in_condition(Standing.SUSPENDED, "user id (d-1234567890.abc) of me@mail.example", NOW)

    assert "me@mail.example" not in report.reason
    assert "1234567890" not in report.reason


def test_no_secret_is_in_a_report() -> None:
    account = stored_account()
    text = str(msgspec.to_builtins(told(account)))

    assert account.credential.refresh_token not in text
    assert account.access_token is not None
    assert account.access_token.value not in text


def test_models_that_are_refused_now_are_told_with_their_times() -> None:
    refusals = {
        "b": ModelRefusal(NOW + 9, "not in the plan", since=NOW - 9),
        "a": ModelRefusal(NOW - 1, "over"),
    }

    assert told(stored_account(condition=Condition(models=refusals))).refused == (
        RefusedModel(model="b", reason="not in the plan", since=NOW - 9, until=NOW + 9),
    )


def test_the_live_list_is_counted_and_an_unknown_one_is_not_zero() -> None:
    known = stored_account(models=write_models([UpstreamModel("x", "X")]))

    assert (told(known).models, told(stored_account()).models) == (1, None)


@pytest.mark.parametrize(("age_s", "stale"), [(0.0, False), (STALE_S + 1, True)])
def test_what_is_left_is_told_with_its_age(age_s: float, stale: bool) -> None:
    quota = Quota(used=3.0, limit=50.0, remaining=47.0, resets_at=NOW + 99, plan="PRO")
    account = stored_account(quota=write_quota(quota), quota_fetched_at=NOW - age_s)

    assert told(account).quota == QuotaReport(
        used=3.0,
        limit=50.0,
        remaining=47.0,
        plan="PRO",
        resets_at=NOW + 99,
        fetched_at=NOW - age_s,
        stale=stale,
    )
