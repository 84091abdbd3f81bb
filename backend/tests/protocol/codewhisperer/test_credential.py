"""A credential keeps its secrets to itself."""

from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential


def test_a_credential_shows_its_kind_and_no_secret() -> None:
    credential = Credential(AuthKind.IDC, "aor-secret", "client", "client-secret")

    assert repr(credential) == "Credential(IdC)"


def test_a_credential_inside_other_records_shows_no_secret_either() -> None:
    shown = f"{[Credential(AuthKind.SOCIAL, 'aor-secret')]!r}"

    assert "secret" not in shown
