"""What an author's statuses mean for a cluster: pods that are ill, nodes that are under pressure.

An ill pod stays ill until it is replaced.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    Object,
    Resource,
)
from remediator.simulated.kubernetes import behaviour
from remediator.simulated.kubernetes.control_plane import ControlPlane, stamp
from remediator.simulated.kubernetes.pods import Pods, active, ready_since

_COUNTS = (
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "numberReady",
    "numberAvailable",
    "numberUnavailable",
)
_HEALTHY_NODE = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID"),
    "Ready": ("True", "KubeletReady"),
}


def pod_status(pod: Object, given: Mapping[str, Any]) -> Object:
    """Return a pod's status as given, completed by what follows from it."""
    status = {**given}
    containers = status.get("containerStatuses")
    conditions = list(status.get("conditions") or [])
    known = {condition.get("type") for condition in conditions}
    if "phase" not in status:
        status["phase"] = "Running"
    if "Ready" not in known:
        ready = status["phase"] == "Running" and (
            all(c.get("ready") for c in containers) if containers else False
        )
        if not containers and not conditions:
            ready = status["phase"] == "Running"
        conditions.append(
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                **({} if ready else {"reason": "ContainersNotReady"}),
            }
        )
    since = pod["metadata"].get("creationTimestamp")
    status["conditions"] = [{"lastTransitionTime": since, **c} for c in conditions]
    return status


def node(name: str, now: str) -> Object:
    """Return a node that nobody lists."""
    room = {"cpu": "32", "memory": "64Gi", "pods": "250"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": node_status({"allocatable": room, "capacity": room}, now),
    }


def node_status(given: Mapping[str, Any], now: str) -> Object:
    """Return a node's status as given; what it does not say is well."""
    conditions = [{"lastTransitionTime": now, **c} for c in given.get("conditions") or []]
    known = {condition.get("type") for condition in conditions}
    for kind, (status, reason) in _HEALTHY_NODE.items():
        if kind not in known:
            well = {"type": kind, "status": status, "reason": reason}
            conditions.append({**well, "lastTransitionTime": now})
    return {**given, "conditions": conditions}


def spread(
    plane: ControlPlane, pods: Pods, resource: Resource, held: Object, given: Mapping[str, Any]
) -> None:
    """Make as many pods of a workload ill, or well, as its given status counts; keep its
    conditions.
    """
    if any(key in given for key in _COUNTS):
        mine = _pods_of(plane, resource, held)
        ready = _ready_by(given, len(mine))
        well = [pod for pod in mine if ready_since(pod) is not None]
        for pod in well[ready:]:
            pods.given.add(pod["metadata"]["uid"])
            status = behaviour.status_of("never-ready", pod, stamp(plane.now))
            plane.set_status(PODS, pod, status)
        for pod in [pod for pod in mine if pod not in well][: max(0, ready - len(well))]:
            pods.given.discard(pod["metadata"]["uid"])
            status = behaviour.status_of("ready", pod, stamp(plane.now))
            plane.set_status(PODS, pod, status)
        plane.catch_up(plane.now)
    key = (held["metadata"]["namespace"], held["metadata"]["name"])
    now = plane.store.get(resource, *key)
    if now is None or not given.get("conditions"):
        return
    status = now.get("status") or {}
    stated = {condition.get("type"): condition for condition in given["conditions"]}
    moment = stamp(plane.now)
    stood = [
        {"lastUpdateTime": moment, "lastTransitionTime": moment, **condition}
        if resource == DEPLOYMENTS
        else {"lastTransitionTime": moment, **condition}
        for condition in stated.values()
    ]
    rest = [c for c in status.get("conditions") or [] if c.get("type") not in stated]
    plane.set_status(resource, now, {**status, "conditions": [*rest, *stood]})


def _ready_by(given: Mapping[str, Any], total: int) -> int:
    for key in ("readyReplicas", "availableReplicas", "numberReady", "numberAvailable"):
        if key in given:
            return int(given[key] or 0)
    down = given.get("unavailableReplicas", given.get("numberUnavailable", 0))
    return max(0, total - int(down or 0))


def _pods_of(plane: ControlPlane, resource: Resource, held: Object) -> list[Object]:
    uid = held["metadata"]["uid"]
    owners = (
        [rs["metadata"]["uid"] for rs in plane.store.owned(uid, REPLICA_SETS)]
        if resource == DEPLOYMENTS
        else [uid]
    )
    found = [pod for owner in owners for pod in plane.store.owned(owner, PODS)]
    return [pod for pod in found if active(pod)]
