"""libcurl's codes in words."""

import pycurl
import pytest

from kiro2api.errors import TransferError
from kiro2api.upstream.failure import transfer_error


def told(code: int, detail: str = "") -> TransferError:
    return transfer_error(code, detail, origin="https://a.example", connect_timeout_s=10)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pycurl.E_COULDNT_CONNECT, "could not connect"),
        (pycurl.E_COULDNT_RESOLVE_HOST, "the host name could not be resolved"),
        (pycurl.E_COULDNT_RESOLVE_PROXY, "the proxy's host name could not be resolved"),
        (pycurl.E_RECV_ERROR, "connection reset"),
        (pycurl.E_SEND_ERROR, "connection reset while sending"),
        (pycurl.E_GOT_NOTHING, "the connection was closed without an answer"),
        (pycurl.E_PARTIAL_FILE, "the body ended early"),
        (92, "the HTTP/2 stream was reset"),
        (4711, "libcurl error 4711"),
    ],
)
def test_a_code_says_what_happened_and_where(code: int, words: str) -> None:
    error = told(code, "something with https://user:password@a.example/secret in it")

    assert error.message == f"https://a.example: {words}"
    assert not error.timed_out
    assert error.closed is (code == pycurl.E_PARTIAL_FILE)


def test_a_connection_that_takes_too_long_timed_out() -> None:
    error = told(pycurl.E_OPERATION_TIMEDOUT)

    assert error.message == "https://a.example: could not connect within 10 s"
    assert error.timed_out


def test_trouble_with_tls_keeps_its_reason() -> None:
    error = told(pycurl.E_PEER_FAILED_VERIFICATION, "certificate has expired")

    assert error.message == "https://a.example: TLS: certificate has expired"


def test_trouble_with_tls_without_a_reason_is_the_handshake() -> None:
    assert told(pycurl.E_SSL_CONNECT_ERROR).message.endswith("TLS: the handshake failed")


def test_a_tunnel_that_was_refused_names_the_status() -> None:
    error = told(pycurl.E_RECV_ERROR, "CONNECT tunnel failed, response 407")

    assert error.message == "https://a.example: the proxy refused the tunnel, response 407"
