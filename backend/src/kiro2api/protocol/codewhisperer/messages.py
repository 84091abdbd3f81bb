"""Turns of a repaired conversation as messages of the upstream."""

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import (
    Block,
    Document,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from kiro2api.protocol.chat.text import clean, is_blank
from kiro2api.protocol.codewhisperer import schema as wire
from kiro2api.protocol.codewhisperer.media import (
    MAX_DOCUMENTS,
    MAX_IMAGES,
    as_document,
    as_image,
    is_base64,
)
from kiro2api.protocol.codewhisperer.names import NameMap, tool_id_to_upstream

NO_OUTPUT = "(no output)"
FAILED = "The tool call failed:"
FAILED_SILENTLY = "The tool call failed without any output."
_FROM_USER = "the user"


class Messages:
    """Turns the turns of one request into messages, in order; lives as long as one build."""

    def __init__(self, names: NameMap, *, model_id: str, origin: str, with_reasoning: bool) -> None:
        self.names = names
        self.model_id = model_id
        self.origin = origin
        self.with_reasoning = with_reasoning
        self.document_names: dict[str, int] = {}
        # Which tool an image came from: by the id of the call, as the hub has it.
        self.tools: dict[str, str] = {}

    def assistant(self, turn: Turn) -> wire.AssistantMessage:
        """Return an earlier reply; of its reasoning the last signed block, if it is wanted."""
        texts: list[str] = []
        uses: list[wire.ToolUse] = []
        reasoning: wire.ReasoningContent | None = None
        for block in turn.blocks:
            if isinstance(block, Text):
                texts.append(clean(block.text))
            elif isinstance(block, ToolUse):
                uses.append(self._tool_use(block))
            elif self.with_reasoning:
                reasoning = _reasoning(block) or reasoning
        response = wire.AssistantResponse("\n".join(texts), tuple(uses), reasoning)
        return wire.AssistantMessage(response)

    def _tool_use(self, use: ToolUse) -> wire.ToolUse:
        name = self.names.to_upstream(use.name)
        self.tools[use.id] = name
        settled = self.names.input_to_upstream(use.name, use.input)
        return wire.ToolUse(tool_id_to_upstream(use.id), name, settled)

    def user(
        self,
        turn: Turn,
        *,
        system: str = "",
        tools: tuple[wire.Tool, ...] = (),
        is_current: bool = False,
    ) -> wire.UserMessage:
        """Return a message of the user with `system` before its text.

        Raises:
            RequestError: the message is the current one and has a file that the upstream refuses.
        """
        writing = _UserWriting(self, is_current=is_current)
        for block in turn.blocks:
            writing.add(block)
        content = writing.content()
        context = None
        if writing.results or tools:
            context = wire.Context(tuple(writing.results), tools)
        return wire.UserMessage(
            wire.UserInput(
                content=f"{system}\n\n{content}" if system and content else system or content,
                model_id=self.model_id,
                origin=self.origin,
                user_input_message_context=context,
                images=tuple(writing.images),
                documents=tuple(writing.documents),
            )
        )


def _reasoning(block: Block) -> wire.ReasoningContent | None:
    """Return reasoning that the upstream can trust; None for what it did not sign or seal."""
    if isinstance(block, Thinking) and not is_blank(block.signature):
        signed = wire.ReasoningText(clean(block.text), clean(block.signature))
        return wire.ReasoningContent(reasoning_text=signed)
    if isinstance(block, RedactedThinking) and is_base64(block.data):
        return wire.ReasoningContent(redacted_content=block.data)
    return None


class _UserWriting:
    """One user message in the making; lives while it is made."""

    def __init__(self, messages: Messages, *, is_current: bool) -> None:
        self._messages = messages
        self._is_current = is_current
        self._texts: list[str] = []
        # Where each image came from, in the order of the images.
        self._sources: list[str] = []
        self.results: list[wire.ToolResult] = []
        self.images: list[wire.ImageBlock] = []
        self.documents: list[wire.DocumentBlock] = []

    def add(self, block: Block) -> None:
        """Take the next block of the turn."""
        if isinstance(block, Text):
            self._texts.append(clean(block.text))
        elif isinstance(block, ToolResult):
            self._add_result(block)
        elif isinstance(block, Image | Document):
            note = self._attach(block, _FROM_USER)
            if note:
                self._texts.append(note)

    def content(self) -> str:
        """Return the text: where images came from, if that needs telling, then what was said."""
        if len(self._sources) > 1 and any(s is not _FROM_USER for s in self._sources):
            told = "; ".join(f"{n} from {source}" for n, source in enumerate(self._sources, 1))
            return "\n".join([f"(images of this message, in order: {told})", *self._texts])
        if not self._texts and not self.results:
            # Files alone: the upstream wants a text beside them.
            files = [*["image"] * len(self.images), *["document"] * len(self.documents)]
            return f"(attached: {', '.join(files)})"
        return "\n".join(self._texts)

    def _add_result(self, result: ToolResult) -> None:
        name = self._messages.tools.get(result.tool_use_id, "")
        texts: list[str] = []
        for block in result.content:
            if not isinstance(block, Text):
                texts.append(self._attach(block, f"the result of {name}"))
            elif not is_blank(block.text):
                texts.append(clean(block.text))
        said = "\n".join(texts)
        if result.is_error:
            # The model does not see the status.
            said = f"{FAILED}\n{said}" if said else FAILED_SILENTLY
        self.results.append(
            wire.ToolResult(
                tool_use_id=tool_id_to_upstream(result.tool_use_id),
                content=(wire.TextContent(said or NO_OUTPUT),),
                status="error" if result.is_error else "success",
            )
        )

    def _attach(self, file: Image | Document, source: str) -> str:
        """Attach a file; return the words that stand for it, "" where none are needed."""
        if isinstance(file, Image):
            return self._attach_image(file, source)
        document = as_document(file, self._messages.document_names)
        if isinstance(document, Text):
            return clean(document.text)
        if isinstance(document, str):
            return self._refuse(f"The document {file.name!r}", document)
        if len(self.documents) == MAX_DOCUMENTS:
            why = f"one message can have {MAX_DOCUMENTS} documents"
            return self._refuse(f"The document {file.name!r}", why)
        self.documents.append(document)
        return "" if source is _FROM_USER else f"(document {document.name}: attached)"

    def _attach_image(self, file: Image, source: str) -> str:
        number = len(self.images) + 1
        image = as_image(file)
        if isinstance(image, str):
            return self._refuse(f"Image {number}", image)
        if number > MAX_IMAGES:
            return self._refuse(f"Image {number}", f"one message can have {MAX_IMAGES} images")
        self.images.append(image)
        self._sources.append(source)
        return "" if source is _FROM_USER else f"(image {number} of this message)"

    def _refuse(self, what: str, why: str) -> str:
        """Return a note for a file that the upstream would refuse.

        An old file never fails a later turn; a new one must not vanish behind the client's back.

        Raises:
            RequestError: the message is the current one.
        """
        if self._is_current:
            raise RequestError(
                f"{what} of the last message cannot be sent: {why}.", path="messages"
            )
        return f"({what} of this message is left out: {why})"
