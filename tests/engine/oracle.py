"""What may have been let through, by another way of counting than the guardrails': over every
window of what was accepted, whatever the order in which clocks said it came."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from remediator.model.plans import Change, Impact, Plan, Target
from remediator.model.policy import Block, Policy, Rule
from tests.engine.asking import policy

SCOPES = ("shop", "pay")
RUNBOOKS = ("scale", "restart", "evict")
OWNERS = {"scale": "team-a", "restart": "team-a", "evict": "team-b"}
OF_PODS = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that somebody wants to make."""

    runbook: str
    scope: str
    name: str
    pods: int
    nodes: int
    cost: Decimal | None

    @property
    def plan(self) -> Plan:
        """As an action would plan it."""
        return Plan(
            action="kubernetes.scale",
            target=Target("kubernetes", "Deployment", self.scope, self.name),
            changes=(Change("x", 1, 2),),
            impact=Impact(
                pods=self.pods,
                of_pods=OF_PODS,
                nodes=self.nodes,
                cost_per_hour=self.cost,
            ),
            summary="x",
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change that was let through, and when by the daemon's clock."""

    wish: Wish
    at: datetime


WISHES = st.builds(
    Wish,
    st.sampled_from(RUNBOOKS),
    st.sampled_from(SCOPES),
    st.sampled_from(["api", "web"]),
    st.integers(0, 4),
    st.integers(0, 1),
    st.none() | st.decimals(-1, 2, places=2),
)


def _window(count: st.SearchStrategy[Any]) -> st.SearchStrategy[list[str]]:
    per = st.sampled_from(["1m", "10m", "1h", "6h"])
    return st.lists(st.builds("{}/{}".format, count, per), min_size=1, max_size=2)


def _counts(high: int) -> st.SearchStrategy[list[str]]:
    return _window(st.integers(1, high))


_LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "rate.per_runbook": _counts(4),
    "rate.per_target": _counts(3),
    "rate.per_owner": _counts(5),
    "rate.total": _counts(6),
    "budget.pods": _counts(12),
    "budget.nodes": _counts(2),
    "budget.share": _window(st.integers(10, 100).map("{}%".format)),
    "cost.budget": _window(st.decimals(0, 3, places=2)),
    "cooldown": st.sampled_from(["1m", "10m"]),
}
KINDS = tuple(_LIMITS)


@st.composite
def _blocks(draw: Callable[..., Any], kind: str) -> dict[str, Any]:
    """One kind of limit, and sometimes another: many together let nothing through that could break
    any."""
    block: dict[str, Any] = {"cost": {"unknown": "allow"}}
    kinds = [kind] if draw(st.booleans()) else []
    kinds += draw(st.lists(st.sampled_from(KINDS), max_size=1)) if kinds else []
    for one in kinds:
        group, _, name = one.partition(".")
        if name:
            block.setdefault(group, {})[name] = draw(_LIMITS[one])
        else:
            block[group] = draw(_LIMITS[one])
    return block


@st.composite
def policies(draw: Callable[..., Any], kind: str) -> Policy:
    """A policy with limits in its base and in some of three rules, whose names mean the same in
    every policy."""
    rules = [
        {"name": name, "match": match, **draw(_blocks(kind))}
        for name, match in (
            ("pay", 'scope="pay"'),
            ("evicting", 'runbook="evict"'),
            ("team-a", 'owner="team-a"'),
        )
    ]
    return policy(*rules, **draw(_blocks(kind)))


def check(in_force: Policy, accepted: Sequence[Accepted]) -> None:
    """See that no window holds more than this policy allows of what was accepted under it."""
    for block in (in_force, *in_force.rules):
        of_block = [one for one in accepted if _is_for(block, one.wish)]
        for what, per, most, group, amount in _limits(block):
            for members in _grouped(of_block, group):
                for first in members:
                    inside = [m for m in members if first.at <= m.at < first.at + per]
                    spent = sum((amount(m.wish) for m in inside), Decimal(0))
                    assert spent <= most, (what, most, per, inside)
        _check_rest(block, of_block, accepted)


def _check_rest(block: Block, of_block: Sequence[Accepted], accepted: Sequence[Accepted]) -> None:
    """Two changes to one target, the later under this block, are a cooldown apart."""
    for one in of_block:
        for other in accepted:
            if other is not one and _target(other.wish) == _target(one.wish) and block.cooldown:
                before = accepted.index(other) < accepted.index(one)
                assert not before or one.at - other.at >= block.cooldown, (block.cooldown, one)


_Group = Callable[[Wish], object]
_Amount = Callable[[Wish], Decimal]


def _limits(block: Block) -> Iterator[tuple[str, timedelta, Decimal, _Group, _Amount]]:
    for name, limits, group in (
        ("per_runbook", block.rate.per_runbook, lambda w: w.runbook),
        ("per_target", block.rate.per_target, _target),
        ("per_owner", block.rate.per_owner, lambda w: OWNERS[w.runbook]),
        ("total", block.rate.total, lambda _: None),
    ):
        for rate in limits:
            yield name, rate.per, Decimal(rate.count), group, lambda _: Decimal(1)
    for rate in block.budget.pods:
        yield "pods", rate.per, Decimal(rate.count), lambda _: None, lambda w: Decimal(w.pods)
    for rate in block.budget.nodes:
        yield "nodes", rate.per, Decimal(rate.count), lambda _: None, lambda w: Decimal(w.nodes)
    for share in block.budget.share:
        most = Decimal(round(share.share.fraction * 100)) * OF_PODS / 100
        yield "share", share.per, most, _target, lambda w: Decimal(w.pods)
    for money in block.cost.budget:
        yield (
            "cost",
            money.per,
            money.money.amount,
            lambda _: None,
            lambda w: max(w.cost or Decimal(0), Decimal(0)),
        )


def _target(wish: Wish) -> object:
    return wish.scope, wish.name


def _is_for(block: Block, wish: Wish) -> bool:
    if not isinstance(block, Rule):
        return True
    return {
        "pay": wish.scope == "pay",
        "evicting": wish.runbook == "evict",
        "team-a": OWNERS[wish.runbook] == "team-a",
    }[block.name]


def _grouped(accepted: Iterable[Accepted], group: _Group) -> list[list[Accepted]]:
    found: dict[object, list[Accepted]] = {}
    for one in accepted:
        found.setdefault(group(one.wish), []).append(one)
    return list(found.values())
