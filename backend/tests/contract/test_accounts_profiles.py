"""Enterprise logins: a profile in another region, one resolver, and calls that are not permitted.

Case 7 of the field.
"""

import pytest

from tests.support.database import Database
from tests.support.emulator import RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway
from tests.support.talk import MIXED

ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEFGHIJKL"


def hosts(emulator: RunningEmulator) -> dict[str, str]:
    """Return the settings by which each host is reached under its own name."""
    return {f"KIRO_{plane}_ENDPOINT": emulator.host_url for plane in ("API", "SOCIAL", "OIDC")}


def enterprise(start_gateway: StartGateway, emulator: RunningEmulator) -> RunningGateway:
    """Return a gateway of one login in one region, whose only profile is in the other."""
    account = emulator.add_account(
        "one", kind="idc", region="us-east-1", profile_arn=ARN, regions=["eu-central-1"]
    )
    return start_gateway([account.auth_entry(name="one", region="us-east-1")], **hosts(emulator))


def test_a_profile_in_another_region_is_found_and_every_call_goes_to_that_region(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    gateway = enterprise(start_gateway, emulator)
    statuses = [way.ask(gateway).status for way in MIXED]
    database.wait_for("SELECT quota_fetched_at > 0 AND models_fetched_at > 0 FROM accounts")
    asked = {
        kind: {record.host for record in emulator.records(operation=kind)}
        for kind in ("generate", "models", "usage", "refresh")
    }

    assert statuses == [200, 200]
    assert asked == {
        "generate": {"runtime.eu-central-1.kiro.dev"},
        "models": {"q.eu-central-1.amazonaws.com"},
        "usage": {"q.eu-central-1.amazonaws.com"},
        "refresh": {"oidc.us-east-1.amazonaws.com"},
    }
    assert database.account("one").profile_arn == ARN
    assert emulator.violations() == []


def test_a_profile_is_looked_for_once_however_many_requests_come(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = enterprise(start_gateway, emulator)
    assert [gateway.messages().status for _ in range(3)] == [200] * 3

    # Once in each region.
    assert len(emulator.records(operation="profiles")) == 2


@pytest.mark.parametrize("operation", ["usage", "models", "profiles"])
@pytest.mark.parametrize("error", ["call_not_authorized", "feature_not_authorized", "suspended"])
def test_a_list_that_is_not_permitted_is_not_held_against_the_account(
    start_gateway: StartGateway, emulator: RunningEmulator, operation: str, error: str
) -> None:
    emulator.queue(operation=operation, times=0, error=error)
    account = emulator.add_account("one", kind="idc", profile_arn="")
    gateway = start_gateway(account)
    emulator.wait_for(
        lambda: bool(emulator.records(operation=operation)), what="a call that is refused"
    )

    assert [way.ask(gateway).status for way in MIXED] == [200, 200]
    assert gateway.account("one")["standing"] == "ready"
