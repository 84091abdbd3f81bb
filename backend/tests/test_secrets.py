"""Sealing, digests, and the key for both."""

import base64
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import SetupError, StoreError
from kiro2api.secrets import KEY_FILE, KeyRing, make_key_file, new_client_key, read_keys

OLD, NEW = "an old secret key", "a newer secret key"
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(plain=texts, row=texts, column=texts)
def test_what_was_sealed_opens_in_its_place(plain: str, row: str, column: str) -> None:
    ring = KeyRing([NEW])

    assert ring.open(ring.seal(plain, row=row, column=column), row=row, column=column) == plain


@given(places=st.lists(st.tuples(texts, texts), min_size=2, max_size=2, unique=True))
def test_a_sealed_value_opens_in_no_other_place(places: list[tuple[str, str]]) -> None:
    ring = KeyRing([NEW])
    (row, column), (other_row, other_column) = places
    sealed = ring.seal("secret", row=row, column=column)

    with pytest.raises(StoreError):
        ring.open(sealed, row=other_row, column=other_column)


@given(data=st.data())
def test_a_sealed_value_with_any_bit_flipped_does_not_open(data: st.DataObject) -> None:
    ring = KeyRing([NEW])
    sealed = bytearray(ring.seal("secret", row="r", column="c"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(StoreError):
        ring.open(bytes(sealed), row="r", column="c")


@given(junk=st.binary(max_size=64))
def test_bytes_that_were_never_sealed_do_not_open(junk: bytes) -> None:
    with pytest.raises(StoreError):
        KeyRing([NEW]).open(junk, row="r", column="c")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    ring = KeyRing([NEW])

    assert ring.seal("secret", row="r", column="c") != ring.seal("secret", row="r", column="c")


def test_a_sealed_value_does_not_contain_the_text() -> None:
    assert b"my-secret" not in KeyRing([NEW]).seal("my-secret", row="r", column="c")


def test_what_an_older_key_sealed_still_opens() -> None:
    sealed = KeyRing([OLD]).seal("secret", row="r", column="c")

    assert KeyRing([NEW, OLD]).open(sealed, row="r", column="c") == "secret"


def test_new_values_are_sealed_with_the_newest_key() -> None:
    sealed = KeyRing([NEW, OLD]).seal("secret", row="r", column="c")

    assert KeyRing([NEW]).open(sealed, row="r", column="c") == "secret"


def test_a_value_of_an_unknown_key_is_told_from_a_changed_one() -> None:
    sealed = KeyRing([OLD]).seal("secret", row="r", column="c")

    with pytest.raises(StoreError, match="another secret key"):
        KeyRing([NEW]).open(sealed, row="r", column="c")


def test_a_digest_is_stable_and_keyed() -> None:
    assert KeyRing([NEW]).digest("p", "value") == KeyRing([NEW]).digest("p", "value")
    assert KeyRing([NEW]).digest("p", "value") != KeyRing([OLD]).digest("p", "value")


@given(pairs=st.lists(st.tuples(texts, texts), min_size=2, max_size=2, unique=True))
def test_digests_of_different_purposes_and_values_differ(pairs: list[tuple[str, str]]) -> None:
    ring = KeyRing([NEW])

    assert ring.digest(*pairs[0]) != ring.digest(*pairs[1])


def test_a_digest_of_an_older_key_is_recognised() -> None:
    digest = KeyRing([OLD]).digest("p", "value")

    assert digest in KeyRing([NEW, OLD]).digests("p", "value")
    assert digest not in KeyRing([NEW]).digests("p", "value")


@pytest.mark.parametrize("keys", [[], ["short"], [NEW, "short"]])
def test_a_missing_or_short_key_is_refused(keys: list[str]) -> None:
    with pytest.raises(SetupError, match="16 characters"):
        KeyRing(keys)


def test_client_keys_are_recognisable_and_never_repeat() -> None:
    keys = {new_client_key() for _ in range(100)}

    assert len(keys) == 100
    assert all(key.startswith("k2a_") and len(key) == 36 for key in keys)


def test_a_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    keys = make_key_file(tmp_path)

    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert len(base64.b64decode(keys[0])) == 32
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_file_that_is_there_is_read_and_not_made_again(tmp_path: Path) -> None:
    assert make_key_file(tmp_path) == make_key_file(tmp_path) == read_keys(tmp_path, "")


def test_programs_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    script = "import pathlib, sys; from kiro2api.secrets import make_key_file; "
    script += "print(make_key_file(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(tmp_path)]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(4)]

    answers = {process.communicate()[0] for process in running}

    assert answers == {f"{read_keys(tmp_path, '')}\n".encode()}


def test_without_a_key_there_is_none(tmp_path: Path) -> None:
    assert read_keys(tmp_path, "") == []


def test_a_given_key_comes_before_those_of_the_file(tmp_path: Path) -> None:
    (older,) = make_key_file(tmp_path)

    assert read_keys(tmp_path, NEW) == [NEW, older]


def test_a_key_file_may_hold_several_keys(tmp_path: Path) -> None:
    lines = [base64.b64encode(bytes([n]) * 32).decode() for n in range(2)]
    (tmp_path / KEY_FILE).write_text("\n".join(lines) + "\n")

    assert read_keys(tmp_path, "") == lines


@pytest.mark.parametrize("content", [b"", b"\n", b"not base64!", b"c2hvcnQ=", b"\xff\xfe"])
def test_a_damaged_key_file_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)

    with pytest.raises(SetupError, match="damaged"):
        read_keys(tmp_path, "")


def test_a_key_file_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    make_key_file(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)

    read_keys(tmp_path, "")

    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_file_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be made"):
        make_key_file(tmp_path / "missing")
