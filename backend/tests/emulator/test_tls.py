"""Certificates for loopback."""

import ssl
from pathlib import Path

import pytest

from kiro2api.emulator.tls import make_certificate, self_signed_context, server_context

NOW = 1_800_000_000.0
ALPN = ("h2", "http/1.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "example.test", "10.1.2.3"])
def test_a_certificate_and_its_key_belong_together(host: str) -> None:
    context = self_signed_context(make_certificate(host, now=NOW), alpn=ALPN)

    assert context.cert_store_stats()["x509"] == 0


def test_the_authority_is_one_that_clients_can_trust() -> None:
    context = ssl.create_default_context(
        cadata=make_certificate("127.0.0.1", now=NOW).authority.decode()
    )

    assert context.cert_store_stats()["x509_ca"] >= 1


def test_a_listener_can_use_certificates_from_files(tmp_path: Path) -> None:
    made = make_certificate("127.0.0.1", now=NOW)
    leaf, key = tmp_path / "leaf.pem", tmp_path / "key.pem"
    leaf.write_bytes(made.certificate)
    key.write_bytes(made.key)

    assert server_context(leaf, key, alpn=ALPN).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    one, other = (make_certificate("127.0.0.1", now=NOW) for _ in range(2))
    leaf, key = tmp_path / "leaf.pem", tmp_path / "key.pem"
    leaf.write_bytes(one.certificate)
    key.write_bytes(other.key)

    with pytest.raises(ssl.SSLError):
        server_context(leaf, key, alpn=ALPN)
