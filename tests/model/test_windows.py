"""Windows of time: by cron, with clocks that are set; by two dates; and what is refused at load."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from remediator.model.windows import Window

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(**given: Any) -> Window:
    return Window.model_validate(given)


def until(one: Window, at: str) -> str | None:
    """Until when the window is open, in UTC; None while it is closed."""
    found = one.covers(utc(at))
    return found.until.strftime("%Y-%m-%d %H:%M") if found else None


def test_a_night_is_open_from_its_start_until_its_end_and_not_a_second_longer() -> None:
    night = window(start="0 22 * * *", lasts="8h", timezone=BERLIN)
    assert until(night, "2026-07-01 19:59:59") is None
    assert until(night, "2026-07-01 20:00:00") == "2026-07-02 04:00"
    assert until(night, "2026-07-02 03:59:59.999999") == "2026-07-02 04:00"
    assert until(night, "2026-07-02 04:00:00") is None


def test_windows_that_follow_at_once_are_one() -> None:
    weekend = window(start="0 0 * * sat,sun", lasts="1d")
    assert until(weekend, "2026-07-04 12:00") == "2026-07-06 00:00"
    assert until(weekend, "2026-07-06 00:00") is None
    always = window(start="* * * * *", lasts="2m")
    assert until(always, "2026-07-04 12:00:30") == "2026-07-04 13:06"  # as far as it is followed


@pytest.mark.parametrize(
    ("start", "lasts", "opens", "closes"),
    [
        # Clocks go from 02:00 CET to 03:00 CEST at 01:00 UTC on 2026-03-29.
        ("0 22 28 3 *", "8h", "2026-03-28 21:00", "2026-03-29 05:00"),  # 8 h by a stop-watch
        ("30 2 29 3 *", "1h", "2026-03-29 00:30", "2026-03-29 02:30"),  # does not exist: both ways
        ("0 1 29 3 *", "90m", "2026-03-29 00:00", "2026-03-29 01:30"),  # ends in the gap
        # Clocks go from 03:00 CEST to 02:00 CET at 01:00 UTC on 2026-10-25.
        ("0 22 24 10 *", "8h", "2026-10-24 20:00", "2026-10-25 05:00"),  # 06:00 by the clock
        ("0 2 25 10 *", "1h", "2026-10-25 00:00", "2026-10-25 02:00"),  # both hours
        ("15 2 25 10 *", "30m", "2026-10-25 00:15", "2026-10-25 01:45"),  # and between them
    ],
)
def test_where_clocks_are_set_a_window_covers_every_reading(
    start: str, lasts: str, opens: str, closes: str
) -> None:
    one = window(start=start, lasts=lasts, timezone=BERLIN)
    edge = timedelta(seconds=1)
    assert one.covers(utc(opens) - edge) is None
    assert until(one, opens) == closes
    covered = one.covers(utc(closes) - edge)
    assert covered is not None
    assert covered.until == utc(closes)
    assert one.covers(utc(closes)) is None


@given(
    at=st.datetimes(
        datetime(2026, 1, 1),  # noqa: DTZ001 - the bounds of a strategy
        datetime(2027, 12, 31),  # noqa: DTZ001 - likewise
        timezones=st.just(UTC),
    ),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
    hour=st.integers(0, 23),
    minute=st.sampled_from([0, 15, 30, 45]),
    lasts_m=st.integers(1, 3 * 24 * 60),
)
def test_a_window_is_open_whenever_the_wall_clock_or_a_stop_watch_says_so(
    at: datetime, zone: str, hour: int, minute: int, lasts_m: int
) -> None:
    lasts = timedelta(minutes=lasts_m)
    one = window(start=f"{minute} {hour} * * *", lasts=f"{lasts_m}m", timezone=zone)
    wall = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    by_wall = by_watch = False
    for days in range(-1, lasts.days + 2):
        starts = wall.replace(hour=hour, minute=minute, second=0, microsecond=0)
        starts -= timedelta(days=days)
        by_wall |= starts <= wall < starts + lasts
        for fold in (0, 1):
            begin = starts.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)
            by_watch |= begin <= at < begin + lasts
    open_now = one.covers(at)
    if by_wall or by_watch:
        assert open_now is not None
        assert open_now.until > at
    elif open_now is not None:
        # Only between the two readings of a time at which clocks are set.
        offsets = {
            (at + timedelta(hours=n)).astimezone(ZoneInfo(zone)).utcoffset() for n in (-3, 0, 3)
        }
        assert len(offsets) > 1


def test_dates_without_an_offset_are_read_in_the_zone() -> None:
    one = window(since="2026-12-24T12:00:00", until="2026-12-27T06:00:00+00:00", timezone=BERLIN)
    assert until(one, "2026-12-24 10:59:59") is None
    assert until(one, "2026-12-24 11:00:00") == "2026-12-27 06:00"
    assert until(one, "2026-12-27 06:00:00") is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"since": "2026-01-01T00:00", "until": "9999-12-31T23:59", "timezone": "America/Lima"},
            "the year 9999 is not within 1600 to 8999",
        ),
        ({}, "it has none of them"),
        ({"start": "0 9 * * *"}, "by start and lasts needs both"),
        ({"since": "2026-01-01T00:00:00"}, "by since and until needs both"),
        (
            {"start": "0 9 * * *", "lasts": "1h", "calendar": "x.ics"},
            "it has start and lasts beside calendar",
        ),
        ({"start": "0 9 * * * *", "lasts": "1h"}, "minute hour day month weekday"),
        ({"start": "0 25 * * *", "lasts": "1h"}, "bad hour"),
        ({"start": "0 0 31 2 *", "lasts": "1h"}, "bad day"),
        ({"start": "0 9 * * *", "lasts": "32d"}, "at most 31d"),
        ({"start": "0 9 * * *", "lasts": "0s"}, "over 0s"),
        ({"start": "0 9 * * *", "lasts": "1h", "timezone": "Mars"}, "write an IANA name"),
        ({"start": "0 9 * * *", "lasts": "1h", "timezone": "../x"}, "write an IANA name"),
        (
            {"since": "2026-01-02T00:00:00", "until": "2026-01-01T00:00:00"},
            "before it begins",
        ),
        ({"since": "2026-01-02", "until": "2026-01-03T00:00:00"}, "has no time of day"),
        ({"calendar": "nowhere.ics"}, "nowhere.ics: cannot read the calendar: No such file"),
    ],
)
def test_what_is_no_window_is_refused_with_a_sentence(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        window(**given)
    assert told in str(refused.value)
