"""Fields and their types, as far as actions and authors get them wrong: what has another type is
refused, what is unknown is dropped, as the API server does with its own kinds. Pure.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import Object, Resource


class Misfit(ValueError):
    """A field has a value of another type than it may have."""


_WORKLOAD: dict[str, type] = {
    "replicas": int,
    "minReadySeconds": int,
    "selector": dict,
    "template": dict,
    "revisionHistoryLimit": int,
}
_SPECS: dict[str, dict[str, type]] = {
    "Deployment": {
        **_WORKLOAD,
        "strategy": dict,
        "paused": bool,
        "progressDeadlineSeconds": int,
    },
    "ReplicaSet": {k: v for k, v in _WORKLOAD.items() if k != "revisionHistoryLimit"},
    "StatefulSet": {
        **_WORKLOAD,
        "serviceName": str,
        "podManagementPolicy": str,
        "updateStrategy": dict,
        "volumeClaimTemplates": list,
        "persistentVolumeClaimRetentionPolicy": dict,
        "ordinals": dict,
    },
    "DaemonSet": {k: v for k, v in _WORKLOAD.items() if k != "replicas"} | {"updateStrategy": dict},
    "HorizontalPodAutoscaler": {
        "scaleTargetRef": dict,
        "minReplicas": int,
        "maxReplicas": int,
        "metrics": list,
        "behavior": dict,
    },
    "PodDisruptionBudget": {
        "minAvailable": object,
        "maxUnavailable": object,
        "selector": dict,
        "unhealthyPodEvictionPolicy": str,
    },
}
_STRATEGY: dict[str, type] = {"type": str, "rollingUpdate": dict}
_METADATA: dict[str, type] = {
    "labels": dict,
    "annotations": dict,
    "ownerReferences": list,
    "finalizers": list,
}
_CALLED = {
    int: "a whole number",
    bool: "true or false",
    str: "text",
    dict: "a mapping",
    list: "a list",
}


def fitted(resource: Resource, obj: Object) -> Object:
    """Return an object without fields that its kind does not know.

    Raises:
        Misfit: a field has another type.
    """
    metadata = _checked("metadata", obj.get("metadata"), _METADATA, drop=False)
    for field in ("labels", "annotations"):
        texts = metadata.get(field)
        if isinstance(texts, Mapping):
            metadata[field] = {
                key: _typed(f"metadata.{field}.{key}", "" if text is None else text, str)
                for key, text in texts.items()
            }
    known = _SPECS.get(resource.kind)
    if known is None or not isinstance(obj.get("spec"), Mapping):
        if known is not None and obj.get("spec") is not None:
            _typed("spec", obj["spec"], dict)
        return {**obj, "metadata": metadata}
    spec = _checked("spec", obj["spec"], known, drop=True)
    for field in ("strategy", "updateStrategy"):
        if field in spec:
            spec[field] = _checked(f"spec.{field}", spec[field], _STRATEGY, drop=True)
    return {**obj, "metadata": metadata, "spec": spec}


def _checked(path: str, value: Any, known: Mapping[str, type], *, drop: bool) -> Object:
    found: Object = {}
    for key, part in _typed(path, value, dict).items():
        if part is None or (drop and key not in known):
            continue
        found[key] = _typed(f"{path}.{key}", part, known[key]) if key in known else part
    return found


def _typed(path: str, value: Any, wanted: type) -> Any:
    fits = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not fits:
        raise Misfit(f"{path}: {value!r} is not {_CALLED.get(wanted, 'fit')}")
    return value
