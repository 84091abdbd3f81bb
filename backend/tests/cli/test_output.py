"""What commands print."""

from datetime import datetime

import pytest

from kiro2api.cli.output import local_time, print_json, print_table


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1, "é"]})

    assert capsys.readouterr().out == '{"a":[1,"é"]}\n'


def test_a_table_is_plain_aligned_text_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("NAME", "WHY"), [("a", "no reason"), ("a long name", "")])

    assert capsys.readouterr().out == "NAME         WHY\na            no reason\na long name\n"


def test_columns_line_up_whatever_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "B"), [("账号", "x"), ("e\u0301", "x"), ("abcd", "x")])

    assert capsys.readouterr().out.splitlines() == [
        "A     B",
        "账号  x",
        "e\u0301     x",
        "abcd  x",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_text_of_others_steers_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    print_table(("NAME",), [("a\x1b[2Jb\nc\r\u202ed",)])
    told = capsys.readouterr().out

    assert "a [2Jb c  d" in told
    assert [mark for mark in ("\x1b[2J", "\r", "\u202e") if mark in told] == []


def test_on_a_terminal_a_table_has_lines_and_shows_brackets_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(("NAME",), [("[red]mine[/red]",)])
    told = capsys.readouterr().out

    assert "[red]mine[/red]" in told
    assert "│" in told


def test_on_a_narrow_terminal_nothing_is_cut_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    print_table(("A", "B"), [("x" * 40, "y" * 40)])
    told = capsys.readouterr().out

    assert (told.count("x"), told.count("y")) == (40, 40)


def test_a_time_is_told_by_the_clock_of_the_machine() -> None:
    told = local_time(1_780_000_000.4)

    assert datetime.fromisoformat(told).timestamp() == 1_780_000_000
    assert local_time(None) == ""
