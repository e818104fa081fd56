"""One transition of a claimed run, with all that belongs to it, or nothing of it.

The order: is the run still ours, is the transition legal, does the guard allow it on what this very
transaction sees, are the targets free; only then is anything written.
"""

from remediator.journal import (
    approvals,
    facts,
    history,
    locks,
    outbox,
    raised_limits,
    runs,
    steps,
    transitions,
)
from remediator.journal.protocol import RunUpdate, UpdateOutcome, Written
from remediator.journal.statements import Env, Operation, Record
from remediator.journal.transitions import Move
from remediator.model.runs import Run, RunState
from remediator.model.verdicts import Ruling, Verdict

ACTOR = "remediator"


def write(env: Env, update: RunUpdate) -> Operation[UpdateOutcome]:
    """Carry out one transition of a claimed run.

    Raises:
        IllegalTransition: the table does not have it.
        ValueError: the run would go on and nothing would take it up, or a step, note or question
            of another run came along.
    """
    run = yield from runs.get(update.run_id, lock=True)
    if run is None or run.epoch != update.epoch or run.owner != env.node:
        return UpdateOutcome(Written.FENCED)
    move = _move(run, update)
    transitions.after(move)  # refuse what is wrong before a guard is asked
    _same_run(update)
    verdicts: tuple[Verdict, ...] = ()
    if update.guard is not None and run.cancel_requested_by:
        return UpdateOutcome(Written.STOPPED, run=run)
    if update.guard is not None:
        known = yield from history.read(run_id=run.id, since=update.guard.since, at=update.at)
        verdicts = update.guard.check(known)
        if any(verdict.ruling is not Ruling.ALLOW for verdict in verdicts):
            return UpdateOutcome(Written.GUARDED, verdicts=verdicts)
    if update.lock:
        holder = yield from locks.take(update.lock, run_id=run.id, epoch=run.epoch, at=update.at)
        if holder:
            return UpdateOutcome(Written.LOCKED, verdicts=verdicts, holder=holder)
    yield from steps.write(update.steps)
    if update.close_approval is not None:
        yield from approvals.close([run.id], update.close_approval)
    if update.audit:
        yield Record(update.audit)
    (written,) = yield from transitions.carry_out(env, [move], announce=False)
    if update.ask is not None:
        yield from approvals.ask(update.ask)
    yield from facts.write(update.facts, update.at)
    yield from outbox.put(env, update.notes)
    yield from raised_limits.keep(env, run, update)
    return UpdateOutcome(Written.DONE, verdicts=verdicts, run=written)


def _move(run: Run, update: RunUpdate) -> Move:
    wake_at = update.wake_at
    if wake_at is None and not update.release and update.to.claimable:
        # In hand: should this daemon die, the run is due at once.
        wake_at = update.at
    return Move(
        run=run,
        to=update.to,
        reason=update.reason,
        message=update.message,
        at=update.at,
        actor=ACTOR,
        wake_at=wake_at,
        deadline_at=update.deadline_at,
        keep_claim=not update.release,
        target=update.target,
        verdicts=update.verdicts,
    )


def _same_run(update: RunUpdate) -> None:
    strangers = [
        *(step.run_id for step in update.steps if step.run_id != update.run_id),
        *(note.run_id for note in update.notes if note.run_id != update.run_id),
    ]
    if update.ask is not None and update.ask.run_id != update.run_id:
        strangers.append(update.ask.run_id)
    if strangers:
        raise ValueError(f"an update of run {update.run_id} writes to run {strangers[0]}")
    if update.ask is not None and update.to is not RunState.AWAITING_APPROVAL:
        raise ValueError(f"run {update.run_id} asks for approval and goes to {update.to}")
