"""What waits to be written, and how a batch of it is put together; the same for every engine.

A job is one caller's wish. A batch is carried out in one transaction: all jobs of a kind as one
set-based operation (`statements.Together`), kinds by rank, then all others one after the other.
Nothing orders two jobs that wait at the same time: whoever needs an order awaits the first.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from remediator.journal.statements import Operation, Together
from remediator.journal.values import JournalUnavailable, Overloaded

# Bounds of one transaction: others wait for it, and its answers come at its end.
MAX_BATCH = 512
# In alerts; a body that holds more goes by itself.
MAX_BATCH_WEIGHT = 2_000
# Alerts that may wait in memory; five storms of 20,000, about half a gigabyte as Python objects.
MAX_WAITING_WEIGHT = 100_000


@dataclass(frozen=True, slots=True)
class Job:
    """One operation that waits for its commit: `item` of a `kind`, or what makes it, `item()`."""

    kind: Together[Any, Any] | None
    item: Any
    weight: int
    answer: "asyncio.Future[Any]"


class Outcome(NamedTuple):
    """What became of a job; told to its caller after the commit."""

    job: Job
    value: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Answer the caller; one that was cancelled has its wish all the same."""
        if self.job.answer.done():
            return
        if self.error is not None:
            self.job.answer.set_exception(self.error)
        else:
            self.job.answer.set_result(self.value)


class Group(NamedTuple):
    """Jobs of a batch that one operation carries out."""

    jobs: Sequence[Job]
    start: Callable[[], Operation[Sequence[Any]]]


def groups(jobs: Sequence[Job]) -> Iterator[Group]:
    """Put a batch's jobs together, in the order in which they are to be driven."""
    kinds: dict[Together[Any, Any], list[Job]] = {}
    for job in jobs:
        if job.kind is not None:
            kinds.setdefault(job.kind, []).append(job)
    for kind in sorted(kinds, key=lambda kind: kind.rank):
        yield _together(kind, kinds[kind])
    for job in jobs:
        if job.kind is None:
            yield _alone(job)


def besides(jobs: Sequence[Job], suspects: Sequence[Job]) -> list[Job]:
    """Return a failed batch's jobs without those that may be guilty."""
    known = set(map(id, suspects))
    return [job for job in jobs if id(job) not in known]


def _together(kind: Together[Any, Any], jobs: Sequence[Job]) -> Group:
    items = [job.item for job in jobs]
    return Group(jobs, lambda: kind.start(items))


def _alone(job: Job) -> Group:
    def start() -> Operation[Sequence[Any]]:
        value = yield from job.item()
        return (value,)

    return Group((job,), start)


class Queue:
    """The jobs that wait for one writer; its bounds are what makes a daemon answer 503.

    Args:
        max_waiting: patient jobs beyond this are refused. Others have as much again, since the
            outcome of a change must find room when senders have filled the queue.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._jobs: deque[Job] = deque()
        self._weight = 0
        self._closed = False
        self._gathered = threading.Condition()

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed

    def put(
        self, kind: Together[Any, Any] | None, item: Any, *, weight: int, patient: bool
    ) -> "asyncio.Future[Any]":
        """Let a job wait; its future is done after the commit.

        Raises:
            Overloaded: too much waits.
            JournalUnavailable: the queue was closed.
        """
        job = Job(kind, item, weight, asyncio.get_running_loop().create_future())
        with self._gathered:
            if self._closed:
                raise JournalUnavailable("the journal is closed")
            waiting = len(self._jobs)
            room = self._max_waiting if patient else 2 * self._max_waiting
            if waiting >= room or (patient and self._weight >= MAX_WAITING_WEIGHT):
                raise Overloaded(f"{waiting} operations ({self._weight} alerts) wait to be written")
            self._jobs.append(job)
            self._weight += job.weight
            if waiting == 0:
                self._gathered.notify()
        return job.answer

    def take(self) -> list[Job]:
        """Take the next batch; empty when nothing waits."""
        with self._gathered:
            taken: list[Job] = []
            weight = 0
            while self._jobs and len(taken) < MAX_BATCH:
                weight += self._jobs[0].weight
                if taken and weight > MAX_BATCH_WEIGHT:
                    break
                taken.append(self._jobs.popleft())
                self._weight -= taken[-1].weight
            return taken

    def take_all(self) -> list[Job]:
        """Take everything, to be refused."""
        with self._gathered:
            taken = list(self._jobs)
            self._jobs.clear()
            self._weight = 0
            return taken

    def wait(self) -> bool:
        """Block a writer's thread until something waits; False once closed and empty."""
        with self._gathered:
            while not self._jobs and not self._closed:
                self._gathered.wait()
            return bool(self._jobs)

    def close(self) -> bool:
        """Take no more; what waits is still to be written. Returns whether it was open."""
        with self._gathered:
            was_open = not self._closed
            self._closed = True
            self._gathered.notify()
            return was_open
