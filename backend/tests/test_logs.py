"""The log: its lines, and what never gets into them."""

import io
import json
import logging
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api import logs
from kiro2api.logs import MASK, LogEvent, Masker

SOURCES = Path(__file__).parents[1] / "src"


class Terminal(io.StringIO):
    """A stream that a person watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def own_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a log of its own, and the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "_log", logs._Log())
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def logged(event: LogEvent = LogEvent.REQUEST_FINISHED, **fields: object) -> dict[str, Any]:
    """Return the line that `event` makes, read back."""
    stream = io.StringIO()
    logs.configure("debug", "json", stream=stream)
    logs.write(event, **fields)
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line


def test_a_line_is_one_json_object_with_time_level_and_event_first() -> None:
    line = logged(status=200, model="auto", first_text_ms=None)

    assert list(line) == ["time", "level", "event", "status", "model", "first_text_ms"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
    assert (line["level"], line["event"], line["status"]) == ("info", "request_finished", 200)


@pytest.mark.parametrize("event", LogEvent)
def test_an_event_is_named_in_the_past_tense_and_has_a_level(event: LogEvent) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*_([a-z]+ed|seen|sent|begun|shown)", event)
    assert event.level in {"debug", "info", "warning", "error"}


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warn", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_decides_what_is_written(level: str, shown: list[str]) -> None:
    stream = io.StringIO()
    logs.configure(level, "json", stream=stream)

    for event in (
        LogEvent.MODELS_FETCHED,
        LogEvent.SERVER_STARTED,
        LogEvent.SETTING_IGNORED,
        LogEvent.REQUEST_CRASHED,
    ):
        logs.write(event)

    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == shown


def test_on_a_terminal_lines_are_text() -> None:
    stream = Terminal()
    logs.configure("info", "auto", stream=stream, environ={"NO_COLOR": "1"})

    logs.write(LogEvent.SERVER_STARTED, address="http://127.0.0.1:8080")

    assert stream.getvalue().endswith("server_started address=http://127.0.0.1:8080\n")


@pytest.mark.parametrize("value", ["half \ud83d", {"name": ["half \ud83d"]}])
def test_a_text_that_no_encoding_can_write_is_logged_all_the_same(value: object) -> None:
    line = logged(path=value, status=200)

    assert "half \\ud83d" in str(line["path"])
    assert (line["event"], line["status"]) == ("request_finished", 200)


def test_elsewhere_lines_are_json() -> None:
    stream = io.StringIO()
    logs.configure("info", "auto", stream=stream)

    logs.write(LogEvent.SERVER_STARTED)

    assert json.loads(stream.getvalue())["event"] == "server_started"


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_value_cannot_begin_a_line_of_its_own_or_steer_a_terminal(format: str) -> None:
    stream = io.StringIO()
    logs.configure("info", format, stream=stream)

    logs.write(LogEvent.REQUEST_FINISHED, model="a\nrequest_finished status=200 \x1b[2J\r")

    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize(
    "secret",
    [
        "aoaAAAAAGk1planted-Zz+/=:tail",
        "aorAAAAAGk1planted-Zz+/=:tail",
        "eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoxfQ.c2lnbmF0dXJl",
        "ksk_plantedplanted",
        "k2a_plantedplantedplanted",
        "sk-ant-planted-key",
        "arn:aws:codewhisperer:us-east-1:123456789012:profile/PLANTED",
        "arn:aws-us-gov:codewhisperer:us-gov-west-1:123456789012:profile/PLANTED",
        "some.one+tag@mail.example.org",
        "123456789012",
    ],
)
@pytest.mark.parametrize("around", ["{}", "error: {}.", '{{"member":"{}"}}', "a {} b {} c", "({})"])
def test_what_looks_like_a_secret_is_masked(secret: str, around: str) -> None:
    masked = logs.mask(around.replace("{}", secret).replace("{{", "{").replace("}}", "}"))

    assert MASK in masked
    assert "planted" not in masked.lower()
    assert secret not in masked


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer planted",
        "authorization: bearer planted",
        '{"refreshToken":"planted"}',
        '{"accessToken":"planted","x":1}',
        '{"clientSecret":"planted"}',
        "grant_type=refresh_token&refresh_token=planted&x=1",
    ],
)
def test_a_secret_of_any_shape_is_masked_where_its_name_gives_it_away(text: str) -> None:
    masked = logs.mask(text)

    assert "planted" not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "claude-sonnet-4-5-20250929",
        "CLAUDE_SONNET_4_5_20250929_V1_0",
        "/v1/messages/count_tokens",
        "http://127.0.0.1:8080",
        "req_0123456789abcdef",
        "took 1763999999999 ms",
        "the bearer was refused",
        "写完了\tdone",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    if "bearer" in text:
        assert logs.mask(text).startswith("the bearer")
    else:
        assert logs.mask(text) == text


@given(
    secret=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=6, max_size=200),
    before=st.text(max_size=100),
    after=st.text(max_size=100),
)
def test_a_registered_secret_is_masked_wherever_it_stands(
    secret: str, before: str, after: str
) -> None:
    masker = Masker()
    masker.register([secret])

    assert secret not in masker.mask(before + secret + after).replace(MASK, "")


def test_a_secret_registered_later_is_masked_in_texts_seen_before() -> None:
    masker = Masker()
    masker.mask("planted")

    masker.register(["planted"])

    assert masker.mask("planted") == MASK


def test_what_an_owner_holds_is_masked_and_so_is_what_it_held_before() -> None:
    masker = Masker()
    masker.hold("a1", "first-token")
    masker.hold("a1", "second-token")

    assert masker.mask("first-token second-token") == f"{MASK} {MASK}"


def test_what_an_owner_held_long_ago_is_let_go() -> None:
    masker = Masker()
    for value in ("first-token", "second-token", "third-token"):
        masker.hold("a1", value)

    assert masker.mask("first-token") == "first-token"
    assert masker.mask("second-token third-token") == f"{MASK} {MASK}"


def test_holding_the_same_again_lets_nothing_go() -> None:
    masker = Masker()
    for value in ("first-token", "second-token", "second-token", "second-token"):
        masker.hold("a1", value)

    assert masker.mask("first-token second-token") == f"{MASK} {MASK}"


def test_an_owner_that_holds_nothing_masks_nothing() -> None:
    masker = Masker()
    masker.hold("a1", "")

    assert masker.mask("plain words") == "plain words"


@pytest.mark.parametrize("text", ["a" * 200_000, "a." * 100_000, "-a" * 100_000])
def test_a_long_text_of_one_word_is_masked_in_no_time(text: str) -> None:
    before = time.process_time()

    Masker().mask(text)

    assert time.process_time() - before < 1


def test_a_very_short_secret_does_not_blot_out_the_log() -> None:
    masker = Masker()
    masker.register(["a", "12345"])

    assert masker.mask("a 12345 b") == "a 12345 b"


@pytest.mark.parametrize("order", [1, -1])
def test_a_secret_that_holds_another_is_masked_whole(order: int) -> None:
    masker = Masker()
    masker.register([f"planted{'x' * n}" for n in range(20)][::order])

    assert masker.mask(f"see planted{'x' * 19}") == f"see {MASK}"


def test_secrets_are_masked_at_any_depth_and_in_any_object() -> None:
    logs.register_secrets(["planted"])

    class Odd:
        def __str__(self) -> str:
            return "odd planted"

    line = logged(
        nested={"planted": ["planted", ("planted", {"x": "planted"})]},
        odd=Odd(),
        error=ValueError("planted"),
        body=b"planted",
    )

    assert "planted" not in json.dumps(line)
    assert line["body"] == "(7 bytes)"


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_traceback_is_shown_without_secrets_and_local_variables(format: str) -> None:
    logs.register_secrets(["planted-token"])
    stream = io.StringIO()
    logs.configure("info", format, stream=stream)

    try:
        local_variable = "planted-local"
        raise ValueError(f"planted-token {len(local_variable)}")
    except ValueError as error:
        logs.write(LogEvent.REQUEST_CRASHED, exc_info=error)

    assert "Traceback" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "planted" not in stream.getvalue()


def test_warnings_of_libraries_are_lines_of_ours() -> None:
    logs.register_secrets(["planted"])
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)

    logging.getLogger("uvicorn.error").warning("odd request from %s", "planted")
    logging.getLogger("asyncio").error("a task failed", exc_info=ValueError("planted"))
    warnings.warn("old ways", DeprecationWarning, stacklevel=1)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["event"] for line in lines} == {"library_message_relayed"}
    assert [line["library"] for line in lines] == ["uvicorn.error", "asyncio", "py.warnings"]
    assert [line["level"] for line in lines] == ["warning", "error", "warning"]
    assert lines[0]["message"] == f"odd request from {MASK}"
    assert "planted" not in stream.getvalue()


def test_below_a_warning_libraries_are_silent_at_every_level() -> None:
    stream = io.StringIO()
    logs.configure("debug", "json", stream=stream)

    logging.getLogger("aiosqlite").debug("executing INSERT with 'planted'")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.access").warning("GET /")

    assert stream.getvalue() == ""


def test_configuring_twice_does_not_write_twice() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    logs.configure("info", "json", stream=stream)

    logging.getLogger("asyncio").warning("once")

    assert stream.getvalue().count("\n") == 1


def test_a_stream_that_is_gone_harms_nobody() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    stream.close()

    logs.write(LogEvent.SERVER_STARTED)


def test_the_log_goes_to_standard_error_and_leaves_standard_output_alone() -> None:
    script = "from kiro2api import logs; logs.write(logs.LogEvent.SERVER_STARTED)"
    environment = {"PYTHONPATH": str(SOURCES)}

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment)

    assert done.stdout == b""
    assert json.loads(done.stderr)["event"] == "server_started"
