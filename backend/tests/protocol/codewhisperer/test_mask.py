"""Secrets and personal data never leave in an upstream's text."""

import time

import pytest

from kiro2api.protocol.codewhisperer.mask import mask, mask_email

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuv"),
        ("authorization: bearer tok3n", "tok3n"),
        ("the token aoaAAAAAGhEXAMPLE:MGQCMH is old", "aoaAAAAAGhEXAMPLE:MGQCMH"),
        ("refresh with aorAAAAAGkEXAMPLE/abc+def=", "aorAAAAAGkEXAMPLE/abc+def="),
        ("key ksk_abcdefgh12345678 is revoked", "ksk_abcdefgh12345678"),
        (f"client secret {JWT}", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9"),
        (
            "profile arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL is gone",
            "ABCDEFGHIJKL",
        ),
        ("account 123456789012 has no access", "123456789012"),
        ("user jane.doe+x@mail.example.co.uk is unknown", "jane.doe"),
        ("用户jane@example.com不存在", "jane@example.com"),
        ("Your User ID (d-9067000000.user-one) is temporarily suspended.", "user-one"),
        ("User ID: 1234abcd is locked", "1234abcd"),
        ("refresh_token=0.AXoAqwerty-uiop_1234&x=y", "0.AXoAqwerty"),
        ('{"access_token":"abcdefghijklmnop1234"}', "abcdefghijklmnop1234"),
        ("client secret: Zx8Q~abcdefghijklmnop", "Zx8Q~"),
        ("principal d-9067123456.0123-abcd is locked", "0123-abcd"),
    ],
)
def test_what_must_stay_private_is_masked(text: str, secret: str) -> None:
    masked = mask(text)

    assert secret not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "The bearer token included in the request is invalid.",
        "Too many requests, please wait before trying again.",
        "Input is too long: 204800 tokens, request 6d0c1c1e-1111-4222-8333-9444a5556666",
        "1 validation error detected. Value at '/conversationState/history' failed.",
        "Invalid refresh token provided",
        "refresh token: expired",
        "ValidationException at 1764547200000",
        "",
    ],
)
def test_plain_prose_stays_as_it_is(text: str) -> None:
    assert mask(text) == text


def test_the_sentence_around_a_masked_id_stays_readable() -> None:
    masked = mask("Your User ID (d-9067000000.user-one) is temporarily suspended.")

    assert masked == "Your User ID (***) is temporarily suspended."


@pytest.mark.parametrize("piece", ["a", "a.", "bearer ", "arn:", "1", "eyJ", "aoa", "d-", "@"])
def test_a_long_hostile_text_is_masked_in_time(piece: str) -> None:
    started = time.process_time()
    mask(piece * (100_000 // len(piece)))

    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("user@example.com", "u***@example.com"),
        ("@example.com", "***@example.com"),
        ("no address", "***"),
        ("", ""),
    ],
)
def test_an_address_keeps_what_its_owner_knows_it_by(address: str, shown: str) -> None:
    assert mask_email(address) == shown
