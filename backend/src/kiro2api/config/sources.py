"""Gathering the settings: flag over environment over `.env` over file over default."""

import difflib
import io
import os
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from dotenv.parser import parse_stream

from kiro2api.config.installation import Installation, anchored
from kiro2api.config.settings import BY_ENV, BY_NAME, SETTINGS, Setting, Settings, allowed
from kiro2api.errors import SetupError

_QUOTES = "\"'"
_Layers = list[tuple[str, dict[str, str]]]  # where values came from, and the values by variable
_ALIASES = {"LOG_LEVEL": {"warning": "warn"}}


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    installation: Installation,
    env_file: str | None = None,
) -> Settings:
    """Return the settings: flag over environment over `.env` over file over default.

    `flags` is keyed by field name, and None means that a flag was not given. `env_file` is read
    instead of the `.env` files of the installation. An empty value counts as not set.

    Raises:
        SetupError: values that cannot be used, all of them in one text; or a file that cannot be
            read.
    """
    warnings: list[str] = []
    layers: _Layers = [
        ("flag", {BY_NAME[k].about.env: str(v) for k, v in flags.items() if v is not None}),
        ("environment", {k: _unquoted(v) for k, v in environ.items()}),
    ]
    for path in _env_files(installation, env_file):
        layers.append((str(path), _read_env_file(path, warnings)))
    _, named = _first(layers, "KIRO_CONFIG")
    for path in _config_files(installation, named):
        layers.append((str(path), _read_toml(path)))
    for source, values in layers[1:]:
        warnings += _unknown_names(source, values)
    return _converted(layers, tuple(warnings))


def _first(layers: _Layers, env: str) -> tuple[str, str]:
    given = ((source, layer.get(env, "").strip()) for source, layer in layers)
    return next(((source, text) for source, text in given if text), ("", ""))


def _converted(layers: _Layers, warnings: tuple[str, ...]) -> Settings:
    values: dict[str, Any] = {}  # each already converted to the type of its field
    origins: dict[str, str] = {}
    problems: list[str] = []
    for setting in SETTINGS:
        source, text = _first(layers, setting.about.env)
        if not text:
            continue
        try:
            values[setting.name] = _convert(setting, text)
        except msgspec.ValidationError:
            shown = "" if setting.about.secret else f"={text!r}"
            place = "" if source in ("environment", "flag") else f" in {source}"
            problems.append(f"{setting.about.env}{shown}{place} must be {allowed(setting)}.")
        origins[setting.name] = source
    if problems:
        raise SetupError(" ".join(problems))
    return Settings(**values, origins=origins, warnings=warnings)


def _convert(setting: Setting, text: str) -> object:
    env = setting.about.env
    if isinstance(setting.default, StrEnum):
        text = _ALIASES.get(env, {}).get(text.lower(), text.lower())
    value: object = msgspec.convert(text, setting.kind, strict=False)
    if env.endswith("_ENDPOINT"):
        return str(value).rstrip("/")
    if env == "SSL_CERT_FILE" and not Path(text).is_file():
        raise msgspec.ValidationError("no such file")
    return value


def _unquoted(text: str) -> str:
    # `docker run --env-file` hands the quotes of a line on as part of the value.
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES:
        return text[1:-1].strip()
    return text


def _env_files(installation: Installation, env_file: str | None) -> Iterator[Path]:
    if env_file:
        path = Path(os.path.abspath(os.path.expanduser(env_file)))
        if path.is_dir() or not path.exists():  # /dev/null is welcome
            raise SetupError(f"There is no file {path}, which --env-file names.")
        yield path
    else:
        yield from (f for d in installation.folders if (f := d / ".env").is_file())


def _config_files(installation: Installation, named: str) -> Iterator[Path]:
    if named:
        path = anchored(named, installation)
        if not path.is_file():
            raise SetupError(f"There is no file {path}, which KIRO_CONFIG names.")
        yield path
    else:
        yield from (f for d in installation.folders if (f := d / "kiro2api.toml").is_file())


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SetupError(f"{path} is not UTF-8 text.") from None


def _read_env_file(path: Path, warnings: list[str]) -> dict[str, str]:
    # Not dotenv_values: it drops what it cannot read with a line in a log nobody has set up yet,
    # and would open ${...} inside of secrets.
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_read_text(path))):
        if binding.error:
            warnings.append(f"{path}, line {binding.original.line}: not NAME=value, ignored.")
        elif binding.key and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _read_toml(path: Path) -> dict[str, str]:
    try:
        document = tomllib.loads(_read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path} is not valid TOML: {error}.") from None
    for name, value in document.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise SetupError(f"{path}: {name} must be a text or a number.")
    return {name: str(value) for name, value in document.items()}


def _unknown_names(source: str, values: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(values):
        is_ours = name.startswith("KIRO_") or source.endswith(".toml")
        if is_ours and name not in BY_ENV:
            near = difflib.get_close_matches(_stem(name), _STEMS, n=1, cutoff=0.0)[0]
            yield f"{name} ({source}) is no setting of kiro2api; the nearest one is {_STEMS[near]}."


def _stem(name: str) -> str:
    return name.upper().removeprefix("KIRO_")


# Without the prefix, which would make KIRO_PORT look nearer to KIRO_REGION than to PORT.
_STEMS = {_stem(env): env for env in BY_ENV}
