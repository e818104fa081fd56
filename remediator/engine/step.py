"""One change: its intent, apply, settle, and how it ended.

Called by `applying` for each step that changes something. The intent is committed before the
action touches the world, with the lock on the target and the guardrails' last word in the same
transaction. What comes out is an `Outcome`; writing it is the caller's, so that the end of one
step and the intent of the next share a commit.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from remediator.engine import guardrails, planning, retry, within
from remediator.engine.hand import Hand, asks_alertmanager, row_for
from remediator.journal.values import Guard
from remediator.model.canonical import JSONObject
from remediator.model.history import History, LookBack, begun
from remediator.model.limits import Mode, lower_mode
from remediator.model.plans import Fact, Plan, Progress
from remediator.model.reasons import Reason
from remediator.model.runs import Step, StepState
from remediator.model.signals import Signal
from remediator.model.verdicts import Verdict
from remediator.observe import metrics
from remediator.plugin.action import ActionError, Temporary
from remediator.runbook.runbook import CompiledStep

# A run that is taken up after its step's time was over still gets one look at the world.
_SHORTEST_APPLY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Done:
    """The change is made and the target is healthy; `facts` are what was learned on the way."""

    row: Step
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """It failed for now; `row` is the next attempt, to be taken up at `at`."""

    failed: Step
    row: Step
    at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed for good, or its time is over."""

    row: Step
    reason: Reason
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon stops while the target settles; whoever claims the run next looks again."""

    row: Step
    facts: tuple[Fact, ...] = ()


Outcome = Done | Again | Failed | Stopped


def question(
    hand: Hand,
    sequence: int,
    plan: Plan,
    *,
    history: History,
    signal: Signal | None,
    approved: bool,
) -> guardrails.Question:
    """Put what bears on one plan before the guardrails."""
    return guardrails.Question(
        plan=plan,
        run_id=hand.run.id,
        sequence=sequence,
        runbook=hand.run.runbook,
        mode=hand.runbook.mode,
        limits=hand.runbook.limits,
        policy=hand.ports.policy,
        history=history,
        signal=signal,
        approved=approved,
        manual=not asks_alertmanager(hand.run),
        now=hand.now,
        owner=hand.runbook.owner,
        labels=hand.run.context["alert"]["labels"],
        home=hand.home,
        track=hand.track,
    )


def look_back(hand: Hand) -> LookBack:
    """Return what of the past judging a run's plans needs, whichever they are."""
    return guardrails.look_back(
        hand.runbook.limits,
        hand.ports.policy,
        hand.now,
        runbook=hand.run.runbook,
        incident_id=hand.run.incident_id,
    )


def judge_each(
    hand: Hand,
    plans: Mapping[int, Plan],
    history: History,
    *,
    signal: Signal | None = None,
    approved: Collection[int] = (),
) -> dict[int, tuple[Verdict, ...]]:
    """Let the guardrails judge a run's plans before anything is changed or approved.

    Args:
        signal: what Alertmanager says now; None where it was asked a moment ago, and is asked again
            before each change.
        approved: the steps whose very plans people said yes to.
    """
    verdicts: dict[int, tuple[Verdict, ...]] = {}
    for sequence, plan in plans.items():
        asked = question(
            hand, sequence, plan, history=history, signal=signal, approved=sequence in approved
        )
        verdicts[sequence] = guardrails.judge(asked)
        # The run's later changes come on top of this one.
        history = history.with_change(
            begun(
                plan,
                run_id=hand.run.id,
                sequence=sequence,
                runbook=hand.run.runbook,
                owner=hand.runbook.owner,
                rules=frozenset(asked.rules),
                at=hand.now,
            )
        )
    return verdicts


def lowest_mode(hand: Hand, plans: Mapping[int, Plan], history: History) -> Mode:
    """Return how far a run with these plans may go, under every ceiling there is."""
    policy = hand.ports.policy
    mode = lower_mode(
        guardrails.effective_mode(hand.runbook.mode, policy),
        guardrails.earned_ceiling(hand.track, policy.trust),
    )
    for sequence, plan in plans.items():
        asked = question(hand, sequence, plan, history=history, signal=None, approved=False)
        mode = lower_mode(mode, guardrails.mode_of(asked))
    return mode


def guard(hand: Hand, row: Step, *, signal: Signal | None, approved: bool) -> Guard:
    """Make the guard that judges a plan inside the transaction of its intent."""
    plan = row.plan
    assert plan is not None, "only planned steps have an intent"  # noqa: S101 - caller's contract
    asked = question(
        hand,
        row.sequence,
        plan,
        history=guardrails.NO_HISTORY,
        signal=signal,
        approved=approved,
    )

    def check(history: History) -> tuple[Verdict, ...]:
        return guardrails.judge(asked.with_history(history, hand.now))

    look = guardrails.look_back(
        asked.limits,
        asked.policy,
        asked.now,
        runbook=asked.runbook,
        incident_id=hand.run.incident_id,
        blocks=[block for _, block in asked.blocks],
    )
    return Guard(check, look)


def intent(hand: Hand, row: Step) -> Step:
    """Return the row that says: from here on the change may have been made.

    `changed` on a started row says that this attempt is known to have been applied. The owner and
    the policy's rules are put down as they are now: limits count the change by them.
    """
    plan = row.plan
    assert plan is not None, "only planned steps have an intent"  # noqa: S101 - caller's contract
    asked = question(
        hand, row.sequence, plan, history=guardrails.NO_HISTORY, signal=None, approved=False
    )
    return replace(
        row,
        state=StepState.STARTED,
        started_at=hand.now,
        changed=False,
        message=f"applying {row.plan}",
        owner=asked.owner,
        rules=asked.rules,
    )


async def carry_out(hand: Hand, step: CompiledStep, row: Step, *, again: bool = False) -> Outcome:
    """Apply a plan whose intent is stored, and watch the target until it is healthy.

    Safe to call again after a crash: an action compares the world with the plan first.

    Args:
        again: the intent is from before a crash, so that the change may have been made then.
    """
    plan = row.plan
    assert plan is not None  # noqa: S101 - written by `intent`
    assert row.started_at is not None  # noqa: S101 - likewise
    # From here on by a clock that nobody sets: a wall clock that jumps is no reason to give up.
    clock = hand.ports.clock
    left = row.started_at + step.timeout - hand.now
    until_s = clock.monotonic() + left.total_seconds()
    began = time.monotonic()
    # An earlier attempt, or the daemon before a crash, may have done what is found done now.
    maybe = again or row.attempt > 1
    facts: tuple[Fact, ...] = ()
    try:
        if not row.changed:
            await hand.prove_alive()
            call = step.action.apply(plan, hand.ctx)
            result = await within.within(call, max(left, _SHORTEST_APPLY), clock)
            row = replace(
                row,
                changed=result.changed or maybe,
                message=result.message,
                output=result.output,
            )
            facts = result.facts
            if not plan.checkable:
                # Nobody could find out later: put it on record before settling takes its time.
                run = hand.run
                await hand.keep(
                    hand.update(run.state, run.reason, row.message, steps=(row,), facts=facts)
                )
                facts = ()
        outcome = await _settle(hand, step, plan, row, until_s)
    except TimeoutError:
        row = replace(row, changed=True)  # it may have been made; undo finds out
        outcome = Failed(_ended(hand, row, _too_long(step)), Reason.STEP_TIMEOUT)
    except Temporary as error:
        # The request may have arrived although its answer did not: undo must look.
        outcome = _again(hand, step, replace(row, changed=True), str(error), error.after)
    except ActionError as error:
        row = replace(row, changed=row.changed or maybe)
        outcome = Failed(_ended(hand, row, str(error)), planning.failure_reason(error))
    if facts and not isinstance(outcome, Again):
        outcome = replace(outcome, facts=facts)
    _count(step, outcome, began)
    return outcome


async def look_only(hand: Hand, step: CompiledStep, row: Step) -> Outcome:
    """Find out what became of a change that may no longer be made: it may have been before a crash.

    Watches the target as after an apply. What turns out not to be in place has failed; undo
    compares the world again, and takes back only what is there.
    """
    plan = row.plan
    assert plan is not None  # noqa: S101 - written by `intent`
    began = time.monotonic()
    row = replace(row, changed=True, message="was begun before the daemon stopped")
    until_s = hand.ports.clock.monotonic() + step.timeout.total_seconds()
    outcome = await _settle(hand, step, plan, row, until_s)
    _count(step, outcome, began)
    return outcome


async def settle_once(hand: Hand, step: CompiledStep, plan: Plan) -> tuple[Progress, str]:
    """Look once whether the target is healthy under `plan`; trouble to look is progress."""
    try:
        settled = await within.look(step.action.settled(plan, hand.ctx), hand.ports.clock)
    except Temporary as error:
        return Progress.PROGRESSING, str(error)
    except ActionError as error:
        return Progress.FAILED, str(error)
    return settled.progress, settled.message


async def _settle(hand: Hand, step: CompiledStep, plan: Plan, row: Step, until_s: float) -> Outcome:
    """Watch until it is well or not, or until the clock's monotonic time is `until_s`."""
    while True:
        progress, message = await settle_once(hand, step, plan)
        if progress is Progress.HEALTHY:
            text = f"{row.message}; {message}" if message else row.message
            done = replace(row, state=StepState.DONE, ended_at=hand.now, message=text)
            return Done(done)
        if progress is Progress.FAILED:
            return Failed(_ended(hand, row, message), Reason.NOT_HEALTHY)
        if hand.ports.clock.monotonic() >= until_s:
            text = f"{_too_long(step)}: {message}"
            return Failed(_ended(hand, row, text), Reason.STEP_TIMEOUT)
        if await hand.pause():
            return Stopped(row)


def _again(
    hand: Hand, step: CompiledStep, row: Step, message: str, after: timedelta | None
) -> Outcome:
    at = hand.now + retry.next_delay(row.attempt, step.backoff, after)
    if row.attempt >= step.retry_attempts:
        return Failed(_ended(hand, row, message), Reason.APPLY_FAILED)
    failed = _ended(hand, row, message)
    following = row_for(
        hand,
        step,
        attempt=row.attempt + 1,
        state=StepState.PLANNED,
        plan=row.plan,
        changed=True,
        started_at=None,
        ended_at=None,
        message=f"attempt {row.attempt} failed: {message}",
    )
    return Again(failed, following, at)


def _ended(hand: Hand, row: Step, message: str) -> Step:
    return replace(row, state=StepState.FAILED, ended_at=hand.now, message=message)


def _too_long(step: CompiledStep) -> str:
    return f"not healthy within {int(step.timeout.total_seconds())}s"


def _count(step: CompiledStep, outcome: Outcome, began: float) -> None:
    name = step.operation.name
    metrics.counter(metrics.STEPS, name, type(outcome).__name__.lower()).inc()
    metrics.histogram(metrics.STEP_DURATION, name).observe(time.monotonic() - began)


def described(row: Step) -> JSONObject:
    """Return what the audit log keeps of a step."""
    return {
        "step": row.step_id,
        "attempt": row.attempt,
        "action": row.action,
        "digest": row.plan.digest if row.plan else None,
        "plan": str(row.plan) if row.plan else None,
        "message": row.message,
        "changed": row.changed,
    }
