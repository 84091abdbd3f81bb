"""What the upstream does wrong before the client has read a word: F1, F3 to F8."""

import time
from typing import Any

import pytest

from tests.support.gateway import RunningGateway
from tests.support.hasty import FIRST_EVENT_S, SWEEP_S
from tests.support.talk import MIXED, WAYS, WHOLE, Way, name_of

# Behaviours of one call after which nobody has read anything.
SPOILED: dict[str, dict[str, Any]] = {
    "a reset instead of an answer": {"fault": "reset"},
    "a close instead of an answer": {"fault": "close"},
    "a reset after the head": {"scenario": "reset_at_start"},
    "no frame at all": {"scenario": "empty"},
    "a tail and nothing else": {"scenario": "empty_end_turn"},
    "half a frame": {"steps": [{"do": "broken", "flaw": "cut_payload"}]},
    "a wrong checksum": {"scenario": "flaw_message_crc_first"},
    "a wrong checksum of the lengths": {"scenario": "flaw_prelude_crc_first"},
    "a frame of 4 GB": {"scenario": "flaw_length_4g_first"},
    "a frame of 2 GB": {"scenario": "flaw_length_2g_first"},
    "a frame of 15 bytes": {"scenario": "flaw_length_15_first"},
    "a frame of nothing": {"scenario": "flaw_length_0_first"},
    "headers longer than their frame": {"scenario": "flaw_long_headers_first"},
    "a header twice": {"scenario": "flaw_duplicate_header_first"},
    "a header of an unknown kind": {"scenario": "flaw_unknown_header_type_first"},
    "an event that is not JSON": {"scenario": "flaw_not_json_first"},
    "an event without a payload": {"scenario": "flaw_empty_payload_first"},
    "an exception": {"scenario": "exception_internal"},
    "an error frame": {"scenario": "error_frame"},
    "a 500": {"error": "internal"},
    "a 502 page": {"error": "bad_gateway"},
    "a 503": {"error": "unavailable"},
    "a 504 page": {"error": "gateway_timeout"},
}


def accounts_of(gateway: RunningGateway) -> list[str]:
    """Return the accounts of the upstream calls, in order."""
    return [record.account for record in gateway.emulator.generations()]


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=list(SPOILED))
@pytest.mark.parametrize("way", MIXED, ids=name_of)
def test_another_account_answers_after(
    hasty: RunningGateway, way: Way, spoiled: dict[str, Any]
) -> None:
    hasty.emulator.queue(**spoiled)

    assert way.hear(hasty, "Say after me: well").text
    assert accounts_of(hasty) == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("way", "silent"),
    [(WAYS[1], {"fault": "hang"}), (WAYS[2], {"scenario": "stall_at_start"})],
    ids=["before the head", "after the head"],
)
def test_another_account_answers_when_the_first_event_does_not_come(
    hasty: RunningGateway, way: Way, silent: dict[str, Any]
) -> None:
    hasty.emulator.queue(**silent)
    started = time.monotonic()

    assert way.hear(hasty).text
    assert FIRST_EVENT_S <= time.monotonic() - started < FIRST_EVENT_S + 2 * SWEEP_S
    assert accounts_of(hasty) == ["alpha", "beta"]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_whole_reply_is_clean_though_its_first_attempt_broke_in_the_middle(
    hasty: RunningGateway, way: Way
) -> None:
    hasty.emulator.queue(scenario="reset_inside_frame")
    told = way.hear(hasty)

    assert "Half" not in told.text
    assert accounts_of(hasty) == ["alpha", "beta"]
