"""A journal in memory: SQLite without a file, driven in the event loop, without threads.

The same operations, migrations and audit chain as in a daemon's file; only where its bytes are and
who waits for whom differ. It outlives the daemons that open it, so that one may crash and another
start on what it holds. Used by `daemon` where it is given no folder.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from remediator.journal import audit, nodes
from remediator.journal.handle import Handle
from remediator.journal.ids import Ids
from remediator.journal.protocol import Journal
from remediator.journal.sqlite import connection as connections
from remediator.journal.sqlite import migrate
from remediator.journal.statements import Env, Operation, P, Together
from remediator.journal.values import AuditEntry, Due, JournalUnavailable, Opening
from remediator.model.clock import Clock

T = TypeVar("T")

_NAME = Path("in memory")


class MemoryJournal:
    """The bytes of one journal. Everything that opens it sees what was committed before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._connection = _connect()
        _empty().backup(self._connection)
        self._connection.execute("PRAGMA foreign_keys = ON")
        # One for all starts: two daemons of one moment must not give ids that sort the other way.
        self._ids = Ids(clock)

    async def open(self, opening: Opening) -> Journal:
        """Open it for the one daemon that may write it, as `open_journal` does a file."""
        env = Env(
            node=opening.node,
            subscribers=opening.subscribers,
            ids=self._ids,
            pagers=opening.pagers,
        )
        engine = _Engine(self._connection, env, opening.on_due)
        now = self._clock.now()
        await engine.write(lambda: nodes.join(env, now))
        await engine.write(lambda: nodes.bury_others(env, now))
        return Handle(engine, env, self._clock)

    def close(self) -> None:
        """Forget everything. Idempotent."""
        self._connection.close()


class _Engine:
    """See `remediator.journal.engine.Engine`: each operation is a transaction of its own."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        env: Env,
        on_due: Callable[[frozenset[Due]], None],
    ) -> None:
        self._connection = connection
        self._env = env
        self._on_due = on_due
        self._closed = False

    async def write(
        self, start: Callable[[], Operation[T]], *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write`."""
        await asyncio.sleep(0)  # as in a daemon, nothing is written before the caller waits
        return self._write(start())

    async def write_together(
        self, kind: Together[P, T], item: P, *, weight: int = 1, patient: bool = False
    ) -> T:
        """See `Engine.write_together`; here each is alone."""
        await asyncio.sleep(0)
        return self._write(kind.start([item]))[0]

    def _write(self, operation: Operation[T]) -> T:
        if self._closed:
            operation.close()
            raise JournalUnavailable("the journal is closed")
        entries: list[AuditEntry] = []
        due: set[Due] = set()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            value = connections.drive(self._connection, operation, entries, due)
            if entries:
                connections.drive(self._connection, audit.append(entries), [])
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        if due:
            self._on_due(frozenset(due))
        return value

    async def read(self, start: Callable[[], Operation[T]]) -> T:
        """See `Engine.read`."""
        await asyncio.sleep(0)
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        # Nobody writes while it is driven, so it sees one state without a transaction.
        return connections.drive(self._connection, start(), [])

    @property
    def writable(self) -> bool:
        """See `Engine.writable`."""
        return not self._closed

    @property
    def alive(self) -> bool:
        """Nobody else can open it while this one is there."""
        return True

    async def prove_alive(self) -> None:
        """See `Engine.prove_alive`."""

    def on_duty(self, duty: str) -> bool:
        """One node alone does everything."""
        return True

    async def beat(self, at: datetime) -> None:
        """See `Engine.beat`."""
        await self.write(lambda: nodes.beat(self._env, at))

    async def close(self) -> None:
        """Take no more; what it holds stays. Idempotent."""
        self._closed = True


@lru_cache(maxsize=1)
def _empty() -> sqlite3.Connection:
    """Return a journal to which every migration was applied; made once, and copied for each."""
    connection = _connect()
    migrate.upgrade(connection, _NAME, datetime.fromtimestamp(0, tz=UTC))
    return connection


def _connect() -> sqlite3.Connection:
    return sqlite3.connect(
        ":memory:", isolation_level=None, cached_statements=256, check_same_thread=False
    )
