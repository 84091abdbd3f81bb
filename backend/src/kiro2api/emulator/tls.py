"""Certificates for the emulator: an authority of its own and a leaf for loopback."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID_DAYS = 30


class Certificate(msgspec.Struct, frozen=True):
    """A leaf, its key, and the authority that clients have to trust, all as PEM."""

    authority: bytes
    certificate: bytes
    key: bytes


def make_certificate(host: str, *, now: float) -> Certificate:
    """Return a fresh certificate for `host`, localhost and both loopback addresses."""
    moment = datetime.fromtimestamp(now, UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("kiro2api emulator authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), moment)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        _builder(_name("kiro2api emulator"), authority_name, key.public_key(), moment)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName(_names_of(host)), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Certificate(
        authority=authority.public_bytes(pem),
        certificate=leaf.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def server_context(certificate: Path, key: Path, *, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Return a TLS context for a listener with that certificate and those protocols."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(list(alpn))
    return context


def self_signed_context(certificate: Certificate, *, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Return a TLS context for a listener with a certificate that is in memory only."""
    with tempfile.TemporaryDirectory(prefix="kiro2api-emulator-") as folder:
        leaf, key = Path(folder, "leaf.pem"), Path(folder, "key.pem")
        leaf.write_bytes(certificate.certificate)
        key.touch(mode=0o600)
        key.write_bytes(certificate.key)
        return server_context(leaf, key, alpn=alpn)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, moment: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=_VALID_DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _names_of(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.IPAddress(ip_address("::1")),
    ]
    try:
        address = x509.IPAddress(ip_address(host))
    except ValueError:
        return names if host == "localhost" else [*names, x509.DNSName(host)]
    return names if address in names else [*names, address]
