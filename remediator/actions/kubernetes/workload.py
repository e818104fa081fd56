"""A view of a Deployment, StatefulSet or DaemonSet, whatever its kind calls things. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remediator.actions.kubernetes.targets import target_of
from remediator.actions.kubernetes.templates import RESTARTED_AT
from remediator.clients.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    Object,
    Resource,
)
from remediator.model.plans import Target

_BY_KIND = {resource.kind: resource for resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)}


def resource_of(target: Target) -> Resource:
    """Return the resource of a plan's target."""
    return _BY_KIND[target.kind]


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload as the API server holds it."""

    resource: Resource
    raw: Object

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Its metadata."""
        found: Mapping[str, Any] = self.raw["metadata"]
        return found

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec."""
        found: Mapping[str, Any] = self.raw["spec"]
        return found

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status; empty before a controller has seen it."""
        return self.raw.get("status") or {}

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.metadata["namespace"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.metadata["name"])

    @property
    def version(self) -> str:
        """Its resourceVersion: the precondition of a patch."""
        return str(self.metadata["resourceVersion"])

    @property
    def observed(self) -> bool:
        """Whether its controller has seen its newest spec."""
        seen = self.status.get("observedGeneration") or 0
        return bool(seen >= self.metadata.get("generation", 0))

    @property
    def template(self) -> Mapping[str, Any]:
        """Its pod template."""
        found: Mapping[str, Any] = self.spec["template"]
        return found

    @property
    def restarted_at(self) -> str | None:
        """When it was restarted last, as the annotation says."""
        annotations = (self.template.get("metadata") or {}).get("annotations") or {}
        found = annotations.get(RESTARTED_AT)
        return None if found is None else str(found)

    @property
    def pods(self) -> int:
        """How many pods it should have now."""
        if self.resource is DAEMON_SETS:
            return int(self.status.get("desiredNumberScheduled") or 0)
        replicas = self.spec.get("replicas")
        return 1 if replicas is None else int(replicas)

    @property
    def paused(self) -> bool:
        """Whether it is a Deployment whose rollouts are paused."""
        return bool(self.spec.get("paused"))

    @property
    def selector(self) -> str:
        """Its pods' label selector, as a query takes it."""
        selector = self.spec.get("selector") or {}
        terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
        for rule in selector.get("matchExpressions") or []:
            key, operator = rule["key"], rule["operator"]
            values = ",".join(rule.get("values") or [])
            terms.append(
                {
                    "In": f"{key} in ({values})",
                    "NotIn": f"{key} notin ({values})",
                    "Exists": key,
                    "DoesNotExist": f"!{key}",
                }[operator]
            )
        return ",".join(terms)

    @property
    def target(self) -> Target:
        """It as the target of a plan."""
        return target_of(self.resource.kind, self.raw)

    def __str__(self) -> str:
        return f"{self.resource.kind.lower()} {self.namespace}/{self.name}"


def to_second(time: datetime) -> str:
    """Return RFC 3339 with the one-second granularity of kubectl's restart annotation."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
