"""The local estimate of tokens: its shape, and its error against known counts."""

import base64
import io
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from kiro2api.protocol.chat import request as hub
from kiro2api.protocol.tokens import estimate, estimate_text, weigh

CORPUS = Path(__file__).parents[1] / "corpus" / "tokens"
COUNTS: dict[str, int] = msgspec.json.decode((CORPUS / "counts.json").read_bytes())
# What the module's docstring promises: the estimate as a ratio to the known count.
LOW = {"base64": 0.74, "european": 0.78}
LOWEST, HIGHEST = 0.85, 1.20
BLANKS = 340
TEXTS = st.text(st.characters(), max_size=60)


def asked(*blocks: hub.Block, tools: tuple[hub.ToolSpec, ...] = ()) -> hub.ChatRequest:
    return hub.ChatRequest(model="m", turns=(hub.Turn(hub.Role.USER, blocks),), tools=tools)


def png(width: int, height: int) -> str:
    out = io.BytesIO()
    Picture.new("1", (width, height)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def cost(block: hub.Block) -> int:
    return estimate(asked(block)) - estimate(asked())


@pytest.mark.parametrize("name", COUNTS)
def test_the_estimate_is_near_the_known_count(name: str) -> None:
    ratio = estimate_text((CORPUS / f"{name}.txt").read_text()) / COUNTS[name]

    assert LOW.get(name, LOWEST) <= ratio <= HIGHEST


def test_over_all_texts_the_estimate_is_within_five_percent() -> None:
    total = sum(estimate_text((CORPUS / f"{name}.txt").read_text()) for name in COUNTS)

    assert 0.95 <= total / sum(COUNTS.values()) <= 1.05


def test_every_text_of_the_corpus_has_a_known_count() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(COUNTS)


@given(TEXTS, TEXTS)
def test_a_longer_text_never_costs_less(text: str, more: str) -> None:
    assert estimate_text(text) <= estimate_text(text + more)


@given(TEXTS, TEXTS)
def test_pieces_weigh_what_the_whole_weighs_but_for_blanks_at_the_border(a: str, b: str) -> None:
    assert 0 <= weigh(a) + weigh(b) - weigh(a + b) <= BLANKS


@given(TEXTS)
def test_bytes_weigh_what_their_text_weighs(text: str) -> None:
    assert weigh(text.encode("utf-8", "surrogatepass")) == weigh(text)


@given(st.text(st.characters(exclude_characters=" "), min_size=1, max_size=60))
def test_every_text_costs_at_least_a_token(text: str) -> None:
    assert estimate_text(text) >= 1


def test_half_a_character_is_no_reason_to_stumble() -> None:
    assert estimate_text("a\ud83d") > 0


def test_no_text_costs_nothing() -> None:
    assert estimate_text("") == 0


@pytest.mark.parametrize(
    ("character", "weight"),
    [
        *[("a", 210), ("Z", 760), ("7", 920), (" ", 340), ("\n", 50), ("{", 430)],
        *[("é", 640), ("я", 640), ("语", 1080), ("あ", 1080), ("한", 1330), ("😄", 2400)],
    ],
)
def test_each_kind_of_character_has_its_weight(character: str, weight: int) -> None:
    assert weigh(character) == weight


def test_indentation_costs_half() -> None:
    assert weigh(" " * 8) == 4 * 340


def test_an_empty_request_costs_at_least_a_token() -> None:
    assert estimate(hub.ChatRequest(model="m", turns=())) == 1


def test_everything_that_the_model_reads_counts() -> None:
    long = "word " * 400
    blocks: list[hub.Block] = [
        hub.Text(long),
        hub.Document("d", "text/plain", text=long),
        hub.Document("d", "text/csv", data=base64.b64encode(long.encode()).decode()),
        hub.ToolUse("t", "n", msgspec.Raw(msgspec.json.encode({"a": long}))),
        hub.ToolResult("t", (hub.Text(long),)),
        hub.Thinking(long, "signature"),
        hub.RedactedThinking("x" * 2000),
    ]

    assert all(cost(block) > 300 for block in blocks)


def test_the_system_text_counts() -> None:
    bare = asked(hub.Text("hi"))
    long = msgspec.structs.replace(bare, system=(hub.Text("word " * 400),))

    assert estimate(long) - estimate(bare) >= estimate_text("word " * 400)


def test_a_tool_costs_its_words_its_schema_and_the_preamble_once() -> None:
    schema = msgspec.Raw(b'{"type":"object","properties":{"path":{"type":"string"}}}')
    spec = hub.ToolSpec("read_file", "Reads a file.", schema)
    none, one, two = (estimate(asked(tools=(spec,) * count)) for count in range(3))

    assert two - one < 60
    assert one - none == pytest.approx(two - one + 340, abs=1)


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(200, 200, 53), (1000, 1000, 1333), (1092, 1092, 1590), (4000, 4000, 1600), (3136, 100, 105)],
)
def test_a_picture_costs_by_its_pixels_after_shrinking(
    width: int, height: int, tokens: int
) -> None:
    assert cost(hub.Image("image/png", png(width, height))) == tokens


def test_a_picture_of_unknown_size_costs_the_most() -> None:
    assert cost(hub.Image("image/png", "AAAA")) == 1600


def test_a_picture_in_a_tool_result_costs_the_same() -> None:
    image = hub.Image("image/png", png(1000, 1000))

    assert cost(hub.ToolResult("t", (image,))) == cost(image) + 4


def test_a_file_costs_by_its_bytes() -> None:
    pdf = hub.Document("d", "application/pdf", data=base64.b64encode(b"x" * 40_000).decode())

    assert cost(pdf) == pytest.approx(1000, abs=5)


@pytest.mark.parametrize("name", ["english", "chinese", "python_code"])
def test_a_megabyte_is_estimated_in_no_time(name: str) -> None:
    text = (CORPUS / f"{name}.txt").read_text()
    text *= 1_000_000 // len(text.encode())

    assert min(elapsed(text) for _ in range(5)) < 0.03


def elapsed(text: str) -> float:
    start = time.process_time()
    estimate_text(text)
    return time.process_time() - start
