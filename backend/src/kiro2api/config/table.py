"""The table of settings that the documents show."""

from enum import StrEnum
from typing import Literal

from kiro2api.config.settings import SETTINGS, Setting

_HEADS = {"en": "| Variable | Default | Meaning |", "zh": "| 变量 | 默认值 | 含义 |"}
_UNITS = {
    "en": {"s": " In seconds.", "bytes": " In bytes.", "characters": " In characters."},
    "zh": {"s": "单位：秒。", "bytes": "单位：字节。", "characters": "单位：字符。"},
}


def settings_table(language: Literal["en", "zh"] = "en") -> str:
    """Return all settings as a Markdown table, without a line break at its end."""
    rows = [_HEADS[language], "|---|---|---|"]
    for setting in SETTINGS:
        about = setting.about
        meaning = (about.en if language == "en" else about.zh) + _words(setting, language)
        if about.unit:
            meaning += _UNITS[language][about.unit]
        rows.append(f"| `{about.env}` | {_default(setting)} | {meaning} |")
    return "\n".join(rows)


def _words(setting: Setting, language: Literal["en", "zh"]) -> str:
    if not isinstance(setting.default, StrEnum):
        return ""
    words = ", ".join(f"`{word}`" for word in type(setting.default))
    return f" One of {words}." if language == "en" else f"可选：{words}。"


def _default(setting: Setting) -> str:
    if setting.about.env == "KIRO_USER_AGENT":
        return "`kiro2api/<version>`"  # else each release would change the documents
    if isinstance(setting.default, float):
        return f"`{setting.default:g}`"
    return f"`{setting.default}`" if setting.default != "" else "–"
