"""A wake-up call between tasks: «something changed, look». Never carries what changed."""

import asyncio
from datetime import timedelta

from remediator.model.clock import Clock


class Hint:
    """Poked by the journal after commits; waited for by worker and announcer."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def poke(self) -> None:
        """Say that there is something to look at; calls before the next wait are one."""
        self._event.set()

    async def wait(self, clock: Clock, at_most: timedelta) -> None:
        """Wait until poked, or `at_most` long."""
        if not self._event.is_set() and at_most > timedelta():
            poked = asyncio.ensure_future(self._event.wait())
            slept = asyncio.ensure_future(clock.sleep(at_most.total_seconds()))
            try:
                await asyncio.wait({poked, slept}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                poked.cancel()
                slept.cancel()
        self._event.clear()
