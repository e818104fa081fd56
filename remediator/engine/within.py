"""Time limits for calls into plugins, on the daemon's clock.

A call that never returns would keep its run in hand for ever, beyond cancel, escalation and undo.
Called by `planning`, `step`, `undo` and `verify` around every call of an action or a probe.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

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


async def within(call: Awaitable[T], limit: timedelta, clock: Clock) -> T:
    """Await a plugin's call, and end it when its time is over.

    Time in which the daemon stood still is not held against it: it gets a moment to show what it
    had come to.

    Raises:
        TimeoutError: it took longer; it was cancelled and has ended.
        RuntimeError: it cancelled itself, which is a bug of the plugin and no stop of ours.
    """
    called = asyncio.ensure_future(call)
    over_at = clock.monotonic() + limit.total_seconds()
    try:
        await _ended(called, limit, clock)
        if not called.done() and clock.monotonic() - over_at > _STOOD_STILL.total_seconds():
            await _ended(called, _CATCH_UP, clock)
        if called.done():
            if called.cancelled():
                raise RuntimeError("the plugin cancelled its own task")
            return called.result()
        called.cancel()
        await asyncio.wait({called})
        if not called.cancelled() and called.exception() is None:
            return called.result()  # it came to its end while it was told to stop
        raise TimeoutError
    finally:
        if not called.done():
            called.cancel()
            await asyncio.wait({called})


async def _ended(called: "asyncio.Future[T]", limit: timedelta, clock: Clock) -> None:
    """Return when the call has ended or its time is over."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(_: object = None) -> None:
        if not ended.done():
            ended.set_result(None)

    called.add_done_callback(end)
    timer = clock.after(limit.total_seconds(), end)
    try:
        await ended
    finally:
        timer.cancel()
        called.remove_done_callback(end)
