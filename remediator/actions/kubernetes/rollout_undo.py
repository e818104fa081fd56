"""`kubernetes.rollout_undo`: go back to an earlier pod template.

As kubectl does it, with three differences, each for safety: the patch carries a precondition
(`resourceVersion`); neither a release that an earlier run left behind as bad is chosen, nor one
that somebody has rolled back from, nor the present one as it was before a restart; and of the
annotations only the change cause is brought back, where kubectl puts the revision's whole set in
the place of the Deployment's and so drops whatever was added since.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from remediator.actions.kubernetes import ownership, revisions, rollout, templates
from remediator.actions.kubernetes.cluster import Cluster, carry_out
from remediator.actions.kubernetes.parameters import WorkloadParams
from remediator.actions.kubernetes.revisions import CHANGE_CAUSE, Revision
from remediator.actions.kubernetes.workload import Workload, resource_of
from remediator.clients.kubernetes.resources import (
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    REPLICA_SETS,
)
from remediator.model.plans import Change, Fact, Impact, Plan, Progress, Result, Settled, WayBack
from remediator.plugin.action import Action, Permanent, Permission, Stale
from remediator.plugin.context import Context

BAD_TEMPLATE = "bad-template"
"""The kind of fact by which a rolled-back release is remembered, and that one is withdrawn."""


class RolloutUndoParams(WorkloadParams):
    """Parameters of `kubernetes.rollout_undo`."""

    to_revision: Annotated[int, Field(ge=1)] | None = None
    """A revision of `kubectl rollout history`; default: the last that is not known as bad."""


class RolloutUndo(Action[RolloutUndoParams]):
    """Roll back a release."""

    name = "kubernetes.rollout_undo"
    goes_back = True
    Params = RolloutUndoParams
    summary = "Roll a Deployment, StatefulSet or DaemonSet back to an earlier pod template."
    example = "{namespace: shop, deployment: api}"

    def permissions(self, params: RolloutUndoParams) -> Sequence[Permission]:
        """Read and patch the workload, and list what keeps its revisions."""
        resource, _ = params.workload
        keeper = REPLICA_SETS if resource is DEPLOYMENTS else CONTROLLER_REVISIONS
        return (
            params.permission(resource.rbac, "get", "patch"),
            params.permission(keeper.rbac, "list"),
        )

    async def plan(self, params: RolloutUndoParams, ctx: Context) -> Plan:
        """Choose the revision and plan the way to it; admission is asked by a dry run."""
        cluster = Cluster(ctx)
        resource, name = params.workload
        workload = Workload(resource, await cluster.get(resource, params.namespace, name))
        rollout.refuse_if_immovable(workload, "a roll back")
        known = await revisions.history(cluster, workload)
        now = revisions.current(workload, known)
        bad = revisions.bad_releases(await ctx.facts(BAD_TEMPLATE, workload.target.key))
        choice = revisions.choose(workload, known, now, bad, params.to_revision)
        to = choice.revision
        if to.release == now.release:
            return self._nothing(workload, to)
        seen = await cluster.preview(resource, params.namespace, name, _patch(workload, to))
        # What admission makes of it, which is what apply will find afterwards.
        after = templates.fingerprint(Workload(resource, seen).template)
        if after == now.fingerprint:
            raise Permanent(f"an admission policy takes the roll back of {workload} back")
        return self._plan(workload, known, now, choice, after)

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Roll back, unless that has been done under this plan."""
        if plan.empty:
            return Result(f"{plan.target} {plan.summary}", changed=False)
        cluster = Cluster(ctx)
        resource = resource_of(plan.target)
        to: Revision | None = None

        async def read() -> Workload:
            nonlocal to
            workload = Workload(resource, await cluster.require(plan.target, resource))
            if to is None and not done(workload):
                to = await _kept(cluster, workload, plan)
                # Between the last look and the write there shall be nothing.
                workload = Workload(resource, await cluster.require(plan.target, resource))
            return workload

        def done(workload: Workload) -> bool:
            now = templates.fingerprint(workload.template)
            if now not in (plan.details["before"], plan.details["after"]):
                raise Stale(
                    f"{workload} has a pod template that is neither the one of the plan nor the "
                    "one to go back to: somebody released since"
                )
            return now == plan.details["after"]

        async def write(workload: Workload) -> None:
            rollout.refuse_if_immovable(workload, "a roll back")
            if to is None:
                raise Stale(f"the pod template of {workload} was changed back and forth just now")
            patch = _patch(workload, to, workload.version)
            await cluster.patch(resource, workload.namespace, workload.name, patch)

        changed = await carry_out(read, done, write)
        learned = str(plan.details["learned"])
        verb = "is going back" if changed else "went back under this plan already"
        return Result(
            f"{plan.target} {verb}: {plan.summary}",
            changed=changed,
            output={"template": plan.changes[0].after},
            # Also when it had been done before: the first answer may have been lost in a crash.
            facts=(Fact(BAD_TEMPLATE, plan.target.key, learned),),
        )

    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """Look whether all pods run the template that was gone back to."""
        resource = resource_of(plan.target)
        raw = await Cluster(ctx).find(plan.target, resource)
        if raw is None:
            return Settled(Progress.FAILED, f"{plan.target} is gone")
        workload = Workload(resource, raw)
        if not plan.empty and templates.fingerprint(workload.template) != plan.details["after"]:
            return ownership.interfered(
                f"the pod template of {workload} was changed by somebody else meanwhile", raw
            )
        return rollout.progress(
            workload, passed_before=str(plan.details.get("deadline_passed") or "")
        )

    def _plan(
        self,
        workload: Workload,
        known: Sequence[Revision],
        now: Revision,
        choice: revisions.Choice,
        after: str,
    ) -> Plan:
        to = choice.revision
        touched = revisions.touched(workload, known, to)
        unproven = revisions.unproven(workload, now)
        return Plan(
            action=self.name,
            target=workload.target,
            changes=(
                Change("spec.template", str(now), str(to)),
                *templates.differences(now.template, to.template),
            ),
            impact=Impact(
                pods=touched,
                of_pods=workload.pods,
                down=min(touched, rollout.down_at_once(workload)),
                note=ownership.joined(
                    rollout.strategy_note(workload), choice.why, ownership.note(workload.raw)
                ),
            ),
            summary=f"{now} → {to}",
            way_back=None
            if unproven
            else WayBack(
                f"back to {now}",
                {
                    "before": after,
                    "after": now.fingerprint,
                    "revision": now.name,
                    "template": now.fingerprint,
                    # It did not help to leave it, so it was not to blame.
                    "learned": revisions.withdrawn(now.release),
                    "deadline_passed": rollout.ANY_DEADLINE,
                },
            ),
            no_way_back=f"{unproven}, so nothing would be won by its return" if unproven else "",
            details={
                "before": now.fingerprint,
                "after": after,
                "revision": to.name,
                "template": to.fingerprint,
                "learned": now.release,
                "deadline_passed": rollout.deadline_passed(workload),
            },
        )

    def _nothing(self, workload: Workload, to: Revision) -> Plan:
        return Plan(
            action=self.name,
            target=workload.target,
            changes=(),
            impact=Impact(of_pods=workload.pods),
            summary=f"has the template of revision {to.number} already",
            no_way_back="nothing is changed",
        )


async def _kept(cluster: Cluster, workload: Workload, plan: Plan) -> Revision:
    """Read the planned revision again."""
    wanted = plan.details["revision"]
    for revision in await revisions.history(cluster, workload):
        if revision.name == wanted:
            if revision.fingerprint != plan.details["template"]:
                raise Stale(f"the template kept in {wanted} is not the one that was planned")
            return revision
    raise Permanent(f"the revision {wanted} of {workload} was pruned since the plan")


def _patch(workload: Workload, to: Revision, version: str | None = None) -> list[dict[str, Any]]:
    """Return a JSON patch: it replaces the template, where a merge would keep what was added."""
    patch: list[dict[str, Any]] = [
        {"op": "replace", "path": "/spec/template", "value": to.template}
    ]
    if version is not None:
        patch.append({"op": "replace", "path": "/metadata/resourceVersion", "value": version})
    annotations = workload.metadata.get("annotations") or {}
    if workload.resource is DEPLOYMENTS and annotations.get(CHANGE_CAUSE) != to.change_cause:
        path = "/metadata/annotations/" + CHANGE_CAUSE.replace("/", "~1")
        if to.change_cause is None:
            patch.append({"op": "remove", "path": path})
        else:
            patch.append({"op": "add", "path": path, "value": to.change_cause})
    return patch
