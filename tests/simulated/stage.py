"""A workbench on which real actions meet simulated clients, on a clock that goes by itself."""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from remediator.testing.clock import ManualClock
from tests.actions.contract import Bench

T = TypeVar("T")


class Stage(Bench):
    """A context whose clients are given under the classes that actions ask for."""

    def __init__(self, clock: ManualClock, clients: Mapping[type, object]) -> None:
        super().__init__()
        self._clock = clock
        self._given = clients

    def now(self) -> datetime:
        """The clock's time."""
        return self._clock.now()

    def client(self, kind: type[T]) -> T:
        """What stands in the place of this class."""
        return cast(T, self._given[kind])


async def passing(clock: ManualClock, work: Coroutine[Any, Any, T]) -> T:
    """Let the clock go on, whenever `work` sleeps, until it is done."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0)
        if not task.done() and (due := clock.next_wake) is not None:
            clock.advance(due - clock.now())
    return task.result()
