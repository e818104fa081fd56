"""What `simulate`, `replay` and `record` look at: clients that only read, and the journal likewise.

The one place where these commands get anything that could reach a target. Nothing else may be made
here: no notifier, no journal that can be written, no client without its read-only stand-in.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from remediator.engine.ports import ContextFor
    from remediator.engine.would import Ledger
    from remediator.journal.protocol import Journal
    from remediator.model.clock import Clock
    from remediator.settings import Settings


@dataclass(frozen=True, slots=True)
class Looking:
    """What there is to look at, for as long as the command works."""

    clients: Mapping[type, object]
    ledger: "Ledger"
    journal: "Journal | None"
    clock: "Clock"
    """By which plugins tell the time."""

    @property
    def context_for(self) -> "ContextFor":
        """Makes plugins' contexts."""
        from remediator.engine.context import ReadingContext  # noqa: PLC0415 - keeps --help quick

        return lambda run_id, names: ReadingContext(
            run_id, self.clock, self.clients, self.journal, names
        )


@asynccontextmanager
async def looking(
    settings: "Settings",
    *,
    at: Callable[[], datetime] | None = None,
    journal: bool = True,
) -> AsyncIterator[Looking]:
    """Look at the world of the settings.

    Args:
        at: the time for which Prometheus is asked; None for now.
        journal: whether the journal counts, where there is one.
    """
    from remediator.app.reading import reading_clients  # noqa: PLC0415 - keeps --help quick
    from remediator.engine.clock import SystemClock  # noqa: PLC0415

    opened = await open_journal(settings) if journal else None
    reading = reading_clients(settings, at=at)
    try:
        yield Looking(reading.clients, reading.ledger, opened, SystemClock())
    finally:
        await reading.close()
        if opened is not None:
            await opened.close()


async def open_journal(settings: "Settings", *, needed: bool = False) -> Any:
    """Open the journal for reading, beside a daemon or without one.

    Args:
        needed: whether there is nothing to do without one; else None is returned, and said why.

    Raises:
        CannotOpen: it is needed, and can't be opened.
    """
    from remediator.engine.clock import SystemClock  # noqa: PLC0415 - keeps --help quick
    from remediator.journal.errors import CannotOpen  # noqa: PLC0415
    from remediator.journal.opening import open_journal as open_for  # noqa: PLC0415
    from remediator.journal.urls import is_postgres, sqlite_path  # noqa: PLC0415
    from remediator.journal.values import Opening  # noqa: PLC0415

    try:
        url = settings.journal
        if not needed and not is_postgres(url) and not sqlite_path(url).exists():
            return None
        return await open_for(
            url,
            SystemClock(),
            Opening(node="reader"),
            postgres=settings.postgres,
            read_only=True,
        )
    except CannotOpen as error:
        if needed:
            raise
        click.echo(f"remediator: going on without history: {error}", err=True)
        return None


def silencing(settings: "Settings") -> Callable[[str], bool]:
    """Return whether silences may be set at a sender's Alertmanagers, by the settings."""

    def allowed(sender: str) -> bool:
        known = settings.senders.get(sender)
        return known is not None and bool(known.alertmanager) and known.silences

    return allowed
