"""A runbook's own limits, and whom it asks: what an author writes, and the policy tightens."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from remediator.model.approvals import OnExpiry
from remediator.model.quantities import (
    Duration,
    Rate,
    Share,
    format_duration,
)


class Mode(StrEnum):
    """How far a runbook may go: plan only; act after a person said yes; act."""

    OBSERVE = "observe"
    APPROVE = "approve"
    AUTO = "auto"


_ORDER = {mode: height for height, mode in enumerate(Mode)}


def lower_mode(one: Mode, other: Mode) -> Mode:
    """Return the more careful of two modes."""
    return min(one, other, key=_ORDER.__getitem__)


class Frozen(BaseModel):
    """Frozen pydantic data that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


# ------------------------------------------------------------------------- what a runbook limits


class MaxImpact(Frozen):
    """The most that one change may touch: an absolute cap and a share, both hold."""

    pods: Annotated[int | None, Field(ge=0, examples=[10])] = None
    """Pods that may stop, start or restart, in all."""
    share: Share | None = None
    """Part of the target's pods that may be down at once, like 50%."""
    nodes: Annotated[int | None, Field(ge=0, examples=[1])] = None
    """Nodes that may go out of service."""
    node_share: Share | None = None
    """Part of the nodes there are (of the target's group) that may go out of service."""


class Limits(Frozen):
    """A runbook's own guardrails (`guardrails:`)."""

    cooldown: Duration | None = None
    """Time between two changes of this runbook to the same target."""
    rate: tuple[Rate, ...] = ()
    """Changes that this runbook may make in any window, like 3/1h."""
    max_impact: MaxImpact = MaxImpact()
    """The most that one change of this runbook may touch."""


MOST_REMINDERS = 5
"""Of one question: who has not answered by then needs a call, not a sixth message."""


class Approval(Frozen):
    """Who must say yes to a run (`approval:` in a runbook)."""

    approvers: Annotated[tuple[str, ...], Field(examples=[["sre-oncall"]])] = ()
    """Groups from the settings, or single people; empty: the settings' default approvers."""
    quorum: Annotated[int, Field(ge=1, le=10, examples=[1])] = 1
    """How many different people."""
    timeout: Duration = timedelta(minutes=30)
    """After this long without a quorum the run expires."""
    four_eyes: bool = False
    """Who started the run by hand may not say yes to it, by whichever of their identities."""
    on_expiry: OnExpiry = OnExpiry.ESCALATE
    """When nobody decided: `escalate` calls a person, `deny` leaves it at that. `approve` takes
    silence for a yes, and only where a rule of the policy allows it for every plan."""
    remind: Annotated[tuple[Duration, ...], Field(max_length=MOST_REMINDERS)] = ()
    """When to tell people again that nobody has decided, after the question: [10m, 20m]."""

    @model_validator(mode="after")
    def _reminders_are_in_time(self) -> "Approval":
        if list(self.remind) != sorted(set(self.remind)):
            raise ValueError("remind: each time must be later than the one before")
        if self.remind and self.remind[-1] >= self.timeout:
            latest, over = format_duration(self.remind[-1]), format_duration(self.timeout)
            raise ValueError(f"remind: {latest} is too late; the time to decide is over at {over}")
        return self
