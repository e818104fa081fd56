"""The controller of Deployments: ReplicaSets for templates, rollouts between them, revisions.

As pkg/controller/deployment does it, look by look: each look scales up, or down, or only counts.
"""

from remediator.clients.kubernetes.resources import DEPLOYMENTS, REPLICA_SETS, Object
from remediator.simulated.kubernetes import deployment_status as status
from remediator.simulated.kubernetes import proportions
from remediator.simulated.kubernetes.amounts import max_surge, max_unavailable
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.names import hash_of
from remediator.simulated.kubernetes.replica_sets import claim, owner_reference
from remediator.simulated.kubernetes.store import annotations_of, going

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)


class Deployments:
    """The controller of Deployments."""

    def look(self, plane: ControlPlane, obj: Object) -> None:
        """Bring a Deployment one step further."""
        if not going(obj):
            claim(plane, obj, REPLICA_SETS)
        rollout = _Rollout(plane, obj)
        if going(obj):
            rollout.find(create=False)
            rollout.count()
            return
        rollout.note_pause()
        if obj["spec"].get("paused"):
            rollout.scale_all(clean=True)
            return
        rollout.find(create=False)
        if rollout.was_scaled():
            rollout.scale_all(clean=False)
        elif (obj["spec"].get("strategy") or {}).get("type") == "Recreate":
            rollout.recreate()
        else:
            rollout.roll()


class _Rollout:
    """One look at one Deployment."""

    def __init__(self, plane: ControlPlane, deployment: Object) -> None:
        self._plane = plane
        self._d = deployment
        self._new: Object | None = None
        self._old: list[Object] = []

    @property
    def _wanted(self) -> int:
        return int(self._d["spec"].get("replicas", 1))

    @property
    def _all(self) -> list[Object]:
        return [*self._old, *([self._new] if self._new else [])]

    # --- revisions ------------------------------------------------------------------------------

    def find(self, *, create: bool) -> None:
        """Tell the ReplicaSet of the template from the others; number it; perhaps make it."""
        held = self._plane.store.owned(self._d["metadata"]["uid"], REPLICA_SETS)
        held = [rs for rs in held if not going(rs)]
        held.sort(key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"]))
        template = unhashed(self._d["spec"]["template"])
        fits = [rs for rs in held if unhashed(rs["spec"]["template"]) == template]
        self._new = fits[0] if fits else None
        self._old = [rs for rs in held if rs is not self._new]
        revision = max((revision_of(rs) for rs in self._old), default=0) + 1
        if self._new is not None:
            self._renumber(self._new, revision)
        elif create:
            self._make(revision)

    def _renumber(self, rs: Object, revision: int) -> None:
        notes = self._notes(rs)
        before = notes.get(REVISION)
        if int(before or 0) < revision:
            notes[REVISION] = str(revision)
            if before is not None:
                notes[HISTORY] = ",".join(filter(None, (notes.get(HISTORY), before)))
        spec = dict(rs["spec"])
        spec.pop("minReadySeconds", None)
        if self._d["spec"].get("minReadySeconds"):
            spec["minReadySeconds"] = self._d["spec"]["minReadySeconds"]
        metadata = {**rs["metadata"], "annotations": notes}
        self._new = self._plane.update(REPLICA_SETS, rs, {**rs, "metadata": metadata, "spec": spec})
        reason = f'Found new replica set "{rs["metadata"]["name"]}"'
        self._on_record(notes[REVISION], ("FoundNewReplicaSet", reason), only_if_none=True)

    def _make(self, revision: int) -> None:
        template = self._d["spec"]["template"]
        name, namespace = self._d["metadata"]["name"], self._d["metadata"]["namespace"]
        collisions = 0
        digest = hash_of(unhashed(template))
        while self._plane.store.get(REPLICA_SETS, namespace, f"{name}-{digest}"):
            collisions += 1
            digest = hash_of(unhashed(template), collisions)
        labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: digest}
        selector = self._d["spec"].get("selector") or {}
        spec = {
            "replicas": 0,
            "selector": {
                **selector,
                "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest},
            },
            "template": {
                **template,
                "metadata": {**(template.get("metadata") or {}), "labels": labels},
            },
        }
        if self._d["spec"].get("minReadySeconds"):
            spec["minReadySeconds"] = self._d["spec"]["minReadySeconds"]
        made: Object = {
            "metadata": {
                "name": f"{name}-{digest}",
                "namespace": namespace,
                "labels": labels,
                "annotations": {},
                "ownerReferences": [owner_reference(self._d, DEPLOYMENTS)],
            },
            "spec": spec,
            "status": {"replicas": 0},
        }
        self._new = made
        spec["replicas"] = self._new_count()
        made["metadata"]["annotations"] = {
            **self._notes(made),
            REVISION: str(revision),
            **self._sizes(),
        }
        self._new = self._plane.create(REPLICA_SETS, made)
        reason = f'Created new replica set "{name}-{digest}"'
        self._on_record(str(revision), ("NewReplicaSetCreated", reason))

    def _notes(self, rs: Object) -> dict[str, str]:
        """Return a ReplicaSet's annotations under those of its Deployment."""
        ours = annotations_of(self._d).items()
        return {**annotations_of(rs), **{k: v for k, v in ours if k not in _NOT_COPIED}}

    def _sizes(self) -> dict[str, str]:
        return {DESIRED: str(self._wanted), MAXIMUM: str(self._wanted + max_surge(self._d))}

    def _on_record(
        self, revision: str, progressing: tuple[str, str], *, only_if_none: bool = False
    ) -> None:
        """Write the revision, and that the rollout goes on, onto the Deployment."""
        metadata = self._d["metadata"]
        notes = annotations_of(self._d)
        changed = dict(self._d)
        if notes.get(REVISION) != revision:
            changed["metadata"] = {**metadata, "annotations": {**notes, REVISION: revision}}
        now = self._d.get("status") or {}
        known = status.find(now, status.PROGRESSING)
        if status.deadline_s(self._d) is not None and not (only_if_none and known):
            changed["status"] = status.with_condition(
                now, status.condition(self._plane, status.PROGRESSING, "True", *progressing)
            )
        if changed != self._d:
            # As a write of the status does: the generation stays.
            self._d = self._plane.store.put(DEPLOYMENTS, changed)

    def note_pause(self) -> None:
        """Record that it is paused, or no more."""
        now = self._d.get("status") or {}
        known = status.find(now, status.PROGRESSING)
        if status.deadline_s(self._d) is None or (known and known["reason"] == status.TIMED_OUT):
            return
        noted = known is not None and known["reason"] == "DeploymentPaused"
        paused = bool(self._d["spec"].get("paused"))
        if paused == noted:
            return
        said = (
            ("DeploymentPaused", "Deployment is paused")
            if paused
            else (
                "DeploymentResumed",
                "Deployment is resumed",
            )
        )
        condition = status.condition(self._plane, status.PROGRESSING, "Unknown", *said)
        self._d = self._plane.set_status(
            DEPLOYMENTS, self._d, status.with_condition(now, condition)
        )

    # --- counts ---------------------------------------------------------------------------------

    def was_scaled(self) -> bool:
        """Whether its count is another than its ReplicaSets were made for."""
        return any(
            int(annotations_of(rs).get(DESIRED, self._wanted)) != self._wanted
            for rs in self._all
            if replicas_of(rs)
        )

    def scale_all(self, *, clean: bool) -> None:
        """Bring all ReplicaSets to a new count, without a step of the rollout."""
        self.find(create=False)
        sizes = proportions.sizes(self._d, self._new, self._old)
        for rs, size, forced in sizes:
            self._scale(rs, size, forced=forced)
        if clean:
            self._prune()
        self.count()

    def roll(self) -> None:
        """Take one step of a rolling update."""
        self.find(create=True)
        assert self._new is not None  # noqa: S101 - made just now
        moved = self._scale(self._new, self._new_count()) or self._scale_old_down()
        if not moved and status.complete(self._d, self._d.get("status") or {}):
            self._prune()
        self.count(rollout=True)

    def recreate(self) -> None:
        """Take one step of a rollout that stops all old pods first."""
        running = [rs for rs in self._old if replicas_of(rs)]
        scaled = [self._scale(rs, 0) for rs in running]
        gone = not any(self._plane.store.owned(rs["metadata"]["uid"]) for rs in self._old)
        if not any(scaled) and gone:
            self.find(create=True)
            assert self._new is not None  # noqa: S101 - made just now
            self._scale(self._new, self._wanted)
            if status.complete(self._d, self._d.get("status") or {}):
                self._prune()
        self.count(rollout=True)

    def count(self, *, rollout: bool = False) -> None:
        """Write the status."""
        now = status.counted(self._plane, self._d, self._new, self._all)
        if rollout:
            now = status.judged(self._plane, self._d, self._new, now)
        written = self._plane.set_status(DEPLOYMENTS, self._d, now)
        wait_s = status.looks_again_in(self._plane, written)
        if rollout and wait_s is not None:
            self._plane.look_later(DEPLOYMENTS, written, wait_s)

    def _new_count(self) -> int:
        """Return how many pods the new ReplicaSet may have now."""
        new = replicas_of(self._new) if self._new else 0
        if (self._d["spec"].get("strategy") or {}).get("type") == "Recreate":
            return self._wanted
        if new >= self._wanted:
            return self._wanted
        room = self._wanted + max_surge(self._d) - sum(map(replicas_of, self._all))
        return new + max(0, min(room, self._wanted - new))

    def _scale_old_down(self) -> bool:
        old = [rs for rs in self._old if replicas_of(rs)]
        new = self._new
        if not old or new is None:
            return False
        least = self._wanted - max_unavailable(self._d)
        unavailable = replicas_of(new) - available_of(new)
        room = sum(map(replicas_of, self._all)) - least - unavailable
        if room <= 0:
            return False
        scaled = 0
        for rs in old:  # those that serve nobody first
            broken = min(room - scaled, replicas_of(rs) - available_of(rs))
            if broken < 0:
                return False  # it was scaled down just now, and its status does not say so yet
            if broken > 0 and self._scale(rs, replicas_of(rs) - broken):
                scaled += broken
        spare = sum(map(available_of, self._all)) - least
        for rs in [rs for rs in self._old if replicas_of(rs)]:
            going_down = min(replicas_of(rs), spare)
            if going_down > 0 and self._scale(rs, replicas_of(rs) - going_down):
                spare -= going_down
                scaled += going_down
        return scaled > 0

    def _scale(self, rs: Object, size: int, *, forced: bool = False) -> bool:
        """Change a ReplicaSet's count; returns whether that was needed."""
        notes = {**annotations_of(rs), **self._sizes()}
        if replicas_of(rs) == size and (not forced or notes == annotations_of(rs)):
            return False
        after = {
            **rs,
            "metadata": {**rs["metadata"], "annotations": notes},
            "spec": {**rs["spec"], "replicas": size},
        }
        written = self._plane.update(REPLICA_SETS, rs, after)
        if rs is self._new:
            self._new = written
        else:
            self._old = [written if other is rs else other for other in self._old]
        return replicas_of(rs) != size

    def _prune(self) -> None:
        limit = self._d["spec"].get("revisionHistoryLimit")
        if limit is None:
            return
        oldest = sorted(self._old, key=revision_of)
        for rs in oldest[: max(0, len(oldest) - int(limit))]:
            if not replicas_of(rs) and not (rs.get("status") or {}).get("replicas"):
                self._plane.delete(REPLICA_SETS, rs)
                self._old = [other for other in self._old if other is not rs]


def unhashed(template: Object) -> Object:
    """Return a template without the label that its ReplicaSet adds."""
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    rest = {k: v for k, v in metadata.items() if v not in (None, {}, [])}
    return {**template, "metadata": {**rest, "labels": labels}}


def replicas_of(rs: Object) -> int:
    """Return how many pods a ReplicaSet shall have."""
    return int(rs["spec"].get("replicas", 1))


def available_of(rs: Object) -> int:
    """Return how many pods of a ReplicaSet serve."""
    return int((rs.get("status") or {}).get("availableReplicas") or 0)


def revision_of(rs: Object) -> int:
    """Return a ReplicaSet's revision; 0 while it has none."""
    text = annotations_of(rs).get(REVISION, "")
    return int(text) if text.isdigit() else 0
