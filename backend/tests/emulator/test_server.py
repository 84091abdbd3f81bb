"""The emulator as a server: its options, its listeners, its life."""

import asyncio
import http.client
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pycurl
import pytest

from kiro2api.emulator import AccountKind, Emulator, EmulatorOptions, Tls, demo_accounts
from kiro2api.emulator.tls import make_certificate
from kiro2api.protocol.wire import json
from tests.support.emulator import RunningEmulator, run_emulator
from tests.support.emulator_calls import curl, fetch, generate


def listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2).close()
    except ConnectionRefusedError:
        return False
    return True


def test_in_a_program_it_lives_as_long_as_its_block() -> None:
    async def run() -> tuple[str, bool]:
        async with Emulator(EmulatorOptions()) as emulator:
            url = emulator.url
            alive = await asyncio.to_thread(listens, url)
        return url, alive

    url, alive = asyncio.run(run())
    assert (alive, listens(url)) == (True, False)


def test_a_block_can_be_left_while_a_client_waits() -> None:
    async def run() -> None:
        async with Emulator(EmulatorOptions()) as emulator:
            parts = urlsplit(emulator.url)
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
            await writer.drain()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_the_demo_has_an_account_of_each_common_kind() -> None:
    kinds = [spec.kind for spec in demo_accounts()]

    assert kinds == [AccountKind.SOCIAL, AccountKind.IDC]


def test_two_emulators_with_one_seed_give_the_same_tokens() -> None:
    async def token() -> str:
        async with Emulator(EmulatorOptions(seed=5)) as emulator:
            account = emulator.world.accounts["demo-social"]
            return emulator.world.issue_access_token(account)

    assert asyncio.run(token()) == asyncio.run(token())


def test_the_authority_is_written_where_clients_can_read_it(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"

    async def run() -> tuple[str, bytes]:
        options = EmulatorOptions(tls=Tls.SELF_SIGNED, ca_file=str(ca_file))
        async with Emulator(options) as emulator:
            return emulator.url, emulator.ca_pem

    url, ca_pem = asyncio.run(run())
    assert url.startswith("https://127.0.0.1:")
    assert ca_file.read_bytes() == ca_pem


def test_tls_works_with_certificates_from_files(tmp_path: Path) -> None:
    made = make_certificate("127.0.0.1", now=time.time())
    names = ("ca.pem", "leaf.pem", "key.pem")
    for name, data in zip(names, (made.authority, made.certificate, made.key), strict=True):
        (tmp_path / name).write_bytes(data)
    ca_file, leaf, key = (str(tmp_path / name) for name in names)

    async def run() -> int:
        options = EmulatorOptions(tls=Tls.FILES, certificate_file=leaf, key_file=key)
        async with Emulator(options) as emulator:
            running = RunningEmulator(emulator.url, ca_file=ca_file)
            reply = await asyncio.to_thread(fetch, running, "GET", "/_emulator/counters")
            return reply.status

    assert asyncio.run(run()) == 200


def test_a_client_that_trusts_the_authority_is_served(tls_emulator: RunningEmulator) -> None:
    account = tls_emulator.add_account("a", access_token="tok")

    assert generate(tls_emulator, account).text == "You said: hello"


def test_over_tls_too_a_reset_is_a_reset(tls_emulator: RunningEmulator) -> None:
    account = tls_emulator.add_account("a", access_token="tok")
    tls_emulator.queue(scenario="reset_after_text")

    # Python's own client takes a reset inside TLS for an end.
    with pytest.raises(pycurl.error, match="reset by peer"):
        curl(tls_emulator, account, pycurl.CURL_HTTP_VERSION_1_1)


def test_a_reset_breaks_off_what_runs(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok")
    emulator.queue(scenario="stall_after_text")
    connection = emulator.connect()
    head = {"authorization": "Bearer tok", "content-type": "application/json"}
    state = {
        "chatTriggerType": "MANUAL",
        "currentMessage": {"userInputMessage": {"content": "a"}},
    }
    sent = json.encode({"conversationState": state, "profileArn": account.profile_arn})
    connection.request("POST", "/generateAssistantResponse", sent, head)
    response = connection.getresponse()
    emulator.reset()

    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        response.read()
    connection.close()
    assert emulator.counters().in_flight == 0


def test_a_fault_of_the_emulator_itself_is_a_loud_failure(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok")
    emulator.queue(headers={"bad name": "x"}, error="internal")

    with pytest.raises((http.client.HTTPException, ConnectionError)):
        generate(emulator, account)
    assert [violation.rule for violation in emulator.violations()] == ["emulator"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_in_good_order(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "kiro2api.emulator", "--accounts=[]"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)

        assert process.wait(timeout=10) == 0


def test_options_of_the_command_line_count() -> None:
    accounts = '[{"name":"mine","kind":"builder_id"}]'
    with run_emulator("--profile", "q-2025", "--seed=9", "--accounts", accounts) as emulator:
        info = emulator.info()

        assert (info["profile"], info["seed"]) == ("q-2025", 9)
        assert emulator.account("mine").spec["kind"] == "builder_id"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--colour", "red"], "no option '--colour'"),
        (["--port"], "needs a value"),
        (["--port", "many"], "port"),
        (["--accounts", "{"], "JSON"),
    ],
)
def test_wrong_options_end_the_program_with_one_sentence(options: list[str], says: str) -> None:
    command = [sys.executable, "-m", "kiro2api.emulator", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)

    assert (done.returncode, says in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_ends_the_program_with_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "kiro2api.emulator", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)

    assert done.returncode == 1
    assert done.stderr.startswith(f"The emulator cannot listen on 127.0.0.1:{port}")


def test_a_plain_client_over_ipv6_is_served() -> None:
    async def run() -> str:
        async with Emulator(EmulatorOptions(host="::1")) as emulator:
            running = RunningEmulator(emulator.url)
            reply = await asyncio.to_thread(fetch, running, "GET", "/_emulator/counters")
            assert reply.status == 200
            return emulator.url

    assert asyncio.run(run()).startswith("http://[::1]:")
