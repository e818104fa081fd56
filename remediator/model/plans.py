"""Plans: the exact change an action would make now, and the digest that people approve.

The digest covers what would change, for whom and how much: action, target identity, changes,
impact. It leaves out what drifts by itself (`resourceVersion`, the second a restart happens in),
which lives in `details`; the apply re-reads the world and patches under a precondition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from remediator.model import canonical
from remediator.model.canonical import JSON, JSONObject


@dataclass(frozen=True, slots=True)
class Target:
    """The one object that a plan changes.

    `system` names what it lives in (`kubernetes`, `host`), `scope` where (a namespace, an account
    and region, a host name; empty for cluster-wide), `uid` the identity that a new object of the
    same name does not share. `labels` and `annotations` let guardrails protect objects, `account`
    and `region` say whose cloud it is in; they may drift, and are not in the digest.
    """

    system: str
    kind: str
    scope: str
    name: str
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    region: str = ""

    @property
    def key(self) -> str:
        """The identity that locks, cooldowns and rates count by; survives re-creation."""
        return f"{self.system}:{self.scope}/{self.kind}/{self.name}"

    def __str__(self) -> str:
        where = f"{self.scope}/" if self.scope else ""
        return f"{self.kind.lower()} {where}{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """One value before and after, at a path that the target's own documentation uses."""

    path: str
    before: JSON
    after: JSON

    def __str__(self) -> str:
        return f"{self.path}: {_show(self.before)} → {_show(self.after)}"


@dataclass(frozen=True, slots=True)
class Impact:
    """How much a plan touches, in the figures that guardrails judge.

    The absolute cap counts all that moves, `pods`. The share is what users notice: the part of the
    pods there are that is down at the same time. To scale out by half moves half as many pods and
    takes none down; a rolling restart moves every pod, and takes a few down at a time.

    Args:
        pods: pods that stop, start or restart, in all.
        of_pods: pods that the target should have now; the denominator of `share`.
        nodes: nodes that the change takes out of service.
        replicas: replicas (or instances) after the change, for bounds; None where it alters no
            such count.
        note: a sentence for people about what they will notice.
        down: pods of those there are now that are out of service at the same time, at most; None:
            all of `pods`.
        part_of: the key of the workload that `of_pods` counts the pods of, where the target is a
            part of it (one pod); empty where it is the target itself.
        of_nodes: nodes that the target's group has now; the denominator of `node_share`.
        instances: machines of a group after the change, for bounds; None where it alters none.
        cost_per_hour: what the change adds to the running cost by the hour (less than zero where it
            saves), in the operator's currency; None where there is no estimate.
    """

    pods: int = 0
    of_pods: int = 0
    nodes: int = 0
    replicas: int | None = None
    note: str = ""
    down: int | None = None
    part_of: str = ""
    of_nodes: int = 0
    instances: int | None = None
    cost_per_hour: Decimal | None = None

    @property
    def down_at_once(self) -> int:
        """Pods that are out of service at the same time, at most."""
        return self.pods if self.down is None else self.down

    @property
    def share(self) -> float:
        """The part of the target that is down at once, from 0 to 1; all where size is unknown."""
        if self.down_at_once == 0:
            return 0.0
        return min(1.0, self.down_at_once / self.of_pods) if self.of_pods else 1.0

    @property
    def node_share(self) -> float:
        """The part of the nodes that goes out of service; all where their number is unknown."""
        if self.nodes == 0:
            return 0.0
        return min(1.0, self.nodes / self.of_nodes) if self.of_nodes else 1.0

    @property
    def alters_a_count(self) -> bool:
        """Whether there are more or fewer of something afterwards, which costs or saves."""
        return self.replicas is not None or self.instances is not None

    def __str__(self) -> str:
        parts = []
        if self.pods:
            of = f" of {self.of_pods} ({self.share:.0%})" if self.of_pods else ""
            if self.down is not None and self.down != self.pods:
                of = f", {self.down} of {self.of_pods} down at once ({self.share:.0%})"
            parts.append(f"{self.pods} pod{'s' if self.pods != 1 else ''}{of}")
        if self.nodes:
            parts.append(f"{self.nodes} node{'s' if self.nodes != 1 else ''}")
        if self.cost_per_hour:
            parts.append(f"{self.cost_per_hour:+f} an hour")
        if self.note:
            parts.append(self.note)
        return ", ".join(parts) or "none"


@dataclass(frozen=True, slots=True)
class WayBack:
    """How to take a plan back. `details` is what the action's `undo` needs."""

    summary: str
    details: JSONObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The exact change that an action would make now.

    Args:
        action: the action's name, `kubernetes.scale`.
        target: what is changed.
        changes: before and after; empty means that there is nothing to do.
        impact: how much is touched.
        summary: one line for people, without the target: `replicas 4 → 6`.
        way_back: how undo works, or None.
        no_way_back: when there is none, the sentence that says why.
        details: what apply needs beside `changes`; not in the digest.
        checkable: whether the action can tell later if this plan was carried out. If not, a crash
            between intent and outcome ends the run `interrupted`.
        lasts: a raised limit's lifetime; when it ends, the change is taken back.
    """

    action: str
    target: Target
    changes: tuple[Change, ...]
    impact: Impact
    summary: str
    way_back: WayBack | None = None
    no_way_back: str = ""
    details: JSONObject = field(default_factory=dict)
    checkable: bool = True
    lasts: timedelta | None = None
    _digest: str = field(default="", init=False, repr=False, compare=False)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to change."""
        return not self.changes

    @property
    def digest(self) -> str:
        """What an approval is bound to, as 64 hex digits."""
        if not self._digest:
            # Asked for many times in a plan's life, by guardrails, journal and audit.
            object.__setattr__(self, "_digest", self._worked_out())
        return self._digest

    def _worked_out(self) -> str:
        impact = self.impact
        figures: list[JSON] = [
            impact.pods,
            impact.of_pods,
            impact.nodes,
            impact.replicas,
            impact.down,
        ]
        # Where they say something: what was approved without them has the digest that it had.
        if impact.instances is not None:
            figures.append(f"instances {impact.instances}")
        if impact.cost_per_hour:
            figures.append(f"cost {impact.cost_per_hour.normalize():f}")
        return canonical.digest(
            {
                "action": self.action,
                "target": [self.target.key, self.target.uid],
                "changes": [[c.path, c.before, c.after] for c in self.changes],
                "impact": figures,
                "lasts_s": self.lasts.total_seconds() if self.lasts else None,
            }
        )

    def inverse(self) -> "Plan":
        """Return the plan that undo carries out: before and after swapped.

        Raises:
            ValueError: the plan has no way back.
        """
        if self.way_back is None:
            raise ValueError(f"{self.target} has no way back: {self.no_way_back}")
        cost = self.impact.cost_per_hour
        return replace(
            self,
            changes=tuple(Change(c.path, c.after, c.before) for c in self.changes),
            impact=replace(self.impact, cost_per_hour=-cost if cost is not None else None),
            summary=self.way_back.summary,
            details=self.way_back.details,
            way_back=None,
            no_way_back="this plan is itself a way back",
            lasts=None,
        )

    def __str__(self) -> str:
        return f"{self.target}: {self.summary}"

    def to_json(self) -> JSONObject:
        """Return the plan as JSON for the journal and the API, with its digest."""
        return {
            "action": self.action,
            "target": {
                "system": self.target.system,
                "kind": self.target.kind,
                "scope": self.target.scope,
                "name": self.target.name,
                "uid": self.target.uid,
                "labels": dict(self.target.labels),
            },
            "changes": [
                {"path": c.path, "before": c.before, "after": c.after} for c in self.changes
            ],
            "impact": {
                "pods": self.impact.pods,
                "of_pods": self.impact.of_pods,
                "nodes": self.impact.nodes,
                "replicas": self.impact.replicas,
                "note": self.impact.note,
                "down": self.impact.down,
            },
            "summary": self.summary,
            "way_back": (
                {"summary": self.way_back.summary, "details": self.way_back.details}
                if self.way_back
                else None
            ),
            "no_way_back": self.no_way_back,
            "details": self.details,
            "checkable": self.checkable,
            "lasts_s": self.lasts.total_seconds() if self.lasts else None,
            "digest": self.digest,
            **self._more(),
        }

    def _more(self) -> JSONObject:
        """What came later than the format. Beside `target` and `impact`, not in them: a daemon of
        the version before, which reads them whole, must read this plan too."""
        target, impact = self.target, self.impact
        place: JSONObject = {"account": target.account, "region": target.region}
        where = {key: value for key, value in place.items() if value}
        if target.annotations:
            where["annotations"] = dict(target.annotations)
        cost = impact.cost_per_hour
        figures: JSONObject = {
            "part_of": impact.part_of or None,
            "of_nodes": impact.of_nodes or None,
            "instances": impact.instances,
            "cost_per_hour": f"{cost:f}" if cost is not None else None,
        }
        found = {key: value for key, value in figures.items() if value is not None}
        more: JSONObject = {"target_more": where} if where else {}
        return {**more, "impact_more": found} if found else more

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """Read back what `to_json` wrote."""
        back = value["way_back"]
        figures = dict(value.get("impact_more") or {})
        if "cost_per_hour" in figures:
            figures["cost_per_hour"] = Decimal(figures["cost_per_hour"])
        return cls(
            action=value["action"],
            target=Target(**value["target"], **(value.get("target_more") or {})),
            changes=tuple(Change(**c) for c in value["changes"]),
            impact=Impact(**value["impact"], **figures),
            summary=value["summary"],
            way_back=WayBack(**back) if back else None,
            no_way_back=value["no_way_back"],
            details=value["details"],
            checkable=value["checkable"],
            lasts=timedelta(seconds=value["lasts_s"]) if value["lasts_s"] is not None else None,
        )


class Progress(StrEnum):
    """How far a change has got in the real world."""

    PROGRESSING = "progressing"
    HEALTHY = "healthy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Settled:
    """An action's answer to «is the system healthy after this change?», with a sentence."""

    progress: Progress
    message: str


@dataclass(frozen=True, slots=True)
class Fact:
    """Something an action learned that later plans must know, such as a template known as bad."""

    kind: str
    subject: str
    value: str


@dataclass(frozen=True, slots=True)
class Result:
    """What an apply, an undo or a probe did.

    Args:
        message: one sentence for people.
        ok: for a probe, whether its expectation holds.
        changed: whether this call changed anything (False: it had been done before).
        output: what later expressions read as `steps.<id>.result`.
        facts: what later plans must know.
    """

    message: str
    ok: bool = True
    changed: bool = True
    output: JSONObject = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()


def _show(value: JSON) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else canonical.dumps(value)
