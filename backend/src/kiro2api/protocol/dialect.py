"""What a client-facing API can do, and the registry of those that exist."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from kiro2api.protocol.anthropic import errors as anthropic_errors
from kiro2api.protocol.anthropic import models as anthropic_models
from kiro2api.protocol.anthropic import parse as anthropic_parse
from kiro2api.protocol.anthropic import render as anthropic_render
from kiro2api.protocol.chat.answer import ErrorAnswer, PublicModel, RenderedError, ReplyHead
from kiro2api.protocol.chat.events import StreamEvent
from kiro2api.protocol.chat.fold import Reply
from kiro2api.protocol.chat.request import ChatRequest
from kiro2api.protocol.openai_chat import errors as openai_chat_errors
from kiro2api.protocol.openai_chat import parse as openai_chat_parse
from kiro2api.protocol.openai_chat import render as openai_chat_render


class Renderer(Protocol):
    """Turns the events of one streamed reply into bytes; lives as long as the reply."""

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the server-sent events for `events`; a `Failure` becomes the in-stream error."""
        ...

    def ping(self) -> bytes:
        """Return bytes that keep a silent stream alive and mean nothing."""
        ...


class Dialect(msgspec.Struct, frozen=True):
    """A client-facing API, as its pure functions.

    `parse` returns what a body asks (headers have lower-case names) or raises `RequestError`.
    `renderer` makes the renderer of one streamed reply. `render_reply` returns the JSON body of a
    whole reply. `render_error` shapes an error, given the request id. `render_models` and
    `render_model` return the JSON body of the list of models, and of one.
    """

    name: str
    parse: Callable[[bytes, Mapping[str, str]], ChatRequest]
    renderer: Callable[[ChatRequest, ReplyHead], Renderer]
    render_reply: Callable[[ChatRequest, ReplyHead, Reply], bytes]
    render_error: Callable[[ErrorAnswer, str], RenderedError]
    render_models: Callable[[Sequence[PublicModel]], bytes]
    render_model: Callable[[PublicModel], bytes]


ANTHROPIC = Dialect(
    "anthropic",
    anthropic_parse.parse,
    anthropic_render.StreamRenderer,
    anthropic_render.render_reply,
    anthropic_errors.render_error,
    anthropic_models.render_models,
    anthropic_models.render_model,
)
OPENAI_CHAT = Dialect(
    "openai_chat",
    openai_chat_parse.parse,
    openai_chat_render.StreamRenderer,
    openai_chat_render.render_reply,
    openai_chat_errors.render_error,
    openai_chat_render.render_models,
    openai_chat_render.render_model,
)
