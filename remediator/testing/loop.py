"""An event loop that knows when nothing moves any more.

A loop that is about to wait has nothing left to run: whatever could happen without time, input or
a thread has happened. Where time is virtual and clients are simulated, that is the moment to move
the clock. Used by `daemon`, which counts quiet rounds on any other loop.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class SettlingLoop(asyncio.SelectorEventLoop):
    """A selector loop with `idle`; give it to `asyncio.Runner(loop_factory=SettlingLoop)`."""

    def __init__(self) -> None:
        self._watch = _Selector()
        super().__init__(self._watch)

    async def idle(self) -> None:
        """Return when nothing is left to run and no thread of the loop's is at work."""
        woken: asyncio.Future[None] = self.create_future()
        self._watch.waiting.append(woken)
        try:
            await woken
        finally:
            if woken in self._watch.waiting:
                self._watch.waiting.remove(woken)

    def run_in_executor(  # type: ignore[override]  # the same; typeshed spells it with a ParamSpec
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Run in a thread, and know that it does."""
        job = super().run_in_executor(executor, func, *args)
        self._watch.at_work += 1
        job.add_done_callback(self._came_back)
        return job

    def _came_back(self, _: "asyncio.Future[Any]") -> None:
        self._watch.at_work -= 1


class _Selector(selectors.DefaultSelector):
    """Asked to wait, it first tells those who wait for just that."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[None]] = []
        self.at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        would_wait = timeout is None or timeout > 0
        if not would_wait or not self.waiting or self.at_work:
            return super().select(timeout)
        if events := super().select(0):
            return events
        waiting, self.waiting = self.waiting, []
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)
        return []
