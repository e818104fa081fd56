"""What the HTTP edge needs from the engine, as Protocols; `app` wires what implements them.

Nothing here waits for an action: every method returns after its journal commit.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from remediator.journal.protocol import (
    AuditRecord,
    Backlog,
    CancelOutcome,
    Page,
    Receipt,
    ResumeHow,
)
from remediator.model.clock import Clock
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.history import Control
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.runs import Run, RunState
from remediator.model.views import RunView
from remediator.plugin.context import Context
from remediator.plugin.notifier import Desk, Notifier


class Intake(Protocol):
    """Takes notifications in."""

    async def receive(
        self, sender: str, source: str, body: bytes, received_at: datetime
    ) -> Receipt:
        """Parse, match and commit one notification of an authenticated sender.

        Raises:
            remediator.plugin.source.Rejected: it can never be accepted; answered 400.
            remediator.journal.protocol.Overloaded, JournalUnavailable: later; answered 503.
        """
        ...


class Runs(Protocol):
    """What people do with runs, beside deciding. `by` is an authenticated identity."""

    async def start(self, name: str, labels: Mapping[str, str], *, by: str) -> str:
        """Start a runbook by hand; returns the run's id.

        Raises:
            remediator.plugin.source.Rejected: the labels do not do; answered 400.
        """
        ...

    async def cancel(self, run_id: str, *, by: str, reason: str) -> CancelOutcome:
        """Stop a run before its next change."""
        ...

    async def acknowledge(self, run_id: str, *, by: str, reason: str) -> AcknowledgeOutcome:
        """Answer a run's escalation."""
        ...

    async def resume(self, run_id: str, *, by: str, how: ResumeHow) -> bool:
        """Let an interrupted run go on; False when it is not interrupted."""
        ...


class Controls(Protocol):
    """The kill switches."""

    async def pause(self, scope: str, *, by: str, reason: str, for_: timedelta | None) -> Control:
        """Set one; for ever when `for_` is None."""
        ...

    async def unpause(self, scope: str, *, by: str) -> bool:
        """Lift one; False when there was none."""
        ...


class Records(Protocol):
    """What the edge reads of the journal (`remediator.journal.protocol.Journal`), and no more."""

    @property
    def writable(self) -> bool:
        """Whether the last write went through."""
        ...

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        ...

    async def incidents(
        self, *, status: IncidentStatus | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page[Incident]:
        """List incidents, newest first."""
        ...

    async def run(self, run_id: str) -> Run | None:
        """Return one run, by its id or a unique part of it."""
        ...

    async def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        runbook: str | None = None,
        incident_id: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Run]:
        """List runs, newest first."""
        ...

    async def view(self, run_id: str) -> RunView | None:
        """Return everything about one run."""
        ...

    async def controls(self, at: datetime) -> Sequence[Control]:
        """Return the kill switches that are on."""
        ...

    async def audit(
        self, *, after: int = 0, run_id: str | None = None, limit: int = 1000
    ) -> Sequence[AuditRecord]:
        """Read the chain in order."""
        ...

    async def backlog(self) -> Backlog:
        """Return figures for metrics."""
        ...


class RunbookSummary(Protocol):
    """What the API shows of a runbook in force."""

    @property
    def name(self) -> str:
        """The runbook's name."""
        ...

    @property
    def description(self) -> str:
        """Its one sentence."""
        ...

    @property
    def file(self) -> str:
        """Where it was read from."""
        ...

    @property
    def mode(self) -> str:
        """observe, approve or auto; as written."""
        ...

    @property
    def version(self) -> str:
        """The digest of its content."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the HTTP edge.

    Args:
        sources: names of the dialects served under /webhook.
        notifiers: by name; those with `callback_paths` are served.
        context_for: makes a notifier's context for its callbacks, by its name.
        runbooks: the runbooks in force.
        reload: read the runbooks again; findings that kept the old set, empty on success.
        ready: reasons why this daemon is not ready, empty when it is.
    """

    intake: Intake
    journal: Records
    desk: Desk
    runs: Runs
    controls: Controls
    clock: Clock
    sources: Collection[str]
    notifiers: Mapping[str, Notifier]
    context_for: Callable[[str], Context]
    runbooks: Callable[[], Sequence[RunbookSummary]]
    reload: Callable[[], Awaitable[Sequence[str]]]
    ready: Callable[[], Sequence[str]]
