"""Times as the journal stores them: integer microseconds since 1970 UTC.

They index well, compare alike in every engine, and hold exactly what a datetime holds.
"""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(value: datetime) -> int:
    """Return microseconds since 1970 UTC.

    Raises:
        ValueError: `value` has no time zone.
    """
    if value.tzinfo is None:
        raise ValueError(f"the time {value.isoformat()} has no time zone")
    return (value - _EPOCH) // _MICROSECOND


def from_us(value: int) -> datetime:
    """Return the aware UTC time that `to_us` stored."""
    return _EPOCH + timedelta(microseconds=value)


def to_us_or_none(value: datetime | None) -> int | None:
    """Return microseconds, or None for no time."""
    return None if value is None else to_us(value)


def from_us_or_none(value: int | None) -> datetime | None:
    """Return the time, or None for none."""
    return None if value is None else from_us(value)
