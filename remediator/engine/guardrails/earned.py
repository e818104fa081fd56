"""Guardrail on earned trust: where the policy demands it, no runbook goes further than it has
earned.

What it has shown comes with the question (`track`), read only where it is demanded; without it,
nothing was shown. Pure.
"""

from remediator.engine.guardrails.question import Question, allow, hold, refuse
from remediator.model import promotion
from remediator.model.evidence import NO_EVIDENCE
from remediator.model.limits import Mode, lower_mode
from remediator.model.policy import Trust
from remediator.model.promotion import Track
from remediator.model.verdicts import Verdict

_NOTHING = Track(NO_EVIDENCE, NO_EVIDENCE)


def ceiling(track: Track | None, bars: Trust) -> Mode:
    """Return the highest mode that a runbook has earned; any, where nobody asks."""
    return promotion.earned(track or _NOTHING, bars) if bars.required else Mode.AUTO


def judge(q: Question, wanted: Mode) -> Verdict:
    """A runbook goes no further than it has earned; a person's yes to this very plan suffices.

    Args:
        wanted: how far it may go by its own mode and every other ceiling.
    """
    bars = q.policy.trust
    earned = ceiling(q.track, bars)
    if q.approved or lower_mode(wanted, earned) is wanted:
        return allow("trust")
    bar = Mode.APPROVE if earned is Mode.OBSERVE else Mode.AUTO
    text = (
        f"runbook {q.runbook} has not earned the mode {bar}: "
        f"{promotion.missing(bar, q.track or _NOTHING, bars)}"
    )
    whose = {"by": "policy", "figure": earned.value, "limit": wanted.value}
    if earned is Mode.OBSERVE:
        return refuse("trust", text, "more plans that are only shown", **whose)
    lifted = f"an approval of this plan, or what is missing: remediator report {q.runbook}"
    return hold("trust", text, lifted, **whose)
