"""Reads the content of a message: a string, parts of many kinds, or nothing."""

import re
from collections.abc import Callable, Mapping

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import Document, Image, Text, Thinking
from kiro2api.protocol.wire import json

Part = Text | Image | Document | Thinking

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
# Only where the client names a file and no type; the upstream takes documents by their type.
_TYPES_BY_SUFFIX = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "htm": "text/html",
    "html": "text/html",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_UNKNOWN_TYPE = "application/octet-stream"


def read_content(value: object, path: str) -> list[Part]:
    """Return the parts of a message's `content`, in order; empty text is left out.

    Raises:
        RequestError: a part cannot be sent upstream; the path says which.
    """
    match value:
        case None:
            return []
        case str():
            return [Text(value)] if value else []
        case list():
            return [
                part
                for place, item in enumerate(value)
                if (part := _read_part(item, f"{path}[{place}]")) is not None
            ]
        case dict():
            part = _read_part(value, path)
            return [] if part is None else [part]
        case _:
            raise RequestError("Content is a string, a list of parts or null.", path=path)


def text_of(value: object, path: str) -> str:
    """Return the text of a `content` that can be nothing else; its parts are joined by breaks.

    Raises:
        RequestError: there is a part that is no text.
    """
    parts = read_content(value, path)
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) < len(parts):
        raise RequestError("Only text is possible here.", path=path)
    return "\n".join(texts)


def _read_part(item: object, path: str) -> Part | None:
    if item is None:
        return None
    if isinstance(item, str):
        return Text(item) if item else None
    if not isinstance(item, dict):
        raise RequestError("A content part is an object or a string.", path=path)
    kind = item.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        return reader(item, path)
    if isinstance(item.get("text"), str):
        return _read_text(item, path)
    raise RequestError(f"Content parts of type {kind!r} are not supported.", path=path)


def _read_text(item: Mapping[str, object], path: str) -> Part | None:
    text = item.get("text")
    if text is not None and not isinstance(text, str):
        raise RequestError("Text is a string.", path=f"{path}.text")
    return Text(text) if text else None


def _read_refusal(item: Mapping[str, object], path: str) -> Part | None:
    return _read_text({"text": item.get("refusal")}, path)


def _read_thinking(item: Mapping[str, object], _path: str) -> Part | None:
    text, signature = item.get("thinking"), item.get("signature")
    if not isinstance(text, str):
        return None
    return Thinking(text, signature if isinstance(signature, str) else "")


def _read_image(item: Mapping[str, object], path: str) -> Part | None:
    path += ".image_url"
    holder = item.get("image_url")
    url = holder
    if isinstance(holder, dict):
        path += ".url"
        url = holder.get("url")
    if not isinstance(url, str) or not url:
        raise RequestError("An image has a data: URL.", path=path)
    if _DATA_URL.match(url) is None:
        raise RequestError(
            "Remote images are not fetched; send the picture as a data: URL in base64.",
            path=path,
            code="remote_image_url",
        )
    media_type, data = _split_data_url(url, path)
    if media_type == _UNKNOWN_TYPE or media_type.startswith("image/"):
        return Image(media_type, data)
    return Document("document", media_type, data)


def _read_file(item: Mapping[str, object], path: str) -> Part | None:
    holder = item.get("file")
    path += ".file"
    if not isinstance(holder, dict):
        # Some clients leave the inner object out.
        holder = item
    data, name = holder.get("file_data"), holder.get("filename")
    if not isinstance(data, str) or not data:
        if holder.get("file_id") is not None:
            raise RequestError(
                "Files are not stored here, so there is no file id; send `file_data` in base64.",
                path=f"{path}.file_id",
            )
        raise RequestError("A file has `file_data` in base64.", path=f"{path}.file_data")
    name = name if isinstance(name, str) and name else "document"
    media_type = _TYPES_BY_SUFFIX.get(name.rpartition(".")[2].lower(), _UNKNOWN_TYPE)
    if _DATA_URL.match(data) is not None:
        told, data = _split_data_url(data, f"{path}.file_data")
        media_type = media_type if told == _UNKNOWN_TYPE else told
    elif data.startswith(("http:", "https:")):
        raise RequestError(
            "Remote files are not fetched; send `file_data` in base64.", path=f"{path}.file_data"
        )
    if media_type.startswith("image/"):
        return Image(media_type, data)
    return Document(name, media_type, data)


def _read_audio(_item: Mapping[str, object], path: str) -> Part | None:
    raise RequestError("Audio input (`input_audio`) is not supported.", path=path)


def _split_data_url(url: str, path: str) -> tuple[str, str]:
    """Return the media type and the base64 data of a data: URL."""
    head = _DATA_URL.match(url)
    if head is None or ";base64" not in head[2].lower():
        raise RequestError("A data: URL is in base64 here.", path=path)
    data = url[head.end() :]
    if "\n" in data or " " in data:
        data = _SPACES.sub("", data)
    if not data:
        raise RequestError("The data: URL is empty.", path=path)
    return head[1].strip().lower() or _UNKNOWN_TYPE, data


_READERS: Mapping[str, Callable[[Mapping[str, object], str], Part | None]] = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "refusal": _read_refusal,
    "thinking": _read_thinking,
    "image_url": _read_image,
    "input_image": _read_image,
    "file": _read_file,
    "input_file": _read_file,
    "input_audio": _read_audio,
}


def as_text(value: object) -> str:
    """Return any JSON value as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.encode(value).decode()
