"""A wake-up call between tasks: «something changed, look». Never carries what changed."""

import asyncio
from datetime import timedelta

from remediator.model.clock import Clock


class Hint:
    """Poked by the journal after commits; waited for by one task: worker, announcer, a courier.

    Args:
        apart_s: calls that follow each other sooner are one. Under load there are hundreds of
            commits a second, and nearly none of them has anything to look at. On the event loop's
            clock, since it is about this process and not about the time of day.
    """

    def __init__(self, apart_s: float = 0.0) -> None:
        self._apart_s = apart_s
        self._poked = False
        self._waiter: asyncio.Future[None] | None = None
        self._last = 0.0

    def poke(self) -> None:
        """Say that there is something to look at; calls before the next wait are one."""
        self._poked = True
        self._wake()

    async def wait(self, clock: Clock, at_most: timedelta) -> None:
        """Wait until poked, or `at_most` long."""
        if not self._poked and at_most > timedelta():
            self._waiter = asyncio.get_running_loop().create_future()
            timer = clock.after(at_most.total_seconds(), self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if self._apart_s and self._poked:
            await self._spread()
        self._poked = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _spread(self) -> None:
        loop = asyncio.get_running_loop()
        early_s = self._last + self._apart_s - loop.time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        self._last = loop.time()
