"""The bodies that a Chat Completions client reads, member by member."""

from typing import Literal

import msgspec


class FunctionCall(msgspec.Struct, frozen=True):
    """The name of a called tool and its input as JSON text."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True):
    """One complete tool call of a reply."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class Message(msgspec.Struct, frozen=True):
    """The reply itself; `content` is null only beside tool calls."""

    content: str | None
    refusal: str | None = None
    role: Literal["assistant"] = "assistant"
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: tuple[ToolCall, ...] | msgspec.UnsetType = msgspec.UNSET


class Choice(msgspec.Struct, frozen=True):
    """The only choice: more than one is refused."""

    message: Message
    finish_reason: str
    index: int = 0
    logprobs: None = None


class PromptDetails(msgspec.Struct, frozen=True):
    """Parts of `prompt_tokens`."""

    cached_tokens: int
    cache_write_tokens: int


class CompletionDetails(msgspec.Struct, frozen=True):
    """Parts of `completion_tokens`."""

    reasoning_tokens: int


class Usage(msgspec.Struct, frozen=True):
    """Tokens; `prompt_tokens` includes what was read from and written to the cache."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Completion(msgspec.Struct, frozen=True):
    """The body of a reply that was not streamed."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: Usage
    object: Literal["chat.completion"] = "chat.completion"


class ChunkHead(msgspec.Struct, frozen=True):
    """What every chunk of a stream repeats."""

    id: str
    created: int
    model: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class Error(msgspec.Struct, frozen=True):
    """What went wrong, in the API's words."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an error answer; the same, without the id, is the error chunk of a stream."""

    error: Error
    request_id: str | msgspec.UnsetType = msgspec.UNSET


class Model(msgspec.Struct, frozen=True):
    """One entry of the list of models."""

    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"


class ModelList(msgspec.Struct, frozen=True):
    """The list of models, whole."""

    data: tuple[Model, ...]
    object: Literal["list"] = "list"
