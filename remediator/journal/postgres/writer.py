"""Group commit over one connection: what gathers while a batch is written is the next batch.

Each batch is one transaction. It begins by locking this node's own row, which must not be declared
dead, against whoever wants to declare it so (`lease`): a node's commit is either before its death
or does not happen. It ends by noting its number in `commits`: when the answer to COMMIT is lost,
that row tells whether it was committed, so that nothing is done twice and nothing is told wrongly.

A batch that met another replica's transaction is carried out again from the start; one in which an
operation fails, without the guilty.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from remediator.journal import audit, batch
from remediator.journal.batch import Job, Outcome
from remediator.journal.postgres import connection as connections
from remediator.journal.postgres.connection import Access
from remediator.journal.statements import Together
from remediator.journal.values import AuditEntry, Due, JournalUnavailable, NodeDead
from remediator.observe import logs, metrics

log = logs.get(__name__)

# How long the fate of a batch is asked for whose COMMIT was not answered; senders wait for it.
_FATE_WITHIN_S = 5.0
# Conflicts end when the others are through; a batch that loses so often is not met by chance.
_MOST_TRIES = 60
# A key that exists already, after so many tries, is the operation's own fault.
_MOST_DUPLICATES = 6
_LONGEST_PAUSE_S = 0.2


class Lost(Exception):
    """The connection failed. `unsure`: while COMMIT was on its way."""

    def __init__(self, cause: Exception, *, unsure: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.unsure = unsure


class Writer:
    """Owns the writing connection and the task that uses it.

    Args:
        node: whose row is locked.
        max_waiting: see `batch.Queue`.
        on_due: called after a commit that made something due.
        on_dead: called when this node turns out to have been declared dead.
    """

    def __init__(
        self,
        access: Access,
        node: str,
        *,
        max_waiting: int,
        on_due: Callable[[frozenset[Due]], None],
        on_dead: Callable[[], None],
    ) -> None:
        self._access = access
        self._node = node
        self._on_due = on_due
        self._on_dead = on_dead
        self._queue = batch.Queue(max_waiting)
        self._gathered = asyncio.Event()
        self._connection: asyncpg.Connection | None = None
        self.healthy = True
        """Whether the last batch could be written."""
        self.dead = False
        self._task = asyncio.create_task(self._work(), name="journal writer")

    def submit(
        self, kind: Together[Any, Any] | None, item: Any, *, weight: int, patient: bool
    ) -> "asyncio.Future[Any]":
        """Queue a job; its future is done after the commit.

        Raises:
            Overloaded: too much waits.
            JournalUnavailable: the journal was closed.
        """
        answer = self._queue.put(kind, item, weight=weight, patient=patient)
        self._gathered.set()
        return answer

    async def close(self) -> None:
        """Commit what is queued, then close the connection. Idempotent."""
        self._queue.close()
        self._gathered.set()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._drop()

    async def _work(self) -> None:
        taken: Sequence[Job] = ()
        try:
            while True:
                taken = self._queue.take()
                if not taken:
                    if self._queue.closed:
                        return
                    self._gathered.clear()
                    await self._gathered.wait()
                    continue
                outcomes = await self._write(taken)
                self.healthy = not any(
                    isinstance(outcome.error, JournalUnavailable) for outcome in outcomes
                )
                metrics.BATCH_SIZE.observe(len(outcomes))
                metrics.QUEUE_LENGTH.set(len(self._queue))
                for outcome in outcomes:
                    outcome.tell()
                taken = ()
        finally:
            self._queue.close()
            self.healthy = False
            for job in [*taken, *self._queue.take_all()]:
                Outcome(job, error=JournalUnavailable("the journal's writer has stopped")).tell()

    # --- one batch ------------------------------------------------------------------------

    async def _write(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Commit these together; when that fails, all but the guilty."""
        duplicates = 0
        for attempt in range(1, _MOST_TRIES + 1):
            attempted = _Attempt(jobs)
            try:
                await self._attempt(attempted)
            except NodeDead as error:
                self._die()
                return _all_failed(jobs, error)
            except Lost as error:
                return await self._after_loss(attempted, error)
            except connections.CONFLICTS as error:
                await self._roll_back()
                metrics.JOURNAL_CONFLICTS.labels(kind=type(error).__name__).inc()
                duplicates += isinstance(error, asyncpg.UniqueViolationError)
                if duplicates >= _MOST_DUPLICATES:
                    return await self._without_guilty(attempted, error)
                await asyncio.sleep(random.uniform(0, _pause_s(attempt)))  # noqa: S311 - no secret
            except Exception as error:
                await self._roll_back()
                return await self._without_guilty(attempted, error)
            else:
                return attempted.outcomes
        crowded = "other replicas were in the way too often; try again"
        return _all_failed(jobs, JournalUnavailable(f"the journal {self._access.shown}: {crowded}"))

    async def _attempt(self, attempt: "_Attempt") -> None:
        try:
            connection = await self._connected()
            await self._begin(connection)
            for group in batch.groups(attempt.jobs):
                attempt.driven = group.jobs
                heavy = sum(job.weight for job in group.jobs) > connections.HEAVY
                values, wrote = await connections.drive(
                    connection, group.start(), attempt.entries, attempt.due, heavy=heavy
                )
                attempt.wrote |= wrote
                attempt.outcomes += [Outcome(*p) for p in zip(group.jobs, values, strict=True)]
            attempt.driven = ()
            chained_at = time.monotonic()
            if attempt.entries:
                await connections.drive(connection, audit.append(attempt.entries), [])
                attempt.wrote = True
            if not attempt.wrote:
                await self._roll_back()  # nothing has to reach the disk
                return
        except JournalUnavailable:
            raise
        except Exception as error:
            if connections.lost(error):
                raise Lost(error, unsure=False) from error
            raise
        began = time.monotonic()
        try:
            await connection.execute(
                f"UPDATE commits SET batch = '{attempt.batch}' WHERE node = {_quoted(self._node)};"  # noqa: S608 - both are ours
                " COMMIT"
            )
        except Exception as error:
            if connections.lost(error):
                raise Lost(error, unsure=True) from error
            raise
        now = time.monotonic()
        metrics.COMMIT_DURATION.observe(now - began)
        if attempt.entries:
            metrics.CHAIN_DURATION.observe(now - chained_at)
        self._tell(attempt)

    async def _begin(self, connection: "asyncpg.Connection") -> None:
        """Begin a transaction in which nobody can declare this node dead.

        The lock on its row in `commits` makes it wait for the end of one whose answer was lost,
        wherever that is on its way: no batch is begun before the fate of the last one is decided.

        Raises:
            NodeDead: somebody has.
        """
        node = _quoted(self._node)
        alive = await connection.execute(
            f"BEGIN; SELECT 1 FROM commits WHERE node = {node} FOR UPDATE;"  # noqa: S608 - ours
            f" SELECT 1 FROM nodes WHERE id = {node} AND dead_us IS NULL FOR KEY SHARE"
        )
        if alive != "SELECT 1":
            await self._roll_back()
            raise NodeDead(f"node {self._node} was declared dead; what it had in hand is another's")

    async def _without_guilty(self, attempt: "_Attempt", error: Exception) -> Sequence[Outcome]:
        """Carry out again what did not fail: all others together, the suspects one by one."""
        if len(attempt.jobs) == 1:
            return [Outcome(attempt.jobs[0], error=connections.explained(error, self._access))]
        suspects = attempt.driven or attempt.jobs
        others = batch.besides(attempt.jobs, suspects)
        outcomes = list(await self._write(others)) if others else []
        if len(suspects) == 1:
            explained = connections.explained(error, self._access)
            return [*outcomes, Outcome(suspects[0], error=explained)]
        for job in suspects:
            outcomes += await self._write([job])
        return outcomes

    # --- the connection -------------------------------------------------------------------

    async def _connected(self) -> "asyncpg.Connection":
        if self._connection is None or self._connection.is_closed():
            self._connection = await connections.connect(self._access, f"{self._node} writer")
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        await connections.close(connection)

    async def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed():
            return
        try:
            await connection.execute("ROLLBACK")
        except Exception:  # whatever it was: a new connection has no transaction
            await self._drop()

    async def _after_loss(self, attempt: "_Attempt", error: Lost) -> Sequence[Outcome]:
        """The server or the way to it failed; find out what became of the batch."""
        if self._connection is not None:
            self._connection.terminate()  # an orderly end would wait for the lost server
            self._connection = None
        told = connections.explained(error.cause, self._access)
        log.warning("the journal can't be written", error=str(told), in_commit=error.unsure)
        metrics.JOURNAL_CONFLICTS.labels(kind="lost").inc()
        if error.unsure:
            try:
                async with asyncio.timeout(_FATE_WITHIN_S):
                    committed = await self._fate(attempt.batch)
            except (TimeoutError, NodeDead) as unknown:
                log.warning("whether a batch was committed is not known", error=str(unknown))
            else:
                if committed:
                    self._tell(attempt)
                    return attempt.outcomes
        # All that wait would meet the same, and their senders come again.
        return _all_failed([*attempt.jobs, *self._queue.take_all()], told)

    async def _fate(self, number: str) -> bool:
        """Return whether a batch was committed, as soon as the server answers."""
        while True:
            with contextlib.suppress(Exception):
                connection = await self._connected()
                # Waits for a transaction that is still on its way to its end.
                row = await connection.fetchrow(
                    "SELECT batch FROM commits WHERE node = $1 FOR UPDATE", self._node
                )
                return row is not None and row[0] == number
            await self._drop()
            await asyncio.sleep(0.1)

    def _tell(self, attempt: "_Attempt") -> None:
        if attempt.due:
            self._on_due(frozenset(attempt.due))

    def _die(self) -> None:
        if not self.dead:
            self.dead = True
            self._on_dead()


class _Attempt:
    """One transaction: what it carries out, and how far it came."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.batch = secrets.token_hex(8)
        self.driven: Sequence[Job] = ()
        self.entries: list[AuditEntry] = []
        self.due: set[Due] = set()
        self.outcomes: list[Outcome] = []
        self.wrote = False


def _all_failed(jobs: Sequence[Job], error: Exception) -> Sequence[Outcome]:
    return [Outcome(job, error=error) for job in jobs]


def _pause_s(attempt: int) -> float:
    return min(0.002 * (1 << min(attempt, 16)), _LONGEST_PAUSE_S)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
