"""Guardrails: may this plan be carried out now? An ordered list of pure functions.

Each looks at one `Question` and answers with one verdict. The list at the end is the whole of it;
the first refusal ends the run, a hold asks a person, a wait comes back later. Undo, cancel and
escalation never pass through here: a tripped guardrail must not block the way back. Called by `run`
when every step is planned, and by the journal inside the transaction that stores an intent
(`step.guard`), so that no limit can be raced.

Where a limit is set in several blocks (the runbook, the policy, its rules that match), all hold and
a verdict names the first that says no. The modules: `where`, `when`, `much`, `often`,
`trust` (with `breaker` and `earned`); `overriding` is what a person lifts for one run.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from remediator.engine.guardrails.breaker import Standing, standing
from remediator.engine.guardrails.breaker import State as BreakerState
from remediator.engine.guardrails.earned import ceiling as earned_ceiling
from remediator.engine.guardrails.much import bounds, budget, cost, impact
from remediator.engine.guardrails.often import concurrency, one_run_per_target, rate
from remediator.engine.guardrails.overriding import lift
from remediator.engine.guardrails.question import Guardrail, Question, applying, facts
from remediator.engine.guardrails.trust import (
    earned_trust,
    failure_breaker,
    mode_ceiling,
    mode_of,
    storm,
)
from remediator.engine.guardrails.when import cooldown, flapping, freeze, maintenance, still_firing
from remediator.engine.guardrails.where import (
    forbidden,
    kill_switch,
    outside,
    own_namespace,
    protected,
    scope,
)
from remediator.model.history import History, LookBack
from remediator.model.limits import Limits, Mode, lower_mode
from remediator.model.policy import ApprovalTerms, Block, Policy
from remediator.model.reasons import Reason
from remediator.model.verdicts import Ruling, Verdict

__all__ = [
    "GUARDRAILS",
    "NEED_NO_PLAN",
    "NO_HISTORY",
    "BreakerState",
    "Guardrail",
    "Question",
    "Standing",
    "applying",
    "approval_blocks",
    "bounds",
    "budget",
    "concurrency",
    "cooldown",
    "cost",
    "earned_ceiling",
    "effective_mode",
    "facts",
    "failure_breaker",
    "flapping",
    "forbidden",
    "freeze",
    "holding_reason",
    "impact",
    "judge",
    "kill_switch",
    "look_back",
    "maintenance",
    "mode_ceiling",
    "mode_of",
    "one_run_per_target",
    "outside",
    "own_namespace",
    "protected",
    "rate",
    "scope",
    "standing",
    "still_firing",
    "storm",
    "waiting_reason",
]

GUARDRAILS: Sequence[Guardrail] = (
    scope,
    own_namespace,
    protected,
    forbidden,
    kill_switch,
    still_firing,
    flapping,
    freeze,
    maintenance,
    bounds,
    impact,
    budget,
    cost,
    cooldown,
    rate,
    concurrency,
    one_run_per_target,
    storm,
    failure_breaker,
    earned_trust,
    mode_ceiling,
)
"""In this order: what no person can lift first, what a person's yes lifts last."""


NEED_NO_PLAN: Sequence[Guardrail] = (
    kill_switch,
    flapping,
    freeze,
    maintenance,
    rate,
    concurrency,
    storm,
    failure_breaker,
    earned_trust,
    mode_ceiling,
)
"""Those that can say something of a run whose plan is not known; for replay."""


def judge(question: Question, among: Sequence[Guardrail] = GUARDRAILS) -> tuple[Verdict, ...]:
    """Return every guardrail's verdict, in order, as the run's overrides leave it."""
    return tuple(lift(question, guardrail(question)) for guardrail in among)


def effective_mode(mode: Mode, policy: Policy) -> Mode:
    """Return the runbook's mode under the policy's own ceiling, whatever its rules say."""
    return lower_mode(mode, policy.mode)


def approval_blocks(question: Question) -> tuple[tuple[str, ApprovalTerms], ...]:
    """Return the approval terms that apply to a plan, each with whose they are."""
    return tuple((by, block.approval) for by, block in question.blocks)


_REASONS = (
    ("still_firing", Reason.SIGNAL_UNKNOWN),
    ("one_run_per_target", Reason.TARGET_BUSY),
    ("concurrency", Reason.CONCURRENCY),
)


def waiting_reason(verdicts: Iterable[Verdict]) -> Reason:
    """Return why a run waits when these verdicts let it."""
    waiting = {verdict.rule for verdict in verdicts if verdict.ruling is Ruling.WAIT}
    return next((reason for rule, reason in _REASONS if rule in waiting), Reason.TARGET_BUSY)


def holding_reason(verdicts: Iterable[Verdict]) -> Reason:
    """Return why a person is asked when these verdicts let a run be held."""
    holding = {verdict.rule for verdict in verdicts if verdict.ruling is Ruling.HOLD}
    return Reason.MODE_APPROVE if holding == {"mode"} else Reason.GUARDRAIL_HOLDS


def look_back(
    limits: Limits,
    policy: Policy,
    now: datetime,
    *,
    runbook: str = "",
    incident_id: str | None = None,
    blocks: Iterable[Block] | None = None,
) -> LookBack:
    """Return what of the past the judgement of a plan needs.

    Args:
        limits: the runbook's own.
        policy: the operator's.
        now: the time.
        runbook: whose last outcomes count; empty for nobody's.
        incident_id: whose alert's earlier incidents count; None for a run without one.
        blocks: those that apply to the plan, where it is known; else every rule may.
    """
    among = [policy, *policy.rules] if blocks is None else list(blocks)
    spans = [rate.per for rate in limits.rate]
    spans += [cooling for cooling in (limits.cooldown, *(b.cooldown for b in among)) if cooling]
    for block in among:
        spans += _windows(block)
    breaks, opened, treated = policy.breaker.failures, policy.storm.opened, policy.flapping.treated
    limited = any(b.concurrency.total or b.concurrency.per_runbook for b in among)
    return LookBack(
        changes=now - max(spans) if spans else None,
        going_on=limited or breaks is not None,
        outcomes_of=runbook if breaks else "",
        opened=now - opened.per if opened else None,
        treated=now - treated.per if treated and incident_id else None,
        incident_id=incident_id or "",
    )


def _windows(block: Block) -> list[timedelta]:
    rates, budgets = block.rate, block.budget
    return [
        *(one.per for one in rates.per_runbook + rates.per_target + rates.per_owner + rates.total),
        *(one.per for one in budgets.pods + budgets.nodes),
        *(one.per for one in budgets.share),
        *(one.per for one in block.cost.budget),
    ]


NO_HISTORY = History(changes=(), controls=(), locks={})
"""For simulation without a journal."""
