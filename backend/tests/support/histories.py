"""Conversations as no sane client sends them, for properties that must hold for any."""

import base64
import json

import msgspec
from hypothesis import strategies as st

from kiro2api.protocol.chat.request import (
    Block,
    Document,
    Image,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\x00" * 24).decode()
GIF = base64.b64encode(b"GIF89a" + b"\x00" * 24).decode()
PDF = base64.b64encode(b"%PDF-1.7 " + b"\x00" * 24).decode()

# Few ids and names, so that they meet; odd ones among them.
IDS = ["a", "b", "toolu_01", "call:x/y", "", "x" * 80]
NAMES = ["Read", "read", "Write", "a name", "mcp__" + "server" * 20 + "__tool", "", "1st"]
INPUTS = [
    "{}",
    '{"path":"x"}',
    '{"":1,"n":null}',
    "[1]",
    '"text"',
    "",
    "{broken",
    '{"a":"\\u0000"}',
]

texts = st.one_of(
    st.sampled_from(["", " \n", "\x00", "one", "two words", "你好", "half \ud83d"]),
    st.text(st.characters(codec=None), max_size=12),
)
plain_text = st.builds(Text, texts)
images = st.sampled_from(
    [Image("image/png", PNG), Image("image/jpeg", GIF), Image("image/png", "none of it")]
)
documents = st.sampled_from(
    [
        Document("notes.md", "text/markdown", text="# notes"),
        Document("a/b.pdf", "application/pdf", data=PDF),
        Document("x.bin", "application/zip", data=PDF),
    ]
)
inputs = st.one_of(
    st.sampled_from(INPUTS),
    st.dictionaries(texts, st.none() | texts | st.integers(), max_size=3).map(json.dumps),
).map(lambda spelled: msgspec.Raw(spelled.encode("utf-8", "surrogatepass")))
uses = st.builds(ToolUse, st.sampled_from(IDS), st.sampled_from(NAMES), inputs)
results = st.builds(
    ToolResult,
    st.sampled_from(IDS),
    st.lists(st.one_of(plain_text, images, documents), max_size=3).map(tuple),
    st.booleans(),
)
reasoning = st.one_of(
    st.builds(Thinking, texts, st.sampled_from(["", "c2ln"])),
    st.builds(RedactedThinking, st.sampled_from(["", "c2VhbGVk", "not base64!"])),
)
blocks: st.SearchStrategy[Block] = st.one_of(
    plain_text, uses, results, images, documents, reasoning
)
turns = st.builds(Turn, st.sampled_from(list(Role)), st.lists(blocks, max_size=5).map(tuple))
histories = st.lists(turns, max_size=10).map(tuple)
