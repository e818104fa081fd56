"""A run in hand: what a worker loaded of it, and the one way to write it on.

A `Hand` is made anew for each claim. `write` is the only thing that moves the run; after it
reports that we were fenced, nothing of the hand may be used.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from remediator.engine import ports, within
from remediator.journal.values import (
    AuditEntry,
    JournalUnavailable,
    Overloaded,
    RunUpdate,
    UpdateOutcome,
    Written,
)
from remediator.model import escalation
from remediator.model.approvals import ApprovalRequest, ApprovalStatus
from remediator.model.canonical import JSONObject
from remediator.model.incidents import Incident
from remediator.model.plans import Plan
from remediator.model.promotion import Track
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, StepState
from remediator.model.verdicts import Verdict
from remediator.model.views import Note, NoteKind, RunView
from remediator.observe import logs, metrics
from remediator.plugin.action import Action
from remediator.plugin.context import Context
from remediator.runbook.runbook import Block, CompiledStep, Runbook, Scope

log = logs.get(__name__)

ACTOR = "remediator"
"""Who the audit log names for what the daemon does by itself."""


_UNTOLD = frozenset({RunState.PLANNING, RunState.AWAITING_APPROVAL})
"""States whose coming is no news of its own: planning takes a moment and what it leads to is told;
a question has its own note. So the first message about a run is one that says something."""


FINISHED = frozenset({StepState.DONE, StepState.SKIPPED, StepState.FAILED, StepState.UNDONE})
"""States of a step that has its outcome."""


class Fenced(Exception):
    """The run was cancelled, decided or taken over meanwhile: drop it, write nothing."""


@dataclass(slots=True)
class Hand:
    """A claimed run with its runbook as it was when the run began, and its steps so far."""

    ports: ports.Ports
    run: Run
    runbook: Runbook
    incident: Incident | None
    rows: dict[int, Step]
    """The newest attempt of each step, by sequence."""
    approval: ApprovalRequest | None
    shown: Mapping[str, Plan] = field(default_factory=dict)
    """Step id → the plan that the newest question showed, as it was when this was loaded."""
    stopping: asyncio.Event | None = None
    """The daemon stops: go to the next safe place and release."""
    track: Track | None = None
    """What the runbook has shown, where the policy demands it (`track.shown`)."""
    incident_read_s: float = float("-inf")
    """When the incident was read out of the journal, on the monotonic clock."""
    lists: dict[str, int] = field(default_factory=dict)
    """Block → how many lanes of it are not vacant, once that is known."""

    @property
    def now(self) -> datetime:
        """The time, from the daemon's clock."""
        return self.ports.clock.now()

    @property
    def ctx(self) -> Context:
        """The context for plugins that work for this run."""
        return self.ports.context_for(
            self.run.id, {"runbook": self.run.runbook, "incident_id": self.run.incident_id}
        )

    @property
    def home(self) -> str:
        """The namespace that the runbook may not leave; empty where it may act anywhere."""
        namespace = self.runbook.namespace
        return "" if namespace in self.ports.unconfined else namespace

    @property
    def stops(self) -> bool:
        """Whether the daemon stops, so that nothing new may be begun."""
        return self.stopping is not None and self.stopping.is_set()

    @property
    def changed(self) -> bool:
        """Whether this run has changed anything, or may have."""
        return any(may_have_changed(row) for row in self.rows.values())

    @property
    def approved_digests(self) -> Mapping[str, str]:
        """Step id → digest of the plan that people said yes to."""
        if self.approval is None or self.approval.status is not ApprovalStatus.APPROVED:
            return {}
        return self.approval.digests

    def scope(self, at: CompiledStep | Block | None = None, *, firing: bool | None = None) -> Scope:
        """Return what the expressions of one place may read now.

        Args:
            at: the step, or the block whose list is asked for; None outside of the steps.
            firing: the alert's state as asked just now; None keeps the one it had at the start.
        """
        told = dict(self.run.context)
        if firing is not None:
            told["alert"] = {**told["alert"], "status": "firing" if firing else "resolved"}
        return self.runbook.scope(
            told,
            run={"id": self.run.id, "name": self.run.runbook},
            now=self.now,
            steps={
                row.step_id: {
                    "result": row.output,
                    "plan": row.plan.to_json() if row.plan else None,
                    "ok": row.state is StepState.DONE,
                    "skipped": row.state is StepState.SKIPPED,
                }
                for row in self.rows.values()
                if row.state not in (StepState.PLANNED, StepState.STARTED)
            },
            at=at,
        )

    def lanes(self, block: Block) -> tuple[tuple[CompiledStep, ...], ...]:
        """Return the lanes of a block that are not vacant, each with its steps in order.

        Raises:
            ExpressionFailed: its list can't be told yet, or is longer than it may be.
        """
        count = self.lists.get(block.id)
        if count is None:
            count = self.lists[block.id] = len(block.values(self.scope(block)))
        lanes: dict[int, list[CompiledStep]] = {number: [] for number in range(count)}
        for one in self.runbook.steps:
            if one.block is block and one.lane < count:
                lanes[one.lane].append(one)
        return tuple(map(tuple, lanes.values()))

    def vacant(self, one: CompiledStep) -> bool:
        """Whether a step stands in a lane for which its block's list has no item.

        Raises:
            ExpressionFailed: as for `lanes`.
        """
        return one.block is not None and one.lane >= len(self.lanes(one.block))

    def finished(self, one: CompiledStep) -> bool:
        """Whether a step has its outcome."""
        row = self.rows.get(one.sequence)
        return row is not None and row.state in FINISHED

    def step_of(self, row: Step) -> CompiledStep:
        """Return the runbook's step that a row belongs to; by id, since a raised limit's run
        holds a single row of its own numbering."""
        return next(step for step in self.runbook.steps if step.id == row.step_id)

    async def prove_alive(self) -> None:
        """Return once it is certain that this run is still ours to change the world for.

        Raises:
            JournalUnavailable: it can't be found out now, or another node has it.
        """
        await self.ports.journal.prove_alive()

    async def write(self, update: RunUpdate) -> UpdateOutcome:
        """Write one transition; on success the hand shows the run as it is now.

        Raises:
            Fenced: the run is no longer ours.
        """
        before = self.run.state
        outcome = await self.ports.journal.write(update)
        if outcome.written is Written.FENCED:
            raise Fenced(self.run.id)
        if outcome.written is Written.DONE:
            assert outcome.run is not None, "a written update returns the run"  # noqa: S101 - contract of the journal
            self.run = outcome.run
            self.rows.update({step.sequence: step for step in update.steps})
            if update.ask:
                self.approval = update.ask
            elif update.close_approval and self.approval:
                self.approval = replace(self.approval, status=update.close_approval)
            if before is not self.run.state:
                _tell(self.run)
            if self.run.state.ended and before is not self.run.state:
                metrics.run_ended(self.run.runbook, self.run.state, self.run.reason)
        count_verdicts(outcome.verdicts)
        return outcome

    async def keep(self, update: RunUpdate) -> UpdateOutcome:
        """Write what was done, and wait while the journal can't be written.

        Only for what came of a change: nobody else knows it, and for some nobody could find out.
        An intent is not kept like that; by the time it could be written it must be decided anew.

        Raises:
            Fenced: as for `write`.
            JournalUnavailable, Overloaded: it could not be written until the daemon stopped.
        """
        while True:
            try:
                return await self.write(update)
            except (JournalUnavailable, Overloaded) as error:
                log.warning("what was done can't be written yet", error=str(error))
                if await self.pause():
                    raise

    async def pause(self) -> bool:
        """Wait a little between two looks. Returns whether the daemon stops."""
        return await within.nap(self.ports.clock, self.ports.pace.poll, self.stopping)

    def update(self, to: RunState, reason: Reason, message: str, **more: Any) -> RunUpdate:
        """Start a transition from the run as it is in hand; it wakes at once unless told later."""
        now = self.now
        more.setdefault("wake_at", None if to.ended or to is RunState.INTERRUPTED else now)
        # A run that holds again for the reason it held for has nothing new to tell.
        again = to is RunState.PENDING and reason is self.run.reason
        if to is not self.run.state and to not in _UNTOLD and not again:
            more["notes"] = (
                *more.pop("notes", ()),
                Note(NoteKind.STATE, self.run.id, message, now),
            )
        return RunUpdate(
            run_id=self.run.id,
            epoch=self.run.epoch,
            to=to,
            reason=reason,
            at=now,
            message=message,
            **more,
        )

    async def wait(self, reason: Reason, message: str, until: datetime, **more: Any) -> None:
        """Hand the claim back; a worker takes the run up again at `until`, or when something
        happens to it earlier. The state's deadline stays."""
        more.setdefault("deadline_at", self.run.deadline_at)
        await self.write(
            self.update(self.run.state, reason, message, wake_at=until, release=True, **more)
        )

    def audit(self, kind: str, details: JSONObject) -> AuditEntry:
        """Make an audit entry about this run."""
        return AuditEntry(
            kind=kind,
            actor=ACTOR,
            at=self.now,
            details=details,
            run_id=self.run.id,
            incident_id=self.run.incident_id,
        )

    def note(self, kind: NoteKind, text: str, to: Sequence[str] = ()) -> Note:
        """Make a note for people about this run."""
        return Note(kind, self.run.id, text, self.now, tuple(to))

    def escalation(self, text: str) -> tuple[Note, ...]:
        """Make the notes that call people: those whom the runbook or the settings name, each when
        it is their turn."""
        calls = self.runbook.on_failure.escalate or self.ports.escalate_to
        to = list(escalation.names(calls))
        log.warning("a person must look", run_id=self.run.id, why=text, to=to)
        return escalation.notes(calls, self.run.id, text, self.now)


def _tell(run: Run) -> None:
    """Log a transition; what a person must look at stands out."""
    tell = log.warning if run.state in _WORRYING else log.info
    tell("run", state=run.state, reason=run.reason, message=run.message, target=run.target)


_WORRYING = frozenset({RunState.FAILED, RunState.ROLLED_BACK, RunState.INTERRUPTED})


def may_have_changed(row: Step) -> bool:
    """Whether a step's change was made, or may have been; such a step has something to undo."""
    if row.plan is None or row.plan.empty:
        return False
    if row.state in (StepState.DONE, StepState.FAILED, StepState.PLANNED):
        return row.changed  # planned and changed: a further attempt, after one that may have worked
    return row.state in (StepState.STARTED, StepState.UNDOING)


def row_for(hand: Hand, step: CompiledStep, **values: Any) -> Step:
    """Make a step's row for the journal, continuing its newest attempt."""
    row = hand.rows.get(step.sequence)
    if row is None:
        row = Step(
            run_id=hand.run.id,
            sequence=step.sequence,
            attempt=1,
            step_id=step.id,
            action=step.operation.name,
            state=StepState.PLANNED,
            plan=None,
            params={},
            message="",
        )
    return replace(row, **values)


def unused(hand: Hand) -> tuple[Step, ...]:
    """Return how the steps end that the run never came to, since what was done has helped.

    A further attempt that was still to come is no skipped step: the one before may have worked.
    """
    return tuple(
        replace(
            row,
            state=StepState.FAILED,
            ended_at=hand.now,
            message=f"{row.message}; the alert cleared before the next one",
        )
        if row.changed
        else replace(row, state=StepState.SKIPPED, message="was not needed")
        for row in hand.rows.values()
        if row.state is StepState.PLANNED
    )


async def load(ports_: ports.Ports, run: Run, stopping: asyncio.Event | None = None) -> Hand:
    """Load what a claimed run needs.

    Raises:
        remediator.engine.library.RunbookGone: its runbook no longer loads.
    """
    runbook = await ports_.library.version(run.version)
    view = await ports_.journal.view(run.id)  # one read holds all of it
    return Hand(
        ports=ports_,
        run=run,
        runbook=runbook,
        incident=view.incident if view else None,
        rows={row.sequence: row for row in view.steps} if view else {},
        approval=view.approval if view else None,
        shown=_shown(view) if view else {},
        stopping=stopping,
        incident_read_s=ports_.clock.monotonic(),
    )


def _shown(view: RunView) -> Mapping[str, Plan]:
    digests = view.approval.digests if view.approval else {}
    return {
        row.step_id: row.plan
        for row in view.steps
        if row.plan is not None and digests.get(row.step_id) == row.plan.digest
    }


def count_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Count what the guardrails said."""
    for verdict in verdicts:
        metrics.counter(metrics.VERDICTS, verdict.rule, verdict.ruling).inc()


def asks_alertmanager(run: Run) -> bool:
    """Whether the run is there because an alert fires, so that it must still fire."""
    return run.about_alert


def is_action(step: CompiledStep) -> bool:
    """Whether the step changes something (else it is a probe)."""
    return isinstance(step.operation, Action)
