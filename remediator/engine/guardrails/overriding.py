"""What a person lifts for one run: a guardrail's no becomes an allow that says who, why and what.

Pure. Applied to every verdict by `judge`. Which guardrails may be lifted the policy says, and it is
asked once more: where it took the permission back, that holds at once.
"""

from dataclasses import replace

from remediator.engine.guardrails.question import Question
from remediator.model.overrides import lifting
from remediator.model.policy import NEVER_OVERRIDDEN
from remediator.model.verdicts import Ruling, Verdict


def lift(q: Question, verdict: Verdict) -> Verdict:
    """Return the verdict as the run's overrides leave it."""
    rule = verdict.rule
    if verdict.ruling is Ruling.ALLOW or rule in NEVER_OVERRIDDEN:
        return verdict
    given = lifting(q.history.overrides, rule, q.now)
    if given is None or rule not in q.policy.override.guardrails:
        return verdict
    return replace(
        verdict,
        ruling=Ruling.ALLOW,
        reason=f"overridden by {given.by}: {given.reason}; it said: {verdict.reason}",
        lifted_by="",
        override=given.id,
    )
