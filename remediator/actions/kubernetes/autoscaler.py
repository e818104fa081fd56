"""HorizontalPodAutoscalers: does one own a workload's replica count?

Writing `spec.replicas` under an autoscaler is futile: it puts its own figure back, and 0 switches
it off. What can be raised is the least that it keeps, `spec.minReplicas`.

Raises are noted on the autoscaler itself (`RAISED`): the figure that was there before any of ours,
then each that still holds. They may overlap in time and end in any order: what ends is taken from
the note, and the greatest that is left is kept.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from remediator.actions.kubernetes import ownership
from remediator.actions.kubernetes.cluster import Cluster
from remediator.clients.kubernetes.resources import AUTOSCALERS, Object
from remediator.model.plans import Target
from remediator.plugin.action import Permanent

RAISED = "remediator.dev/min-replicas-raised"
"""The annotation; its value is `4 to 6`, or `4 to 6 to 9` while two raises hold."""

_RAISED = re.compile(r"\d{1,6}( to \d{1,6})+")


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """One autoscaler as the API server holds it."""

    raw: Object

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.raw["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.raw["metadata"]["uid"])

    @property
    def version(self) -> str:
        """Its resourceVersion: the precondition of a patch."""
        return str(self.raw["metadata"]["resourceVersion"])

    @property
    def least(self) -> int:
        """Its minReplicas; the API's default is 1."""
        found = self.raw["spec"].get("minReplicas")
        return 1 if found is None else int(found)

    @property
    def most(self) -> int:
        """Its maxReplicas."""
        return int(self.raw["spec"]["maxReplicas"])

    @property
    def base(self) -> int:
        """What minReplicas is without our raises."""
        return self._noted[0]

    @property
    def raises(self) -> tuple[int, ...]:
        """Our raises that hold, the smallest first."""
        return self._noted[1:]

    @property
    def _noted(self) -> tuple[int, ...]:
        """The note; one that does not fit minReplicas is not believed: somebody else changed it."""
        text = (self.raw["metadata"].get("annotations") or {}).get(RAISED, "")
        found = tuple(map(int, text.split(" to "))) if _RAISED.fullmatch(text) else (self.least,)
        return found if found[-1] == self.least else (self.least,)

    @property
    def governor(self) -> str:
        """Who writes this autoscaler, such as KEDA's ScaledObject; empty when nobody does."""
        owner = ownership.controller(self.raw)
        return f"{owner['kind']} {owner['name']}" if owner else ""

    @property
    def path(self) -> str:
        """The path of what is changed, as a plan shows it."""
        return f"HPA {self.name}: spec.minReplicas"


def patch(base: int, raises: Iterable[int], version: str | None = None) -> dict[str, Any]:
    """Return the merge patch that makes it keep the greatest raise, and notes all of them."""
    figures = [base, *sorted(set(raises))]
    least = figures[-1]
    note = " to ".join(map(str, figures)) if len(figures) > 1 else None
    metadata: dict[str, Any] = {"annotations": {RAISED: note}}
    if version is not None:
        metadata["resourceVersion"] = version
    return {"metadata": metadata, "spec": {"minReplicas": least}}


async def owning(cluster: Cluster, target: Target) -> Autoscaler | None:
    """Return the autoscaler of a workload, or None.

    Raises:
        Permanent: several point at it.
    """
    found = [
        Autoscaler(raw)
        for raw in await cluster.items(AUTOSCALERS, target.scope)
        if _points_at(raw, target)
    ]
    if len(found) > 1:
        names = ", ".join(sorted(autoscaler.name for autoscaler in found))
        raise Permanent(f"several autoscalers scale {target} ({names}): leave it only one")
    return found[0] if found else None


def _points_at(raw: Object, target: Target) -> bool:
    reference = raw["spec"]["scaleTargetRef"]
    return bool(reference.get("kind") == target.kind and reference.get("name") == target.name)
