"""What the settings are."""

import pytest
import rich.pretty

from kiro2api.config import SETTINGS, Setting, Settings
from kiro2api.config.settings import allowed

SECRETS = {
    "client_token": "planted-client-key",
    "auth_token": '[{"refreshToken":"planted-token"}]',
    "admin_token": "planted-admin-key",
    "secret_key": "planted-secret-key-0123",
    "proxy_url": "http://user:planted-password@proxy:3128",
    "database_url": "postgresql://user:planted-password@host/db",
}


def test_every_field_with_a_secret_is_marked() -> None:
    assert {setting.name for setting in SETTINGS if setting.about.secret} == set(SECRETS)


def test_no_secret_is_in_any_printed_form() -> None:
    settings = Settings(**SECRETS)

    printed = f"{settings!r} {settings} {rich.pretty.pretty_repr(settings)}"
    printed += "".join(settings.shown(setting.name) for setting in SETTINGS)

    assert "planted" not in printed
    assert "***" in printed


def test_a_repr_names_what_differs_from_the_defaults() -> None:
    assert repr(Settings(port=9000)) == "Settings(port='9000')"


def test_variables_are_named_once() -> None:
    assert len({setting.about.env for setting in SETTINGS}) == len(SETTINGS)


def test_the_first_description_of_the_product_gives_the_defaults() -> None:
    settings = Settings()

    assert settings.host == "127.0.0.1"
    assert settings.port == 8080
    assert settings.log_level == "info"
    assert settings.max_tool_description_length == 10_000
    assert settings.max_body_bytes == 32 * 1024 * 1024


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_described_in_both_languages_and_says_what_is_allowed(
    setting: Setting,
) -> None:
    about = setting.about

    assert about.en.isascii()
    assert about.en[-1] == "."
    assert about.zh[-1] == "。"
    assert allowed(setting)
