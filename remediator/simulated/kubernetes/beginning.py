"""Brings an author's manifests into a cluster: at time zero, and whenever a test changes its world.

At time zero everything is a day old and at rest: controllers have made what the author does not
list, and pods whose status he gives were well before they came to it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from remediator.clients.kubernetes import patches
from remediator.clients.kubernetes.resources import (
    CLAIMS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
    Resource,
)
from remediator.simulated.kubernetes import (
    behaviour,
    kinds,
    owners,
    shapes,
    troubles,
    validation,
)
from remediator.simulated.kubernetes.control_plane import ControlPlane, stamp
from remediator.simulated.kubernetes.defaults import defaulted, status_at_first
from remediator.simulated.kubernetes.pods import FINAL, Pods
from remediator.simulated.kubernetes.status import Refusal
from remediator.simulated.kubernetes.store import annotations_of, key_of

AGE = timedelta(days=1)
"""How old a cluster is at time zero: longer than any deadline, so whatever is stuck says so."""

_NODES_AT_LEAST = 3
# First what others live in or belong to.
_ORDER = {kind.kind: at for at, kind in enumerate((kinds.NAMESPACES, kinds.DEFINITIONS, NODES))}
_LAST = {PODS.kind: 1}

Given = tuple[Resource, Object]


def settle(
    plane: ControlPlane, pods: Pods, manifests: Sequence[Mapping[str, Any]], start: datetime
) -> None:
    """Fill a new cluster and bring it to rest at `start`.

    Raises:
        ValueError: a manifest can't be used.
    """
    # Definitions first: they say where other objects are served.
    in_order = sorted(manifests, key=lambda one: one.get("kind") != kinds.DEFINITIONS.kind)
    read = [read_manifest(plane, manifest) for manifest in in_order]
    read.sort(key=lambda one: (_LAST.get(one[0].kind, 0), _ORDER.get(one[0].kind, len(_ORDER))))
    _refuse_twins(read)
    for namespace in sorted({"default", "kube-system", *(_namespace(o) for _, o in read)} - {""}):
        _ensure_namespace(plane, namespace)
    given = owners.completed(plane, read)
    for resource, obj in _nodes(plane, given):
        _store(plane, resource, obj)
    for resource, obj in given:
        if resource != PODS:
            _store(
                plane,
                resource,
                {k: v for k, v in obj.items() if k != "status"} | _kept(resource, obj),
            )
    for deployment in plane.store.items(DEPLOYMENTS):
        plane.controllers[DEPLOYMENTS].look(plane, deployment)
    for resource, obj in given:
        if resource == PODS:
            _store_pod(plane, pods, owners.placed(plane, obj))
    plane.catch_up(start)
    for resource, obj in given:
        if obj.get("status"):
            _impose(plane, pods, resource, obj)
        elif resource == PODS and (held := plane.store.get(PODS, *key_of(obj))) is not None:
            pods.come_to(plane, held)
    plane.catch_up(start)


def apply(plane: ControlPlane, pods: Pods, manifest: Mapping[str, Any]) -> Object:
    """Create an object, or lay what a manifest says over the one of its name, as a merge patch.

    Raises:
        ValueError: it can't be used.
    """
    resource, plain = _identified(plane, manifest)
    before = plane.store.get(resource, *key_of(plain))
    obj = _whole(resource, plain, before)
    _ensure_namespace(plane, _namespace(obj))
    *missing, (_, obj) = owners.completed(plane, [(resource, obj)])
    for kind, owner in missing:
        _store(plane, kind, owner)
    if before is None:
        made = _store(plane, resource, owners.placed(plane, obj) if resource == PODS else obj)
    else:
        status = {"status": before["status"]} if "status" in before else {}
        rest = {key: value for key, value in obj.items() if key != "status"}
        made = plane.update(resource, before, {**rest, **status})
        if "status" not in plain and resource == PODS:
            pods.forget(made)
            plane.look_at(PODS, key_of(made))
    plane.catch_up(plane.now)
    if plain.get("status"):
        _impose(plane, pods, resource, plain)
    return plane.store.get(resource, *key_of(obj)) or made


def read_manifest(plane: ControlPlane, manifest: Mapping[str, Any]) -> Given:
    """Return a manifest as the API server would hold it, and its resource.

    Raises:
        ValueError: it can't be used.
    """
    resource, plain = _identified(plane, manifest)
    return resource, _whole(resource, plain, None)


def _identified(plane: ControlPlane, manifest: Mapping[str, Any]) -> Given:
    obj = _plain(manifest)
    resource = plane.catalogue.of(obj)
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise ValueError(f"a {resource.kind} needs metadata.name")
    metadata["name"] = str(metadata["name"])
    if resource.namespaced:
        metadata["namespace"] = str(metadata.get("namespace") or "default")
    else:
        metadata.pop("namespace", None)
    return resource, obj


def _whole(resource: Resource, plain: Object, before: Object | None) -> Object:
    """Return what a manifest comes to: over an object that is there, or by itself."""
    name = plain["metadata"]["name"]
    try:
        if before is not None:
            said = {key: part for key, part in plain.items() if key != "status"}
            obj: Object = patches.merge(before, said)
        else:
            obj = owners.filled_in(resource, plain)
        obj = defaulted(resource, shapes.fitted(resource, obj))
        validation.check(resource, obj)
        template = (obj.get("spec") or {}).get("template")
        for annotated in (obj if resource == PODS else {}, template or {}):
            if annotated.get("metadata"):
                behaviour.behaviour_of(annotated, {})
    except Refusal as refusal:
        raise ValueError(str(refusal)) from None
    except shapes.Misfit as misfit:
        raise ValueError(f"{resource.kind} {name}: {misfit}") from None
    except (AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{resource.kind} {name} is not made as such: {error}") from None
    return obj


def _store(plane: ControlPlane, resource: Resource, obj: Object) -> Object:
    first = status_at_first(resource)
    if resource == CLAIMS:
        first = {"phase": "Bound"}
    elif resource == NODES:
        first = troubles.node_status({}, stamp(plane.now))
    if first is not None and (not obj.get("status") or resource == PODS):
        obj = {**obj, "status": first}
    return plane.create(resource, obj)


def _kept(resource: Resource, obj: Object) -> Object:
    """Return the status of what no controller here looks after."""
    looked_after = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)
    if resource == NODES:
        return {}
    return {"status": obj["status"]} if "status" in obj and resource not in looked_after else {}


def _store_pod(plane: ControlPlane, pods: Pods, pod: Object) -> None:
    """Store a pod; one that is ill is well at first, unless it has ended."""
    status = pod.get("status") or {}
    stored = _store(plane, PODS, pod)
    if not status and behaviour.ANNOTATION not in annotations_of(pod):
        return
    pods.given.add(stored["metadata"]["uid"])
    if status.get("phase") != "Pending":
        stored = pods.put_on_a_node(plane, stored)
    if status.get("phase") not in FINAL:
        status = behaviour.status_of("ready", stored, stamp(plane.now))
    plane.set_status(PODS, stored, status)


def _impose(plane: ControlPlane, pods: Pods, resource: Resource, obj: Object) -> None:
    """Let the status that an author gives stand, whatever controllers would make of it."""
    held = plane.store.get(resource, *key_of(obj))
    if held is None:
        return
    if resource == PODS:
        pods.given.add(held["metadata"]["uid"])
        plane.set_status(PODS, held, troubles.pod_status(held, obj["status"]))
    elif resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS):
        troubles.spread(plane, pods, resource, held, obj["status"])
    elif resource == NODES:
        plane.set_status(NODES, held, troubles.node_status(obj["status"], stamp(plane.now)))
    elif resource != REPLICA_SETS:
        plane.set_status(resource, held, {**(held.get("status") or {}), **obj["status"]})


def _nodes(plane: ControlPlane, given: Sequence[Given]) -> list[Given]:
    """Return the nodes that pods need and no manifest lists."""
    listed = {o["metadata"]["name"] for r, o in given if r == NODES}
    named = {str((o.get("spec") or {}).get("nodeName", "")) for r, o in given if r == PODS}
    names = [name for name in sorted(named - {""}) if name not in listed]
    if not listed:
        daemons = [
            int((o.get("status") or {}).get("desiredNumberScheduled") or 0)
            for r, o in given
            if r == DAEMON_SETS
        ]
        least = max([_NODES_AT_LEAST, *daemons])
        for number in range(1, least + 1):
            if len(names) < least and f"node-{number}" not in names:
                names.append(f"node-{number}")
    return [(NODES, troubles.node(name, stamp(plane.now))) for name in names]


def _ensure_namespace(plane: ControlPlane, name: str) -> None:
    if name and plane.store.get(kinds.NAMESPACES, "", name) is None:
        labels = {"kubernetes.io/metadata.name": name}
        plane.create(
            kinds.NAMESPACES,
            {
                "metadata": {"name": name, "labels": labels},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )


def _refuse_twins(read: Sequence[Given]) -> None:
    seen: set[tuple[Resource, tuple[str, str]]] = set()
    for resource, obj in read:
        if (resource, key_of(obj)) in seen:
            raise ValueError(
                f"{resource.kind} {'/'.join(filter(None, key_of(obj)))} is there twice"
            )
        seen.add((resource, key_of(obj)))


def _namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _plain(value: Any) -> Any:
    """Return plain JSON of what a YAML reader gives: its own mappings, and times."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return stamp(value if value.tzinfo else value.astimezone())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    return value
