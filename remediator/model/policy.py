"""The operator's policy: limits that bind every runbook and that no runbook can loosen.

The policy is a base block of limits, which holds for every plan, and rules: a rule adds a block for
the plans that its matchers choose. All blocks that apply hold, so a rule can only tighten. Beside
the blocks stand limits of the whole: where remediator may act at all, breakers, trust, overrides.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from remediator.model import matchers
from remediator.model.approvals import OnExpiry
from remediator.model.limits import Frozen, MaxImpact, Mode
from remediator.model.matchers import Matcher, MatcherError
from remediator.model.quantities import (
    Duration,
    Money,
    MoneyPer,
    Rate,
    Share,
    SharePer,
)
from remediator.model.windows import Window

# ------------------------------------------------------------------------- what a block limits


class FreezeRuling(StrEnum):
    """What a freeze does to a plan: ask a person, or refuse."""

    HOLD = "hold"
    REFUSE = "refuse"


class MaintenanceRuling(StrEnum):
    """What maintenance does to a plan: show it and end the run, or ask a person."""

    OBSERVE = "observe"
    HOLD = "hold"


class Freeze(Window):
    """A time in which no change is wanted, however well the run is meant."""

    then: FreezeRuling = FreezeRuling.REFUSE
    """refuse, or hold: a person may say yes."""


class Maintenance(Window):
    """A time in which people work on these things, so that their alerts are expected."""

    then: MaintenanceRuling = MaintenanceRuling.OBSERVE
    """observe: the plan is put on record and the run ends quietly; or hold: a person is asked."""


class RuleRates(Frozen):
    """Changes that may be made in any window; counted in the journal, over all replicas."""

    per_runbook: tuple[Rate, ...] = ()
    """For each runbook, beside the runbook's own."""
    per_target: tuple[Rate, ...] = ()
    """For each target, whichever runbooks change it."""
    per_owner: tuple[Rate, ...] = ()
    """For all runbooks of one owner together."""
    total: tuple[Rate, ...] = ()
    """For all runbooks together."""


class Rates(RuleRates):
    """The rates of the whole policy, which are never without a figure unless it is taken away."""

    per_runbook: tuple[Rate, ...] = (Rate(10, timedelta(hours=1)),)
    """For each runbook, beside the runbook's own."""
    total: tuple[Rate, ...] = (Rate(30, timedelta(hours=1)),)
    """For the whole daemon."""


class Concurrency(Frozen):
    """Runs that may be in the middle of changing something at once."""

    per_runbook: Annotated[int, Field(ge=1)] | None = None
    """Of each runbook."""
    total: Annotated[int, Field(ge=1)] | None = None
    """Of all runbooks together."""


class Budget(Frozen):
    """The impact of all changes in any window together, this one included; over all runbooks."""

    pods: tuple[Rate, ...] = ()
    """Pods that may stop, start or restart, like 30/1h."""
    nodes: tuple[Rate, ...] = ()
    """Nodes that may go out of service, like 2/1d."""
    share: tuple[SharePer, ...] = ()
    """Part of one workload's pods that may be taken down, like 50%/1h."""


class RuleBounds(Frozen):
    """Absolute limits on what a change may lead to."""

    min_replicas: Annotated[int, Field(ge=0)] | None = None
    """No change may leave a target with fewer replicas."""
    max_replicas: Annotated[int, Field(ge=0)] | None = None
    """No change may leave a target with more replicas."""
    min_instances: Annotated[int, Field(ge=0)] | None = None
    """No change may leave a group with fewer machines."""
    max_instances: Annotated[int, Field(ge=0)] | None = None
    """No change may leave a group with more machines."""

    @model_validator(mode="after")
    def _in_order(self) -> "RuleBounds":
        for what, low, high in (
            ("replicas", self.min_replicas, self.max_replicas),
            ("instances", self.min_instances, self.max_instances),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{what} is {low} and max_{what} {high}: nothing is allowed")
        return self


class Bounds(RuleBounds):
    """The bounds of the whole policy."""

    min_replicas: Annotated[int, Field(ge=0)] | None = 1
    """No change may leave a target with fewer replicas."""
    max_replicas: Annotated[int, Field(ge=0)] | None = 100
    """No change may leave a target with more replicas."""


class UnknownCost(StrEnum):
    """What becomes of a plan that alters a count and has no estimate, where money is limited."""

    ALLOW = "allow"
    HOLD = "hold"
    REFUSE = "refuse"


class Cost(Frozen):
    """What changes may add to the running cost by the hour, in the operator's own currency."""

    per_change: Money | None = None
    """What one change may add, by the hour."""
    budget: tuple[MoneyPer, ...] = ()
    """What all changes in a window may add, by the hour, like 20.00/1d."""
    unknown: UnknownCost = UnknownCost.HOLD
    """A plan without an estimate, where one of the two is set: hold, refuse or allow."""

    @property
    def limited(self) -> bool:
        """Whether money is limited at all."""
        return self.per_change is not None or bool(self.budget)


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


class Block(Frozen):
    """Limits that hold for a plan; what is left out does not limit."""

    mode: Mode | None = None
    """The highest mode that a runbook gets."""
    refuse: str = ""
    """A sentence: no such change is ever made, and this is why."""
    freeze: tuple[Freeze, ...] = ()
    """Times in which no change is wanted."""
    maintenance: tuple[Maintenance, ...] = ()
    """Times in which alerts are expected, because people are at work."""
    cooldown: Duration | None = None
    """Time between two runs' changes to the same target, whichever runbook makes them."""
    rate: RuleRates = RuleRates()
    concurrency: Concurrency = Concurrency()
    max_impact: MaxImpact = MaxImpact()
    """The most that one change may touch."""
    budget: Budget = Budget()
    bounds: RuleBounds = RuleBounds()
    cost: Cost = Cost()
    approval: ApprovalTerms = ApprovalTerms()


def _lines(given: object) -> object:
    return (given,) if isinstance(given, str) else given


class Rule(Block):
    """A block for the plans that its matchers choose. It counts the changes that it applied to."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s,]+$")]
    """What verdicts call it; changes are counted under this name."""
    match: Annotated[tuple[str, ...], BeforeValidator(_lines), Field(min_length=1)]
    """Alertmanager's matchers over the plan and its alert; any line, all of its matchers."""

    @field_validator("match")
    @classmethod
    def _parsed(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            try:
                _compiled(line)
            except MatcherError as error:
                raise ValueError(f"{line!r}, at character {error.offset + 1}: {error}") from None
        return lines

    def matches(self, facts: Mapping[str, str]) -> bool:
        """Whether the rule is for a plan with these facts; see `engine.guardrails.question`."""
        return any(all(m.matches(facts) for m in _compiled(line)) for line in self.match)


@lru_cache(maxsize=4096)
def _compiled(line: str) -> tuple[Matcher, ...]:
    return matchers.parse(line)


# ------------------------------------------------------------------------- limits of the whole


class Scope(Frozen):
    """Where remediator may act. An empty list of a kind allows nothing of it; `*` allows all.

    All are patterns with * and ? as wildcards. An empty text stands for targets without one: a
    Kubernetes object has no account and no region.
    """

    systems: tuple[str, ...] = ("*",)
    """What targets live in: kubernetes, host."""
    scopes: tuple[str, ...] = ("*",)
    """Namespaces, accounts and hosts, with * and ? as wildcards."""
    kinds: tuple[str, ...] = ("*",)
    """Kinds of target: Deployment, Pod, Command."""
    names: tuple[str, ...] = ("*",)
    """Target names."""
    accounts: tuple[str, ...] = ("*",)
    """Cloud accounts, projects and subscriptions."""
    regions: tuple[str, ...] = ("*",)
    """Cloud regions."""


class Protected(Frozen):
    """Objects that remediator must never change."""

    scopes: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    """Namespaces, accounts and hosts, with * and ? as wildcards."""
    names: tuple[str, ...] = ()
    """Target names, with * and ? as wildcards."""
    kinds: tuple[str, ...] = ()
    """Kinds of target, likewise."""
    accounts: tuple[str, ...] = ()
    """Cloud accounts, likewise."""
    regions: tuple[str, ...] = ()
    """Cloud regions, likewise."""
    labels: Mapping[str, str] = Field(default_factory=lambda: {"remediator.dev/protected": "true"})
    """An object that carries any of these labels with this value is protected."""
    annotations: Mapping[str, str] = Field(
        default_factory=lambda: {"remediator.dev/protected": "true"}
    )
    """An object that carries any of these annotations with this value is protected."""


class Storm(Frozen):
    """Many incidents at once: something larger is wrong, and a person should look first."""

    opened: Rate | None = Rate(50, timedelta(minutes=5))
    """More incidents opened than this in a window hold every automatic run; null: never."""


class Breaker(Frozen):
    """A runbook that keeps failing falls back to approval."""

    failures: Rate | None = Rate(3, timedelta(days=1))
    """So many failed runs of a runbook in a window open its breaker; null: never."""
    cool_off: Duration = timedelta(hours=1)
    """How long it stays open; then one automatic run at a time may show that it works again."""


class Flapping(Frozen):
    """The same alert again and again after it was treated: treating it is no cure."""

    treated: Rate | None = Rate(3, timedelta(hours=1))
    """An incident whose alert was treated so often in a window is escalated; null: never."""


class ToApprove(Frozen):
    """What a runbook must have shown in `observe` before `approve` is proposed."""

    observed: Annotated[int, Field(ge=0)] = 5
    """Plans that were made and put on record."""
    within: Duration = timedelta(days=30)
    """In this time."""


class ToAuto(Frozen):
    """What a runbook must have shown in `approve` before `auto` is proposed."""

    approved: Annotated[int, Field(ge=0)] = 10
    """Runs that people approved and that ended."""
    success: Share = Share(0.95)
    """The part of them that helped."""
    denied: Annotated[int, Field(ge=0)] = 0
    """At most so many were denied."""
    within: Duration = timedelta(days=30)
    """In this time."""


class Trust(Frozen):
    """The bar for `remediator promote`."""

    required: bool = False
    """Whether a runbook gets a higher mode only once it was promoted to it."""
    to_approve: ToApprove = ToApprove()
    to_auto: ToAuto = ToAuto()


NEVER_OVERRIDDEN = frozenset(
    {
        "scope",
        "own_namespace",
        "protected",
        "kill_switch",
        "still_firing",
        "maintenance",
        "one_run_per_target",
        "trust",
        "mode",
    }
)
"""Guardrails that nobody lifts for one run: what they stand for is no matter of judgement (under
maintenance people are at work there), or an approval lifts it."""
OVERRIDABLE = frozenset(
    {
        "forbidden",
        "flapping",
        "freeze",
        "bounds",
        "impact",
        "budget",
        "cost",
        "cooldown",
        "rate",
        "concurrency",
        "storm",
        "failure_breaker",
    }
)
"""Guardrails that named people may lift for one run."""


class Override(Frozen):
    """Who may lift a guardrail's verdict for one run, with a reason, once."""

    people: tuple[str, ...] = ()
    """Identities and groups; empty: nobody."""
    guardrails: tuple[str, ...] = ()
    """The guardrails that they may lift."""
    expires: Duration = timedelta(minutes=15)
    """An override that was not used by then is void."""

    @field_validator("guardrails")
    @classmethod
    def _can_be(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name in NEVER_OVERRIDDEN:
                raise ValueError(f"{name!r} can never be overridden")
            if name not in OVERRIDABLE:
                known = ", ".join(sorted(OVERRIDABLE))
                raise ValueError(f"there is no guardrail {name!r}; there are {known}")
        return names


class Policy(Block):
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
    storm: Storm = Storm()
    breaker: Breaker = Breaker()
    flapping: Flapping = Flapping()
    trust: Trust = Trust()
    override: Override = Override()
    rules: tuple[Rule, ...] = ()
    """More limits for the plans that their matchers choose; all that match hold."""

    @property
    def calendars(self) -> dict[Path, str]:
        """The calendar files that were read with the policy, with the digests of their bytes."""
        windows = [w for block in (self, *self.rules) for w in (*block.freeze, *block.maintenance)]
        return dict(window.file for window in windows if window.file is not None)

    def with_calendars_read_again(self) -> "Policy":
        """Return the same policy with its calendars as they are now.

        Raises:
            ValidationError: one can't be read; this policy still has what was read before.
        """
        return type(self).model_validate(self.model_dump()) if self.calendars else self

    @field_validator("rules")
    @classmethod
    def _names_differ(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        seen: set[str] = set()
        for rule in rules:
            if rule.name in seen:
                raise ValueError(f"two rules are called {rule.name!r}; changes are counted by name")
            seen.add(rule.name)
        return rules
