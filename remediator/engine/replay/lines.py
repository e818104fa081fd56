"""What came out of a replay: a line for each run that would have been, and how it differs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from remediator.engine.replay import Key
from remediator.journal.values import Happened
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Trigger
from remediator.model.verdicts import Ruling, Verdict, heaviest


class What(StrEnum):
    """What a run comes to, before anybody has answered anything."""

    ACTS = "acts"  # carried out without a person
    ASKS = "asks"  # people are asked
    REFUSED = "refused"  # by a guardrail
    UNMET = "unmet"  # a probe says that it is no case for this runbook
    OBSERVES = "observes"  # the plan is shown, and no more
    NOTHING = "nothing"  # there is nothing to change
    CLEARED = "cleared"  # the alert ended before anything was begun
    WAITS = "waits"  # for a target, for its turn; perhaps until it gives up
    FAILS = "fails"
    CANCELLED = "cancelled"  # by a person


@dataclass(frozen=True, slots=True)
class Line:
    """One run that would have been, or was.

    Args:
        at: when its notification came.
        labels: the alert's.
        what: what it comes to.
        guardrail: which one refuses, holds or lets it wait; empty for none.
        message: one sentence.
        plans: each in one line.
        unplanned: why its plan is not known; empty where it is.
        end: its last state; of a run that would have been, the assumed one, None where the
            recording ended before.
        run_id: of a run that was.
    """

    at: datetime
    runbook: str
    trigger: Trigger
    sender: str
    fingerprint: str
    labels: Mapping[str, str]
    what: What
    guardrail: str = ""
    message: str = ""
    plans: tuple[str, ...] = ()
    unplanned: str = ""
    end: RunState | None = None
    run_id: str = ""

    @property
    def key(self) -> Key:
        """What makes it the same run as another line's."""
        return (self.at, self.sender, self.fingerprint, self.runbook, self.trigger.value)

    @property
    def verdict(self) -> str:
        """What it comes to, and by which guardrail: `refused (cooldown)`."""
        return f"{self.what} ({self.guardrail})" if self.guardrail else self.what.value


class Part(StrEnum):
    """In what two lines differ."""

    VERDICT = "verdict"
    PLAN = "plan"
    END = "end"


@dataclass(frozen=True, slots=True)
class Pair:
    """A run as it would be now, and as it was or would be by the other side; None where it is not.

    Args:
        differs: in what, where both are.
    """

    now: Line | None
    then: Line | None
    differs: tuple[Part, ...] = ()

    @property
    def line(self) -> Line:
        """The line that there is, of now where there are both."""
        found = self.now or self.then
        assert found is not None, "a pair has at least one side"  # noqa: S101 - by construction
        return found

    @property
    def same(self) -> bool:
        """Whether both sides are there and alike."""
        return self.now is not None and self.then is not None and not self.differs


def with_history(now: Line | None, then: Line | None) -> Pair:
    """Hold a line against what happened.

    Only the verdicts are compared: plans are made against another world, and what a person
    answered, or whether it helped, no replay knows.
    """
    if now is None or then is None:
        return Pair(now, then)
    if not now.labels or not then.labels:
        then = replace(then, labels=now.labels or then.labels)
    alike = now.what is then.what and (
        now.what is not What.REFUSED or now.guardrail == then.guardrail
    )
    return Pair(now, then, () if alike else (Part.VERDICT,))


def with_other(now: Line | None, then: Line | None) -> Pair:
    """Hold a line against the same run by other runbooks, in the same world."""
    if now is None or then is None:
        return Pair(now, then)
    parts = (
        (Part.VERDICT, now.verdict != then.verdict),
        (Part.PLAN, now.plans != then.plans),
        (Part.END, now.end is not then.end),
    )
    return Pair(now, then, tuple(part for part, other in parts if other))


def of_history(one: Happened) -> Line:
    """Return a run that was as a line; its alert's labels are not part of it."""
    return Line(
        at=one.created_at,
        runbook=one.runbook,
        trigger=one.trigger,
        sender=one.sender,
        fingerprint=one.fingerprint,
        labels={},
        what=_what(one),
        guardrail=_guardrail(one),
        message=one.message,
        plans=one.plans,
        end=one.state,
        run_id=one.run_id,
    )


_BY_GUARDRAIL = frozenset({What.REFUSED, What.ASKS, What.WAITS})


def _guardrail(one: Happened) -> str:
    if one.reason in (Reason.ALREADY_RUNNING, Reason.QUEUE_FULL, Reason.QUEUED):
        return "repeat"
    return binding(one.verdicts) if _what(one) in _BY_GUARDRAIL else ""


def _what(one: Happened) -> What:
    if one.state is RunState.OBSERVED:
        return What.OBSERVES
    if one.state is RunState.SUPPRESSED and not one.changed and not one.asked:
        return What.UNMET if one.reason is Reason.EXPECTATION_UNMET else What.REFUSED
    if one.asked:
        return What.ASKS
    if one.changed:
        return What.ACTS
    if one.state is RunState.CANCELLED:
        by_itself = one.reason is Reason.RESOLVED_BY_ITSELF
        return What.CLEARED if by_itself else What.CANCELLED
    if one.state is RunState.SUCCEEDED:
        return What.NOTHING
    return What.FAILS if one.state is RunState.FAILED else What.WAITS


def binding(verdicts: tuple[Verdict, ...]) -> str:
    """Return the guardrail whose verdict binds; empty where all allow."""
    ruling = heaviest(verdicts)
    if ruling is Ruling.ALLOW:
        return ""
    return next(v.rule for v in verdicts if v.ruling is ruling)
