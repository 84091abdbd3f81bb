"""Upstream texts without secrets and without personal data, fit for clients and logs."""

import re

_MASK = "***"
# Longest shapes first: an ARN holds an account id, a bearer may be a JWT. The bounds keep a search
# through a long hostile text linear.
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bbearer\s+(?=\S*\d|\S{16})[^\s\"'<>,;]+", re.IGNORECASE), f"Bearer {_MASK}"),
    (re.compile(r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}"), _MASK),
    (re.compile(r"\bao[ar][\w+/=.:-]{8,}"), _MASK),
    (re.compile(r"\bksk_[\w-]+"), f"ksk_{_MASK}"),
    # Secrets of external providers have no shape of their own: their names give them away.
    (
        re.compile(
            r"\b((?:access|refresh|id)[_ ]?token|client[_ ]?secret|device[_ ]?code|code[_ ]?verifier)"
            r"(\s*[=:]\s*|[\"']\s*:\s*)[\"']?[^\s\"'&,;]{16,}",
            re.IGNORECASE,
        ),
        rf"\1\2{_MASK}",
    ),
    (re.compile(r"\barn:[\w-]*:[^\s\"'<>,;)\]}]+"), f"arn:{_MASK}"),
    (re.compile(r"\b(user id\s*)\([^)]*\)", re.IGNORECASE), rf"\1({_MASK})"),
    (re.compile(r"\b(user id\s*[:=]\s*)[^\s,;]+", re.IGNORECASE), rf"\1{_MASK}"),
    (re.compile(r"\bd-[0-9a-f]{10}\.[\w-]+"), _MASK),
    (re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), _MASK),
    (re.compile(r"(?<!\d)\d{12}(?!\d)"), _MASK),
)


def mask(text: str) -> str:
    """Return `text` with tokens, keys, ARNs, account and user ids and e-mail addresses masked."""
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def mask_email(address: str) -> str:
    """Return an e-mail address so that its owner knows it again and nobody else learns it."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}{_MASK}@{domain}" if at else _MASK if address else ""
