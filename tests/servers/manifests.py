"""Kubernetes objects that tests create, with no more in them than a test needs to say."""

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]

GOOD = "app:good"
BAD = "app:bad"
"""The image that can never be pulled."""


def deployment(
    name: str,
    namespace: str,
    *,
    replicas: int = 3,
    image: str = GOOD,
    progress_deadline_s: int = 5,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    pod_annotations: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Manifest:
    """A Deployment whose pods carry the label `app: NAME`; `spec` adds to its spec."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(name, namespace, labels, annotations),
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": progress_deadline_s,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": dict(pod_annotations or {})},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
            **(spec or {}),
        },
    }


def disruption_budget(name: str, namespace: str, *, app: str, min_available: int | str) -> Manifest:
    """A PodDisruptionBudget over the pods with the label `app`."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(name, namespace),
        "spec": {"minAvailable": min_available, "selector": {"matchLabels": {"app": app}}},
    }


def _metadata(
    name: str,
    namespace: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    return {
        "name": name,
        "namespace": namespace,
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
    }
