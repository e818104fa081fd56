"""The load, in a process of its own: `python -m benchmarks.load`, a `Task` as JSON on its input.

Raw HTTP/1.1 on connections that stay open, with bodies that were made before the clock started, so
that neither is measured. Closed loop (each connection sends when it was answered) for rates; open
loop (so many a second, whatever the answers take) for delays. Prints one JSON object, `Sent`.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import cast

import msgspec
import uvloop

from benchmarks import traffic

# Far beyond any row's; a server that does not answer must not hold the others up for ever.
_WITHIN_S = 300.0


@dataclass(frozen=True)
class Task:
    """What to send. With `per_second` at that pace, else as fast as it is answered."""

    port: int
    requests: int
    connections: int = 32
    alerts: int = 1
    known_of_100: int = 0
    per_second: float = 0.0
    path: str = "/webhook/alertmanager"
    keep_times: bool = False


@dataclass(frozen=True)
class Sent:
    """What came of it."""

    requests: int
    seconds: float
    statuses: dict[str, int]
    latencies_ms: list[float] = field(default_factory=list)
    """Of every request, sorted."""
    times: dict[str, int] = field(default_factory=dict)
    """Pod of the body's first alert → when it was sent, in nanoseconds of the monotonic clock."""
    busy: float = 0.0
    """Share of the time for which this process was on a processor: near 1, it was the limit."""

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def send(task: Task) -> Sent:
    """Run the load in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(asdict(task)).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_WITHIN_S,
    )
    assert done.stdout, f"the load said nothing; it ended with {done.returncode}"
    return msgspec.json.decode(done.stdout, type=Sent)


class _Connection(asyncio.Protocol):
    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._buffer = bytearray()
        self._sent_at = 0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self._client.idle(self)

    def send(self, request: bytes) -> None:
        self._sent_at = time.monotonic_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        del self._buffer[: end + 4 + length]
        self._client.answered(self, head[9:12].decode(), time.monotonic_ns() - self._sent_at)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost()


class _Client:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._left = iter(_requests(task))
        self._idle: list[_Connection] = []
        self._waiting = 0
        self._statuses: Counter[str] = Counter()
        self._latencies: list[int] = []
        self._times: dict[str, int] = {}
        self._done = asyncio.Event()
        self._paced = task.per_second > 0
        self._running = False

    def idle(self, connection: _Connection) -> None:
        self._idle.append(connection)

    def answered(self, connection: _Connection, status: str, took_ns: int) -> None:
        self._statuses[status] += 1
        self._latencies.append(took_ns)
        self._waiting -= 1
        if self._paced:
            self._idle.append(connection)
        else:
            self._next(connection)
        if len(self._latencies) == self._task.requests:
            self._done.set()

    def lost(self) -> None:
        if self._running:
            self._statuses["lost"] += 1
            self._done.set()

    def _next(self, connection: _Connection) -> None:
        request = next(self._left, None)
        if request is None:
            return
        self._waiting += 1
        connection.send(request)

    async def run(self) -> Sent:
        task = self._task
        loop = asyncio.get_running_loop()
        for _ in range(task.connections):
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", task.port)
        self._running = True
        began, busy = time.monotonic(), time.process_time()
        if self._paced:
            await self._at_a_pace(began)
        else:
            for connection in self._idle:
                self._next(connection)
        await self._done.wait()
        self._running = False
        seconds = time.monotonic() - began
        return Sent(
            requests=len(self._latencies),
            seconds=seconds,
            statuses=dict(self._statuses),
            latencies_ms=sorted(round(ns / 1e6, 3) for ns in self._latencies),
            times=self._times,
            busy=round((time.process_time() - busy) / seconds, 3),
        )

    async def _at_a_pace(self, began: float) -> None:
        for number, request in enumerate(self._left):
            pause = began + number / self._task.per_second - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            # Behind the pace; it is caught up with, not forgotten.
            while not self._idle:  # noqa: ASYNC110 - every answer would set the event
                await asyncio.sleep(0.001)
            connection = self._idle.pop()
            if self._task.keep_times:
                self._times[_pod(request)] = time.monotonic_ns()
            self._waiting += 1
            connection.send(request)


def _requests(task: Task) -> list[bytes]:
    bodies = traffic.Bodies(task.alerts, known_of_100=task.known_of_100)
    return [_request(task.path, bodies.next()) for _ in range(task.requests)]


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Alertmanager/0.28\r\n"
        f"Authorization: Bearer {traffic.TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _pod(request: bytes) -> str:
    at = request.index(b'"pod": "') + 8
    return request[at : request.index(b'"', at)].decode()


def main() -> None:
    """Read a task, send it, print what came of it."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sent = uvloop.run(_Client(task).run())
    sys.stdout.buffer.write(msgspec.json.encode(sent))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
