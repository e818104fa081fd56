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
from remediator.actions.kubernetes.templates import RESTARTED_AT
from remediator.actions.kubernetes.workload import Workload, resource_of, to_second
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
        seen = workload
        if workload.pods:
            raw = await cluster.preview(resource, params.namespace, name, _patch(at))
            seen = Workload(resource, raw)
            if seen.restarted_at != at:
                raise Permanent(f"an admission policy takes the restart of {workload} back")
        return Plan(
            action=self.name,
            target=workload.target,
            changes=_changes(workload, seen),
            impact=_impact(workload),
            summary=f"restart {_pods(rollout.movable(workload))}"
            if workload.pods
            else "has no pods to restart",
            no_way_back="the old pods are gone after a restart, and the new ones run the same "
            "template: there is nothing to go back to",
            details={
                "restarted_at": at,
                "template_before": templates.release(workload.template),
                # What admission makes of it, which is what apply will find afterwards.
                "template_after": templates.release(seen.template),
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
        before = (plan.changes[0].before, plan.details["template_before"])

        async def read() -> Workload:
            return Workload(resource, await cluster.require(plan.target, resource))

        def done(workload: Workload) -> bool:
            if _is_after(plan, workload):
                return True
            now = templates.release(workload.template)
            if (workload.restarted_at, now) == before:
                return False
            if now in (plan.details["template_before"], plan.details["template_after"]):
                raise Stale(f"{workload} was restarted by somebody else at {workload.restarted_at}")
            raise Stale(f"the pod template of {workload} was changed since the plan")

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
        if not plan.empty and not _is_after(plan, workload):
            return ownership.interfered(
                f"somebody else changed the pod template of {workload} meanwhile", raw
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
    try:
        after_last = datetime.fromisoformat(last or "").astimezone(UTC) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return to_second(at)  # never restarted, or not at a time that anybody could read
    return to_second(max(at, after_last))


def _changes(workload: Workload, seen: Workload) -> tuple[Change, ...]:
    """Return the restart, and what admission adds to it on its own account."""
    if not workload.pods:
        return ()
    return (
        Change(PATH, workload.restarted_at, RESTARTED),
        *templates.differences(
            templates.apart_from_restart(workload.template),
            templates.apart_from_restart(seen.template),
        ),
    )


def _is_after(plan: Plan, workload: Workload) -> bool:
    """Whether the workload's template is as the plan leaves it."""
    now = (workload.restarted_at, templates.release(workload.template))
    return now == (plan.details["restarted_at"], plan.details["template_after"])


def _impact(workload: Workload) -> Impact:
    running = rollout.progress(workload).progress is not Progress.HEALTHY
    return Impact(
        pods=rollout.movable(workload),
        of_pods=workload.pods,
        down=rollout.down_at_once(workload),
        note=ownership.joined(
            rollout.strategy_note(workload),
            "a rollout is under way or not healthy" if running else "",
            ownership.note(workload.raw),
        ),
    )


def _pods(count: int) -> str:
    return f"{count} pod{'s' if count != 1 else ''}"
