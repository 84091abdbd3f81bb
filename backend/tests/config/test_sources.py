"""Gathering the settings from their sources."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kiro2api.config import Installation, Settings
from kiro2api.config import load as load_settings
from kiro2api.errors import SetupError


def load(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    flags: Mapping[str, object] | None = None,
    env_file: str | None = None,
) -> Settings:
    installation = Installation(folder / "backend", folder / "data", (folder / "backend", folder))
    (folder / "backend").mkdir(exist_ok=True)
    return load_settings(flags or {}, environ or {}, installation=installation, env_file=env_file)


def test_nothing_given_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


def test_the_seven_variables_of_the_first_description_are_read(tmp_path: Path) -> None:
    environ = {
        "KIRO_CLIENT_TOKEN": "123456",
        "KIRO_AUTH_TOKEN": '[{"auth":"Social","refreshToken":"your-token"}]',
        "KIRO_DB_PATH": "./data/k.db",
        "PORT": "9000",
        "LOG_LEVEL": "debug",
        "GIN_MODE": "release",
        "MAX_TOOL_DESCRIPTION_LENGTH": "500",
    }

    settings = load(tmp_path, environ)

    assert settings.client_token == "123456"
    assert settings.auth_token == environ["KIRO_AUTH_TOKEN"]
    assert settings.db_path == "./data/k.db"
    assert settings.port == 9000
    assert settings.log_level == "debug"
    assert settings.max_tool_description_length == 500
    assert settings.warnings == ()


def test_a_flag_beats_the_environment_beats_a_dotenv_beats_a_file_beats_the_default(
    tmp_path: Path,
) -> None:
    (tmp_path / "kiro2api.toml").write_text(
        'PORT = 1\nHOST = "file"\nLOG_LEVEL = "error"\nKIRO_REGION = "eu-west-1"\n'
    )
    (tmp_path / ".env").write_text("PORT=2\nHOST=dotenv\nLOG_LEVEL=warn\n")

    settings = load(tmp_path, {"PORT": "3", "HOST": "environment"}, flags={"port": 4})

    assert (settings.port, settings.origin_of("port")) == (4, "flag")
    assert (settings.host, settings.origin_of("host")) == ("environment", "environment")
    assert settings.log_level == "warn"
    assert settings.origin_of("log_level").endswith("/.env")
    assert settings.region == "eu-west-1"
    assert settings.origin_of("region").endswith("/kiro2api.toml")
    assert settings.origin_of("gin_mode") == "default"


def test_a_flag_that_was_not_given_hides_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, {"PORT": "3"}, flags={"port": None}).port == 3


def test_an_empty_value_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KIRO_CLIENT_TOKEN=from-dotenv\n")

    settings = load(tmp_path, {"KIRO_CLIENT_TOKEN": "", "PORT": " "})

    assert settings.client_token == "from-dotenv"
    assert settings.port == 8080


def test_the_dotenv_beside_the_program_beats_the_one_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / ".env").write_text("PORT=1\n")
    (tmp_path / ".env").write_text("PORT=2\nHOST=project\n")

    settings = load(tmp_path)

    assert (settings.port, settings.host) == (1, "project")


def test_a_dotenv_of_the_current_folder_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".env").write_text("PORT=1\n")
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert load(tmp_path).port == 8080


def test_an_env_file_that_is_named_stands_in_for_the_dotenv_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1\nHOST=dotenv\n")
    (tmp_path / "own").write_text("PORT=2\n")

    settings = load(tmp_path, env_file=str(tmp_path / "own"))

    assert (settings.port, settings.host) == (2, "127.0.0.1")


def test_the_null_device_as_env_file_reads_none(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1\n")

    assert load(tmp_path, env_file="/dev/null").port == 8080


THREE_ACCOUNTS = """[
  {"auth": "Social", "refreshToken": "one"},
  {"auth": "IdC", "refreshToken": "two", "clientId": "id", "clientSecret": "s$ecret"},
  {"auth": "Social", "refreshToken": "three", "disabled": true}
]"""


def test_a_dotenv_holds_json_over_several_lines_between_quotes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"KIRO_AUTH_TOKEN='{THREE_ACCOUNTS}'\nPORT=1\n")

    settings = load(tmp_path)

    assert settings.auth_token == THREE_ACCOUNTS
    assert settings.port == 1


def test_a_dollar_in_a_dotenv_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KIRO_CLIENT_TOKEN=a${HOME}b\n")

    assert load(tmp_path).client_token == "a${HOME}b"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_docker_keeps_around_values_are_taken_off(tmp_path: Path, quote: str) -> None:
    entry = '[{"auth":"Social","refreshToken":"t"}]'
    environ = {
        "KIRO_AUTH_TOKEN": f"{quote}{entry}{quote}",
        "PORT": f"{quote}9000{quote}",
    }

    settings = load(tmp_path, environ)

    assert (settings.auth_token, settings.port) == (entry, 9000)


def test_a_line_of_a_dotenv_that_says_nothing_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1\nKIRO_CLIENT_TOKEN='open\n")

    settings = load(tmp_path)

    assert settings.port == 1
    assert any("line 2" in warning for warning in settings.warnings)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPORT=1\n")

    assert load(tmp_path).port == 1


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("PORT", "banana", "a whole number from 0 to 65535"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "-1", "a whole number from 0 to 65535"),
        ("MAX_TOOL_DESCRIPTION_LENGTH", "10k", "a whole number from 1 to 1000000"),
        ("LOG_LEVEL", "loud", "debug or info or warn or error"),
        ("GIN_MODE", "fast", "release or debug or test"),
        ("KIRO_IDLE_TIMEOUT", "0", "a number above 0 and up to 86400"),
        ("KIRO_IDLE_TIMEOUT", "nan", "a number above 0 and up to 86400"),
        ("KIRO_HTTP_VERSION", "3", "auto or 1.1 or 2"),
        ("KIRO_REGION", "Frankfurt", "a region such as us-east-1"),
        ("KIRO_API_ENDPOINT", "localhost:9000", "a base URL"),
        ("KIRO_API_ENDPOINT", "http://host/?a=b", "a base URL"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "an existing file"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_is_allowed(
    tmp_path: Path, variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(SetupError) as failure:
        load(tmp_path, {variable: value})

    assert f"{variable}={value!r} must be {allowed}" in str(failure.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KIRO_SECRET_KEY", "planted"),
        ("KIRO_CLIENT_TOKEN", "planted key"),
        ("KIRO_ADMIN_TOKEN", "planted\nkey"),
        ("KIRO_PROXY_URL", "ftp://u:planted@host"),
        ("KIRO_DATABASE_URL", "mysql://u:planted@host/db"),
        ("KIRO_DATABASE_URL", "sqlite:///:memory:"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_without_its_value(
    tmp_path: Path, variable: str, value: str
) -> None:
    with pytest.raises(SetupError) as failure:
        load(tmp_path, {variable: value})

    assert f"{variable} must be" in str(failure.value)
    assert "planted" not in str(failure.value)


def test_all_wrong_values_are_named_at_once_with_their_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=x\n")

    with pytest.raises(SetupError) as failure:
        load(tmp_path, {"LOG_LEVEL": "loud"})

    assert "LOG_LEVEL='loud' must" in str(failure.value)
    assert f"PORT='x' in {tmp_path}/.env must" in str(failure.value)


@pytest.mark.parametrize(
    ("variable", "value", "name", "expected"),
    [
        ("LOG_LEVEL", "WARNING", "log_level", "warn"),
        ("GIN_MODE", "Debug", "gin_mode", "debug"),
        ("KIRO_API_ENDPOINT", "http://127.0.0.1:9/x/", "api_endpoint", "http://127.0.0.1:9/x"),
        ("KIRO_PROXY_URL", "socks5://u:p@host:1080", "proxy_url", "socks5://u:p@host:1080"),
        ("KIRO_IDLE_TIMEOUT", "0.5", "idle_timeout_s", 0.5),
        ("KIRO_USER_AGENT", "my gateway/1 (x)", "user_agent", "my gateway/1 (x)"),
        ("SSL_CERT_FILE", __file__, "ca_file", __file__),
    ],
)
def test_usual_spellings_are_accepted(
    tmp_path: Path, variable: str, value: str, name: str, expected: object
) -> None:
    assert getattr(load(tmp_path, {variable: value}), name) == expected


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("KIRO_CLIENT_TOKENS", "KIRO_CLIENT_TOKEN"),
        ("KIRO_PORT", "PORT"),
        ("KIRO_IDLE_TIME", "KIRO_IDLE_TIMEOUT"),
        ("KIRO_DBPATH", "KIRO_DB_PATH"),
    ],
)
def test_an_unknown_name_of_ours_warns_with_the_nearest_known_one(
    tmp_path: Path, name: str, nearest: str
) -> None:
    (warning,) = load(tmp_path, {name: "x", "UNRELATED": "y"}).warnings

    assert warning.startswith(f"{name} (environment)")
    assert f"nearest one is {nearest}." in warning


def test_every_unknown_name_in_our_own_file_warns(tmp_path: Path) -> None:
    (tmp_path / "kiro2api.toml").write_text("port = 1\n")

    (warning,) = load(tmp_path).warnings

    assert "nearest one is PORT." in warning


def test_a_file_may_be_named_and_is_found_from_the_installation(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "own.toml").write_text("PORT = 7\n")

    assert load(tmp_path, {"KIRO_CONFIG": "own.toml"}).port == 7


@pytest.mark.parametrize("content", ["PORT = [1]\n", "PORT = true\n", "PORT = \n", b"\xff"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | bytes) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "kiro2api.toml").write_bytes(data)

    with pytest.raises(SetupError, match=r"kiro2api\.toml"):
        load(tmp_path)


def test_a_file_that_is_named_and_missing_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no file .*/missing\.toml"):
        load(tmp_path, {"KIRO_CONFIG": "missing.toml"})


def test_an_env_file_that_is_named_and_missing_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no file .*/missing"):
        load(tmp_path, env_file=str(tmp_path / "missing"))
