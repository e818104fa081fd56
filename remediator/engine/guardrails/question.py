"""What the guardrails judge, what of the policy applies to it, and how they answer.

Pure. Used by the guardrails of this package and by whoever asks them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache

from remediator.model.history import History, PastChange
from remediator.model.limits import Limits, Mode
from remediator.model.plans import Plan, Target
from remediator.model.policy import Block, Policy, Rule
from remediator.model.promotion import Track
from remediator.model.quantities import format_duration
from remediator.model.signals import Signal
from remediator.model.verdicts import Ruling, Verdict, heaviest


@dataclass(frozen=True, slots=True)
class Question:
    """What the guardrails judge: one plan, with all that may bear on it.

    Args:
        approved: people approved this plan's digest; a hold is then lifted.
        signal: what Alertmanager said when it was asked just now, None before the first asking.
        manual: no alert must fire for this run.
        owner: the runbook's.
        labels: the alert's, for the policy's rules.
        home: the namespace that the runbook may not leave; empty where it may act anywhere.
        track: what the runbook has shown, where the policy demands it; None for nothing.
        blocks: whose limits hold: the policy's own and those of the rules that match. Worked out.
    """

    plan: Plan
    run_id: str
    sequence: int
    runbook: str
    mode: Mode
    limits: Limits
    policy: Policy
    history: History
    signal: Signal | None
    approved: bool
    manual: bool
    now: datetime
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    home: str = ""
    track: Track | None = None
    blocks: tuple[tuple[str, Block], ...] = field(init=False)

    def __post_init__(self) -> None:
        rules = applying(self.policy, facts(self.plan, self.runbook, self.owner, self.labels))
        found = (("policy", self.policy), *((f"policy rule {r.name}", r) for r in rules))
        object.__setattr__(self, "blocks", found)

    def with_history(self, history: History, now: datetime) -> "Question":
        """Return the same question, asked at another time about another past."""
        return replace(self, history=history, now=now)

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that apply; changes are counted under them."""
        return tuple(block.name for _, block in self.blocks if isinstance(block, Rule))

    def counted(self, block: Block) -> list[PastChange]:
        """Return the earlier changes that a block counts: a rule those that it applied to.

        Another attempt at the same step is the same change and is left out.
        """
        own = (self.run_id, self.sequence)
        return [
            change
            for change in self.history.changes
            if (change.run_id, change.sequence) != own
            and (not isinstance(block, Rule) or block.name in change.rules)
        ]


Guardrail = Callable[[Question], Verdict]

_OF_TARGET = ("target_label_", "target_annotation_", "alert_label_")


def facts(plan: Plan, runbook: str, owner: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return what a rule's matchers read.

    The plan's facts by their names; the target's labels and annotations after a prefix; the alert's
    labels by their own names, and after a prefix as well, since a fact of the plan hides one of its
    name: what an alert says of itself can't pass for what the plan is.
    """
    target = plan.target
    told = {name: value for name, value in labels.items() if not name.startswith(_OF_TARGET)}
    return {
        **told,
        **{f"alert_label_{name}": value for name, value in labels.items()},
        **{f"target_label_{name}": value for name, value in target.labels.items()},
        **{f"target_annotation_{name}": value for name, value in target.annotations.items()},
        "action": plan.action,
        "system": target.system,
        "scope": target.scope,
        "kind": target.kind,
        "name": target.name,
        "account": target.account,
        "region": target.region,
        "runbook": runbook,
        "owner": owner,
    }


def applying(policy: Policy, told: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return the rules that are for a plan, by its facts."""
    return tuple(rule for rule in policy.rules if rule.matches(told))


# --------------------------------------------------------------------------------- answers


@cache
def allow(rule: str) -> Verdict:
    """Let it pass."""
    return Verdict(rule, Ruling.ALLOW)


def wait(rule: str, reason: str, lifted_by: str, **more: str) -> Verdict:
    """Come back later."""
    return Verdict(rule, Ruling.WAIT, reason, lifted_by, **more)


def hold(rule: str, reason: str, lifted_by: str, **more: str) -> Verdict:
    """Ask a person."""
    return Verdict(rule, Ruling.HOLD, reason, lifted_by, **more)


def refuse(rule: str, reason: str, lifted_by: str, **more: str) -> Verdict:
    """Say no."""
    return Verdict(rule, Ruling.REFUSE, reason, lifted_by, **more)


def binding(rule: str, verdicts: Iterable[Verdict | None]) -> Verdict:
    """Return the first of the heaviest; allow where there is none."""
    found = tuple(verdict for verdict in verdicts if verdict is not None)
    ruling = heaviest(found)
    return next((v for v in found if v.ruling is ruling), allow(rule))


# --------------------------------------------------------------------------------- words


def matches(value: str, patterns: Sequence[str]) -> bool:
    """Whether a value fits any pattern with * and ? as wildcards."""
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def places(target: Target) -> tuple[tuple[str, str], ...]:
    """Return where a target is and what it is called, by the policy's words."""
    return (
        ("system", target.system),
        ("kind", target.kind),
        ("scope", target.scope),
        ("name", target.name),
        ("account", target.account),
        ("region", target.region),
    )


def show(at: datetime) -> str:
    """Return a time as verdicts write it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(length: timedelta) -> str:
    """Return a length of time in whole seconds."""
    return format_duration(timedelta(seconds=int(length.total_seconds())))


def key(by: str, name: str) -> str:
    """Return where a limit is set, as people look it up: `policy.rate.total`."""
    if by.startswith("policy rule "):
        return f"{name} of {by}"
    return f"policy.{name}" if by == "policy" else f"{name} of the {by}"
