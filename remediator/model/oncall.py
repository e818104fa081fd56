"""Who is on call when: a rotation, and shifts that stand in for it. Pure data and arithmetic.

Times are local to the schedule's time zone, as people write them: a handover at 09:00 stays at
09:00 when the clocks change.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from remediator.model import wall_clock
from remediator.model.clock import aware
from remediator.model.limits import Frozen
from remediator.model.quantities import Duration, format_duration

MOST_SHIFTS = 2000
"""Several years of a shift a day."""

LOOK_AHEAD = timedelta(days=30)
"""How far ahead gaps are looked for: what lies later, people still mean to fill."""


def _local(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"{value!r} is no time; write it like 2026-01-05T09:00") from None
    return value


def _naive(value: datetime) -> datetime:
    if value.tzinfo is not None:
        raise ValueError("is local to the schedule's time_zone; leave the offset out")
    return wall_clock.in_reach(value)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}; write one like Europe/Zurich") from None
    return name


LocalTime = Annotated[datetime, BeforeValidator(_local), AfterValidator(_naive)]
_Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class Rotation(Frozen):
    """People who take turns."""

    people: Annotated[_Names, Field(max_length=200)]
    """In their order: people of the settings, or identities such as slack:U0123."""
    start: LocalTime
    """When the first one's first turn begins, local time."""
    every: Annotated[Duration, Field(ge=timedelta(hours=1))] = timedelta(days=7)
    """How long a turn lasts, by the clock on the wall."""


class Shift(Frozen):
    """Who is on call for a while, whoever's turn it is."""

    from_: Annotated[LocalTime, Field(alias="from")]
    """Its beginning, local time."""
    until: LocalTime
    """Its end, local time; the next one may begin at it."""
    who: Annotated[_Names, Field(max_length=50)]
    """People of the settings, or identities."""

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> "Shift":
        if self.until <= self.from_:
            raise ValueError("until must be later than from")
        return self


class OnCall(Frozen):
    """A schedule: who is on call when."""

    time_zone: Annotated[str, AfterValidator(_zone)]
    """Of all its times, like Europe/Zurich."""
    rotation: Rotation | None = None
    """People who take turns."""
    shifts: Annotated[tuple[Shift, ...], Field(max_length=MOST_SHIFTS)] = ()
    """What stands in for the rotation; without one, all there is."""

    @model_validator(mode="after")
    def _says_something(self) -> "OnCall":
        if self.rotation is None and not self.shifts:
            raise ValueError("needs a rotation or shifts: nobody would ever be on call")
        over = _overlaps(self.shifts)
        if over is not None:
            raise ValueError(
                f"shifts: the one from {over[0].from_:%Y-%m-%d %H:%M} is not over when that from "
                f"{over[1].from_:%Y-%m-%d %H:%M} begins; who shares a shift stands in one `who`"
            )
        return self

    def at(self, moment: datetime) -> tuple[str, ...]:
        """Return who is on call; empty where nobody is."""
        moment = aware(moment)
        for shift in self.shifts:
            if self._utc(shift.from_) <= moment < self._utc(shift.until):
                return shift.who
        return self._turn(moment)

    @property
    def most_at_once(self) -> int:
        """How many are on call at the same time, at most."""
        return max([1 if self.rotation else 0, *(len(set(shift.who)) for shift in self.shifts)])

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody who is on call at some time."""
        turns = self.rotation.people if self.rotation else ()
        return tuple(dict.fromkeys((*turns, *(who for one in self.shifts for who in one.who))))

    def gaps(self, *, after: datetime) -> Iterator["Gap"]:
        """Yield the times when nobody is on call that begin within `LOOK_AHEAD` of a moment; one
        that nothing follows has no end."""
        latest = aware(after) + LOOK_AHEAD
        return itertools.takewhile(lambda gap: gap.begins < latest, self._gaps(aware(after)))

    def _gaps(self, moment: datetime) -> Iterator["Gap"]:
        # From the rotation's start on somebody always is.
        covered = self._utc(self.rotation.start) if self.rotation else None
        free = moment
        for shift in sorted(self.shifts, key=lambda one: one.from_):
            begins, ends = self._utc(shift.from_), self._utc(shift.until)
            if covered is not None and begins >= covered:
                break
            if begins > free:
                yield Gap(free, begins)
            free = max(free, ends)
        if covered is None or free < covered:
            yield Gap(free, covered)

    def _turn(self, moment: datetime) -> tuple[str, ...]:
        rotation = self.rotation
        if rotation is None or moment < self._utc(rotation.start):
            return ()
        wall = moment.astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=None)
        turn = max(0, (wall - rotation.start) // rotation.every)
        # A change of the clocks near a handover: the moment counts, not what the wall says.
        while turn and moment < self._utc(rotation.start + turn * rotation.every):
            turn -= 1
        while moment >= self._utc(rotation.start + (turn + 1) * rotation.every):
            turn += 1
        return (rotation.people[turn % len(rotation.people)],)

    def _utc(self, local: datetime) -> datetime:
        return local.replace(tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time when nobody is on call; without an end where nothing follows."""

    begins: datetime
    ends: datetime | None

    def __str__(self) -> str:
        if self.ends is None:
            return f"nobody is on call from {self.begins:%Y-%m-%d %H:%M} UTC on"
        lasts = format_duration(self.ends - self.begins)
        return f"nobody is on call for {lasts} from {self.begins:%Y-%m-%d %H:%M} UTC"


def _overlaps(shifts: Sequence[Shift]) -> tuple[Shift, Shift] | None:
    ordered = sorted(shifts, key=lambda one: one.from_)
    for one, following in itertools.pairwise(ordered):
        if following.from_ < one.until:
            return one, following
    return None
