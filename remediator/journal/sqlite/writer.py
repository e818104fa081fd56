"""Group commit: one thread takes what has gathered, commits it at once, answers all at once.

A commit to disk costs milliseconds whatever is in it, so operations of many requests share one.
When an operation fails, the batch is rolled back and what came before is replayed without it; when
the commit itself fails, one by one: only the guilty fails. Answers are given after the commit, in
the event loop.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.journal import audit
from remediator.journal.protocol import AuditEntry, JournalUnavailable, Overloaded
from remediator.journal.sqlite import connection as connections
from remediator.journal.statements import Operation
from remediator.observe import metrics

# Bounds of one transaction: others wait for it, and its answers come at its end.
MAX_BATCH = 512
MAX_BATCH_S = 0.1
# Alerts that may wait in memory; five storms of 20,000, about half a gigabyte as Python objects.
MAX_WAITING_WEIGHT = 100_000


@dataclass(frozen=True, slots=True)
class _Job:
    start: Callable[[], Operation[Any]]
    weight: int
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    job: _Job
    value: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection and the thread that uses it.

    Args:
        connection: opened and migrated; closed by the thread at the end.
        path: for error texts.
        max_waiting: patient operations beyond this are refused. Others have as much again, since
            the outcome of a change must find room when senders have filled the queue.
        on_commit: called in the event loop after a commit that changed something.
        on_broken: called in the event loop when the thread ends without having been told to.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        max_waiting: int,
        on_commit: Callable[[], None],
        on_broken: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._max_waiting = max_waiting
        self._on_commit = on_commit
        self._on_broken = on_broken
        self._taken: list[_Job] = []
        self.healthy = True
        """Whether the last batch could be written; read from any thread."""
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()
        self._weight = 0
        self._closing = False
        self._gathered = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(
        self, start: Callable[[], Operation[Any]], *, weight: int, patient: bool
    ) -> asyncio.Future[Any]:
        """Queue an operation; its future is done after the commit.

        Raises:
            Overloaded: too much waits.
            JournalUnavailable: the journal was closed.
        """
        with self._gathered:
            if self._closing:
                raise JournalUnavailable("the journal is closed")
            waiting = len(self._jobs)
            room = self._max_waiting if patient else 2 * self._max_waiting
            if waiting >= room or (patient and self._weight >= MAX_WAITING_WEIGHT):
                raise Overloaded(f"{waiting} operations ({self._weight} alerts) wait to be written")
            job = _Job(start, weight, self._loop.create_future())
            self._jobs.append(job)
            self._weight += weight
            if waiting == 0:
                self._gathered.notify()
        return job.answer

    async def close(self) -> None:
        """Commit what is queued, then close the connection. Idempotent."""
        with self._gathered:
            self._closing = True
            self._gathered.notify()
        await asyncio.to_thread(self._thread.join)

    # in the writer's thread

    def _work(self) -> None:
        try:
            while self._wait():
                before = self._connection.total_changes
                outcomes = self._attempt()
                # What was rolled back counts as changes, too.
                changed = self._connection.total_changes != before and any(
                    outcome.error is None for outcome in outcomes
                )
                self._taken = []
                self.healthy = not any(
                    isinstance(outcome.error, JournalUnavailable) for outcome in outcomes
                )
                metrics.BATCH_SIZE.observe(len(outcomes))
                metrics.QUEUE_LENGTH.set(len(self._jobs))
                # A loop that was closed under us has nobody left to answer.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._deliver, outcomes, changed)
        finally:
            self._connection.close()
            self._give_up()

    def _wait(self) -> bool:
        with self._gathered:
            while not self._jobs and not self._closing:
                self._gathered.wait()
            return bool(self._jobs)

    def _next(self) -> _Job | None:
        with self._gathered:
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            self._weight -= job.weight
            return job

    def _attempt(self) -> Sequence[_Outcome]:
        """Commit what has gathered; when that fails, all but the guilty."""
        taken = self._taken = []
        values: list[Any] = []
        entries: list[AuditEntry] = []
        until = time.monotonic() + MAX_BATCH_S
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            while len(taken) < MAX_BATCH and (not taken or time.monotonic() < until):
                job = self._next()
                if job is None:
                    break
                taken.append(job)
                values.append(connections.drive(self._connection, job.start(), entries))
            self._commit(entries)
        except Exception as error:
            self._roll_back()
            if not taken:
                # Not even a transaction could be begun: all that wait would meet the same.
                return [self._failed(job, error) for job in self._take_all()]
            if len(values) < len(taken):
                # The last one failed, and nothing after it was taken: what came before is good.
                *good, guilty = taken
                return [*self._replay(good), self._failed(guilty, error)]
            if len(taken) == 1:
                return [self._failed(taken[0], error)]
            return [outcome for job in taken for outcome in self._replay([job])]
        return [_Outcome(job, value) for job, value in zip(taken, values, strict=True)]

    def _replay(self, jobs: Sequence[_Job]) -> Sequence[_Outcome]:
        """Commit these operations together, and if that fails, each by itself."""
        if not jobs:
            return []
        try:
            entries: list[AuditEntry] = []
            self._connection.execute("BEGIN IMMEDIATE")
            values = [connections.drive(self._connection, job.start(), entries) for job in jobs]
            self._commit(entries)
        except Exception as error:
            self._roll_back()
            if len(jobs) == 1:
                return [self._failed(jobs[0], error)]
            return [outcome for job in jobs for outcome in self._replay([job])]
        return [_Outcome(job, value) for job, value in zip(jobs, values, strict=True)]

    def _commit(self, entries: list[AuditEntry]) -> None:
        if entries:
            connections.drive(self._connection, audit.append(entries), [])
        began = time.monotonic()
        self._connection.execute("COMMIT")
        metrics.COMMIT_DURATION.observe(time.monotonic() - began)

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors of the disk.
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _take_all(self) -> list[_Job]:
        with self._gathered:
            jobs = list(self._jobs)
            self._jobs.clear()
            self._weight = 0
            return jobs

    def _give_up(self) -> None:
        """Answer what was in hand or came later; only a dying thread leaves anything here."""
        with self._gathered:
            broken = not self._closing
            self._closing = True
        self.healthy = False
        left = [
            _Outcome(job, error=JournalUnavailable("the journal's writer has stopped"))
            for job in [*self._taken, *self._take_all()]
        ]
        with contextlib.suppress(RuntimeError):
            if left:
                self._loop.call_soon_threadsafe(self._deliver, left, False)
            if broken:
                self._loop.call_soon_threadsafe(self._on_broken)

    def _failed(self, job: _Job, error: Exception) -> _Outcome:
        return _Outcome(job, error=connections.as_unavailable(error, self._path))

    # in the event loop

    def _deliver(self, outcomes: Sequence[_Outcome], changed: bool) -> None:
        for outcome in outcomes:
            answer = outcome.job.answer
            if answer.done():  # its caller was cancelled; what it asked for is written all the same
                continue
            if outcome.error is not None:
                answer.set_exception(outcome.error)
            else:
                answer.set_result(outcome.value)
        if changed:
            self._on_commit()
