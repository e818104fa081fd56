"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had. Used by both."""

from collections.abc import Collection, Sequence
from typing import Any

from remediator.clients.kubernetes.resources import CONTROLLER_REVISIONS, Object, Resource
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.names import hash_of
from remediator.simulated.kubernetes.replica_sets import claim, owner_reference

HASH_LABEL = "controller-revision-hash"
_OTHER_LABEL = "controller.kubernetes.io/hash"


def of(plane: ControlPlane, owner: Object) -> list[Object]:
    """Return an owner's revisions, the oldest first."""
    claim(plane, owner, CONTROLLER_REVISIONS)
    held = plane.store.owned(owner["metadata"]["uid"], CONTROLLER_REVISIONS)
    return sorted(held, key=lambda revision: (revision["revision"], revision["metadata"]["name"]))


def current(
    plane: ControlPlane, owner: Object, resource: Resource, known: Sequence[Object]
) -> Object:
    """Return the revision of an owner's template: made, or brought to the front, if need be."""
    template = bare(owner["spec"]["template"])
    same = [revision for revision in known if bare(template_of(revision)) == template]
    newest = max((int(revision["revision"]) for revision in known), default=0)
    if same:
        found = same[-1]
        if int(found["revision"]) == newest:
            return found
        return plane.store.put(CONTROLLER_REVISIONS, {**found, "revision": newest + 1})
    digest = hash_of(template)
    name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
    collisions = 0
    while plane.store.get(CONTROLLER_REVISIONS, namespace, f"{name}-{digest}"):
        collisions += 1
        digest = hash_of(template, collisions)
    label = HASH_LABEL if resource.kind == "DaemonSet" else _OTHER_LABEL
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    metadata: dict[str, Any] = {
        "name": f"{name}-{digest}",
        "namespace": namespace,
        "labels": {**labels, label: digest},
        "ownerReferences": [owner_reference(owner, resource)],
    }
    notes = {
        key: value
        for key, value in (owner["metadata"].get("annotations") or {}).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    if notes:
        metadata["annotations"] = notes
    return plane.create(
        CONTROLLER_REVISIONS,
        {
            "metadata": metadata,
            "data": {"spec": {"template": {"$patch": "replace", **owner["spec"]["template"]}}},
            "revision": newest + 1,
        },
    )


def hash_in(revision: Object) -> str:
    """Return the hash of a revision, as its labels say it."""
    labels = revision["metadata"].get("labels") or {}
    return str(labels.get(HASH_LABEL) or labels.get(_OTHER_LABEL) or revision["metadata"]["name"])


def template_of(revision: Object) -> Object:
    """Return the pod template that a revision keeps."""
    kept: Object = ((revision.get("data") or {}).get("spec") or {}).get("template") or {}
    return {key: value for key, value in kept.items() if key != "$patch"}


def bare(template: Object) -> Object:
    """Return a template as it is compared: empty metadata says nothing."""
    metadata = template.get("metadata") or {}
    return {**template, "metadata": {k: v for k, v in metadata.items() if v not in (None, {}, [])}}


def prune(plane: ControlPlane, known: Sequence[Object], limit: int, live: Collection[str]) -> None:
    """Delete the oldest revisions beyond a limit, but none that pods still have."""
    idle = [revision for revision in known if revision["metadata"]["name"] not in live]
    for revision in idle[: max(0, len(idle) - limit)]:
        plane.delete(CONTROLLER_REVISIONS, revision)
