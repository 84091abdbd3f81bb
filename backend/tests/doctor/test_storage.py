"""Folder, modes and database, looked at without a start."""

from pathlib import Path

from kiro2api.doctor.finding import Verdict
from kiro2api.doctor.storage import check_database, check_folder, check_modes
from kiro2api.secrets import KEY_FILE
from tests.support.old_database import make_old_database
from tests.support.stores import SECRET_KEY, social, start

MEGABYTE = 1024 * 1024


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    (found,) = check_folder(tmp_path / "a" / "b" / "k.db")

    assert found.verdict is Verdict.OK
    assert found.what.startswith(f"{tmp_path} can be written")
    assert list(tmp_path.iterdir()) == []


def test_little_room_is_a_note_and_none_a_fault(tmp_path: Path) -> None:
    verdicts = [
        check_folder(tmp_path / "k.db", free_bytes=free * MEGABYTE)[0].verdict
        for free in (1_000, 100, 1)
    ]

    assert verdicts == [Verdict.OK, Verdict.NOTE, Verdict.FAULT]


def test_private_files_are_not_mentioned(tmp_path: Path) -> None:
    start(tmp_path / "k.db", social("one"))

    assert check_modes(tmp_path / "k.db") == []


def test_a_database_that_others_may_read_is_a_fault(tmp_path: Path) -> None:
    start(tmp_path / "k.db", social("one"))
    (tmp_path / "k.db").chmod(0o640)

    (found,) = check_modes(tmp_path / "k.db")

    assert "(mode 640)" in found.what
    assert f"chmod 600 {tmp_path / 'k.db'}" in found.cure


def test_no_database_yet_is_well(tmp_path: Path) -> None:
    findings, readable = check_database(tmp_path / "k.db", "")

    assert ([f.verdict for f in findings], readable) == ([Verdict.OK], False)


def test_a_whole_database_can_be_read_on(tmp_path: Path) -> None:
    start(tmp_path / "k.db", social("one"), social("two", index=1))

    (found,), readable = check_database(tmp_path / "k.db", SECRET_KEY)

    assert readable
    assert found.what.endswith("2 accounts")


def test_an_older_database_is_left_as_it_is(tmp_path: Path) -> None:
    database = tmp_path / "k.db"
    make_old_database(database, tmp_path / "scratch")
    before = database.read_bytes()

    (found,), readable = check_database(database, SECRET_KEY)

    assert (found.verdict, readable) == (Verdict.NOTE, False)
    assert database.read_bytes() == before


def test_a_folder_in_the_place_of_the_database_is_a_fault(tmp_path: Path) -> None:
    (found,), readable = check_database(tmp_path, "")

    assert (found.verdict, readable) == (Verdict.FAULT, False)


def test_the_cure_of_a_wrong_key_is_the_right_one(tmp_path: Path) -> None:
    start(tmp_path / "k.db", social("one"))

    findings, readable = check_database(tmp_path / "k.db", "another key, of another time")

    assert not readable
    assert all(KEY_FILE in found.cure for found in findings)
