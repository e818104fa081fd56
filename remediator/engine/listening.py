"""Lets each notifier listen on a connection of its own, beside the daemon's parts.

What people say there goes to the desk. A notifier that breaks is begun anew after a while; nothing
else notices. Called by `app`.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from remediator.engine import retry, within
from remediator.engine.ports import ContextFor
from remediator.model.clock import Clock
from remediator.observe import logs
from remediator.plugin.notifier import Desk, Notifier

log = logs.get(__name__)

_FIRST_RETRY = timedelta(seconds=2)
_SLOWEST_RETRY = timedelta(minutes=1)
_STOP_WITHIN_S = 5.0


class Listening:
    """Runs every notifier's `listen` until stopped."""

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        desk: Desk,
        context_for: ContextFor,
        clock: Clock,
        *,
        stop_within_s: float = _STOP_WITHIN_S,
    ) -> None:
        self._notifiers = notifiers
        self._desk = desk
        self._context_for = context_for
        self._clock = clock
        self._stop_within_s = stop_within_s
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; returns at once."""
        self._tasks = [
            asyncio.create_task(self._listen(one), name=f"{name} listens")
            for name, one in self._notifiers.items()
        ]

    async def stop(self) -> None:
        """Take nothing new; what is in hand may finish for a while. Idempotent."""
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._stop_within_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, notifier: Notifier) -> None:
        attempt = 0
        while not self._stopping.is_set():
            context = self._context_for("", {"notifier": notifier.name})
            try:
                await notifier.listen(self._desk, context, self._stopping)
                return
            except Exception:
                attempt += 1
                delay = min(retry.next_delay(attempt, _FIRST_RETRY, None), _SLOWEST_RETRY)
                log.exception(
                    "a notifier stopped listening", notifier=notifier.name, retry_in=str(delay)
                )
                await within.nap(self._clock, delay, self._stopping)
