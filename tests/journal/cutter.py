"""A wire to PostgreSQL that breaks at a COMMIT: before the server has it, or before its answer.

Unlike `tests.servers.link` it reads along, since the moment is what matters.
"""

import asyncio
import contextlib
from typing import Literal

Moment = Literal["before", "after"]
"""Whether the server gets the COMMIT (`after`: only its answer is lost)."""


class Cutter:
    """Passes everything on, until `arm`ed: then the next COMMIT is the last thing it sees."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._armed: Moment | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def arm(self, moment: Moment) -> None:
        """Break the connection at the next COMMIT."""
        self._armed = moment

    async def _connect(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, requests = await asyncio.open_connection("127.0.0.1", self._target_port)
        back = asyncio.create_task(_pump(server, answers))
        for task in (back, asyncio.current_task()):
            assert task is not None
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            while chunk := await client.read(65_536):
                moment = self._armed if b"COMMIT" in chunk else None
                if moment is not None:
                    self._armed = None
                    self.cuts += 1
                    back.cancel()
                if moment != "before":
                    requests.write(chunk)
                    await requests.drain()
                if moment is not None:
                    if moment == "after":
                        await server.read(1)  # it has answered, and so it has committed
                    break
        finally:
            back.cancel()
            for writer in (answers, requests):
                writer.transport.abort()
            with contextlib.suppress(OSError):
                await answers.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
        sink.close()
