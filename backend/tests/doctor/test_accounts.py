"""Verdicts on accounts, with what ends them."""

from pathlib import Path

import msgspec
import pytest

from kiro2api.config import Installation, Settings
from kiro2api.doctor.accounts import check_accounts, check_entries
from kiro2api.doctor.finding import Verdict
from kiro2api.gateway.intake import Intake
from kiro2api.gateway.ports import StoredAccount
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential

NOW = 1_000_000.0
ALPHA = StoredAccount(
    id="a1",
    name="alpha",
    group="default",
    position=0,
    enabled=True,
    credential=Credential(AuthKind.SOCIAL, "secret"),
    version=1,
)


def verdicts(*stored: StoredAccount) -> list[Verdict]:
    return [f.verdict for f in check_accounts(stored, Intake(), now=NOW)]


def in_condition(standing: Standing, *, until: float | None = None) -> StoredAccount:
    condition = Condition(standing, "said so", since=NOW - 60, until=until)
    return msgspec.structs.replace(ALPHA, id="a2", name="beta", condition=condition)


def test_an_account_that_serves_is_well() -> None:
    assert verdicts(ALPHA) == [Verdict.OK]


@pytest.mark.parametrize(
    "standing", [Standing.NEEDS_LOGIN, Standing.SUSPENDED, Standing.NOT_ENTITLED]
)
def test_what_only_a_person_ends_is_a_fault(standing: Standing) -> None:
    assert verdicts(ALPHA, in_condition(standing)) == [Verdict.OK, Verdict.FAULT]


@pytest.mark.parametrize("standing", [Standing.COOLING, Standing.DRAINED])
def test_what_ends_by_itself_is_a_note(standing: Standing) -> None:
    assert verdicts(ALPHA, in_condition(standing, until=NOW + 60)) == [Verdict.OK, Verdict.NOTE]


def test_what_has_ended_is_not_mentioned() -> None:
    assert verdicts(in_condition(Standing.DRAINED, until=NOW - 1)) == [Verdict.OK]


def test_a_persons_wish_is_a_note_that_names_the_command() -> None:
    disabled = msgspec.structs.replace(ALPHA, id="a2", name="beta", enabled=False)

    _, found = check_accounts([ALPHA, disabled], Intake(), now=NOW)

    assert found.verdict is Verdict.NOTE
    assert "accounts enable beta" in found.cure


def test_a_group_that_nobody_serves_is_a_fault_even_if_it_comes_back() -> None:
    pro = msgspec.structs.replace(in_condition(Standing.DRAINED, until=NOW + 60), group="pro")

    *_, last = check_accounts([ALPHA, pro], Intake(), now=NOW)

    assert (last.verdict, last.what) == (Verdict.FAULT, "nobody can serve group pro now")


def test_an_account_that_has_left_the_pool_is_not_mentioned() -> None:
    gone = msgspec.structs.replace(ALPHA, id="a2", removed="by a person")

    assert verdicts(ALPHA, gone) == [Verdict.OK]


def test_entries_that_wait_for_the_first_start_are_well() -> None:
    settings = Settings(auth_token='[{"auth": "Social", "refreshToken": "a-token"}]')
    folder = Path("/")
    intake, skipped = check_entries(settings, Installation(folder, folder, ()))

    assert skipped == []
    assert [f.what for f in check_accounts([], intake, now=NOW)] == ["the next start takes in 1"]


def test_a_followed_file_that_is_gone_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "there.json").touch()
    there, gone = (
        msgspec.structs.replace(ALPHA, id=name, source=f"follow:{tmp_path}/{name}.json")
        for name in ("there", "gone")
    )

    _, _, found = check_accounts([there, gone], Intake(), now=NOW)

    assert (found.verdict, f"{tmp_path}/gone.json" in found.what) == (Verdict.NOTE, True)


def test_no_secret_is_told() -> None:
    found = check_accounts([ALPHA, in_condition(Standing.NEEDS_LOGIN)], Intake(), now=NOW)

    assert "secret" not in str(found)
