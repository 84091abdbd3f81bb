"""The one JSON door: strict and fast decoding that forgives what real clients get wrong.

Everything in the program that reads or writes JSON goes through here.
"""

import re
from typing import Any, TypeVar, overload

import msgspec

from kiro2api.errors import RequestError

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
# Half of a surrogate pair, escaped: half an emoji cut by a client that counts UTF-16 units.
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_HIGH = re.compile(_HIGH + rb"(?!" + _LOW + rb")")
_LONE_LOW = re.compile(rb"(?<!" + _HIGH + rb")" + _LOW)
# CESU-8: the same halves as raw bytes.
_RAW_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
# As templates of a substitution: without groups, so that no Python runs for each match.
_REPLACEMENT = rb"\\ufffd"
# What escaped backslashes are hidden behind, so that `\\\\ud83d` is not taken for an escape: no JSON
# has it.
_HIDDEN = b"\0\0"


def encode(value: object) -> bytes:
    """Return `value` as compact UTF-8 JSON; Structs, tuples and `Raw` are welcome."""
    return _encoder.encode(value)


def raw(value: object) -> msgspec.Raw:
    """Return decoded JSON as unopened JSON again.

    Raises:
        RequestError: it is nested too deeply to be written where we stand.
    """
    try:
        return msgspec.Raw(_encoder.encode(value))
    except RecursionError:
        raise _too_deep() from None


@overload
def decode(
    data: bytes | str | msgspec.Raw,
) -> Any: ...  # JSON is untyped until it is looked at
@overload
def decode(data: bytes | str | msgspec.Raw, type: type[T]) -> T: ...
def decode(data: bytes | str | msgspec.Raw, type: Any = None) -> Any:  # untyped, as above
    """Return the value that `data` spells, converted to `type` when one is given.

    Lone surrogates become U+FFFD in a second pass that runs only after a failure. What is decoded
    into `Raw` is not looked into: text in it is neither checked nor repaired before it is opened.

    Raises:
        RequestError: no JSON, not UTF-8, nested too deep, or not of `type`; `path` says where.
    """
    wanted = Any if type is None else type
    try:
        return msgspec.json.decode(data, type=wanted)
    except (msgspec.DecodeError, UnicodeError) as first:
        if isinstance(first, msgspec.ValidationError):
            raise _as_request_error(first) from None
        repaired = repair_surrogates(data)
        if repaired is None:
            raise _as_request_error(first) from None
    except RecursionError:
        raise _too_deep() from None
    try:
        return msgspec.json.decode(repaired, type=wanted)
    except (msgspec.DecodeError, UnicodeError) as second:
        raise _as_request_error(second) from None
    except RecursionError:
        raise _too_deep() from None


def repair_surrogates(data: bytes | str | msgspec.Raw) -> bytes | None:
    """Return `data` with each lone surrogate replaced by U+FFFD; None when there is none."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    repaired = raw
    if b"\0" not in raw:
        hidden = raw.replace(rb"\\", _HIDDEN)
        hidden = _LONE_HIGH.sub(_REPLACEMENT, hidden)
        hidden = _LONE_LOW.sub(_REPLACEMENT, hidden)
        repaired = hidden.replace(_HIDDEN, rb"\\")
    if _RAW_HALF.search(repaired):
        repaired = _repair_raw_halves(repaired)
    return None if repaired == raw else repaired


def _repair_raw_halves(raw: bytes) -> bytes:
    """Return CESU-8 as UTF-8: whole pairs joined, halves replaced; the same when it is neither."""
    try:
        text = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def convert(value: object, type: type[T], *, path: str = "") -> T:
    """Return the decoded `value` as `type`; numbers like 100.0 pass for integers.

    Raises:
        RequestError: it does not fit; the path starts with `path`.
    """
    try:
        return msgspec.convert(value, type, strict=False)
    except msgspec.ValidationError as error:
        raise _as_request_error(error, prefix=path) from None


def _too_deep() -> RequestError:
    return RequestError("The JSON is nested too deeply.", code="json_too_deep")


def _as_request_error(error: Exception, *, prefix: str = "") -> RequestError:
    text = str(error)
    message, _, where = text.partition(" - at `")
    path = prefix + where.rstrip("`").removeprefix("$") if where else prefix
    if isinstance(error, msgspec.ValidationError):
        return RequestError(message, path=path.removeprefix("."))
    return RequestError(f"The body is not valid JSON: {message}.", code="invalid_json")
