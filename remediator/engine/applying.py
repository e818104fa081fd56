"""Carry out a run's steps in order; of a block several lanes at once.

A stage of `run`. What one step's outcome has to say is written together with the next step's
intent, so that n steps cost n + 1 commits. One step is `changing`'s, the lanes of a block are
`lanes`', and what is written where it goes no further is `halting`'s.
"""

from itertools import groupby
from operator import attrgetter

from remediator.engine import changing, halting, lanes, outputs
from remediator.engine import verify as verifying
from remediator.engine.floor import Floor
from remediator.engine.halting import Halt
from remediator.engine.hand import Hand
from remediator.engine.unwritten import Unwritten
from remediator.journal.values import RunUpdate
from remediator.model.reasons import Reason
from remediator.model.runs import StepState
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.runbook import Block, CompiledStep


async def apply_steps(held: Hand) -> None:
    """Go on from the first unfinished step until the run waits, verifies or goes wrong."""
    unwritten = Unwritten()
    halts = await _take_up(held, unwritten)
    while not halts:
        try:
            following = _following(held)
        except ExpressionFailed as error:
            halts = [lanes.no_list(error)]
            continue
        if held.stops:
            # No further change is begun; what was done is put on record, and `run` hands it back.
            halts = [halting.Stopped()]
        elif held.run.cancel_requested_by:
            halts = [halting.Cancelled()]
        elif following is None:
            break
        elif isinstance(following, Block):
            halts = await lanes.carry(held, following, unwritten)
        else:
            halt = await changing.begin(held, following, unwritten, Floor())
            halts = [halt] if halt is not None else []
    if halts:
        await halting.write(held, halts, unwritten)
    else:
        await unwritten.write(held, _all_done(held))


async def _take_up(held: Hand, unwritten: Unwritten) -> list[Halt]:
    """Find the outcome of every change that was in hand when the daemon stopped, one after the
    other, whatever was asked for meanwhile; and of a failure that nobody acted upon, what follows.
    """
    halts: list[Halt] = []
    for row in sorted(held.rows.values(), key=attrgetter("sequence")):
        if held.stops:
            halts.append(halting.Stopped())
            break
        if row.state is StepState.STARTED:
            one = held.step_of(row)
            halt = await changing.finish_started(held, one, row, unwritten)
            halts += [halt] if halt is not None else []
        elif row.state is StepState.FAILED:
            # Lanes beside it were watched to their end when the daemon stopped; it was why.
            reason = held.run.reason if held.run.reason in _FAILURES else Reason.APPLY_FAILED
            halts.append(halting.Failing(reason, f"{row.step_id}: {row.message}"))
    return halts


_FAILURES = frozenset(
    {
        Reason.APPLY_FAILED,
        Reason.STALE,
        Reason.NOT_HEALTHY,
        Reason.STEP_TIMEOUT,
        Reason.PLAN_FAILED,
        Reason.EXPRESSION_FAILED,
        Reason.EXPECTATION_UNMET,
    }
)


def _following(held: Hand) -> CompiledStep | Block | None:
    """Return what is not finished yet.

    Raises:
        ExpressionFailed: the list of a block that was come to can't be told.
    """
    for block, steps in groupby(held.runbook.steps, key=attrgetter("block")):
        if block is not None:
            if any(not held.finished(one) for lane in held.lanes(block) for one in lane):
                found: Block = block
                return found
            continue
        for one in steps:
            if not held.finished(one):
                return one
    return None


def _all_done(held: Hand) -> RunUpdate:
    # A change that somebody else was faster to make is worth watching as well.
    repaired = any(row.plan is not None for row in held.rows.values())
    if repaired and verifying.watchable(held):
        return verifying.watch(held, "every step is done")
    message = "every step is done" if held.changed else "nothing had to be changed"
    reason = Reason.DONE if held.changed else Reason.NOTHING_TO_DO
    return outputs.succeeded(held, reason, message)
