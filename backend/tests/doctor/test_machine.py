"""Versions, open files and certificates."""

import resource
from pathlib import Path

import pycurl

from kiro2api import __version__
from kiro2api.doctor.finding import Verdict
from kiro2api.doctor.machine import check_certificates, check_files, check_versions


def test_the_versions_of_now_are_told() -> None:
    found = check_versions()

    assert found.verdict is Verdict.OK
    assert f"kiro2api {__version__}, Python 3." in found.what


def test_a_libcurl_without_tls_is_a_fault_and_without_http2_a_note() -> None:
    assert check_versions(pycurl.VERSION_HTTP2).verdict is Verdict.FAULT
    assert check_versions(pycurl.VERSION_SSL).verdict is Verdict.NOTE


def test_too_few_open_files_for_the_streams_are_a_note_with_the_number() -> None:
    found = check_files(1_000, limit=1_024)

    assert found.verdict is Verdict.NOTE
    assert "ulimit -n 2064" in found.cure


def test_enough_open_files_are_well() -> None:
    assert check_files(1_000, limit=2_064).verdict is Verdict.OK
    assert check_files(1_000, limit=resource.RLIM_INFINITY).verdict is Verdict.OK


def test_the_authorities_that_come_along_are_well() -> None:
    assert check_certificates("").verdict is Verdict.OK


def test_a_file_without_authorities_or_without_itself_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()

    for name in ("empty.pem", "none.pem"):
        found = check_certificates(str(tmp_path / name))
        assert (found.verdict, name in found.what) == (Verdict.FAULT, True)
