"""Reading accounts as people write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import SetupError
from kiro2api.gateway.intake import Intake, Reading, read_accounts, read_entries
from kiro2api.gateway.ports import AccessToken, ConfiguredAccount, NewAccount
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential

SOCIAL = {"auth": "Social", "refreshToken": "your-token"}
IDC = {"auth": "IdC", "refreshToken": "your-token", "clientId": "id", "clientSecret": "secret"}

EXTERNAL = {
    "auth": "external_idp",
    "refreshToken": "your-token",
    "clientId": "id",
    "tokenEndpoint": "https://login.example/token",
    "issuerUrl": "https://login.example",
    "scopes": ["openid", "offline_access"],
}


def read(*entries: object, registrations: dict[str, str] | None = None) -> Intake:
    return read_accounts(json.dumps(entries), find_registration=(registrations or {}).get)


def only(*entries: object, **more: Any) -> ConfiguredAccount:
    intake = read(*entries, **more)
    assert intake.problems == ()
    (entry,) = intake.entries
    return entry


def refusal(entry: object, **more: Any) -> str:
    intake = read(entry, **more)
    assert intake.entries == ()
    (problem,) = intake.problems
    assert problem.index == 0
    return problem.reason


def test_the_entry_of_the_first_description_is_an_account_of_the_default_group() -> None:
    text = '[{"auth":"Social","refreshToken":"your-token"}]'

    assert read_accounts(text).entries == (
        ConfiguredAccount(
            index=0,
            name="account 1",
            group="default",
            enabled=True,
            credential=Credential(AuthKind.SOCIAL, "your-token"),
        ),
    )


def test_every_member_of_an_entry_is_kept() -> None:
    entry = only(
        IDC
        | {
            "name": "work",
            "group": "pro",
            "disabled": True,
            "region": "eu-west-1",
            "profileArn": "arn:aws:codewhisperer:us-east-1:1:profile/A",
        }
    )

    assert entry == ConfiguredAccount(
        index=0,
        name="work",
        group="pro",
        enabled=False,
        credential=Credential(
            AuthKind.IDC, "your-token", client_id="id", client_secret="secret", region="eu-west-1"
        ),
        profile_arn="arn:aws:codewhisperer:us-east-1:1:profile/A",
    )


def test_several_accounts_over_several_lines_keep_their_order() -> None:
    text = """
    [
      {"auth": "Social", "refreshToken": "one"},
      {"auth": "IdC", "refreshToken": "two", "clientId": "id", "clientSecret": "secret"},
      {"auth": "Social", "refreshToken": "three"}
    ]
    """

    entries = read_accounts(text).entries

    assert [entry.credential.refresh_token for entry in entries] == ["one", "two", "three"]
    assert [entry.name for entry in entries] == ["account 1", "account 2", "account 3"]


def test_one_object_is_an_array_of_one() -> None:
    assert read_accounts(json.dumps(SOCIAL)) == read(SOCIAL)


def test_an_empty_array_holds_no_account() -> None:
    assert read_accounts("[]") == Intake()


@pytest.mark.parametrize("word", ["Social", "social", "SOCIAL", " Social "])
def test_the_kind_is_read_in_any_case(word: str) -> None:
    assert only(SOCIAL | {"auth": word}).credential.kind is AuthKind.SOCIAL


@pytest.mark.parametrize("word", ["IdC", "idc", "IDC"])
def test_an_identity_centre_login_is_read_in_any_case(word: str) -> None:
    assert only(IDC | {"auth": word}).credential.kind is AuthKind.IDC


def test_members_are_found_in_snake_case_too() -> None:
    entry = {"auth": "idc", "refresh_token": "t", "client_id": "i", "client_secret": "s"}

    assert only(entry).credential == Credential(AuthKind.IDC, "t", client_id="i", client_secret="s")


def test_members_that_mean_nothing_here_are_no_fault() -> None:
    assert only(SOCIAL | {"machineId": "x", "priority": 3}) == only(SOCIAL)


def test_a_region_that_is_not_named_is_the_default_one() -> None:
    (entry,) = read_accounts(json.dumps(SOCIAL), default_region="eu-central-1").entries

    assert entry.credential.region == "eu-central-1"


def test_white_space_around_a_token_is_not_part_of_it() -> None:
    assert only(SOCIAL | {"refreshToken": " t\n"}).credential.refresh_token == "t"


def test_a_group_of_null_or_nothing_is_the_default_group() -> None:
    assert only(SOCIAL | {"group": None}).group == only(SOCIAL | {"group": ""}).group == "default"


CACHE_FILE = {
    "accessToken": "aoa-access",
    "refreshToken": "your-token",
    "profileArn": "arn:aws:codewhisperer:us-east-1:1:profile/A",
    "expiresAt": "2026-01-01T00:00:00.000Z",
    "authMethod": "social",
    "provider": "Google",
}
IDC_CACHE_FILE = {
    "accessToken": "aoa-access",
    "refreshToken": "your-token",
    "expiresAt": "2026-01-01T00:00:00.000Z",
    "clientIdHash": "0123456789abcdef0123456789abcdef01234567",
    "authMethod": "IdC",
    "provider": "BuilderId",
    "region": "us-east-1",
}
REGISTRATION = json.dumps(
    {"clientId": "id", "clientSecret": "secret", "expiresAt": "2026-01-01T00:00:00.000Z"}
)


def test_the_token_file_of_a_social_login_is_an_account() -> None:
    entry = only(CACHE_FILE)

    assert entry.credential == Credential(AuthKind.SOCIAL, "your-token", provider="Google")
    assert entry.profile_arn == CACHE_FILE["profileArn"]


def test_the_token_file_of_an_identity_centre_login_takes_its_registration() -> None:
    entry = only(IDC_CACHE_FILE, registrations={IDC_CACHE_FILE["clientIdHash"]: REGISTRATION})

    assert entry.credential == Credential(
        AuthKind.IDC, "your-token", client_id="id", client_secret="secret", provider="BuilderId"
    )


def test_a_registration_inside_the_entry_needs_no_file() -> None:
    entry = only(IDC_CACHE_FILE | {"clientId": "own", "clientSecret": "own-secret"})

    assert (entry.credential.client_id, entry.credential.client_secret) == ("own", "own-secret")


def test_a_registration_file_that_is_not_there_is_named() -> None:
    reason = refusal(IDC_CACHE_FILE)

    assert f"{IDC_CACHE_FILE['clientIdHash']}.json" in reason


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"clientId":"id"}'])
def test_a_registration_file_that_holds_no_registration_is_refused(text: str) -> None:
    reason = refusal(IDC_CACHE_FILE, registrations={IDC_CACHE_FILE["clientIdHash"]: text})

    assert "registration file" in reason or "clientSecret is missing" in reason


@pytest.mark.parametrize("value", ["../../etc/passwd", "a/b", "..", "a.b"])
def test_a_hash_that_is_a_path_is_never_looked_up(value: str) -> None:
    asked: list[str] = []
    text = json.dumps(IDC_CACHE_FILE | {"clientIdHash": value})

    intake = read_accounts(text, find_registration=lambda key: asked.append(key) or None)

    assert intake.problems[0].reason == "clientIdHash is not a hash"
    assert asked == []


@pytest.mark.parametrize(
    ("provider", "kind"),
    [("Github", AuthKind.SOCIAL), ("BuilderId", AuthKind.IDC), ("Enterprise", AuthKind.IDC)],
)
def test_a_provider_tells_the_kind_when_nothing_else_does(provider: str, kind: AuthKind) -> None:
    entry = {key: value for key, value in IDC.items() if key != "auth"}

    assert only(entry | {"provider": provider}).credential.kind is kind


def test_a_registration_tells_the_kind_when_nothing_else_does() -> None:
    entry = {key: value for key, value in IDC.items() if key != "auth"}

    assert only(entry).credential.kind is AuthKind.IDC


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("text", "not a JSON object"),
        (None, "not a JSON object"),
        ([SOCIAL], "not a JSON object"),
        ({}, "auth is missing"),
        ({"refreshToken": "t"}, "auth is missing"),
        ({"auth": "Social"}, "refreshToken is missing"),
        (SOCIAL | {"refreshToken": ""}, "refreshToken is missing"),
        (SOCIAL | {"refreshToken": 7}, "refreshToken is not a text"),
        (SOCIAL | {"refreshToken": "aorAAAA..."}, "refreshToken was cut off"),
        (SOCIAL | {"refreshToken": "two words"}, "refreshToken has characters"),
        (SOCIAL | {"refreshToken": "line\nbreak"}, "refreshToken has characters"),
        (SOCIAL | {"refreshToken": "aor…"}, "refreshToken has characters"),
        (SOCIAL | {"auth": "password"}, "auth is none of"),
        ({"refreshToken": "t", "provider": "Nobody"}, "provider is one"),
        ({"auth": "ApiKey", "refreshToken": "t"}, "apiKey is missing"),
        (EXTERNAL | {"clientId": ""}, "clientId is missing"),
        (EXTERNAL | {"tokenEndpoint": None}, "tokenEndpoint is missing"),
        (EXTERNAL | {"scopes": [7]}, "scopes is neither"),
        (IDC | {"clientId": ""}, "clientId is missing"),
        (IDC | {"clientSecret": None}, "clientSecret is missing"),
        (IDC | {"clientSecret": "cut..."}, "clientSecret was cut off"),
        (SOCIAL | {"region": "Frankfurt"}, "region is not"),
        (SOCIAL | {"region": "eu-one-word-too-many-1"}, "region is not"),
        (SOCIAL | {"profileArn": "profile/A"}, "profileArn is not an ARN"),
        (SOCIAL | {"group": "Pro"}, "a group name consists of"),
        (SOCIAL | {"group": "api"}, "reserved"),
        (SOCIAL | {"group": 7}, "group is not a text"),
        (SOCIAL | {"disabled": "yes"}, "disabled is neither true nor false"),
        (SOCIAL | {"name": "x" * 101}, "name is not up to 100"),
        (SOCIAL | {"name": "a\x1b[2J"}, "name is not up to 100"),
    ],
)
def test_a_wrong_entry_is_skipped_with_its_reason(entry: object, reason: str) -> None:
    assert reason in refusal(entry)


def test_a_wrong_entry_takes_no_other_with_it_and_is_reported_by_its_place() -> None:
    intake = read(SOCIAL | {"refreshToken": "one"}, {"auth": "IdC"}, SOCIAL)

    assert [entry.index for entry in intake.entries] == [0, 2]
    assert [entry.name for entry in intake.entries] == ["account 1", "account 3"]
    assert [problem.index for problem in intake.problems] == [1]
    assert str(intake.problems[0]) == "entry 2: refreshToken is missing"


def test_an_entry_that_repeats_a_login_is_reported() -> None:
    intake = read(SOCIAL, IDC, SOCIAL | {"name": "again"})

    assert len(intake.entries) == 2
    assert str(intake.problems[0]) == "entry 3: the same login as entry 1"


@pytest.mark.parametrize("secret", ["refreshToken", "clientId", "clientSecret"])
def test_no_reason_repeats_a_secret(secret: str) -> None:
    for value in ("planted...", "planted planted", ["planted"]):
        assert "planted" not in refusal(IDC | {secret: value})


@pytest.mark.parametrize("text", ["", "your-token", "[{]", '[{"auth":"Social"}', "[" * 100_000])
def test_text_that_is_not_json_stops_the_start(text: str) -> None:
    with pytest.raises(SetupError, match="not valid JSON"):
        read_accounts(text)


@pytest.mark.parametrize("text", ["7", "null", '"your-token"', "true"])
def test_json_that_holds_no_entries_stops_the_start(text: str) -> None:
    with pytest.raises(SetupError, match="array of entries"):
        read_accounts(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
)
members = st.sampled_from(
    [
        "auth",
        "authMethod",
        "provider",
        "refreshToken",
        "clientId",
        "clientSecret",
        "clientIdHash",
        "region",
        "profileArn",
        "group",
        "name",
        "disabled",
        "apiKey",
        "tokenEndpoint",
        "scopes",
        "accessToken",
        "expiresAt",
    ]
)


@given(st.lists(st.dictionaries(members, values) | values, max_size=4))
def test_any_json_array_is_read_or_reported_entry_by_entry(entries: list[object]) -> None:
    intake = read(*entries)

    indices = [e.index for e in intake.entries] + [p.index for p in intake.problems]
    assert sorted(indices) == list(range(len(entries)))


@pytest.mark.parametrize("word", ["ApiKey", "api_key", "api-key", ""])
@pytest.mark.parametrize("member", ["apiKey", "kiroApiKey"])
def test_a_key_is_an_account_of_its_own_kind(word: str, member: str) -> None:
    entry = only({"auth": word, member: "ksk_something"})

    assert entry.credential == Credential(AuthKind.API_KEY, api_key="ksk_something")


def test_a_login_of_an_external_provider_keeps_what_its_refresh_needs() -> None:
    assert only(EXTERNAL).credential == Credential(
        AuthKind.EXTERNAL_IDP,
        "your-token",
        client_id="id",
        token_endpoint="https://login.example/token",
        issuer_url="https://login.example",
        scopes=("openid", "offline_access"),
    )


def test_scopes_in_one_text_are_the_same_as_in_a_list() -> None:
    assert only(EXTERNAL | {"scopes": "openid offline_access"}) == only(EXTERNAL)


@pytest.mark.parametrize(
    "expires_at",
    ["2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00+01:00", 1_767_225_600, 1_767_225_600_000],
)
def test_a_bearer_that_says_how_long_it_is_good_comes_along(expires_at: object) -> None:
    intake = read(SOCIAL | {"accessToken": "bearer", "expiresAt": expires_at})

    assert intake.access_tokens == {0: AccessToken("bearer", 1_767_225_600.0)}


@pytest.mark.parametrize("expires_at", [None, "", "soon", True, [], -1, 0])
def test_a_bearer_without_an_end_is_left_behind(expires_at: object) -> None:
    intake = read(SOCIAL | {"accessToken": "bearer", "expiresAt": expires_at})

    assert (len(intake.entries), intake.access_tokens) == (1, {})


@pytest.mark.parametrize("value", ["two words", "cut...", 7])
def test_a_broken_bearer_does_not_cost_the_account(value: object) -> None:
    intake = read(CACHE_FILE | {"accessToken": value})

    assert (len(intake.entries), intake.access_tokens) == (1, {})


@pytest.mark.parametrize(("entry", "refused"), [(SOCIAL, 1), (IDC, 1), (EXTERNAL, 0)])
def test_short_tokens_of_the_services_own_logins_are_refused_where_whole_ones_are_asked_for(
    entry: dict[str, object], refused: int
) -> None:
    intake = read_entries([entry], Reading(least_token_characters=100))

    assert len(intake.problems) == refused
    assert all("was cut off: it has 10 char" in problem.reason for problem in intake.problems)


def test_an_entry_without_a_name_is_named_after_its_reading_and_place() -> None:
    intake = read_entries([IDC, SOCIAL], Reading(name="laptop"))

    assert [entry.name for entry in intake.entries] == ["laptop 1", "laptop 2"]


def test_what_a_person_brings_goes_to_the_group_that_he_names() -> None:
    intake = read(CACHE_FILE | {"name": "work", "group": "pro", "disabled": True})

    (own,) = intake.new_accounts(source="import")
    (other,) = intake.new_accounts(source="import", group="team")

    assert own == NewAccount(
        name="work",
        group="pro",
        enabled=False,
        credential=Credential(AuthKind.SOCIAL, "your-token", provider="Google"),
        profile_arn=CACHE_FILE["profileArn"],
        source="import",
        access_token=AccessToken("aoa-access", 1_767_225_600.0),
    )
    assert other.group == "team"
