"""The one place that writes a run's state.

Every caller (worker, decision, cancel, resume, a resolved alert) hands in `Move`s; each is checked
against the transition table and recorded in the audit chain, and what an end entails is done here:
locks are released, the open question becomes void, whoever waited for the run's turn is woken,
nothing wakes or owns the run any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from remediator.journal import approvals, clocks, coding, lines, locks, outbox, silences
from remediator.journal.statements import Env, Many, Operation, Record, Wake
from remediator.journal.times import to_us, to_us_or_none
from remediator.journal.values import AuditEntry, Due
from remediator.model import runs
from remediator.model.approvals import ApprovalStatus
from remediator.model.reasons import Reason
from remediator.model.runs import Outputs, Run, RunState
from remediator.model.verdicts import Verdict
from remediator.model.views import Note, NoteKind

_UPDATE = """
    UPDATE runs SET state = $2, reason = $3, message = $4, target = $5, epoch = $6, owner = $7,
        wake_us = $8, started_us = $9, ended_us = $10, cancel_requested_by = $11,
        deadline_us = $12, verdicts = COALESCE($13, verdicts), moved_us = $14,
        outputs = COALESCE($15, outputs)
    WHERE id = $1
"""


# After these nobody need be called any more.
_WELL = frozenset({RunState.SUCCEEDED, RunState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Move:
    """One run's way from its present state to another (or to itself, with a new reason).

    Args:
        run: as it was read in this transaction, locked.
        wake_at: when a worker takes it up; of no meaning for an end.
        keep_claim: the worker that has the run in hand goes on with it.
        fence: raise the epoch, so that a worker that has the run in hand can write nothing more.
        target: shown in lists; None leaves it.
        verdicts: kept with the run; None leaves them.
        outputs: likewise.
    """

    run: Run
    to: RunState
    reason: Reason
    message: str
    at: datetime
    actor: str
    wake_at: datetime | None = None
    deadline_at: datetime | None = None
    keep_claim: bool = False
    fence: bool = False
    target: str | None = None
    verdicts: tuple[Verdict, ...] | None = None
    outputs: Outputs | None = None


def after(move: Move) -> Run:
    """Return the run as it will be.

    Raises:
        IllegalTransition: the table does not have this transition.
        ValueError: the run would go on, and nothing would ever take it up.
    """
    run, to = move.run, move.to
    runs.check(run.state, to)
    rests = not to.claimable
    if not rests and move.wake_at is None:
        raise ValueError(f"run {run.id} goes to {to} without wake_at: nothing would take it up")
    return replace(
        run,
        state=to,
        reason=move.reason,
        message=move.message,
        target=run.target if move.target is None else move.target,
        epoch=run.epoch + (1 if move.fence else 0),
        owner=run.owner if move.keep_claim and not rests else None,
        wake_at=None if rests else move.wake_at,
        deadline_at=None if rests else _deadline(move),
        ended_at=move.at if to.ended else None,
        moved_at=move.at,
    )


def _deadline(move: Move) -> datetime | None:
    """Return a run's deadline; one that was set under a clock that was ahead is brought back."""
    run, deadline = move.run, move.deadline_at
    if deadline is None or deadline != run.deadline_at or run.moved_at is None:
        return deadline
    ahead = run.moved_at - move.at
    return deadline - ahead if ahead > clocks.SLACK else deadline


def carry_out(
    env: Env,
    moves: Sequence[Move],
    *,
    announce: bool,
    before: Sequence[Sequence[AuditEntry]] = (),
) -> Operation[list[Run]]:
    """Write moves of runs that were read in this transaction.

    Args:
        announce: queue a note of each for all subscribers; a worker brings its own notes.
        before: what goes on record before each of the moves.

    Raises:
        IllegalTransition, ValueError: see `after`; the transaction must not be committed.
    """
    written = [after(move) for move in moves]
    yield Many(_UPDATE, [_row(m, run) for m, run in zip(moves, written, strict=True)])
    if any(run.owner is None and run.wake_at is not None for run in written):
        yield Wake(Due.RUNS)
    ended = [run.id for run in written if run.state.ended]
    if ended:
        yield from locks.release(ended)
        yield from silences.end(ended, at=moves[0].at)
        yield from lines.wake(
            {run.line for run in written if run.state.ended} - {""}, at=moves[0].at
        )
    well = [run.id for run in written if run.state in _WELL]
    if well:
        why = "the run ended well, or was stopped"
        yield from outbox.drop_later(well, why=why, actor=moves[0].actor, at=moves[0].at)
    left = [
        run.id
        for move, run in zip(moves, written, strict=True)
        if run.state is not RunState.AWAITING_APPROVAL
        and (run.state.ended or move.run.state is RunState.AWAITING_APPROVAL)
    ]
    if left:
        yield from approvals.close(left, ApprovalStatus.VOID)
    changed = [move for move in moves if move.to is not move.run.state]
    entries: list[AuditEntry] = []
    for place, move in enumerate(moves):
        entries += before[place] if before else ()
        if move.to is not move.run.state:
            entries.append(_entry(move))
    if entries:
        yield Record(entries)
    if changed and announce:
        yield from outbox.put(env, [_note(move) for move in changed])
    return written


def _row(move: Move, run: Run) -> tuple[object, ...]:
    return (
        run.id,
        run.state.value,
        run.reason.value,
        run.message,
        run.target,
        run.epoch,
        run.owner,
        to_us_or_none(run.wake_at),
        to_us_or_none(run.started_at),
        to_us_or_none(run.ended_at),
        run.cancel_requested_by,
        to_us_or_none(run.deadline_at),
        None if move.verdicts is None else coding.verdicts_to_text(move.verdicts),
        to_us(move.at),
        None if move.outputs is None else coding.outputs_to_text(move.outputs),
    )


def _entry(move: Move) -> AuditEntry:
    return AuditEntry(
        kind="run.state",
        actor=move.actor,
        at=move.at,
        details={
            "from": move.run.state.value,
            "to": move.to.value,
            "reason": move.reason.value,
            "message": move.message,
        },
        run_id=move.run.id,
        incident_id=move.run.incident_id,
    )


def _note(move: Move) -> Note:
    return Note(kind=NoteKind.STATE, run_id=move.run.id, text=move.message, at=move.at)
