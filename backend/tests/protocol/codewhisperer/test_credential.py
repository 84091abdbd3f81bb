"""A credential keeps its secrets to itself."""

from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential


def test_a_credential_shows_its_kind_and_no_secret() -> None:
    credential = Credential(AuthKind.IDC, "aor-secret", "client", "client-secret")

    assert repr(credential) == "Credential(IdC)"


def test_a_credential_inside_other_records_shows_no_secret_either() -> None:
    shown = f"{[Credential(AuthKind.SOCIAL, 'aor-secret')]!r}"

    assert "secret" not in shown


def test_an_api_key_is_a_bearer_and_never_refreshed() -> None:
    assert not Credential(AuthKind.API_KEY, api_key="ksk_1").refreshes
    assert Credential(AuthKind.BUILDER_ID, "aor").refreshes


def test_a_credential_names_its_bearers_as_its_kind_does() -> None:
    types = {kind: Credential(kind).token_type for kind in AuthKind}

    assert types == {kind: kind.token_type for kind in AuthKind}
    assert types[AuthKind.EXTERNAL_IDP] == "EXTERNAL_IDP"
