"""The official AWS clients, of the versions that the vendor publishes, read what the emulator sends.

The client of the generation service calls by path alone: of the forms with a target there is no
published client, and no judge here.
"""

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
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed, wanted = FOLDER / "node_modules" / ".package-lock.json", lock.name
        if not installed.exists() or installed.stat().st_mtime < Path(wanted).stat().st_mtime:
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=FOLDER, check=True, timeout=INSTALL_S)
    return found


@pytest.fixture
def account(emulator: RunningEmulator) -> EmulatedAccount:
    return emulator.add_account("judge", access_token="judge-token")


def run(node: str, judge: str, *arguments: str) -> dict[str, Any]:
    """Return what a judge has read, as it reports it."""
    command = [node, "--no-deprecation", "--no-warnings", judge, *arguments]
    try:
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, check=True, timeout=25)
    except subprocess.TimeoutExpired:
        # The vendor's client polls for the end of its stream and was once seen not to find it.
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, check=True, timeout=30)
    return json.decode(done.stdout, dict[str, Any])


def ask(
    node: str, emulator: RunningEmulator, call: Json, *, token: str = "judge-token"
) -> dict[str, Any]:
    """Return what the client read: the status, the events, the error."""
    return run(node, "judge.mjs", emulator.url, token, json.encode(call).decode())


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


@pytest.mark.parametrize(
    "host", ["runtime.us-east-1.kiro.dev", "codewhisperer.us-east-1.amazonaws.com"]
)
def test_it_talks_to_a_virtual_host(
    node: str, emulator: RunningEmulator, account: EmulatedAccount, host: str
) -> None:
    call = json.encode(body(arn=account.profile_arn)).decode()
    report = run(node, "judge.mjs", f"{emulator.url}/{host}", "judge-token", call)
    (record,) = emulator.generations()

    assert (report["status"], report["error"], record.host) == (200, None, host)


# ----------------------------------------------------------------------------- the OIDC service

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def oidc(node: str, emulator: RunningEmulator, operation: str, **sent: object) -> dict[str, Any]:
    """Return what the client read of the OIDC service: the output, the error."""
    endpoint = f"{emulator.url}/oidc.us-east-1.amazonaws.com"
    return run(node, "oidc.mjs", endpoint, operation, json.encode(sent).decode())


def registered(node: str, emulator: RunningEmulator) -> dict[str, str]:
    """Return the client pair that a registration brings."""
    made = oidc(node, emulator, "RegisterClient", clientName="judge", clientType="public")["output"]
    return {name: made[name] for name in ("clientId", "clientSecret")}


def test_it_signs_a_device_in_and_refreshes(node: str, emulator: RunningEmulator) -> None:
    emulator.add_account("b", kind="builder_id")
    pair = registered(node, emulator)
    start_url = "https://view.awsapps.com/start"
    device = oidc(node, emulator, "StartDeviceAuthorization", **pair, startUrl=start_url)["output"]
    emulator.sign_in("b", user_code=device["userCode"])
    asked = {**pair, "deviceCode": device["deviceCode"], "grantType": DEVICE_GRANT}
    first = oidc(node, emulator, "CreateToken", **asked)["output"]
    again = {**pair, "refreshToken": first["refreshToken"], "grantType": "refresh_token"}
    second = oidc(node, emulator, "CreateToken", **again)["output"]

    assert second["refreshToken"] == emulator.account("b").refresh_token
    assert (device["expiresIn"], first["tokenType"], second["expiresIn"]) == (600, "Bearer", 3600)
    assert emulator.violations() == []


@pytest.mark.parametrize(
    ("error", "name", "status"),
    [
        ("authorization_pending", "AuthorizationPendingException", 400),
        ("slow_down", "SlowDownException", 400),
        ("expired_token", "ExpiredTokenException", 400),
        ("access_denied", "AccessDeniedException", 400),
        ("invalid_grant", "InvalidGrantException", 400),
        ("invalid_client", "InvalidClientException", 401),
        ("server_error", "InternalServerException", 500),
    ],
)
def test_it_knows_a_refusal_of_the_oidc_service_by_its_name(
    node: str, emulator: RunningEmulator, error: str, name: str, status: int
) -> None:
    emulator.queue(operation="login", error=error)
    asked = {"clientId": "c", "clientSecret": "s", "deviceCode": "d", "grantType": DEVICE_GRANT}
    report = oidc(node, emulator, "CreateToken", **asked)

    assert report["error"] == {"name": name, "error": error, "status": status}
