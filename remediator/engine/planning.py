"""Plan every step of a run: run the probes that come before any change, ask each action for its
exact plan. Reads only. Called by `run` when a run is planned, by `lanes` for a block whose list was
not known then, by `changing` just before each change, and by `simulate`.

The lanes of a block are planned beside each other, up to as many at once as are carried out at
once. Outcomes, not exceptions, leave this module.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from remediator.engine import confining, within
from remediator.engine.hand import Hand, is_action, row_for
from remediator.model.canonical import JSON
from remediator.model.plans import Plan
from remediator.model.reasons import Reason
from remediator.model.runs import Step, StepState
from remediator.model.verdicts import Verdict
from remediator.plugin.action import ActionError, Stale, Temporary
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.runbook import Block, CompiledStep
from remediator.runbook.scope import TooMany


@dataclass(frozen=True, slots=True)
class Planned:
    """Every step that can be planned now is. `plans` holds the non-empty ones by sequence."""

    rows: tuple[Step, ...]
    plans: dict[int, Plan]
    open_ends: bool
    """Whether a step can only be planned when it is reached."""
    open_blocks: tuple[str, ...] = ()
    """Blocks whose lists are only known when they are reached; none of their lanes has a row."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A probe before the first change says that this runbook does not apply."""

    rows: tuple[Step, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Unplannable:
    """Planning failed for good."""

    rows: tuple[Step, ...]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Strayed:
    """The runbook would look at, or change, what is outside the namespace that it lives in."""

    rows: tuple[Step, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TryLater:
    """Planning failed for now."""

    message: str
    after: timedelta | None


Outcome = Planned | Unmet | Unplannable | Strayed | TryLater


@dataclass(slots=True)
class _Sheet:
    """What is planned so far, of a run or of one lane."""

    rows: list[Step] = field(default_factory=list)
    plans: dict[int, Plan] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    """Ids of steps whose results are not there yet."""
    open_blocks: list[str] = field(default_factory=list)

    def lane(self) -> "_Sheet":
        """Return the sheet of a lane that begins here: what other lanes change it waits not for."""
        return _Sheet(plans=dict(self.plans), unknown=set(self.unknown))

    def add(self, lane: "_Sheet") -> None:
        """Take over what a lane came to."""
        self.rows += lane.rows
        self.plans.update(lane.plans)
        self.unknown |= lane.unknown


async def plan_run(hand: Hand) -> Outcome:
    """Plan all steps against the world as it is now."""
    sheet = _Sheet()
    hand.lists.clear()
    for block, steps in groupby(hand.runbook.steps, key=attrgetter("block")):
        if block is None:
            failed = await _steps(hand, list(steps), sheet)
        else:
            failed = await _block(hand, block, sheet)
        if failed is not None:
            return failed
    rows = (*sheet.rows, *_vacated(hand, sheet.rows))
    open_ends = bool(sheet.open_blocks) or any(
        row.plan is None and row.state is StepState.PLANNED for row in sheet.rows
    )
    return Planned(rows, sheet.plans, open_ends, tuple(sheet.open_blocks))


async def plan_block(hand: Hand, block: Block) -> Outcome:
    """Plan the lanes of a block whose list is known, with the run in the middle of its steps."""
    sheet = _Sheet()
    failed = await _block(hand, block, sheet)
    if failed is not None:
        return failed
    open_ends = any(row.plan is None and row.state is StepState.PLANNED for row in sheet.rows)
    return Planned(tuple(sheet.rows), sheet.plans, open_ends)


async def _block(hand: Hand, block: Block, sheet: _Sheet) -> Outcome | None:
    """Plan a block's lanes. Returns what keeps the run from being planned."""
    if block.needs & sheet.unknown:
        sheet.open_blocks.append(block.id)
        sheet.unknown.update(one.id for one in hand.runbook.steps if one.block is block)
        return None
    try:
        lanes = hand.lanes(block)
    except ExpressionFailed as error:
        return Unplannable(tuple(sheet.rows), list_reason(error), f"{block.id}: {error}")
    sheets = [sheet.lane() for _ in lanes]
    failures = await _abreast(hand, lanes, sheets, block.parallel)
    for lane, failed in zip(sheets, failures, strict=True):
        before = tuple(sheet.rows)
        sheet.add(lane)
        match failed:
            case Unmet(rows) | Unplannable(rows) | Strayed(rows):
                return replace(failed, rows=(*before, *rows))
            case TryLater():
                return failed
    return None


async def _abreast(
    hand: Hand, lanes: Sequence[Sequence[CompiledStep]], sheets: Sequence[_Sheet], most: int
) -> Sequence[Outcome | None]:
    """Plan lanes, so many at a time; once one can't be planned, no further one is begun."""
    turns = asyncio.Semaphore(most)
    broken = False

    async def plan(lane: Sequence[CompiledStep], sheet: _Sheet) -> Outcome | None:
        nonlocal broken
        async with turns:
            failed = None if broken else await _steps(hand, lane, sheet)
            broken = broken or failed is not None
            return failed

    tasks = [
        asyncio.ensure_future(plan(lane, sheet)) for lane, sheet in zip(lanes, sheets, strict=True)
    ]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _steps(hand: Hand, steps: Iterable[CompiledStep], sheet: _Sheet) -> Outcome | None:
    """Plan steps in their order. Returns what keeps the run from being planned."""
    for step in steps:
        try:
            row = await _step(hand, step, sheet)
        except Temporary as error:
            return TryLater(f"{step.id}: {error}", error.after)
        except ExpressionFailed as error:
            return Unplannable(tuple(sheet.rows), Reason.EXPRESSION_FAILED, f"{step.id}: {error}")
        except confining.Outside as error:
            return Strayed(tuple(sheet.rows), error.verdict(f"{step.id}: "))
        except ActionError as error:
            return Unplannable(tuple(sheet.rows), Reason.PLAN_FAILED, f"{step.id}: {error}")
        sheet.rows.append(row)
        hand.rows[step.sequence] = row
        if row.state is StepState.FAILED:
            return Unmet(tuple(sheet.rows), f"{step.id}: {row.message}")
    return None


async def _step(hand: Hand, step: CompiledStep, sheet: _Sheet) -> Step:
    if step.needs & sheet.unknown:
        sheet.unknown.add(step.id)
        return _open_end(hand, step)
    if step.conditional and not step.wanted(hand.scope(step)):
        return row_for(hand, step, state=StepState.SKIPPED, message="its condition is false")
    if is_action(step):
        row, plan = await plan_step(hand, step)
        if not plan.empty:
            sheet.plans[step.sequence] = plan
        sheet.unknown.add(step.id)
        return row
    if sheet.plans or sheet.unknown:
        sheet.unknown.add(step.id)
        return _open_end(hand, step)  # a probe after a change looks when it is reached
    return await probe_step(hand, step)


def _vacated(hand: Hand, rows: Sequence[Step]) -> list[Step]:
    """Return how steps end that were planned before, for items that are in no list any more."""
    planned = {row.sequence for row in rows}
    gone = [
        replace(row, state=StepState.SKIPPED, plan=None, message="is not in the list any more")
        for row in hand.rows.values()
        if row.sequence not in planned and row.state is StepState.PLANNED
    ]
    hand.rows.update({row.sequence: row for row in gone})
    return gone


def later(planned: Planned) -> tuple[str, ...]:
    """Say what is not among the plans, and is judged as a whole when it is reached."""
    return tuple(f"{block} is planned when its list is known" for block in planned.open_blocks)


def list_reason(error: ExpressionFailed) -> Reason:
    """Return the reason that stands for a list that a block can't work on."""
    return Reason.LIST_TOO_LONG if isinstance(error, TooMany) else Reason.EXPRESSION_FAILED


def described(plans: Mapping[int, Plan], verdicts: Sequence[Verdict]) -> dict[str, JSON]:
    """Return what the audit log keeps of plans and of how they were judged."""
    return {
        "plans": [one.to_json() for one in plans.values()],
        "verdicts": [v.to_json() for v in verdicts],
    }


async def plan_step(hand: Hand, step: CompiledStep) -> tuple[Step, Plan]:
    """Ask one action for its plan.

    Raises:
        ActionError: Temporary, Permanent or Stale, with a sentence.
        ExpressionFailed: a parameter can't be worked out.
    """
    params = confining.resolved(hand, step)
    plan = await within.look(step.action.plan(params, hand.ctx), hand.ports.clock)
    row = row_for(
        hand,
        step,
        state=StepState.PLANNED,
        plan=plan,
        params=params.model_dump(mode="json"),
        message="nothing to do" if plan.empty else str(plan),
    )
    return row, plan


async def probe_step(hand: Hand, step: CompiledStep) -> Step:
    """Run one probe; an unmet expectation is a FAILED row, not an exception.

    Raises:
        ActionError: the probe could not look.
        ExpressionFailed: a parameter can't be worked out.
    """
    params = confining.resolved(hand, step)
    result = await within.look(step.probe.probe(params, hand.ctx), hand.ports.clock)
    now = hand.now
    return row_for(
        hand,
        step,
        state=StepState.DONE if result.ok else StepState.FAILED,
        params=params.model_dump(mode="json"),
        message=result.message,
        output=result.output,
        started_at=now,
        ended_at=now,
    )


def failure_reason(error: ActionError) -> Reason:
    """Return the reason that stands for what an action raised while it was to change something."""
    return Reason.STALE if isinstance(error, Stale) else Reason.APPLY_FAILED


def _open_end(hand: Hand, step: CompiledStep) -> Step:
    return row_for(hand, step, state=StepState.PLANNED, message="is planned when it is reached")
