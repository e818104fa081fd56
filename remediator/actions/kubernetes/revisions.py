"""What a workload can be rolled back to, and which of it to choose.

A Deployment keeps its templates in ReplicaSets, a StatefulSet or DaemonSet in ControllerRevisions.
«Previous» is the second-highest revision, which is not always the last good one: see `choose`.
Revisions that differ by a restart alone are one *release*.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from remediator.actions.kubernetes import ownership, rollout, templates
from remediator.actions.kubernetes.cluster import Cluster
from remediator.actions.kubernetes.workload import Workload
from remediator.clients.kubernetes.resources import (
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
)
from remediator.model.plans import Progress
from remediator.plugin.action import Permanent, Temporary

CHANGE_CAUSE = "kubernetes.io/change-cause"
"""What `kubectl rollout history` shows beside a revision; a rollback brings it back."""

_REVISION = "deployment.kubernetes.io/revision"
# The numbers that a ReplicaSet had before the one that it has: `1,3`.
_FORMER_REVISIONS = "deployment.kubernetes.io/revision-history"
_WITHDRAWN = " withdrawn"
# ControllerRevisions carry their template's hash in one of these, by the kind of their owner.
_HASH_LABELS = ("controller.kubernetes.io/hash", "controller-revision-hash")
# A controller records a new template within moments.
_UNTIL_RECORDED = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Revision:
    """One template that the workload has had, or has."""

    name: str
    """Of the ReplicaSet or ControllerRevision that keeps it."""
    number: int
    hash: str
    template: Mapping[str, Any]
    fingerprint: str
    release: str
    """The same for all revisions that differ by a restart alone."""
    first: tuple[str, int] = ("", 0)
    """When it was released for the first time: a time, and a number within the same second."""
    replicas: int = 0
    """Pods that the controller wants of it now (Deployments only)."""
    available: int = 0
    """Pods of it that serve now (Deployments only)."""
    change_cause: str | None = None

    def __str__(self) -> str:
        return f"revision {self.number} (template {self.hash})"


@dataclass(frozen=True, slots=True)
class Choice:
    """The revision to go back to, and why it is this one where that needs to be said."""

    revision: Revision
    why: str = ""


def bad_releases(facts: Sequence[str]) -> frozenset[str]:
    """Read which releases are known as bad out of the facts, the newest of which come first."""
    newest: dict[str, bool] = {}
    for fact in facts:
        release = fact.removesuffix(_WITHDRAWN)
        newest.setdefault(release, release == fact)
    return frozenset(release for release, bad in newest.items() if bad)


def withdrawn(release: str) -> str:
    """Return the fact by which a release is no longer known as bad: facts are never deleted."""
    return release + _WITHDRAWN


async def history(cluster: Cluster, workload: Workload) -> list[Revision]:
    """Return all revisions that still exist, newest first."""
    keeper = REPLICA_SETS if workload.resource is DEPLOYMENTS else CONTROLLER_REVISIONS
    read = _of_replica_set if workload.resource is DEPLOYMENTS else _of_controller_revision
    kept = await cluster.items(keeper, workload.namespace, selector=workload.selector)
    uid = workload.metadata["uid"]
    found = [read(raw) for raw in kept if (ownership.controller(raw) or {}).get("uid") == uid]
    return sorted(found, key=lambda revision: revision.number, reverse=True)


def current(workload: Workload, revisions: Sequence[Revision]) -> Revision:
    """Return the revision of the template that the workload has now.

    Raises:
        Temporary: its controller has not recorded it yet.
    """
    now = templates.fingerprint(workload.template)
    for revision in revisions:
        if revision.fingerprint == now:
            return revision
    raise Temporary(
        f"the controller of {workload} has not recorded its newest template yet", _UNTIL_RECORDED
    )


def choose(
    workload: Workload,
    revisions: Sequence[Revision],
    now: Revision,
    bad: Collection[str],
    to_revision: int | None,
) -> Choice:
    """Choose what to go back to; the release of `now` itself means that there is nothing to do.

    Without a number: the highest revision of another release that is neither known as bad nor was
    left behind. One that was released for the first time after `now` was left behind: somebody has
    rolled back from it already, and to choose it would be to roll forward. If the newest rollout is
    stuck and only older pods serve, then among those that still serve: after two bad releases in a
    row the second-highest revision is bad as well, though nobody has said so yet.

    Raises:
        Permanent: there is none; the number is pruned; the number is known as bad.
    """
    if to_revision is not None:
        return Choice(_numbered(workload, revisions, now, bad, to_revision))
    others = [revision for revision in revisions if revision.release != now.release]
    if not others:
        raise Permanent(f"{workload} has no earlier revision to go back to{_limit(workload)}")
    well = [revision for revision in others if revision.release not in bad]
    if not well:
        raise Permanent(
            f"every earlier revision of {workload} is known as bad ({_numbers(others)}): "
            "release a new one"
        )
    first = min(r.first for r in revisions if r.release == now.release)
    good = [revision for revision in well if revision.first <= first]
    if not good:
        raise Permanent(
            f"{workload} has no earlier revision to go back to: revision {_numbers(well)} was "
            f"released after {now} and left behind; to go forward to it, write to_revision"
        )
    behind = [r for r in well if r.first > first and r.number > good[0].number]
    skipped = [r for r in others if r.release in bad and r.number > good[0].number]
    why = ownership.joined(
        f"revision {_numbers(skipped)} is known as bad" if skipped else "",
        f"revision {_numbers(behind)} is newer and was left behind" if behind else "",
    )
    if now.available == 0 and good[0].available == 0:
        serving = [revision for revision in good if revision.available]
        if serving:
            return Choice(
                serving[0],
                f"revision {serving[0].number} is the newest whose pods serve, "
                f"revision {good[0].number} has none",
            )
    return Choice(good[0], why)


def unproven(workload: Workload, now: Revision) -> str:
    """Say why nobody should go back onto `now`; empty when it has served well enough for that."""
    if workload.resource is not DEPLOYMENTS:
        # Its status does not tell the pods of one revision from those of another.
        state = rollout.progress(workload)
        return "" if state.progress is Progress.HEALTHY else f"{now} was not well: {state.message}"
    if rollout.deadline_passed(workload):
        return f"the rollout of {now} had passed its deadline"
    if workload.pods and not now.available:
        return f"no pod of {now} was available"
    return ""


def touched(workload: Workload, revisions: Sequence[Revision], to: Revision) -> int:
    """Return how many pods a roll back replaces: in a stuck rollout only the new ones."""
    if workload.resource is DEPLOYMENTS:
        stopping = sum(revision.replicas for revision in revisions if revision is not to)
        starting = max(0, workload.pods - to.replicas)
        return max(stopping, starting)
    reached = rollout.movable(workload)
    if workload.resource is STATEFUL_SETS and workload.status.get("currentRevision") == to.name:
        return min(reached, int(workload.status.get("updatedReplicas") or 0))
    return reached


def _numbered(
    workload: Workload,
    revisions: Sequence[Revision],
    now: Revision,
    bad: Collection[str],
    number: int,
) -> Revision:
    for revision in revisions:
        if revision.number != number:
            continue
        if revision.release != now.release and revision.release in bad:
            raise Permanent(
                f"{revision} of {workload} is known as bad: a run rolled back from it; "
                "choose another, or roll out by hand if that was wrong"
            )
        return revision
    raise Permanent(
        f"{workload} has no revision {number}; there are {_numbers(revisions)}{_limit(workload)}"
    )


def _numbers(revisions: Sequence[Revision]) -> str:
    return ", ".join(str(revision.number) for revision in revisions)


def _limit(workload: Workload) -> str:
    limit = workload.spec.get("revisionHistoryLimit")
    return "" if limit is None else f" (revisionHistoryLimit is {limit}; older ones are pruned)"


def _of_replica_set(raw: Object) -> Revision:
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    template = raw["spec"]["template"]
    former = str(annotations.get(_FORMER_REVISIONS) or "")
    numbers = [_number(text) for text in (annotations.get(_REVISION), *former.split(",")) if text]
    return Revision(
        name=metadata["name"],
        number=numbers[0] if numbers else 0,
        hash=(metadata.get("labels") or {}).get(templates.HASH_LABEL, metadata["name"]),
        template=templates.bare(template),
        fingerprint=templates.fingerprint(template),
        release=templates.release(template),
        first=(str(metadata.get("creationTimestamp") or ""), min(numbers, default=0)),
        replicas=int(raw["spec"].get("replicas") or 0),
        available=int((raw.get("status") or {}).get("availableReplicas") or 0),
        change_cause=annotations.get(CHANGE_CAUSE),
    )


def _of_controller_revision(raw: Object) -> Revision:
    metadata = raw["metadata"]
    labels = metadata.get("labels") or {}
    template = raw["data"]["spec"]["template"]
    named = [labels[label] for label in _HASH_LABELS if label in labels]
    return Revision(
        name=metadata["name"],
        number=int(raw["revision"]),
        hash=named[0] if named else metadata["name"],
        template=templates.bare(template),
        fingerprint=templates.fingerprint(template),
        release=templates.release(template),
        first=(str(metadata.get("creationTimestamp") or ""), int(raw["revision"])),
    )


def _number(text: object) -> int:
    try:
        return int(str(text))
    except ValueError:
        return 0  # a ReplicaSet that its Deployment has not numbered yet
