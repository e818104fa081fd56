"""What the API server adds to an object that does not say it. Pure.

As far as actions, plans and people see it: workloads, pod templates, autoscalers, claims. Fields
that only a kubelet reads are left out; docs/simulated-kubernetes.md says which.
"""

from collections.abc import Callable, Mapping
from typing import Any

from remediator.clients.kubernetes.resources import Object, Resource

_EMPTY: tuple[Any, ...] = (None, {}, [])
_MAPS = ("labels", "annotations", "ownerReferences", "finalizers", "managedFields")


def defaulted(resource: Resource, obj: Object) -> Object:
    """Return an object as the API server would hold it."""
    metadata = _tidy(obj.get("metadata") or {})
    found: Object = {**obj, "metadata": metadata}
    spec = found.get("spec")
    by_kind = _SPECS.get(resource.kind)
    if by_kind is not None and isinstance(spec, Mapping):
        found["spec"] = by_kind(dict(spec))
    if resource.kind == "DaemonSet":
        notes = metadata.get("annotations") or {}
        noted = {"deprecated.daemonset.template.generation": "1", **notes}
        found["metadata"] = {**metadata, "annotations": noted}
    return found


def status_at_first(resource: Resource) -> Object | None:
    """Return the status of an object that no controller has seen."""
    firsts: dict[str, Object] = {
        "Deployment": {},
        "ReplicaSet": {"replicas": 0},
        "StatefulSet": {"replicas": 0, "availableReplicas": 0},
        "DaemonSet": {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
        "Job": {},
        "Pod": {"phase": "Pending", "qosClass": "BestEffort"},
        "PersistentVolumeClaim": {"phase": "Pending"},
        "HorizontalPodAutoscaler": {"desiredReplicas": 0, "currentMetrics": None},
        "PodDisruptionBudget": {
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        },
        "Namespace": {"phase": "Active"},
    }
    return firsts.get(resource.kind)


def _tidy(metadata: Mapping[str, Any]) -> Object:
    return {k: v for k, v in metadata.items() if not (k in _MAPS and v in _EMPTY) and v is not None}


def _deployment(spec: Object) -> Object:
    spec = _filled(
        spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    )
    strategy = _filled(dict(spec.get("strategy") or {}), {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        rolling = dict(strategy.get("rollingUpdate") or {})
        strategy["rollingUpdate"] = _filled(rolling, {"maxUnavailable": "25%", "maxSurge": "25%"})
    return _templated({**spec, "strategy": strategy})


def _stateful_set(spec: Object) -> Object:
    spec = _filled(
        spec,
        {
            "replicas": 1,
            "serviceName": "",
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
        },
    )
    strategy = _filled(dict(spec.get("updateStrategy") or {}), {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        rolling = dict(strategy.get("rollingUpdate") or {})
        strategy["rollingUpdate"] = _filled(rolling, {"partition": 0})
    return _templated({**spec, "updateStrategy": strategy})


def _daemon_set(spec: Object) -> Object:
    spec = _filled(spec, {"revisionHistoryLimit": 10})
    strategy = _filled(dict(spec.get("updateStrategy") or {}), {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        rolling = dict(strategy.get("rollingUpdate") or {})
        strategy["rollingUpdate"] = _filled(rolling, {"maxUnavailable": 1, "maxSurge": 0})
    return _templated({**spec, "updateStrategy": strategy})


def _replica_set(spec: Object) -> Object:
    return _templated(_filled(spec, {"replicas": 1}))


def _job(spec: Object) -> Object:
    counts = {"parallelism": 1, "backoffLimit": 6}
    if "parallelism" not in spec:
        counts["completions"] = 1
    return _templated(
        _filled(
            spec,
            {
                **counts,
                "manualSelector": False,
                "completionMode": "NonIndexed",
                "suspend": False,
                "podReplacementPolicy": "TerminatingOrFailed",
            },
        )
    )


def _autoscaler(spec: Object) -> Object:
    return _filled(spec, {"minReplicas": 1})


def _claim(spec: Object) -> Object:
    return _filled(spec, {"volumeMode": "Filesystem"})


def _templated(spec: Object) -> Object:
    template = spec.get("template")
    if not isinstance(template, Mapping):
        return spec
    metadata = _tidy(template.get("metadata") or {})
    pod = template.get("spec")
    held = {**template, "metadata": metadata}
    if isinstance(pod, Mapping):
        held["spec"] = pod_spec(dict(pod))
    return {**spec, "template": held}


def job_identified(obj: Object, uid: str) -> Object:
    """Return a new Job with the selector and labels that the API server gives it."""
    spec = obj.get("spec") or {}
    if spec.get("selector") or spec.get("manualSelector"):
        return obj
    name = obj["metadata"]["name"]
    mine = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **mine}
    first = {"batch.kubernetes.io/controller-uid": uid}
    own = obj["metadata"].get("labels") or {}
    return {
        **obj,
        "metadata": {**obj["metadata"], "labels": own or labels},
        "spec": {
            **spec,
            "selector": {"matchLabels": first},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }


def pod_spec(spec: Object) -> Object:
    """Return a pod's spec with what it does not say."""
    spec = _filled(
        spec,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    )
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        account = spec.get("serviceAccountName") or spec.get("serviceAccount")
        spec |= {"serviceAccountName": account, "serviceAccount": account}
    for group in ("initContainers", "containers"):
        if isinstance(spec.get(group), list):
            spec[group] = [_container(dict(container)) for container in spec[group]]
    if isinstance(spec.get("volumes"), list):
        spec["volumes"] = [_volume(dict(volume)) for volume in spec["volumes"]]
    return spec


def admitted(spec: Object) -> Object:
    """Return a new pod's spec with what admission adds."""
    return {
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        **spec,
        "tolerations": _tolerations(spec.get("tolerations") or []),
    }


def _tolerations(given: list[Any]) -> list[Any]:
    """Return tolerations, with five minutes for nodes that are lost where nothing is said."""
    at_last = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    return given + [
        {"key": key, **at_last}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if not any(
            toleration.get("key") in (None, key)
            and toleration.get("effect") in (None, "", "NoExecute")
            for toleration in given
        )
    ]


def _container(container: Object) -> Object:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    container = _filled(
        container,
        {
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always" if latest else "IfNotPresent",
        },
    )
    if container.get("ports"):
        container["ports"] = [_filled(dict(p), {"protocol": "TCP"}) for p in container["ports"]]
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(probe), Mapping):
            container[probe] = _probe(dict(container[probe]))
    if container.get("env"):
        container["env"] = [_variable(dict(variable)) for variable in container["env"]]
    resources = container["resources"]
    if isinstance(resources, Mapping) and resources.get("limits"):
        requests = {**resources["limits"], **(resources.get("requests") or {})}
        container["resources"] = {**resources, "requests": requests}
    return container


def _probe(probe: Object) -> Object:
    probe = _filled(
        probe,
        {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    )
    if isinstance(probe.get("httpGet"), Mapping):
        probe["httpGet"] = _filled(dict(probe["httpGet"]), {"path": "/", "scheme": "HTTP"})
    return probe


def _variable(variable: Object) -> Object:
    source = variable.get("valueFrom")
    if isinstance(source, Mapping) and isinstance(source.get("fieldRef"), Mapping):
        field = _filled(dict(source["fieldRef"]), {"apiVersion": "v1"})
        variable["valueFrom"] = {**source, "fieldRef": field}
    return variable


def _volume(volume: Object) -> Object:
    for source in ("secret", "configMap", "projected", "downwardAPI"):
        if isinstance(volume.get(source), Mapping):
            volume[source] = _filled(dict(volume[source]), {"defaultMode": 420})
    if isinstance(volume.get("hostPath"), Mapping):
        volume["hostPath"] = _filled(dict(volume["hostPath"]), {"type": ""})
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    return volume


def _filled(given: Object, more: Mapping[str, Any]) -> Object:
    """Return what is given, and more where it says nothing."""
    return {**given, **{k: v for k, v in more.items() if given.get(k) is None}}


_SPECS: dict[str, Callable[[Object], Object]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "ReplicaSet": _replica_set,
    "Job": _job,
    "HorizontalPodAutoscaler": _autoscaler,
    "PersistentVolumeClaim": _claim,
    "Pod": lambda spec: admitted(pod_spec(spec)),
}
