"""When a quota renews, from the wall clock alone."""

from datetime import UTC, datetime, timedelta


def next_month_utc(wall_s: float) -> float:
    """Return the first second of the next month, UTC, in seconds since the epoch."""
    now = datetime.fromtimestamp(wall_s, UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1).timestamp()


def next_midnight_utc(wall_s: float) -> float:
    """Return the first second of the next day, UTC, in seconds since the epoch."""
    now = datetime.fromtimestamp(wall_s, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight + timedelta(days=1)).timestamp()


def next_monday_utc(wall_s: float) -> float:
    """Return the first second of the next week, UTC, in seconds since the epoch."""
    midnight = datetime.fromtimestamp(next_midnight_utc(wall_s), UTC)
    return (midnight + timedelta(days=(7 - midnight.weekday()) % 7)).timestamp()


def quota_reset(code: str, wall: float, *, told: float | None = None) -> float:
    """Return the wall time at which the quota named by `code` renews; months by default.

    `told` is when the upstream has said that the credits of the account renew, None if it has not:
    its months begin on any day.
    """
    if code.startswith("DAILY"):
        return next_midnight_utc(wall)
    if code.startswith("WEEKLY"):
        return next_monday_utc(wall)
    if told is not None and told > wall:
        return told
    return next_month_utc(wall)
