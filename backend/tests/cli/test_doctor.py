"""`kiro2api doctor`, on the command line of an installation of its own."""

import io
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from kiro2api.cli import doctor as command
from kiro2api.cli import main
from kiro2api.config import SETTINGS
from kiro2api.protocol.wire.json import decode
from tests.support.patient import Patient, answer, fake_host


@pytest.fixture(autouse=True)
def _at_home(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command find the patient's installation and its environment."""
    monkeypatch.setattr(command, "find_installation", lambda environ: patient.installation)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.about.env, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in patient.environ.items():
        monkeypatch.setenv(name, value)


def run(*words: str) -> object:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *words])
    return ended.value.code


def test_a_healthy_installation_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "0 faults, 0 notes." in capsys.readouterr().out


def test_a_fault_ends_with_1_and_tells_why_and_the_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KIRO_AUTH_TOKEN")

    assert run() == 1
    out = capsys.readouterr().out
    assert "FAULT: there is no account\n  why:  " in out
    assert "\n  cure: add one" in out
    assert "1 fault, 0 notes." in out


def test_json_tells_every_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    told = decode(capsys.readouterr().out)

    assert told["faults"] == 0
    assert {"check", "verdict", "what", "why", "cure"} == told["findings"][0].keys()
    assert {found["verdict"] for found in told["findings"]} == {"ok"}


@pytest.mark.parametrize("source", ["file", "standard input"])
def test_the_key_for_the_public_address_comes_from_a_file_or_from_standard_input(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    (tmp_path / "key").write_text("the-key\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("the-key\n"))

    def refuse(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["x-api-key"])
        answer(401)(handler)

    with fake_host(refuse) as url:
        key_file = str(tmp_path / "key") if source == "file" else "-"
        assert run("--url", url, "--key-file", key_file) == 1

    assert seen == ["the-key"]


@pytest.mark.parametrize("url", ["host", "ftp://host", "https://user:password@host"])
def test_an_address_that_could_not_be_asked_or_shown_is_refused(url: str) -> None:
    assert run("--url", url) == 2


def test_a_key_file_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--key-file", "no/such/file") == 78
    assert "no/such/file" in capsys.readouterr().err
