"""Overrides: one person lifts one guardrail for one run, once, with a reason.

An override is for the run that it was given to and for no other: it is used up in the transaction
that stores that run's first intent under it, and what nobody used in time is put on record as
expired. Who may give one, and for which guardrails, the policy says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediator.model.canonical import JSONObject
from remediator.model.clock import to_text


class OverrideState(StrEnum):
    """What became of it."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"  # nobody used it in time


@dataclass(frozen=True, slots=True)
class Override:
    """One override.

    Args:
        id: its identity.
        run_id: the run whose plans it lets pass.
        asked_for: the run that a person named; another where that one had ended.
        guardrail: the one that it lifts, `cooldown`.
        by: an authenticated identity.
        reason: why, in the person's words; never empty.
        via: the channel it came through.
        expires_at: until then its first use must begin.
        used_at: when it was.
    """

    id: str
    run_id: str
    asked_for: str
    guardrail: str
    by: str
    reason: str
    via: str
    state: OverrideState
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None

    def lifts(self, guardrail: str, at: datetime) -> bool:
        """Whether it lets its run pass this guardrail now.

        Once used it holds to the end of its run, so that the run is not stopped half-way; it can't
        be used for anything else.
        """
        if self.guardrail != guardrail:
            return False
        if self.state is OverrideState.USED:
            return True
        return self.state is OverrideState.OPEN and at < self.expires_at

    def to_json(self) -> JSONObject:
        """Return the override as JSON for the audit chain and the API."""
        return {
            "id": self.id,
            "run_id": self.run_id,
            "asked_for": self.asked_for,
            "guardrail": self.guardrail,
            "by": self.by,
            "reason": self.reason,
            "via": self.via,
            "state": self.state.value,
            "created_at": to_text(self.created_at),
            "expires_at": to_text(self.expires_at),
            "used_at": to_text(self.used_at) if self.used_at else None,
        }


def lifting(overrides: Iterable[Override], guardrail: str, at: datetime) -> Override | None:
    """Return the override that lifts a guardrail now, if there is one."""
    return next((one for one in overrides if one.lifts(guardrail, at)), None)


class GrantOutcome(StrEnum):
    """What became of the wish to override."""

    GRANTED = "granted"  # attached to the run that was named
    STARTED = "started"  # that one had ended: a new one carries it
    UNKNOWN = "unknown"  # there is no such run
    NOT_REFUSED = "not_refused"  # the run did not end by this guardrail
    OVER = "over"  # the alert does not fire any more
    BUSY = "busy"  # another run of this runbook is on its way for the same incident
    REPEATED = "repeated"  # the run has such an override already, and it is not used up


@dataclass(frozen=True, slots=True)
class Granted:
    """What became of the wish: the override where there is one, and which run is in the way."""

    outcome: GrantOutcome
    override: Override | None = None
    other_run: str = ""
