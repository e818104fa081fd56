"""Limits: the runbook's own, and the operator's policy that no runbook can loosen."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from remediator.model.approvals import OnExpiry
from remediator.model.quantities import Duration, Rate, Share, format_duration


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


class MaxImpact(Frozen):
    """The most that one change may touch: an absolute cap and a share, both hold."""

    pods: Annotated[int, Field(ge=0)] | None = None
    """Pods that may stop, start or restart, in all."""
    share: Share | None = None
    """Part of the target's pods that may be down at once, like 50%."""
    nodes: Annotated[int, Field(ge=0)] | None = None
    """Nodes that may go out of service."""


class Limits(Frozen):
    """A runbook's own guardrails (`guardrails:`)."""

    cooldown: Duration | None = None
    """Time between two changes of this runbook to the same target."""
    rate: tuple[Rate, ...] = ()
    """Changes that this runbook may make in any window, like 3/1h."""
    max_impact: MaxImpact = MaxImpact()
    """The most that one change of this runbook may touch."""


class Scope(Frozen):
    """Where remediator may act. An empty list of a kind allows nothing of it; `*` allows all."""

    systems: tuple[str, ...] = ("*",)
    """What targets live in: kubernetes, host."""
    scopes: tuple[str, ...] = ("*",)
    """Namespaces, accounts and hosts, with * and ? as wildcards."""
    kinds: tuple[str, ...] = ("*",)
    """Kinds of target: Deployment, Pod, Command."""


class Protected(Frozen):
    """Objects that remediator must never change."""

    scopes: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    """Namespaces, accounts and hosts, with * and ? as wildcards."""
    names: tuple[str, ...] = ()
    """Target names, with * and ? as wildcards."""
    labels: Mapping[str, str] = Field(default_factory=lambda: {"remediator.dev/protected": "true"})
    """An object that carries any of these labels with this value is protected."""


class Rates(Frozen):
    """Changes that may be made in any window; counted in the journal, over all replicas."""

    per_runbook: tuple[Rate, ...] = (Rate(10, timedelta(hours=1)),)
    """For each runbook, beside the runbook's own."""
    total: tuple[Rate, ...] = (Rate(30, timedelta(hours=1)),)
    """For the whole daemon."""


class Bounds(Frozen):
    """Absolute limits on what a change may lead to."""

    min_replicas: Annotated[int, Field(ge=0)] = 1
    """No change may leave a target with fewer replicas."""
    max_replicas: Annotated[int, Field(ge=0)] = 100
    """No change may leave a target with more replicas."""


class Policy(Frozen):
    """The operator's limits; they bind every runbook, and no runbook can loosen them."""

    mode: Mode = Mode.APPROVE
    """The highest mode that any runbook gets."""
    scope: Scope = Scope()
    protected: Protected = Protected()
    cooldown: Duration = timedelta(minutes=5)
    """Time between two changes to the same target, whichever runbook makes them."""
    rate: Rates = Rates()
    bounds: Bounds = Bounds()
    max_impact: MaxImpact = MaxImpact(pods=50, share=Share(1.0), nodes=1)


class ApprovalTerms(Frozen):
    """What the policy asks of approvals (`approval:` of the policy, or of a rule). It only
    tightens what a runbook says."""

    approvers: tuple[str, ...] = ()
    """Whoever answers must be among these as well; for a runbook that names nobody, they are who
    is asked."""
    quorum: Annotated[int, Field(ge=1, le=10)] | None = None
    """At least so many different people."""
    four_eyes: bool = False
    """Who started a run by hand may not say yes to it."""
    on_expiry: OnExpiry | None = None
    """What silence means at the least: `escalate` before `deny` before `approve`. `approve` lets
    a runbook that asks for it take silence for a yes."""
    deny_reason: bool = False
    """A no must say why."""
    max_timeout: Duration | None = None
    """No question stays open for longer."""


MOST_REMINDERS = 5
"""Of one question: who has not answered by then needs a call, not a sixth message."""


class Approval(Frozen):
    """Who must say yes to a run (`approval:` in a runbook)."""

    approvers: tuple[str, ...] = ()
    """Groups from the settings, or single people; empty: the settings' default approvers."""
    quorum: Annotated[int, Field(ge=1, le=10)] = 1
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
