"""What the API server refuses as invalid (422), as far as actions and authors run into it. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import Object, Resource
from remediator.simulated.kubernetes import selectors, status

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_AT_LEAST_0 = "must be greater than or equal to 0"
# What may be changed of a StatefulSet.
_MUTABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
_STATEFUL_RULE = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
    "'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_ZERO_RULE = (
    "Forbidden: must specify at least one Object or External metric to support scaling to zero "
    "replicas"
)
Causes = list[tuple[str, str, str]]


def check(resource: Resource, obj: Object, before: Object | None = None) -> None:
    """Check an object, or what is to come in its place.

    Raises:
        Refusal: the API server would answer 422.
    """
    causes: Causes = []
    name = str(obj["metadata"].get("name", ""))
    if name and not re.fullmatch(_SUBDOMAIN, name) and not resource.group.startswith("rbac"):
        causes.append(_bad("metadata.name", name, _NAME_RULE))
    spec = obj.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    if resource.kind in _WORKLOADS:
        _workload(resource, spec, causes, before)
    elif resource.kind == "HorizontalPodAutoscaler":
        _autoscaler(spec, causes)
    if causes:
        raise status.invalid(resource, name, causes)


def scale(name: str, replicas: int) -> None:
    """Check a Scale.

    Raises:
        Refusal: its count is below zero.
    """
    if replicas < 0:
        of = Resource("autoscaling", "v1", "scales", "Scale")
        raise status.invalid(of, name, [_bad("spec.replicas", replicas, _AT_LEAST_0)])


def _workload(
    resource: Resource, spec: Mapping[str, Any], causes: Causes, before: Object | None
) -> None:
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        value = spec.get(field)
        if isinstance(value, int) and value < 0:
            causes.append(_bad(f"spec.{field}", value, _AT_LEAST_0))
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    selector = spec.get("selector")
    if not selector:
        causes.append(("FieldValueRequired", "spec.selector", "Required value"))
    elif not selectors.matches(selector, labels or {}):
        said = "`selector` does not match template `labels`"
        causes.append(_bad("spec.template.metadata.labels", labels, said))
    pod = template.get("spec") or {}
    if not pod.get("containers"):
        causes.append(("FieldValueRequired", "spec.template.spec.containers", "Required value"))
    for at, container in enumerate(pod.get("containers") or []):
        if not container.get("image"):
            path = f"spec.template.spec.containers[{at}].image"
            causes.append(("FieldValueRequired", path, "Required value"))
    if before is None:
        return
    was = before["spec"]
    if resource.kind == "StatefulSet":
        if any(was.get(k) != spec.get(k) for k in {*was, *spec} - _MUTABLE):
            causes.append(
                (
                    "FieldValueForbidden",
                    "spec",
                    _STATEFUL_RULE,
                )
            )
    elif was.get("selector") != selector:
        causes.append(_bad("spec.selector", selector, "field is immutable"))


def _autoscaler(spec: Mapping[str, Any], causes: Causes) -> None:
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if isinstance(least, int) and least < 1:
        said = "must be greater than or equal to 1"
        causes.append(_bad("spec.minReplicas", least, said))
    most = most if isinstance(most, int) else 0
    if most < 1:
        said = "Required value: must be set and greater than 0"
        causes.append(("FieldValueRequired", "spec.maxReplicas", said))
    if isinstance(least, int) and most < least:
        said = "must be greater than or equal to `minReplicas`"
        causes.append(_bad("spec.maxReplicas", most, said))
    if isinstance(least, int) and least < 1:
        causes.append(
            (
                "FieldValueForbidden",
                "spec.metrics",
                _ZERO_RULE,
            )
        )


def _bad(field: str, value: object, message: str) -> tuple[str, str, str]:
    shown = json.dumps(value, separators=(",", ":"))
    return ("FieldValueInvalid", field, f"Invalid value: {shown}: {message}")
