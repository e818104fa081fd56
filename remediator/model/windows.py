"""Windows of time in which changes are limited: by cron, by two dates, or by a calendar file.

Evaluation is pure: a calendar is read and checked when the policy is loaded (`Window` reads its
file then, and no more), and a window is asked with the time passed in. Called by the policy's
validation and by the guardrails.

What clock changes do to a window is `wall_clock`'s to say.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from remediator.model import calendars, wall_clock
from remediator.model.calendars import Calendar
from remediator.model.quantities import Duration

_LONGEST = timedelta(days=31)
# The furthest that clocks were ever set in one go, and the time zones' span: no reading of a local
# time is further from another.
_SKEW = timedelta(hours=27)
# A window that the next one follows at once ends with that one; this many are followed.
_FOLLOWED = 64


@dataclass(frozen=True, slots=True)
class Cover:
    """A window is open: what it is called, and until when."""

    name: str
    until: datetime


def _point(value: object) -> object:
    """Refuse a date without a time of day, which says less than its writer meant."""
    if isinstance(value, datetime) or (
        isinstance(value, str) and len(value.strip()) > len("2026-12-24")
    ):
        return value
    raise ValueError(f"{value!s} has no time of day; write it like 2026-12-24T18:00:00")


def _within_reach(value: datetime) -> datetime:
    years = wall_clock.YEARS
    if value.year not in years:
        raise ValueError(f"the year {value.year} is not within {years[0]} to {years[-1]}")
    return value


Point = Annotated[datetime, BeforeValidator(_point), AfterValidator(_within_reach)]


class Window(BaseModel):
    """One window: `start` and `lasts`, or `since` and `until`, or `calendar`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = ""
    """What people call it; verdicts name it."""
    reason: str = ""
    """A sentence for people."""
    start: str | None = None
    """When it opens: a cron line of five fields, in `timezone`."""
    lasts: Duration | None = None
    """How long it stays open after `start`; at most 31d."""
    since: Point | None = None
    """When it opens, once; without an offset in `timezone`."""
    until: Point | None = None
    """When it closes, once."""
    calendar: Path | None = None
    """An iCalendar file: it is open while an event lasts."""
    timezone: str = "UTC"
    """An IANA name, Europe/Berlin; all-day and floating events of a calendar are read in it."""

    _read: Calendar | None = PrivateAttr(default=None)
    _file: Path | None = PrivateAttr(default=None)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        _zone(name)
        return name

    @field_validator("start")
    @classmethod
    def _cron_line(cls, line: str | None) -> str | None:
        if line is not None:
            _check_cron(line)
        return line

    @model_validator(mode="after")
    def _one_kind(self, info: ValidationInfo) -> "Window":
        kinds = (
            ("start and lasts", (self.start, self.lasts)),
            ("since and until", (self.since, self.until)),
            ("calendar", (self.calendar,)),
        )
        given = [what for what, values in kinds if any(value is not None for value in values)]
        if len(given) != 1:
            found = f"has {' beside '.join(given)}" if given else "has none of them"
            ways = "by start and lasts, by since and until, or by calendar"
            raise ValueError(f"a window is given {ways}; it {found}")
        halves = next(values for what, values in kinds if what == given[0])
        if any(value is None for value in halves):
            raise ValueError(f"a window by {given[0]} needs both")
        if self.lasts is not None and not timedelta() < self.lasts <= _LONGEST:
            raise ValueError("lasts must be over 0s and at most 31d")
        begin, end = self._ends()
        if begin is not None and end is not None and begin >= end:
            raise ValueError(f"the window ends at {self.until} before it begins at {self.since}")
        if self.calendar is not None:
            self._file = Path((info.context or {}).get("folder") or "") / self.calendar
            self._read = calendars.read(self._file, _zone(self.timezone))
        return self

    @property
    def file(self) -> tuple[Path, str] | None:
        """The calendar's file and the digest of what was read of it; None without a calendar."""
        if self._file is None or self._read is None:
            return None
        return self._file, self._read.digest

    @property
    def title(self) -> str:
        """How people call the window."""
        if self.name:
            return self.name
        if self.calendar is not None:
            return str(self.calendar)
        if self.start is not None:
            return f"{self.start} ({self.timezone})"
        return f"{self.since} to {self.until}"

    def covers(self, now: datetime) -> Cover | None:
        """Return until when the window is open, None while it is closed."""
        if self.start is not None and self.lasts is not None:
            until = _cron_end(self.start, self.lasts, self.timezone, now)
            return Cover(self.title, until) if until else None
        if self._read is not None:
            event = self._read.at(now)
            return Cover(f"{self.title}: {event.summary}", event.ends_at) if event else None
        begin, end = self._ends()
        if begin is not None and end is not None and begin <= now < end:
            return Cover(self.title, end)
        return None

    def _ends(self) -> tuple[datetime | None, datetime | None]:
        if self.since is None or self.until is None:
            return None, None
        zone = _zone(self.timezone)
        begin = self.since if self.since.tzinfo else wall_clock.earliest(self.since, zone)
        end = self.until if self.until.tzinfo else wall_clock.latest(self.until, zone)
        return begin.astimezone(UTC), end.astimezone(UTC)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is no time zone; write an IANA name like Europe/Berlin"
        ) from None


def _check_cron(line: str) -> None:
    if len(line.split()) != 5:
        raise ValueError(f"{line!r} is no cron line; write minute hour day month weekday")
    try:
        next(CronSim(line, datetime(2024, 1, 1)))  # noqa: DTZ001 - a wall clock, of any zone
    except CronSimError as error:
        raise ValueError(f"{line!r} is no cron line: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"{line!r} never comes") from None


def _cron_end(line: str, lasts: timedelta, zone_name: str, now: datetime) -> datetime | None:
    """Return when the window that is open now closes; those that follow at once are part of it."""
    zone = _zone(zone_name)
    wall = now.astimezone(zone).replace(tzinfo=None, microsecond=0)
    skew = _SKEW if _clocks_are_set(now - lasts - _SKEW, now + _SKEW, zone) else timedelta()
    for begins in CronSim(line, wall + skew + timedelta(seconds=1), reverse=True):
        if begins < wall - lasts - skew:
            return None
        begin, end = wall_clock.span(begins, lasts, zone)
        if begin <= now < end:
            return _followed(line, lasts, zone, begins, end)
    return None


def _followed(
    line: str, lasts: timedelta, zone: ZoneInfo, begins: datetime, end: datetime
) -> datetime:
    for _, following in zip(range(_FOLLOWED), CronSim(line, begins), strict=False):
        begin, closes = wall_clock.span(following, lasts, zone)
        if begin > end:
            break
        end = max(end, closes)
    return end


def _clocks_are_set(after: datetime, before: datetime, zone: ZoneInfo) -> bool:
    days = range((before - after).days + 2)
    offsets = {min(after + timedelta(days=n), before).astimezone(zone).utcoffset() for n in days}
    return len(offsets) > 1
