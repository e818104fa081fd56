"""The controller of ReplicaSets: as many pods as are wanted, and their count in the status.

As pkg/controller/replicaset does it, with its order of which pods go first.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from remediator.clients.kubernetes.resources import PODS, REPLICA_SETS, Object, Resource
from remediator.simulated.kubernetes import kinds, selectors
from remediator.simulated.kubernetes.control_plane import ControlPlane, read_stamp
from remediator.simulated.kubernetes.defaults import admitted
from remediator.simulated.kubernetes.pods import active, ready_since
from remediator.simulated.kubernetes.store import (
    annotations_of,
    controller_of,
    going,
    labels_of,
)

_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSets:
    """The controller of ReplicaSets."""

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Make or delete pods, and count them."""
        if not going(obj):
            claim(plane, obj, PODS)
        owned = plane.store.owned(obj["metadata"]["uid"], PODS)
        pods = [pod for pod in owned if active(pod)]
        wanted = int(obj["spec"].get("replicas", 1))
        if not going(obj):
            new = pod_of(obj, REPLICA_SETS) if wanted > len(pods) else {}
            pods += [plane.create(PODS, new) for _ in range(wanted - len(pods))]
            if len(pods) > wanted:
                first = ranked_for_deletion(pods)
                for pod in first[: len(pods) - wanted]:
                    plane.delete(PODS, pod)
                pods = first[len(pods) - wanted :]
                owned = plane.store.owned(obj["metadata"]["uid"], PODS)
        self._count(plane, obj, pods, owned)

    def _count(
        self, plane: ControlPlane, obj: Object, pods: Sequence[Object], owned: Sequence[Object]
    ) -> None:
        spec = obj["spec"]
        wanted_labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        least = int(spec.get("minReadySeconds") or 0)
        available, soon = available_of(plane, pods, least)
        before = obj.get("status") or {}
        counts = {
            "replicas": len(pods),
            "fullyLabeledReplicas": sum(
                wanted_labels.items() <= labels_of(pod).items() for pod in pods
            ),
            "readyReplicas": sum(ready_since(pod) is not None for pod in pods),
            "availableReplicas": available,
        }
        status = {
            "replicas": counts.pop("replicas"),
            **{key: count for key, count in counts.items() if count},
            "terminatingReplicas": sum(map(going, owned)),
            "observedGeneration": obj["metadata"].get("generation", 1),
            **({"conditions": before["conditions"]} if before.get("conditions") else {}),
        }
        plane.set_status(REPLICA_SETS, obj, status)
        if soon is not None:
            plane.look_later(REPLICA_SETS, obj, soon)


def available_of(
    plane: ControlPlane, pods: Sequence[Object], min_ready_s: int
) -> tuple[int, float | None]:
    """Count the pods that have been ready for long enough; and in how many seconds more will be."""
    count, soon = 0, None
    for pod in pods:
        since = ready_since(pod)
        if since is None:
            continue
        if not min_ready_s:
            count += 1
            continue
        due = read_stamp(since) + timedelta(seconds=min_ready_s)
        if due <= plane.now:
            count += 1
        else:
            left = (due - plane.now).total_seconds()
            soon = left if soon is None else min(soon, left)
    return count, soon


def ranked_for_deletion(pods: Sequence[Object]) -> list[Object]:
    """Return pods in the order in which a controller deletes them."""
    on_node: dict[str, int] = {}
    for pod in pods:
        node = str(pod["spec"].get("nodeName") or "")
        on_node[node] = on_node.get(node, 0) + 1

    def rank(pod: Object) -> tuple[Any, ...]:
        since = ready_since(pod)
        node = str(pod["spec"].get("nodeName") or "")
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        made = str(pod["metadata"].get("creationTimestamp"))
        return (
            bool(node),
            {"Pending": 0, "Unknown": 1, "Running": 2}.get(
                str((pod.get("status") or {}).get("phase")), 0
            ),
            since is not None,
            int(annotations_of(pod).get(_DELETION_COST) or 0),
            -on_node[node],
            _newest_first(since or ""),
            -max((int(s.get("restartCount") or 0) for s in statuses), default=0),
            _newest_first(made),
            pod["metadata"]["uid"],
        )

    return sorted(pods, key=rank)


def _newest_first(stamp: str) -> list[int]:
    return [-ord(letter) for letter in stamp]


def owner_reference(owner: Object, resource: Resource) -> Object:
    """Return a reference to an object's controller."""
    return {
        "apiVersion": kinds.api_version(resource),
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_of(owner: Object, resource: Resource, template: Object | None = None) -> Object:
    """Return a new pod of a controller's template."""
    template = template or owner["spec"]["template"]
    metadata = template.get("metadata") or {}
    return {
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            **{key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)},
            "ownerReferences": [owner_reference(owner, resource)],
        },
        "spec": admitted(template["spec"]),
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def claim(
    plane: ControlPlane, owner: Object, resource: Resource, *, named_after: bool = False
) -> None:
    """Adopt what nobody controls and the owner's selector fits; let go of what it fits no more.

    `named_after` adopts only what is named after its owner and a number.
    """
    metadata = owner["metadata"]
    selector = owner["spec"].get("selector")
    kind = plane.catalogue.of(owner)
    for held in plane.store.owned(metadata["uid"], resource):
        reference = controller_of(held)
        if not reference or reference.get("uid") != metadata["uid"] or going(held):
            continue
        if not selectors.matches(selector, labels_of(held)):
            left = [
                o for o in held["metadata"]["ownerReferences"] if o.get("uid") != metadata["uid"]
            ]
            _own(plane, resource, held, left)
    for orphan in plane.store.orphans(resource, metadata["namespace"]):
        prefix, _, number = str(orphan["metadata"]["name"]).rpartition("-")
        if named_after and not (prefix == metadata["name"] and number.isdigit()):
            continue
        if selectors.matches(selector, labels_of(orphan)):
            owners = orphan["metadata"].get("ownerReferences") or []
            _own(plane, resource, orphan, [*owners, owner_reference(owner, kind)])


def _own(plane: ControlPlane, resource: Resource, obj: Object, owners: Sequence[Object]) -> None:
    metadata = {k: v for k, v in obj["metadata"].items() if k != "ownerReferences"}
    if owners:
        metadata["ownerReferences"] = list(owners)
    plane.store.put(resource, {**obj, "metadata": metadata})
