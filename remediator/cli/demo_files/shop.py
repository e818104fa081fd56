"""The demo's service: a checkout with a queue and workers. Standard library only.

`GET /order` waits for a free worker, takes its time there, and answers; so its latency is real and
grows when there are too few workers for the load. The rest is its administration. Prints its port,
and ends when its standard input does. `shopctl` is the command for its operators.
"""

import asyncio
import collections
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

# What one order costs a worker; without the cache every price is looked up again.
CACHED_S = 0.06
UNCACHED_S = 0.09
# A longer queue would only make everybody wait for what they no longer want.
QUEUE = 100
# An order in so many fails while the payment provider is down.
PROVIDER_FAILS_ONE_IN = 3
WINDOW_S = 2.0
MOST_WORKERS = 64


class Shop:
    """State, workers and figures of the checkout."""

    def __init__(self) -> None:
        self.jobs: asyncio.Queue[asyncio.Future[bool]] = asyncio.Queue(QUEUE)
        self.tasks: list[asyncio.Task[None]] = []
        self.workers = 0
        self.cache = "on"
        self.provider = "up"
        self.orders = 0
        self.recent: collections.deque[tuple[float, float]] = collections.deque(maxlen=2000)
        self.resize(2)

    def resize(self, workers: int) -> None:
        """Have so many workers; those that are too many finish what they do."""
        running = min(self.workers, len(self.tasks))
        self.workers = workers
        del self.tasks[running:]
        for number in range(len(self.tasks), workers):
            self.tasks.append(asyncio.create_task(self.work(number)))

    async def work(self, number: int) -> None:
        """Be one worker."""
        me = asyncio.current_task()
        while number < len(self.tasks) and self.tasks[number] is me and number < self.workers:
            done = await self.jobs.get()
            await asyncio.sleep(CACHED_S if self.cache == "on" else UNCACHED_S)
            self.orders += 1
            if not done.done():
                down = self.provider == "down" and self.orders % PROVIDER_FAILS_ONE_IN == 0
                done.set_result(not down)

    async def order(self) -> tuple[int, str]:
        """Take one order."""
        began = time.monotonic()
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self.jobs.put_nowait(done)
        except asyncio.QueueFull:
            return 503, "too busy"
        paid = await done
        self.recent.append((time.monotonic(), time.monotonic() - began))
        return (200, "thank you") if paid else (502, "the payment provider does not answer")

    def stats(self) -> dict[str, object]:
        """Return the figures of the last seconds."""
        since = time.monotonic() - WINDOW_S
        times = sorted(took for at, took in self.recent if at >= since)
        return {
            "p95_s": round(times[int(len(times) * 0.95)], 3) if times else 0.0,
            "queue": self.jobs.qsize(),
            "workers": self.workers,
            "cache": self.cache,
        }

    async def answer(self, method: str, target: str) -> tuple[int, str]:
        """Answer one request."""
        parts = urlsplit(target)
        to = parse_qs(parts.query).get("to", [""])[0]
        change = method == "PUT"
        match parts.path:
            case "/order":
                return await self.order()
            case "/stats":
                return 200, json.dumps(self.stats())
            case "/workers":
                if change:
                    if not (to.isdigit() and 1 <= int(to) <= MOST_WORKERS):
                        return 400, f"from 1 to {MOST_WORKERS} workers"
                    self.resize(int(to))
                return 200, str(self.workers)
            case "/cache":
                if change:
                    self.cache = "off" if to == "off" else "on"
                return 200, self.cache
            case "/provider":
                if change:
                    self.provider = "down" if to == "down" else "up"
                return 200, self.provider
        return 404, "no such page"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, for one request."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            status, text = await self.answer(method, target)
            body = text.encode()
            writer.write(
                f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n"
                "Content-Type: text/plain\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            pass  # a customer who left
        finally:
            writer.close()


async def main() -> None:
    """Serve until standard input ends."""
    shop = Shop()
    server = await asyncio.start_server(shop.serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
