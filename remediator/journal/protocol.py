"""What the rest of remediator asks of the journal, in the words of the domain.

Every method that writes returns after its commit. Each write is one operation inside a shared
transaction (group commit); what belongs together (state, steps, locks, notes, audit) is in one
operation. Engines: `sqlite` and `postgres`, under the same code. `engine` and `web` import this
module, `values` (what goes in and comes out), and nothing else of the journal.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from remediator.journal.values import (
    AuditEntry,
    AuditRecord,
    Backlog,
    CancelOutcome,
    Happened,
    Intake,
    Kept,
    OutboxItem,
    Page,
    Prunable,
    Receipt,
    Recorded,
    ResumeHow,
    RunbookRecord,
    RunStart,
    RunUpdate,
    Truncated,
    Turn,
    TurnOutcome,
    UpdateOutcome,
)
from remediator.model.approvals import (
    ApprovalRequest,
    Decision,
    DecisionOutcome,
    SnoozeOutcome,
)
from remediator.model.canonical import JSONObject
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.evidence import LastRun, Record, RunCount
from remediator.model.history import Control, History, LookBack, Outcome, Reset
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.overrides import Granted, Override
from remediator.model.runs import Run, RunState, Step
from remediator.model.silences import Silence, SilenceState
from remediator.model.storms import Storm, StormMark
from remediator.model.views import Note, RunView


class Journal(Protocol):
    """One daemon's handle on the journal."""

    async def close(self) -> None:
        """Commit what is queued, then close. Idempotent."""

    @property
    def writable(self) -> bool:
        """Whether the last write went through, as far as this daemon knows."""
        ...

    async def beat(self, *, at: datetime) -> None:
        """Say that this daemon lives; finds out, too, whether the journal can be written."""

    @property
    def alive(self) -> bool:
        """Whether no other node can have declared this one dead yet. Where it is False, nothing
        may be changed in the world before `prove_alive` has returned."""
        ...

    async def prove_alive(self) -> None:
        """Return once it is certain that this node was not declared dead.

        Raises:
            NodeDead: it was, for good.
            JournalUnavailable: it can't be found out now.
        """

    def on_duty(self, duty: str) -> bool:
        """Whether a duty that one node at a time may do is this node's now."""
        ...

    # intake
    async def take(self, intake: Intake) -> Receipt:
        """Fold a notification into incidents, start and cancel runs.

        A closed incident cancels its runs that have not begun to change anything, voids their
        approvals, and wakes those that verify.
        """
        ...

    async def truncated(self, *, after: str) -> Truncated | None:
        """Return the next notification, by id, whose dropped tail has not been asked for yet."""
        ...

    async def fetched(self, notification_id: str, *, at: datetime) -> None:
        """Put on record that a notification's dropped tail was asked for."""

    # runs
    async def register(self, runbooks: Sequence[RunbookRecord]) -> None:
        """Store runbook versions so that runs can refer to them."""

    async def start_run(self, start: RunStart, *, by: str, at: datetime) -> str:
        """Start a run by hand, without an incident; returns its id."""
        ...

    async def claim(self, *, at: datetime, limit: int) -> Sequence[Run]:
        """Take runs whose time has come and that nobody has in hand; raises their epoch."""
        ...

    async def unhand(self, in_hand: Sequence[str], *, at: datetime) -> int:
        """Hand back what this node claimed besides these runs: a claim whose answer was lost."""
        ...

    async def next_wake(self) -> datetime | None:
        """Return the smallest `wake_at` of unclaimed runs."""
        ...

    async def write(self, update: RunUpdate) -> UpdateOutcome:
        """Carry out one transition of a claimed run."""
        ...

    async def take_turn(self, run_id: str, turn: Turn, *, epoch: int, at: datetime) -> TurnOutcome:
        """Give a claimed run its turn in its line, or a place in it, or nothing; in `restart`, stop
        those before it that have changed nothing. A run that has its turn keeps it to its end."""
        ...

    async def decide(
        self, decision: Decision, *, earlier: Mapping[str, str] | None = None
    ) -> tuple[DecisionOutcome, ApprovalRequest | None]:
        """Count one authorised answer; the first quorum or the first deny decides.

        Args:
            decision: the answer.
            earlier: of those who said yes before, actor → the person behind it now, empty where
                that yes counts no more. One who is missing here makes the outcome `LOOK_AGAIN`,
                and nothing is written. None counts all of them as they were written.
        """
        ...

    async def answers(self, approval_id: str) -> Sequence[Decision]:
        """Return the answers to a question, in order."""
        ...

    async def told(self, run_id: str, *, since: datetime, besides: Collection[str] = ()) -> bool:
        """Whether anybody got a note of a run that asks for approval, made since then, by any
        notifier besides those, which reach nobody."""
        ...

    async def snooze(
        self, approval_id: str, *, by: str, reason: str, via: str, at: datetime, until: datetime
    ) -> tuple[SnoozeOutcome, ApprovalRequest | None]:
        """Withdraw an open question until a time, of a run that has changed nothing."""
        ...

    async def cancel(self, run_id: str, *, by: str, reason: str, at: datetime) -> CancelOutcome:
        """Stop a run before its next change."""
        ...

    async def acknowledge(
        self, run_id: str, *, by: str, reason: str, at: datetime
    ) -> AcknowledgeOutcome:
        """Answer a run's newest escalation: a person looks, nobody else is called."""
        ...

    async def resume(self, run_id: str, *, by: str, how: ResumeHow, at: datetime) -> bool:
        """Let an interrupted run go on as a person says; False if it is not interrupted."""
        ...

    # guardrails
    async def history(self, *, run_id: str, look: LookBack, at: datetime) -> History:
        """Read what guardrails may know, outside of a write: for planning and simulation."""
        ...

    async def breaker_pasts(
        self, runbooks: Collection[str]
    ) -> Mapping[str, tuple[tuple[Outcome, ...], Reset | None]]:
        """Return how each runbook's last runs came out, and its breaker's last reset."""
        ...

    async def failing(self, *, since: datetime) -> Sequence[str]:
        """Return the runbooks of which a run failed or was rolled back since then."""
        ...

    async def reset_breaker(self, reset: Reset) -> None:
        """Close a runbook's failure breaker: what its runs came to before counts no longer."""

    async def pause(self, control: Control) -> None:
        """Set a kill switch; the same scope again replaces it."""

    async def unpause(self, scope: str, *, by: str, at: datetime) -> bool:
        """Lift a kill switch; False if there was none."""
        ...

    async def controls(self, at: datetime) -> Sequence[Control]:
        """Return the kill switches that are on."""
        ...

    async def grant_override(self, wanted: Override, again: RunStart | None) -> Granted:
        """Lift a guardrail for the run that `wanted` was asked for; where that has ended by it,
        start it again with the override."""
        ...

    async def overrides(self, run_id: str) -> Sequence[Override]:
        """Return every override of a run, oldest first."""
        ...

    async def expire_overrides(self, *, at: datetime) -> int:
        """Put on record the overrides that nobody used in time; returns how many."""
        ...

    async def run_counts(
        self,
        *,
        since: datetime,
        runbook: str | None = None,
        substance: str | None = None,
        namespaced: bool = False,
    ) -> tuple[RunCount, ...]:
        """Count the runs that have ended since then, by how they did; where told so only those of
        runbooks that are kept in the cluster."""
        ...

    async def last_runs(self, *, since: datetime) -> tuple[LastRun, ...]:
        """Return the newest ended run of each runbook in the cluster, if it ended since then."""
        ...

    async def track_record(
        self, *, since: datetime, until: datetime, runbook: str | None = None
    ) -> Record:
        """Return how runbooks did in a span, for a report."""
        ...

    async def facts(self, kind: str, subject: str) -> Sequence[str]:
        """Return what was recorded of this kind about this subject, newest first, at most 100."""
        ...

    # outbox
    async def outbox_due(
        self,
        *,
        at: datetime,
        limit: int,
        notifier: str = "",
        besides: Sequence[str] = (),
        but: Sequence[str] = (),
    ) -> Sequence[OutboxItem]:
        """Return due notes, for each run and notifier only the oldest undelivered one.

        Runs whose notes hold an escalation come first, then those with a question, then by time.

        Args:
            at: now.
            limit: how many at most.
            notifier: only this one's; of all where it is empty.
            besides: not these notifiers'.
            but: not of these runs.
        """
        ...

    async def storms(self, notifier: str) -> Sequence[StormMark]:
        """Return the storms that a notifier still tells of."""
        ...

    async def storm(self, storm_id: str, *, most: int) -> Storm | None:
        """Return how a storm stands, with so many of its runs by name."""
        ...

    async def storm_begins(self, storm: StormMark) -> None:
        """Put a storm on record, without any run yet."""

    async def storm_shares(self, item: OutboxItem, storm_id: str, *, at: datetime) -> None:
        """Let the storm's message tell a note; its run joins, unless it had."""

    async def storm_told(
        self, storm_id: str, ref: JSONObject | None, *, at: datetime, ended: bool
    ) -> None:
        """Remember a notifier's ref of a storm, and whether its message is edited again."""

    async def storm_over(self, storm_id: str, *, at: datetime) -> int:
        """Let nobody join any more, and let those of its runs that need a person be told by
        themselves: their questions and escalations go out anew. Returns how many notes."""
        ...

    async def outbox_wake(
        self, *, notifier: str = "", besides: Sequence[str] = ()
    ) -> datetime | None:
        """Return when the next undelivered note is due; whose, as for `outbox_due`."""
        ...

    async def calls_due(self, *, at: datetime) -> datetime | None:
        """Let the later calls of escalations whose time has come go out; returns when the next one
        comes due."""
        ...

    # silences
    async def silences_wanted(self, wanted: Sequence[Silence], *, epoch: int, at: datetime) -> bool:
        """Store silences of one run that are about to be asked for; False where the run is no
        longer this node's."""
        ...

    async def silence_made(self, one: Silence, *, id_: str, error: str, at: datetime) -> None:
        """Put on record, and tell, what came of asking for a silence: its id, or an error."""

    async def silences_of(self, run_id: str) -> Sequence[Silence]:
        """Return a run's silences."""
        ...

    async def silences_ending(self, *, at: datetime, limit: int) -> Sequence[Silence]:
        """Return silences of ended runs that are to be removed now."""
        ...

    async def silence_gone(self, one: Silence, state: SilenceState, *, at: datetime) -> None:
        """Put on record that a silence was removed, or has expired."""

    async def silence_again(self, one: Silence, *, at: datetime, error: str) -> None:
        """Try to remove a silence at a later time."""

    async def outbox_delivered(self, item: OutboxItem, ref: JSONObject | None) -> None:
        """Mark a note delivered and remember the notifier's ref of this run."""

    async def outbox_retry(self, item: OutboxItem, *, at: datetime, error: str) -> None:
        """Try a note again at a later time."""

    async def outbox_refused(
        self, item: OutboxItem, *, at: datetime, error: str, instead: Note | None = None
    ) -> None:
        """Give a note up, on the record, and queue another in the same transaction."""

    # reads
    async def run(self, run_id: str) -> Run | None:
        """Return one run; a unique prefix or suffix of at least 6 characters will do."""
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

    async def steps(self, run_id: str) -> Sequence[Step]:
        """Return all attempts of all steps, by sequence and attempt."""
        ...

    async def view(self, run_id: str) -> RunView | None:
        """Return everything about one run."""
        ...

    async def approval(self, approval_id: str) -> ApprovalRequest | None:
        """Return one approval request."""
        ...

    async def open_approvals(self, *, limit: int) -> Sequence[ApprovalRequest]:
        """Return the open questions, oldest first."""
        ...

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        ...

    async def incidents(
        self,
        *,
        status: IncidentStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Incident]:
        """List incidents, newest first."""
        ...

    async def runbook(self, version: str) -> RunbookRecord | None:
        """Return a registered runbook version."""
        ...

    async def backlog(self) -> Backlog:
        """Return figures for metrics."""
        ...

    # audit
    async def record(self, entries: Sequence[AuditEntry]) -> None:
        """Append entries that belong to no other operation (start, stop, reload)."""

    async def audit(
        self, *, after: int = 0, run_id: str | None = None, limit: int = 1000
    ) -> Sequence[AuditRecord]:
        """Read the chain in order."""
        ...

    async def audit_head(self) -> tuple[int, str]:
        """Return the newest record's number and hash; (0, 64 zeros) for an empty chain."""
        ...

    # housekeeping
    async def straighten(self, *, at: datetime) -> int:
        """Bring back what waits for a time that was set under a clock that was ahead."""
        ...

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Delete notifications, ended runs and resolved incidents older than `before`, in
        bounded steps; the audit chain stays whole. Returns how many rows went."""
        ...

    async def prune_audit(self, *, before: datetime, limit: int = 1000) -> int:
        """Delete the audit chain's beginning that is older than `before`, in bounded steps; what
        is left proves where it begins. Returns how many records went."""
        ...

    async def prunable(self, *, before: datetime, audit_before: datetime | None) -> Prunable:
        """Return what `prune` and `prune_audit` would delete now."""
        ...


class Archive(Protocol):
    """What a journal keeps for replay: raw notifications, and what came of them. Reads only."""

    async def kept(self, *, since: datetime, until: datetime) -> Kept:
        """Return how many notifications of a span are kept and how many there were."""
        ...

    async def recorded(
        self, *, since: datetime, until: datetime, after: Recorded | None, limit: int
    ) -> Sequence[Recorded]:
        """Return the notifications of a span, oldest first, those behind `after`."""
        ...

    async def bodies(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """Return the raw bodies of these notifications, those that are still there."""
        ...

    async def happened(self, *, since: datetime, until: datetime) -> Sequence[Happened]:
        """Return the runs that notifications of a span started, both ends included."""
        ...
