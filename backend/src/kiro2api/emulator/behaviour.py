"""What a test can tell the emulated service to do with its next calls."""

from enum import StrEnum
from typing import Any

import msgspec

from kiro2api.emulator.errors_table import REFUSALS, SIGN_IN_REFUSALS, Form
from kiro2api.emulator.scenarios import SCENARIOS
from kiro2api.emulator.steps import Cut, Step
from kiro2api.errors import RequestError
from kiro2api.protocol.wire import json

EVENT_STREAM = "application/vnd.amazon.eventstream"
JSON_1_0 = "application/x-amz-json-1.0"


class Operation(StrEnum):
    """What a request asks of the service."""

    GENERATE = "generate"
    REFRESH = "refresh"
    MODELS = "models"
    USAGE = "usage"
    PROFILES = "profiles"
    PROFILE = "profile"
    REGISTER = "register"
    DEVICE = "device"
    AUTHORIZE = "authorize"
    LOGIN = "login"
    DISCOVER = "discover"
    UNKNOWN = "unknown"


# The operations of the sign-in services, which word their refusals in a way of their own.
SIGN_IN_OPERATIONS = frozenset(
    (
        Operation.REFRESH,
        Operation.REGISTER,
        Operation.DEVICE,
        Operation.AUTHORIZE,
        Operation.LOGIN,
        Operation.DISCOVER,
    )
)


class Fault(StrEnum):
    """What happens to the connection instead of an answer."""

    RESET = "reset"
    CLOSE = "close"
    HANG = "hang"


class Paced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stream of equal text frames at a steady pace, cheap for the emulator; 0 s is a burst."""

    events: int
    every_s: float = 0.0
    text: str = "token "


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instruction: which calls it is for, and what they get.

    Empty `account` and `model` mean any. The first `after` matching calls pass it by, the next
    `times` (0: all) get it. What is left empty is as ever: a `delay_s` alone makes a slow but
    good answer. Of `error`, `scenario`, `steps`, `paced`, `fault`, `body` and `body_text` at most
    one is given; `status` goes with the last two.
    """

    operation: Operation = Operation.GENERATE
    account: str = ""
    model: str = ""
    after: int = 0
    times: int = 1
    delay_s: float = 0.0
    # The head waits until the test opens the gate of that name.
    gate: str = ""
    error: str = ""
    form: Form | None = None
    status: int = 200
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: Any = None  # any JSON value
    body_text: str | None = None
    scenario: str = ""
    steps: list[Step] | None = None
    cut: Cut = Cut()
    # Of a stream; "" is that of the form of the call.
    content_type: str = ""
    paced: Paced | None = None
    fault: Fault | None = None


def parse_behaviours(body: bytes) -> list[Behaviour]:
    """Return the behaviours that a JSON object or array describes.

    Raises:
        RequestError: one of them is not well-formed; `path` says where.
    """
    value = json.decode(body)
    entries = value if isinstance(value, list) else [value]
    behaviours = [json.convert(entry, Behaviour) for entry in entries]
    for behaviour in behaviours:
        _check(behaviour)
    return behaviours


def _check(behaviour: Behaviour) -> None:
    answers = (
        behaviour.error,
        behaviour.scenario,
        behaviour.steps is not None,
        behaviour.paced,
        behaviour.fault,
        behaviour.body is not None,
        behaviour.body_text is not None,
    )
    if sum(1 for answer in answers if answer) > 1:
        raise RequestError("A behaviour has one answer, not several.")
    known = SIGN_IN_REFUSALS if behaviour.operation in SIGN_IN_OPERATIONS else REFUSALS
    if behaviour.error and behaviour.error not in known:
        raise RequestError(f"Unknown error {behaviour.error!r}.", path="error")
    if behaviour.scenario and behaviour.scenario not in SCENARIOS:
        raise RequestError(f"Unknown scenario {behaviour.scenario!r}.", path="scenario")


class Queue:
    """The behaviours that wait for their calls, first in first out; one per world."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def add(self, behaviour: Behaviour) -> None:
        """Append `behaviour`."""
        self._waiting.append(_Waiting(behaviour))

    def clear(self) -> None:
        """Forget all of them."""
        self._waiting.clear()

    def take(self, operation: Operation, *, account: str, model: str) -> Behaviour | None:
        """Return what the next call gets, and count it; None when nothing was queued for it."""
        for waiting in self._waiting:
            behaviour = waiting.behaviour
            matches = (
                behaviour.operation is operation
                and behaviour.account in ("", account)
                and behaviour.model in ("", model)
            )
            if not matches:
                continue
            if waiting.passing > 0:
                waiting.passing -= 1
                continue
            if behaviour.times > 0:
                waiting.left -= 1
                if waiting.left <= 0:
                    self._waiting.remove(waiting)
            return behaviour
        return None


class _Waiting:
    """One queued behaviour and how often it still applies."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.passing = behaviour.after
        self.left = behaviour.times
