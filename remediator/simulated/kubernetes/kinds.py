"""Which kinds the simulated API serves, and what a path names. Pure but for what it learns.

Kinds of Kubernetes itself are known. Others are learnt from the objects that an author gives: from
a CustomResourceDefinition, or, without one, by the English plural of the kind's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    BUDGETS,
    CLAIMS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event")
DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
_CORE = ("ConfigMap", "Secret", "Service", "ServiceAccount", "ResourceQuota", "LimitRange")
BUILT_IN: tuple[Resource, ...] = (
    PODS,
    NODES,
    CLAIMS,
    VOLUMES,
    NAMESPACES,
    EVENTS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    REPLICA_SETS,
    CONTROLLER_REVISIONS,
    AUTOSCALERS,
    JOBS,
    BUDGETS,
    DEFINITIONS,
    *(Resource("", "v1", f"{kind.lower()}s", kind) for kind in _CORE),
    Resource("", "v1", "endpoints", "Endpoints"),
    Resource("", "v1", "replicationcontrollers", "ReplicationController"),
    Resource("batch", "v1", "cronjobs", "CronJob"),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource("events.k8s.io", "v1", "events", "Event"),
    Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False),
    Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False),
    Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False),
)
_BUILT_IN = frozenset(BUILT_IN)


@dataclass(frozen=True, slots=True)
class Place:
    """What a path names: a collection, one object, or a subresource of it."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    sub: str = ""


class Catalogue:
    """The kinds that are served."""

    def __init__(self) -> None:
        self._by_plural = {(r.group, r.version, r.plural): r for r in BUILT_IN}
        self._by_kind = {(r.group, r.version, r.kind): r for r in BUILT_IN}

    def of(self, raw: Mapping[str, Any]) -> Resource:
        """Return the resource of an object, and learn it if it is new.

        Raises:
            ValueError: it has no apiVersion or kind, or one in which its kind is not served.
        """
        stated, kind = raw.get("apiVersion"), raw.get("kind")
        if not isinstance(stated, str) or not isinstance(kind, str) or not kind:
            raise ValueError("a Kubernetes object needs apiVersion and kind")
        group, _, version = stated.rpartition("/")
        known = self._by_kind.get((group, version, kind))
        if known is None:
            for other in BUILT_IN:
                if (other.group, other.kind) == (group, kind):
                    raise ValueError(
                        f"{kind} is served in {api_version(other)} only, not in {stated}"
                    )
            namespaced = bool((raw.get("metadata") or {}).get("namespace"))
            known = Resource(group, version, plural_of(kind), kind, namespaced)
            self._learn(known)
        if known is DEFINITIONS:
            self._define(raw)
        return known

    def named(self, kind: str) -> Resource:
        """Return a resource by what people call it: `pod`, `Deployment`, `hpa`, a plural.

        Raises:
            ValueError: nothing is called so.
        """
        wanted = _SHORT.get(kind.lower(), kind.lower())
        for resource in self._by_kind.values():
            if wanted in (resource.kind.lower(), resource.plural):
                return resource
        raise ValueError(f"no object is of a kind {kind!r}")

    def place(self, path: str) -> Place | None:
        """Return what a path names; None when nothing of this kind is served."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] == ["api", "v1"]:
            group, version, rest = "", "v1", parts[2:]
        elif len(parts) > 3 and parts[0] == "apis":
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = self._by_plural.get((group, version, rest[0])) if rest else None
        if resource is None or len(rest) > 3 or bool(namespace) > resource.namespaced:
            return None
        name, sub = (*rest[1:], "", "")[:2]
        if name and resource.namespaced and not namespace:
            return None
        return Place(resource, namespace, name, sub)

    def _define(self, raw: Mapping[str, Any]) -> None:
        spec = raw.get("spec") or {}
        names = spec.get("names") or {}
        for version in spec.get("versions") or []:
            if names.get("plural") and names.get("kind") and version.get("name"):
                self._learn(
                    Resource(
                        str(spec.get("group", "")),
                        str(version["name"]),
                        str(names["plural"]),
                        str(names["kind"]),
                        spec.get("scope") != "Cluster",
                    )
                )

    def _learn(self, resource: Resource) -> None:
        self._by_kind[resource.group, resource.version, resource.kind] = resource
        self._by_plural[resource.group, resource.version, resource.plural] = resource


_SHORT = {
    "hpa": "horizontalpodautoscaler",
    "pdb": "poddisruptionbudget",
    "pvc": "persistentvolumeclaim",
    "pv": "persistentvolume",
    "rs": "replicaset",
    "sts": "statefulset",
    "ds": "daemonset",
    "deploy": "deployment",
    "cm": "configmap",
    "svc": "service",
    "no": "node",
    "po": "pod",
}


def built_in(resource: Resource) -> bool:
    """Whether a kind is Kubernetes' own, and no custom resource."""
    return resource in _BUILT_IN


def api_version(resource: Resource) -> str:
    """Return `apps/v1` or `v1`."""
    return f"{resource.group}/{resource.version}" if resource.group else resource.version


def plural_of(kind: str) -> str:
    """Return the English plural by which most custom resources are served."""
    name = kind.lower()
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"
