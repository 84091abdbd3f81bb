"""The edges of the server: sizes, encodings, nesting, smuggling, odd paths (F30 to F35)."""

import gzip
import socket
import time
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import RunningEmulator
from tests.support.gateway import (
    CHAT,
    KEY,
    MESSAGES,
    Response,
    RunningGateway,
    StartGateway,
    anthropic_body,
    chat_body,
)
from tests.support.talk import WAYS, Way, name_of

COUNT = "/v1/messages/count_tokens"
DEEP = 100_000
# The two dialects, whole.
DIALECTS = [WAYS[0], WAYS[2]]


def body_of(way: Way) -> dict[str, Any]:
    return anthropic_body() if way.dialect == "anthropic" else chat_body()


def is_shaped(way: Way, answer: Response) -> bool:
    """Tell whether an error has the shape of the dialect, and its request's id."""
    body = answer.json
    wanted = {"type", "message"} if way.dialect == "anthropic" else {"type", "message", "code"}
    top = {"type", "error", "request_id"} if way.dialect == "anthropic" else {"error", "request_id"}
    is_named = body.get("request_id") == answer.headers["request-id"]
    return set(body) == top and wanted <= set(body["error"]) and is_named


class Raw:
    """A connection on which a test says its own bytes."""

    def __init__(self, gateway: RunningGateway) -> None:
        parts = urlsplit(gateway.url)
        self.sock = socket.create_connection((parts.hostname, parts.port), timeout=10)

    def close(self) -> None:
        self.sock.close()

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self) -> bytes:
        """Return all that comes until the server closes."""
        heard = b""
        while piece := self.sock.recv(65536):
            heard += piece
        return heard

    def hear_head(self) -> bytes:
        heard = b""
        while b"\r\n\r\n" not in heard:
            piece = self.sock.recv(65536)
            assert piece, heard
            heard += piece
        return heard


def head(path: str, *lines: str, method: str = "POST", key: str = KEY) -> bytes:
    """Return the head of a request."""
    named = [f"{method} {path} HTTP/1.1", "host: gateway", f"x-api-key: {key}", *lines]
    return "\r\n".join(named).encode("latin-1") + b"\r\n\r\n"


# ------------------------------------------------------------------------------- how many (F30)


def test_beyond_the_limit_of_requests_there_is_a_clear_503_and_no_queue(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    emulator.queue(scenario="stall_after_text")
    gateway = start_gateway(emulator.add_account("a"), KIRO_MAX_STREAMS="1")
    with closing(gateway.open_stream(MESSAGES, anthropic_body(stream=True))):
        started = time.monotonic()
        answers = [(way, way.ask(gateway)) for way in WAYS]
        took_s = time.monotonic() - started

    assert {answer.status for _, answer in answers} == {503}
    assert all(is_shaped(way, answer) for way, answer in answers)
    assert all(int(answer.headers["retry-after"]) >= 1 for _, answer in answers)
    assert took_s < 1.0
    assert len(emulator.generations()) == 1
    gateway.wait_for(lambda: gateway.account("a")["in_flight"] == 0, "room")
    assert WAYS[0].ask(gateway).status == 200


# --------------------------------------------------------------------------------- sizes (F31)


@pytest.fixture(scope="module")
def big() -> bytes:
    """A body over the limit of 32 MiB."""
    return json.encode(anthropic_body("x" * (32 * 1024 * 1024)))


@pytest.mark.parametrize("way", DIALECTS, ids=name_of)
def test_a_body_over_the_limit_is_413_before_it_is_sent(gateway: RunningGateway, way: Way) -> None:
    with closing(Raw(gateway)) as raw:
        raw.say(head(way.path, f"content-length: {33 * 1024 * 1024}"))
        heard = raw.hear_head()

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert gateway.emulator.generations() == []


@pytest.mark.parametrize("way", DIALECTS, ids=name_of)
def test_a_body_over_the_limit_is_413_in_the_dialect(
    gateway: RunningGateway, way: Way, big: bytes
) -> None:
    answer = gateway.post(way.path, big)

    assert answer.status == 413
    assert is_shaped(way, answer)
    assert "33554432" in answer.json["error"]["message"]


def test_a_body_without_a_length_is_refused_while_it_is_read(gateway: RunningGateway) -> None:
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with closing(Raw(gateway)) as raw:
        raw.say(head(MESSAGES, "transfer-encoding: chunked"))
        for _ in range(33):
            raw.say(chunk)
        heard = raw.hear_head()

    assert heard.startswith(b"HTTP/1.1 413 ")


def test_a_limit_of_ones_own_can_be_set(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("a"), KIRO_MAX_BODY_BYTES="2000")

    assert gateway.messages("x" * 1000).status == 200
    assert gateway.messages("x" * 2000).status == 413


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
@pytest.mark.parametrize("way", DIALECTS, ids=name_of)
def test_a_compressed_body_is_415_and_not_unpacked(
    gateway: RunningGateway, way: Way, encoding: str
) -> None:
    packed = gzip.compress(json.encode(body_of(way)))
    answer = gateway.post(way.path, packed, headers={"content-encoding": encoding})

    assert answer.status == 415
    assert is_shaped(way, answer)


# ------------------------------------------------------------------------------- nesting (F32)


def nested(open_: str, close: str, inner: str = "1") -> str:
    return open_ * DEEP + inner + close * DEEP


ARRAYS, OBJECTS = nested("[", "]"), nested('{"a":', "}")
MESSAGE = '"messages":[{"role":"user","content":"Hello"}]'
DEEP_BODIES = {
    "arrays alone": ARRAYS,
    "objects alone": OBJECTS,
    "arrays without an end": "[" * DEEP,
    "the content": '{"model":"m","messages":[{"role":"user","content":' + ARRAYS + "}]}",
    "an unknown member": '{"model":"m",' + MESSAGE + ',"later":' + OBJECTS + "}",
    "a tool's schema": '{"model":"m",'
    + MESSAGE
    + ',"tools":[{"name":"t","input_schema":{"type":"object","properties":'
    + OBJECTS
    + "}}]}",
    "a function's parameters": '{"model":"m",'
    + MESSAGE
    + ',"tools":[{"type":"function","function":{"name":"t","parameters":'
    + OBJECTS
    + "}}]}",
    "a tool's input": '{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant",'
    '"content":[{"type":"tool_use","id":"t","name":"t","input":' + OBJECTS + "}]}]}",
    "the metadata": '{"model":"m",' + MESSAGE + ',"metadata":' + OBJECTS + "}",
}


@pytest.mark.parametrize("body", DEEP_BODIES.values(), ids=list(DEEP_BODIES))
@pytest.mark.parametrize("path", [MESSAGES, CHAT, COUNT])
def test_json_of_absurd_depth_is_a_quick_400(gateway: RunningGateway, path: str, body: str) -> None:
    text = body.replace('"model":"m"', '"model":"claude-sonnet-4-20250514"').encode()
    # On a busy machine most take longer: one that does not is what counts.
    took_s = 1.0
    for _ in range(20):
        started = time.monotonic()
        answer = gateway.post(path, text)
        took_s = time.monotonic() - started
        if took_s < 0.050:
            break

    assert answer.status == 400, answer.body[:300]
    assert took_s < 0.050


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nul", b"[]", b'"text"', b"\xff\xfe", b"{}", b'{"model":1}', b"null"]
)
@pytest.mark.parametrize("way", DIALECTS, ids=name_of)
def test_a_body_that_is_no_request_is_400_in_the_dialect(
    gateway: RunningGateway, way: Way, body: bytes
) -> None:
    answer = gateway.post(way.path, body)

    assert answer.status == 400
    assert is_shaped(way, answer)
    assert answer.json["error"]["type"] == "invalid_request_error"


# ------------------------------------------------------------------------------ smuggling (F33)

INNER = head("/v1/models", method="GET")
SMUGGLED: dict[str, bytes] = {
    "two lengths": head(MESSAGES, "content-length: 0", f"content-length: {len(INNER)}") + INNER,
    "a length beside chunks": head(
        MESSAGES, f"content-length: {len(INNER) + 5}", "transfer-encoding: chunked"
    )
    + b"0\r\n\r\n"
    + INNER,
    "a list of lengths": head(MESSAGES, "content-length: 0, 5") + INNER,
    "a length with a sign": head(MESSAGES, "content-length: +5") + INNER,
    "a negative length": head(MESSAGES, "content-length: -1") + INNER,
    "a length in hexadecimal": head(MESSAGES, "content-length: 0x10") + INNER,
    "chunks that are not last": head(MESSAGES, "transfer-encoding: chunked, identity") + INNER,
    "an unknown transfer": head(MESSAGES, "transfer-encoding: xchunked") + INNER,
    "chunks twice": head(MESSAGES, "transfer-encoding: chunked", "transfer-encoding: identity")
    + INNER,
    "a chunk of no number": head(MESSAGES, "transfer-encoding: chunked") + b"zz\r\n" + INNER,
    "a space before the colon": head(MESSAGES, "content-length : 0") + INNER,
    "a folded header": head(MESSAGES, "x-a: b", " c: d") + INNER,
    "a bare line feed": b"POST /v1/messages HTTP/1.1\nhost: a\ncontent-length: 0\n\n" + INNER,
    "a bare carriage return": head(MESSAGES, "x-a: b\rc: d", "content-length: 0") + INNER,
    "a zero byte": head(MESSAGES, "x-a: b\0c", "content-length: 0") + INNER,
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("data", SMUGGLED.values(), ids=list(SMUGGLED))
def test_a_request_of_doubtful_length_is_400_and_the_end(
    gateway: RunningGateway, data: bytes
) -> None:
    with closing(Raw(gateway)) as raw:
        raw.say(data)
        heard = raw.hear()

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1 ") == 1, "what followed was taken for a request"
    assert b"application/json" in heard
    assert json.decode(heard.partition(b"\r\n\r\n")[2])["error"]["message"]


# ---------------------------------------------------------------------------- line breaks (F34)


BREAK = "x\r\nx-evil: 1\r\n\r\n"


@pytest.mark.parametrize(
    "more",
    [
        {"model": f"claude-sonnet-4-20250514{BREAK}"},
        {"metadata": {"user_id": BREAK}},
        {"user": BREAK, "prompt_cache_key": BREAK},
        {"stop_sequences": [BREAK]},
    ],
    ids=lambda more: next(iter(more)),
)
@pytest.mark.parametrize("way", DIALECTS, ids=name_of)
def test_line_breaks_in_values_reach_no_header(
    gateway: RunningGateway, way: Way, more: dict[str, Any]
) -> None:
    answer = way.ask(gateway, **more)

    assert "x-evil" not in answer.headers
    assert not any("x-evil" in record.headers for record in gateway.emulator.records())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/x%0d%0ax-evil:%201",
        "/x%0d%0ax-evil:%201/v1/messages",
        "/%0d%0ax-evil:%201",
        "/v1/models?x=%0d%0ax-evil:%201",
    ],
)
def test_line_breaks_in_paths_reach_no_header(gateway: RunningGateway, path: str) -> None:
    answer = gateway.get(path)

    assert answer.status in (200, 404)
    assert "x-evil" not in answer.headers


# ------------------------------------------------------------------------------ odd paths (F35)


ODD = [
    "/health/../v1/models",
    "/health/..%2fv1%2fmodels",
    "/health%2f..%2fapi%2ftokens",
    "/livez/../../api/tokens",
    "//api/tokens",
    "/api//tokens",
    "/./api/tokens",
    "/api/tokens/",
    "/api/tokens;health",
    "/api/tokens%00",
    "/%61pi/tokens",
    "/api/tokens%2f",
    "/health;/../api/tokens",
    "/api/hello/../tokens",
    "/API/TOKENS",
    "/v1/models/..",
    "/v1/%6dodels",
    "/v1/models#fragment",
    "/v1/models?key=123456&api_key=123456",
    "/healthz/",
    "/\u00e9",
]


@pytest.mark.parametrize("path", ODD)
def test_an_odd_path_opens_nothing_without_a_key(gateway: RunningGateway, path: str) -> None:
    with closing(Raw(gateway)) as raw:
        raw.say(head(path, "connection: close", method="GET", key="wrong"))
        heard = raw.hear()

    assert heard.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 "))


@pytest.mark.parametrize(
    "target", ["http://gateway/v1/models", "http://elsewhere/v1/models?x=1", "/%761/models"]
)
def test_a_path_may_be_spelled_in_other_ways(gateway: RunningGateway, target: str) -> None:
    with closing(Raw(gateway)) as raw:
        raw.say(head(target, "connection: close", method="GET"))
        heard = raw.hear()

    assert heard.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 404 "))
    assert b"text/html" not in heard


@pytest.mark.parametrize("target", ["*", "gateway:443", "elsewhere"])
@pytest.mark.parametrize("method", ["OPTIONS", "CONNECT", "TRACE", "BREW"])
def test_methods_and_targets_of_proxies_are_refused(
    gateway: RunningGateway, method: str, target: str
) -> None:
    with closing(Raw(gateway)) as raw:
        raw.say(head(target, "connection: close", method=method))
        heard = raw.hear()

    assert heard[9:12] in (b"400", b"404", b"405"), heard[:200]


@pytest.mark.parametrize("path", ["/v1/unheard-of", "/", "/v1/messages/x", "/v1/chat/x"])
def test_no_answer_is_a_web_page(gateway: RunningGateway, path: str) -> None:
    answer = gateway.get(path)

    assert answer.headers["content-type"] == "application/json"
    assert isinstance(answer.json, dict)


# ------------------------------------------------------------------------------- request ids


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", MESSAGES, 200),
        ("POST", CHAT, 200),
        ("POST", "/v1/nothing", 404),
        ("GET", MESSAGES, 405),
        ("GET", "/api/tokens", 200),
    ],
)
def test_the_id_of_an_answer_is_the_id_of_its_log_line(
    gateway: RunningGateway, method: str, path: str, status: int
) -> None:
    body = chat_body() if method == "POST" else None
    answer = gateway.request(method, path, body)
    request_id = answer.headers["request-id"]

    def lines() -> list[dict[str, Any]]:
        return [line for line in gateway.finished() if line["request_id"] == request_id]

    gateway.wait_for(lines, "the log line")
    assert answer.headers["x-request-id"] == request_id
    assert [line["status"] for line in lines()] == [status]


def test_no_two_answers_have_the_same_id(gateway: RunningGateway) -> None:
    ids = {gateway.get("/health", key=None).headers["request-id"] for _ in range(50)}

    assert len(ids) == 50
