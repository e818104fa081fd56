"""What can be said of a run whose plan is not known: the guardrails that need none. Pure.

A plan against a world that is gone fails, or means nothing. Matching, and the limits that count or
look at the time, hold all the same.
"""

from dataclasses import replace

from remediator.engine import guardrails, step
from remediator.engine.hand import Hand
from remediator.model import matchers
from remediator.model.history import History
from remediator.model.limits import Mode, lower_mode
from remediator.model.plans import Impact, Plan, Target
from remediator.model.policy import Policy, Rule
from remediator.model.verdicts import Verdict

_OF_A_PLAN = frozenset({"action", "system", "scope", "kind", "name", "account", "region"})
_OF_A_TARGET = ("target_label_", "target_annotation_")


def policy(given: Policy) -> Policy:
    """Return the policy without the rules whose matchers read the plan."""
    return given.model_copy(update={"rules": tuple(r for r in given.rules if not _reads_plan(r))})


def _reads_plan(rule: Rule) -> bool:
    names = {matcher.name for line in rule.match for matcher in matchers.parse(line)}
    return bool(names & _OF_A_PLAN) or any(name.startswith(_OF_A_TARGET) for name in names)


def plan(run_id: str) -> Plan:
    """Return what stands for a plan that is not known: it touches a target that no other does."""
    return Plan("", Target("", "", "", run_id), (), Impact(), "its plan is not known")


def judge(hand: Hand, unknown: Plan, history: History) -> tuple[Mode, tuple[Verdict, ...]]:
    """Return how far the run may go as far as is known, and what those guardrails say."""
    asked = step.question(hand, 0, unknown, history=history, signal=None, approved=False)
    verdicts = guardrails.judge(asked, guardrails.NEED_NO_PLAN)
    mode = lower_mode(
        guardrails.effective_mode(hand.runbook.mode, hand.ports.policy),
        guardrails.earned_ceiling(hand.track, hand.ports.policy.trust),
    )
    return lower_mode(mode, guardrails.mode_of(asked)), verdicts


def blinded(hand: Hand, known: Policy) -> Hand:
    """Return the hand under the policy's limits that need no plan, which `policy` made."""
    return replace(hand, ports=replace(hand.ports, policy_now=lambda: known))
