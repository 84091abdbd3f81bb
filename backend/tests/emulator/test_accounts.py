"""Identities and the life of their refresh tokens."""

import msgspec
import pytest

from kiro2api.emulator.accounts import (
    BUILDER_ID_PLACEHOLDER,
    SOCIAL_PLACEHOLDER,
    Account,
    AccountKind,
    AccountSpec,
    AccountState,
    Rotation,
)

NOW = 1000.0


def account(**spec: object) -> Account:
    return Account(msgspec.convert({"name": "a", **spec}, AccountSpec), now=NOW)


def test_what_a_definition_leaves_out_is_always_made_up_the_same() -> None:
    assert account(kind="idc").spec == account(kind="idc").spec


def test_a_made_refresh_token_is_as_long_as_real_ones() -> None:
    assert len(account().refresh_token) >= 100


def test_a_made_profile_has_the_form_of_real_ones() -> None:
    arn = account().profile_arn.split(":")

    assert arn[:4] == ["arn", "aws", "codewhisperer", "us-east-1"]
    assert (len(arn[4]), len(arn[5])) == (12, len("profile/") + 12)


def test_a_builder_id_has_no_profile_of_its_own() -> None:
    assert account(kind="builder_id").profile_arn == ""


@pytest.mark.parametrize(
    ("kind", "placeholder"),
    [(AccountKind.SOCIAL, SOCIAL_PLACEHOLDER), (AccountKind.BUILDER_ID, BUILDER_ID_PLACEHOLDER)],
)
def test_each_kind_has_its_placeholder(kind: AccountKind, placeholder: str) -> None:
    assert account(kind=kind).placeholder_arn == placeholder


@pytest.mark.parametrize(
    ("region", "api"), [("eu-west-1", "eu-central-1"), ("ap-x-1", "us-east-1")]
)
def test_a_made_profile_is_in_the_region_that_serves_the_login(region: str, api: str) -> None:
    assert account(kind="idc", region=region).profile_arn.split(":")[3] == api


def test_every_profile_that_is_listed_is_its_own() -> None:
    one = account(profile_arn="arn:1", profiles=[{"arn": "arn:2"}, {"name": "none"}])

    assert one.profile_arns == {"arn:1", "arn:2"}
    assert account(kind="builder_id").profile_arns == set()


def test_an_external_account_has_a_public_client_and_scopes() -> None:
    spec = account(kind="external_idp").spec

    assert (spec.client_id, spec.client_secret) == ("client-a", "")
    assert "offline_access" in (spec.scopes or [])


@pytest.mark.parametrize(("kind", "has_client"), [("idc", True), ("social", False)])
def test_only_oidc_accounts_have_a_client(kind: str, has_client: bool) -> None:
    spec = account(kind=kind).spec

    assert (bool(spec.client_id), bool(spec.client_secret)) == (has_client, has_client)


def test_an_api_key_account_has_a_key() -> None:
    assert account(kind="api_key").spec.access_token.startswith("ksk_")


def test_strict_rotation_kills_the_old_token_at_once() -> None:
    one = account(rotation=Rotation.STRICT)
    old = one.refresh_token
    new = one.rotate(now=NOW)

    assert new == one.refresh_token != old
    assert not one.accepts_refresh_token(old, now=NOW)
    assert one.accepts_refresh_token(new, now=NOW)


def test_rotation_with_grace_lets_the_old_token_live_a_while() -> None:
    one = account(rotation=Rotation.GRACE, grace_s=60.0)
    old = one.refresh_token
    one.rotate(now=NOW)

    accepted = [one.accepts_refresh_token(old, now=NOW + after) for after in (59.0, 61.0)]
    assert accepted == [True, False]


def test_the_same_token_can_come_back() -> None:
    one = account(rotation=Rotation.SAME)

    assert one.rotate(now=NOW) == one.spec.refresh_token


def test_an_answer_without_a_token_leaves_the_old_one_alive() -> None:
    one = account(rotation=Rotation.MISSING)

    assert one.rotate(now=NOW) == ""
    assert one.accepts_refresh_token(one.spec.refresh_token, now=NOW)


def test_a_login_leaves_the_earlier_ones_alive() -> None:
    one = account()
    old = one.refresh_token
    new = one.log_in()
    one.rotate(now=NOW, used=new)

    accepted = [one.accepts_refresh_token(token, now=NOW) for token in (old, new)]
    assert accepted == [True, False]


def test_grace_is_not_prolonged_by_use() -> None:
    one = account(rotation=Rotation.GRACE, grace_s=60.0)
    old = one.refresh_token
    one.rotate(now=NOW, used=old)
    one.rotate(now=NOW + 50.0, used=old)

    assert not one.accepts_refresh_token(old, now=NOW + 61.0)


def test_the_end_of_a_period_can_be_moved() -> None:
    one = account(resets_in_s=10.0)
    before = one.resets_at
    one.change({"resets_in_s": 5.0}, now=NOW + 100.0)

    assert (before, one.resets_at) == (NOW + 10.0, NOW + 105.0)


def test_a_stranger_s_token_is_not_accepted() -> None:
    assert not account().accepts_refresh_token("another", now=NOW)


def test_a_change_keeps_the_tokens() -> None:
    one = account()
    one.rotate(now=NOW)
    before = one.refresh_token
    one.change({"state": "suspended", "credits_used": 12.0}, now=NOW)

    assert (one.spec.state, one.refresh_token) == (AccountState.SUSPENDED, before)
    assert one.credits_used == 12.0


def test_a_change_of_an_unknown_member_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        account().change({"colour": "red"}, now=NOW)


def test_accounts_tell_their_name() -> None:
    assert account().name == "a"
