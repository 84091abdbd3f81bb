"""What surrounds a reply: its name, and errors before a dialect has shaped them."""

import msgspec

from kiro2api.errors import FaultKind


class ReplyHead(msgspec.Struct, frozen=True):
    """What a reply is called: `id` without a dialect's prefix, the model as the client named it,
    `created_s` in whole seconds since the epoch, the local estimate of the input."""

    id: str
    model: str
    created_s: int
    input_tokens: int


class ErrorAnswer(msgspec.Struct, frozen=True):
    """An error for a client before any dialect has shaped it.

    `kind` is the upstream's fault when there was one. `code` is a stable word for programs ("" when
    there is none), `path` the JSON path of the offending member ("" without one).
    """

    status: int
    message: str
    code: str = ""
    path: str = ""
    kind: FaultKind | None = None
    retry_after_s: float | None = None


class RenderedError(msgspec.Struct, frozen=True):
    """An error in a dialect's shape: the status may differ from the asked one by its customs."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class PublicModel(msgspec.Struct, frozen=True):
    """A model as clients list it; `created_s` is 0 where nobody knows."""

    id: str
    display_name: str
    created_s: int = 0
