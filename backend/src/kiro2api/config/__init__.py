"""The settings: their names, meanings and defaults, and how they are gathered from their sources."""

from kiro2api.config.installation import (
    Installation,
    anchored,
    database_path,
    find_installation,
)
from kiro2api.config.settings import (
    SETTINGS,
    GinMode,
    HttpVersion,
    LogFormat,
    LogLevel,
    Setting,
    Settings,
)
from kiro2api.config.sources import load
from kiro2api.config.table import settings_table

__all__ = [
    "SETTINGS",
    "GinMode",
    "HttpVersion",
    "Installation",
    "LogFormat",
    "LogLevel",
    "Setting",
    "Settings",
    "anchored",
    "database_path",
    "find_installation",
    "load",
    "settings_table",
]
