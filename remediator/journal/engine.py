"""What a database engine does for the journal: drive operations in transactions, group commits.

Engines: `sqlite.engine`, and `postgres.engine` for several replicas. The conformance suite in
`tests/journal/test_conformance_*.py` runs over each.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from remediator.journal.statements import Operation, P, Together

T = TypeVar("T")


class Engine(Protocol):
    """Drives operations. A factory makes the operation afresh: a failed batch is replayed."""

    async def write(
        self, start: Callable[[], Operation[T]], *, weight: int = 1, patient: bool = False
    ) -> T:
        """Drive an operation in a shared transaction; returns after its commit.

        Args:
            weight: how much memory it holds while it waits, in alerts.
            patient: it may be refused when much waits, since its sender comes again.

        Raises:
            Overloaded: too much waits.
            JournalUnavailable: the database can't be written now.
            Exception: whatever the operation raised; nothing of it was written.
        """
        ...

    async def write_together(
        self, kind: Together[P, T], item: P, *, weight: int = 1, patient: bool = False
    ) -> T:
        """Drive an item of a kind, in one operation with all others that wait; else as `write`.

        Where their operation fails, each is tried by itself: only the guilty fails.
        """
        ...

    @property
    def writable(self) -> bool:
        """Whether the last write went through, as far as this process knows."""
        ...

    @property
    def alive(self) -> bool:
        """Whether no other node can have declared this one dead yet; always, where it is alone."""
        ...

    async def prove_alive(self) -> None:
        """Return once it is certain that this node was not declared dead.

        Raises:
            NodeDead: it was, for good.
            JournalUnavailable: it can't be found out now.
        """
        ...

    def on_duty(self, duty: str) -> bool:
        """Whether a duty that one node at a time may do is this node's now."""
        ...

    async def beat(self, at: datetime) -> None:
        """Write something, so that `writable` says what is true now."""

    async def read(self, start: Callable[[], Operation[T]]) -> T:
        """Drive an operation that only reads, on one consistent state."""
        ...

    async def close(self) -> None:
        """Commit what is queued, then close. Idempotent."""
