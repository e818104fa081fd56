"""The one place that reads the system's clocks."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime


class SystemClock:
    """The real time (`remediator.model.clock.Clock`)."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)

    def after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back in the event loop in `seconds`."""
        return asyncio.get_running_loop().call_later(seconds, call)
