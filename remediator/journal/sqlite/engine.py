"""SQLite behind the `Engine` protocol: the writer thread, and a few readers beside it."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from remediator.journal import nodes
from remediator.journal.errors import CannotOpen, ReadOnly
from remediator.journal.sqlite import connection as connections
from remediator.journal.sqlite import migrate
from remediator.journal.sqlite.filelock import FileLock
from remediator.journal.sqlite.writer import Writer
from remediator.journal.statements import Env, Operation, P, Together
from remediator.journal.values import JournalUnavailable, Opening
from remediator.model.clock import Clock

T = TypeVar("T")

# Reads are short; the lists of a busy console should not hold up the worker's.
_READERS = 4


class SqliteEngine:
    """See `open_engine` and `open_for_reading`."""

    def __init__(
        self, path: Path, env: Env, writer: Writer | None = None, lock: FileLock | None = None
    ) -> None:
        self._path = path
        self._env = env
        self._writer = writer
        self._lock = lock
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="journal-reader")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._closed = False

    async def write(
        self, start: Callable[[], Operation[T]], *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write`."""
        if self._writer is None:
            raise ReadOnly(f"the journal {self._path} was opened for reading only")
        result: T = await self._writer.submit(None, start, weight=weight, patient=patient)
        return result

    async def write_together(
        self, kind: Together[P, T], item: P, *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write_together`."""
        if self._writer is None:
            raise ReadOnly(f"the journal {self._path} was opened for reading only")
        result: T = await self._writer.submit(kind, item, weight=weight, patient=patient)
        return result

    @property
    def alive(self) -> bool:
        """The file's lock is ours as long as this process lives."""
        return True

    async def prove_alive(self) -> None:
        """See `Engine.prove_alive`."""

    def on_duty(self, duty: str) -> bool:
        """One node alone does everything."""
        return True

    async def beat(self, at: datetime) -> None:
        """See `Engine.beat`."""
        await self.write(lambda: nodes.beat(self._env, at))

    @property
    def writable(self) -> bool:
        """See `Engine.writable`."""
        return self._writer is not None and self._writer.healthy

    async def read(self, start: Callable[[], Operation[T]]) -> T:
        """See `Engine.read`."""
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._read, start)

    async def close(self) -> None:
        """See `Engine.close`."""
        if self._closed:
            return
        self._closed = True
        # Readers first: the last connection to close is the writer's, which checkpoints.
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._opened:
            connection.close()
        if self._writer is not None:
            await self._writer.close()
        if self._lock is not None:
            self._lock.release()

    def _read(self, start: Callable[[], Operation[T]]) -> T:
        try:
            return connections.read(self._connection(), start())
        except sqlite3.Error as error:
            raise connections.as_unavailable(error, self._path) from error

    def _connection(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is None:
            known = connections.open_reader(self._path)
            self._local.connection = known
            self._opened.append(known)
        return known


async def open_engine(path: Path, clock: Clock, opening: Opening, env: Env) -> SqliteEngine:
    """Open the file for the one daemon that may write it: lock, migrate, free what was in hand.

    Raises:
        CannotOpen: another daemon has it, its schema is newer, or the disk does not let us.
    """
    lock, connection = await asyncio.to_thread(_prepare, path, clock)
    try:
        writer = Writer(
            connection,
            path,
            max_waiting=opening.write_queue,
            on_due=opening.on_due,
            on_broken=opening.on_broken,
        )
        engine = SqliteEngine(path, env, writer, lock)
    except BaseException:
        connection.close()
        lock.release()
        raise
    try:
        now = clock.now()
        await engine.write(lambda: nodes.join(env, now))
        await engine.write(lambda: nodes.bury_others(env, now))
    except BaseException as error:
        await engine.close()
        if isinstance(error, JournalUnavailable):
            raise CannotOpen(str(error)) from error
        raise
    return engine


async def open_for_reading(path: Path, env: Env) -> SqliteEngine:
    """Open the file for reads, beside a running daemon or without one.

    Raises:
        CannotOpen: there is no such file, or its schema is not the one that this version reads.
    """
    await asyncio.to_thread(_look, path)
    return SqliteEngine(path, env)


def _prepare(path: Path, clock: Clock) -> tuple[FileLock, sqlite3.Connection]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock.take(path.resolve())  # by whatever link it is reached, it has one lock
    except OSError as error:
        raise CannotOpen(f"the journal {path} can't be made: {error.strerror}") from error
    try:
        connection = connections.open_writer(path)
        try:
            migrate.upgrade(connection, path, clock.now())
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        lock.release()
        raise _cannot_open(path, error) from error
    except BaseException:
        lock.release()
        raise
    return lock, connection


def _look(path: Path) -> None:
    if not path.is_file():
        raise CannotOpen(f"there is no journal at {path}; `remediator serve` makes one")
    try:
        connection = connections.open_reader(path)
        try:
            migrate.require_current(connection, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _cannot_open(path, error) from error


def _cannot_open(path: Path, error: OSError | sqlite3.Error) -> CannotOpen:
    explained = connections.as_unavailable(error, path)
    if explained is not error:
        return CannotOpen(str(explained))
    return CannotOpen(f"the journal {path} can't be opened: {error}")
