"""Records keep what was sent, but no secret."""

from kiro2api.emulator.exchange import Request
from kiro2api.emulator.records import Redactor


def request(path: str, body: bytes) -> Request:
    return Request("POST", path, {}, {}, body, "1.1", 1)


def redactor() -> Redactor:
    made = Redactor()
    made.learn("s3cret", "refresh token 1 of a")
    made.learn("", "nothing")
    return made


def test_a_known_credential_is_replaced_by_words_about_it() -> None:
    assert redactor().header("authorization", "Bearer s3cret") == "Bearer [refresh token 1 of a]"


def test_an_unknown_credential_is_not_kept_either() -> None:
    assert redactor().header("authorization", "Bearer other") == "Bearer [unknown]"


def test_a_credential_without_a_scheme_is_not_kept() -> None:
    assert redactor().header("authorization", "s3cret") == "[unknown]"


def test_other_headers_stay() -> None:
    assert redactor().header("user-agent", "kiro2api/1") == "kiro2api/1"


def test_secrets_in_a_refresh_are_replaced() -> None:
    sent = request("/token", b'{"refreshToken":"s3cret","clientSecret":"x","clientId":"c"}')

    assert redactor().body(sent) == {
        "refreshToken": "[refresh token 1 of a]",
        "clientSecret": "[unknown]",
        "clientId": "c",
    }


def test_the_body_of_a_generation_call_stays_whole() -> None:
    sent = request("/generateAssistantResponse", b'{"refreshToken":"just text"}')

    assert redactor().body(sent) == {"refreshToken": "just text"}


def test_what_is_no_json_is_kept_as_text() -> None:
    assert redactor().body(request("/x", b"\xff{")) == "\ufffd{"
