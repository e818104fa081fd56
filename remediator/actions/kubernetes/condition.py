"""The probe `kubernetes.condition`: is an object in the state that a runbook expects?

As `kubectl wait` judges it: condition types in any case, and a status that is older than the spec
does not count.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from remediator.actions.kubernetes import rollout
from remediator.actions.kubernetes.cluster import Cluster
from remediator.actions.kubernetes.parameters import Name, Namespace, named, namespace_name
from remediator.actions.kubernetes.workload import Workload
from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    CLAIMS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    STATEFUL_SETS,
    Object,
    Resource,
)
from remediator.model.plans import Progress, Result
from remediator.plugin.action import ActionParams, Permission, Probe
from remediator.plugin.context import Context

_RESOURCES: dict[str, Resource] = {
    "deployment": DEPLOYMENTS,
    "statefulset": STATEFUL_SETS,
    "daemonset": DAEMON_SETS,
    "pod": PODS,
    "node": NODES,
    "job": JOBS,
    "hpa": AUTOSCALERS,
    "persistentvolumeclaim": CLAIMS,
}
_WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
_READY_KINDS = (*_WORKLOADS, PODS, NODES)

_BOUND = re.compile(r"(>=|<=|==|>|<)?\s*(\d{1,6})")
_COMPARE = {
    ">=": int.__ge__,
    "<=": int.__le__,
    "==": int.__eq__,
    ">": int.__gt__,
    "<": int.__lt__,
}


def parse_bound(value: object) -> str:
    """Parse `all`, `3`, `">= 2"` into that text.

    Raises:
        ValueError: it is none of these.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not (text == "all" or _BOUND.fullmatch(text)):
        raise ValueError(f'{value!r} is no expectation of a count; write all, 3 or ">= 2"')
    return text


Bound = Annotated[
    str,
    BeforeValidator(parse_bound),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["all", ">= 2", 3]}),
]


class ConditionParams(ActionParams):
    """Parameters of `kubernetes.condition`: one object, and at least one expectation."""

    namespace: Namespace | None = None
    """The namespace; none for a node."""
    deployment: Name | None = None
    """A Deployment's name."""
    statefulset: Name | None = None
    """A StatefulSet's."""
    daemonset: Name | None = None
    """A DaemonSet's."""
    pod: Name | None = None
    """A pod's."""
    node: Name | None = None
    """A node's."""
    job: Name | None = None
    """A Job's."""
    hpa: Name | None = None
    """A HorizontalPodAutoscaler's."""
    persistentvolumeclaim: Name | None = None
    """A PersistentVolumeClaim's."""
    condition: str | None = None
    """A condition's type, like Available or MemoryPressure."""
    status: Literal["True", "False", "Unknown"] = "True"
    """What that condition shall be."""
    phase: str | None = None
    """The phase of a pod or claim, like Running or Bound."""
    ready: bool | None = None
    """Whether it shall be ready: a pod or node by its condition, a workload by its rollout."""
    available: Bound | None = None
    """Pods of a workload that shall be available: all, 3, ">= 2"."""

    @property
    def object(self) -> tuple[Resource, str]:
        """What was named, and its name."""
        return named(self, _RESOURCES)

    @model_validator(mode="after")
    def _consistent(self) -> "ConditionParams":
        resource, _ = self.object
        if resource.namespaced == (self.namespace is None):
            raise ValueError(
                f"a {resource.kind} {'needs a' if resource.namespaced else 'has no'} namespace"
            )
        if all(given is None for given in (self.condition, self.phase, self.ready, self.available)):
            raise ValueError("write what is expected: condition, phase, ready or available")
        if self.available is not None and resource not in _WORKLOADS:
            raise ValueError(f"a {resource.kind} has no available pods")
        if self.ready is not None and resource not in _READY_KINDS:
            raise ValueError(f"a {resource.kind} is neither ready nor unready: use condition")
        return self


class Condition(Probe[ConditionParams]):
    """Look at one object."""

    name = "kubernetes.condition"
    Params = ConditionParams
    summary = "Check a condition, phase, readiness or available pods of a Kubernetes object."
    example = '{namespace: shop, deployment: api, available: ">= 2"}'
    Output: ClassVar[dict[str, str]] = {
        "status": "string",
        "reason": "string",
        "message": "string",
        "phase": "string",
        "ready": "bool",
        "available": "int",
        "desired": "int",
    }

    def permissions(self, params: ConditionParams) -> Sequence[Permission]:
        """Read the object."""
        resource, _ = params.object
        return (Permission("kubernetes", resource.rbac, ("get",), _scope(resource, params)),)

    async def probe(self, params: ConditionParams, ctx: Context) -> Result:
        """Look once."""
        resource, name = params.object
        raw = await Cluster(ctx).get(resource, params.namespace or "", name)
        return judge(resource, raw, params)


def judge(resource: Resource, raw: Object, params: ConditionParams) -> Result:
    """Say whether an object meets all expectations. Pure."""
    status = raw.get("status") or {}
    met: list[str] = []
    unmet: list[str] = []

    def expect(holds: bool, sentence: str) -> None:
        (met if holds else unmet).append(sentence)

    output = _output(resource, raw)
    observed = status.get("observedGeneration")
    if observed is not None and observed < raw["metadata"].get("generation", 0):
        unmet.append("its controller has not seen its newest spec yet")
    if params.condition is not None:
        found = rollout.find_condition(status, params.condition) or {}
        is_now = str(found.get("status", "absent"))
        output |= {
            "status": is_now,
            "reason": str(found.get("reason", "")),
            "message": str(found.get("message", "")),
        }
        because = f" ({found['reason']})" if found.get("reason") else ""
        expect(is_now == params.status, f"condition {params.condition} is {is_now}{because}")
    if params.phase is not None:
        phase = output["phase"] or "unset"
        expect(phase == params.phase, f"phase is {phase}")
    if params.ready is not None:
        ready, why = _ready(resource, raw)
        expect(ready is params.ready, why)
    if params.available is not None:
        available, desired = output["available"], output["desired"]
        expect(
            _within(available, desired, params.available),
            f"{available} of {desired} pods are available, {params.available} expected",
        )
    where = f"{params.namespace}/" if params.namespace else ""
    sentences = "; ".join(unmet or met)
    return Result(
        f"{resource.kind.lower()} {where}{raw['metadata']['name']}: {sentences}",
        ok=not unmet,
        changed=False,
        output=output,
    )


def _output(resource: Resource, raw: Object) -> dict[str, Any]:
    status = raw.get("status") or {}
    output: dict[str, Any] = {
        "status": "",
        "reason": "",
        "message": "",
        "phase": str(status.get("phase") or ""),
        "ready": _ready(resource, raw)[0],
        "available": 0,
        "desired": 0,
    }
    if resource in _WORKLOADS:
        key = "numberAvailable" if resource is DAEMON_SETS else "availableReplicas"
        output["available"] = int(status.get(key) or 0)
        output["desired"] = Workload(resource, raw).pods
    return output


def _ready(resource: Resource, raw: Object) -> tuple[bool, str]:
    if resource in _WORKLOADS:
        state = rollout.progress(Workload(resource, raw))
        return state.progress is Progress.HEALTHY, state.message
    found = rollout.find_condition(raw.get("status") or {}, "Ready") or {}
    ready = found.get("status") == "True"
    because = f" ({found['reason']})" if not ready and found.get("reason") else ""
    return ready, f"it is {'ready' if ready else 'not ready'}{because}"


def _within(available: int, desired: int, bound: str) -> bool:
    if bound == "all":
        return available >= desired
    match = _BOUND.fullmatch(bound)
    return match is not None and _COMPARE[match[1] or "=="](available, int(match[2]))


def _scope(resource: Resource, params: ConditionParams) -> str:
    if not resource.namespaced or params.namespace is None:
        return "*"
    try:
        return namespace_name(params.namespace)
    except ValueError:
        return "*"  # an expression that is worked out when an alert comes
