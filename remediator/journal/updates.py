"""Transitions of claimed runs, each with all that belongs to it, or nothing of it.

The order, for each: is the run still ours, is the transition legal, does the guard allow it on what
this very transaction sees, are the targets free; only then is anything written. What waits at the
same time is judged one after the other, in memory, and written set by set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from remediator.journal import (
    approvals,
    facts,
    history,
    locks,
    outbox,
    overrides,
    raised_limits,
    runs,
    steps,
    transitions,
)
from remediator.journal.history import Past
from remediator.journal.statements import Env, Operation
from remediator.journal.transitions import Move
from remediator.journal.values import RunUpdate, UpdateOutcome, Written
from remediator.model.approvals import ApprovalStatus
from remediator.model.runs import Run, RunState
from remediator.model.verdicts import Ruling, Verdict

ACTOR = "remediator"


class _Accepted(NamedTuple):
    """An update that is to be written."""

    update: RunUpdate
    run: Run
    move: Move
    verdicts: tuple[Verdict, ...]


@dataclass(slots=True)
class _Judged:
    """What was decided about updates of different runs."""

    outcomes: dict[str, UpdateOutcome] = field(default_factory=dict)
    accepted: list[_Accepted] = field(default_factory=list)


def write(env: Env, updates: Sequence[RunUpdate]) -> Operation[list[UpdateOutcome]]:
    """Carry out transitions of claimed runs; an outcome for each.

    Raises:
        IllegalTransition: the table does not have one of them.
        ValueError: a run would go on and nothing would take it up, or a step, note or question
            of another run came along.
    """
    outcomes: dict[int, UpdateOutcome] = {}
    for places in _waves(updates):
        written = yield from _write_wave(env, [updates[place] for place in places])
        outcomes.update({place: written[updates[place].run_id] for place in places})
    return [outcomes[place] for place in range(len(updates))]


def _waves(updates: Sequence[RunUpdate]) -> Iterator[list[int]]:
    """Part updates so that each part has at most one of a run, in their order."""
    waiting = list(range(len(updates)))
    while waiting:
        seen: set[str] = set()
        now: list[int] = []
        later: list[int] = []
        for place in waiting:
            run_id = updates[place].run_id
            (later if run_id in seen else now).append(place)
            seen.add(run_id)
        yield now
        waiting = later


def _write_wave(env: Env, wave: Sequence[RunUpdate]) -> Operation[dict[str, UpdateOutcome]]:
    found = yield from runs.locked([update.run_id for update in wave])
    ours = {id_: run for id_, run in found.items() if run.owner == env.node}
    past = yield from history.gather(wave, ours)
    judged = _judge(wave, ours, past)
    accepted = judged.accepted
    if not accepted:
        return judged.outcomes
    updates = [one.update for one in accepted]
    yield from locks.insert([(one.run, one.update.lock) for one in accepted], at=updates[0].at)
    yield from steps.write([step for update in updates for step in update.steps])
    for status in ApprovalStatus:
        closing = [update for update in updates if update.close_approval is status]
        yield from approvals.close(
            [update.run_id for update in closing], status, [update.close_why for update in closing]
        )
    yield from approvals.reminded(
        [(update.run_id, update.reminded) for update in updates if update.reminded is not None]
    )
    moved = yield from transitions.carry_out(
        env,
        [one.move for one in accepted],
        announce=False,
        before=[update.audit for update in updates],
    )
    for update in updates:
        if update.ask is not None:
            yield from approvals.ask(update.ask)
    yield from facts.write([(fact, update.at) for update in updates for fact in update.facts])
    yield from outbox.put(env, [note for update in updates for note in update.notes])
    yield from overrides.use(
        [
            (one.run, given)
            for one in accepted
            for given in past.overrides.get(one.run.id, ())
            if given.id in {verdict.override for verdict in one.verdicts}
        ],
        at=updates[0].at,
    )
    for one in accepted:
        yield from raised_limits.keep(env, one.run, one.update)
    for one, run in zip(accepted, moved, strict=True):
        judged.outcomes[run.id] = UpdateOutcome(Written.DONE, verdicts=one.verdicts, run=run)
    return judged.outcomes


def _judge(wave: Sequence[RunUpdate], ours: dict[str, Run], past: Past) -> _Judged:
    judged = _Judged()
    for update in wave:
        run = ours.get(update.run_id)
        if run is None or run.epoch != update.epoch:
            judged.outcomes[update.run_id] = UpdateOutcome(Written.FENCED)
            continue
        move = _move(run, update)
        transitions.after(move)  # refuse what is wrong before a guard is asked
        _same_run(update)
        outcome = _outcome(run, update, past)
        if outcome.written is Written.DONE:
            judged.accepted.append(_Accepted(update, run, move, outcome.verdicts))
            past.add(run, update)
        else:
            judged.outcomes[run.id] = outcome
    return judged


def _outcome(run: Run, update: RunUpdate, past: Past) -> UpdateOutcome:
    """Say whether an update may be written, on the past that includes those before it."""
    verdicts: tuple[Verdict, ...] = ()
    if update.guard is not None:
        if run.cancel_requested_by:
            return UpdateOutcome(Written.STOPPED, run=run)
        verdicts = update.guard.check(
            past.of(run.id, update.guard.look, update.at, past.still_open(run))
        )
        if any(verdict.ruling is not Ruling.ALLOW for verdict in verdicts):
            return UpdateOutcome(Written.GUARDED, verdicts=verdicts)
    holder = past.holder_of_any(update.lock, besides=run.id)
    if holder:
        return UpdateOutcome(Written.LOCKED, verdicts=verdicts, holder=holder)
    return UpdateOutcome(Written.DONE, verdicts=verdicts)


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
        outputs=update.outputs,
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
