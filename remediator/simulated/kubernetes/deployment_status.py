"""What a Deployment's status says: counts, availability, and whether its rollout gets on. Pure
but for the time, which it asks the control plane for.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from remediator.clients.kubernetes.resources import Object
from remediator.simulated.kubernetes.amounts import max_unavailable
from remediator.simulated.kubernetes.control_plane import ControlPlane, read_stamp, stamp

PROGRESSING, AVAILABLE = "Progressing", "Available"
COMPLETE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
# What the API takes for «no deadline».
_NO_DEADLINE = 2**31 - 1


def deadline_s(deployment: Object) -> int | None:
    """Return its progress deadline, or None."""
    found = deployment["spec"].get("progressDeadlineSeconds")
    return None if found in (None, _NO_DEADLINE) else int(found)


def condition(
    plane: ControlPlane, kind: str, status: str, reason: str, message: str
) -> dict[str, Any]:
    """Return a new condition."""
    now = stamp(plane.now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def find(status: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """Return the condition of a type, or None."""
    for found in status.get("conditions") or []:
        if found.get("type") == kind:
            held: dict[str, Any] = found
            return held
    return None


def without(status: Mapping[str, Any], kind: str) -> Object:
    """Return a status without a condition."""
    left = [c for c in status.get("conditions") or [] if c.get("type") != kind]
    return {**status, "conditions": left}


def with_condition(status: Mapping[str, Any], new: dict[str, Any]) -> Object:
    """Return a status under a condition; unless it says nothing new."""
    known = find(status, new["type"])
    if known and (known["status"], known.get("reason")) == (new["status"], new["reason"]):
        return dict(status)
    if known and known["status"] == new["status"]:
        new = {**new, "lastTransitionTime": known.get("lastTransitionTime")}
    left = without(status, new["type"])
    return {**left, "conditions": [*left["conditions"], new]}


def counted(
    plane: ControlPlane, deployment: Object, new: Object | None, sets: Sequence[Object]
) -> Object:
    """Return its status by the counts of its ReplicaSets."""

    def total(key: str, of: Sequence[Object]) -> int:
        return sum(int((rs.get("status") or {}).get(key) or 0) for rs in of)

    before = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    available = total("availableReplicas", sets)
    asked = sum(int(rs["spec"].get("replicas", 1)) for rs in sets)
    counts = {
        "replicas": total("replicas", sets),
        "updatedReplicas": total("replicas", [new]) if new else 0,
        "readyReplicas": total("readyReplicas", sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked - available),
    }
    status: Object = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        **{key: count for key, count in counts.items() if count},
        "terminatingReplicas": total("terminatingReplicas", sets),
        "conditions": list(before.get("conditions") or []),
        **({"collisionCount": before["collisionCount"]} if "collisionCount" in before else {}),
    }
    if available >= wanted - max_unavailable(deployment):
        said = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        said = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    return with_condition(status, condition(plane, AVAILABLE, *said))


def judged(plane: ControlPlane, deployment: Object, new: Object | None, status: Object) -> Object:
    """Return a status that says whether the rollout has come to its end, gets on, or is stuck."""
    if deadline_s(deployment) is None:
        return without(status, PROGRESSING)
    before = deployment.get("status") or {}
    known = find(before, PROGRESSING)
    if (
        known
        and known.get("reason") == COMPLETE
        and _count(status, "replicas") == _count(status, "updatedReplicas")
    ):
        return status
    name = new["metadata"]["name"] if new else deployment["metadata"]["name"]
    what = f'{"ReplicaSet" if new else "Deployment"} "{name}"'
    if complete(deployment, status):
        text = f"{what} has successfully progressed."
        return with_condition(status, condition(plane, PROGRESSING, "True", COMPLETE, text))
    if _progressed(before, status):
        made = condition(plane, PROGRESSING, "True", "ReplicaSetUpdated", f"{what} is progressing.")
        if known:
            if known["status"] == "True":
                made["lastTransitionTime"] = known.get("lastTransitionTime")
            status = without(status, PROGRESSING)
        return with_condition(status, made)
    if _timed_out(plane, deployment, status):
        text = f"{what} has timed out progressing."
        return with_condition(status, condition(plane, PROGRESSING, "False", TIMED_OUT, text))
    return status


def complete(deployment: Object, status: Mapping[str, Any]) -> bool:
    """Whether all its pods are of its template, and serve."""
    wanted = int(deployment["spec"].get("replicas", 1))
    counts = ("updatedReplicas", "replicas", "availableReplicas")
    return all(_count(status, key) == wanted for key in counts) and _count(
        status, "observedGeneration"
    ) >= int(deployment["metadata"].get("generation", 1))


def looks_again_in(plane: ControlPlane, deployment: Object) -> float | None:
    """Return in how many seconds its deadline may have passed; None when none runs."""
    limit = deadline_s(deployment)
    known = find(deployment.get("status") or {}, PROGRESSING)
    if limit is None or known is None or known.get("reason") in (COMPLETE, TIMED_OUT):
        return None
    due = read_stamp(known["lastUpdateTime"]) + timedelta(seconds=limit)
    # The second after: the API's times are whole seconds, and the deadline must lie behind.
    left = (due - plane.now).total_seconds()
    return math.floor(left) + 1 if left >= 0 else None


def _progressed(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    def old(status: Mapping[str, Any]) -> int:
        return _count(status, "replicas") - _count(status, "updatedReplicas")

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old(now) < old(before) or any(_count(now, k) > _count(before, k) for k in more)


def _timed_out(plane: ControlPlane, deployment: Object, status: Mapping[str, Any]) -> bool:
    known = find(status, PROGRESSING)
    if known is None or known.get("reason") == COMPLETE:
        return False
    if known.get("reason") == TIMED_OUT:
        return True
    limit = timedelta(seconds=deadline_s(deployment) or 0)
    return read_stamp(known["lastUpdateTime"]) + limit < plane.now


def _count(status: Mapping[str, Any], key: str) -> int:
    return int(status.get(key) or 0)
