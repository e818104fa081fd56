"""Guardrails on how much: what a change leads to, what it touches, what it costs."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from remediator.engine.guardrails.question import (
    Question,
    allow,
    binding,
    hold,
    key,
    refuse,
    show,
)
from remediator.model.history import PastChange
from remediator.model.limits import MaxImpact
from remediator.model.plans import Plan
from remediator.model.policy import Block, UnknownCost
from remediator.model.quantities import Share, format_duration
from remediator.model.verdicts import Verdict


def bounds(q: Question) -> Verdict:
    """What the change leads to must lie within absolute bounds."""
    touched = q.plan.impact
    for by, block in q.blocks:
        limits = block.bounds
        for what, count, low, high in (
            ("replicas", touched.replicas, limits.min_replicas, limits.max_replicas),
            ("instances", touched.instances, limits.min_instances, limits.max_instances),
        ):
            if count is None:
                continue
            if (low is not None and count < low) or (high is not None and count > high):
                allowed = f"{0 if low is None else low} to {'any' if high is None else high}"
                return refuse(
                    "bounds",
                    f"{count} {what} is outside {allowed}, the bounds of the {by}",
                    f"{key(by, f'bounds.min_{what}')} and max_{what}",
                    by=by,
                    figure=str(count),
                    limit=allowed,
                )
    return allow("bounds")


def impact(q: Question) -> Verdict:
    """An absolute cap and a share; all hold, and the strictest of runbook's and policy's binds."""
    for by, limit in (
        (f"runbook {q.runbook}", q.limits.max_impact),
        *((by, block.max_impact) for by, block in q.blocks),
    ):
        verdict = _too_much(q.plan, limit, by)
        if verdict is not None:
            return verdict
    return allow("impact")


def _too_much(plan: Plan, limit: MaxImpact, by: str) -> Verdict | None:
    touched = plan.impact
    for name, count, most in (
        ("pods", touched.pods, limit.pods),
        ("nodes", touched.nodes, limit.nodes),
    ):
        if most is not None and count > most:
            return refuse(
                "impact",
                f"{count} {name} are touched; the {by} allows {most}",
                key(by, f"max_impact.{name}"),
                by=by,
                figure=str(count),
                limit=str(most),
            )
    for name, part, share, what in (
        ("share", touched.share, limit.share, f"{plan.target} would be down at once"),
        ("node_share", touched.node_share, limit.node_share, "the nodes would be out of service"),
    ):
        if share is not None and part > share.fraction:
            return refuse(
                "impact",
                f"{_share(part)} of {what}; the {by} allows {share}",
                key(by, f"max_impact.{name}"),
                by=by,
                figure=_share(part),
                limit=str(share),
            )
    return None


def budget(q: Question) -> Verdict:
    """The impact of all changes in any window together, this one included, over all runbooks.

    A change that touches nothing of a kind spends nothing of it, and passes an empty budget.
    """
    for by, block in q.blocks:
        for verdict in (*_counts(q, by, block), *_shares(q, by, block)):
            return verdict
    return allow("budget")


def _counts(q: Question, by: str, block: Block) -> Iterator[Verdict]:
    touched, counted = q.plan.impact, q.counted(block)
    for name, own, limits in (
        ("pods", touched.pods, block.budget.pods),
        ("nodes", touched.nodes, block.budget.nodes),
    ):
        for limit in limits:
            inside = [c for c in counted if q.now - c.at < limit.per]
            spent = sum(c.pods if name == "pods" else c.nodes for c in inside)
            if own and spent + own > limit.count:
                yield refuse(
                    "budget",
                    f"{own} {name} on top of {spent} in {format_duration(limit.per)}; "
                    f"the {by} allows {limit}",
                    _when_free(inside, limit.per, key(by, f"budget.{name}")),
                    by=by,
                    figure=f"{spent} + {own}",
                    limit=str(limit),
                )


def _shares(q: Question, by: str, block: Block) -> Iterator[Verdict]:
    touched = q.plan.impact
    own = touched.down_at_once
    workload = touched.part_of or q.plan.target.key
    for limit in block.budget.share:
        inside = [
            c
            for c in q.counted(block)
            if c.workload == workload and c.down and q.now - c.at < limit.per
        ]
        down = sum(c.down for c in inside) + own
        # Of the workload as it is now: the same pods out of fewer are more.
        part = down / touched.of_pods if touched.of_pods else 1.0
        if own and part > limit.share.fraction:
            yield refuse(
                "budget",
                f"{_share(part)} of {workload} would have been down within "
                f"{format_duration(limit.per)}; the {by} allows {limit}",
                _when_free(inside, limit.per, key(by, "budget.share")),
                by=by,
                figure=f"{down} of {touched.of_pods}",
                limit=str(limit),
            )


def cost(q: Question) -> Verdict:
    """What changes add to the running cost, by the hour; one that saves spends nothing."""
    return binding("cost", (v for by, block in q.blocks for v in _costs(q, by, block)))


def _costs(q: Question, by: str, block: Block) -> Iterator[Verdict]:
    limits, added = block.cost, q.plan.impact.cost_per_hour
    if not limits.limited:
        return
    if added is None:
        verdict = _unknown(q, by, limits.unknown) if q.plan.impact.alters_a_count else None
        if verdict is not None:
            yield verdict
        return
    if added <= 0:
        return
    if limits.per_change is not None and added > limits.per_change.amount:
        yield refuse(
            "cost",
            f"it adds {added:f} an hour; the {by} allows {limits.per_change} for one change",
            key(by, "cost.per_change"),
            by=by,
            figure=f"{added:f}",
            limit=str(limits.per_change),
        )
    for limit in limits.budget:
        inside = [c for c in q.counted(block) if (c.cost or 0) > 0 and q.now - c.at < limit.per]
        spent = sum((c.cost or Decimal(0) for c in inside), Decimal(0))
        if spent + added > limit.money.amount:
            yield refuse(
                "cost",
                f"{added:f} an hour on top of {spent:f} that was added in "
                f"{format_duration(limit.per)}; the {by} allows {limit}",
                _when_free(inside, limit.per, key(by, "cost.budget")),
                by=by,
                figure=f"{spent:f} + {added:f}",
                limit=str(limit),
            )


def _unknown(q: Question, by: str, then: UnknownCost) -> Verdict | None:
    reason = f"nobody knows what it costs, and the {by} limits money"
    lifted = f"an estimate, or {key(by, 'cost.unknown')}"
    more = {"by": by, "figure": "unknown", "limit": "an estimate"}
    if then is UnknownCost.REFUSE:
        return refuse("cost", reason, lifted, **more)
    if then is UnknownCost.HOLD and not q.approved:
        return hold("cost", reason, f"an approval of this plan, or {lifted}", **more)
    return None


def _when_free(inside: list[PastChange], per: timedelta, where: str) -> str:
    oldest = min((c.at for c in inside), default=None)
    if oldest is None:
        return where
    return f"waiting from {show(oldest + per)} on, when the oldest counts no more, or {where}"


def _share(part: float) -> str:
    return str(Share(round(part, 4)))
