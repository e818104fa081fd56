"""The demo's customers: they order at a steady rate, whether the shop keeps up or not, and keep
their own time of it. A thread with an event loop; the story reads what they measured."""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Self

# Figures are of so long; a story wants to see a change soon.
WINDOW_S = 2.0
_GIVE_UP_S = 15.0
# Customers who wait at once; beyond it new ones do not even queue up.
_MOST = 400


@dataclass(frozen=True, slots=True)
class Measured:
    """What the customers of the last seconds met."""

    orders: int
    p95_s: float
    errors: float
    """The share of orders that failed or were turned away, from 0 to 1."""


class Customers:
    """Started and ended as a context."""

    def __init__(self, port: int, per_second: float) -> None:
        self.per_second = per_second
        self._port = port
        self._ended: deque[tuple[float, float, bool]] = deque(maxlen=5000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="customers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def measured(self) -> Measured:
        """Return the figures of the last two seconds."""
        since = time.monotonic() - WINDOW_S
        recent = [one for one in tuple(self._ended) if one[0] >= since]
        if not recent:
            return Measured(0, 0.0, 0.0)
        times = sorted(took for _, took, _ in recent)
        failed = sum(1 for _, _, fine in recent if not fine)
        return Measured(len(recent), times[int(len(times) * 0.95)], failed / len(recent))

    def _run(self) -> None:
        asyncio.run(self._order_on())

    async def _order_on(self) -> None:
        waiting: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._stop.is_set():
            if len(waiting) < _MOST:
                task = asyncio.create_task(self._order())
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            due = max(due + 1 / self.per_second, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _order(self) -> None:
        began = time.monotonic()
        fine = False
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(b"GET /order HTTP/1.1\r\nHost: shop\r\n\r\n")
                    fine = (await reader.readline()).startswith(b"HTTP/1.1 200")
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            pass  # that is what failing means
        self._ended.append((time.monotonic(), time.monotonic() - began, fine))
