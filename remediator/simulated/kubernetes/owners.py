"""Completes what an author leaves out about owners: their uids, and owners that he does not list.

A pod that names an owner which is not listed gets one made up, so that deleting the pod brings
another, as in the cluster from which it was taken.
"""

from collections.abc import Sequence
from typing import Any

from remediator.clients.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
    Resource,
)
from remediator.simulated.kubernetes import selectors
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.defaults import defaulted
from remediator.simulated.kubernetes.deployments import HASH_LABEL
from remediator.simulated.kubernetes.replica_sets import owner_reference
from remediator.simulated.kubernetes.store import controller_of, key_of, labels_of

Given = tuple[Resource, Object]

_MADE_UP = {kind.kind: kind for kind in (REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)}
_IMAGE = "app:1"
_OF_ONE_POD = (
    "apps.kubernetes.io/pod-index",
    "statefulset.kubernetes.io/pod-name",
    "controller-revision-hash",
    "pod-template-generation",
)


def completed(plane: ControlPlane, given: Sequence[Given]) -> list[Given]:
    """Return objects whose owner references have uids, with the owners that were missing."""
    by_name: dict[tuple[str, str, str], Object] = {}
    result: list[Given] = []
    for resource, obj in given:
        if resource == REPLICA_SETS:
            obj = _of_a_deployment(obj, given)  # noqa: PLW2901 - as it would be in a cluster
        known = _identified(plane, resource, obj)
        by_name[resource.kind, *key_of(known)] = known
        result.append((resource, known))
    added: list[Given] = []
    for at, (resource, obj) in enumerate(result):
        references = obj["metadata"].get("ownerReferences")
        if not references:
            continue
        namespace = obj["metadata"].get("namespace", "")
        filled = []
        for reference in references:
            owner = _known(plane, by_name, reference, namespace)
            if owner is None and reference.get("kind") in _MADE_UP and resource == PODS:
                made = _made_up(plane, reference, obj, result)
                added.append(made)
                owner = by_name[made[0].kind, *key_of(made[1])] = made[1]
            uid = owner["metadata"]["uid"] if owner else reference.get("uid", "not-listed")
            filled.append({**_whole(reference), "uid": uid})
        metadata = {**obj["metadata"], "ownerReferences": filled}
        result[at] = (resource, {**obj, "metadata": metadata})
        by_name[resource.kind, *key_of(obj)] = result[at][1]
    return [*added, *result]


def filled_in(resource: Resource, obj: Object) -> Object:
    """Return a workload or pod with what the API needs and the test does not care about."""
    if resource == PODS:
        names = [
            str(status.get("name"))
            for status in (obj.get("status") or {}).get("containerStatuses") or []
        ]
        containers = [{"name": name, "image": _IMAGE} for name in names or ["app"]]
        return {**obj, "spec": {"containers": containers, **(obj.get("spec") or {})}}
    if resource not in (DEPLOYMENTS, *_MADE_UP.values()):
        return obj
    spec = dict(obj.get("spec") or {})
    template = dict(spec.get("template") or {})
    metadata = dict(template.get("metadata") or {})
    selector = spec.get("selector") or {}
    metadata["labels"] = (
        metadata.get("labels") or selector.get("matchLabels") or {"app": obj["metadata"]["name"]}
    )
    if "containers" not in (template.get("spec") or {}):
        one = [{"name": "app", "image": _IMAGE}]
        template["spec"] = {"containers": one, **(template.get("spec") or {})}
    spec["template"] = {**template, "metadata": metadata}
    spec["selector"] = selector or {"matchLabels": metadata["labels"]}
    return {**obj, "spec": spec}


def placed(plane: ControlPlane, pod: Object) -> Object:
    """Return a pod with the labels of its ReplicaSet; one that a Deployment's selector fits and
    nobody controls belongs to its newest ReplicaSet.
    """
    metadata = pod["metadata"]
    reference = controller_of(pod)
    if reference is None:
        for deployment in plane.store.items(DEPLOYMENTS, metadata["namespace"]):
            if selectors.matches(deployment["spec"].get("selector"), labels_of(pod)):
                sets = plane.store.owned(deployment["metadata"]["uid"], REPLICA_SETS)
                hashed = labels_of(pod).get(HASH_LABEL)
                fit = [rs for rs in sets if hashed in (None, labels_of(rs).get(HASH_LABEL))]
                if fit:
                    newest = _of_template(deployment, fit)
                    owners = [owner_reference(newest, REPLICA_SETS)]
                    pod = {**pod, "metadata": {**metadata, "ownerReferences": owners}}
                    reference = owners[0]
                break
    found = plane.store.by_uid(str(reference["uid"])) if reference else None
    if found is None or found[0] != REPLICA_SETS:
        return pod
    wanted = ((found[1]["spec"].get("selector") or {}).get("matchLabels")) or {}
    labels = {**wanted, **labels_of(pod)}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}}


def _of_template(deployment: Object, sets: Sequence[Object]) -> Object:
    revision = "deployment.kubernetes.io/revision"
    return max(
        sets, key=lambda rs: int((rs["metadata"].get("annotations") or {}).get(revision) or 0)
    )


def _of_a_deployment(rs: Object, given: Sequence[Given]) -> Object:
    """Return a listed ReplicaSet as its Deployment would have made it: owned, and hashed."""
    metadata, spec = rs["metadata"], rs["spec"]
    references = metadata.get("ownerReferences") or []
    template = spec["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not references:
        for kind, obj in given:
            if (
                kind == DEPLOYMENTS
                and obj["metadata"]["namespace"] == metadata["namespace"]
                and selectors.matches(obj["spec"].get("selector"), labels)
            ):
                references = [{"kind": "Deployment", "name": obj["metadata"]["name"]}]
                break
    of = [str(owner["name"]) for owner in references if owner.get("kind") == "Deployment"]
    if not of:
        return rs
    digest = labels.get(HASH_LABEL) or metadata["name"].removeprefix(f"{of[0]}-")
    labels = {**labels, HASH_LABEL: digest}
    selector = spec.get("selector") or {}
    hashed = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    return {
        **rs,
        "metadata": {
            **metadata,
            "labels": {**labels, **(metadata.get("labels") or {})},
            "ownerReferences": references,
        },
        "spec": {
            **spec,
            "selector": {**selector, "matchLabels": hashed},
            "template": {
                **template,
                "metadata": {**(template.get("metadata") or {}), "labels": labels},
            },
        },
    }


def _identified(plane: ControlPlane, resource: Resource, obj: Object) -> Object:
    metadata = obj["metadata"]
    if metadata.get("uid"):
        return obj
    namespace = metadata.get("namespace", "")
    uid = plane.names.uid(resource.group, resource.kind, namespace, metadata["name"])
    return {**obj, "metadata": {**metadata, "uid": uid}}


def _known(
    plane: ControlPlane,
    by_name: dict[tuple[str, str, str], Object],
    reference: dict[str, Any],
    namespace: str,
) -> Object | None:
    kind, name = str(reference.get("kind")), str(reference.get("name"))
    for where in (namespace, ""):
        if (kind, where, name) in by_name:
            return by_name[kind, where, name]
    resource = _MADE_UP.get(kind)
    return plane.store.get(resource, namespace, name) if resource else None


def _whole(reference: dict[str, Any]) -> dict[str, Any]:
    kind = str(reference.get("kind"))
    known = kind in _MADE_UP or kind in ("Deployment", "Job")
    return {
        "apiVersion": "apps/v1",
        **reference,
        "controller": reference.get("controller", known),
        **({"blockOwnerDeletion": True} if known else {}),
    }


def _made_up(
    plane: ControlPlane, reference: dict[str, Any], pod: Object, given: Sequence[Given]
) -> Given:
    """Return an owner that a pod names and no manifest lists."""
    resource = _MADE_UP[str(reference["kind"])]
    namespace, name = pod["metadata"]["namespace"], str(reference["name"])
    labels = {k: v for k, v in labels_of(pod).items() if k not in _OF_ONE_POD}
    if not labels:
        labels = {"app": name}
    siblings = [
        other
        for kind, other in given
        if kind == PODS
        and other["metadata"]["namespace"] == namespace
        and any(o.get("name") == name for o in other["metadata"].get("ownerReferences") or [])
    ]
    spec = {k: v for k, v in (pod.get("spec") or {}).items() if k not in ("nodeName", "hostname")}
    spec.setdefault("containers", [{"name": "app", "image": "app:1"}])
    template: Object = {"metadata": {"labels": labels}, "spec": spec}
    metadata: Object = {"name": name, "namespace": namespace, "labels": labels}
    if reference.get("uid"):
        metadata["uid"] = reference["uid"]
    replicas = len(siblings)
    if resource == STATEFUL_SETS:
        replicas = max([replicas, *(_ordinal(other) + 1 for other in siblings)])
    deployment = (
        _deployment_of(name, labels, namespace, given) if resource == REPLICA_SETS else None
    )
    if deployment is not None:
        digest = labels.get(HASH_LABEL) or name.removeprefix(f"{deployment['metadata']['name']}-")
        own = deployment["spec"]["template"]
        hashed = {**(own.get("metadata") or {}).get("labels", {}), HASH_LABEL: digest}
        template = {**own, "metadata": {**(own.get("metadata") or {}), "labels": hashed}}
        metadata |= {
            "labels": hashed,
            "annotations": {
                "deployment.kubernetes.io/revision": "1",
                "deployment.kubernetes.io/desired-replicas": str(deployment["spec"]["replicas"]),
            },
            "ownerReferences": [owner_reference(deployment, DEPLOYMENTS)],
        }
        labels = hashed
        replicas = int(deployment["spec"]["replicas"])
    made: Object = {
        "apiVersion": "apps/v1",
        "kind": resource.kind,
        "metadata": metadata,
        "spec": {
            **({} if resource == DAEMON_SETS else {"replicas": replicas}),
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }
    return resource, _identified(plane, resource, defaulted(resource, made))


def _deployment_of(
    name: str, labels: dict[str, str], namespace: str, given: Sequence[Given]
) -> Object | None:
    for kind, obj in given:
        if (
            kind == DEPLOYMENTS
            and obj["metadata"]["namespace"] == namespace
            and name.startswith(f"{obj['metadata']['name']}-")
            and selectors.matches(obj["spec"].get("selector"), labels)
        ):
            return obj
    return None


def _ordinal(pod: Object) -> int:
    number = str(pod["metadata"]["name"]).rpartition("-")[2]
    return int(number) if number.isdigit() else 0
