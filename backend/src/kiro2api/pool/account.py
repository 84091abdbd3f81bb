"""An account as the pool sees it: its condition, and nothing secret."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from kiro2api.errors import FaultKind


class Standing(StrEnum):
    """What an account is good for now."""

    READY = "ready"
    COOLING = "cooling"
    DRAINED = "drained"
    NEEDS_LOGIN = "needs_login"
    SUSPENDED = "suspended"
    NOT_ENTITLED = "not_entitled"


class ModelRefusal(msgspec.Struct, frozen=True):
    """A model that this account cannot use until `until`, since when, and why."""

    until: float
    reason: str
    kind: FaultKind = FaultKind.MODEL_UNAVAILABLE
    since: float = 0.0


class Condition(msgspec.Struct, frozen=True):
    """What has happened to an account and how long it lasts.

    `until` is when a standing ends by itself, None when only a person ends it. `strikes` counts
    the rate limits in a row, `soft_strikes` the host-shaped faults in a row; what happens within a
    rest counts no more. `soft_until` is a short cooling that never removes the last usable account.
    All times are of one clock, in seconds.
    """

    standing: Standing = Standing.READY
    reason: str = ""
    since: float = 0.0
    until: float | None = None
    strikes: int = 0
    soft_strikes: int = 0
    soft_until: float = 0.0
    models: Mapping[str, ModelRefusal] = {}


class Account(msgspec.Struct, frozen=True):
    """One account in its place: `position` is the configured order, `enabled` the person's wish.

    `soft_cap` is the number of requests in flight above which others are preferred, 0 for none.
    `credits` is what is left of its quota, None when nobody knows.
    """

    id: str
    name: str
    group: str
    position: int
    enabled: bool = True
    condition: Condition = Condition()
    in_flight: int = 0
    soft_cap: int = 0
    credits: float | None = None
