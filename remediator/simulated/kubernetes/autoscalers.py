"""The controller of HorizontalPodAutoscalers, as if its metrics were at their targets.

So it keeps the bounds, and nothing else: a count below minReplicas or above maxReplicas is put
right at the next sync; 0 switches it off.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
)
from remediator.simulated.kubernetes.control_plane import ControlPlane, stamp
from remediator.simulated.kubernetes.store import going, key_of

SYNC_S = 15.0
_SCALED = {kind.kind: kind for kind in (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS)}


class Autoscalers:
    """The controller of HorizontalPodAutoscalers."""

    def __init__(self) -> None:
        self._waiting: set[tuple[str, str]] = set()

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Have it synchronized at the next of its times."""
        key = key_of(obj)
        if key in self._waiting or going(obj):
            return
        self._waiting.add(key)
        past = plane.now.timestamp() % SYNC_S

        def sync() -> None:
            self._waiting.discard(key)
            held = plane.store.get(AUTOSCALERS, *key)
            if held is not None:
                _synchronize(plane, held)

        plane.after(SYNC_S - past, sync)


def _synchronize(plane: ControlPlane, obj: Object) -> None:
    spec, namespace = obj["spec"], obj["metadata"]["namespace"]
    reference = spec.get("scaleTargetRef") or {}
    resource = _SCALED.get(str(reference.get("kind")))
    target = plane.store.get(resource, namespace, str(reference.get("name"))) if resource else None
    before = obj.get("status") or {}
    if target is None or resource is None:
        able = (
            "False",
            "FailedGetScale",
            "the HPA controller was unable to get the target's scale",
        )
        _write(plane, obj, {**before}, {"AbleToScale": able})
        return
    now = int(target["spec"].get("replicas", 1))
    least, most = int(spec.get("minReplicas") or 1), int(spec["maxReplicas"])
    got = (
        "True",
        "SucceededGetScale",
        "the HPA controller was able to get the target's current scale",
    )
    conditions: dict[str, tuple[str, str, str]] = {"AbleToScale": got}
    if not any(c.get("type") == "ScalingActive" for c in before.get("conditions") or []):
        said = "the HPA was able to successfully calculate a replica count"
        conditions["ScalingActive"] = ("True", "ValidMetricFound", said)
    wanted = min(max(now, least), most)
    if not now:
        wanted = 0
        said = "scaling is disabled since the replica count of the target is zero"
        conditions["ScalingActive"] = ("False", "ScalingDisabled", said)
    elif wanted != now:
        said = f"the HPA controller was able to update the target scale to {wanted}"
        conditions["AbleToScale"] = ("True", "SucceededRescale", said)
        after = {**target, "spec": {**target["spec"], "replicas": wanted}}
        plane.update(resource, target, after)
    current = int((target.get("status") or {}).get("replicas") or 0)
    status = {**before, "desiredReplicas": wanted}
    if current:
        status["currentReplicas"] = current
    if wanted != now:
        status["lastScaleTime"] = stamp(plane.now)
    _write(plane, obj, status, conditions)


def _write(
    plane: ControlPlane,
    obj: Object,
    status: Mapping[str, Any],
    conditions: Mapping[str, tuple[str, str, str]],
) -> None:
    held = {c.get("type"): c for c in status.get("conditions") or []}
    for kind, (state, reason, message) in conditions.items():
        known = held.get(kind) or {}
        since = known.get("lastTransitionTime") if known.get("status") == state else None
        held[kind] = {
            "type": kind,
            "status": state,
            "lastTransitionTime": since or stamp(plane.now),
            "reason": reason,
            "message": message,
        }
    plane.set_status(AUTOSCALERS, obj, {**status, "conditions": list(held.values())})
