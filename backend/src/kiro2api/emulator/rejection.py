"""What a check says when it refuses a request."""

import msgspec

INVALID = "REQUEST_BODY_INVALID"


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Why the service refuses a request.

    `structural`: the body is malformed, as opposed to a good one that cannot be served.
    """

    message: str
    reason: str | None
    status: int = 400
    structural: bool = True
    # The name of the check, set by whoever ran it.
    rule: str = ""


def malformed(message: str, *, reason: str = INVALID) -> Rejection:
    """Return the refusal of a malformed body."""
    return Rejection(message=f"Improperly formed request. {message}", reason=reason)


def constraint(path: str, rule: str) -> Rejection:
    """Return the refusal in the words of the service's own framework."""
    where = path.replace(".", "/")
    message = (
        f"1 validation error detected. Value at '{where}' failed to satisfy constraint: {rule}"
    )
    return Rejection(message=message, reason=None)
