"""The controller of PodDisruptionBudgets: how many pods are healthy, and how many may go."""

from collections.abc import Sequence

from remediator.clients.kubernetes.resources import (
    BUDGETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
)
from remediator.simulated.kubernetes import selectors
from remediator.simulated.kubernetes.amounts import part
from remediator.simulated.kubernetes.control_plane import ControlPlane, stamp
from remediator.simulated.kubernetes.pods import FINAL, ready_since
from remediator.simulated.kubernetes.store import controller_of, going, labels_of

_WITH_SCALE = (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS)


class Budgets:
    """The controller of PodDisruptionBudgets."""

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Count again."""
        spec = obj["spec"]
        chosen = [
            pod
            for pod in plane.store.items(PODS, obj["metadata"]["namespace"])
            if selectors.matches(spec.get("selector"), labels_of(pod))
            and (pod.get("status") or {}).get("phase") not in FINAL
        ]
        healthy = sum(ready_since(pod) is not None and not going(pod) for pod in chosen)
        if spec.get("maxUnavailable") is not None:
            expected = _expected(plane, chosen)
            wanted = max(0, expected - part(spec["maxUnavailable"], expected, up=True))
        elif isinstance(spec.get("minAvailable"), str):
            expected = _expected(plane, chosen)
            wanted = part(spec["minAvailable"], expected, up=True)
        else:
            expected, wanted = len(chosen), int(spec.get("minAvailable", 1))
        allowed = max(0, healthy - wanted) if expected else 0
        generation = obj["metadata"].get("generation", 1)
        known: Object = next(iter((obj.get("status") or {}).get("conditions") or []), {})
        state = "True" if allowed else "False"
        since = known.get("lastTransitionTime") if known.get("status") == state else None
        status = {
            "observedGeneration": generation,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": wanted,
            "expectedPods": expected,
            "conditions": [
                {
                    "type": "DisruptionAllowed",
                    "status": state,
                    "observedGeneration": generation,
                    "lastTransitionTime": since or stamp(plane.now),
                    "reason": "SufficientPods" if allowed else "InsufficientPods",
                    "message": "",
                }
            ],
        }
        plane.set_status(BUDGETS, obj, status)


def _expected(plane: ControlPlane, pods: Sequence[Object]) -> int:
    """Return how many pods the controllers of these pods want."""
    scales: dict[str, int] = {}
    for pod in pods:
        owner = _top(plane, pod)
        if owner is not None:
            scales[owner["metadata"]["uid"]] = int(owner["spec"].get("replicas", 1))
    return sum(scales.values())


def _top(plane: ControlPlane, obj: Object) -> Object | None:
    reference = controller_of(obj)
    found = plane.store.by_uid(str(reference.get("uid"))) if reference else None
    if found is None or found[0] not in _WITH_SCALE:
        return None
    return _top(plane, found[1]) or found[1]
