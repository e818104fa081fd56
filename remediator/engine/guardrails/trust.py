"""Guardrails on whether a person should look first: storms, failing runbooks, the mode.

They hold; a person's yes to this very plan lifts them.
"""

from remediator.engine.guardrails import breaker, earned
from remediator.engine.guardrails.question import Question, allow, hold, key, refuse, show
from remediator.engine.guardrails.when import maintenance
from remediator.model.limits import Mode, lower_mode
from remediator.model.quantities import format_duration
from remediator.model.verdicts import Ruling, Verdict


def storm(q: Question) -> Verdict:
    """Many incidents at once hold every automatic run: something larger is wrong."""
    limit = q.policy.storm.opened
    if limit is None or q.approved or q.history.opened <= limit.count:
        return allow("storm")
    return hold(
        "storm",
        f"{q.history.opened} incidents were opened in {format_duration(limit.per)}; above "
        f"{limit.count} the policy lets no run go by itself",
        "an approval of this plan, or fewer incidents: policy.storm.opened",
        by="policy",
        figure=f"{q.history.opened} in {format_duration(limit.per)}",
        limit=str(limit),
    )


def failure_breaker(q: Question) -> Verdict:
    """A runbook that keeps failing falls back to approval until a run has shown that it works."""
    limit = q.policy.breaker
    if limit.failures is None or q.approved:
        return allow("failure_breaker")
    now = breaker.standing(q.history.outcomes, q.history.reset, limit, q.now)
    if now.state is breaker.State.CLOSED or now.opened_at is None or now.half_open_at is None:
        return allow("failure_breaker")
    lifted = f"an approval of this plan, or remediator breaker reset {q.runbook}"
    if now.state is breaker.State.OPEN:
        return hold(
            "failure_breaker",
            f"runbook {q.runbook} failed {now.failures} times in "
            f"{format_duration(limit.failures.per)}, the last time at {show(now.opened_at)}; "
            f"the policy allows less than {limit.failures}",
            f"{lifted}, or waiting until {show(now.half_open_at)}",
            by="policy",
            figure=f"{now.failures} in {format_duration(limit.failures.per)}",
            limit=str(limit.failures),
        )
    trials = sorted(one.run_id for one in q.history.going_on if one.runbook == q.runbook)
    if not trials:
        return allow("failure_breaker")
    return hold(
        "failure_breaker",
        f"runbook {q.runbook} failed until {show(now.opened_at)}; run {trials[0]} shows whether it "
        "works again, and one at a time may",
        f"{lifted}, or the success of run {trials[0]}",
        by="policy",
        figure=str(len(trials)),
        limit="1",
    )


def earned_trust(q: Question) -> Verdict:
    """Where the policy demands it, a runbook goes no further than it has earned."""
    return earned.judge(q, _mode(q)[0])


def mode_ceiling(q: Question) -> Verdict:
    """`approve` needs a person's yes to this very plan; `observe` never acts."""
    mode, by = _mode(q)
    if mode is Mode.OBSERVE:
        return refuse(
            "mode",
            f"the mode is observe{_of(by)}: plan only",
            key(by, "mode") if by else "mode in the runbook",
            by=by or f"runbook {q.runbook}",
            figure=q.mode.value,
            limit=mode.value,
        )
    if mode is Mode.APPROVE and not q.approved:
        return hold(
            "mode",
            f"the mode is approve{_of(by)}",
            "an approval of this plan",
            by=by or f"runbook {q.runbook}",
            figure=q.mode.value,
            limit=mode.value,
        )
    return allow("mode")


def mode_of(q: Question) -> Mode:
    """Return how far a run may go with this plan: the runbook's mode under every ceiling.

    Under maintenance that only observes, no further than that; nor further than it has earned,
    where the policy demands it.
    """
    if maintenance(q).ruling is Ruling.REFUSE:
        return Mode.OBSERVE
    return lower_mode(_mode(q)[0], earned.ceiling(q.track, q.policy.trust))


def _mode(q: Question) -> tuple[Mode, str]:
    """Return the mode and whose ceiling it is; empty where it is the runbook's own."""
    mode, of = q.mode, ""
    for by, block in q.blocks:
        if block.mode is not None and lower_mode(mode, block.mode) is not mode:
            mode, of = block.mode, by
    return mode, of


def _of(by: str) -> str:
    return f", by the {by}" if by else ""
