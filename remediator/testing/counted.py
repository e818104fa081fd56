"""A journal that knows how many of its calls are under way, so that a daemon can be waited for.

Used by `daemon` alone; decides nothing.
"""

import asyncio
import inspect
from typing import Any

from remediator.journal.protocol import Journal


class Counted:
    """Passes every call on to the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._under_way = 0
        self.begun = 0
        self.idle = asyncio.Event()
        self.idle.set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def counted(*args: Any, **kwargs: Any) -> Any:
            self.begun += 1
            self._under_way += 1
            self.idle.clear()
            try:
                return await method(*args, **kwargs)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self.idle.set()

        setattr(self, name, counted)  # the next call finds it
        return counted
