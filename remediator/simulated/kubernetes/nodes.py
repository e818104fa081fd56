"""The node controller: what becomes of the pods of a node whose kubelet is not well.

Their Ready condition goes at once; five minutes later they are deleted, those of DaemonSets apart.
A kubelet that does not answer (Ready Unknown) never says that they have stopped.
"""

from datetime import timedelta

from remediator.clients.kubernetes.resources import NODES, PODS, Object
from remediator.simulated.kubernetes import behaviour
from remediator.simulated.kubernetes.control_plane import ControlPlane, read_stamp, stamp
from remediator.simulated.kubernetes.pods import FINAL, Pods, is_ready_node, ready_since
from remediator.simulated.kubernetes.store import controller_of, going

EVICTED_AFTER = timedelta(seconds=300)
_TAINTS = {"False": "node.kubernetes.io/not-ready", "Unknown": "node.kubernetes.io/unreachable"}


class Nodes:
    """The controller of nodes."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Bring the pods of a node to what its condition means for them."""
        name = obj["metadata"]["name"]
        condition = _ready(obj)
        self._taint(plane, obj, str(condition.get("status", "Unknown")))
        if is_ready_node(obj):
            self._pods.lost.discard(name)
            for pod in _pods_on(plane, name):
                if pod["metadata"]["uid"] in self._pods.unwell:
                    self._pods.unwell.discard(pod["metadata"]["uid"])
                    status = behaviour.status_of("ready", pod, stamp(plane.now))
                    plane.set_status(PODS, pod, status)
            return
        if condition.get("status") == "Unknown":
            self._pods.lost.add(name)
        for pod in _pods_on(plane, name):
            if ready_since(pod) is not None:
                self._pods.unwell.add(pod["metadata"]["uid"])
                plane.set_status(PODS, pod, _not_ready(pod, stamp(plane.now)))
        since = read_stamp(condition.get("lastTransitionTime") or stamp(plane.now))
        if since + EVICTED_AFTER <= plane.now:
            for pod in _pods_on(plane, name):
                if (controller_of(pod) or {}).get("kind") != "DaemonSet" and not going(pod):
                    plane.delete(PODS, pod)
        else:
            key = ("", name)
            plane.at(since + EVICTED_AFTER, lambda: plane.look_at(NODES, key))

    @staticmethod
    def _taint(plane: ControlPlane, obj: Object, status: str) -> None:
        spec = obj.get("spec") or {}
        kept = [t for t in spec.get("taints") or [] if t.get("key") not in _TAINTS.values()]
        if status in _TAINTS:
            effects = ("NoSchedule", "NoExecute")
            kept += [{"key": _TAINTS[status], "effect": effect} for effect in effects]
        rest = {key: value for key, value in spec.items() if key != "taints"}
        after = {**rest, "taints": kept} if kept else rest
        if after != spec:
            plane.store.put(NODES, {**obj, "spec": after})


def _ready(node: Object) -> Object:
    for condition in (node.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Ready":
            found: Object = condition
            return found
    return {}


def _pods_on(plane: ControlPlane, node: str) -> list[Object]:
    return [
        pod
        for pod in plane.store.items(PODS)
        if (pod.get("spec") or {}).get("nodeName") == node
        and (pod.get("status") or {}).get("phase") not in FINAL
    ]


def _not_ready(pod: Object, now: str) -> Object:
    status = pod["status"]
    conditions = [
        {**c, "status": "False", "lastTransitionTime": now} if c.get("type") == "Ready" else c
        for c in status.get("conditions") or []
    ]
    return {**status, "conditions": conditions}
