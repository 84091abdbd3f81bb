"""Tests of the text that may leave the program."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.chat.text import clean, is_blank


@pytest.mark.parametrize("text", ["", "plain\n\t\r text", "你好 🙂 é\u00a0", "\u200b\u2028"])
def test_text_that_is_welcome_comes_back_as_the_same_object(text: str) -> None:
    assert clean(text) is text


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("a\x00b\x1b[1m\x7f\x0b\x0c", "ab[1m"),
        ("你\x00好\x85", "你好"),
        ("half \ud83d of it", "half  of it"),
        ("\udc00", ""),
    ],
)
def test_control_characters_and_halves_of_pairs_go(dirty: str, cleaned: str) -> None:
    assert clean(dirty) == cleaned


@given(st.text(st.characters(codec=None)))
def test_clean_text_always_encodes_and_keeps_all_that_is_welcome(text: str) -> None:
    cleaned = clean(text)

    cleaned.encode()
    unwelcome = {*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0xD800, 0xE000)}
    assert cleaned == "".join(c for c in text if ord(c) not in unwelcome)


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00\x07", "\u3000\u00a0", "\ud800 "])
def test_text_of_which_nothing_can_be_seen_is_blank(text: str) -> None:
    assert is_blank(text)


@given(st.text(st.characters(codec=None)))
def test_blank_means_that_cleaning_leaves_white_space_at_most(text: str) -> None:
    assert is_blank(text) == (not clean(text).strip())


def test_one_visible_character_is_enough() -> None:
    assert not is_blank(" \x00 .")
    assert not is_blank(chr(sys.maxunicode))
