"""The official AWS client, of the version that the vendor publishes, reads what the emulator sends."""

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.emulator_calls import Json, body

pytestmark = pytest.mark.sdk

FOLDER = Path(__file__).parent / "node"
INSTALL_S = 300


@pytest.fixture(scope="session")
def node() -> str:
    """The node program, with the client installed beside the judge."""
    found, npm = shutil.which("node"), shutil.which("npm")
    assert found is not None, "the official AWS client needs node 20 or newer"
    assert npm is not None, "the official AWS client is installed by npm"
    # Workers run side by side: only one installs.
    with (FOLDER / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "node_modules" / ".package-lock.json").exists():
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=FOLDER, check=True, timeout=INSTALL_S)
    return found


@pytest.fixture
def account(emulator: RunningEmulator) -> EmulatedAccount:
    return emulator.add_account("judge", access_token="judge-token")


def ask(
    node: str, emulator: RunningEmulator, call: Json, *, token: str = "judge-token"
) -> dict[str, Any]:
    """Return what the client read: the status, the events, the error."""
    command = [node, "--no-deprecation", "--no-warnings", "judge.mjs", emulator.url, token]
    done = subprocess.run(
        [*command, json.encode(call).decode()],
        cwd=FOLDER,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.decode(done.stdout, dict[str, Any])


def of(report: dict[str, Any], kind: str) -> list[Any]:
    """Return the events of one kind."""
    return [event[kind] for event in report["events"] if kind in event]


def scripted(
    node: str, emulator: RunningEmulator, account: EmulatedAccount, scenario: str
) -> dict[str, Any]:
    emulator.queue(scenario=scenario)
    return ask(node, emulator, body(arn=account.profile_arn))


@pytest.mark.timeout(INSTALL_S + 60)
def test_it_reads_the_model_s_text(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    report = ask(node, emulator, body("say it: 你好 👋", arn=account.profile_arn))

    said = "".join(event["content"] for event in of(report, "assistantResponseEvent"))
    assert (report["status"], report["error"], said) == (200, None, "You said: say it: 你好 👋")


def test_its_own_request_passes_every_check(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    ask(node, emulator, body(arn=account.profile_arn))

    assert emulator.violations() == []


def test_it_reads_a_tool_call_in_fragments(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    report = scripted(node, emulator, account, "tool")

    uses = of(report, "toolUseEvent")
    arguments = json.decode("".join(event.get("input", "") for event in uses))
    assert {event["toolUseId"] for event in uses} == {"tooluse_1"}
    assert arguments == {"path": "a/b.txt", "text": 'line "one"\nline two \\ é 世 👋', "n": 3}
    assert [event.get("stop") for event in uses][-1] is True


def test_it_reads_reasoning_and_its_signature(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    report = scripted(node, emulator, account, "reasoning")

    thoughts = of(report, "reasoningContentEvent")
    assert "".join(event.get("text", "") for event in thoughts) == "The user greets. I greet back."
    assert thoughts[-1]["signature"]


def test_it_reads_opaque_reasoning_as_bytes(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    report = scripted(node, emulator, account, "reasoning_redacted")

    assert of(report, "reasoningContentEvent") == [{"redactedContent": "b3BhcXVl"}]


def test_it_reads_token_counts_window_and_credits(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    report = scripted(node, emulator, account, "usage_cached")

    assert of(report, "metadataEvent")[0]["tokenUsage"]["cacheReadInputTokens"] == 10240
    assert of(report, "contextUsageEvent") == [{"contextUsagePercentage": 1}]
    assert of(report, "meteringEvent")[0] == {
        "usage": 0.0123,
        "unit": "credit",
        "unitPlural": "credits",
    }


def test_it_reads_frames_with_headers_of_all_types(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    report = scripted(node, emulator, account, "extra_headers")

    assert (report["error"], of(report, "assistantResponseEvent")) == (
        None,
        [{"content": "Hello, world."}],
    )


@pytest.mark.parametrize(
    ("scenario", "name"),
    [
        ("exception_internal_after_text", "InternalServerException"),
        ("exception_throttling_after_text", "throttlingError"),
        ("exception_validation_after_text", "validationError"),
        ("error_frame_after_text", "InternalFailure"),
    ],
)
def test_it_raises_what_the_stream_says_after_the_text(
    node: str, emulator: RunningEmulator, account: EmulatedAccount, scenario: str, name: str
) -> None:
    report = scripted(node, emulator, account, scenario)

    assert of(report, "assistantResponseEvent")[0]["content"] == "Half a sen"
    assert name in (report["error"]["name"], report["error"]["message"].partition(":")[0])


@pytest.mark.parametrize("scenario", ["flaw_message_crc", "flaw_prelude_crc"])
def test_it_refuses_a_frame_with_a_wrong_checksum(
    node: str, emulator: RunningEmulator, account: EmulatedAccount, scenario: str
) -> None:
    report = scripted(node, emulator, account, scenario)

    assert "checksum" in report["error"]["message"]


@pytest.mark.parametrize(
    ("error", "name", "reason", "status"),
    [
        ("token_expired", "AccessDeniedException", None, 403),
        ("suspended", "AccessDeniedException", "TEMPORARILY_SUSPENDED", 403),
        ("quota_monthly", "ServiceQuotaExceededException", "MONTHLY_REQUEST_COUNT", 402),
        ("model_capacity", "ThrottlingException", "INSUFFICIENT_MODEL_CAPACITY", 429),
        ("context_too_long", "ValidationException", "CONTENT_LENGTH_EXCEEDS_THRESHOLD", 400),
        ("model_unavailable", "InternalServerException", "MODEL_TEMPORARILY_UNAVAILABLE", 500),
        ("unavailable", "ServiceUnavailableException", None, 503),
    ],
)
def test_it_knows_a_refusal_by_its_name(
    node: str,
    emulator: RunningEmulator,
    account: EmulatedAccount,
    error: str,
    name: str,
    reason: str | None,
    status: int,
) -> None:
    emulator.queue(error=error)
    report = ask(node, emulator, body(arn=account.profile_arn))

    found = report["error"]
    assert (found["name"], found["reason"], found["status"]) == (name, reason, status)


def test_it_is_told_that_its_token_is_unknown(
    node: str, emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    report = ask(node, emulator, body(arn=account.profile_arn), token="another")

    assert report["error"]["message"] == "The bearer token included in the request is invalid."
