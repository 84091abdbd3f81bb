"""Planted faults, each found by `kiro2api doctor` with its cause and its cure."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from kiro2api.doctor import Verdict
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.wire.json import decode
from kiro2api.secrets import KEY_FILE
from kiro2api.store.opening import Store
from tests.support.emulator import RunningEmulator
from tests.support.gateway import (
    KEY,
    NO_ENV_FILE,
    RunningGateway,
    StartGateway,
    anthropic_body,
    gateway_environment,
)
from tests.support.patient import ENTRY, Patient, answer, fake_host, free_port, stream
from tests.support.proxy import run_proxy
from tests.support.stores import social, start, with_store

ELSEWHERE = "x" * 64 + ".example"  # no name server need be asked: labels end at 63 characters


def only(found: list[tuple[str, str]]) -> tuple[str, str]:
    """Return the one finding that there is."""
    assert len(found) == 1, found
    return found[0]


def test_nothing_is_found_where_nothing_is_wrong(patient: Patient) -> None:
    assert patient.found() == []
    assert patient.found(Verdict.NOTE) == []


# -------------------------------------------------------------------------------------- settings


def test_a_setting_that_cannot_be_used(patient: Patient) -> None:
    patient.environ["PORT"] = "eighty"

    check, what = only(patient.found())
    assert check == "settings"
    assert "PORT='eighty'" in what


def test_a_setting_that_nobody_knows(patient: Patient) -> None:
    patient.environ["KIRO_PROXI_URL"] = "http://127.0.0.1:1"

    check, what = only(patient.found(Verdict.NOTE))
    assert check == "settings"
    assert "the nearest one is KIRO_PROXY_URL" in what


def test_two_settings_that_name_different_databases(patient: Patient) -> None:
    patient.environ |= {"KIRO_DB_PATH": "one.db", "KIRO_DATABASE_URL": "sqlite:///other.db"}

    assert "keep one of them" in only(patient.found())[1]


def test_a_map_of_models_that_is_not_there(patient: Patient) -> None:
    patient.environ["KIRO_MODELS"] = "no/such/file.json"

    assert "KIRO_MODELS" in only(patient.found())[1]


def test_a_guessable_key_on_an_open_port(patient: Patient) -> None:
    patient.environ |= {"KIRO_CLIENT_TOKEN": "123456", "HOST": "0.0.0.0"}

    assert "HOST=0.0.0.0 lets others in" in only(patient.found(Verdict.NOTE))[1]


def test_a_proxy_variable_that_is_ignored(patient: Patient) -> None:
    patient.environ["HTTPS_PROXY"] = "http://user:password@127.0.0.1:1"

    found = only(patient.found(Verdict.NOTE))
    assert found == ("proxy variables", "HTTPS_PROXY ignored")


# --------------------------------------------------------------------------------------- storage


def test_a_folder_that_cannot_be_written(patient: Patient) -> None:
    patient.environ["KIRO_DB_PATH"] = "/proc/kiro2api/kiro2api.db"

    assert only(patient.found())[1].startswith("/proc cannot be written")


def test_a_full_disk(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=5 * 1024 * 1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)

    assert "5 MiB are free" in only(patient.found())[1]


def test_a_folder_that_anybody_may_write(patient: Patient) -> None:
    patient.database.parent.chmod(0o777)

    assert "(mode 777)" in only(patient.found())[1]


def test_a_key_that_anybody_may_read(patient: Patient) -> None:
    del patient.environ["KIRO_SECRET_KEY"]
    with_store(patient.database, _nothing, secret_key="")
    (patient.database.parent / KEY_FILE).chmod(0o644)

    check, what = only(patient.found())
    assert check == "data folder"
    assert f"{KEY_FILE} is open to others (mode 644)" in what


async def _nothing(_store: Store) -> None: ...


def test_a_key_whose_database_is_gone(patient: Patient) -> None:
    (patient.database.parent / KEY_FILE).write_text("a key without a database")
    (patient.database.parent / KEY_FILE).chmod(0o600)

    assert "no database" in only(patient.found())[1]


def test_a_damaged_database(patient: Patient) -> None:
    patient.database.write_bytes(os.urandom(20_000))
    patient.database.chmod(0o600)

    assert "it is damaged or no database" in only(patient.found())[1]


def test_a_database_of_a_newer_program(patient: Patient) -> None:
    start(patient.database, social("a token"))
    with sqlite3.connect(patient.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    assert "a newer kiro2api" in only(patient.found())[1]


def test_a_database_that_another_key_has_sealed(patient: Patient) -> None:
    start(patient.database, social("a token"))
    patient.environ["KIRO_SECRET_KEY"] = "another key, of another time"

    check, what = only(patient.found())
    assert check == "database"
    assert "key" in what


# ------------------------------------------------------------------------------------------ port


def test_a_port_that_another_program_has(patient: Patient) -> None:
    with fake_host(answer(404)) as url:
        patient.environ["PORT"] = url.rpartition(":")[2]

        assert "is taken by another program" in only(patient.found())[1]


def test_a_port_whose_holder_speaks_no_http(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        patient.environ["PORT"] = str(silent.getsockname()[1])

        assert "is taken by another program" in only(patient.found())[1]


def test_an_address_that_is_not_of_this_machine(patient: Patient) -> None:
    patient.environ["HOST"] = "203.0.113.1"

    check, what = only(patient.found())
    assert check == "port"
    assert what.startswith("203.0.113.1:")


# --------------------------------------------------------------------------------------- network


def test_a_host_whose_name_does_not_resolve(patient: Patient) -> None:
    patient.call(f"https://{ELSEWHERE}")

    check, what = only(patient.found())
    assert check == "dns"
    assert what.startswith(f"{ELSEWHERE} does not resolve")


def test_a_host_that_takes_no_connection(patient: Patient) -> None:
    patient.environ["KIRO_SOCIAL_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"

    assert "could not connect" in only(patient.found())[1]


def test_a_host_that_speaks_something_else(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        patient.call(f"https://127.0.0.1:{other.getsockname()[1]}")
        patient.environ["KIRO_CONNECT_TIMEOUT"] = "0.2"

        assert only(patient.found())[0] == "hosts"


def test_a_host_that_is_ill(patient: Patient) -> None:
    with fake_host(answer(503)) as url:
        patient.call(url)

        assert only(patient.found(Verdict.NOTE))[1] == f"{url} answers with 503"


def test_a_host_whose_certificate_nobody_here_trusts(
    patient: Patient, tls_emulator: RunningEmulator
) -> None:
    patient.call(tls_emulator.url)
    assert "TLS" in only(patient.found())[1]

    patient.environ["SSL_CERT_FILE"] = tls_emulator.ca_file
    assert patient.found() == []


def test_a_file_of_authorities_that_holds_none(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of that kind")
    patient.environ["SSL_CERT_FILE"] = str(tmp_path / "ca.pem")

    assert "has no certificates" in only(patient.found())[1]


@pytest.mark.parametrize(
    ("ahead_s", "says"), [(3600.0, "behind the hosts"), (-3600.0, "ahead of the hosts")]
)
def test_a_clock_that_is_an_hour_off(patient: Patient, ahead_s: float, says: str) -> None:
    with fake_host(answer(clock_ahead_s=ahead_s)) as url:
        patient.call(url)

        check, what = only(patient.found())
        assert check == "clock"
        assert says in what


def test_a_proxy_that_is_not_there(patient: Patient) -> None:
    patient.environ["KIRO_PROXY_URL"] = f"http://user:password@127.0.0.1:{free_port()}"

    check, what = only(patient.found())
    assert check == "proxy"
    assert "password" not in what


def test_a_proxy_that_wants_a_login(patient: Patient) -> None:
    with run_proxy(login="user:right") as proxy:
        patient.environ["KIRO_PROXY_URL"] = f"http://user:wrong@{proxy.address}"
        assert "407" in only(patient.found())[1]

        patient.call("https://host.example")
        assert "the proxy refused the tunnel" in only(patient.found())[1]


# -------------------------------------------------------------------------------------- accounts


def test_an_entry_that_is_skipped(patient: Patient) -> None:
    good = (ENTRY % "a-token").strip("[]")
    patient.environ["KIRO_AUTH_TOKEN"] = f'[{good}, {{"auth": "Social"}}]'

    check, what = only(patient.found())
    assert check == "accounts"
    assert "entry 2" in what


def test_an_accounts_variable_that_is_no_json(patient: Patient) -> None:
    patient.environ["KIRO_AUTH_TOKEN"] = "[{"
    start(patient.database, social("a token"))

    assert "KIRO_AUTH_TOKEN" in only(patient.found())[1]


def test_no_account_at_all(patient: Patient) -> None:
    del patient.environ["KIRO_AUTH_TOKEN"]

    assert only(patient.found()) == ("accounts", "there is no account")


def test_an_account_that_must_log_in_again(patient: Patient) -> None:
    start(patient.database, social("a token", name="mine"))
    condition = Condition(Standing.NEEDS_LOGIN, "the refresh token was refused", since=1.0)
    with_store(patient.database, lambda s: s.accounts.save_condition("a1", condition))

    found = patient.found()

    assert [check for check, _ in found] == ["accounts", "accounts"]
    assert found[0][1].startswith("mine (default) is needs_login since 1970-01-01")
    assert found[1][1] == "nobody can serve group default now"


# ----------------------------------------------------------------------------------- front proxy


def test_a_front_proxy_that_holds_streams_back(patient: Patient) -> None:
    with fake_host(stream(pause_s=0.0, wait_s=1.0)) as url:
        check, what = only(patient.found(url=url))

    assert check == "front proxy"
    assert "holds streams back" in what


def test_a_front_proxy_that_lets_streams_through(patient: Patient) -> None:
    with fake_host(stream(pause_s=0.05)) as url:
        (found,) = [f for f in patient.findings(url=url) if f.check == "front proxy"]

    assert found.verdict is Verdict.OK, found


def test_a_front_proxy_that_compresses_streams(patient: Patient) -> None:
    held = answer(content_type="text/event-stream", content_encoding="gzip")
    with fake_host(held) as url:
        assert "compresses streams (gzip)" in only(patient.found(url=url))[1]


def test_a_front_proxy_that_cannot_reach_the_gateway(patient: Patient) -> None:
    with fake_host(answer(502, b"<html>", content_type="text/html")) as url:
        assert "answers with 502, not the gateway" in only(patient.found(url=url))[1]


def test_a_public_address_that_leads_elsewhere(patient: Patient) -> None:
    with fake_host(answer(200, b"<html>", content_type="text/html")) as url:
        assert "text/html, which is no stream" in only(patient.found(url=url))[1]


def test_a_public_address_at_which_nobody_listens(patient: Patient) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    assert "could not connect" in only(patient.found(url=url))[1]


# ---------------------------------------------------------------------------- beside the gateway


def doctor(
    folder: Path, emulator: RunningEmulator, *words: str, **environment: str
) -> "tuple[int, dict[str, Any]]":
    """Run the command with the settings of the gateway in `folder`; return code and answer."""
    done = subprocess.run(
        [sys.executable, "-m", "kiro2api", "doctor", "--json", *NO_ENV_FILE, *words],
        env=gateway_environment(folder, emulator, [], **environment),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.returncode, decode(done.stdout)


def found_by(answer: "dict[str, Any]", check: str) -> list[str]:
    return [found["what"] for found in answer["findings"] if found["check"] == check]


def holding_back(gateway: RunningGateway) -> Any:
    """Return a front proxy's answer that is given only when it is whole."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        body = anthropic_body(stream=True)
        whole = gateway.post("/v1/messages", body, key=handler.headers["x-api-key"])
        answer(200, whole.body, content_type="text/event-stream")(handler)

    return send


def test_a_running_gateway_is_known_and_its_accounts_are_told(
    tmp_path: Path, emulator: RunningEmulator, start_gateway: StartGateway
) -> None:
    gateway = start_gateway([emulator.add_account("alpha")])
    gateway.wait_until_settled()
    requests = len(emulator.generations())

    code, answer = doctor(tmp_path, emulator, PORT=gateway.url.rpartition(":")[2])

    assert (code, answer["faults"]) == (0, 0), answer
    assert "1 of 1 accounts can serve" in found_by(answer, "port")[0]
    assert found_by(answer, "accounts") == ["alpha (default) can serve"]
    assert len(emulator.generations()) == requests
    assert gateway.messages().status == 200


def test_a_proxy_before_a_running_gateway_that_holds_its_streams_back(
    tmp_path: Path, emulator: RunningEmulator, start_gateway: StartGateway
) -> None:
    gateway = start_gateway([emulator.add_account("alpha")])
    gateway.wait_until_settled()
    words: list[dict[str, object]] = [
        step
        for number in range(16)
        for step in ({"do": "text", "text": f"{number} "}, {"do": "wait", "s": 0.07})
    ]
    for _ in range(2):
        emulator.queue_stream(*words)

    with fake_host(holding_back(gateway)) as url:
        code, answer = doctor(tmp_path, emulator, "--url", url, PORT=gateway.url.rpartition(":")[2])

    assert code == 1
    assert "holds streams back" in found_by(answer, "front proxy")[0]
    assert KEY not in str(answer)
