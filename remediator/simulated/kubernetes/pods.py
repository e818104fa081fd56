"""The scheduler and the kubelet: pods find nodes, become what they come to, and stop.

A pod whose status an author gave keeps it until somebody replaces the pod.
"""

from collections.abc import Mapping

from remediator.clients.kubernetes.resources import NODES, PODS, Object
from remediator.simulated.kubernetes import behaviour
from remediator.simulated.kubernetes.control_plane import ControlPlane, stamp
from remediator.simulated.kubernetes.store import controller_of, going, key_of

FINAL = ("Succeeded", "Failed")


class Pods:
    """The controller of pods."""

    def __init__(self, images: Mapping[str, str]) -> None:
        """`images` names what the pods of an image come to, as the annotation would say it."""
        self._images = images
        self._aims: dict[str, str] = {}
        self._stopping: set[str] = set()
        self._stopped: set[str] = set()
        self._loads: dict[str, int] = {}
        self.given: set[str] = set()
        """Uids of pods whose status an author gave."""
        self.lost: set[str] = set()
        """Names of nodes whose kubelet does not answer: nothing there ever stops."""
        self.unwell: set[str] = set()
        """Uids of pods that would be ready if their node was."""

    def look(self, plane: ControlPlane, pod: Object) -> None:
        """Bring a pod one step further."""
        uid = pod["metadata"]["uid"]
        if going(pod):
            self._stop(plane, pod, uid)
            return
        if uid in self.given:
            return
        does = behaviour.behaviour_of(pod, self._images)
        if not (pod.get("spec") or {}).get("nodeName"):
            self._schedule(plane, pod, does)
            return
        phase = (pod.get("status") or {}).get("phase")
        if phase in FINAL or self._aims.get(uid) == does.outcome:
            return
        self._aims[uid] = does.outcome
        late = does.ready_after_s if does.outcome == "ready" else min(1.0, does.ready_after_s)
        plane.after(late, lambda: self._become(plane, uid, does.outcome))
        owner = controller_of(pod)
        if does.outcome == "ready" and owner and owner.get("kind") == "Job":
            plane.after(late + does.ends_after_s, lambda: self._become(plane, uid, "succeeded"))

    def forget(self, pod: Object) -> None:
        """Let a pod live by its behaviour again."""
        self.given.discard(pod["metadata"]["uid"])
        self._aims.pop(pod["metadata"]["uid"], None)

    def come_to(self, plane: ControlPlane, pod: Object) -> None:
        """Let a listed pod, which was well so far, be what its annotation says."""
        uid = pod["metadata"]["uid"]
        if uid not in self.given:
            return
        self.given.discard(uid)
        outcome = behaviour.behaviour_of(pod, self._images).outcome
        if outcome in ("ready", "unschedulable"):
            plane.look_at(PODS, key_of(pod))
            return
        self._aims[uid] = outcome
        plane.set_status(PODS, pod, behaviour.status_of(outcome, pod, stamp(plane.now)))

    def put_on_a_node(self, plane: ControlPlane, pod: Object) -> Object:
        """Choose a node for a pod that runs; returns it as it is then."""
        spec = pod.get("spec") or {}
        node = None if spec.get("nodeName") else self._choose(plane, pod)
        if node is None:
            return pod
        self._loads[node] = self._loads.get(node, 0) + 1
        return plane.store.put(PODS, {**pod, "spec": {**spec, "nodeName": node}})

    def _become(self, plane: ControlPlane, uid: str, outcome: str) -> None:
        found = plane.store.by_uid(uid)
        if found is None or going(found[1]) or uid in self.given:
            return
        pod = found[1]
        aim = self._aims.get(uid)
        if (outcome not in (aim, "succeeded")) or (pod.get("status") or {}).get("phase") in FINAL:
            return
        if outcome == "succeeded" and aim != "ready":
            return
        plane.set_status(PODS, pod, behaviour.status_of(outcome, pod, stamp(plane.now)))

    def _schedule(self, plane: ControlPlane, pod: Object, does: behaviour.Behaviour) -> None:
        now = stamp(plane.now)
        status = pod.get("status") or {}
        node = None if does.outcome == "unschedulable" else self._choose(plane, pod)
        condition: Object = {"type": "PodScheduled", "lastProbeTime": None}
        if node is None:
            if any(c.get("type") == "PodScheduled" for c in status.get("conditions") or []):
                return
            condition |= {
                "status": "False",
                "reason": "Unschedulable",
                "message": "no node is free for this pod",
                "lastTransitionTime": now,
            }
            plane.set_status(PODS, pod, {**status, "phase": "Pending", "conditions": [condition]})
            return
        condition = scheduled(plane)
        self._loads[node] = self._loads.get(node, 0) + 1
        plane.store.put(
            PODS,
            {
                **pod,
                "spec": {**pod["spec"], "nodeName": node},
                "status": {**status, "phase": "Pending", "conditions": [condition]},
            },
        )

    def _choose(self, plane: ControlPlane, pod: Object) -> str | None:
        wanted = (pod.get("spec") or {}).get("nodeSelector") or {}
        fit = [
            str(node["metadata"]["name"])
            for node in plane.store.items(NODES)
            if open_to_pods(node)
            and wanted.items() <= (node["metadata"].get("labels") or {}).items()
        ]
        return min(fit, key=lambda name: (self._loads.get(name, 0), name), default=None)

    def _stop(self, plane: ControlPlane, pod: Object, uid: str) -> None:
        if uid in self._stopped and not pod["metadata"].get("finalizers"):
            self._stopped.discard(uid)
            plane.store.remove(PODS, pod)
        if uid in self._stopping:
            return
        self._stopping.add(uid)
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        stops = behaviour.behaviour_of(pod, self._images).stops_after_s
        key = key_of(pod)

        def end() -> None:
            node = str((pod.get("spec") or {}).get("nodeName"))
            if node in self.lost:
                self._stopping.discard(uid)
                return
            self._loads[node] = self._loads.get(node, 1) - 1
            self._stopped.add(uid)
            plane.look_at(PODS, key)

        plane.after(min(grace, stops), end)


def scheduled(plane: ControlPlane) -> Object:
    """Return the condition of a pod that has found its node now."""
    return {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": stamp(plane.now),
    }


def open_to_pods(node: Object) -> bool:
    """Whether the scheduler puts ordinary pods onto a node."""
    spec = node.get("spec") or {}
    taints = [t for t in spec.get("taints") or [] if t.get("effect") != "PreferNoSchedule"]
    return not (spec.get("unschedulable") or taints or going(node)) and is_ready_node(node)


def is_ready_node(node: Object) -> bool:
    """Whether a node's kubelet says that it is ready."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def ready_since(pod: Object) -> str | None:
    """Return since when a pod is ready; None when it is not."""
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return str(condition.get("lastTransitionTime") or "")
    return None


def active(pod: Object) -> bool:
    """Whether a pod counts for its controller: it has not ended and is not going."""
    return (pod.get("status") or {}).get("phase") not in FINAL and not going(pod)
