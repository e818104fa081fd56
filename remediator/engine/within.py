"""Time limits for calls into plugins, and sleeps that end with the daemon, on its clock.

A call that never returns would keep its run in hand for ever, beyond cancel, escalation and undo.
Called by `planning`, `step`, `undo` and `verify` around every call of an action or a probe, and by
whoever waits between two tries.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

from remediator.model.clock import Clock
from remediator.model.quantities import format_duration
from remediator.plugin.action import Temporary

T = TypeVar("T")

LOOK = timedelta(minutes=2)
"""For plans, probes and looks at the target: clients end a request within seconds, and a command
that checks something is meant to be short."""

# A sleep that takes so much longer than it was to: the process stood still (SIGSTOP, a machine that
# was suspended), and what came meanwhile has not been read yet.
_STOOD_STILL = timedelta(seconds=1)
# In which what came is read, and a command that ended may still be checked.
_CATCH_UP = timedelta(seconds=10)


async def look(call: Awaitable[T], clock: Clock) -> T:
    """Await a plugin's call that only reads.

    Raises:
        Temporary: it took longer than `LOOK`; or whatever the call raises.
    """
    try:
        return await within(call, LOOK, clock)
    except TimeoutError:
        raise Temporary(f"no answer within {format_duration(LOOK)}") from None


async def nap(clock: Clock, span: timedelta, stopping: asyncio.Event | None = None) -> bool:
    """Sleep for so long on the daemon's clock, or until it stops. Returns whether it stops."""
    if stopping is None:
        await clock.sleep(span.total_seconds())
        return False
    if stopping.is_set():
        return True
    sleep = asyncio.ensure_future(clock.sleep(span.total_seconds()))
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({sleep, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleep.cancel()
        stop.cancel()
    return stopping.is_set()


async def within(call: Awaitable[T], limit: timedelta, clock: Clock) -> T:
    """Await a plugin's call, and end it when its time is over.

    Time in which the daemon stood still is not held against it: it gets a moment to show what it
    had come to.

    Raises:
        TimeoutError: it took longer; it was cancelled and has ended.
        RuntimeError: it cancelled itself, which is a bug of the plugin and no stop of ours.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in one
    cancels = task.cancelling()
    ending = _Ending(task, limit, clock)
    try:
        # No task of its own: a run makes two dozen such calls.
        return await call
    except asyncio.CancelledError:
        if ending.over and task.uncancel() <= cancels:
            raise TimeoutError from None
        if not ending.over and task.cancelling() <= cancels:
            raise RuntimeError("the plugin cancelled its own task") from None
        raise
    finally:
        ending.stop()
        if ending.over and task.cancelling() > cancels:
            task.uncancel()  # it came to its end, or raised, while it was told to stop


class _Ending:
    """Cancels a task when its time is over; `over` says that it did."""

    def __init__(self, task: "asyncio.Task[Any]", limit: timedelta, clock: Clock) -> None:
        self.over = False
        self._task = task
        self._clock = clock
        self._caught_up = False
        self._over_at = clock.monotonic() + limit.total_seconds()
        self._timer = clock.after(limit.total_seconds(), self._end)

    def stop(self) -> None:
        """End nothing any more."""
        self._timer.cancel()

    def _end(self) -> None:
        late_s = self._clock.monotonic() - self._over_at
        if late_s > _STOOD_STILL.total_seconds() and not self._caught_up:
            self._caught_up = True
            self._timer = self._clock.after(_CATCH_UP.total_seconds(), self._end)
            return
        self.over = True
        self._task.cancel()
