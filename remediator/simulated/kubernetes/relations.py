"""Who looks when an object changes that he does not control: adopters, budgets, autoscalers.

Registered with the control plane by `cluster`.
"""

from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
    Resource,
)
from remediator.simulated.kubernetes import selectors
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.store import controller_of, key_of, labels_of

_ADOPTERS = {PODS: (REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS), REPLICA_SETS: (DEPLOYMENTS,)}
_SCALED = (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS)


def look_at_related(plane: ControlPlane, resource: Resource, obj: Object) -> None:
    """Have everybody look whom a change of this object may concern."""
    namespace = obj["metadata"].get("namespace", "")
    if controller_of(obj) is None:
        for adopter in _ADOPTERS.get(resource, ()):
            for owner in plane.store.items(adopter, namespace):
                if selectors.matches(owner["spec"].get("selector"), labels_of(obj)):
                    plane.look_at(adopter, key_of(owner))
    if resource == PODS or resource in _SCALED:
        for budget in plane.store.items(BUDGETS, namespace):
            if resource != PODS or selectors.matches(
                budget["spec"].get("selector"), labels_of(obj)
            ):
                plane.look_at(BUDGETS, key_of(budget))
    if resource in _SCALED:
        for autoscaler in plane.store.items(AUTOSCALERS, namespace):
            target = autoscaler["spec"].get("scaleTargetRef") or {}
            if (target.get("kind"), target.get("name")) == (
                resource.kind,
                obj["metadata"]["name"],
            ):
                plane.look_at(AUTOSCALERS, key_of(autoscaler))
    if resource == NODES:
        for owner in plane.store.items(DAEMON_SETS):
            plane.look_at(DAEMON_SETS, key_of(owner))
        for pod in plane.store.items(PODS):
            if not (pod.get("spec") or {}).get("nodeName"):
                plane.look_at(PODS, key_of(pod))
