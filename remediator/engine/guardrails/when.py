"""Guardrails on the time: does it still fire, is now a time for changes, has the target rested?"""

from remediator.engine.guardrails.question import (
    Question,
    allow,
    binding,
    hold,
    key,
    refuse,
    show,
    span,
    wait,
)
from remediator.model.policy import Freeze, FreezeRuling, Maintenance, MaintenanceRuling
from remediator.model.quantities import format_duration
from remediator.model.signals import Signal
from remediator.model.verdicts import Verdict
from remediator.model.windows import Cover


def still_firing(q: Question) -> Verdict:
    """Before anything is changed the alert must still fire; not to know is to wait."""
    if q.manual:
        return allow("still_firing")
    if q.history.incident_open is False:  # its *resolved* came since Alertmanager was asked
        return refuse("still_firing", "the alert was resolved", "nothing: there is nothing to do")
    if q.signal is None or q.signal in (Signal.FIRING, Signal.NOT_CONFIGURED):
        return allow("still_firing")
    if q.signal is Signal.UNKNOWN:
        return wait(
            "still_firing",
            "no Alertmanager of this sender answers, so nobody knows whether the alert still fires",
            "an Alertmanager that answers",
        )
    return refuse("still_firing", "the alert no longer fires", "nothing: there is nothing to do")


def flapping(q: Question) -> Verdict:
    """An alert that comes back again and again after it was treated is no case for treatment."""
    limit = q.policy.flapping.treated
    if limit is None:
        return allow("flapping")
    inside = sorted(at for at in q.history.treated if q.now - at < limit.per)
    if len(inside) < limit.count:
        return allow("flapping")
    again = inside[-limit.count] + limit.per if limit.count else None
    return refuse(
        "flapping",
        f"the alert was treated {len(inside)} times in {format_duration(limit.per)} and came back; "
        f"the policy allows {limit}",
        f"waiting until {show(again)}" if again else "policy.flapping.treated above zero",
        by="policy",
        figure=f"{len(inside)} in {format_duration(limit.per)}",
        limit=str(limit),
    )


def freeze(q: Question) -> Verdict:
    """In a freeze no change is made; where it says hold, a person may say yes."""
    return binding(
        "freeze", (_frozen(q, by, window) for by, block in q.blocks for window in block.freeze)
    )


def _frozen(q: Question, by: str, window: Freeze) -> Verdict | None:
    open_now = window.covers(q.now)
    if open_now is None:
        return None
    reason, lifted = _told("changes are frozen", by, window, open_now)
    more = {"by": by, "figure": open_now.name, "limit": f"until {show(open_now.until)}"}
    if window.then is FreezeRuling.REFUSE:
        return refuse("freeze", reason, lifted, **more)
    if q.approved:
        return None
    return hold("freeze", reason, f"an approval of this plan, or {lifted}", **more)


def maintenance(q: Question) -> Verdict:
    """Under maintenance alerts are expected: a run is put on record and nothing is changed."""
    return binding(
        "maintenance",
        (_maintained(q, by, window) for by, block in q.blocks for window in block.maintenance),
    )


def _maintained(q: Question, by: str, window: Maintenance) -> Verdict | None:
    open_now = window.covers(q.now)
    if open_now is None:
        return None
    reason, lifted = _told("it is under maintenance", by, window, open_now)
    more = {"by": by, "figure": open_now.name, "limit": f"until {show(open_now.until)}"}
    if window.then is MaintenanceRuling.OBSERVE:
        return refuse("maintenance", reason, lifted, **more)
    if q.approved:
        return None
    return hold("maintenance", reason, f"an approval of this plan, or {lifted}", **more)


def _told(what: str, by: str, window: Freeze | Maintenance, open_now: Cover) -> tuple[str, str]:
    why = f": {window.reason}" if window.reason else ""
    until = show(open_now.until)
    return (
        f"{what} by the {by} ({open_now.name}) until {until}{why}",
        f"waiting until {until}",
    )


def cooldown(q: Question) -> Verdict:
    """Let a target come to rest between two runs' changes; runbook's and policy's all hold."""
    target = q.plan.target.key
    others = [c for c in q.history.changes if c.target_key == target and c.run_id != q.run_id]
    own = max((c.at for c in others if c.runbook == q.runbook), default=None)
    last = max((c.at for c in others), default=None)
    for at, limit, by in (
        (own, q.limits.cooldown, f"runbook {q.runbook}"),
        *((last, block.cooldown, by) for by, block in q.blocks),
    ):
        if at is None or not limit or q.now - at >= limit:
            continue
        return refuse(
            "cooldown",
            f"{q.plan.target} was changed {span(q.now - at)} ago; "
            f"the cooldown of the {by} is {format_duration(limit)}",
            f"waiting until {show(at + limit)}, or {key(by, 'cooldown')}",
            by=by,
            figure=f"{span(q.now - at)} ago",
            limit=format_duration(limit),
        )
    return allow("cooldown")
