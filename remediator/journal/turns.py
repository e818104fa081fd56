"""Whose turn it is: what becomes of a run that wants to begin while others of its line go on.

Decided under the gate of intents (`history`), so that two replicas never let two runs begin that
must not go on side by side. A run takes its turn once, before it is planned, and keeps it to its
end, whatever it waits for in between.
"""

from collections.abc import Sequence
from datetime import datetime

from remediator.journal import history, lines, runs, steps, transitions
from remediator.journal.lines import Place
from remediator.journal.statements import Env, Operation, Record
from remediator.journal.transitions import Move
from remediator.journal.values import AuditEntry, Turn, Turned, TurnOutcome
from remediator.model.reasons import Reason
from remediator.model.repeats import RepeatMode
from remediator.model.runs import TRANSITIONS, Run, RunState


def take(env: Env, run_id: str, turn: Turn, *, epoch: int, at: datetime) -> Operation[TurnOutcome]:
    """Give a run its turn, or a place in its line, or nothing. See `Journal.take_turn`."""
    # Their rows before the gate, in order: everybody else locks them so.
    near = {place.run_id for place in (yield from lines.standing(turn.line))}
    stops = turn.mode is RepeatMode.RESTART
    locked = yield from runs.locked([run_id, *near] if stops else [run_id])
    run = locked.get(run_id)
    if run is None or run.epoch != epoch or run.owner != env.node:
        return TurnOutcome(Turned.FENCED)
    if run.has_turn and run.line == turn.line:
        return TurnOutcome(Turned.TAKEN)
    yield from history.pass_gate()
    others = [p for p in (yield from lines.standing(turn.line)) if p.run_id != run_id]
    joins = run.line != turn.line
    stopped: tuple[Run, ...] = ()
    if stops and joins:
        if any(place.run_id not in locked for place in others):
            return TurnOutcome(Turned.AGAIN)
        stopped = yield from _stop(env, [locked[p.run_id] for p in others], run, at)
        gone = {one.id for one in stopped}
        others = [place for place in others if place.run_id not in gone]
    turned = _decide(turn, run, others, joins=joins)
    before = _before(turned, run, others)
    if turned is Turned.TAKEN or (turned is Turned.WAITS and joins):
        yield from lines.stand(run_id, turn.line, has_turn=turned is Turned.TAKEN)
    if turned is Turned.WAITS and joins:
        yield Record([_queued(run, before, at)])
    return TurnOutcome(turned, before, stopped)


def _decide(turn: Turn, run: Run, others: Sequence[Place], *, joins: bool) -> Turned:
    going = [place for place in others if place.has_turn]
    waiting = [place for place in others if not place.has_turn]
    match turn.mode:
        case RepeatMode.SINGLE:
            return Turned.REFUSED if others else Turned.TAKEN
        case RepeatMode.PARALLEL:
            full = turn.most is not None and len(going) >= turn.most
            return Turned.FULL if full else Turned.TAKEN
        case RepeatMode.RESTART:
            # Whoever waits is the newest: an older one that waited was stopped by it.
            return Turned.WAITS if going else Turned.TAKEN
        case RepeatMode.QUEUED:
            if not going and all(place.run_id > run.id for place in waiting):
                return Turned.TAKEN
            full = turn.most is not None and len(waiting) >= turn.most
            return Turned.FULL if joins and full else Turned.WAITS


def _before(turned: Turned, run: Run, others: Sequence[Place]) -> tuple[str, ...]:
    if turned is Turned.TAKEN:
        return ()
    if turned is Turned.WAITS:
        others = [place for place in others if place.has_turn or place.run_id < run.id]
    first = [place.run_id for place in others if place.has_turn]
    return (*first, *(place.run_id for place in others if not place.has_turn))


def _stop(env: Env, others: Sequence[Run], by: Run, at: datetime) -> Operation[tuple[Run, ...]]:
    """Cancel those that have changed nothing; their questions become void."""
    changed = yield from steps.runs_that_changed([one.id for one in others])
    untouched = [one for one in others if one.id not in changed and _can_be_stopped(one)]
    if not untouched:
        return ()
    message = (
        f"Replaced by run {by.id}, a further run of {by.runbook} that was started by"
        f" {by.started_by}, before anything was changed"
    )
    stopped = yield from transitions.carry_out(
        env,
        [
            Move(
                run=one,
                to=RunState.CANCELLED,
                reason=Reason.RESTARTED,
                message=message,
                at=at,
                actor="remediator",
                fence=True,
            )
            for one in untouched
        ],
        announce=True,
    )
    return tuple(stopped)


def _can_be_stopped(run: Run) -> bool:
    # An interrupted run is for a person, whatever is on record of it.
    return RunState.CANCELLED in TRANSITIONS[run.state] and run.state is not RunState.INTERRUPTED


def _queued(run: Run, before: Sequence[str], at: datetime) -> AuditEntry:
    return AuditEntry(
        kind="run.queued",
        actor="remediator",
        at=at,
        details={"behind": list(before), "message": f"waits for the end of run {before[0]}"},
        run_id=run.id,
        incident_id=run.incident_id,
    )
