"""Aware UTC times. Time is passed in everywhere; only a `Clock` reads it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """Something that is due later."""

    def cancel(self) -> object:
        """Do not let it come; harmless when it has come."""
        ...


class Clock(Protocol):
    """Where the time comes from; tests pass one that they move by hand."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call back in the event loop in `seconds`; cheaper than a task that sleeps."""
        ...


def aware(value: datetime) -> datetime:
    """Return `value` in UTC.

    Raises:
        ValueError: `value` has no time zone; guessing one would shift limits by hours.
    """
    if value.tzinfo is None:
        raise ValueError(f"the time {value.isoformat()} has no time zone")
    return value.astimezone(UTC)


def to_text(value: datetime) -> str:
    """Return RFC 3339 in UTC with microseconds; sorts as text in the order of time."""
    # Nearly every time is in UTC already, and this is done with every alert.
    utc = value if value.tzinfo is UTC else aware(value)
    return utc.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def to_minute(value: datetime) -> str:
    """Return a time as a sentence for people says it: `2026-11-24 15:41 UTC`."""
    return f"{aware(value):%Y-%m-%d %H:%M} UTC"


def from_text(value: str) -> datetime:
    """Parse what `to_text` wrote, or any RFC 3339 time.

    Raises:
        ValueError: it is no time, or has no zone.
    """
    return aware(datetime.fromisoformat(value))
