"""Calendar files (iCalendar, RFC 5545) as windows of time: which event lasts at a given time?

A file is read, checked and bounded once (`read`); asking it afterwards is pure. Recurring events
(RRULE, RDATE, EXDATE, moved and cancelled occurrences), all-day events, floating times and
VTIMEZONE are understood; cancelled events and those that are marked free (TRANSP:TRANSPARENT)
count for nothing. What can't be understood is an error when the file is read, never an event left
out.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from icalendar import Calendar as Parsed
from icalendar import Event as ParsedEvent

from remediator.model import wall_clock

_MAX_BYTES = 1 << 20
_MAX_EVENTS = 2000
_MAX_RECURRING = 200
_MAX_COUNT = 10_000
# A rule with a COUNT is worked out when it is read, as far as this after its start.
_FARTHEST = timedelta(days=50 * 366)
_LONGEST = timedelta(days=366)
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_BY_TIME = ("BYHOUR", "BYMINUTE", "BYSECOND")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event, once."""

    summary: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class _Event:
    """An event as it stands in the file, in the zone that its times are meant in.

    `starts` is a wall clock in `zone`, as are the dates of `rule`, `more` and `never`.
    """

    summary: str
    starts: datetime
    lasts: timedelta
    zone: tzinfo
    rule: str
    more: tuple[datetime, ...]
    never: frozenset[datetime]

    def from_to(self, starts: datetime) -> Occurrence:
        """Return the occurrence that starts at a wall clock."""
        return Occurrence(self.summary, *wall_clock.span(starts, self.lasts, self.zone))


@dataclass(frozen=True)
class Calendar:
    """The events of one file, and the digest of its bytes."""

    events: tuple[_Event, ...]
    digest: str

    def at(self, now: datetime) -> Occurrence | None:
        """Return the event that lasts now, the one that ends last where there are several."""
        on = [o for o in _of_day(self, now.date()) if o.starts_at <= now < o.ends_at]
        return max(on, key=lambda o: o.ends_at, default=None)


def read(path: Path, zone: ZoneInfo) -> Calendar:
    """Read a calendar file.

    Raises:
        ValueError: it can't be read, is too large, or is no calendar that we understand.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot read the calendar: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise ValueError(f"{path}: the calendar is larger than {_MAX_BYTES} bytes")
    try:
        return parse(raw, zone)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def parse(raw: bytes, zone: ZoneInfo) -> Calendar:
    """Parse a calendar; times without a zone are read in `zone`.

    Raises:
        ValueError: it is none, or holds what we do not understand.
    """
    try:
        found = Parsed.from_ical(raw.decode("utf-8"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no iCalendar file: {error}") from None
    parsed = [one for one in found.walk("VEVENT") if isinstance(one, ParsedEvent)]
    if found.name != "VCALENDAR":
        raise ValueError("this is no iCalendar file: it does not begin with BEGIN:VCALENDAR")
    if len(parsed) > _MAX_EVENTS:
        raise ValueError(f"the calendar has {len(parsed)} events; at most {_MAX_EVENTS} are taken")
    events = _events(parsed, zone)
    recurring = sum(1 for event in events if event.rule)
    if recurring > _MAX_RECURRING:
        raise ValueError(f"{recurring} events recur; at most {_MAX_RECURRING} are taken")
    return Calendar(tuple(events), hashlib.sha256(raw).hexdigest())


def _events(parsed: Sequence[ParsedEvent], zone: ZoneInfo) -> list[_Event]:
    masters: list[tuple[str, _Event]] = []
    moved: dict[str, set[datetime]] = {}
    for one in parsed:
        title = str(one.get("SUMMARY", "")) or "an event without a name"
        try:
            if one.errors:
                raise ValueError(f"{one.errors[0][0]}: {one.errors[0][1]}")
            event = _event(one, title, zone)
            instead = _only(one, "RECURRENCE-ID")
            if instead is not None:
                if "RANGE" in instead.params:
                    raise ValueError("RANGE=THISANDFUTURE is not understood; split the event")
                wall = _start(instead, zone)[0]
                moved.setdefault(str(one.get("UID", "")), set()).add(wall)
        except ValueError as error:
            raise ValueError(f"event {title!r}: {error}") from None
        if event is None:
            continue
        masters.append(("" if instead is not None else str(one.get("UID", "")), event))
    return [
        _Event(**{**vars(event), "never": event.never | moved.get(uid, set())}) if uid else event
        for uid, event in masters
    ]


def _event(one: ParsedEvent, title: str, zone: ZoneInfo) -> _Event | None:
    """Return the event; None for one that counts for nothing."""
    given = _only(one, "DTSTART")
    if given is None:
        raise ValueError("it has no DTSTART")
    starts, own_zone = _start(given, zone)
    if starts.year not in wall_clock.YEARS:
        raise ValueError(f"it starts in the year {starts.year}")
    end, duration = _only(one, "DTEND"), _only(one, "DURATION")
    all_day = not isinstance(given.dt, datetime)
    if end is not None:
        closes, end_zone = _start(end, zone)
        if end_zone is not own_zone and str(end_zone) != str(own_zone):
            closes = closes.replace(tzinfo=end_zone).astimezone(own_zone).replace(tzinfo=None)
        lasts = closes - starts
    elif duration is not None:
        lasts = duration.dt
    else:
        lasts = timedelta(days=1) if all_day else timedelta()
    if not timedelta() <= lasts <= _LONGEST:
        raise ValueError("it ends before it starts, or lasts longer than a year")
    rule, counted = _rule(one, starts, own_zone)
    event = _Event(
        summary=title,
        starts=starts,
        lasts=lasts,
        zone=own_zone,
        rule=rule,
        more=(*counted, *_dates(one, "RDATE", zone)),
        never=frozenset(_dates(one, "EXDATE", zone)),
    )
    cancelled = str(one.get("STATUS", "")).upper() == "CANCELLED"
    free = str(one.get("TRANSP", "")).upper() == "TRANSPARENT"
    return None if cancelled or free else event


def _rule(one: ParsedEvent, starts: datetime, zone: tzinfo) -> tuple[str, Sequence[datetime]]:
    """Return the event's rule without an end by COUNT, and what a COUNT comes to."""
    given = one.get("RRULE")
    if given is None:
        return "", ()
    if isinstance(given, list):
        raise ValueError("it has more than one RRULE")
    parts = dict(given)
    frequency = str(parts.get("FREQ", [""])[0]).upper()
    if frequency not in _FREQUENCIES:
        raise ValueError(f"it recurs {frequency or 'without FREQ'}; DAILY is the finest")
    _refuse_what_takes_long(frequency, parts)
    count, until = parts.pop("COUNT", None), parts.pop("UNTIL", None)
    if int(parts.get("INTERVAL", [1])[0]) < 1:
        raise ValueError("its RRULE has an INTERVAL below 1")  # it would never come to an end
    text = type(given)(parts).to_ical().decode()
    if until:
        last = _until(until[0], zone)
        text = f"{text};UNTIL={last.year:04}{last:%m%dT%H%M%S}"
    try:
        rule: Any = rrulestr(text, dtstart=starts)
    except (ValueError, TypeError) as error:
        raise ValueError(f"its RRULE is not understood: {error}") from None
    if frequency in ("MONTHLY", "YEARLY") and next(iter(rule), None) is None:
        raise ValueError("its RRULE never comes")
    if count is None:
        return text, ()
    if count[0] > _MAX_COUNT:
        raise ValueError(f"it recurs {count[0]} times; at most {_MAX_COUNT} are taken")
    return "", tuple(islice(rule.replace(until=starts + _FARTHEST), count[0]))


def _refuse_what_takes_long(frequency: str, parts: Mapping[str, Any]) -> None:
    """Refuse rules that may never come, since to find that out every day up to the year 9999 would
    be looked at; and those that come every minute."""
    by = {name for name in parts if name.startswith("BY") and name not in _BY_TIME}
    if frequency in ("DAILY", "WEEKLY"):
        allowed = {"BYDAY", "BYMONTH"}
        if int(parts.get("INTERVAL", [1])[0]) > 1:
            allowed = {"BYDAY"} if frequency == "WEEKLY" else set()
        if by - allowed:
            raise ValueError(
                f"a rule that is {frequency} with {', '.join(sorted(by - allowed))} is not taken; "
                "write it MONTHLY or YEARLY"
            )
    if any(len(parts.get(name, ())) > 1 for name in ("BYMINUTE", "BYSECOND")):
        raise ValueError("it recurs within the hour; DAILY is the finest")


def _until(last: date | datetime, zone: tzinfo) -> datetime:
    """Return UNTIL, which is in UTC where the start has a zone, by the wall clock."""
    if not isinstance(last, datetime):
        return datetime.combine(last, datetime.max.time())
    try:
        return last.astimezone(zone).replace(tzinfo=None) if last.tzinfo else last
    except OverflowError:  # at the end of all years, as some programs write «for ever»
        return last.replace(tzinfo=None)


def _dates(one: ParsedEvent, name: str, zone: ZoneInfo) -> Iterator[datetime]:
    given = one.get(name)
    for line in given if isinstance(given, list) else [given] if given is not None else []:
        for value in line.dts:
            if isinstance(value.dt, tuple):
                raise ValueError(f"{name} by periods is not understood; write dates")
            yield _wall(value.dt, zone, line.params.get("TZID"))[0]


@lru_cache(maxsize=64)
def _of_day(calendar: Calendar, day: date) -> tuple[Occurrence, ...]:
    """Return what touches a day (UTC)."""
    begin = datetime.combine(day, datetime.min.time(), UTC)
    end = begin + timedelta(days=1)
    found = []
    for event in calendar.events:
        for starts in _starts(event, begin, end):
            occurrence = event.from_to(starts)
            if occurrence.starts_at < end and occurrence.ends_at > begin:
                found.append(occurrence)
    return tuple(found)


def _starts(event: _Event, begin: datetime, end: datetime) -> Iterator[datetime]:
    skew = timedelta(days=2)  # more than any zone is from UTC, clock changes included
    earliest = begin.replace(tzinfo=None) - event.lasts - skew
    latest = end.replace(tzinfo=None) + skew
    every = [event.starts, *event.more]
    if event.rule:
        every += _recurring(event, earliest, latest)
    for starts in dict.fromkeys(every):
        if earliest <= starts <= latest and starts not in event.never:
            yield starts


def _recurring(event: _Event, earliest: datetime, latest: datetime) -> Sequence[datetime]:
    rule: Any = rrulestr(event.rule, dtstart=event.starts)
    # Years of days before the one that is asked about need not be gone through one by one.
    step = {3: timedelta(days=1), 2: timedelta(weeks=1)}.get(rule._freq)
    if step and earliest > event.starts:
        step *= rule._interval
        rule = rule.replace(dtstart=event.starts + (earliest - event.starts) // step * step)
    # Without an end a rule that never comes would be followed to the end of all years.
    end = latest if rule._until is None else min(rule._until, latest)
    return list(rule.replace(until=end).between(earliest, latest, inc=True))


def _only(one: ParsedEvent, name: str) -> Any:
    """Return a property that an event has at most once, None where it has none."""
    given = one.get(name)
    if isinstance(given, list):
        raise ValueError(f"it has more than one {name}")
    return given


def _start(given: Any, zone: ZoneInfo) -> tuple[datetime, tzinfo]:
    return _wall(given.dt, zone, given.params.get("TZID"))


def _wall(value: Any, zone: ZoneInfo, named: str | None) -> tuple[datetime, tzinfo]:
    """Return a date or time as a wall clock, and the zone of that wall.

    Args:
        named: the zone that the file names; one that nobody knows must not be read as another.
    """
    if not isinstance(value, date):
        raise ValueError("it has a time that is neither a date nor a date with a time")
    if not isinstance(value, datetime):
        return datetime.combine(value, datetime.min.time()), zone
    if value.tzinfo is None:
        if named:
            raise ValueError(f"nobody knows the time zone {named!r}, and the file does not say it")
        return value, zone
    return value.replace(tzinfo=None), value.tzinfo
