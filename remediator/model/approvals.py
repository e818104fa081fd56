"""Approvals: a question bound to the plans that people saw, and their answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ApprovalStatus(StrEnum):
    """Where the question is."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    VOID = "void"  # the plan changed, the alert resolved, or the run was cancelled


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """One question: may this run make these changes?

    Args:
        id: opaque; the only thing a button carries.
        digests: step id → digest of the plan that was shown.
        approvers: groups and people who may answer, as written in the runbook.
        quorum: how many different people must say yes.
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


class Answer(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """One person's answer. `actor` is an authenticated identity: `slack:U123`, `api:alice`."""

    approval_id: str
    actor: str
    answer: Answer
    reason: str
    via: str
    at: datetime


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
