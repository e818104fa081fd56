"""May a run begin, with others of its runbook going on? What the runbook says under `repeat`.

Asked by `run` when a run wants to leave `pending`; the journal decides (`journal.turns`), so that
two replicas never disagree. A run that waits for its turn is a row, however long it waits: that is
not counted against `worker.give_up`.
"""

import hashlib
from collections.abc import Sequence

from remediator.engine import within
from remediator.engine.ending import failed
from remediator.engine.hand import Fenced, Hand
from remediator.journal.values import Turn, Turned, TurnOutcome
from remediator.model.reasons import Reason
from remediator.model.repeats import RepeatMode
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.observe import metrics
from remediator.runbook.expressions import ExpressionFailed

# A key is a label or two; what is longer is told apart by its digest.
_LONGEST_KEY = 200


def waits(held: Hand) -> bool:
    """Whether the run stands in its line already, and it was not its turn when it looked last."""
    return bool(held.run.line) and not held.run.has_turn


async def take(held: Hand) -> bool:
    """Take the run's turn. Returns whether it has it; else the run was made to wait, or has ended.

    Raises:
        Fenced: the run is no longer ours.
    """
    repeat = held.runbook.repeat
    if repeat.mode is RepeatMode.PARALLEL and repeat.most is None:
        return True
    try:
        line = _line(held)
    except ExpressionFailed as error:
        text = f"repeat.key can't be told: {error}"
        await held.write(failed(held, Reason.EXPRESSION_FAILED, text))
        return False
    most = repeat.most_waiting if repeat.mode is RepeatMode.QUEUED else repeat.most
    outcome = await _asked(held, Turn(line, repeat.mode, most))
    for stopped in outcome.stopped:
        metrics.run_ended(stopped.runbook, stopped.state, stopped.reason)
    match outcome.turned:
        case Turned.TAKEN:
            return True
        case Turned.WAITS:
            await _wait(held, outcome.before)
        case Turned.REFUSED:
            message = f"run {outcome.before[0]} of {held.run.runbook} goes on already"
            await held.write(held.update(RunState.SUPPRESSED, Reason.ALREADY_RUNNING, message))
        case Turned.FULL:
            await held.write(held.update(RunState.SUPPRESSED, Reason.QUEUE_FULL, _full(held, most)))
        case Turned.FENCED:
            raise Fenced(held.run.id)
        case Turned.AGAIN:
            pass  # the daemon stops; whoever claims the run next asks again
    return False


async def _asked(held: Hand, turn: Turn) -> TurnOutcome:
    while True:
        outcome = await held.ports.journal.take_turn(
            held.run.id, turn, epoch=held.run.epoch, at=held.now
        )
        # Each time, another run has come in between; with as many, somebody else is first.
        if outcome.turned is not Turned.AGAIN or await within.nap(
            held.ports.clock, held.ports.pace.poll, held.stopping
        ):
            return outcome


async def _wait(held: Hand, before: Sequence[str]) -> None:
    others = len(before) - 1
    more = f" and {others} more" if others else ""
    message = f"waits for the end of run {before[0]}{more} of {held.run.runbook}"
    # Told once: how the line moves on is no news.
    first = held.run.reason is not Reason.QUEUED
    notes = (held.note(NoteKind.STATE, message),) if first else ()
    until = held.now + held.ports.pace.hold
    await held.wait(Reason.QUEUED, message, until, deadline_at=None, notes=notes)


def _full(held: Hand, most: int | None) -> str:
    queued = held.runbook.repeat.mode is RepeatMode.QUEUED
    one = most == 1
    what = ("waits" if one else "wait") if queued else ("goes on" if one else "go on")
    return (
        f"{most} run{'' if one else 's'} of {held.run.runbook} {what} already,"
        f" and repeat.most is {most}"
    )


def _line(held: Hand) -> str:
    key = held.runbook.repeat_key(held.run.context)
    if len(key) > _LONGEST_KEY:
        key = hashlib.sha256(key.encode()).hexdigest()
    return f"{held.run.runbook}/{key}"
