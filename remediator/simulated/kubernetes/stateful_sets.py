"""The controller of StatefulSets: pods by ordinal, in order or all at once, claims, revisions.

As pkg/controller/statefulset does it, look by look.
"""

from collections.abc import Sequence

from remediator.clients.kubernetes.resources import CLAIMS, PODS, STATEFUL_SETS, Object
from remediator.simulated.kubernetes import revisions
from remediator.simulated.kubernetes.amounts import part
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.pods import FINAL, ready_since
from remediator.simulated.kubernetes.replica_sets import available_of, claim, pod_of
from remediator.simulated.kubernetes.store import going, labels_of

_POD_NAME = "statefulset.kubernetes.io/pod-name"
_POD_INDEX = "apps.kubernetes.io/pod-index"


class StatefulSets:
    """The controller of StatefulSets."""

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Bring a StatefulSet one step further."""
        if not going(obj):
            claim(plane, obj, PODS, named_after=True)
        known = revisions.of(plane, obj)
        newest = revisions.current(plane, obj, STATEFUL_SETS, known)
        _Look(plane, obj, newest, revisions.of(plane, obj)).run()


class _Look:
    """One look at one StatefulSet."""

    def __init__(
        self, plane: ControlPlane, obj: Object, newest: Object, known: Sequence[Object]
    ) -> None:
        self._plane = plane
        self._set = obj
        self._newest = newest
        self._known = known
        name = (obj.get("status") or {}).get("currentRevision")
        held = [revision for revision in known if revision["metadata"]["name"] == name]
        self._current = held[0] if held else newest
        spec = obj["spec"]
        self._ready_s = int(spec.get("minReadySeconds") or 0)
        self._ordered = spec.get("podManagementPolicy") != "Parallel"
        self._strategy = spec.get("updateStrategy") or {}
        self._first = int((spec.get("ordinals") or {}).get("start") or 0)
        self._wanted = int(spec.get("replicas", 1))

    @property
    def _partition(self) -> int:
        return int((self._strategy.get("rollingUpdate") or {}).get("partition") or 0)

    def run(self) -> None:
        """Make, delete or replace what the order allows, and count."""
        if not going(self._set):
            self._step()
        self._count()
        pods = self._pods()
        live = {str(labels_of(pod).get(revisions.HASH_LABEL)) for pod in pods.values()}
        live |= {self._newest["metadata"]["name"], self._current["metadata"]["name"]}
        limit = int(self._set["spec"].get("revisionHistoryLimit", 10))
        revisions.prune(self._plane, self._known, limit, live)

    def _pods(self) -> dict[int, Object]:
        found = self._plane.store.owned(self._set["metadata"]["uid"], PODS)
        return {ordinal: pod for pod in found if (ordinal := ordinal_of(pod)) is not None}

    def _step(self) -> None:
        pods = self._pods()
        last = self._first + self._wanted
        for ordinal in range(self._first, last):
            if not self._bring_up(pods, ordinal) and self._ordered:
                return
        condemned = [n for n in sorted(pods, reverse=True) if not self._first <= n < last]
        for ordinal in condemned:
            pod = pods[ordinal]
            if going(pod):
                if self._ordered:
                    return
                continue
            if self._ordered and not self._available(pod) and ordinal != self._first_ill(pods):
                return
            self._plane.delete(PODS, pod)
            if self._ordered:
                return
        self._update(self._pods())

    def _bring_up(self, pods: dict[int, Object], ordinal: int) -> bool:
        """Make a pod if it is missing; returns whether the next one may follow."""
        pod = pods.get(ordinal)
        if pod is not None and (pod.get("status") or {}).get("phase") in FINAL:
            if not going(pod):
                self._plane.delete(PODS, pod)
            return False
        if pod is None:
            where = self._set["metadata"]
            taken = self._plane.store.get(PODS, where["namespace"], f"{where['name']}-{ordinal}")
            if taken is None:
                pods[ordinal] = self._make(ordinal)
            return False
        return self._available(pod)

    def _first_ill(self, pods: dict[int, Object]) -> int | None:
        ill = [ordinal for ordinal, pod in sorted(pods.items()) if not self._available(pod)]
        return ill[0] if ill else None

    def _update(self, pods: dict[int, Object]) -> None:
        """Delete pods of an older template, as many as may be down at once."""
        if self._strategy.get("type") == "OnDelete":
            return
        most = (self._strategy.get("rollingUpdate") or {}).get("maxUnavailable")
        allowed = max(1, part(1 if most is None else most, self._wanted, up=False))
        ordinals = range(self._first, self._first + self._wanted)
        down = sum(n not in pods or not self._available(pods[n]) for n in ordinals)
        for ordinal in reversed(ordinals):
            if down >= allowed or ordinal < self._first + self._partition:
                return
            pod = pods.get(ordinal)
            if pod is None or going(pod) or self._revision(pod) == self._name_of(self._newest):
                continue
            self._plane.delete(PODS, pod)
            down += 1

    def _make(self, ordinal: int) -> Object:
        revision = self._newest
        if self._strategy.get("type") == "RollingUpdate" and (
            ordinal < self._first + self._partition
        ):
            revision = self._current
        namespace = self._set["metadata"]["namespace"]
        pod = pod_of(self._set, STATEFUL_SETS, revisions.template_of(revision))
        name = f"{self._set['metadata']['name']}-{ordinal}"
        labels = {
            **(pod["metadata"].get("labels") or {}),
            _POD_INDEX: str(ordinal),
            revisions.HASH_LABEL: self._name_of(revision),
            _POD_NAME: name,
        }
        pod["metadata"] = {**pod["metadata"], "name": name, "labels": labels}
        volumes = list(pod["spec"].get("volumes") or [])
        for wanted in self._set["spec"].get("volumeClaimTemplates") or []:
            claim_name = f"{wanted['metadata']['name']}-{name}"
            source = {"claimName": claim_name}
            volumes.append({"name": wanted["metadata"]["name"], "persistentVolumeClaim": source})
            if self._plane.store.get(CLAIMS, namespace, claim_name) is None:
                metadata = {
                    "name": claim_name,
                    "namespace": namespace,
                    "labels": (self._set["spec"].get("selector") or {}).get("matchLabels") or {},
                }
                made = {"metadata": metadata, "spec": wanted["spec"], "status": {"phase": "Bound"}}
                self._plane.create(CLAIMS, made)
        pod["spec"] = {
            **pod["spec"],
            "hostname": name,
            **({"volumes": volumes} if volumes else {}),
        }
        return self._plane.create(PODS, pod)

    def _count(self) -> None:
        pods = list(self._pods().values())
        made = [pod for pod in pods if (pod.get("status") or {}).get("phase") is not None]
        ready = [pod for pod in made if ready_since(pod) is not None]
        available, soon = available_of(self._plane, ready, self._ready_s)
        newest, current = self._name_of(self._newest), self._name_of(self._current)
        staying = [pod for pod in made if not going(pod)]
        updated = sum(self._revision(pod) == newest for pod in staying)
        counts = {
            "readyReplicas": len(ready),
            "currentReplicas": sum(self._revision(pod) == current for pod in staying),
            "updatedReplicas": updated,
        }
        rolls = self._strategy.get("type") == "RollingUpdate"
        if rolls and updated == len(ready) == len(made) == self._wanted:
            current, counts["currentReplicas"] = newest, updated
        before = self._set.get("status") or {}
        status = {
            "observedGeneration": self._set["metadata"].get("generation", 1),
            "replicas": len(made),
            **{key: count for key, count in counts.items() if count},
            "currentRevision": current,
            "updateRevision": newest,
            "collisionCount": 0,
            "availableReplicas": available,
            **({"conditions": before["conditions"]} if before.get("conditions") else {}),
        }
        self._plane.set_status(STATEFUL_SETS, self._set, status)
        if soon is not None:
            self._plane.look_later(STATEFUL_SETS, self._set, soon)

    def _available(self, pod: Object) -> bool:
        if going(pod):
            return False
        return bool(available_of(self._plane, [pod], self._ready_s)[0])

    @staticmethod
    def _revision(pod: Object) -> str:
        return str(labels_of(pod).get(revisions.HASH_LABEL, ""))

    @staticmethod
    def _name_of(revision: Object) -> str:
        return str(revision["metadata"]["name"])


def ordinal_of(pod: Object) -> int | None:
    """Return the number in a pod's name; None when it has none."""
    number = str(pod["metadata"]["name"]).rpartition("-")[2]
    return int(number) if number.isdigit() else None
