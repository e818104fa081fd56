"""Answers requests about `scale`, `status` and `eviction`. Called by `server`."""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import (
    BUDGETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
)
from remediator.simulated.kubernetes import kinds, selectors, status, validation, writes
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.pods import active, ready_since
from remediator.simulated.kubernetes.status import Refusal
from remediator.simulated.kubernetes.store import going, labels_of

_SCALABLE = (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS)


def respond(
    plane: ControlPlane,
    method: str,
    place: kinds.Place,
    asked: Mapping[str, str],
    content_type: str | None,
    body: Any,
) -> Object:
    """Answer one request.

    Raises:
        Refusal: it may not be, or there is nothing of this name.
    """
    match place.sub:
        case "status" if method in ("GET", "PATCH", "PUT"):
            return _status(plane, method, place, asked, content_type, body)
        case "scale" if place.resource in _SCALABLE and method in ("GET", "PATCH", "PUT"):
            return _scale(plane, method, place, asked, content_type, body)
        case "eviction" if place.resource == PODS and method == "POST":
            return _evict(plane, place, body)
    raise Refusal(404, "the server could not find the requested resource")


def _status(
    plane: ControlPlane,
    method: str,
    place: kinds.Place,
    asked: Mapping[str, str],
    content_type: str | None,
    body: Any,
) -> Object:
    before = writes.required(plane, place)
    if method == "GET":
        return before
    dry = writes.dry_run(asked, "PatchOptions" if method == "PATCH" else "UpdateOptions")
    after = dict(body) if method == "PUT" else writes.patched(before, content_type, body)
    return writes.write_status(plane, place, before, after, dry)


def _scale(
    plane: ControlPlane,
    method: str,
    place: kinds.Place,
    asked: Mapping[str, str],
    content_type: str | None,
    body: Any,
) -> Object:
    obj = writes.required(plane, place)
    before = scale_of(obj)
    if method == "GET":
        return before
    dry = writes.dry_run(asked, "PatchOptions" if method == "PATCH" else "UpdateOptions")
    after = dict(body) if method == "PUT" else writes.patched(before, content_type, body)
    replicas = (after.get("spec") or {}).get("replicas", 0)
    version = after["metadata"].get("resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise status.conflict(place.resource, place.name)
    if not isinstance(replicas, int):
        raise Refusal(422, ' "" is invalid: patch: Invalid value: spec.replicas')
    validation.scale(place.name, replicas)
    wanted = {**obj, "spec": {**obj["spec"], "replicas": replicas}}
    written = writes.write(
        plane, kinds.Place(place.resource, place.namespace, place.name), obj, wanted, dry
    )
    return scale_of(written)


def scale_of(obj: Object) -> Object:
    """Return a workload's Scale."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = obj["spec"].get("replicas", 1)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": int((obj.get("status") or {}).get("replicas") or 0),
            "selector": selectors.text_of(obj["spec"].get("selector")),
        },
    }


def _evict(plane: ControlPlane, place: kinds.Place, body: Any) -> Object:
    pod = writes.required(plane, kinds.Place(PODS, place.namespace, place.name))
    options: Mapping[str, Any] = (body or {}).get("deleteOptions") or {}
    dry = "All" in (options.get("dryRun") or [])
    if active(pod) and (pod.get("status") or {}).get("phase") != "Pending":
        _ask_budgets(plane, pod, dry)
    if not dry and not going(pod):
        grace = options.get("gracePeriodSeconds")
        plane.delete(PODS, pod, grace_s=None if grace is None else int(grace))
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _ask_budgets(plane: ControlPlane, pod: Object, dry: bool) -> None:
    found = [
        budget
        for budget in plane.store.items(BUDGETS, pod["metadata"]["namespace"])
        if selectors.matches(budget["spec"].get("selector"), labels_of(pod))
    ]
    if len(found) > 1:
        raise Refusal(
            500,
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does "
            "not support.",
        )
    if not found:
        return
    budget, state = found[0], found[0].get("status") or {}
    if (
        ready_since(pod) is None
        and state.get("currentHealthy", 0) >= state.get("desiredHealthy", 0) > 0
    ):
        return  # it serves nobody
    allowed = int(state.get("disruptionsAllowed") or 0)
    if allowed < 1:
        name = budget["metadata"]["name"]
        message = (
            f"The disruption budget {name} needs {state.get('desiredHealthy', 0)} healthy pods "
            f"and has {state.get('currentHealthy', 0)} currently"
        )
        raise Refusal(
            429,
            "Cannot evict pod as it would violate the pod's disruption budget.",
            {"causes": [{"reason": "DisruptionBudget", "message": message}]},
        )
    if not dry:
        plane.set_status(BUDGETS, budget, {**state, "disruptionsAllowed": allowed - 1})
