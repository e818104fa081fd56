"""How the plans of a question differ from those that people saw before, as lines of a diff. Pure.

What people said yes to is void once the plans are others; they should not have to find out
themselves what is different. Called by `approvals` when it asks again.
"""

from collections.abc import Iterator, Mapping

from remediator.model import canonical
from remediator.model.plans import Plan
from remediator.model.quantities import format_duration

MOST_LINES = 40
"""Slack shows some three thousand characters; whoever needs more looks at the plans."""


def lines(before: Mapping[str, Plan], now: Mapping[str, Plan]) -> tuple[str, ...]:
    """Return a diff of the plans, by step id: lines with `- `, `+ ` or two spaces before them.

    Args:
        before: as they were shown the last time; nothing where nothing was shown.
        now: as they are asked for now.
    """
    if not before:
        return ()
    found: list[str] = []
    for step_id, plan in now.items():
        old = before.get(step_id)
        if old is None:
            found.append(f"+ {step_id}: {plan}")
        elif old.digest != plan.digest:
            found += [f"  {step_id}: {old.target}", *_of_one(old, plan)]
    if len(found) > MOST_LINES:
        left = len(found) - MOST_LINES + 1
        return (*found[: MOST_LINES - 1], f"  and {left} lines more")
    return tuple(found)


def _of_one(old: Plan, new: Plan) -> Iterator[str]:
    was, becomes = _words(old), _words(new)
    if was == becomes:
        # Words round, leave out, and write 1 for "1"; the digest does not.
        was, becomes = _figures(old), _figures(new)
    for key in dict.fromkeys((*was, *becomes)):
        if was.get(key) == becomes.get(key):
            continue
        if key in was:
            yield f"- {was[key]}"
        if key in becomes:
            yield f"+ {becomes[key]}"


def _figures(plan: Plan) -> dict[str, str]:
    impact = plan.impact
    down = "all of them" if impact.down is None else str(impact.down)
    text = f"{impact.pods} of {impact.of_pods} pods, {down} down at once, {impact.nodes} nodes"
    return {
        **{
            f"change {one.path}": f"{one.path}: {canonical.dumps(one.before)} → "
            f"{canonical.dumps(one.after)}"
            for one in plan.changes
        },
        "impact": f"impact: {text}",
    }


def _words(plan: Plan) -> dict[str, str]:
    """Return what the digest covers, each part in words."""
    target = plan.target
    words = {"action": plan.action, "target": f"{target.kind} {target.scope}/{target.name}"}
    words["system"] = f"in {target.system}"
    if plan.target.uid:
        words["uid"] = f"object {plan.target.uid}"
    words |= {f"change {change.path}": str(change) for change in plan.changes}
    words["impact"] = f"impact: {plan.impact}"
    if plan.impact.replicas is not None:
        words["replicas"] = f"replicas after it: {plan.impact.replicas}"
    if plan.lasts is not None:
        words["lasts"] = f"taken back after {format_duration(plan.lasts)}"
    return words
