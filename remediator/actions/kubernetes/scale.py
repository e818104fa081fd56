"""`kubernetes.scale`: change how many replicas a Deployment or StatefulSet has.

Through the `scale` subresource, as kubectl does it. Where an autoscaler owns the count, the least
that it keeps is raised instead, for a time (`hold`); the target of the plan is still the workload.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from remediator.actions.kubernetes import amounts, autoscaler, ownership, rollout, targets
from remediator.actions.kubernetes.autoscaler import Autoscaler
from remediator.actions.kubernetes.cluster import Cluster, carry_out
from remediator.actions.kubernetes.parameters import ScalableParams
from remediator.actions.kubernetes.workload import Workload, resource_of
from remediator.clients.kubernetes.resources import AUTOSCALERS
from remediator.model.plans import Change, Impact, Plan, Progress, Result, Settled, WayBack
from remediator.model.quantities import Duration, format_duration
from remediator.plugin.action import Action, Permanent, Permission, Stale
from remediator.plugin.context import Context

NAME = "kubernetes.scale"
PATH = "spec.replicas"
_SCALE = "scale"
# The API's own limit is far higher; more than this is a typing error, whatever the policy says.
_MOST_REPLICAS = 10_000
Count = Annotated[int, Field(ge=0, le=_MOST_REPLICAS)]


class ScaleParams(ScalableParams):
    """Parameters of `kubernetes.scale`."""

    to: Count | None = None
    """How many replicas; either this or `by`."""
    by: amounts.Step | None = None
    """How many more or fewer: +2, -1, +50% (a percentage moves by one at least)."""
    min: Count | None = None
    """The least that this step may lead to."""
    max: Count | None = None
    """The most that this step may lead to."""
    hpa: Literal["raise_min", "refuse"] = "raise_min"
    """Where an autoscaler owns the count: raise its minReplicas for a time, or refuse."""
    hold: Duration = timedelta(hours=1)
    """How long an autoscaler's raised minReplicas lasts."""

    @model_validator(mode="after")
    def _consistent(self) -> "ScaleParams":
        if (self.to is None) == (self.by is None):
            raise ValueError("write either to or by")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        if not self.hold:
            raise ValueError("hold must be longer than nothing")
        return self


class Scale(Action[ScaleParams]):
    """Scale out or in."""

    name = NAME
    Params = ScaleParams
    summary = "Scale a Deployment or StatefulSet; raise its autoscaler's minimum if it has one."
    example = "{namespace: shop, deployment: api, by: +50%, max: 20}"

    def permissions(self, params: ScaleParams) -> Sequence[Permission]:
        """Read the workload, patch its scale, look for autoscalers and patch them."""
        resource, _ = params.workload
        verbs = ("list", "patch") if params.hpa == "raise_min" else ("list",)
        return (
            params.permission(resource.rbac, "get"),
            params.permission(f"{resource.rbac}/{_SCALE}", "patch"),
            params.permission(AUTOSCALERS.rbac, *verbs),
        )

    async def plan(self, params: ScaleParams, ctx: Context) -> Plan:
        """Work out the count; admission is asked by a dry run."""
        cluster = Cluster(ctx)
        resource, name = params.workload
        workload = Workload(resource, await cluster.get(resource, params.namespace, name))
        if params.by is not None and workload.pods == 0:
            raise Permanent(
                f"{workload} is scaled to 0, which somebody meant; to start it, write to: instead "
                "of by:"
            )
        wanted = amounts.wanted(
            workload.pods, to=params.to, by=params.by, least=params.min, most=params.max
        )
        owner = await autoscaler.owning(cluster, workload.target)
        if owner is not None:
            return await _plan_autoscaled(cluster, workload, owner, wanted, params)
        if wanted != workload.pods:
            seen = await cluster.preview(
                resource, params.namespace, name, _replicas(wanted), sub=_SCALE
            )
            got = int(seen["spec"].get("replicas") or 0)
            if got != wanted:
                raise Permanent(f"an admission policy makes {got} replicas of {wanted}: {workload}")
        return _plan(workload, wanted)

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Scale, unless that has been done under this plan."""
        if plan.empty:
            return Result(f"{plan.target} {plan.summary}", changed=False)
        cluster = Cluster(ctx)
        if plan.details.get("hpa"):
            changed = await _apply_autoscaled(cluster, plan)
        else:
            changed = await _apply_direct(cluster, plan)
        verb = "is scaling" if changed else "was scaled by this plan already"
        return Result(
            f"{plan.target} {verb}: {plan.summary}",
            changed=changed,
            output={"before": plan.changes[0].before, "after": plan.changes[0].after},
        )

    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """Look whether as many pods are available as were asked for, and still are."""
        cluster = Cluster(ctx)
        resource = resource_of(plan.target)
        raw = await cluster.find(plan.target, resource)
        if raw is None and _goes_back(plan):
            return Settled(Progress.HEALTHY, f"{plan.target} is gone, and needs no replicas")
        if raw is None:
            return Settled(Progress.FAILED, f"{plan.target} is gone")
        workload = Workload(resource, raw)
        state = rollout.scaled(
            workload, passed_before=str(plan.details.get("deadline_passed") or "")
        )
        if plan.empty:
            return state
        change = plan.changes[0]
        if not plan.details.get("hpa"):
            if workload.pods != change.after:
                return ownership.interfered(
                    f"somebody else scaled {workload} to {workload.pods} while it went to "
                    f"{change.after}",
                    raw,
                )
            return state
        owner = await autoscaler.owning(cluster, plan.target)
        ours = owner is not None and owner.uid == plan.details["hpa_uid"]
        if _goes_back(plan) and not ours:
            return state  # nothing is left to take back
        if owner is None or not ours or not _in_force(plan, owner):
            now = f"minReplicas {owner.least} in HPA {owner.name}" if owner else "no autoscaler"
            return ownership.interfered(
                f"somebody else changed the autoscaling of {workload}: {now}, {change.after} was "
                "set",
                owner.raw if owner and ownership.note(owner.raw) else raw,
            )
        if workload.pods < owner.least:
            return Settled(
                Progress.PROGRESSING,
                f"{workload}: HPA {owner.name} has not gone to {owner.least} replicas yet",
            )
        return state


def _plan(workload: Workload, wanted: int) -> Plan:
    now = workload.pods
    if wanted == now:
        return _nothing(workload, f"has {_count(now)} already")
    passed = rollout.deadline_passed(workload)
    return Plan(
        action=NAME,
        target=workload.target,
        changes=(Change(PATH, now, wanted),),
        impact=_impact(workload, wanted, ownership.note(workload.raw)),
        summary=f"replicas {now} → {wanted}",
        way_back=WayBack(f"replicas {wanted} → {now}", {"deadline_passed": rollout.ANY_DEADLINE}),
        details={"deadline_passed": passed},
    )


async def _plan_autoscaled(
    cluster: Cluster,
    workload: Workload,
    owner: Autoscaler,
    wanted: int,
    params: ScaleParams,
) -> Plan:
    now = workload.pods
    if params.hpa == "refuse":
        raise Permanent(f"HPA {owner.name} owns the replicas of {workload}, and hpa is refuse")
    if owner.governor:
        raise Permanent(
            f"HPA {owner.name} of {workload} is written by {owner.governor}, which would put "
            "minReplicas back: change it there"
        )
    if now == 0:
        raise Permanent(
            f"{workload} is scaled to 0, which switches HPA {owner.name} off: scale it by hand"
        )
    if wanted < now:
        raise Permanent(
            f"HPA {owner.name} owns the replicas of {workload} and would take a scale in from "
            f"{now} to {wanted} back: lower its load or its maxReplicas"
        )
    if wanted <= max(now, owner.least):
        return _nothing(workload, f"has {_count(now)}, HPA {owner.name} keeps {owner.least}")
    if now >= owner.most:
        raise Permanent(
            f"HPA {owner.name} of {workload} is at its maxReplicas {owner.most}: raise that first"
        )
    capped = min(wanted, owner.most)
    raise_it = autoscaler.patch(owner.base, (*owner.raises, capped))
    seen = await cluster.preview(AUTOSCALERS, workload.namespace, owner.name, raise_it)
    if Autoscaler(seen).least != capped:
        raise Permanent(f"an admission policy does not let HPA {owner.name} keep {capped}")
    hold = format_duration(params.hold)
    identity = {"hpa": owner.name, "hpa_uid": owner.uid}
    return Plan(
        action=NAME,
        target=workload.target,
        changes=(Change(owner.path, owner.least, capped),),
        impact=_impact(
            workload,
            capped,
            ownership.joined(
                f"HPA {owner.name} allows {owner.most} at most" if capped < wanted else "",
                ownership.note(owner.raw) or ownership.note(workload.raw),
            ),
        ),
        summary=f"replicas {now} → {capped} (HPA {owner.name}: minReplicas {owner.least} → "
        f"{capped} for {hold})",
        way_back=WayBack(
            f"HPA {owner.name}: minReplicas {capped} → {owner.least}; it then decides the replicas",
            {
                **identity,
                "taken_back": capped,
                "base": owner.base,
                "deadline_passed": rollout.ANY_DEADLINE,
            },
        ),
        details={**identity, "deadline_passed": rollout.deadline_passed(workload)},
        lasts=params.hold,
    )


def _nothing(workload: Workload, why: str) -> Plan:
    return Plan(
        action=NAME,
        target=workload.target,
        changes=(),
        impact=Impact(of_pods=workload.pods),
        summary=why,
        no_way_back="nothing is changed",
    )


def _impact(workload: Workload, wanted: int, note: str) -> Impact:
    now = workload.pods
    return Impact(
        pods=abs(wanted - now),
        of_pods=now,
        replicas=wanted,
        note=ownership.joined(note, targets.cost_note(workload.raw)),
        down=max(0, now - wanted),  # what is added takes nothing down
        cost_per_hour=targets.added_cost(workload.raw, wanted - now),
    )


async def _apply_direct(cluster: Cluster, plan: Plan) -> bool:
    resource = resource_of(plan.target)
    change = plan.changes[0]

    async def read() -> Workload:
        owner = await autoscaler.owning(cluster, plan.target)
        if owner is not None:
            raise Stale(f"HPA {owner.name} owns the replicas of {plan.target} since the plan")
        return Workload(resource, await cluster.require(plan.target, resource))

    def done(workload: Workload) -> bool:
        if workload.pods not in (change.before, change.after):
            raise Stale(
                f"{workload} has {_count(workload.pods)}, neither {change.before} as planned nor "
                f"{change.after}: somebody else scaled it"
            )
        return workload.pods == change.after

    async def write(workload: Workload) -> None:
        patch = _replicas(change.after, workload.version)
        await cluster.patch(resource, workload.namespace, workload.name, patch, sub=_SCALE)

    return await carry_out(read, done, write)


async def _apply_autoscaled(cluster: Cluster, plan: Plan) -> bool:
    """Change the autoscaler, also of a workload that was made again: what was raised is here."""

    async def read() -> Autoscaler | None:
        owner = await autoscaler.owning(cluster, plan.target)
        if owner is not None and owner.uid == plan.details["hpa_uid"]:
            return owner
        if _goes_back(plan):
            return None
        raise Stale(
            f"HPA {plan.details['hpa']} of {plan.target} is gone, or was made again, since the plan"
        )

    def done(owner: Autoscaler | None) -> bool:
        if owner is None or _in_force(plan, owner):
            return True  # an autoscaler that is gone took its raise with it
        change = plan.changes[0]
        if owner.least == change.before or _raise_of(plan) in owner.raises:
            return False
        raise Stale(
            f"HPA {owner.name} has minReplicas {owner.least}, neither {change.before} as planned "
            f"nor {change.after}: somebody else changed it"
        )

    async def write(owner: Autoscaler | None) -> None:
        if owner is None:
            return
        level = _raise_of(plan)
        if not _goes_back(plan):
            patch = autoscaler.patch(owner.base, (*owner.raises, level), owner.version)
        elif level in owner.raises:
            left = [other for other in owner.raises if other != level]
            patch = autoscaler.patch(owner.base, left, owner.version)
        else:  # somebody removed the note
            patch = autoscaler.patch(_least_before(plan), (), owner.version)
        await cluster.patch(AUTOSCALERS, plan.target.scope, owner.name, patch)

    return await carry_out(read, done, write)


def _in_force(plan: Plan, owner: Autoscaler) -> bool:
    """Whether the autoscaler is as the plan leaves it; other raises of ours may have come or gone.

    A raise is taken back when it is not noted, and minReplicas is what it was before, or is
    explained by raises that still hold.
    """
    level = _raise_of(plan)
    if not _goes_back(plan):
        return owner.least == level or level in owner.raises
    if level in owner.raises or owner.least == level:
        return False
    return bool(owner.raises) or owner.least in (_least_before(plan), plan.details["base"])


def _goes_back(plan: Plan) -> bool:
    return "taken_back" in plan.details


def _raise_of(plan: Plan) -> int:
    """Return what minReplicas a plan raises to, or takes back."""
    return int(str(plan.details.get("taken_back", plan.changes[0].after)))


def _least_before(plan: Plan) -> int:
    """Return what minReplicas was before the raise that this plan takes back."""
    return int(str(plan.changes[0].after))


def _replicas(count: object, version: str | None = None) -> dict[str, Any]:
    patch: dict[str, Any] = {"spec": {"replicas": count}}
    if version is not None:
        patch["metadata"] = {"resourceVersion": version}
    return patch


def _count(replicas: int) -> str:
    return f"{replicas} replica{'s' if replicas != 1 else ''}"
