"""The settings as first described: each variable does what it says, and a bad value is told."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.support.emulator import RunningEmulator
from tests.support.gateway import NO_ENV_FILE, RunningGateway, StartGateway, gateway_environment
from tests.support.talk import sent


def run_command(
    folder: Path, emulator: RunningEmulator, *words: str, accounts: object = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Return what a command printed that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "kiro2api", *words, *NO_ENV_FILE],
        env=gateway_environment(folder, emulator, accounts, **environment),
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=30,
    )


def status_with(gateway: RunningGateway, key: str) -> int:
    return gateway.get("/v1/models", key=key).status


# -------------------------------------------------------------------------------- KIRO_CLIENT_TOKEN


def test_a_changed_client_key_ends_the_one_before(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    first = start_gateway(KIRO_CLIENT_TOKEN="the-old-key")
    assert status_with(first, "the-old-key") == 200
    first.stop()
    second = start_gateway(KIRO_CLIENT_TOKEN="the-new-key")

    assert status_with(second, "the-new-key") == 200
    assert status_with(second, "the-old-key") == 401


def shown_key(gateway: RunningGateway) -> str:
    """Return the key that the start showed to the person at the terminal; "" when it showed none."""
    gateway.stop()
    found = [line.split()[-1] for line in gateway.shown if "Client key:" in line]
    assert len(found) <= 1
    return found[0] if found else ""


def test_without_a_client_key_one_is_made_at_the_first_start_and_shown_once(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    first = start_gateway(KIRO_CLIENT_TOKEN="")
    assert status_with(first, "") == 401
    key = shown_key(first)
    second = start_gateway(KIRO_CLIENT_TOKEN="")
    assert status_with(second, key) == 200
    assert status_with(second, key[:-1]) == 401

    assert len(key) >= 32
    assert shown_key(second) == ""
    assert key not in second.log_text()
    assert len(second.log_lines("client_key_created")) == 1


def test_a_reset_makes_another_key_and_ends_the_one_before(
    start_gateway: StartGateway, emulator: RunningEmulator, tmp_path: Path
) -> None:
    old = shown_key(start_gateway(KIRO_CLIENT_TOKEN=""))
    reset = run_command(tmp_path, emulator, "keys", "reset", KIRO_CLIENT_TOKEN="")
    new = reset.stdout.strip()
    gateway = start_gateway(KIRO_CLIENT_TOKEN="")

    assert reset.returncode == 0
    assert new not in reset.stderr
    assert (status_with(gateway, new), status_with(gateway, old)) == (200, 401)


# ---------------------------------------------------------------------- PORT, HOST, LOG_LEVEL, GIN_MODE


def test_the_words_of_older_set_ups_start_and_say_no_more_than_asked(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gateway = start_gateway(
        emulator.add_account("one"),
        PORT=str(port),
        LOG_LEVEL="info",
        GIN_MODE="release",
        KIRO_PROT="9000",
    )
    gateway.wait_until_settled()
    assert gateway.messages().status == 200
    [warning] = gateway.log_lines("setting_ignored")

    assert gateway.url == f"http://127.0.0.1:{port}"
    assert "KIRO_PROT" in warning["reason"]
    assert "PORT" in warning["reason"].replace("KIRO_PROT", "")
    assert {line["level"] for line in gateway.log_lines()} == {"info", "warning"}


def test_debugging_logs_more(gateway: RunningGateway) -> None:
    assert "debug" in {line["level"] for line in gateway.log_lines()}


def test_debug_mode_does_not_make_a_wrong_certificate_right(
    start_gateway: StartGateway, tls_emulator: RunningEmulator
) -> None:
    gateway = start_gateway(
        tls_emulator.add_account("one"), emulator=tls_emulator, GIN_MODE="debug", SSL_CERT_FILE=""
    )

    assert gateway.messages().status == 503
    assert tls_emulator.records() == []


# ------------------------------------------------------------------------ MAX_TOOL_DESCRIPTION_LENGTH


def described(length: int) -> dict[str, object]:
    """Return a tool whose description has `length` characters and a mark at its end."""
    text = "d" * (length - 3) + "END"
    return {"name": "ls", "description": text, "input_schema": {"type": "object"}}


def test_descriptions_of_tools_go_on_in_the_system_text_after_10000_characters(
    gateway: RunningGateway,
) -> None:
    assert gateway.messages(tools=[described(10_000)]).status == 200
    whole = sent(gateway)
    assert gateway.messages(tools=[described(10_004)]).status == 200
    cut = sent(gateway)

    assert whole.tools[0]["description"].endswith("END")
    assert len(cut.tools[0]["description"]) == 10_000
    assert "END" not in cut.tools[0]["description"]
    assert "dEND" in cut.contents[0]


def test_another_limit_may_be_set_for_descriptions(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("one")
    gateway = start_gateway(account, MAX_TOOL_DESCRIPTION_LENGTH="50")
    function = {"name": "ls", "description": "d" * 60 + "END", "parameters": {"type": "object"}}
    assert gateway.chat(tools=[{"type": "function", "function": function}]).status == 200

    assert sent(gateway).tools[0]["description"] == "d" * 50
    assert "dEND" in sent(gateway).contents[0]


# ---------------------------------------------------------------------------- what stops the start


def test_accounts_that_are_not_json_stop_the_start(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    secret = "[{'auth': 'Social', 'refreshToken': 'aor-very-secret'}]"
    done = run_command(tmp_path, emulator, accounts=secret)

    assert (done.returncode, done.stdout) == (78, "")
    assert "KIRO_AUTH_TOKEN" in last_line(done)
    assert "aor-very-secret" not in done.stderr


def test_a_port_that_is_taken_stops_the_start(emulator: RunningEmulator, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_command(tmp_path, emulator, PORT=str(taken.getsockname()[1]))

    assert done.returncode == 78
    assert "PORT" in last_line(done)


def test_a_database_that_cannot_be_made_stops_the_start(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = run_command(tmp_path, emulator, KIRO_DB_PATH=str(tmp_path / "file" / "my.db"))

    assert done.returncode == 78
    assert "my.db" in last_line(done)


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the sentence for the operator: the one line of standard error that is not the log."""
    [sentence] = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert sentence.startswith("kiro2api: ")
    return sentence
