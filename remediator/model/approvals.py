"""Approvals: a question bound to the plans that people saw, and their answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from remediator.model.canonical import JSONObject
from remediator.model.quantities import format_duration, parse_duration


class ApprovalStatus(StrEnum):
    """Where the question is."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    VOID = "void"  # the plan changed, the alert resolved, or the run was cancelled


class OnExpiry(StrEnum):
    """What silence means when the time of a question is over."""

    APPROVE = "approve"  # a yes; only where the policy allows it for that very plan
    DENY = "deny"  # a no, and nobody is called
    ESCALATE = "escalate"  # a no, and a person is called


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a question is answered, beside who may and how many: fixed when it is asked.

    Args:
        within: lists of names; whoever answers must be among each of them as well.
        four_eyes: who started the run may not say yes to it.
        on_expiry: what silence means.
        remind: when people are told again, after the question was asked.
        deny_reason: a no must say why.
        policy: names of the policy's rules that had a part in these terms.
    """

    within: tuple[tuple[str, ...], ...] = ()
    four_eyes: bool = False
    on_expiry: OnExpiry = OnExpiry.ESCALATE
    remind: tuple[timedelta, ...] = ()
    deny_reason: bool = False
    policy: tuple[str, ...] = ()

    def to_json(self) -> JSONObject:
        """Return the terms as the journal keeps them and the API answers."""
        return {
            "within": [list(names) for names in self.within],
            "four_eyes": self.four_eyes,
            "on_expiry": self.on_expiry.value,
            "remind": [format_duration(after) for after in self.remind],
            "deny_reason": self.deny_reason,
            "policy": list(self.policy),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Terms":
        """Read back what `to_json` gave; what an older daemon did not write has its default."""
        return cls(
            within=tuple(tuple(names) for names in value.get("within", ())),
            four_eyes=bool(value.get("four_eyes", False)),
            on_expiry=OnExpiry(value.get("on_expiry", OnExpiry.ESCALATE)),
            remind=tuple(parse_duration(after) for after in value.get("remind", ())),
            deny_reason=bool(value.get("deny_reason", False)),
            policy=tuple(value.get("policy", ())),
        )


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """One question: may this run make these changes?

    Args:
        id: opaque; the only thing a button carries.
        digests: step id → digest of the plan that was shown.
        approvers: groups and people who may answer, as written in the runbook.
        quorum: how many different people must say yes.
        terms: on what terms besides.
        differs: how the plans differ from those of the question before, as lines of a diff.
        reminded: how many of the terms' reminders were sent.
        closed_why: what closed it, where its status alone does not say.
    """

    id: str
    run_id: str
    digests: Mapping[str, str]
    approvers: tuple[str, ...]
    quorum: int
    status: ApprovalStatus
    created_at: datetime
    expires_at: datetime
    asked_because: str
    terms: Terms = Terms()
    differs: tuple[str, ...] = ()
    reminded: int = 0
    closed_why: str = ""


MAX_REASON = 1000
"""Characters of what a person says beside an answer: people write sentences, and a pasted log does
not belong into the audit chain."""


class Answer(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """One person's answer. `actor` is an authenticated identity: `slack:U123`, `api:alice`;
    `person` who stands behind it, which for an identity of nobody's is the identity itself."""

    approval_id: str
    actor: str
    answer: Answer
    reason: str
    via: str
    at: datetime
    person: str = ""

    @property
    def who(self) -> str:
        """What a quorum counts."""
        return self.person or self.actor


class DecisionOutcome(StrEnum):
    """What the compare-and-set made of an answer."""

    COUNTED = "counted"  # the quorum is not reached yet
    APPROVED = "approved"
    DENIED = "denied"
    REPEATED = "repeated"  # the same person, the same answer: nothing changes
    ALREADY_DECIDED = "already_decided"
    EXPIRED = "expired"
    VOID = "void"
    UNKNOWN = "unknown"  # no such approval
    LOOK_AGAIN = "look_again"  # somebody answered meanwhile: nothing was written, try again
    NEEDS_REASON = "needs_reason"  # a no that does not say why, where the policy wants it


class SnoozeOutcome(StrEnum):
    """What became of a person's wish to be asked later."""

    SNOOZED = "snoozed"
    OUT_OF_BOUNDS = "out_of_bounds"  # too short or too long
    HALF_DONE = "half_done"  # the run has changed something: it needs an answer, or its way back
    DECIDED = "decided"
    EXPIRED = "expired"
    VOID = "void"
    UNKNOWN = "unknown"
