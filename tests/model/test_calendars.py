"""Calendar files: what RFC 5545 lets people write, how clocks that are set are read, the bounds."""

import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from remediator.model import calendars
from remediator.model.windows import Window

BERLIN = ZoneInfo("Europe/Berlin")


def ics(*events: str, before: str = "") -> bytes:
    inside = "\n".join(f"BEGIN:VEVENT\nUID:u{n}\n{e}\nEND:VEVENT" for n, e in enumerate(events))
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{before}\n{inside}\nEND:VCALENDAR\n"
    return "\r\n".join(line for line in text.splitlines() if line).encode() + b"\r\n"


def open_at(raw: bytes, *times: str, zone: ZoneInfo = BERLIN) -> list[str]:
    """What lasts at these times (UTC), with its end; empty where nothing does."""
    calendar = calendars.parse(raw, zone)
    found = []
    for at in times:
        event = calendar.at(datetime.fromisoformat(at).replace(tzinfo=UTC))
        found.append(f"{event.summary} until {event.ends_at:%d %H:%M}" if event else "")
    return found


def test_one_event_with_a_zone() -> None:
    raw = ics("SUMMARY:Release\nDTSTART;TZID=Europe/Berlin:20260701T120000\nDURATION:PT2H")
    assert open_at(raw, "2026-07-01 09:59", "2026-07-01 10:00", "2026-07-01 12:00") == [
        "",
        "Release until 01 12:00",
        "",
    ]


def test_all_day_events_are_days_of_the_windows_zone() -> None:
    raw = ics("SUMMARY:Holiday\nDTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227")
    assert open_at(raw, "2026-12-24 22:59", "2026-12-24 23:00", "2026-12-26 22:59") == [
        "",
        "Holiday until 26 23:00",
        "Holiday until 26 23:00",
    ]
    assert open_at(raw, "2026-12-24 23:00", zone=ZoneInfo("America/New_York")) == [""]
    # On the day on which clocks go back it is 25 hours long.
    long = ics("SUMMARY:Long\nDTSTART;VALUE=DATE:20261025")
    assert open_at(long, "2026-10-24 22:00", "2026-10-25 22:59", "2026-10-25 23:00") == [
        "Long until 25 23:00",
        "Long until 25 23:00",
        "",
    ]


def test_recurring_events_follow_the_wall_clock_with_exceptions() -> None:
    raw = ics(
        "SUMMARY:Weekly\nDTSTART;TZID=Europe/Berlin:20260301T220000\n"
        "DTEND;TZID=Europe/Berlin:20260302T060000\nRRULE:FREQ=WEEKLY;BYDAY=SU\n"
        "EXDATE;TZID=Europe/Berlin:20260308T220000"
    )
    assert open_at(raw, "2026-03-01 21:00", "2026-03-08 21:30", "2026-03-15 21:00") == [
        "Weekly until 02 05:00",
        "",
        "Weekly until 16 05:00",
    ]
    # After the clocks were set, 22:00 is 20:00 UTC.
    assert open_at(raw, "2026-04-05 19:59", "2026-04-05 20:00") == ["", "Weekly until 06 04:00"]
    # Years later, and asked about in any order.
    assert open_at(raw, "2036-03-02 21:00", "2026-03-01 20:59") == ["Weekly until 03 05:00", ""]


def test_a_moved_and_a_cancelled_occurrence() -> None:
    raw = ics(
        "SUMMARY:Daily\nDTSTART:20260701T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=5",
    ).replace(
        b"END:VCALENDAR",
        b"BEGIN:VEVENT\r\nUID:u0\r\nRECURRENCE-ID:20260702T100000Z\r\nSUMMARY:Moved\r\n"
        b"DTSTART:20260702T150000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\n"
        b"BEGIN:VEVENT\r\nUID:u0\r\nRECURRENCE-ID:20260703T100000Z\r\nSTATUS:CANCELLED\r\n"
        b"DTSTART:20260703T100000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR",
    )
    times = [f"2026-07-0{day} {hour}:30" for day in range(1, 7) for hour in (10, 15)]
    assert [found.split(" ")[0] for found in open_at(raw, *times)] == [
        *("Daily", ""),
        *("", "Moved"),
        *("", ""),
        *("Daily", ""),
        *("Daily", ""),
        *("", ""),
    ]


def test_more_dates_and_an_end_of_the_rule_in_utc() -> None:
    raw = ics(
        "SUMMARY:Rule\nDTSTART;TZID=Europe/Berlin:20260701T120000\nDURATION:PT30M\n"
        "RRULE:FREQ=DAILY;UNTIL=20260703T100000Z\nRDATE;TZID=Europe/Berlin:20260710T120000"
    )
    days = ["2026-07-01", "2026-07-03", "2026-07-04", "2026-07-10"]
    assert [bool(found) for found in open_at(raw, *(f"{day} 10:15" for day in days))] == [
        True,
        True,
        False,
        True,
    ]


def test_a_zone_that_the_file_brings_along() -> None:
    zone = (
        "BEGIN:VTIMEZONE\nTZID:Office\nBEGIN:STANDARD\nDTSTART:19700101T000000\n"
        "TZOFFSETFROM:+0300\nTZOFFSETTO:+0300\nTZNAME:OFF\nEND:STANDARD\nEND:VTIMEZONE"
    )
    raw = ics("SUMMARY:Own\nDTSTART;TZID=Office:20260701T120000\nDURATION:PT1H", before=zone)
    assert open_at(raw, "2026-07-01 08:59", "2026-07-01 09:00") == ["", "Own until 01 10:00"]


def test_the_event_that_ends_last_is_named_and_free_ones_count_for_nothing() -> None:
    raw = ics(
        "SUMMARY:Short\nDTSTART:20260701T100000Z\nDURATION:PT1H",
        "SUMMARY:Long\nDTSTART:20260701T090000Z\nDURATION:PT9H",
        "SUMMARY:Free\nDTSTART:20260701T090000Z\nDURATION:P2D\nTRANSP:TRANSPARENT",
    )
    assert open_at(raw, "2026-07-01 10:30", "2026-07-01 20:00") == ["Long until 01 18:00", ""]


def test_an_event_of_many_days_is_open_on_each() -> None:
    raw = ics("SUMMARY:Frozen\nDTSTART;VALUE=DATE:20261201\nDTEND;VALUE=DATE:20270110")
    assert open_at(raw, "2026-12-20 12:00", "2027-01-09 22:59", "2027-01-09 23:00") == [
        "Frozen until 09 23:00",
        "Frozen until 09 23:00",
        "",
    ]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"hello", "this is no iCalendar file"),
        (b"\xff\xfe", "this is no iCalendar file"),
        (b"BEGIN:VCARD\r\nVERSION:4.0\r\nEND:VCARD\r\n", "does not begin with BEGIN:VCALENDAR"),
        (ics("SUMMARY:A"), "event 'A': it has no DTSTART"),
        (ics("SUMMARY:A\nDTSTART:tomorrow"), "event 'A'"),
        (ics("DTSTART:20260701T100000Z\nRRULE:FREQ=SECONDLY"), "DAILY is the finest"),
        (ics("DTSTART:20260701T100000Z\nRRULE:FREQ=DAILY;COUNT=99999"), "at most 10000"),
        (ics("DTSTART:20260701T100000Z\nRRULE:FREQ=DAILY;BYMONTHDAY=30"), "MONTHLY or YEARLY"),
        (ics("DTSTART:20260701T100000Z\nRRULE:FREQ=DAILY;INTERVAL=7;BYDAY=TU"), "with BYDAY is"),
        (ics("DTSTART:20260701T100000Z\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "never comes"),
        (ics("DTSTART:20260701T100000Z\nRRULE:FREQ=DAILY;BYMINUTE=0,30"), "within the hour"),
        (ics("DTSTART:20260701T100000Z\nDTEND:20260630T100000Z"), "ends before it starts"),
        (ics("DTSTART:20260701T100000Z\nDURATION:P400D"), "longer than a year"),
        (
            ics("DTSTART:20260701T100000Z\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260701T100000Z"),
            "THISANDFUTURE is not understood",
        ),
        (ics(*["DTSTART:20260701T100000Z"] * 2001), "has 2001 events"),
        (ics(*["DTSTART:20260701T100000Z\nRRULE:FREQ=DAILY"] * 201), "201 events recur"),
    ],
)
def test_what_is_not_understood_is_an_error_and_no_event_is_left_out(raw: bytes, told: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is looked at below
        calendars.parse(raw, BERLIN)
    assert told in str(refused.value)


def test_rules_that_began_long_ago_cost_no_time() -> None:
    old = ics("SUMMARY:Old\nDTSTART:19700101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;INTERVAL=3")
    began = time.monotonic()
    # 1970-01-01 and every third day: 2026-07-01 is day 20635, and 20634 can be divided by three.
    assert open_at(old, "2026-07-01 10:30", "2026-06-30 10:30") == ["", "Old until 30 11:00"]
    assert time.monotonic() - began < 2


def test_a_file_is_read_relative_to_the_folder_of_the_policy_and_bounded(tmp_path: Path) -> None:
    (tmp_path / "ok.ics").write_bytes(ics("SUMMARY:Party\nDTSTART:20260701T100000Z\nDURATION:PT1H"))
    window = Window.model_validate({"calendar": "ok.ics"}, context={"folder": tmp_path})
    found = window.covers(datetime(2026, 7, 1, 10, 30, tzinfo=UTC))
    assert found is not None
    assert (found.name, f"{found.until:%H:%M}") == ("ok.ics: Party", "11:00")
    (tmp_path / "large.ics").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(ValueError, match="larger than 1048576 bytes"):
        Window.model_validate({"calendar": "large.ics"}, context={"folder": tmp_path})


_HOUR = "DTSTART:20260101T000000Z\nDURATION:PT1H"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (f"{_HOUR}\nRRULE:FREQ=DAILY;INTERVAL=0", "INTERVAL below 1"),
        (f"{_HOUR}\nRRULE:FREQ=MONTHLY;INTERVAL=0", "INTERVAL below 1"),
        (f"{_HOUR}\nRRULE:FREQ=DAILY;INTERVAL=-1", "INTERVAL below 1"),
        (f"{_HOUR}\nDTSTART:20270101T000000Z", "more than one DTSTART"),
        (f"{_HOUR}\nDURATION:PT2H", "more than one DURATION"),
        ("DTSTART:99901231T230000Z\nDURATION:P300D\nRRULE:FREQ=DAILY;COUNT=9", "the year 9990"),
        ("DTSTART;VALUE=TIME:101010\nDURATION:PT1H", "neither a date nor"),
        ("DTSTART;VALUE=PERIOD:20260101T000000Z/PT1H", "neither a date nor"),
        ("DTSTART;TZID=Nowhere/Else:20260101T000000\nDURATION:PT1H", "zone 'Nowhere/Else'"),
        (
            f"{_HOUR}\nRRULE:FREQ=DAILY\nEXDATE;TZID=Nowhere/Else:20260102T000000",
            "zone 'Nowhere/Else'",
        ),
    ],
)
def test_what_would_never_end_or_be_misread_is_refused(event: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        calendars.parse(ics(event), BERLIN)


def test_a_rule_until_the_end_of_all_years_is_one_for_ever() -> None:
    raw = ics(
        "SUMMARY:Night\nDTSTART;TZID=Europe/Berlin:20260101T000000\nDURATION:PT1H\n"
        "RRULE:FREQ=DAILY;UNTIL=99991231T235959Z"
    )
    assert open_at(raw, "2026-06-30 22:30") == ["Night until 30 23:00"]
