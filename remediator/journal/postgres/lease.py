"""This node's life: its heartbeat, the duties it has, and the others' deaths that it notices.

All by the database's clock, so that no two nodes have to agree about theirs. What a node knows of
its own life between two heartbeats it takes from a clock of its own that runs on while the machine
sleeps: a heartbeat that was answered holds for a lease from when it was *sent*.

A node declares others dead only after a whole lease of unbroken contact: when the database was away
for all, the first that comes back must not bury the rest.

The protocol is modelled in `models/lease.pml`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import asyncpg

from remediator.journal import nodes
from remediator.journal.postgres import connection as connections
from remediator.journal.postgres.connection import Access
from remediator.journal.postgres.writer import Writer
from remediator.journal.statements import Env, Execute, Operation, Query
from remediator.journal.times import to_us
from remediator.journal.values import Due, JournalUnavailable, NodeDead, Overloaded
from remediator.model.clock import Clock
from remediator.observe import logs, metrics

log = logs.get(__name__)

T = TypeVar("T")

# A lost heartbeat and a slow one may follow each other without harm.
_BEATS_IN_A_LEASE = 4
# Of a lease: what the check before a change leaves for the change's request to be sent.
_MARGIN = 0.2
# Statements this short get out of each other's way at once.
_CONFLICTS_APART_S = 0.01
# Hints of many commits become one.
_NOTIFY_APART_S = 0.05
_CHANNEL = "remediator"

_NOW_US = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT"
_BEAT = f"UPDATE nodes SET seen_us = {_NOW_US} WHERE id = $1 AND dead_us IS NULL"  # noqa: S608 - constants
_SILENT = f"dead_us IS NULL AND id <> $1 AND seen_us < {_NOW_US} - $2::BIGINT"
_SEEN_OF_LATE = f"SELECT 1 FROM nodes WHERE id = $1 AND seen_us >= {_NOW_US} - $2::BIGINT"  # noqa: S608 - constants
_LOOK = f"""
    SELECT
        EXISTS (SELECT 1 FROM nodes WHERE {_SILENT}),
        ARRAY(SELECT name FROM duties WHERE node = $1),
        ARRAY(SELECT name FROM duties)
"""  # noqa: S608 - constants


def join(env: Env, at: datetime) -> Operation[None]:
    """Write this node's rows, the time of its life by the database's clock."""
    yield Execute(
        f"INSERT INTO nodes (id, started_us, seen_us) VALUES ($1, $2, {_NOW_US})",  # noqa: S608 - constants
        (env.node, to_us(at)),
    )
    yield Execute("INSERT INTO commits (node, batch) VALUES ($1, '')", (env.node,))


def reap(env: Env, lease_us: int, at: datetime) -> Operation[Sequence[str]]:
    """Declare dead who was not seen for a lease, unless it is in a transaction just now.

    Only if this node itself was seen of late, by the same clock in the same transaction: what it
    knew of its own contact before is old news when the transaction had to wait.
    """
    seen = yield Query(_SEEN_OF_LATE, (env.node, lease_us))
    if not seen:
        return ()
    rows = yield Query(
        f"SELECT id FROM nodes WHERE {_SILENT} ORDER BY id FOR UPDATE SKIP LOCKED",  # noqa: S608 - constants
        (env.node, lease_us),
    )
    dead = [row[0] for row in rows]
    yield from nodes.bury(dead, by=env.node, at=at)
    return dead


class Lease:
    """Keeps this node alive until it is closed, or learns that it was declared dead.

    Args:
        duties: what this node is ready to do for all.
        writer: what is written goes through it, like everything.
        on_due: called when another node has made something due.
        on_dead: called when this node was declared dead.
    """

    def __init__(
        self,
        access: Access,
        env: Env,
        clock: Clock,
        writer: Writer,
        *,
        duties: Sequence[str],
        on_due: Callable[[frozenset[Due]], None],
        on_dead: Callable[[], None],
    ) -> None:
        self._access = access
        self._env = env
        self._clock = clock
        self._writer = writer
        self._wanted = frozenset(duties)
        self._on_due = on_due
        self._on_dead = on_dead
        self._lease_s = access.lease.total_seconds()
        self._every_s = self._lease_s / _BEATS_IN_A_LEASE
        self._connection: asyncpg.Connection | None = None
        self._asking = asyncio.Lock()
        self._until = 0.0
        self._answered_at = 0.0
        self._since: float | None = None
        self._duties: frozenset[str] = frozenset()
        self._written = asyncio.Event()
        self._due: set[Due] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Join, and begin to beat.

        Raises:
            JournalUnavailable: the database does not answer.
        """
        await self._join()
        await self._beat()
        metrics.NODE_LEASE.set_function(self._left_s)
        # Two tasks: what is written waits for its batch, and a heartbeat must not.
        self._tasks = [
            asyncio.create_task(self._again_and_again(self._beat), name="journal lease"),
            asyncio.create_task(self._again_and_again(self._look), name="journal duties"),
        ]
        if self._access.listen_notify:
            self._tasks.append(asyncio.create_task(self._notify(), name="journal hints"))

    async def close(self) -> None:
        """Stop beating; whoever leaves in order has told `writer` so before. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop()
        self._until = 0.0

    @property
    def alive(self) -> bool:
        """Whether it is certain that nobody can have declared this node dead yet."""
        return self._left_s() > 0 and not self._writer.dead

    async def prove(self) -> None:
        """Return once it is certain that this node lives.

        Raises:
            NodeDead: it was declared dead.
            JournalUnavailable: the database does not answer.
        """
        if not self.alive:
            await self._beat()

    def on_duty(self, duty: str) -> bool:
        """Whether a duty is this node's now."""
        return duty in self._duties and self.alive

    def wrote(self, due: frozenset[Due]) -> None:
        """Something was made due: the other nodes should look."""
        self._due |= due
        self._written.set()

    # --- the heartbeat --------------------------------------------------------------------

    async def _again_and_again(self, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await do()
            except NodeDead:
                self._until = 0.0
                self._on_dead()
                return
            except (JournalUnavailable, Overloaded) as error:
                left_s = round(self._left_s(), 1)
                log.warning("the lease was not looked after", error=str(error), left_s=left_s)
            except Exception:
                # Whatever it was: a node that silently beats no more, or takes no duty, is worse.
                log.exception("the lease was not looked after", left_s=round(self._left_s(), 1))

    def _left_s(self) -> float:
        return self._until - _boot_s()

    async def _beat(self) -> None:
        """Say that this node lives, and learn whether it does.

        Raises:
            NodeDead: it was declared dead.
            JournalUnavailable: the database does not answer.
        """
        sent_at = _boot_s()
        status = await self._ask("execute", _BEAT, self._env.node)
        if status != "UPDATE 1":
            self._until = 0.0
            raise NodeDead(f"node {self._env.node} was declared dead")
        if self._since is None or sent_at - self._answered_at > self._lease_s:
            self._since = sent_at
        self._answered_at = _boot_s()
        self._until = sent_at + self._lease_s * (1 - _MARGIN)

    async def _look(self) -> None:
        """Bury the dead, and take duties that nobody does."""
        lease_us = int(self._lease_s * 1_000_000)
        silent, mine, taken = await self._ask("fetchrow", _LOOK, self._env.node, lease_us)
        steady = self._since is not None and self._answered_at - self._since >= self._lease_s
        at = self._clock.now()
        if silent and steady:
            dead = await self._write(lambda: reap(self._env, lease_us, at))
            if dead:
                log.warning("nodes declared dead; their runs are free", nodes=list(dead))
                self._on_due(frozenset({Due.RUNS}))
        free = self._wanted - set(taken)
        if free:
            mine = await self._write(lambda: nodes.take_duties(self._env, sorted(free), at))
        fresh = frozenset(mine) & self._wanted
        if fresh - self._duties:
            log.info("duties taken", duties=sorted(fresh - self._duties))
        self._duties = fresh
        for duty in self._wanted:
            metrics.DUTIES.labels(duty=duty).set(duty in fresh)

    async def _write(self, start: Callable[[], Operation[T]]) -> T:
        result: T = await self._writer.submit(None, start, weight=1, patient=False)
        return result

    # --- the connection -------------------------------------------------------------------

    async def _join(self) -> None:
        at = self._clock.now()
        connection = await self._connected()
        async with connection.transaction():
            await connections.drive(connection, join(self._env, at), [])

    async def _ask(self, method: str, sql: str, *args: object) -> Any:
        """Ask on the connection of its own, where no batch can be in the way; again, where another
        transaction was (at `serializable` that may happen to a single statement, a read too)."""
        async with self._asking:
            try:
                async with asyncio.timeout(self._lease_s / 2):
                    while True:
                        connection = await self._connected()
                        with contextlib.suppress(*connections.CONFLICTS):
                            return await getattr(connection, method)(sql, *args)
                        await asyncio.sleep(_CONFLICTS_APART_S)
            except Exception as error:
                if isinstance(error, JournalUnavailable) or connections.lost(error):
                    await self._drop()
                    raise connections.explained(error, self._access) from error
                raise

    async def _connected(self) -> "asyncpg.Connection":
        if self._connection is None or self._connection.is_closed():
            self._connection = await connections.connect(self._access, f"{self._env.node} lease")
            if self._access.listen_notify:
                await self._connection.add_listener(_CHANNEL, self._hinted)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    # --- hints ----------------------------------------------------------------------------

    def _hinted(self, _: object, __: int, ___: str, said: str) -> None:
        node, _, words = said.partition(" ")
        due = frozenset(Due(word) for word in words.split() if word in set(Due))
        if node != self._env.node and due:
            self._on_due(due)

    async def _notify(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            with contextlib.suppress(JournalUnavailable):
                said = " ".join([self._env.node, *sorted(self._due)])
                self._due.clear()
                await self._ask("execute", "SELECT pg_notify($1, $2)", _CHANNEL, said)
            await asyncio.sleep(_NOTIFY_APART_S)


def _boot_s() -> float:
    """Return seconds on a clock that never goes back and runs on while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
