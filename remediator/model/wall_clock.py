"""What a wall clock says where clocks are set: once, twice or not at all. Pure.

One rule for every window: a local time that exists twice (autumn) or not at all (spring) is read
both ways and the window covers both readings; and it lasts until both its length has passed and the
wall clock shows its end. So it is never shorter than what is written, by the clock on the wall or
by a stop-watch.
"""

from datetime import UTC, datetime, timedelta, tzinfo

YEARS = range(1600, 9000)
"""Beyond these the arithmetic of dates overflows somewhere, and nobody plans a window."""


def span(starts: datetime, lasts: timedelta, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return from when to when (UTC) a window is open that starts at a wall clock."""
    first, last = _readings(starts, zone)
    return first, max(last + lasts, latest(starts + lasts, zone))


def earliest(wall: datetime, zone: tzinfo) -> datetime:
    """Return the earliest time that a wall clock may mean."""
    return _readings(wall, zone)[0]


def latest(wall: datetime, zone: tzinfo) -> datetime:
    """Return the latest time that a wall clock may mean."""
    return _readings(wall, zone)[1]


def _readings(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    one, other = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return min(one, other), max(one, other)
