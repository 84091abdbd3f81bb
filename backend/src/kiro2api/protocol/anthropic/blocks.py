"""Content blocks of the Anthropic dialect, each turned into what the hub knows.

What has no place in the hub becomes text, so that the model still reads it: the table is `_READERS`.
"""

from collections.abc import Callable

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.anthropic import loose
from kiro2api.protocol.anthropic.schema import Block, SearchHit, Source
from kiro2api.protocol.chat import request as hub
from kiro2api.protocol.chat.image import probe
from kiro2api.protocol.wire import json as wire

_UNKNOWN_MEDIA = "application/octet-stream"


def read_content(content: msgspec.Raw, path: str) -> list[hub.Block]:
    """Return the hub's blocks of a message's `content`: a string, a list, an object or nothing.

    Raises:
        RequestError: a block is neither text nor an object, or needs bytes that we do not have.
    """
    if loose.is_string(content):
        return _as_text(loose.string(content))
    blocks: list[hub.Block] = []
    for index, raw in enumerate(loose.items(content, path)):
        blocks += _read_block(raw, f"{path}.{index}")
    return blocks


def _read_block(raw: msgspec.Raw, path: str) -> list[hub.Block]:
    if loose.is_string(raw):
        return _as_text(loose.string(raw))
    if loose.is_absent(raw):
        return []
    block = loose.opened(raw, Block, path)
    reader = _READERS.get(loose.word(block.type))
    if reader is not None:
        return reader(block, raw, path)
    return [hub.Text(loose.spelled(raw))]


def _as_text(text: str) -> list[hub.Block]:
    return [hub.Text(text)] if text else []


def _text(block: Block, _raw: msgspec.Raw, _path: str) -> list[hub.Block]:
    if isinstance(block.text, str):
        return _as_text(block.text)
    return [] if block.text is None else [hub.Text(wire.encode(block.text).decode())]


def _image(block: Block, _raw: msgspec.Raw, path: str) -> list[hub.Block]:
    source = _source(block, "image", path)
    data = loose.word(source.data)
    media_type = loose.word(source.media_type)
    if data.startswith("data:"):
        media_type, data = _split_data_url(data, media_type)
    if not data:
        raise RequestError("An image needs base64 data.", path=f"{path}.source.data")
    facts = probe(data)
    # The bytes know better than the client, and the upstream compares the two.
    return [hub.Image(facts.media_type if facts else media_type or _UNKNOWN_MEDIA, data)]


def _document(block: Block, _raw: msgspec.Raw, path: str) -> list[hub.Block]:
    source = _source(block, "document", path)
    name = loose.word(block.title) or "document"
    blocks = _as_text(loose.word(block.context))
    data = loose.word(source.data)
    media_type = loose.word(source.media_type)
    if loose.word(source.type) == "content":
        return blocks + _content_document(source, name, f"{path}.source.content")
    if not data:
        raise RequestError("A document needs data.", path=f"{path}.source.data")
    if loose.word(source.type) == "text":
        return [*blocks, hub.Document(name, media_type or "text/plain", text=data)]
    if data.startswith("data:"):
        media_type, data = _split_data_url(data, media_type)
    return [*blocks, hub.Document(name, media_type or "application/pdf", data=data)]


def _content_document(source: Source, name: str, path: str) -> list[hub.Block]:
    """A document made of blocks: its text stays a document, its pictures follow it."""
    inner = read_content(source.content, path)
    text = "\n".join(block.text for block in inner if isinstance(block, hub.Text))
    rest: list[hub.Block] = [block for block in inner if not isinstance(block, hub.Text)]
    return [hub.Document(name, "text/plain", text=text), *rest] if text else rest


def _source(block: Block, what: str, path: str) -> Source:
    path = f"{path}.source"
    source = loose.opened(block.source, Source, path)
    kind = loose.word(source.type)
    if kind == "url" or (source.url is not None and source.data is None):
        raise RequestError(
            f"This gateway does not fetch remote URLs: send the {what} as base64.",
            path=path,
            code="remote_url_unsupported",
        )
    if kind == "file" or (source.file_id is not None and source.data is None):
        raise RequestError(
            f"This gateway keeps no uploaded files: send the {what} as base64.",
            path=path,
            code="file_id_unsupported",
        )
    return source


def _split_data_url(url: str, media_type: str) -> tuple[str, str]:
    head, _, data = url.partition(",")
    return media_type or head.removeprefix("data:").partition(";")[0], data


def _search_result(block: Block, _raw: msgspec.Raw, path: str) -> list[hub.Block]:
    """A search result that the client found by itself: heading and text."""
    source = loose.string(block.source) if loose.is_string(block.source) else ""
    heading = " — ".join(filter(None, (loose.word(block.title), source)))
    return _as_text(heading) + read_content(block.content, f"{path}.content")


def _tool_use(block: Block, _raw: msgspec.Raw, _path: str) -> list[hub.Block]:
    return [hub.ToolUse(loose.word(block.id), loose.word(block.name), _input(block.input))]


def _input(raw: msgspec.Raw) -> msgspec.Raw:
    """The input as a JSON object, whatever a client made of it; nothing of it is lost."""
    if loose.is_object(raw):
        return loose.carried(raw)
    if loose.is_absent(raw):
        return loose.EMPTY_OBJECT
    if loose.is_string(raw):
        text = loose.string(raw).strip()
        if not text:
            return loose.EMPTY_OBJECT
        if text.startswith("{") and _is_json(text):
            return msgspec.Raw(text.encode())
    return msgspec.Raw(wire.encode({"input": loose.carried(raw)}))


def _is_json(text: str) -> bool:
    try:
        wire.decode(text)
    except RequestError:
        return False
    return True


def _tool_result(block: Block, _raw: msgspec.Raw, path: str) -> list[hub.Block]:
    content: list[hub.Text | hub.Image | hub.Document] = []
    for piece in read_content(block.content, f"{path}.content"):
        if isinstance(piece, hub.Text | hub.Image | hub.Document):
            content.append(piece)
        else:
            content.append(hub.Text(wire.encode(piece).decode()))
    return [hub.ToolResult(loose.word(block.tool_use_id), tuple(content), block.is_error is True)]


def _tool_reference(block: Block, _raw: msgspec.Raw, _path: str) -> list[hub.Block]:
    return [hub.Text(f"Tool available: {loose.word(block.tool_name)}")]


def _thinking(block: Block, _raw: msgspec.Raw, _path: str) -> list[hub.Block]:
    text, signature = loose.word(block.thinking), loose.word(block.signature)
    return [hub.Thinking(text, signature)] if text or signature else []


def _redacted_thinking(block: Block, _raw: msgspec.Raw, _path: str) -> list[hub.Block]:
    data = loose.word(block.data)
    return [hub.RedactedThinking(data)] if data else []


def _server_tool_use(block: Block, _raw: msgspec.Raw, _path: str) -> list[hub.Block]:
    call = "" if loose.is_absent(block.input) else loose.spelled(block.input)
    return [hub.Text(f"[{loose.word(block.name) or 'server tool'} was called: {call}]")]


def _web_search_result(block: Block, raw: msgspec.Raw, path: str) -> list[hub.Block]:
    """The hits of an earlier search, as a list of links: their text is sealed for the service."""
    try:
        hits = [loose.opened(hit, SearchHit, path) for hit in loose.items(block.content, path)]
    except RequestError:
        hits = []
    lines = [
        f"- {loose.word(hit.title)} {loose.word(hit.url)}".rstrip()
        for hit in hits
        if loose.word(hit.url) or loose.word(hit.title)
    ]
    if not lines:
        return [hub.Text(loose.spelled(raw))]
    return [hub.Text("\n".join(["[web_search found:", *lines, "]"]))]


def _compaction(block: Block, _raw: msgspec.Raw, path: str) -> list[hub.Block]:
    return read_content(block.content, f"{path}.content")


def _container_upload(_block: Block, _raw: msgspec.Raw, path: str) -> list[hub.Block]:
    raise RequestError(
        "This gateway keeps no uploaded files: send the file as a document.",
        path=path,
        code="file_id_unsupported",
    )


_Reader = Callable[[Block, msgspec.Raw, str], list[hub.Block]]
_READERS: dict[str, _Reader] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "tool_reference": _tool_reference,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "server_tool_use": _server_tool_use,
    "mcp_tool_use": _server_tool_use,
    "web_search_tool_result": _web_search_result,
    "compaction": _compaction,
    "container_upload": _container_upload,
}
