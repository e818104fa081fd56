"""What is done to the runs of a restored copy, in one transaction, before any daemon sees it.

The copy is older than the world: whatever it shows as waiting or in hand may have been finished
since, by hand or by the daemon whose journal was lost. So nothing of it is carried on by itself:

* a run that has changed nothing is cancelled; its alert, if it still fires, is for a person;
* a run that has begun to change something is `interrupted`: it keeps its locks, and a person looks
  and says how it goes on; so is a raised limit whose end was still to come;
* notes that had not been delivered are dropped: they may have been, and their questions are void;
* overrides that nobody had used are void: they may have been used since;
* everything is paused until a person lifts it, for the copy knows nothing of the pauses, limits and
  incidents that came after it.

See docs/adr/0012-restored-changes-nothing.md.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from remediator.journal import controls, nodes, outbox, overrides, runs, steps, storms, transitions
from remediator.journal.copies import Copy, Restored
from remediator.journal.statements import Env, Operation, Record
from remediator.journal.transitions import Move
from remediator.journal.values import AuditEntry
from remediator.journal.verify import RESTORED
from remediator.model import escalation
from remediator.model.canonical import JSONObject
from remediator.model.clock import to_text
from remediator.model.escalation import Call
from remediator.model.history import Control
from remediator.model.reasons import Reason
from remediator.model.runs import TRANSITIONS, Run, RunState, Trigger
from remediator.model.views import how_to_resume

Mark: TypeAlias = Callable[[], Operation[Restored]]
"""Makes the operation below, for the engine that restores."""


def restored(
    env: Env,
    copy: Copy,
    *,
    file: str,
    by: str,
    at: datetime,
    escalate_to: Sequence[Call] = (),
) -> Operation[Restored]:
    """Let nothing of a copy be done twice, and put on record that the journal goes on from it."""
    going = yield from runs.unended(besides=RunState.INTERRUPTED)
    changed = yield from steps.runs_that_changed(run.id for run in going)
    look = [run for run in going if run.id in changed and _can_be_interrupted(run)]
    looked = {run.id for run in look}
    leave = [run for run in going if run.id not in looked]
    dropped = yield from outbox.drop_waiting(error="the journal was restored from a copy")
    yield from storms.forget(at=at)
    result = Restored(len(leave), len(look), dropped)
    details: JSONObject = {
        "copy": {"seq": copy.head[0], "hash": copy.head[1], "file": file},
        "newest_at": to_text(copy.newest_at) if copy.newest_at else None,
        "runs_cancelled": result.cancelled,
        "runs_interrupted": result.interrupted,
        "notes_dropped": result.notes_dropped,
    }
    # First: whoever reads on from the copy's head meets the reason before what follows from it.
    yield Record([AuditEntry(RESTORED, by, at, details)])
    yield from nodes.bury_others(env, at)
    since = f"a copy of {copy.newest_at:%Y-%m-%d %H:%M:%S} UTC" if copy.newest_at else "a copy"
    reason = f"the journal was restored from {since}; look, then lift this"
    yield from controls.pause(Control("*", by, reason, at, None))
    yield from transitions.carry_out(
        env,
        [
            _move(
                run,
                RunState.CANCELLED,
                f"The journal was restored from {since}; this run may have gone on since then and"
                " is not carried on. If its alert still fires, look at it",
                by,
                at,
            )
            for run in leave
        ],
        announce=True,
    )
    yield from _interrupt(env, look, since, by, at, escalate_to)
    yield from overrides.withdraw(at)
    return result


def _interrupt(
    env: Env, look: Sequence[Run], since: str, by: str, at: datetime, escalate_to: Sequence[Call]
) -> Operation[None]:
    message = (
        f"The journal was restored from {since}; this run had begun to change something, and what"
        " became of it since then is not on record"
    )
    # What was to be taken back later has no way to `interrupted` but through `undoing`.
    late = [run for run in look if run.state is RunState.PENDING]
    moved = yield from transitions.carry_out(
        env, [_move(run, RunState.UNDOING, message, by, at) for run in late], announce=False
    )
    now = {run.id: run for run in moved}
    yield from transitions.carry_out(
        env,
        [_move(now.get(run.id, run), RunState.INTERRUPTED, message, by, at) for run in look],
        announce=True,
    )
    calls = [
        note
        for run in look
        for note in escalation.notes(
            escalate_to, run.id, f"{run.runbook}: {message}. {how_to_resume(run.id)}", at
        )
    ]
    yield from outbox.put(env, calls)


def _can_be_interrupted(run: Run) -> bool:
    if run.state is RunState.PENDING:
        return run.trigger is Trigger.EXPIRY
    return RunState.INTERRUPTED in TRANSITIONS[run.state]


def _move(run: Run, to: RunState, message: str, by: str, at: datetime) -> Move:
    return Move(
        run=run,
        to=to,
        reason=Reason.RESTORED,
        message=message,
        at=at,
        actor=by,
        wake_at=at,
        fence=True,
    )
