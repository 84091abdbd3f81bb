"""Text as it may leave the program: without control characters and halves of surrogate pairs."""

import re

# Everything of Unicode's class "control" but tab, line feed and carriage return; here what of it is
# ASCII, below all of it and the halves of pairs.
_ASCII_DELETIONS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127))
_UNWELCOME = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]+")
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """Return `text` without control characters and lone surrogates; the same object if it has none.

    Both make the upstream refuse the whole request.
    """
    # `translate` is seven times as fast as the search, but on ASCII only.
    cleaned = text.translate(_ASCII_DELETIONS) if text.isascii() else _UNWELCOME.sub("", text)
    return text if len(cleaned) == len(text) else cleaned


def is_blank(text: str) -> bool:
    """Return whether nothing of `text` can be seen: it is empty, white space, or all cleaned away."""
    return _VISIBLE.search(text) is None
