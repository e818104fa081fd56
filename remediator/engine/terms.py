"""On what terms people are asked: the runbook's wish, made tighter by the policy. Pure.

A question may be about several plans, and each may have rules of the policy of its own; all of them
hold. Called by `approvals` when it asks, and again when silence is to be taken for a yes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from remediator.model.approvals import OnExpiry, Terms
from remediator.model.limits import Approval
from remediator.model.policy import ApprovalTerms

Blocks = Sequence[tuple[str, ApprovalTerms]]
"""What the policy asks for one plan: each with the name of its rule."""

_NOTHING = ApprovalTerms()
_STRICTNESS = (OnExpiry.APPROVE, OnExpiry.DENY, OnExpiry.ESCALATE)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, how many must say yes, for how long, and on what terms besides."""

    approvers: tuple[str, ...]
    quorum: int
    timeout: timedelta
    terms: Terms


def merge(wanted: Approval, of_plans: Sequence[Blocks], default: Sequence[str]) -> Asked:
    """Put a runbook's `approval:` and the policy's blocks together.

    Args:
        wanted: as the runbook has it.
        of_plans: for each plan of the question, the blocks that the policy has for it.
        default: who is asked where nobody names anybody.
    """
    blocks = list(dict.fromkeys(one for plan in of_plans for one in plan))
    lists = list(dict.fromkeys(block.approvers for _, block in blocks if block.approvers))
    approvers = wanted.approvers or (lists.pop(0) if lists else tuple(default))
    within = tuple(names for names in lists if names != approvers)
    shortest = min(
        [wanted.timeout, *(b.max_timeout for _, b in blocks if b.max_timeout is not None)]
    )
    return Asked(
        approvers=approvers,
        quorum=max([wanted.quorum, *(b.quorum for _, b in blocks if b.quorum is not None)]),
        timeout=shortest,
        terms=Terms(
            within=within,
            four_eyes=wanted.four_eyes or any(block.four_eyes for _, block in blocks),
            on_expiry=_on_expiry(wanted, of_plans),
            remind=tuple(after for after in wanted.remind if after < shortest),
            deny_reason=any(block.deny_reason for _, block in blocks),
            policy=tuple(dict.fromkeys(name for name, block in blocks if block != _NOTHING)),
        ),
    )


def _on_expiry(wanted: Approval, of_plans: Sequence[Blocks]) -> OnExpiry:
    said = [[block.on_expiry for _, block in plan if block.on_expiry] for plan in of_plans]
    strictest = max(
        [wanted.on_expiry, *(one for plan in said for one in plan)], key=_STRICTNESS.index
    )
    if strictest is OnExpiry.APPROVE and not (said and all(said)):
        # The runbook alone wants it: for some plan no rule of the policy allows it.
        return OnExpiry.ESCALATE
    return strictest
