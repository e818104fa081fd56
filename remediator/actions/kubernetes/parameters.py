"""What runbook authors write under `with:` for the Kubernetes actions. Pure.

Names are checked here although the client quotes them: a label that is no Kubernetes name is a
mistake that should be told as such, and not as «not found».
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from remediator.clients.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    Resource,
)
from remediator.plugin.action import ActionParams, Permission

# RFC 1123 labels and subdomains, as the API server checks them.
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME = 253


def namespace_name(text: str) -> str:
    """Check the name of a namespace.

    Raises:
        ValueError: the API server would refuse it.
    """
    if not _LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is no namespace: lower case letters, digits and - only")
    return text


def object_name(text: str) -> str:
    """Check the name of an object.

    Raises:
        ValueError: the API server would refuse it.
    """
    if len(text) > _LONGEST_NAME or not _SUBDOMAIN.fullmatch(text):
        raise ValueError(
            f"{text[:_LONGEST_NAME]!r} is no Kubernetes name: lower case letters, digits, - and ."
        )
    return text


Namespace = Annotated[str, AfterValidator(namespace_name)]
Name = Annotated[str, AfterValidator(object_name)]


class NamespacedParams(ActionParams):
    """Parameters of an action inside one namespace."""

    namespace: Namespace
    """The namespace."""

    def permission(self, resource: str, *verbs: str) -> Permission:
        """Return a rule for this namespace; `*` while the namespace is not known yet."""
        known = _LABEL.fullmatch(self.namespace) is not None
        return Permission("kubernetes", resource, verbs, self.namespace if known else "*")


class ScalableParams(NamespacedParams):
    """Parameters that name one Deployment or StatefulSet."""

    deployment: Name | None = None
    """The Deployment's name."""
    statefulset: Name | None = None
    """The StatefulSet's name."""

    @property
    def workload(self) -> tuple[Resource, str]:
        """What was named, and its name."""
        return named(self, _WORKLOADS)

    @model_validator(mode="after")
    def _exactly_one(self) -> "ScalableParams":
        named(self, _WORKLOADS)
        return self


class WorkloadParams(ScalableParams):
    """Parameters that name one Deployment, StatefulSet or DaemonSet."""

    daemonset: Name | None = None
    """The DaemonSet's name."""


_WORKLOADS = {
    "deployment": DEPLOYMENTS,
    "statefulset": STATEFUL_SETS,
    "daemonset": DAEMON_SETS,
}


def named(params: Any, resources: dict[str, Resource]) -> tuple[Resource, str]:
    """Return the one resource that the parameters name.

    Raises:
        ValueError: they name none, or several.
    """
    fields = [field for field in resources if field in type(params).model_fields]
    given = [field for field in fields if getattr(params, field, None) is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "none"
        raise ValueError(f"name exactly one of {', '.join(fields)}; found {found}")
    return resources[given[0]], getattr(params, given[0])
