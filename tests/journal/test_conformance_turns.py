"""Proves, over every engine, how runs of one runbook take turns (`repeat`): which may begin, which
waits behind which, which is stopped for another, and that nobody waits for ever.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from remediator.journal.protocol import Journal
from remediator.journal.values import CancelOutcome, Turn, Turned, TurnOutcome, Written
from remediator.model.approvals import ApprovalStatus
from remediator.model.reasons import Reason
from remediator.model.repeats import RepeatMode
from remediator.model.runs import Run, RunState, StepState, Trigger
from tests.journal import factories as make
from tests.journal.factories import RUNBOOK, T0, after

_SINGLE = Turn("scale-out/api", RepeatMode.SINGLE)
_QUEUED = Turn("scale-out/api", RepeatMode.QUEUED, 2)
_RESTART = Turn("scale-out/api", RepeatMode.RESTART)


async def _claimed(journal: Journal, count: int) -> Sequence[Run]:
    """Start so many runs by hand, and claim them; oldest first."""
    await journal.register([RUNBOOK])
    for _ in range(count):
        await journal.start_run(make.start(trigger=Trigger.MANUAL), by="api:al", at=T0)
    found = await journal.claim(at=T0, limit=count)
    assert len(found) == count
    return sorted(found, key=lambda run: run.id)


async def _ask(journal: Journal, run: Run, turn: Turn, *, at: datetime = T0) -> TurnOutcome:
    return await journal.take_turn(run.id, turn, epoch=run.epoch, at=at)


async def _waits(journal: Journal, run: Run) -> None:
    """Hand the claim back, as a run does that waits for its turn."""
    waiting = make.update(
        run,
        RunState.PENDING,
        reason=Reason.QUEUED,
        wake_at=after(hours=1),
        release=True,
    )
    assert (await journal.write(waiting)).written is Written.DONE


async def test_single_lets_one_run_go_on_at_a_time(journal: Journal) -> None:
    one, two, three = await _claimed(journal, 3)
    assert await _ask(journal, one, _SINGLE) == TurnOutcome(Turned.TAKEN)
    assert await _ask(journal, one, _SINGLE) == TurnOutcome(Turned.TAKEN)  # again is no harm
    assert await _ask(journal, two, _SINGLE) == TurnOutcome(Turned.REFUSED, (one.id,))
    # Who is refused stands in nobody's way, and another key is another line.
    other = Turn("scale-out/web", RepeatMode.SINGLE)
    assert await _ask(journal, two, other) == TurnOutcome(Turned.TAKEN)
    await make.move(journal, one, RunState.CANCELLED)
    assert await _ask(journal, three, _SINGLE) == TurnOutcome(Turned.TAKEN)


async def test_a_run_keeps_its_turn_while_it_waits_for_something_else(journal: Journal) -> None:
    one, two = await _claimed(journal, 2)
    await _ask(journal, one, _SINGLE)
    held = await make.move(
        journal,
        one,
        RunState.PLANNING,
        RunState.PENDING,
        reason=Reason.TARGET_BUSY,
        wake_at=after(minutes=1),
        release=True,
    )
    assert (held.line, held.has_turn) == ("scale-out/api", True)
    assert await _ask(journal, two, _SINGLE) == TurnOutcome(Turned.REFUSED, (one.id,))


async def test_queued_runs_go_one_after_the_other_in_order_of_their_start(
    journal: Journal,
) -> None:
    one, two, three, four = await _claimed(journal, 4)
    assert await _ask(journal, two, _QUEUED) == TurnOutcome(Turned.TAKEN)
    assert await _ask(journal, three, _QUEUED) == TurnOutcome(Turned.WAITS, (two.id,))
    assert await _ask(journal, one, _QUEUED) == TurnOutcome(Turned.WAITS, (two.id,))
    full = TurnOutcome(Turned.FULL, (two.id, one.id, three.id))
    assert await _ask(journal, four, _QUEUED) == full
    # Who stands in the line already is not turned away, and comes after the older one.
    again = TurnOutcome(Turned.WAITS, (two.id, one.id))
    assert await _ask(journal, three, _QUEUED) == again
    for run in (one, three):
        await _waits(journal, run)
    assert not await journal.claim(at=after(minutes=1), limit=9)
    await make.move(journal, two, RunState.CANCELLED, at=after(minutes=1))
    (first,) = await journal.claim(at=after(minutes=1), limit=9)
    assert first.id == one.id
    assert await _ask(journal, first, _QUEUED) == TurnOutcome(Turned.TAKEN)
    await make.move(journal, first, RunState.CANCELLED, at=after(minutes=2))
    (second,) = await journal.claim(at=after(minutes=2), limit=9)
    assert second.id == three.id
    assert await _ask(journal, second, _QUEUED) == TurnOutcome(Turned.TAKEN)
    kinds = [(r.entry.kind, r.entry.run_id) for r in await journal.audit()]
    queued = [run_id for kind, run_id in kinds if kind == "run.queued"]
    assert queued == [three.id, one.id]


async def test_nobody_comes_before_those_that_wait(journal: Journal) -> None:
    one, two, three = await _claimed(journal, 3)
    await _ask(journal, one, _QUEUED)
    await _ask(journal, two, _QUEUED)
    await make.move(journal, one, RunState.CANCELLED)
    assert await _ask(journal, three, _QUEUED) == TurnOutcome(Turned.WAITS, (two.id,))
    assert await _ask(journal, two, _QUEUED) == TurnOutcome(Turned.TAKEN)


async def test_who_leaves_the_queue_keeps_nobody_waiting(journal: Journal) -> None:
    one, two, three = await _claimed(journal, 3)
    for run in (one, two, three):
        await _ask(journal, run, _QUEUED)
    for run in (two, three):
        await _waits(journal, run)
    cancelled = await journal.cancel(two.id, by="api:al", reason="", at=T0)
    assert cancelled is CancelOutcome.CANCELLED
    await make.move(journal, one, RunState.CANCELLED)
    (last,) = await journal.claim(at=after(minutes=1), limit=9)
    assert await _ask(journal, last, _QUEUED) == TurnOutcome(Turned.TAKEN)
    assert last.id == three.id


async def test_restart_stops_a_run_that_has_changed_nothing(journal: Journal) -> None:
    one, two = await _claimed(journal, 2)
    await _ask(journal, one, _RESTART)
    await make.move(
        journal,
        one,
        RunState.PLANNING,
        RunState.AWAITING_APPROVAL,
        ask=make.question(one),
        wake_at=after(minutes=30),
        release=True,
    )
    outcome = await _ask(journal, two, _RESTART)
    assert (outcome.turned, outcome.before) == (Turned.TAKEN, ())
    assert [run.id for run in outcome.stopped] == [one.id]
    stopped = await journal.run(one.id)
    assert stopped is not None
    assert (stopped.state, stopped.reason) == (RunState.CANCELLED, Reason.RESTARTED)
    assert two.id in stopped.message
    assert "api:al" in stopped.message
    question = await journal.approval("q-1")
    assert question is not None
    assert question.status is ApprovalStatus.VOID
    told = [item.note for item in await journal.outbox_due(at=T0, limit=9)]
    assert [note.text for note in told if note.run_id == one.id] == [stopped.message]


async def test_restart_lets_a_run_that_has_begun_a_change_end_first(journal: Journal) -> None:
    one, two, three = await _claimed(journal, 3)
    await _ask(journal, one, _RESTART)
    begun = (make.step(one, StepState.STARTED),)
    await make.move(journal, one, RunState.PLANNING, RunState.APPLYING, steps=begun, lock=("x",))
    assert await _ask(journal, two, _RESTART) == TurnOutcome(Turned.WAITS, (one.id,))
    assert await _ask(journal, two, _RESTART) == TurnOutcome(Turned.WAITS, (one.id,))
    await _waits(journal, two)
    # The newest takes the place of the one that waited.
    outcome = await _ask(journal, three, _RESTART)
    assert (outcome.turned, outcome.before) == (Turned.WAITS, (one.id,))
    assert [run.id for run in outcome.stopped] == [two.id]
    await make.move(journal, one, RunState.SUCCEEDED)
    assert await _ask(journal, three, _RESTART) == TurnOutcome(Turned.TAKEN)


async def test_restart_leaves_what_a_person_must_look_at(journal: Journal) -> None:
    one, two = await _claimed(journal, 2)
    await _ask(journal, one, _RESTART)
    await make.move(journal, one, RunState.PLANNING, RunState.APPLYING, RunState.INTERRUPTED)
    assert await _ask(journal, two, _RESTART) == TurnOutcome(Turned.WAITS, (one.id,))


async def test_parallel_with_a_limit_turns_away_what_is_beyond_it(journal: Journal) -> None:
    turn = Turn("scale-out/api", RepeatMode.PARALLEL, 2)
    one, two, three = await _claimed(journal, 3)
    assert await _ask(journal, one, turn) == TurnOutcome(Turned.TAKEN)
    assert await _ask(journal, two, turn) == TurnOutcome(Turned.TAKEN)
    assert await _ask(journal, three, turn) == TurnOutcome(Turned.FULL, (one.id, two.id))


async def test_a_stale_owner_takes_no_turn(journal: Journal) -> None:
    (run,) = await _claimed(journal, 1)
    stale = make.with_epoch(run, run.epoch - 1)
    assert await _ask(journal, stale, _SINGLE) == TurnOutcome(Turned.FENCED)
    assert await _ask(journal, run, _SINGLE) == TurnOutcome(Turned.TAKEN)


@pytest.mark.parametrize("turn", [_SINGLE, _QUEUED, _RESTART], ids=lambda turn: turn.mode)
async def test_of_many_that_ask_at_once_one_may_begin(journal: Journal, turn: Turn) -> None:
    found = await _claimed(journal, 8)
    outcomes = await asyncio.gather(*(_ask(journal, run, turn) for run in found))
    stopped = {run.id for outcome in outcomes for run in outcome.stopped}
    taken = [
        run.id
        for run, outcome in zip(found, outcomes, strict=True)
        if outcome.turned is Turned.TAKEN and run.id not in stopped
    ]
    assert len(taken) == 1
