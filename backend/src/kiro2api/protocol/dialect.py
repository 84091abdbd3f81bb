"""What a client-facing API must be able to do, and the registry of those that exist."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat.events import StreamEvent
from kiro2api.protocol.chat.fold import Reply
from kiro2api.protocol.chat.request import ChatRequest


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


class Renderer(Protocol):
    """Turns the events of one streamed reply into bytes; lives as long as the reply."""

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the server-sent events for `events`; a `Failure` becomes the in-stream error."""
        ...

    def ping(self) -> bytes:
        """Return bytes that keep a silent stream alive and mean nothing."""
        ...


class Dialect(Protocol):
    """A client-facing API; one instance for the whole program, without state."""

    name: str

    def parse(self, body: bytes, headers: Mapping[str, str]) -> ChatRequest:
        """Return what `body` asks; `headers` have lower-case names.

        Raises:
            RequestError: it cannot be served; the JSON path says where.
        """
        ...

    def renderer(self, request: ChatRequest, head: ReplyHead) -> Renderer:
        """Return a renderer for the streamed reply to `request`."""
        ...

    def render_reply(
        self, request: ChatRequest, head: ReplyHead, reply: Reply
    ) -> bytes:
        """Return the JSON body of the whole reply."""
        ...

    def render_error(self, answer: ErrorAnswer, request_id: str) -> RenderedError:
        """Return `answer` as this API's clients read it."""
        ...
