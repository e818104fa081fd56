"""The recording's time, and what is assumed where nobody can know. Used by `course`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediator.model.clock import Clock, Timer


class Turned:
    """A clock whose date is turned to the recording's; time limits run by the real one."""

    def __init__(self, real: Clock, at: datetime) -> None:
        self._real = real
        self.at = at

    def now(self) -> datetime:
        """Return the recording's time."""
        return self.at

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._real.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await self._real.sleep(seconds)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """See `Clock.after`."""
        return self._real.after(seconds, call)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is assumed, and how it is looked.

    Args:
        approved: people say yes at once; else nobody answers.
        plans: whether anything is planned at all.
        of_the_time: the world that is planned against is meant for the recording: its refusals
            count. Else a plan that fails says only that the plan is not known.
        hold: how long a run that waits, waits between two looks.
        give_up: how long it waits in all.
    """

    approved: bool = True
    plans: bool = True
    of_the_time: bool = False
    hold: timedelta = timedelta(seconds=15)
    give_up: timedelta = timedelta(minutes=30)
