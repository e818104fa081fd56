"""Has a rollout settled, and what does the workload's strategy do to its pods? Pure.

Done means: the controller has seen the newest generation, as many pods are updated and available
as are desired, and no old ones are left; a passed progress deadline is failure.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from remediator.actions.kubernetes.workload import Workload
from remediator.clients.kubernetes.resources import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS
from remediator.model.plans import Progress, Settled
from remediator.plugin.action import Permanent

ANY_DEADLINE = "any"
"""For `progress`: no passed deadline counts, since it may be that of the change before."""


def progress(workload: Workload, *, passed_before: str = "") -> Settled:
    """Look at a workload's status.

    Args:
        workload: as read just now.
        passed_before: when its progress deadline had been reported as passed before our change,
            as `deadline_passed` returned it. The controller leaves that report standing until a
            pod makes progress, so it says nothing about us.
    """
    if not workload.observed:
        return _going(f"{workload}: its controller has not seen the change yet")
    if workload.resource is DAEMON_SETS:
        return _daemon_set(workload)
    if workload.resource is STATEFUL_SETS:
        return _stateful_set(workload)
    passed = deadline_passed(workload)
    if passed and passed_before not in (passed, ANY_DEADLINE):
        return Settled(
            Progress.FAILED,
            f"{workload} did not progress within {workload.spec.get('progressDeadlineSeconds')} s"
            f"{_trouble(workload)}",
        )
    return _deployment(workload)


def scaled(workload: Workload, *, passed_before: str = "") -> Settled:
    """Look whether a change of the count has settled.

    A paused Deployment is scaled all the same, its pods keep whatever templates they have, and
    between two of them it may keep what its rollout may add (`maxSurge`).
    """
    if not workload.paused or not workload.observed:
        return progress(workload, passed_before=passed_before)
    desired, status = workload.pods, workload.status
    total = int(status.get("replicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    surge = (_strategy(workload).get("rollingUpdate") or {}).get("maxSurge")
    extra = 0 if surge is None else _part(surge, desired, math.ceil)
    if not desired <= total <= desired + extra:
        return _going(f"{workload}: {total} pods, {desired} wanted{_trouble(workload)}")
    if available < desired:
        return _going(f"{workload}: {available} of {desired} pods available{_trouble(workload)}")
    return Settled(
        Progress.HEALTHY, f"{workload}: {available} of {desired} pods available, rollout paused"
    )


def deadline_passed(workload: Workload) -> str:
    """Return since when a Deployment's progress deadline is reported as passed; else empty."""
    condition = find_condition(workload.status, "Progressing")
    if condition and condition.get("reason") == "ProgressDeadlineExceeded":
        return str(condition.get("lastUpdateTime") or condition.get("lastTransitionTime") or "?")
    return ""


def find_condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Return the condition of this type, in whatever case it is written."""
    for condition in status.get("conditions") or []:
        if str(condition.get("type", "")).lower() == kind.lower():
            found: Mapping[str, Any] = condition
            return found
    return None


def refuse_if_immovable(workload: Workload, what: str) -> None:
    """Check that a new template would reach the pods at all.

    Raises:
        Permanent: the workload is paused, or its strategy would leave every pod as it is.
    """
    if workload.paused:
        raise Permanent(
            f"{workload} is paused, so {what} would wait; resume it first: "
            f"kubectl -n {workload.namespace} rollout resume deployment {workload.name}"
        )
    if _strategy(workload).get("type") == "OnDelete":
        raise Permanent(
            f"{workload} has the update strategy OnDelete, so {what} would move no pod; delete "
            "its pods (kubernetes.delete_pod) or change the strategy"
        )
    if workload.pods and movable(workload) == 0:
        raise Permanent(
            f"{workload} has an update partition of {partition(workload)} for {workload.pods} "
            f"pods, so {what} would move no pod; lower the partition first"
        )


def partition(workload: Workload) -> int:
    """Return the ordinal below which a StatefulSet's pods keep their old template."""
    if workload.resource is not STATEFUL_SETS:
        return 0
    return int((_strategy(workload).get("rollingUpdate") or {}).get("partition") or 0)


def movable(workload: Workload) -> int:
    """Return how many pods a new template reaches."""
    return max(0, workload.pods - partition(workload))


def down_at_once(workload: Workload) -> int:
    """Return how many pods a rollout takes out of service at the same time, as controllers do.

    Deployments round a percentage of pods down, and may make new pods first (`maxSurge`), so that
    small ones lose none; the others have one pod down at least, unless a DaemonSet surges.
    """
    strategy, pods = _strategy(workload), movable(workload)
    if strategy.get("type") == "Recreate":
        return pods
    rolling = strategy.get("rollingUpdate") or {}
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if workload.resource is DEPLOYMENTS:
        down = _part("25%" if unavailable is None else unavailable, workload.pods, math.floor)
        extra = _part("25%" if surge is None else surge, workload.pods, math.ceil)
        return min(pods, down if down or extra else 1)
    if workload.resource is DAEMON_SETS and _part(surge or 0, pods, math.ceil):
        return 0
    rounded = math.ceil if workload.resource is DAEMON_SETS else math.floor
    return min(pods, max(1, _part(1 if unavailable is None else unavailable, pods, rounded)))


def _part(amount: object, of: int, rounded: Callable[[float], int]) -> int:
    """Read `3` or `25%`."""
    text = str(amount)
    return rounded(of * int(text[:-1]) / 100) if text.endswith("%") else int(text)


def strategy_note(workload: Workload) -> str:
    """Say how its strategy replaces pods, for people."""
    strategy = _strategy(workload)
    if strategy.get("type") == "Recreate":
        return "all pods stop before new ones start"
    rolling = strategy.get("rollingUpdate") or {}
    if workload.resource is STATEFUL_SETS and rolling.get("maxUnavailable") is None:
        text = "one pod at a time"
    else:
        text = f"at most {rolling.get('maxUnavailable', 1)} unavailable at a time"
    if partition(workload):
        text += f", pods below ordinal {partition(workload)} stay as they are"
    return text


def _strategy(workload: Workload) -> Mapping[str, Any]:
    key = "strategy" if workload.resource is DEPLOYMENTS else "updateStrategy"
    return workload.spec.get(key) or {}


def _deployment(workload: Workload) -> Settled:
    desired = workload.pods
    status = workload.status
    updated = int(status.get("updatedReplicas") or 0)
    total = int(status.get("replicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    trouble = _trouble(workload)
    if updated != desired:
        return _going(f"{workload}: {updated} of {desired} pods updated{trouble}")
    if total > updated:
        return _going(f"{workload}: {total - updated} old pods still there{trouble}")
    if available != desired:
        return _going(f"{workload}: {available} of {desired} pods available{trouble}")
    return Settled(Progress.HEALTHY, f"{workload}: {available} of {desired} pods available")


def _stateful_set(workload: Workload) -> Settled:
    desired = workload.pods
    status = workload.status
    total = int(status.get("replicas") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    # With OnDelete the pods move when somebody deletes them; nobody waits for that.
    expected = 0 if _strategy(workload).get("type") == "OnDelete" else movable(workload)
    if total != desired:
        return _going(f"{workload}: {total} pods, {desired} wanted")
    if updated < expected:
        hint = ""
        if workload.spec.get("podManagementPolicy") != "Parallel" and available < desired:
            # https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
            hint = "; an ordered StatefulSet waits for a broken pod until it is deleted"
        return _going(f"{workload}: {updated} of {expected} pods updated{hint}")
    if available != desired:
        return _going(f"{workload}: {available} of {desired} pods available")
    return Settled(Progress.HEALTHY, f"{workload}: {available} of {desired} pods available")


def _daemon_set(workload: Workload) -> Settled:
    status = workload.status
    desired = workload.pods
    updated = int(status.get("updatedNumberScheduled") or 0)
    available = int(status.get("numberAvailable") or 0)
    on_delete = _strategy(workload).get("type") == "OnDelete"
    if updated != desired and not on_delete:
        return _going(f"{workload}: {updated} of {desired} pods updated")
    if available != desired:
        return _going(f"{workload}: {available} of {desired} pods available")
    return Settled(Progress.HEALTHY, f"{workload}: {available} of {desired} pods available")


def _trouble(workload: Workload) -> str:
    """Return what the controller says when it can't create pods: quotas, admission."""
    condition = find_condition(workload.status, "ReplicaFailure")
    if condition and condition.get("status") == "True":
        return f" ({condition.get('message') or condition.get('reason')})"
    return ""


def _going(message: str) -> Settled:
    return Settled(Progress.PROGRESSING, message)
