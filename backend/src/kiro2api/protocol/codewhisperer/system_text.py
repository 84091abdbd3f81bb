"""The system text of a request: what the client wrote, then what has no other channel upstream."""

from collections.abc import Iterable, Iterator

from kiro2api.protocol.chat.request import ChatRequest, FormatKind, ResponseFormat
from kiro2api.protocol.chat.text import clean, is_blank


def system_text(request: ChatRequest, words: Iterable[str]) -> str:
    """Return the system text with `words` about the tools; "" when there is nothing to say."""
    said = "\n".join([clean(block.text) for block in request.system if not is_blank(block.text)])
    return "\n\n".join([p for p in (said, *words, *_format(request.response_format)) if p])


def _format(wanted: ResponseFormat) -> Iterator[str]:
    """Yield in words what shape of answer the client wants."""
    if wanted.kind is FormatKind.TEXT:
        return
    only = "Answer with one JSON object and nothing else: no other text, no code fence."
    schema = bytes(wanted.schema).decode("utf-8", "replace").strip()
    if wanted.kind is FormatKind.JSON_OBJECT or not schema:
        yield only
    else:
        yield f"{only} It must match this JSON schema:\n{clean(schema)}"
