"""Group commit: one thread takes what has gathered, commits it at once, answers all at once.

A commit to disk costs milliseconds whatever is in it, so operations of many requests share one.
When an operation fails, the batch is rolled back and what is left is replayed without it; when
the commit itself fails, one by one: only the guilty fails. Answers are given after the commit, in
the event loop.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from remediator.journal import audit, batch
from remediator.journal.batch import Job, Outcome
from remediator.journal.sqlite import connection as connections
from remediator.journal.statements import Together
from remediator.journal.values import AuditEntry, Due, JournalUnavailable
from remediator.observe import metrics


class Writer:
    """Owns the writing connection and the thread that uses it.

    Args:
        connection: opened and migrated; closed by the thread at the end.
        path: for error texts.
        max_waiting: see `batch.Queue`.
        on_due: called in the event loop after a commit that made something due.
        on_broken: called in the event loop when the thread ends without having been told to.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        max_waiting: int,
        on_due: Callable[[frozenset[Due]], None],
        on_broken: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._on_due = on_due
        self._due: set[Due] = set()
        self._on_broken = on_broken
        self._queue = batch.Queue(max_waiting)
        self._taken: Sequence[Job] = ()
        self.healthy = True
        """Whether the last batch could be written; read from any thread."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(
        self, kind: Together[Any, Any] | None, item: Any, *, weight: int, patient: bool
    ) -> "asyncio.Future[Any]":
        """Queue a job; its future is done after the commit.

        Raises:
            Overloaded: too much waits.
            JournalUnavailable: the journal was closed.
        """
        return self._queue.put(kind, item, weight=weight, patient=patient)

    async def close(self) -> None:
        """Commit what is queued, then close the connection. Idempotent."""
        self._queue.close()
        await asyncio.to_thread(self._thread.join)

    # in the writer's thread

    def _work(self) -> None:
        try:
            while self._queue.wait():
                self._taken = self._queue.take()
                self._due.clear()
                outcomes = self._write(self._taken)
                self._taken = ()
                self.healthy = not any(
                    isinstance(outcome.error, JournalUnavailable) for outcome in outcomes
                )
                metrics.BATCH_SIZE.observe(len(outcomes))
                metrics.QUEUE_LENGTH.set(len(self._queue))
                # A loop that was closed under us has nobody left to answer.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._deliver, outcomes, frozenset(self._due))
        finally:
            self._connection.close()
            self._give_up()

    def _write(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Commit these together; when that fails, all but the guilty."""
        entries: list[AuditEntry] = []
        outcomes: list[Outcome] = []
        due: set[Due] = set()
        driven: Sequence[Job] = ()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except Exception as error:
            # Not even a transaction could be begun: all that wait would meet the same.
            return [self._failed(job, error) for job in [*jobs, *self._queue.take_all()]]
        try:
            for group in batch.groups(jobs):
                driven = group.jobs
                values = connections.drive(self._connection, group.start(), entries, due)
                outcomes += [Outcome(*pair) for pair in zip(group.jobs, values, strict=True)]
            driven = ()
            self._commit(entries)
        except Exception as error:
            self._roll_back()
            if len(jobs) == 1:
                return [self._failed(jobs[0], error)]
            if not driven:
                return [outcome for job in jobs for outcome in self._write([job])]
            others = batch.besides(jobs, driven)
            cleared = self._write(others) if others else ()
            if len(driven) == 1:
                return [*cleared, self._failed(driven[0], error)]
            return [*cleared, *(outcome for job in driven for outcome in self._write([job]))]
        self._due |= due
        return outcomes

    def _commit(self, entries: list[AuditEntry]) -> None:
        if entries:
            began = time.monotonic()
            connections.drive(self._connection, audit.append(entries), [])
            metrics.CHAIN_DURATION.observe(time.monotonic() - began)
        began = time.monotonic()
        self._connection.execute("COMMIT")
        metrics.COMMIT_DURATION.observe(time.monotonic() - began)

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors of the disk.
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _give_up(self) -> None:
        """Answer what was in hand or came later; only a dying thread leaves anything here."""
        broken = self._queue.close()
        self.healthy = False
        left = [
            Outcome(job, error=JournalUnavailable("the journal's writer has stopped"))
            for job in [*self._taken, *self._queue.take_all()]
        ]
        with contextlib.suppress(RuntimeError):
            if left:
                self._loop.call_soon_threadsafe(self._deliver, left, frozenset())
            if broken:
                self._loop.call_soon_threadsafe(self._on_broken)

    def _failed(self, job: Job, error: Exception) -> Outcome:
        return Outcome(job, error=connections.as_unavailable(error, self._path))

    # in the event loop

    def _deliver(self, outcomes: Sequence[Outcome], due: frozenset[Due]) -> None:
        for outcome in outcomes:
            outcome.tell()
        if due:
            self._on_due(due)
