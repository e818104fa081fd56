"""What is handed to the journal and what comes back: frozen values, in the words of the domain.

Each belongs to a method of `protocol.Journal`. Nothing of the journal runs here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from remediator.model.alerts import Alert
from remediator.model.approvals import (
    ApprovalRequest,
    ApprovalStatus,
)
from remediator.model.canonical import JSONObject
from remediator.model.history import History, LookBack
from remediator.model.incidents import Fate
from remediator.model.plans import Fact
from remediator.model.reasons import Reason
from remediator.model.repeats import RepeatMode
from remediator.model.runs import Outputs, Run, RunState, Step, Trigger
from remediator.model.verdicts import Verdict
from remediator.model.views import Note


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
        outputs: what the run leaves; None leaves that.
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
    outputs: Outputs | None = None


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


@dataclass(frozen=True, slots=True)
class Turn:
    """What a run that wants to begin asks for: its turn among the runs of its line.

    `most` is, in `queued`, how many wait at most; in `parallel`, how many have their turn at most
    (None for no limit).
    """

    line: str
    mode: RepeatMode
    most: int | None = None


class Turned(StrEnum):
    """What became of a run that wanted to begin."""

    TAKEN = "taken"  # it is its turn
    WAITS = "waits"  # it stands in its line; others come first
    REFUSED = "refused"  # another goes on, and it is not to wait
    FULL = "full"  # too many wait, or go on, already
    AGAIN = "again"  # somebody came between: ask again
    FENCED = "fenced"  # the run is no longer ours


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """`before` are the runs that come first or go on, in order; `stopped` those that were cancelled
    to make room, as they are now."""

    turned: Turned
    before: tuple[str, ...] = ()
    stopped: tuple[Run, ...] = ()


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
class Kept:
    """What of a span is kept for replay.

    Args:
        notifications: how many raw bodies there are.
        on_record: how many notifications the audit log knows of; those without a body are past
            their retention.
        oldest: when the oldest body that there is was received; None where there is none.
    """

    notifications: int
    on_record: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded notification, without its body; `size` is the body's, in bytes."""

    id: str
    sender: str
    source: str
    received_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Happened:
    """A run that a notification started, and what came of it.

    Args:
        created_at: when its notification was received.
        asked: whether people were asked.
        changed: whether it began to change anything.
        plans: what it planned, each in one line.
    """

    run_id: str
    runbook: str
    trigger: Trigger
    sender: str
    fingerprint: str
    created_at: datetime
    state: RunState
    reason: Reason
    message: str
    verdicts: tuple[Verdict, ...]
    asked: bool
    changed: bool
    plans: tuple[str, ...]


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
