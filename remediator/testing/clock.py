"""A clock that stands still until a test moves it."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""The time at which a `ManualClock` begins unless told otherwise."""


class ManualClock:
    """A clock (`remediator.model.clock.Clock`) that moves only when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self._began = now
        self._now = now
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return (self._now - self._began).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`: returns when the clock was moved so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._sleeper(seconds)

    def after(self, seconds: float, call: Callable[[], None]) -> "asyncio.Future[None]":
        """See `Clock.after`."""
        sleeper = self._sleeper(seconds)
        sleeper.add_done_callback(lambda woken: None if woken.cancelled() else call())
        return sleeper

    def _sleeper(self, seconds: float) -> "asyncio.Future[None]":
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        return woken

    @property
    def next_wake(self) -> datetime | None:
        """When the first sleeper is due; None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)  # it was cancelled
        return self._sleepers[0][0] if self._sleepers else None

    def advance(self, span: timedelta) -> None:
        """Move forward, and wake whoever is due on the way, in the order of their times.

        They run when the caller next awaits. What falls asleep then, sleeps from the new time on.

        Raises:
            ValueError: the span is negative.
        """
        if span < timedelta():
            raise ValueError(f"time does not go back: {span}")
        until = self._now + span
        while (due := self.next_wake) is not None and due <= until:
            self._now = due
            heapq.heappop(self._sleepers)[2].set_result(None)
        self._now = until
