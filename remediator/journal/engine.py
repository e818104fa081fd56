"""What a database engine does for the journal: drive operations in transactions, group commits.

Engines: `sqlite.engine`; PostgreSQL comes as a second one. The conformance suite in
`tests/journal/test_conformance_*.py` runs over each.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from remediator.journal.statements import Operation

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

    @property
    def writable(self) -> bool:
        """Whether the last write went through, as far as this process knows."""
        ...

    async def read(self, start: Callable[[], Operation[T]]) -> T:
        """Drive an operation that only reads, on one consistent state."""
        ...

    async def close(self) -> None:
        """Commit what is queued, then close. Idempotent."""
