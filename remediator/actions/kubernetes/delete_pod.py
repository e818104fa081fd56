"""`kubernetes.delete_pod`: delete one pod so that its controller makes a new one.

What may be deleted is decided as `kubectl drain` decides it: mirror pods never, pods of a
DaemonSet or of nobody only when the runbook says so. A deletion goes past disruption budgets, so a
pod that is ready stays where a budget allows no disruption. The deletion names the pod's uid, so a
pod of the same name that came after it is safe.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.actions.kubernetes import ownership, rollout
from remediator.actions.kubernetes.cluster import Cluster
from remediator.actions.kubernetes.parameters import Name, NamespacedParams
from remediator.actions.kubernetes.replacement import CONTROLLERS, exhausted, wanted
from remediator.actions.kubernetes.targets import target_of
from remediator.clients.kubernetes.resources import BUDGETS, DAEMON_SETS, PODS, Object
from remediator.model.plans import Change, Impact, Plan, Progress, Result, Settled, Target
from remediator.plugin.action import Action, Permanent, Permission, Stale
from remediator.plugin.context import Context

_MIRROR = "kubernetes.io/config.mirror"
# Labels that differ between pods of one controller, so they are no help in finding the others.
_OWN_LABELS = frozenset(
    {
        "apps.kubernetes.io/pod-index",
        "statefulset.kubernetes.io/pod-name",
        "batch.kubernetes.io/job-completion-index",
        "controller-revision-hash",
        "pod-template-generation",
    }
)


class DeletePodParams(NamespacedParams):
    """Parameters of `kubernetes.delete_pod`."""

    pod: Name
    """The pod's name."""
    allow_unmanaged: bool = False
    """Whether a pod that nothing would replace may be deleted."""
    allow_daemonset: bool = False
    """Whether a DaemonSet's pod may be deleted; its node is without it for a while."""


class DeletePod(Action[DeletePodParams]):
    """Delete one pod; its controller replaces it."""

    name = "kubernetes.delete_pod"
    Params = DeletePodParams
    summary = "Delete one pod, so that its controller makes a new one."
    example = "{namespace: shop, pod: api-5d4f8c7b6-x2x9k}"

    def permissions(self, params: DeletePodParams) -> Sequence[Permission]:
        """Read pods (the one and its siblings), their controller and budgets; and delete."""
        controllers = [
            resource
            for resource in CONTROLLERS.values()
            if resource is not DAEMON_SETS or params.allow_daemonset
        ]
        return (
            params.permission(PODS.rbac, "get", "list", "delete"),
            params.permission(BUDGETS.rbac, "list"),
            *(params.permission(resource.rbac, "get") for resource in controllers),
        )

    async def plan(self, params: DeletePodParams, ctx: Context) -> Plan:
        """Check that the pod may go; admission is asked by a dry run."""
        cluster = Cluster(ctx)
        pod = await cluster.get(PODS, params.namespace, params.pod)
        target = target_of("Pod", pod)
        owner = ownership.controller(pod)
        if _terminating(pod):
            return _plan(self.name, pod, [], (), [])
        reason = refusal(pod, params)
        if reason:
            raise Permanent(f"{target} will not be deleted: {reason}")
        budgets = exhausted(await cluster.items(BUDGETS, params.namespace), pod)
        if budgets and _ready(pod):
            raise Permanent(
                f"{target} will not be deleted: it is ready, and PodDisruptionBudget "
                f"{', '.join(budgets)} allows no disruption now"
            )
        others = await _siblings(cluster, pod, owner)
        await cluster.preview_delete(PODS, target.scope, target.name, uid=target.uid)
        return _plan(self.name, pod, others, (Change("pod", "present", "deleted"),), budgets)

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Delete the pod, unless it is gone or going."""
        cluster = Cluster(ctx)
        pod = await cluster.find(plan.target, PODS)
        if plan.empty or pod is None or _terminating(pod):
            return Result(f"{plan.target} is gone already, or going", changed=False)
        owner = ownership.controller(pod)
        if (owner["uid"] if owner else "") != plan.details["owner_uid"]:
            raise Stale(
                f"{plan.target} has another controller than when it was planned: somebody may "
                "have set it aside to look into it"
            )
        changed = await cluster.delete(
            PODS, plan.target.scope, plan.target.name, uid=plan.target.uid
        )
        return Result(f"{plan.target} {'is deleted' if changed else 'was gone'}", changed=changed)

    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """Look whether the pod is gone and another is ready in its place."""
        cluster = Cluster(ctx)
        pod = await cluster.find(plan.target, PODS)
        if pod is not None:
            return Settled(Progress.PROGRESSING, f"{plan.target} is terminating")
        if not plan.details["awaited"]:
            return Settled(Progress.HEALTHY, f"{plan.target} is gone, and no other is waited for")
        others = await _owned(
            cluster, plan.target.scope, str(plan.details["selector"]), plan.details["owner_uid"]
        )
        ready = sum(_ready(other) for other in others)
        needed = await _wanted(cluster, plan)
        if ready >= needed:
            return Settled(
                Progress.HEALTHY, f"{plan.target} is gone and {ready} pods of its kind are ready"
            )
        waiting = sorted({reason for other in others for reason in _waiting(other)})
        return Settled(
            Progress.PROGRESSING,
            f"{plan.target} is gone; {ready} of {needed} pods of its kind are ready"
            + (f" ({', '.join(waiting)})" if waiting else ""),
        )


def refusal(pod: Object, params: DeletePodParams) -> str:
    """Return why the pod must not be deleted, with what would lift it; empty when it may. Pure."""
    annotations = pod["metadata"].get("annotations") or {}
    if _MIRROR in annotations:
        return "it is the mirror of a static pod, and its kubelet would only show it again"
    owner = ownership.controller(pod)
    if owner is None and not _finished(pod) and not params.allow_unmanaged:
        return "no controller would replace it (allow_unmanaged: true lifts this)"
    if owner is not None and owner["kind"] == "DaemonSet" and not params.allow_daemonset:
        return (
            f"it belongs to DaemonSet {owner['name']}, and its node would be without it for a "
            "while (allow_daemonset: true lifts this)"
        )
    return ""


def _plan(
    action: str,
    pod: Object,
    others: Sequence[Object],
    changes: tuple[Change, ...],
    budgets: Sequence[str],
) -> Plan:
    owner = ownership.controller(pod)
    of = f" of {owner['kind'].lower()} {owner['name']}" if owner else ""
    scratch = [v["name"] for v in pod["spec"].get("volumes") or [] if "emptyDir" in v]
    return Plan(
        action=action,
        target=target_of("Pod", pod),
        changes=changes,
        impact=Impact(
            pods=len(changes),
            of_pods=len(others) + 1,
            down=0 if _finished(pod) else len(changes),
            part_of=_workload(pod, owner),
            note=ownership.joined(
                "it has ended already" if _finished(pod) else "",
                "" if owner else "nothing replaces it",
                f"PodDisruptionBudget {', '.join(budgets)} allows no disruption now, and a "
                "deletion goes past it"
                if budgets
                else "",
                f"its emptyDir {', '.join(scratch)} is lost" if scratch else "",
            ),
        ),
        summary=f"delete{of}" if changes else "is being deleted already",
        no_way_back="a deleted pod does not come back; its controller makes a new one"
        if owner
        else "a deleted pod does not come back, and this one has no controller",
        details={
            "owner_uid": owner["uid"] if owner else "",
            "owner_kind": owner["kind"] if owner else "",
            "owner_name": owner["name"] if owner else "",
            # A pod that has ended was replaced long ago or never will be; those of a Job run to
            # their end, and nobody waits for them to be ready.
            "awaited": owner is not None and owner["kind"] != "Job" and not _finished(pod),
            "selector": _selector(pod),
            "others_ready": sum(_ready(other) for other in others),
        },
    )


def _workload(pod: Object, owner: Mapping[str, Any] | None) -> str:
    """Return the key of the workload that the pod is one of, for budgets that count its pods.

    A Deployment's pods belong to a ReplicaSet that is named after it and the pods' hash.
    """
    if owner is None:
        return ""
    metadata = pod["metadata"]
    kind, name = str(owner["kind"]), str(owner["name"])
    hashed = (metadata.get("labels") or {}).get("pod-template-hash")
    if kind == "ReplicaSet" and hashed and name.endswith(f"-{hashed}"):
        kind, name = "Deployment", name.removesuffix(f"-{hashed}")
    return Target("kubernetes", kind, str(metadata["namespace"]), name).key


async def _siblings(cluster: Cluster, pod: Object, owner: Mapping[str, Any] | None) -> list[Object]:
    """Read the other pods of the same controller."""
    if owner is None:
        return []
    namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
    owned = await _owned(cluster, namespace, _selector(pod), owner["uid"])
    return [other for other in owned if other["metadata"]["uid"] != uid]


async def _owned(
    cluster: Cluster, namespace: str, selector: str, owner_uid: object
) -> list[Object]:
    return [
        pod
        for pod in await cluster.items(PODS, namespace, selector=selector)
        if (ownership.controller(pod) or {}).get("uid") == owner_uid
        and not _terminating(pod)
        and not _finished(pod)
    ]


async def _wanted(cluster: Cluster, plan: Plan) -> int:
    """Return how many pods of its kind must be ready.

    As many as were beside it and one more; fewer where the controller wants fewer by now, because
    somebody scaled in or released meanwhile.
    """
    before = int(str(plan.details["others_ready"])) + 1
    resource = CONTROLLERS.get(str(plan.details["owner_kind"]))
    if resource is None:
        return before
    name, uid = str(plan.details["owner_name"]), str(plan.details["owner_uid"])
    owner = Target("kubernetes", resource.kind, plan.target.scope, name, uid=uid)
    return min(before, wanted(resource, await cluster.find(owner, resource)))


def _selector(pod: Object) -> str:
    labels = pod["metadata"].get("labels") or {}
    return ",".join(f"{k}={v}" for k, v in sorted(labels.items()) if k not in _OWN_LABELS)


def _terminating(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _ready(pod: Object) -> bool:
    condition = rollout.find_condition(pod.get("status") or {}, "Ready")
    return bool(condition and condition.get("status") == "True")


def _waiting(pod: Object) -> list[str]:
    """Return what the pod's containers wait for: `CrashLoopBackOff`."""
    states = [
        (container.get("state") or {}).get("waiting") or {}
        for container in (pod.get("status") or {}).get("containerStatuses") or []
    ]
    return [str(state["reason"]) for state in states if state.get("reason")]
