"""The lanes of one block: up to `parallel` of them at once, the steps of each in order.

Called by `applying` when a run comes to a block. Every intent is recorded before its change, one
after the other, as outside of a block. Where one lane fails nothing new is begun, and what is in
hand is watched to its end; the run then goes on as after any failure. A lane that has to wait, to
try again or to ask keeps no other lane. See docs/adr/0023-lanes.md.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from remediator.engine import changing, guardrails, halting, planning, recheck, step, track
from remediator.engine.floor import Floor
from remediator.engine.halting import Halt
from remediator.engine.hand import Fenced, Hand
from remediator.engine.unwritten import Unwritten
from remediator.journal.values import NodeDead
from remediator.model.plans import Plan
from remediator.model.reasons import Reason
from remediator.model.runs import Step, StepState
from remediator.model.signals import Signal
from remediator.model.verdicts import Ruling, Verdict, heaviest, worth_showing
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.runbook import Block, CompiledStep

Lane = tuple[CompiledStep, ...]


async def carry(held: Hand, block: Block, unwritten: Unwritten) -> list[Halt]:
    """Carry out what is left of a block. Returns what halts the run, empty when all of it is done.

    Raises:
        Fenced, JournalUnavailable, Overloaded: as for `Hand.write`; no change is in hand any more.
        ExpressionFailed: its list can't be told.
    """
    if any(one.sequence not in held.rows for lane in held.lanes(block) for one in lane):
        halt = await _enter(held, block, unwritten)
        if halt is not None:
            return [halt]
    return await _Lanes(held, block, unwritten).carry()


def no_list(error: ExpressionFailed) -> Halt:
    """Return what follows where a block's list is none, or is too long."""
    reason = planning.list_reason(error)
    if reason is Reason.LIST_TOO_LONG:
        return halting.Unmet(reason, str(error))
    return halting.Failing(reason, str(error))


async def _enter(held: Hand, block: Block, unwritten: Unwritten) -> Halt | None:
    """Plan all lanes of a block whose list was not known before, and let the guardrails judge the
    sum of it before any of it is begun."""
    signal = await recheck.signal(held)
    if signal is Signal.RESOLVED:
        return halting.Cleared()
    outcome = await planning.plan_block(held, block)
    match outcome:
        case planning.TryLater(message, _):
            return halting.Waits(Reason.UNREACHABLE, message)
        case planning.Unmet(rows, message):
            _put(held, rows, unwritten)
            return halting.Unmet(Reason.EXPECTATION_UNMET, message)
        case planning.Unplannable(rows, reason, message):
            _put(held, rows, unwritten)
            return halting.Failing(reason, message)
        case planning.Strayed(rows, verdict):
            _put(held, rows, unwritten)
            return halting.Refused((verdict,))
    verdicts, halt = await _judged(held, outcome.plans, signal)
    if halt is None or isinstance(halt, halting.Asks):
        unwritten.record(held.audit("run.planned", planning.described(outcome.plans, verdicts)))
        _put(held, outcome.rows, unwritten)
    return halt  # while it waits it is planned anew


def _put(held: Hand, rows: Sequence[Step], unwritten: Unwritten) -> None:
    for row in rows:
        kind = _TOLD.get(row.state)
        if kind is None:
            unwritten.put(held, row)
        else:
            unwritten.add(held, row, kind)


_TOLD = {
    StepState.DONE: "step.done",
    StepState.SKIPPED: "step.skipped",
    StepState.FAILED: "step.failed",
}


async def _judged(
    held: Hand, plans: dict[int, Plan], signal: Signal | None
) -> tuple[tuple[Verdict, ...], Halt | None]:
    approved = held.approved_digests
    ids = {one.sequence: one.id for one in held.runbook.steps}
    said_yes = [
        number for number, plan in plans.items() if approved.get(ids[number]) == plan.digest
    ]
    held.track = await track.shown(held.ports, held.runbook)
    history = await held.ports.journal.history(
        run_id=held.run.id, look=step.look_back(held), at=held.now
    )
    judged = step.judge_each(held, plans, history, signal=signal, approved=said_yes)
    verdicts = tuple(dict.fromkeys(verdict for each in judged.values() for verdict in each))
    shown = worth_showing(verdicts)
    ruling = heaviest(verdicts)
    why = halting.binding(shown, ruling)
    halt: Halt | None = None
    if any(v.rule == "still_firing" and v.ruling is Ruling.REFUSE for v in verdicts):
        halt = halting.Cleared()
    elif ruling is Ruling.REFUSE:
        halt = halting.Refused(verdicts)
    elif ruling is Ruling.WAIT:
        halt = halting.Waits(guardrails.waiting_reason(shown), why)
    elif ruling is Ruling.HOLD:
        first = next(n for n, each in judged.items() if heaviest(each) is Ruling.HOLD)
        halt = halting.Asks(first, guardrails.holding_reason(shown), why, shown)
    return verdicts, halt


class _Lanes:
    """The lanes of a block while they are under way."""

    def __init__(self, held: Hand, block: Block, unwritten: Unwritten) -> None:
        self._held = held
        self._unwritten = unwritten
        self._most = block.parallel
        self._floor = Floor()
        self._waiting: deque[Lane] = deque(
            lane for lane in held.lanes(block) if not all(map(held.finished, lane))
        )
        self._running: dict[asyncio.Task[Halt | None], Lane] = {}
        self._parked: list[tuple[Lane, Halt]] = []
        """Lanes that wait, try again later or ask, while others are under way."""
        self._halts: list[Halt] = []
        self._errors: list[BaseException] = []

    async def carry(self) -> list[Halt]:
        """Let them run until nothing is in hand and nothing may be begun."""
        try:
            while self._begin_more() or self._running:
                await self._until_one_rests()
            if self._errors:
                raise await self._error()
        finally:
            await self._drop()
        return [*self._halts, *(halt for _, halt in self._parked)]

    async def _error(self) -> BaseException:
        """Return what went wrong, with what came of changes on record."""
        first = self._errors[0]
        if not isinstance(first, Fenced | NodeDead):
            await self._unwritten.flush(self._held)
        return first

    def _begin_more(self) -> bool:
        """Begin as many lanes as may be; returns whether any was."""
        held, begun = self._held, False
        if held.stops or held.run.cancel_requested_by:
            self._floor.close()
        while self._waiting and len(self._running) < self._most and not self._floor.closed:
            lane = self._waiting.popleft()
            name = f"lane {lane[0].id} of run {held.run.id}"
            self._running[asyncio.create_task(self._lane(lane), name=name)] = lane
            begun = True
        return begun

    async def _lane(self, lane: Lane) -> Halt | None:
        held = self._held
        for one in lane:
            if held.finished(one):
                continue
            if held.run.cancel_requested_by:
                return halting.Cancelled()
            if held.stops or self._floor.closed:
                return halting.Stopped()
            halt = await changing.begin(held, one, self._unwritten, self._floor)
            if halt is not None:
                return halt
        return None

    async def _until_one_rests(self) -> None:
        due = self._next_due()
        timer = None
        if due is not None:
            left = max(due - self._held.now, timedelta())
            timer = asyncio.ensure_future(self._held.ports.clock.sleep(left.total_seconds()))
        try:
            wanted = {*self._running, *([timer] if timer is not None else [])}
            done, _ = await asyncio.wait(wanted, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if timer is not None:
                timer.cancel()
        for task in [task for task in self._running if task in done]:
            self._rests(task, self._running.pop(task))
        if self._errors:
            return
        self._go_on_with_what_is_due()
        if not self._begin_more() and self._running:
            # Nobody writes soon: put on record what came, and tell of it.
            await self._put_on_record()

    async def _put_on_record(self) -> None:
        failing = next((one for one in self._halts if isinstance(one, halting.Failing)), None)
        if failing is None:
            await self._unwritten.flush(self._held)
        else:
            # Should the daemon die while the others are watched, this is why the run fails.
            text = f"{failing.message}; what else was begun is watched to its end"
            await self._unwritten.flush(self._held, failing.reason, text)

    def _rests(self, task: "asyncio.Task[Halt | None]", lane: Lane) -> None:
        error = task.exception() if not task.cancelled() else asyncio.CancelledError()
        if error is not None:
            self._errors.append(error)
            self._floor.close()
            if isinstance(error, Fenced | NodeDead):
                # The run is another's by now, and so is what the other lanes have in hand.
                for other in self._running:
                    other.cancel()
            return
        halt = task.result()
        if halt is None:
            return
        if halting.halts_one_lane(halt):
            self._parked.append((lane, halt))
            return
        self._halts.append(halt)
        self._floor.close()

    def _next_due(self) -> datetime | None:
        """When a parked lane may try again, while others are under way."""
        if self._floor.closed or len(self._running) >= self._most:
            return None
        retries = (halt.at for _, halt in self._parked if isinstance(halt, halting.Retries))
        return min(retries, default=None)

    def _go_on_with_what_is_due(self) -> None:
        if not self._running:
            return  # the run can wait as a row
        now = self._held.now
        for lane, halt in list(self._parked):
            if isinstance(halt, halting.Retries) and halt.at <= now:
                self._parked.remove((lane, halt))
                self._waiting.appendleft(lane)

    async def _drop(self) -> None:
        """End what is still under way: the daemon is torn down, or the run is another's."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.gather(*self._running, return_exceptions=True)
