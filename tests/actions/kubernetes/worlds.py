"""Objects and looks for the tests of the Kubernetes actions."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from remediator.clients.kubernetes.connection import USER_AGENT
from remediator.model.canonical import JSON
from tests.servers import manifests
from tests.servers.kubernetes import ControlPlane
from tests.servers.manifests import GOOD, Manifest
from tests.servers.waiting import NeverHappened

COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
_DRIFTING = {
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "lastUpdateTime",
    "lastTransitionTime",
}


def deployment(name: str, namespace: str, **options: Any) -> Manifest:
    """A Deployment with a deadline that a busy machine does not pass, unless a test wants it to."""
    return manifests.deployment(name, namespace, **{"progress_deadline_s": 120, **options})


def stateful_set(
    name: str,
    namespace: str,
    *,
    replicas: int = 2,
    image: str = GOOD,
    spec: Mapping[str, Any] | None = None,
) -> Manifest:
    """A StatefulSet whose pods carry the label `app: NAME`."""
    return _workload(
        "StatefulSet",
        name,
        namespace,
        image,
        {"replicas": replicas, "serviceName": name, **(spec or {})},
    )


def daemon_set(
    name: str, namespace: str, *, image: str = GOOD, spec: Mapping[str, Any] | None = None
) -> Manifest:
    """A DaemonSet whose pods carry the label `app: NAME`."""
    return _workload("DaemonSet", name, namespace, image, spec or {})


def autoscaler(
    name: str,
    namespace: str,
    *,
    least: int,
    most: int,
    kind: str = "Deployment",
    owner: Mapping[str, Any] | None = None,
) -> Manifest:
    """A HorizontalPodAutoscaler of the workload that has its name; it gets no metrics here."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {
            "minReplicas": least,
            "maxReplicas": most,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 60},
                    },
                }
            ],
        },
    }


def lone_pod(name: str, namespace: str, **metadata: Any) -> Manifest:
    """A pod that no controller made."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"containers": [{"name": "app", "image": GOOD}]},
    }


def job(name: str, namespace: str) -> Manifest:
    """A Job of one pod."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": GOOD}]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backoffLimit": 3, "template": template},
    }


def _workload(
    kind: str, name: str, namespace: str, image: str, spec: Mapping[str, Any]
) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
            **spec,
        },
    }


def labelling_policy(namespace: str) -> tuple[Manifest, Manifest]:
    """An admission policy that puts the label `injected` on every Deployment's pod template."""
    api = "admissionregistration.k8s.io/v1"
    template = "Object.spec.template"
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    expression = (
        f"Object{{spec: Object.spec{{template: {template}{{metadata: "
        f"{template}.metadata{{labels: {{'injected': 'yes'}}}}}}}}}}"
    )
    patch = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return (
        {
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [patch],
            },
        },
        {
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {"policyName": namespace, "matchResources": {"namespaceSelector": here}},
        },
    )


def restart_long_ago(kind: str) -> tuple[str, ...]:
    """What somebody tells kubectl to restart with a time that can't be that of a test's plan."""
    note = {"kubectl.kubernetes.io/restartedAt": "2020-01-01T00:00:00Z"}
    patch = {"spec": {"template": {"metadata": {"annotations": note}}}}
    return ("patch", kind, "api", "--patch", json.dumps(patch))


def start(cp: ControlPlane, *objects: Manifest) -> None:
    """Create objects and wait until the workloads among them have settled."""
    cp.apply(*objects)
    for manifest in objects:
        if manifest["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
            name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
            cp.wait_rollout(f"{manifest['kind'].lower()}/{name}", namespace)


def trace(cp: ControlPlane) -> JSON:
    """Every request by which remediator meant to change something, as the API server saw it."""
    return [f"{verb} {path}" for verb, path in cp.writes(USER_AGENT)]


def stable(look: Callable[[], Any], *, what: str, rest_s: float = 0.4) -> Any:
    """What `look` returns once it has returned the same for a while."""
    deadline = time.monotonic() + 20
    last, since = look(), time.monotonic()
    while time.monotonic() < deadline:
        now = look()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since >= rest_s:
            return last
        time.sleep(0.05)
    raise NeverHappened(f"waited 20 s for {what}")


_PATHS = {
    "deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "statefulset": "/apis/apps/v1/namespaces/{}/statefulsets",
    "daemonset": "/apis/apps/v1/namespaces/{}/daemonsets",
    "replicaset": "/apis/apps/v1/namespaces/{}/replicasets",
    "controllerrevision": "/apis/apps/v1/namespaces/{}/controllerrevisions",
    "hpa": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "pod": "/api/v1/namespaces/{}/pods",
}


def held(cp: ControlPlane, kind: str, namespace: str, app: str = "") -> list[dict[str, Any]]:
    """What the API server holds of a kind, without starting a kubectl: for looking often."""
    query = f"?labelSelector=app%3D{app}" if app else ""
    found: list[dict[str, Any]]
    found = cp.api("GET", _PATHS[kind].format(namespace) + query).json()["items"]
    return found


def held_one(cp: ControlPlane, kind: str, name: str, namespace: str) -> dict[str, Any]:
    """What the API server holds of one object."""
    found: dict[str, Any] = cp.api("GET", f"{_PATHS[kind].format(namespace)}/{name}").json()
    return found


def like_twin(raw: Any, name: str) -> Any:
    """An object without what differs between twins: name, times, identities, hashes."""
    text = json.dumps(_steady(raw)).replace(name, "TWIN")
    return json.loads(re.sub(r"TWIN-[a-z0-9]{6,10}\b", "TWIN-HASH", text))


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "T" if key.endswith("restartedAt") else _steady(inner)
            for key, inner in value.items()
            if key not in _DRIFTING and "hash" not in key
        }
    if isinstance(value, list):
        # Conditions stand in the order in which they changed last, which is chance.
        steady = [_steady(item) for item in value]
        typed = all(isinstance(item, dict) and "type" in item for item in steady)
        return sorted(steady, key=lambda item: str(item["type"])) if typed else steady
    return value
