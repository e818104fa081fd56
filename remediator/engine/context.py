"""The context that plugins are handed: clients by class, time, facts, a log with names bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

import structlog

from remediator.journal.protocol import Journal
from remediator.model.clock import Clock
from remediator.plugin.action import Permanent
from remediator.plugin.context import Log

Client = TypeVar("Client")


@dataclass(frozen=True, slots=True)
class PluginContext:
    """One plugin call's context (`remediator.plugin.context.Context`)."""

    run_id: str
    clock: Clock
    clients: Mapping[type, object]
    journal: Journal | None
    names: Mapping[str, object] = field(default_factory=dict)

    @property
    def log(self) -> Log:
        """The log with the run's names bound."""
        bound: Any = structlog.get_logger("remediator.plugin").bind(
            run_id=self.run_id, **self.names
        )
        return cast(Log, bound)

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Return seconds on a clock that nobody sets."""
        return self.clock.monotonic()

    def client(self, kind: type[Client]) -> Client:
        """Return the daemon's client of this class.

        Raises:
            Permanent: this daemon has none.
        """
        found = self.clients.get(kind)
        if found is None:
            raise Permanent(f"this daemon has no {kind.__name__} client; see the settings")
        return cast(Client, found)

    async def prove_alive(self) -> None:
        """See `Context.prove_alive`.

        Raises:
            JournalUnavailable: it can't be found out now, or another node has the run.
        """
        if self.journal is not None:
            await self.journal.prove_alive()

    async def facts(self, kind: str, subject: str) -> Sequence[str]:
        """Return what earlier results recorded; nothing where there is no journal."""
        return await self.journal.facts(kind, subject) if self.journal else ()


class ReadingContext(PluginContext):
    """A context in which nothing may be changed: for `simulate`, `replay` and `record`."""

    __slots__ = ()

    async def prove_alive(self) -> None:
        """Refuse: who asks is about to change something.

        Raises:
            Permanent: always.
        """
        raise Permanent("nothing is changed here: everything is only read")
