"""What the rest of remediator asks of the journal, in the words of the domain.

Every method that writes returns after its commit. Each write is one operation inside a shared
transaction (group commit); what belongs together (state, steps, locks, notes, audit) is in one
operation. Engines: `sqlite` now, PostgreSQL under the same code. `engine` and `web` import this
module and nothing else of the journal.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from remediator.model.alerts import Alert
from remediator.model.approvals import (
    ApprovalRequest,
    ApprovalStatus,
    Decision,
    DecisionOutcome,
    SnoozeOutcome,
)
from remediator.model.canonical import JSONObject
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.evidence import Record, RunCount
from remediator.model.history import Control, History, LookBack, Outcome, Reset
from remediator.model.incidents import Fate, Incident, IncidentStatus
from remediator.model.overrides import Granted, Override
from remediator.model.plans import Fact
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, Trigger
from remediator.model.silences import Silence, SilenceState
from remediator.model.storms import Storm, StormMark
from remediator.model.verdicts import Verdict
from remediator.model.views import Note, RunView


class Overloaded(Exception):
    """The write queue is full; the caller answers 503 and the sender comes again."""


class JournalUnavailable(Exception):
    """The database can't be written now (full disk, lost connection); answered 503."""


class NodeDead(JournalUnavailable):
    """This node was declared dead; what it had in hand is another's. It writes no more, for good:
    a new start joins as a new node."""


# ---------------------------------------------------------------------------------- audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One fact for the audit chain, before it has its place in it.

    `kind` is dotted: `run.state`, `step.started`, `approval.decision`, `notification`, `control`.
    """

    kind: str
    actor: str
    at: datetime
    details: JSONObject
    run_id: str | None = None
    incident_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An entry in the chain: `hash` covers all of it and `previous`.

    `details` is their text as it is stored, which another that reads the same would not be; None
    for a record that comes from elsewhere.
    """

    seq: int
    entry: AuditEntry
    previous: str
    hash: str
    details: str | None = None


# ---------------------------------------------------------------------------------- intake


@dataclass(frozen=True, slots=True)
class RunStart:
    """A run to be started, unless this incident, runbook and trigger had one already."""

    runbook: str
    version: str
    trigger: Trigger
    wake_at: datetime
    context: JSONObject
    message: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One alert, with the runs that it starts when it opens, keeps open or closes an incident."""

    alert: Alert
    on_firing: tuple[RunStart, ...] = ()
    on_resolved: tuple[RunStart, ...] = ()
    failed: tuple[str, ...] = ()
    """Runbooks whose condition could not be evaluated for this alert, each with the reason."""


@dataclass(frozen=True, slots=True)
class Intake:
    """One notification, parsed and matched, for one transaction. `body` is kept for replay."""

    sender: str
    source: str
    received_at: datetime
    body: bytes
    truncated: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Truncated:
    """A notification whose sender dropped the tail, which nobody has asked for yet."""

    notification_id: str
    sender: str
    source: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a notification: each candidate's fate in order, and the runs it began."""

    notification_id: str
    fates: tuple[Fate, ...]
    incident_ids: tuple[str | None, ...]
    started: tuple[str, ...]
    cancelled: tuple[str, ...]
    cancelled_runbooks: tuple[str, ...] = ()
    """The runbook of each cancelled run, in the same order."""


# ---------------------------------------------------------------------------------- runs


@dataclass(frozen=True, slots=True)
class RunbookRecord:
    """A version of a runbook that runs may refer to; kept as long as a run does."""

    version: str
    name: str
    file: str
    source: str
    description: str
    owner: str
    links: Mapping[str, str]
    substance: str = ""


Check = Callable[[History], tuple[Verdict, ...]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Judge with the history of this very transaction; anything but allow writes nothing.

    `look` says what of the past is read.
    """

    check: Check
    look: LookBack = field(default_factory=LookBack)


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """Everything that changes in one transition of a claimed run; all of it or nothing.

    Args:
        epoch: from the claim; a run that was cancelled, decided or taken over has another.
        wake_at: when a worker should take the run up again; None only for ended and interrupted.
        release: hand the claim back (the run waits). Ending releases by itself.
        target: shown in lists; None leaves it.
        steps: written by (sequence, attempt).
        ask: a new approval request; an older open one becomes void.
        close_approval: what an open request becomes.
        close_why: kept with it, where the status alone does not say.
        reminded: how many of an open request's reminders have been sent by now.
        lock: target keys to hold until the run ends (an interrupted run keeps them).
        guard: judged first.
        verdicts: kept with the run for people; None leaves them.
        spawn: runs for raised limits, `Trigger.EXPIRY`, each with the step to take back; a step
            whose end is waited for already gets no second one.
        not_raised: ids of steps that leave no raised limit after all; its end is cancelled.
    """

    run_id: str
    epoch: int
    to: RunState
    reason: Reason
    at: datetime
    message: str = ""
    wake_at: datetime | None = None
    deadline_at: datetime | None = None
    release: bool = False
    target: str | None = None
    steps: tuple[Step, ...] = ()
    ask: ApprovalRequest | None = None
    close_approval: ApprovalStatus | None = None
    close_why: str = ""
    reminded: int | None = None
    lock: tuple[str, ...] = ()
    guard: Guard | None = None
    verdicts: tuple[Verdict, ...] | None = None
    facts: tuple[Fact, ...] = ()
    notes: tuple[Note, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    spawn: tuple["Expiry", ...] = ()
    not_raised: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expiry:
    """A raised limit: at `due_at` a new run takes `step` back."""

    step: Step
    due_at: datetime


class Written(StrEnum):
    """What became of a run update."""

    DONE = "done"
    FENCED = "fenced"  # the run is no longer ours: drop everything in hand
    LOCKED = "locked"  # another run holds a target; nothing was written
    GUARDED = "guarded"  # a guardrail said no; nothing was written
    STOPPED = "stopped"  # a person asked to cancel the run before its next change; likewise


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    """`verdicts` are the guard's, `holder` the run that holds the lock. `run` is as written."""

    written: Written
    verdicts: tuple[Verdict, ...] = ()
    holder: str = ""
    run: Run | None = None


class Due(StrEnum):
    """What somebody should look at after a commit."""

    RUNS = "runs"  # one that nobody has in hand
    NOTES = "notes"


class CancelOutcome(StrEnum):
    """What became of a person's cancel."""

    CANCELLED = "cancelled"
    REQUESTED = "requested"  # a change is in hand; the run ends after it
    ALREADY_ENDED = "already_ended"
    UNDOING = "undoing"  # the way back is never blocked
    UNKNOWN = "unknown"


class ResumeHow(StrEnum):
    """What a person found out about the step that an interrupted run was in."""

    DONE = "done"  # it was carried out: go on after it
    REPEAT = "repeat"  # it was not: carry it out
    UNDO = "undo"  # take back what was done


# ---------------------------------------------------------------------------------- outbox


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One note for one notifier; the oldest undelivered of its run and notifier.

    `storm` names the storm that its run is told in, empty where it is in none.
    """

    id: int
    notifier: str
    note: Note
    attempts: int
    ref: JSONObject | None
    storm: str = ""


# ---------------------------------------------------------------------------------- reads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, newest first; `next` is the cursor of the following one."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Figures for metrics: how much waits."""

    runs: Mapping[RunState, int]
    open_incidents: int
    outbox: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Prunable:
    """How much is older than a time, and over."""

    notifications: int
    runs: int
    incidents: int
    audit_records: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What an engine needs to open: the notifiers that every note goes to, and who we are."""

    node: str
    subscribers: tuple[str, ...] = ()
    pagers: tuple[str, ...] = ()
    write_queue: int = 4096
    on_due: Callable[[frozenset["Due"]], None] = field(default=lambda _: None)
    """Called in the event loop after a commit that made something due: a hint to look."""
    on_broken: Callable[[], None] = field(default=lambda: None)
    """Called in the event loop when the journal will never be written again through this handle."""
    on_dead: Callable[[], None] = field(default=lambda: None)
    """Called in the event loop when this node was declared dead: stop, and join anew."""
    duties: tuple[str, ...] = ()
    """What this node is ready to do for all, each of which one node at a time does."""


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
        self, *, since: datetime, runbook: str | None = None, substance: str | None = None
    ) -> tuple[RunCount, ...]:
        """Count the runs that have ended since then, by how they did."""
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
