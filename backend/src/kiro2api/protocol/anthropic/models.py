"""The list of models as Anthropic's clients read it."""

from collections.abc import Sequence

from kiro2api.protocol.chat.answer import PublicModel
from kiro2api.protocol.wire.json import encode


def render_models(entries: Sequence[PublicModel]) -> bytes:
    """Return the whole list as one page."""
    return encode(
        {
            "data": [_model(entry) for entry in entries],
            "has_more": False,
            "first_id": entries[0].id if entries else None,
            "last_id": entries[-1].id if entries else None,
        }
    )


def render_model(entry: PublicModel) -> bytes:
    """Return one model."""
    return encode(_model(entry))


def _model(entry: PublicModel) -> dict[str, str]:
    return {
        "type": "model",
        "id": entry.id,
        "display_name": entry.display_name,
        "created_at": rfc3339(entry.created_s),
        "lifecycle": "active",
    }


def rfc3339(seconds: int) -> str:
    """Return a time since the epoch as UTC text; computed here, because the core has no clock.

    Source: the civil calendar counted in eras of 400 years that start on the first of March.
    """
    days, rest = divmod(seconds, 86_400)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = era * 400 + year_of_era + (1 if month <= 2 else 0)
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
