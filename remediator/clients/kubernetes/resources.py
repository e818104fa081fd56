"""The resources that remediator reads or changes, with their paths and their names in RBAC."""

from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

Object: TypeAlias = dict[str, Any]
"""An object of the API as it came: raw JSON keeps fields that no model of ours knows."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def rbac(self) -> str:
        """Group and resource as `Permission.resource` writes them: `apps/deployments`, `/pods`."""
        return f"{self.group}/{self.plural}"

    def path(self, namespace: str, name: str = "", sub: str = "") -> str:
        """Return the path of the collection, or of one object, or of its subresource.

        Every part is quoted: names come out of alert labels and must not reach another object.
        """
        where = ["namespaces", namespace] if self.namespaced else []
        return self._path([*where, self.plural, *(part for part in (name, sub) if part)])

    @property
    def everywhere(self) -> str:
        """The path of the collection over all namespaces."""
        return self._path([self.plural])

    def _path(self, parts: list[str]) -> str:
        before = ["apis", self.group, self.version] if self.group else ["api", self.version]
        return "/" + "/".join(quote(part, safe="") for part in (*before, *parts))


DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
CONTROLLER_REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
JOBS = Resource("batch", "v1", "jobs", "Job")
BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
PODS = Resource("", "v1", "pods", "Pod")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
RUNBOOKS = Resource("remediator.dev", "v1alpha1", "runbooks", "Runbook")
POLICIES = Resource("remediator.dev", "v1alpha1", "remediationpolicies", "RemediationPolicy")
