"""PostgreSQL behind the `Engine` protocol: the writer, a few readers, and this node's lease."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import asyncpg

from remediator.journal import nodes
from remediator.journal.errors import CannotOpen, ReadOnly
from remediator.journal.postgres import connection as connections
from remediator.journal.postgres import migrate
from remediator.journal.postgres.connection import Access
from remediator.journal.postgres.lease import Lease
from remediator.journal.postgres.writer import Writer
from remediator.journal.statements import Env, Operation, P, Together
from remediator.journal.values import Due, JournalUnavailable, NodeDead, Opening, Overloaded
from remediator.model.clock import Clock
from remediator.observe import logs

log = logs.get(__name__)

T = TypeVar("T")

# Reads are short; the lists of a busy console should not hold up the worker's.
_READERS = 4
_READER_WITHIN_S = 5.0
# A read that met a lost connection, or a conflict at `serializable`, is simply made again.
_READ_TRIES = 3


class PostgresEngine:
    """See `open_engine` and `open_for_reading`."""

    def __init__(self, access: Access, env: Env, clock: Clock, pool: "asyncpg.Pool") -> None:
        self._access = access
        self._env = env
        self._clock = clock
        self._pool = pool
        self._writer: Writer | None = None
        self._lease: Lease | None = None
        self._closed = False
        self._begin = (
            "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"
            if access.isolation == "serializable"
            else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        )

    async def join(self, opening: Opening) -> None:
        """Become a node that writes.

        Raises:
            JournalUnavailable: the database does not answer.
        """

        def committed(due: frozenset[Due]) -> None:
            opening.on_due(due)
            lease.wrote(due)

        writer = Writer(
            self._access,
            self._env.node,
            max_waiting=opening.write_queue,
            on_due=committed,
            on_dead=opening.on_dead,
        )
        lease = Lease(
            self._access,
            self._env,
            self._clock,
            writer,
            duties=opening.duties,
            on_due=opening.on_due,
            on_dead=opening.on_dead,
        )
        self._writer, self._lease = writer, lease
        await lease.start()

    async def write(
        self, start: Callable[[], Operation[T]], *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write`."""
        result: T = await self._of_writer().submit(None, start, weight=weight, patient=patient)
        return result

    async def write_together(
        self, kind: Together[P, T], item: P, *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write_together`."""
        result: T = await self._of_writer().submit(kind, item, weight=weight, patient=patient)
        return result

    async def beat(self, at: datetime) -> None:  # the lease says when this node was seen
        """See `Engine.beat`."""
        await self.write(lambda: nodes.touch(self._env))

    @property
    def writable(self) -> bool:
        """See `Engine.writable`."""
        return self._writer is not None and self._writer.healthy and self.alive

    @property
    def alive(self) -> bool:
        """See `Engine.alive`."""
        return self._lease is not None and self._lease.alive

    async def prove_alive(self) -> None:
        """See `Engine.prove_alive`."""
        if self._lease is None:
            raise JournalUnavailable("the journal was opened for reading only")
        await self._lease.prove()

    def on_duty(self, duty: str) -> bool:
        """See `Engine.on_duty`."""
        return self._lease is not None and self._lease.on_duty(duty)

    async def read(self, start: Callable[[], Operation[T]]) -> T:
        """See `Engine.read`."""
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._read(start)
            except Exception as error:
                again = connections.lost(error) or isinstance(error, connections.CONFLICTS)
                if not again or attempt == _READ_TRIES or self._closed:
                    raise connections.explained(error, self._access) from error

    async def close(self) -> None:
        """See `Engine.close`."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            await self._leave(self._writer)
            await self._writer.close()
        if self._lease is not None:
            await self._lease.close()
        self._pool.terminate()

    async def _leave(self, writer: Writer) -> None:
        """Say that this node is gone, so that others need not wait for its lease to end."""
        node, at = self._env.node, self._clock.now()
        try:
            gone = writer.submit(
                None, lambda: nodes.bury([node], by=node, at=at), weight=1, patient=False
            )
            await gone
        except (JournalUnavailable, Overloaded) as error:
            if not isinstance(error, NodeDead):
                log.warning("the end of this node could not be told", error=str(error))

    async def _read(self, start: Callable[[], Operation[T]]) -> T:
        async with self._pool.acquire(timeout=_READER_WITHIN_S) as connection:
            await connection.execute(self._begin)
            try:
                result, _ = await connections.drive(connection, start(), [])
            finally:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
            return result

    def _of_writer(self) -> Writer:
        if self._writer is None:
            raise ReadOnly(f"the journal {self._access.shown} was opened for reading only")
        return self._writer


async def open_engine(access: Access, clock: Clock, opening: Opening, env: Env) -> PostgresEngine:
    """Open the database as a node that writes.

    Raises:
        CannotOpen: it can't be reached, or its schema is not the one of this version.
    """
    engine = await open_for_reading(access, clock, env)
    try:
        await engine.join(opening)
    except BaseException as error:
        await engine.close()
        if isinstance(error, JournalUnavailable):
            raise CannotOpen(str(error)) from error
        raise
    return engine


async def open_for_reading(access: Access, clock: Clock, env: Env) -> PostgresEngine:
    """Open the database for reads, beside running daemons or without any.

    Raises:
        CannotOpen: it can't be reached, or its schema is not the one of this version.
    """
    try:
        connection = await connections.connect(access, "remediator")
        try:
            await migrate.require_current(connection, access)
        finally:
            await connections.close(connection)
        pool = await asyncpg.create_pool(
            **access.arguments(f"{env.node} reader"),
            min_size=0,
            max_size=_READERS,
            reset=_nothing_to_reset,
        )
    except Exception as error:
        told = connections.explained(error, access)
        raise (CannotOpen(str(told)) if isinstance(told, JournalUnavailable) else told) from error
    return PostgresEngine(access, env, clock, pool)


async def _nothing_to_reset(_: "asyncpg.Connection") -> None:
    """A reader leaves nothing behind: each read ends its transaction."""
