"""Profiles: what a login may work under, as the control plane lists it.

Source: docs/reference/upstream.md, profiles, control plane.
"""

from collections.abc import Mapping

import msgspec

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.loose import as_object, as_objects, as_text, read_object

# What a profile says while it can be used; one that says nothing is believed to be usable.
_USABLE = frozenset({"", "ACTIVE", "UPDATING", "UPDATE_FAILED"})


class Profile(msgspec.Struct, frozen=True):
    """One profile; `name` is for people, `status` the service's word ("" when it gives none)."""

    arn: str
    name: str = ""
    status: str = ""

    @property
    def is_usable(self) -> bool:
        """Tell whether generation can be asked for under it now."""
        return self.status in _USABLE


class ProfilePage(msgspec.Struct, frozen=True):
    """One page of a login's profiles; `next_token` is "" on the last one."""

    profiles: tuple[Profile, ...]
    next_token: str = ""


def read_profiles(body: bytes) -> ProfilePage:
    """Return the page of profiles in `body`; none at all is an answer.

    Raises:
        UpstreamError: `OVERLOADED`, the body is no JSON object.
    """
    document = read_object(body)
    if document is None:
        raise UpstreamError(FaultKind.OVERLOADED, "the list of profiles is no JSON object")
    found = [_profile(entry) for entry in as_objects(document.get("profiles"))]
    return ProfilePage(
        tuple(profile for profile in found if profile.arn), as_text(document.get("nextToken"))
    )


def read_profile(body: bytes) -> Profile:
    """Return the one profile in `body`, whichever of its two shapes it has.

    Raises:
        UpstreamError: `OVERLOADED`, there is no profile in it.
    """
    document = read_object(body) or {}
    profile = _profile(as_object(document.get("profile")) or document)
    if not profile.arn:
        raise UpstreamError(FaultKind.OVERLOADED, "the answer names no profile")
    return profile


def _profile(entry: Mapping[str, object]) -> Profile:
    arn = as_text(entry.get("arn"))
    return Profile(
        # It is sent on in bodies and query strings, and nothing but an ARN is one.
        arn if arn.startswith("arn:") and arn.isascii() and arn.isprintable() else "",
        as_text(entry.get("profileName")),
        as_text(entry.get("status")).upper(),
    )
