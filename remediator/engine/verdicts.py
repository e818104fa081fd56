"""What every guardrail says now of a run's plans, allows too. Reads only.

Judges the newest plans that the journal holds with the policy, the history and the signal of this
moment, exactly as a run would; nothing is planned anew and nothing is written. Called by the HTTP
edge for `policy explain`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from remediator.engine import hand, recheck, step, track
from remediator.engine.library import RunbookGone
from remediator.engine.ports import Ports
from remediator.model.incidents import Incident
from remediator.model.overrides import Override
from remediator.model.plans import Plan
from remediator.model.runs import Run, StepState
from remediator.model.verdicts import Ruling, Verdict

# What was changed, or is being taken back, is not judged any more.
_JUDGED = frozenset({StepState.PLANNED, StepState.STARTED})


@dataclass(frozen=True, slots=True)
class Judged:
    """One step's plan, and what the guardrails say of it."""

    step_id: str
    sequence: int
    plan: Plan
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of a run's judged plans; `nothing` says why there are none.

    Args:
        overrides: all that were given to the run.
        liftable: guardrails that say no now, and that `people` may override.
        people: whom the policy names for overrides.
    """

    run: Run
    steps: tuple[Judged, ...]
    overrides: Sequence[Override]
    nothing: str = ""
    liftable: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


async def explain(ports: Ports, run: Run) -> Explanation:
    """Judge a run's newest plans now."""
    given = await ports.journal.overrides(run.id)
    reading = replace(ports, end=_leave)
    try:
        held = await hand.load(reading, run)
    except RunbookGone as error:
        return Explanation(run, (), given, str(error))
    open_plans = {
        row.sequence: row.plan
        for row in held.rows.values()
        if row.plan is not None and not row.plan.empty and row.state in _JUDGED
    }
    if not open_plans:
        return Explanation(run, (), given, _why_none(held))
    ids = {row.sequence: row.step_id for row in held.rows.values()}
    held.track = await track.shown(ports, held.runbook)
    history = await ports.journal.history(run_id=run.id, look=step.look_back(held), at=held.now)
    verdicts = step.judge_each(
        held,
        open_plans,
        history,
        signal=await recheck.signal(held),
        approved={
            sequence
            for sequence, plan in open_plans.items()
            if held.approved_digests.get(ids[sequence]) == plan.digest
        },
    )
    judged = tuple(
        Judged(ids[sequence], sequence, plan, verdicts[sequence])
        for sequence, plan in open_plans.items()
    )
    policy = ports.policy.override
    no = {v.rule for one in judged for v in one.verdicts if v.ruling is not Ruling.ALLOW}
    liftable = tuple(name for name in policy.guardrails if name in no and policy.people)
    return Explanation(run, judged, given, liftable=liftable, people=policy.people)


def _why_none(held: hand.Hand) -> str:
    if not held.rows:
        return f"nothing is planned yet; the run is {held.run.state}: {held.run.message}"
    return "no plan is left to be judged: everything that was planned was carried out or not needed"


async def _leave(_: Incident) -> None:
    """Close nothing: an explanation only reads."""
