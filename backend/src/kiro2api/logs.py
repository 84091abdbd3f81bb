"""The log: one structured line for each thing that happened, on standard error, without secrets."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol, Self

import msgspec


@contextmanager
def _absent(module: str) -> Iterator[None]:
    """Let what is imported inside of the block find no such module, unless it is there already."""
    is_there = module in sys.modules
    if not is_there:
        sys.modules[module] = None  # type: ignore[assignment] # how Python itself says "absent"
    try:
        yield
    finally:
        if not is_there:
            del sys.modules[module]


# Where rich is installed structlog imports it at once, for a kind of traceback that is not used
# here: a tenth of the time that the program takes to start.
with _absent("rich"):
    import structlog

MASK = "***"
# Shorter values would blot out ordinary words and numbers.
_MIN_SECRET_CHARACTERS = 6
_SHORT_CHARACTERS = 64
_NUMBERS = (bool, int, float)
_PLAIN = frozenset((*_NUMBERS, type(None)))
# Members whose values are made here, of digits or of words from closed lists: to look for secrets in
# them is in vain.
_OURS = frozenset({"request_id", "dialect", "outcome", "stop_reason"})
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogEvent(StrEnum):
    """Everything that is ever logged, each with its level: what is not here is not logged."""

    level: str

    SERVER_STARTED = "server_started", "info"
    SERVER_STOPPED = "server_stopped", "info"
    DRAIN_STARTED = "drain_started", "info"
    DRAIN_LIMIT_REACHED = "drain_limit_reached", "warning"
    SETTING_IGNORED = "setting_ignored", "warning"
    DATABASE_OPENED = "database_opened", "info"
    DATABASE_CREATED = "database_created", "info"
    DATABASE_MIGRATED = "database_migrated", "info"
    STORE_WRITE_FAILED = "store_write_failed", "error"
    CLIENT_KEY_CREATED = "client_key_created", "info"
    ACCOUNTS_SYNCED = "accounts_synced", "info"
    ACCOUNT_ENTRY_SKIPPED = "account_entry_skipped", "warning"
    ACCOUNT_STANDING_CHANGED = "account_standing_changed", "info"
    ACCESS_TOKEN_REFRESHED = "access_token_refreshed", "info"
    ACCESS_TOKEN_REFRESH_FAILED = "access_token_refresh_failed", "warning"
    MODELS_FETCHED = "models_fetched", "debug"
    MODELS_FETCH_FAILED = "models_fetch_failed", "warning"
    PROFILE_DISCOVERED = "profile_discovered", "info"
    PROFILES_FETCH_FAILED = "profiles_fetch_failed", "warning"
    USAGE_POLLED = "usage_polled", "debug"
    USAGE_POLL_FAILED = "usage_poll_failed", "debug"
    ACCOUNTS_MERGED = "accounts_merged", "info"
    STORE_READ_FAILED = "store_read_failed", "error"
    FOLLOWED_FILE_READ_FAILED = "followed_file_read_failed", "warning"
    ACCOUNTS_RELOADED = "accounts_reloaded", "info"
    UNKNOWN_FAULT_SEEN = "unknown_fault_seen", "warning"
    REQUEST_FINISHED = "request_finished", "info"
    REQUEST_CRASHED = "request_crashed", "error"
    LIBRARY_MESSAGE_RELAYED = "library_message_relayed", "warning"

    def __new__(cls, value: str, level: str) -> Self:
        """Make a word that knows its level."""
        word = str.__new__(cls, value)
        word._value_ = value
        word.level = level
        return word


class TextStream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object:
        """Take `text`."""
        ...

    def flush(self) -> object:
        """Hand on what was taken."""
        ...

    def isatty(self) -> bool:
        """Tell whether a person watches."""
        ...


_TOKEN = r"[A-Za-z0-9_.:+/=~-]"
_PATTERNS = re.compile(
    "|".join(
        (
            rf"(?<=bearer ){_TOKEN}+",
            rf"\b(?:aoa|aor|eyJ){_TOKEN}{{12,}}",  # access tokens, refresh tokens, JWTs
            rf"\b(?:ksk_|k2a_|sk-){_TOKEN}{{6,}}",  # keys
            r"\barn:aws[\w-]*:[^\s\"'\\,;)}\]]+",
            # E-mail addresses; from their start only, else a long word costs the square of it.
            r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
            r"(?<!\d)\d{12}(?!\d)",  # account numbers
            # A secret named beside its value, as JSON, as a form or as prose.
            r"(?<=refreshtoken\":\")[^\"]+|(?<=accesstoken\":\")[^\"]+|(?<=clientsecret\":\")[^\"]+"
            r"|(?<=refresh_token=)[^\s&]+|(?<=access_token=)[^\s&]+|(?<=client_secret=)[^\s&]+",
        )
    ),
    re.IGNORECASE,
)
# Line breaks and tabs may stand in a traceback; other controls could steer a terminal.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Masker:
    """Takes secrets out of texts; one per process, told of each secret when it becomes known."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._held: dict[str, tuple[str, ...]] = {}  # by owner, the newest first
        self._longest_first: list[str] = []  # one secret may hold another
        self._shortest = sys.maxsize
        # Models, dialects, groups, accounts: most values of most lines have been seen before.
        self._mask_short = lru_cache(maxsize=1024)(self._mask)

    def register(self, values: Iterable[str]) -> None:
        """Mask each of `values` from now on; very short ones are left alone."""
        self._known.update(value for value in values if len(value) >= _MIN_SECRET_CHARACTERS)
        self._prepare()

    def hold(self, owner: str, value: str) -> None:
        """Mask `value` as what `owner` holds now, and as long as it holds it.

        What it held just before is still masked: a late error may speak of it.
        """
        held = self._held.get(owner, ())
        if value not in held[:1]:
            self._held[owner] = (value, *held[:1])
            self._prepare()

    def mask(self, text: str) -> str:
        """Return `text` with secrets, e-mail addresses, ARNs and account numbers blotted out."""
        return self._mask_short(text) if len(text) <= _SHORT_CHARACTERS else self._mask(text)

    def _prepare(self) -> None:
        held = {value for values in self._held.values() for value in values}
        secrets = [v for v in self._known | held if len(v) >= _MIN_SECRET_CHARACTERS]
        self._longest_first = sorted(secrets, key=len, reverse=True)
        self._shortest = len(self._longest_first[-1]) if secrets else sys.maxsize
        self._mask_short.cache_clear()

    def _mask(self, text: str) -> str:
        if len(text) >= self._shortest:
            for secret in self._longest_first:
                if secret in text:
                    text = text.replace(secret, MASK)
        if len(text) >= _MIN_SECRET_CHARACTERS:
            text = _PATTERNS.sub(MASK, text)
        return _CONTROLS.sub("�", text)

    def clean(self, value: object) -> object:
        """Return `value` as something printable with `mask` applied all through it."""
        if isinstance(value, str):
            return self.mask(value)
        if value is None or isinstance(value, _NUMBERS):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            return f"({len(value)} bytes)"
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self.clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(inner) for inner in value]
        return self.mask(str(value))


class _Lines:
    """Writes lines; a stream that is gone must not harm what is being logged."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass

    debug = info = warning = error = critical = msg


Fields = MutableMapping[str, Any]  # whatever is worth telling
Emit = Callable[[str, str, Fields], None]


class _Log:
    """The state of the log: one per process, because standard error is one per process."""

    def __init__(self) -> None:
        self.masker = Masker()
        # Takes the level, the event and its fields to wherever they shall go.
        self.emit: Emit | None = None

    def cleaned(self, fields: Fields, line: Fields) -> Fields:
        """Return `line` with `fields` after what it has, masked."""
        masker = self.masker
        # All at once, then what may hold a secret again: most members are numbers or words of ours.
        line.update(fields)
        for name, value in fields.items():
            kind = type(value)
            if kind not in _PLAIN and name not in _OURS:
                line[name] = masker.mask(value) if kind is str else masker.clean(value)
        return line


_log = _Log()


def configure(
    level: str = "info",
    format: str = "auto",
    *,
    stream: TextStream | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Send the log and the messages of the libraries to `stream`, by default standard error.

    `level` is debug, info, warn or error; `format` is text, json, or auto: text on a terminal.
    """
    stream = stream or sys.stderr
    is_terminal = stream.isatty()
    if format == "text" or (format == "auto" and is_terminal):
        colors = is_terminal and not environ.get("NO_COLOR")
        _log.emit = _text_emitter(_Lines(stream), _LEVELS[level], colors=colors)
    else:
        _log.emit = _json_emitter(_Lines(stream), _LEVELS[level])
    _route_libraries(_LEVELS[level])


def _text_emitter(lines: _Lines, lowest: int, *, colors: bool) -> Emit:
    def cleaned(_logger: object, _method: str, event: Fields) -> Fields:
        first = {name: event.pop(name) for name in ("time", "level", "event")}
        return _log.cleaned(event, first)

    logger = structlog.wrap_logger(
        lines,
        processors=[
            structlog.processors.add_log_level,
            _stamp,
            structlog.processors.format_exc_info,
            cleaned,
            structlog.dev.ConsoleRenderer(
                timestamp_key="time",
                colors=colors,
                pad_event_to=0,
                sort_keys=False,
                # Tracebacks come masked and as text; its own way would print local variables.
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
    ).bind()

    def emit(level: str, event: str, fields: Fields) -> None:
        getattr(logger, level)(event, **fields)

    return emit


def _json_emitter(lines: _Lines, lowest: int) -> Emit:
    # Past structlog's chain of loggers, which took longer than all that is done here: every request
    # pays for its line.
    def emit(level: str, event: str, fields: Fields) -> None:
        if _LEVELS[level] < lowest:
            return
        if "exc_info" in fields:
            fields = structlog.processors.format_exc_info(None, level, fields)
        line = _stamp(None, level, {})
        line["level"] = level
        line["event"] = event
        lines.msg(_as_json(_log.cleaned(fields, line)))

    return emit


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")
_encode = msgspec.json.Encoder().encode  # noqa: TID251 - the JSON door stands above the log


def _as_json(line: Fields) -> str:
    try:
        return _encode(line).decode()
    except UnicodeEncodeError:
        # Half a surrogate pair, in the name of a file: what cannot be written is spelled out.
        return _encode({name: _spelled_out(value) for name, value in line.items()}).decode()


def _spelled_out(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return value if type(value) in _PLAIN else ascii(value)


def write(event: LogEvent, **fields: object) -> None:
    """Log that `event` happened; `exc_info=error` adds a traceback. Free texts are masked."""
    if _log.emit is None:
        configure()
    assert _log.emit is not None
    _log.emit(event.level, event.value, fields)


def register_secrets(values: Iterable[str]) -> None:
    """Keep `values` out of the log from now on, wherever they would appear."""
    _log.masker.register(values)


def hold_secret(owner: str, value: str) -> None:
    """Keep `value` out of the log while `owner` holds it; for secrets that are replaced in time."""
    _log.masker.hold(owner, value)


def mask(text: str) -> str:
    """Return `text` as the log would show it."""
    return _log.masker.mask(text)


class _Relay(logging.Handler):
    """Takes what libraries say to the standard library's logging; one, on the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the message as an event of ours, at its own level."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        fields: Fields = {"library": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        if _log.emit is not None:
            _log.emit(level, LogEvent.LIBRARY_MESSAGE_RELAYED.value, fields)


def _route_libraries(level: int) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Relay):
            root.removeHandler(handler)
    root.addHandler(_Relay())
    # Below a warning libraries tell what they do and with which values, secrets among them.
    root.setLevel(max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
        logger.setLevel(logging.NOTSET)
    logging.captureWarnings(True)
