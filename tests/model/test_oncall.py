"""Proves who is on call when: turns, shifts that stand in, time zones, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from remediator.model.oncall import OnCall

ROTATION = {"people": ["alice", "bob", "carol"], "start": "2026-01-05T09:00", "every": "7d"}


def schedule(**more: Any) -> OnCall:
    return OnCall.model_validate({"time_zone": "Europe/Zurich", **more})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        ("2026-01-05T07:59:59", ()),
        ("2026-01-05T08:00", ("alice",)),
        ("2026-01-12T07:59", ("alice",)),
        ("2026-01-12T08:00", ("bob",)),
        ("2026-01-26T08:00", ("alice",)),
        # The clocks go forward on 29 March: the handover stays at 09:00 there.
        ("2026-03-30T06:59", ("carol",)),
        ("2026-03-30T07:00", ("alice",)),
        # and back on 25 October.
        ("2026-10-26T07:59", ("carol",)),
        ("2026-10-26T08:00", ("alice",)),
    ],
)
def test_people_take_turns_by_the_clock_on_the_wall(moment: str, who: tuple[str, ...]) -> None:
    assert schedule(rotation=ROTATION).at(utc(moment)) == who


def test_a_shift_stands_in_for_whoevers_turn_it_is() -> None:
    shift = {"from": "2026-01-06 12:00", "until": "2026-01-06 18:00", "who": ["bob", "carol"]}
    given_ = schedule(rotation=ROTATION, shifts=[shift])
    assert given_.at(utc("2026-01-06T10:59")) == ("alice",)
    assert given_.at(utc("2026-01-06T11:00")) == ("bob", "carol")
    assert given_.at(utc("2026-01-06T17:00")) == ("alice",)
    assert given_.most_at_once == 2


def test_shifts_alone_have_gaps_that_are_told() -> None:
    shifts = [
        {"from": "2026-01-06 08:00", "until": "2026-01-06 18:00", "who": ["bob"]},
        {"from": "2026-01-07 08:00", "until": "2026-01-07 18:00", "who": ["carol"]},
    ]
    gaps = [str(gap) for gap in schedule(shifts=shifts).gaps(after=utc("2026-01-06T10:00"))]
    assert gaps == [
        "nobody is on call for 14h from 2026-01-06 17:00 UTC",
        "nobody is on call from 2026-01-07 17:00 UTC on",
    ]
    assert schedule(shifts=shifts).at(utc("2026-01-06T20:00")) == ()


def test_before_a_rotation_begins_nobody_is_on_call() -> None:
    shift = {"from": "2026-01-04 09:00", "until": "2026-01-04 12:00", "who": ["bob"]}
    given_ = schedule(rotation=ROTATION, shifts=[shift])
    gaps = [str(gap) for gap in given_.gaps(after=utc("2026-01-04T08:00"))]
    assert gaps == ["nobody is on call for 21h from 2026-01-04 11:00 UTC"]
    assert list(given_.gaps(after=utc("2026-01-05T08:00"))) == []


def test_what_is_far_off_is_no_gap_yet() -> None:
    shift = {"from": "2026-01-01 00:00", "until": "2026-12-31 00:00", "who": ["bob"]}
    assert list(schedule(shifts=[shift]).gaps(after=utc("2026-02-01T00:00"))) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "needs a rotation or shifts"),
        ({"time_zone": "Europe/Zurch", "rotation": ROTATION}, "no time zone"),
        ({"rotation": {**ROTATION, "people": []}}, "at least 1 item"),
        ({"rotation": {**ROTATION, "start": "2026-01-05T09:00+01:00"}}, "leave the offset out"),
        ({"rotation": {**ROTATION, "start": "Monday"}}, "is no time"),
        ({"rotation": {**ROTATION, "start": "0001-01-01T00:00"}}, "the year 1 is not within"),
        (
            {"shifts": [{"from": "2026-01-06 08:00", "until": "9999-12-31 23:59", "who": ["a"]}]},
            "the year 9999 is not within",
        ),
        ({"rotation": {**ROTATION, "every": "5m"}}, "greater than or equal"),
        (
            {"shifts": [{"from": "2026-01-06 08:00", "until": "2026-01-06 08:00", "who": ["a"]}]},
            "later than from",
        ),
        (
            {
                "shifts": [
                    {"from": "2026-01-06 08:00", "until": "2026-01-06 18:00", "who": ["a"]},
                    {"from": "2026-01-06 17:00", "until": "2026-01-06 22:00", "who": ["b"]},
                ]
            },
            "is not over when that from 2026-01-06 17:00 begins",
        ),
    ],
)
def test_what_makes_no_schedule_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        schedule(**more)


@given(
    st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2030-01-01")),
    st.sampled_from(["Europe/Zurich", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"]),
    st.integers(1, 400),
)
def test_turns_follow_each_other_without_gap_or_overlap(
    start: datetime, zone: str, hours: int
) -> None:
    people = ["a", "b", "c"]
    given_ = OnCall.model_validate(
        {
            "time_zone": zone,
            "rotation": {"people": people, "start": start.isoformat(), "every": f"{hours}h"},
        }
    )
    for turn in range(1, 60):
        handover = (start + turn * timedelta(hours=hours)).replace(tzinfo=ZoneInfo(zone))
        at = handover.astimezone(UTC)
        assert given_.at(at) == (people[turn % 3],)
        assert given_.at(at - timedelta(microseconds=1)) != ()
