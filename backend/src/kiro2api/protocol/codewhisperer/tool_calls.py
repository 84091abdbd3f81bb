"""Tool calls held until they are whole: a half call must never look complete."""

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.wire.json import decode, encode, repair_surrogates


class ToolFragment(msgspec.Struct, rename="camel", gc=False):
    """The payload of one tool event, as loose as the hosts are."""

    tool_use_id: str | None = None
    name: str | None = None
    # A string in every model, an object on some hosts.
    input: object = None
    # Only a true boolean stops a call: hosts have been seen to send strings.
    stop: object = None


class WholeCall(msgspec.Struct, frozen=True, gc=False):
    """A call that may run: `name` is the upstream's, `json` its input as received, an object."""

    id: str
    name: str
    json: str


class _Held:
    """A call under way; lives from its first fragment to its stop."""

    __slots__ = ("is_broken", "name", "pieces")

    def __init__(self) -> None:
        self.name = ""
        self.pieces: list[str] = []
        self.is_broken = False


class HeldCalls:
    """The tool calls of one reply, kept apart by id; lives as long as the reader that owns it.

    `whole` counts the calls that came complete; `is_broken` tells that one was lost.
    """

    def __init__(self) -> None:
        self.whole = 0
        self.is_broken = False
        self._held: dict[str, _Held] = {}
        self._finished: set[str] = set()

    @property
    def has_open(self) -> bool:
        """Tell whether a call still waits for its stop."""
        return bool(self._held)

    def add(self, fragment: ToolFragment) -> WholeCall | None:
        """Take the next fragment; return the call that it completes."""
        call_id = fragment.tool_use_id
        if not call_id or call_id in self._finished:
            # Nobody knows whose input this is, and a finished call cannot grow.
            self.is_broken = True
            return None
        held = self._held.get(call_id)
        if held is None:
            held = self._held[call_id] = _Held()
        if fragment.name and fragment.name != held.name:
            held.is_broken = held.is_broken or bool(held.name)
            held.name = held.name or fragment.name
        if isinstance(fragment.input, str):
            held.pieces.append(fragment.input)
        elif fragment.input is not None:
            held.pieces.append(encode(fragment.input).decode())
        return self._stop(call_id, held) if fragment.stop is True else None

    def _stop(self, call_id: str, held: _Held) -> WholeCall | None:
        del self._held[call_id]
        self._finished.add(call_id)
        text = _object_text("".join(held.pieces))
        if held.is_broken or not held.name or text is None:
            self.is_broken = True
            return None
        self.whole += 1
        return WholeCall(call_id, held.name, text)


def _object_text(text: str) -> str | None:
    """Return `text` if it spells a JSON object, to the byte; None when it does not.

    Nothing at all is a call without arguments. Only halves of surrogate pairs are replaced, which
    strict readers would take for broken JSON.
    """
    if not text or text.isspace():
        return "{}"
    try:
        value = decode(text)
    except RequestError:
        return None
    if not isinstance(value, dict):
        return None
    if "\\u" not in text:
        return text
    repaired = repair_surrogates(text)
    return text if repaired is None else repaired.decode()
