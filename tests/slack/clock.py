"""The time of the loopback Slack: it passes by itself, and further at once when a test says so.

Everything in here that expires, refills or is sent again asks this clock and no other.
"""

import asyncio
import time


class Clock:
    """Seconds that only go forwards."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._moved = asyncio.Event()

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once, for whoever waits too."""
        self._ahead_s += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def until(self, at: float) -> None:
        """Return at this time."""
        while (left := at - self.now()) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                return
