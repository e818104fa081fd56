"""Plan every step of a run: run the probes that come before any change, ask each action for its
exact plan. Reads only. Called by `run` when a run is planned, by `applying` just before each
change, and by `simulate`.

Outcomes, not exceptions, leave this module.
"""

from dataclasses import dataclass
from datetime import timedelta

from remediator.engine import confining, within
from remediator.engine.hand import Hand, is_action, row_for
from remediator.model.plans import Plan
from remediator.model.reasons import Reason
from remediator.model.runs import Step, StepState
from remediator.model.verdicts import Verdict
from remediator.plugin.action import ActionError, Stale, Temporary
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.runbook import CompiledStep


@dataclass(frozen=True, slots=True)
class Planned:
    """Every step that can be planned now is. `plans` holds the non-empty ones by sequence."""

    rows: tuple[Step, ...]
    plans: dict[int, Plan]
    open_ends: bool
    """Whether a step can only be planned when it is reached."""


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


async def plan_run(hand: Hand) -> Outcome:
    """Plan all steps against the world as it is now."""
    rows: list[Step] = []
    plans: dict[int, Plan] = {}
    unknown: set[str] = set()  # ids of steps whose results are not there yet
    for step in hand.runbook.steps:
        if step.needs & unknown:
            rows.append(_open_end(hand, step))
            unknown.add(step.id)
            continue
        try:
            if step.conditional and not step.wanted(hand.scope(step)):
                row = row_for(hand, step, state=StepState.SKIPPED, message="its condition is false")
            elif is_action(step):
                row, plan = await plan_step(hand, step)
                if not plan.empty:
                    plans[step.sequence] = plan
                unknown.add(step.id)
            elif plans or unknown:
                row = _open_end(hand, step)  # a probe after a change looks when it is reached
                unknown.add(step.id)
            else:
                row = await probe_step(hand, step)
        except Temporary as error:
            return TryLater(f"{step.id}: {error}", error.after)
        except ExpressionFailed as error:
            return Unplannable(tuple(rows), Reason.EXPRESSION_FAILED, f"{step.id}: {error}")
        except confining.Outside as error:
            return Strayed(tuple(rows), error.verdict(f"{step.id}: "))
        except ActionError as error:
            return Unplannable(tuple(rows), Reason.PLAN_FAILED, f"{step.id}: {error}")
        rows.append(row)
        hand.rows[step.sequence] = row
        if row.state is StepState.FAILED:
            return Unmet(tuple(rows), f"{step.id}: {row.message}")
    return Planned(tuple(rows), plans, any(r.plan is None and _is_open(r) for r in rows))


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


def _is_open(row: Step) -> bool:
    return row.state is StepState.PLANNED
