"""The controller of DaemonSets: one pod on each node that takes it, and rollouts node by node.

As pkg/controller/daemon does it.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import DAEMON_SETS, NODES, PODS, Object
from remediator.simulated.kubernetes import revisions
from remediator.simulated.kubernetes.amounts import part
from remediator.simulated.kubernetes.control_plane import TEMPLATES, ControlPlane
from remediator.simulated.kubernetes.pods import FINAL, ready_since, scheduled
from remediator.simulated.kubernetes.replica_sets import available_of, claim, pod_of
from remediator.simulated.kubernetes.store import going, labels_of

_TOLERATED = tuple(
    f"node.kubernetes.io/{what}"
    for what in (
        "not-ready",
        "unreachable",
        "disk-pressure",
        "memory-pressure",
        "pid-pressure",
        "unschedulable",
    )
)


class DaemonSets:
    """The controller of DaemonSets."""

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Bring a DaemonSet one step further."""
        if going(obj):
            return
        claim(plane, obj, PODS)
        newest = revisions.current(plane, obj, DAEMON_SETS, revisions.of(plane, obj))
        look = _Look(plane, obj, revisions.hash_in(newest))
        look.fill()
        if (obj["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate":
            look.roll()
        look.count()
        known = revisions.of(plane, obj)
        held = plane.store.owned(obj["metadata"]["uid"], PODS)
        hashes = {labels_of(pod).get(revisions.HASH_LABEL) for pod in held}
        live = {r["metadata"]["name"] for r in known if revisions.hash_in(r) in hashes}
        live.add(newest["metadata"]["name"])
        revisions.prune(plane, known, int(obj["spec"].get("revisionHistoryLimit", 10)), live)


class _Look:
    """One look at one DaemonSet."""

    def __init__(self, plane: ControlPlane, obj: Object, digest: str) -> None:
        self._plane = plane
        self._set = obj
        self._hash = digest
        self._ready_s = int(obj["spec"].get("minReadySeconds") or 0)
        self._nodes = plane.store.items(NODES)
        self._wanted = [node for node in self._nodes if runs_on(obj, node)]

    def _by_node(self) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for pod in self._plane.store.owned(self._set["metadata"]["uid"], PODS):
            found.setdefault(str(pod["spec"].get("nodeName")), []).append(pod)
        return found

    def fill(self) -> None:
        """Make the pods that are missing; delete what is too many, has ended or is misplaced."""
        by_node = self._by_node()
        wanted = {node["metadata"]["name"] for node in self._wanted}
        for name in sorted(wanted - by_node.keys()):
            self._make(name)
        for name, pods in by_node.items():
            staying = [pod for pod in pods if not going(pod)]
            ended = [pod for pod in staying if (pod.get("status") or {}).get("phase") in FINAL]
            running = [pod for pod in staying if pod not in ended]
            extra = running if name not in wanted else ([] if self._surge else running[1:])
            for pod in (*ended, *extra):
                self._plane.delete(PODS, pod)

    @property
    def _surge(self) -> int:
        rolling = (self._set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        return part(rolling.get("maxSurge") or 0, len(self._wanted), up=True)

    def roll(self) -> None:
        """Replace pods of an older template, as many as may be down or doubled at once."""
        if self._surge:
            self._roll_with_surge()
            return
        rolling = (self._set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        most = rolling.get("maxUnavailable")
        allowed = part(1 if most is None else most, len(self._wanted), up=True)
        down, broken, candidates = 0, [], []
        for _, pods in sorted(self._by_node().items()):
            staying = [pod for pod in pods if not going(pod)]
            if len(staying) != 1:
                down += 1
            elif self._updated(staying[0]):
                down += not self._available(staying[0])
            elif self._available(staying[0]):
                candidates.append(staying[0])
            else:
                broken.append(staying[0])
                down += 1
        for pod in (*broken, *candidates[: max(0, allowed - down)]):
            self._plane.delete(PODS, pod)

    def _roll_with_surge(self) -> None:
        doubled = 0
        waiting: list[str] = []
        for name, pods in sorted(self._by_node().items()):
            staying = [pod for pod in pods if not going(pod)]
            new = [pod for pod in staying if self._updated(pod)]
            old = [pod for pod in staying if not self._updated(pod)]
            if old and new:
                if self._available(new[0]) or ready_since(old[0]) is None:
                    self._plane.delete(PODS, old[0])
                else:
                    doubled += 1
            elif old and not self._available(old[0]):
                self._make(name)
            elif old:
                waiting.append(name)
        for name in waiting[: max(0, self._surge - doubled)]:
            self._make(name)

    def count(self) -> None:
        """Write the status."""
        by_node = self._by_node()
        wanted = {node["metadata"]["name"] for node in self._wanted}
        firsts = [
            min(pods, key=lambda pod: (going(pod), str(pod["metadata"]["creationTimestamp"])))
            for name, pods in by_node.items()
            if name in wanted
        ]
        ready = [pod for pod in firsts if ready_since(pod) is not None]
        available, soon = available_of(self._plane, ready, self._ready_s)
        counts = {
            "updatedNumberScheduled": sum(map(self._updated, firsts)),
            "numberAvailable": available,
            "numberUnavailable": len(wanted) - available,
        }
        before = self._set.get("status") or {}
        status = {
            "currentNumberScheduled": len(firsts),
            "numberMisscheduled": len(by_node.keys() - wanted),
            "desiredNumberScheduled": len(wanted),
            "numberReady": len(ready),
            "observedGeneration": self._set["metadata"].get("generation", 1),
            **{key: count for key, count in counts.items() if count},
            **({"conditions": before["conditions"]} if before.get("conditions") else {}),
        }
        self._plane.set_status(DAEMON_SETS, self._set, status)
        if soon is not None:
            self._plane.look_later(DAEMON_SETS, self._set, soon)

    def _make(self, node: str) -> None:
        template = self._set["spec"]["template"]
        given = template["spec"].get("tolerations") or []
        tolerated = [{"key": key, "operator": "Exists"} for key in _TOLERATED]
        spec = {**template["spec"], "nodeName": node, "tolerations": [*given, *tolerated]}
        pod = pod_of(self._set, DAEMON_SETS, {**template, "spec": spec})
        pod["status"] = {**pod["status"], "conditions": [scheduled(self._plane)]}
        notes = self._set["metadata"].get("annotations") or {}
        labels = {
            **(pod["metadata"].get("labels") or {}),
            revisions.HASH_LABEL: self._hash,
            "pod-template-generation": notes.get(TEMPLATES, "1"),
        }
        pod["metadata"] = {**pod["metadata"], "labels": labels}
        self._plane.create(PODS, pod)

    def _updated(self, pod: Object) -> bool:
        return labels_of(pod).get(revisions.HASH_LABEL) == self._hash

    def _available(self, pod: Object) -> bool:
        return bool(available_of(self._plane, [pod], self._ready_s)[0])


def runs_on(daemon_set: Object, node: Object) -> bool:
    """Whether a DaemonSet wants a pod on a node: its selector fits, and it tolerates the taints."""
    spec = daemon_set["spec"]["template"]["spec"]
    if not (spec.get("nodeSelector") or {}).items() <= labels_of(node).items() or going(node):
        return False
    taints = (node.get("spec") or {}).get("taints") or []
    return all(
        taint.get("effect") == "PreferNoSchedule"
        or taint.get("key") in _TOLERATED
        or any(_tolerates(toleration, taint) for toleration in spec.get("tolerations") or [])
        for taint in taints
    )


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint.get("key")):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("value", "") == taint.get("value", ""))
