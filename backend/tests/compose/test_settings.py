"""What the parts of the program are given of the settings."""

from pathlib import Path

import pytest

from kiro2api.compose.settings import (
    app_options,
    endpoints_of,
    limits_of,
    read_model_overrides,
    upstream_options,
)
from kiro2api.config import HttpVersion, Installation, Settings
from kiro2api.errors import SetupError


def installation(folder: Path) -> Installation:
    return Installation(folder, folder / "data", (folder,))


def test_no_map_of_models_overrides_nothing(tmp_path: Path) -> None:
    assert read_model_overrides("  ", installation(tmp_path)) == {}


def test_a_map_of_models_may_stand_in_the_value_or_in_a_file(tmp_path: Path) -> None:
    text = '{"claude-haiku-4-5": "auto"}'
    (tmp_path / "models.json").write_text(text)
    read = [
        read_model_overrides(value, installation(tmp_path))
        for value in (text, f"\n{text} ", "models.json", str(tmp_path / "models.json"))
    ]

    assert read == [{"claude-haiku-4-5": "auto"}] * 4


@pytest.mark.parametrize("value", ['{"a": 1}', '{"a"', "nowhere.json", "list.json", "."])
def test_any_other_map_of_models_stops_the_start(tmp_path: Path, value: str) -> None:
    (tmp_path / "list.json").write_text("[]")

    with pytest.raises(SetupError, match="KIRO_MODELS must be a JSON object"):
        read_model_overrides(value, installation(tmp_path))


def test_the_hosts_are_those_of_the_settings() -> None:
    settings = Settings(
        api_endpoint="http://127.0.0.1:1",
        social_endpoint="http://127.0.0.1:2",
        oidc_endpoint="http://127.0.0.1:3",
        idp_hosts="login.example.test, idp.example.test",
    )

    endpoints = endpoints_of(settings)

    assert (endpoints.api, endpoints.social, endpoints.oidc) == (
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
        "http://127.0.0.1:3",
    )
    assert endpoints.idp_hosts == ("login.example.test", "idp.example.test")


def test_outbound_connections_are_made_as_the_settings_say() -> None:
    settings = Settings(
        ca_file="/ca.pem",
        proxy_url="socks5://127.0.0.1:9",
        http_version=HttpVersion.HTTP_2,
        connect_timeout_s=3.0,
    )

    options = upstream_options(settings)

    assert (options.ca_file, options.proxy_url) == ("/ca.pem", "socks5://127.0.0.1:9")
    assert (options.http_version, options.connect_timeout_s) == ("2", 3.0)


def test_the_times_of_the_upstream_are_those_of_the_settings() -> None:
    settings = Settings(
        first_event_timeout_s=1.0, idle_timeout_s=2.0, max_tool_description_length=3
    )

    limits = limits_of(settings)

    assert (limits.first_event_s, limits.idle_s, limits.max_tool_description) == (1.0, 2.0, 3)


def test_the_limits_of_the_data_plane_are_those_of_the_settings() -> None:
    settings = Settings(
        max_body_bytes=1024, max_streams=7, status_commit_s=1.0, ping_interval_s=2.0
    )

    options = app_options(settings)

    assert (options.max_body_bytes, options.max_streams) == (1024, 7)
    assert (options.stream_limits.status_commit_s, options.stream_limits.ping_s) == (1.0, 2.0)
