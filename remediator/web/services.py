"""What the HTTP edge needs from the engine, as Protocols; `app` wires what implements them.

Nothing here waits for an action: every method returns after its journal commit.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from remediator.engine.overrides import Overriding
from remediator.engine.simulate import Answer
from remediator.engine.track import Breaker, Report
from remediator.engine.verdicts import Explanation
from remediator.journal.values import AuditRecord, Backlog, CancelOutcome, Page, Receipt, ResumeHow
from remediator.model.approvals import SnoozeOutcome
from remediator.model.clock import Clock
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.history import Control
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.runs import Run, RunState
from remediator.model.views import RunView, Waiting, Who
from remediator.plugin.context import Context
from remediator.plugin.notifier import Desk, Notifier
from remediator.runbook.arguments import ParameterSpec
from remediator.runbook.policy_file import PolicySource


class Intake(Protocol):
    """Takes notifications in."""

    async def receive(
        self, sender: str, source: str, body: bytes, received_at: datetime
    ) -> Receipt:
        """Parse, match and commit one notification of an authenticated sender.

        Raises:
            remediator.plugin.source.Rejected: it can never be accepted; answered 400.
            remediator.journal.values.Overloaded, JournalUnavailable: later; answered 503.
        """
        ...


class Snoozed(Protocol):
    """What became of a wish to be asked later."""

    @property
    def outcome(self) -> SnoozeOutcome:
        """Of the journal's compare-and-set."""
        ...

    @property
    def message(self) -> str:
        """A sentence for who had it."""
        ...


class People(Protocol):
    """What of the desk only the API shows."""

    async def put_off(
        self, approval_id: str, *, actor: str, for_: timedelta, reason: str, via: str
    ) -> Snoozed:
        """Withdraw a question for a while.

        Raises:
            remediator.plugin.notifier.NotAuthorised: the actor may not; answered 403.
        """
        ...

    async def questions(self, actor: str, *, mine: bool, limit: int) -> Sequence[Waiting]:
        """Return the open questions, oldest first; with `mine` those that the actor may answer."""
        ...

    async def who(self, actor: str) -> Who:
        """Return what is known of an actor."""
        ...


class Runs(Protocol):
    """What people do with runs, beside deciding. `by` is an authenticated identity."""

    async def start(
        self,
        name: str,
        labels: Mapping[str, str],
        *,
        by: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a runbook by hand; returns the run's id.

        Args:
            parameters: values for those that the runbook declares, as JSON or as text.

        Raises:
            remediator.plugin.source.Rejected: labels or parameters do not do; answered 400.
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

    def check(self, scope: str) -> None:
        """Check what somebody wants to pause; the desk sets and lifts it.

        Raises:
            remediator.plugin.source.Rejected: there is nothing like that; answered 400.
        """
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


class Trust(Protocol):
    """Why a plan is held, and how trust stands (`engine.trust`)."""

    def policy(self) -> PolicySource:
        """Return the policy in force, and where it comes from."""
        ...

    async def explain(self, run: Run) -> Explanation:
        """Say what every guardrail says now of a run's plans."""
        ...

    async def explain_alert(self, body: bytes) -> Sequence[Answer]:
        """Say what would be done about a notification now.

        Raises:
            remediator.plugin.source.Rejected: the body is no notification; answered 400.
        """
        ...

    async def override(
        self, run_id: str, guardrail: str, *, actor: str, reason: str, via: str
    ) -> Overriding:
        """Lift a guardrail for a run, once.

        Raises:
            remediator.plugin.source.Rejected: not this guardrail, or no reason; answered 400.
            remediator.plugin.notifier.NotAuthorised: not this person; answered 403.
        """
        ...

    async def report(self, span: timedelta, runbook: str | None = None) -> Report:
        """Say how runbooks did."""
        ...

    async def breakers(self) -> Sequence[Breaker]:
        """Return the failure breaker of every runbook in force."""
        ...

    async def reset_breaker(self, runbook: str, *, actor: str, reason: str) -> Breaker | None:
        """Close one; None where it is closed already.

        Raises:
            remediator.plugin.source.Rejected: no such runbook, or no reason; answered 400.
        """
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
    def parameters(self) -> Mapping[str, ParameterSpec]:
        """What a person who starts it may set."""
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
    people: People
    runs: Runs
    controls: Controls
    trust: Trust
    clock: Clock
    sources: Collection[str]
    notifiers: Mapping[str, Notifier]
    context_for: Callable[[str], Context]
    runbooks: Callable[[], Sequence[RunbookSummary]]
    reload: Callable[[], Awaitable[Sequence[str]]]
    ready: Callable[[], Sequence[str]]
