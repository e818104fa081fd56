"""`kubernetes.rollout_restart`: replace all pods of a workload by new ones of the same template.

As kubectl does it: the pod template gets a new value of the annotation
`kubectl.kubernetes.io/restartedAt`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.actions.kubernetes import ownership, rollout, templates
from remediator.actions.kubernetes.cluster import Cluster, carry_out
from remediator.actions.kubernetes.parameters import WorkloadParams
from remediator.actions.kubernetes.workload import RESTARTED_AT, Workload, resource_of, to_second
from remediator.model.plans import Change, Impact, Plan, Progress, Result, Settled
from remediator.plugin.action import Action, Permanent, Permission, Stale
from remediator.plugin.context import Context

PATH = f"spec.template.metadata.annotations[{RESTARTED_AT}]"
# What the digest says in the place of the second, which drifts with every plan.
RESTARTED = "the time of the restart"


class RolloutRestart(Action[WorkloadParams]):
    """Restart by a rollout, under the workload's own strategy."""

    name = "kubernetes.rollout_restart"
    Params = WorkloadParams
    summary = "Restart the pods of a Deployment, StatefulSet or DaemonSet by a rollout."
    example = "{namespace: shop, deployment: api}"

    def permissions(self, params: WorkloadParams) -> Sequence[Permission]:
        """Read and patch the workload."""
        resource, _ = params.workload
        return (params.permission(resource.rbac, "get", "patch"),)

    async def plan(self, params: WorkloadParams, ctx: Context) -> Plan:
        """Plan the restart; admission is asked by a dry run."""
        cluster = Cluster(ctx)
        resource, name = params.workload
        workload = Workload(resource, await cluster.get(resource, params.namespace, name))
        rollout.refuse_if_immovable(workload, "a restart")
        at = _second_after(ctx.now(), workload.restarted_at)
        if workload.pods:
            seen = await cluster.preview(resource, params.namespace, name, _patch(at))
            if Workload(resource, seen).restarted_at != at:
                raise Permanent(f"an admission policy takes the restart of {workload} back")
        return Plan(
            action=self.name,
            target=workload.target,
            changes=(Change(PATH, workload.restarted_at, RESTARTED),) if workload.pods else (),
            impact=_impact(workload),
            summary=f"restart {_pods(rollout.movable(workload))}"
            if workload.pods
            else "has no pods to restart",
            no_way_back="the old pods are gone after a restart, and the new ones run the same "
            "template: there is nothing to go back to",
            details={
                "restarted_at": at,
                "template": _apart_from_restart(workload),
                "deadline_passed": rollout.deadline_passed(workload),
            },
        )

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Restart, unless that has been done under this plan."""
        if plan.empty:
            return Result(f"{plan.target} has no pods to restart", changed=False)
        cluster = Cluster(ctx)
        resource = resource_of(plan.target)
        at = str(plan.details["restarted_at"])

        async def read() -> Workload:
            return Workload(resource, await cluster.require(plan.target, resource))

        def done(workload: Workload) -> bool:
            if _apart_from_restart(workload) != plan.details["template"]:
                raise Stale(f"the pod template of {workload} was changed since the plan")
            if workload.restarted_at == at:
                return True
            if workload.restarted_at != plan.changes[0].before:
                raise Stale(f"{workload} was restarted by somebody else at {workload.restarted_at}")
            return False

        async def write(workload: Workload) -> None:
            rollout.refuse_if_immovable(workload, "a restart")
            patch = _patch(at, workload.version)
            await cluster.patch(resource, workload.namespace, workload.name, patch)

        changed = await carry_out(read, done, write)
        verb = "is restarting" if changed else "was restarted by this plan already"
        return Result(f"{plan.target} {verb}", changed=changed, output={"restarted_at": at})

    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """Look whether all pods are new and available."""
        resource = resource_of(plan.target)
        raw = await Cluster(ctx).find(plan.target, resource)
        if raw is None:
            return Settled(Progress.FAILED, f"{plan.target} is gone")
        workload = Workload(resource, raw)
        overtaken = (
            workload.restarted_at != plan.details["restarted_at"]
            or _apart_from_restart(workload) != plan.details["template"]
        )
        if overtaken and not plan.empty:
            return Settled(
                Progress.FAILED, f"somebody else changed the pod template of {workload} meanwhile"
            )
        return rollout.progress(
            workload, passed_before=str(plan.details.get("deadline_passed") or "")
        )


def _patch(at: str, version: str | None = None) -> dict[str, Any]:
    template = {"metadata": {"annotations": {RESTARTED_AT: at}}}
    patch: dict[str, Any] = {"spec": {"template": template}}
    if version is not None:
        patch["metadata"] = {"resourceVersion": version}
    return patch


def _second_after(now: datetime, last: str | None) -> str:
    """Return this second; or the one after the last restart, lest the patch be empty."""
    at = now.astimezone(UTC)
    if last is not None and to_second(at) == last:
        at += timedelta(seconds=1)
    return to_second(at)


def _apart_from_restart(workload: Workload) -> str:
    """Return what the template is apart from the annotation: a new release changes it."""
    template = templates.bare(workload.template)
    metadata = dict(template["metadata"])
    annotations = {k: v for k, v in metadata.pop("annotations", {}).items() if k != RESTARTED_AT}
    return templates.fingerprint({**template, "metadata": {**metadata, "annotations": annotations}})


def _impact(workload: Workload) -> Impact:
    running = rollout.progress(workload).progress is not Progress.HEALTHY
    return Impact(
        pods=rollout.movable(workload),
        of_pods=workload.pods,
        replicas=workload.pods,
        note=ownership.joined(
            rollout.strategy_note(workload),
            "a rollout is under way or not healthy" if running else "",
            ownership.note(workload.raw),
        ),
    )


def _pods(count: int) -> str:
    return f"{count} pod{'s' if count != 1 else ''}"
