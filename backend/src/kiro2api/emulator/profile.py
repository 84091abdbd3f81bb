"""What the emulated service demands: the checks by name, and the two profiles that choose them."""

from enum import StrEnum

import msgspec

KIB = 1024
MIB = 1024 * KIB


class ProfileName(StrEnum):
    """The service as it is today, and as it was."""

    RUNTIME_2026 = "runtime-2026"
    Q_2025 = "q-2025"


class Profile(msgspec.Struct, frozen=True):
    """One set of demands: which checks run, and the limits they use."""

    name: ProfileName
    rules: frozenset[str]
    max_body_bytes: int
    expired_text: str
    # The newer service names the reason of a malformed body; the older one says null.
    names_reasons: bool


ALWAYS = (
    *("R2", "R3", "R4", "R5", "R7", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"),
    *("R18", "R19", "R20", "R21", "R22", "R23", "R24", "R26", "R27", "R31", "R32"),
)
# R16 alternation, R17 tools for history; R9.required: an ARN in each call.
STRICT_ONLY = ("R9.required", "R12.assistant", "R16", "R17")
# R13.empty: empty arrays; R19.limit: long descriptions fail; R20.keywords: unwelcome schema words.
OLD_ONLY = ("R9.no_placeholder", "R13.empty", "R19.limit", "R20.keywords")

PROFILES = {
    ProfileName.RUNTIME_2026: Profile(
        name=ProfileName.RUNTIME_2026,
        rules=frozenset((*ALWAYS, *STRICT_ONLY)),
        max_body_bytes=32 * MIB,
        expired_text="Token expired",
        names_reasons=True,
    ),
    ProfileName.Q_2025: Profile(
        name=ProfileName.Q_2025,
        rules=frozenset((*ALWAYS, *OLD_ONLY)),
        max_body_bytes=600 * 1000,
        expired_text="The bearer token included in the request is invalid.",
        names_reasons=False,
    ),
}
KNOWN_RULES = frozenset((*ALWAYS, *STRICT_ONLY, *OLD_ONLY))


class Rules:
    """The demands in force: a profile plus the switches that tests have set; one per world."""

    def __init__(self, name: ProfileName) -> None:
        self.profile = PROFILES[name]
        self._switched: dict[str, bool] = {}

    def switch(self, rule: str, enabled: bool) -> None:
        """Turn one check on or off, whatever the profile says.

        Raises:
            KeyError: there is no such check.
        """
        if rule not in KNOWN_RULES:
            raise KeyError(rule)
        self._switched[rule] = enabled

    def chosen(self, rule: str) -> bool | None:
        """Tell how a test has set that check; None when it has not."""
        return self._switched.get(rule)

    def demands(self, rule: str) -> bool:
        """Tell whether the check of that name runs."""
        return self._switched.get(rule, rule in self.profile.rules)
