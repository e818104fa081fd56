"""What becomes of a pod's siblings, and whose say it is: its controller's and its budgets'. Pure.

Used by `delete_pod` alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from remediator.clients.kubernetes.resources import (
    DAEMON_SETS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
    Resource,
)

CONTROLLERS: Mapping[str, Resource] = {
    resource.kind: resource for resource in (REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)
}
"""The controllers of pods that serve, whose wishes can be read; those of strangers can't."""


def wanted(resource: Resource, controller: Object | None) -> int:
    """Return how many pods a controller wants now; one that is gone wants none."""
    if controller is None or "deletionTimestamp" in controller["metadata"]:
        return 0
    spec, status = controller["spec"], controller.get("status") or {}
    if resource is DAEMON_SETS:
        return int(status.get("desiredNumberScheduled") or 0)
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def exhausted(budgets: Iterable[Object], pod: Object) -> list[str]:
    """Return the disruption budgets of a pod that allow no disruption now."""
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    return sorted(
        str(budget["metadata"]["name"])
        for budget in budgets
        if _selects(budget["spec"].get("selector"), labels)
        and not (budget.get("status") or {}).get("disruptionsAllowed")
    )


def _selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; none matches nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(rule, labels) for rule in selector.get("matchExpressions") or [])


def _meets(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = rule["key"], rule.get("values") or []
    match rule["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
