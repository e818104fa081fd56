"""An event loop in a thread of its own, for servers beside a test that blocks while it waits."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CALL_TIMEOUT_S = 10.0


class Loop:
    """Started once, stopped once."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        """From now on it turns."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it turns."""
        return self._thread.is_alive()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns that is run in there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_TIMEOUT_S)

    def stop(self) -> None:
        """Ends the thread; harmless when it was not started."""
        if self.running:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
