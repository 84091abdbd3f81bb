"""The table of settings in the documents."""

from typing import Literal

import pytest

from kiro2api.config import SETTINGS, settings_table


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_has_one_row_per_setting_in_order(language: Literal["en", "zh"]) -> None:
    rows = settings_table(language).split("\n")[2:]

    assert [row.split("`")[1] for row in rows] == [setting.about.env for setting in SETTINGS]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_row_has_three_cells(language: Literal["en", "zh"]) -> None:
    assert {row.count("|") for row in settings_table(language).split("\n")} == {4}


def test_rows_show_default_unit_and_words() -> None:
    table = settings_table()

    assert "| `KIRO_IDLE_TIMEOUT` | `120` |" in table
    assert "In seconds. |" in table
    assert "One of `auto`, `1.1`, `2`. |" in table
    assert "| `KIRO_AUTH_TOKEN` | – |" in table


def test_a_new_version_leaves_the_table_as_it_is() -> None:
    assert "`kiro2api/<version>`" in settings_table()


def test_the_chinese_table_is_chinese() -> None:
    table = settings_table("zh")

    assert table.startswith("| 变量 | 默认值 | 含义 |")
    assert "单位：秒。" in table
    assert "可选：`debug`" in table
