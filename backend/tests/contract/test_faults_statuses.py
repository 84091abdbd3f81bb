"""The status and the shape in which a client is told what failed: F36 to F38."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.support.emulator import RunningEmulator, run_emulator
from tests.support.gateway import RunningGateway, StartGateway, run_gateway
from tests.support.talk import MIXED, Way, name_of

# Three accounts in a group, so that no retry has to pause.
ACCOUNTS = 3


class Verdict(msgspec.Struct, frozen=True):
    """What a client is told of an in-stream failure that came first, after how many calls."""

    anthropic: tuple[int, str]
    chat: tuple[int, str]
    calls: int = 1
    waits: bool = False


INVALID = "invalid_request_error"
TOLD = {
    "exception_throttling": Verdict(
        (429, "rate_limit_error"), (429, "rate_limit_error"), calls=3, waits=True
    ),
    "exception_validation": Verdict((400, INVALID), (400, INVALID)),
    "exception_internal": Verdict((500, "api_error"), (500, "server_error"), calls=3),
    "exception_unavailable": Verdict((503, "overloaded_error"), (503, "server_error"), calls=3),
    "exception_capacity": Verdict(
        (529, "overloaded_error"), (503, "server_error"), calls=3, waits=True
    ),
    "exception_overflow": Verdict((400, INVALID), (400, INVALID)),
    "exception_content_length": Verdict((400, INVALID), (400, INVALID)),
    "exception_denied": Verdict((403, "permission_error"), (403, "permission_error"), calls=3),
    "exception_unheard_of": Verdict((500, "api_error"), (500, "server_error"), calls=3),
    "error_frame": Verdict((500, "api_error"), (500, "server_error"), calls=3),
    "invalid_state": Verdict((500, "api_error"), (500, "server_error"), calls=3),
    "empty": Verdict((502, "api_error"), (502, "server_error"), calls=3),
    "flaw_message_crc_first": Verdict((502, "api_error"), (502, "server_error"), calls=3),
}


def group_of(scenario: str, way: Way) -> str:
    """Return the group whose accounts meet this scenario in this way, and no other."""
    return f"{scenario}-{name_of(way)}".replace("_", "-")


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with a group for each scenario and way: no test meets the traces of another."""
    with run_emulator() as emulator:
        entries = []
        for scenario in TOLD:
            for group in (group_of(scenario, way) for way in MIXED):
                for name in (f"{group}-{number}" for number in range(ACCOUNTS)):
                    account = emulator.add_account(name, access_lifetime_s=86_400)
                    entries.append(account.auth_entry(name=name, group=group))
                    emulator.queue(account=name, scenario=scenario, times=0)
        with run_gateway(tmp_path_factory.mktemp("doomed"), emulator, entries) as gateway:
            gateway.wait_until_settled()
            yield gateway


@pytest.mark.parametrize("scenario", TOLD)
@pytest.mark.parametrize("way", MIXED, ids=name_of)
def test_a_200_that_begins_with_a_failure_becomes_a_status(
    doomed: RunningGateway, way: Way, scenario: str
) -> None:
    group, verdict = group_of(scenario, way), TOLD[scenario]
    asked: dict[str, Any] = {"path": f"/{group}{way.path}", "stream": way.stream}
    doomed.emulator.forget_records()
    ask = doomed.messages if way.dialect == "anthropic" else doomed.chat
    answer = ask(**asked)

    wanted = verdict.anthropic if way.dialect == "anthropic" else verdict.chat
    assert (answer.status, answer.json["error"]["type"]) == wanted
    assert ("retry-after" in answer.headers) == verdict.waits
    assert len(doomed.emulator.generations()) == verdict.calls


@pytest.mark.parametrize("way", MIXED, ids=name_of)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(
    gateway: RunningGateway, way: Way, status: int
) -> None:
    emulator = gateway.emulator
    emulator.queue(status=status, headers={"location": f"{emulator.url}/elsewhere"})
    answer = way.ask(gateway)

    assert answer.status == 502
    assert [record.path for record in emulator.records()] == ["/generateAssistantResponse"]


def test_a_redirect_of_a_refresh_is_not_followed(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("a")
    elsewhere = {"location": f"{emulator.url}/elsewhere"}
    emulator.queue(operation="refresh", status=307, headers=elsewhere, times=0)
    answer = start_gateway(account).messages()

    assert answer.status >= 500
    assert {record.path for record in emulator.records()} == {"/refreshToken"}


@pytest.mark.parametrize("way", MIXED, ids=name_of)
def test_when_all_accounts_rest_the_client_is_told_at_once_when_the_first_returns(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    accounts = [emulator.add_account(name) for name in ("a", "b")]
    emulator.queue(account="a", error="rate_plain")
    emulator.queue(account="b", error="user_rate", headers={"retry-after": "12"})
    gateway = start_gateway(accounts)
    assert way.ask(gateway).status == 429
    emulator.forget_records()

    # On a busy machine most take longer: one that does not is what counts.
    took_s = 1.0
    for _ in range(50):
        started = time.monotonic()
        answer = way.ask(gateway)
        took_s = time.monotonic() - started
        if took_s <= 0.010:
            break
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 12
    assert answer.json["error"]["type"] == "rate_limit_error"
    assert emulator.generations() == []
    assert took_s <= 0.010


def test_when_nobody_begins_to_answer_in_time_it_is_a_gateway_timeout(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    emulator.queue(fault="hang", times=0)
    gateway = start_gateway(emulator.add_account("a"), KIRO_FIRST_EVENT_TIMEOUT="0.2")
    answer = gateway.messages(stream=True)

    assert (answer.status, answer.json["error"]["type"]) == (504, "timeout_error")
    assert "no answer within 0.2 s" in answer.json["error"]["message"]
    assert len(emulator.generations()) == 3
