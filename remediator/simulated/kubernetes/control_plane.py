"""The controllers' common ground: the store, virtual time, and the queue of what to look at.

Nothing runs by itself: `catch_up` lets everything happen that was due by a time, event after event,
and after each lets the controllers look until none finds anything to do. Called by `cluster` before
every request.
"""

import heapq
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from remediator.clients.kubernetes.resources import DAEMON_SETS, JOBS, PODS, Object, Resource
from remediator.simulated.kubernetes import defaults, kinds
from remediator.simulated.kubernetes.names import Names
from remediator.simulated.kubernetes.store import (
    Key,
    Store,
    controller_of,
    going,
    key_of,
)

# Each look follows a change. A world in which this many follow each other at one instant has two
# controllers that undo each other's work, which no real cluster would survive either.
_MOST_LOOKS = 200_000


class Controller(Protocol):
    """What brings the objects of one kind to where their spec wants them."""

    def look(self, plane: "ControlPlane", obj: Object) -> None:
        """Look at one object that has changed, or whose time has come; change what is needed."""
        ...


class Endless(RuntimeError):
    """Controllers change things for ever without time passing."""


Related = Callable[["ControlPlane", Resource, Object], None]


class ControlPlane:
    """What controllers see and do."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        """Virtual time; moved by `catch_up` alone."""
        self.catalogue = kinds.Catalogue()
        self.names = Names()
        self.store = Store(self._changed)
        self.controllers: Mapping[Resource, Controller] = {}
        self.related: list[Related] = []
        """Called with every object before and after a change: to look at what depends on it."""
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._queue: dict[tuple[Resource, Key], None] = {}

    # --- time ---------------------------------------------------------------------------------

    def at(self, when: datetime, call: Callable[[], None]) -> None:
        """Let something happen at a time."""
        heapq.heappush(self._due, (when, next(self._order), call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Let something happen in some virtual seconds."""
        self.at(self.now + timedelta(seconds=seconds), call)

    def catch_up(self, until: datetime) -> None:
        """Let everything happen that is due by then.

        Raises:
            Endless: the controllers do not come to rest.
        """
        self._settle()
        while self._due and self._due[0][0] <= until:
            self.now = max(self.now, self._due[0][0])
            while self._due and self._due[0][0] <= self.now:
                heapq.heappop(self._due)[2]()
            self._settle()
        self.now = max(self.now, until)

    def look_at(self, resource: Resource, key: Key) -> None:
        """Have a controller look at an object; once, however often it is asked."""
        if resource in self.controllers:
            self._queue[resource, key] = None

    def look_later(self, resource: Resource, obj: Object, seconds: float) -> None:
        """Have a controller look at an object again in some virtual seconds."""
        key = key_of(obj)
        self.after(seconds, lambda: self.look_at(resource, key))

    def _settle(self) -> None:
        for _ in range(_MOST_LOOKS):
            if not self._queue:
                return
            resource, key = next(iter(self._queue))
            del self._queue[resource, key]
            obj = self.store.get(resource, *key)
            if obj is not None:
                self.controllers[resource].look(self, obj)
        raise Endless(f"the controllers do not come to rest; the last: {resource.kind} {key}")

    # --- objects ------------------------------------------------------------------------------

    def create(self, resource: Resource, obj: Object) -> Object:
        """Store a new object with the metadata that the API server gives it."""
        return self.store.put(resource, self.stamped(resource, obj))

    def stamped(self, resource: Resource, obj: Object) -> Object:
        """Return a new object with the metadata that the API server gives it."""
        metadata = dict(obj["metadata"])
        if not metadata.get("name"):
            prefix = metadata["generateName"]
            namespace = metadata.get("namespace", "")
            metadata["name"] = prefix + self.names.suffix(namespace, prefix)
            while self.store.get(resource, namespace, metadata["name"]):
                metadata["name"] = prefix + self.names.suffix(namespace, prefix)
        where = metadata.get("namespace", "")
        fresh = self.names.uid(resource.group, resource.kind, where, metadata["name"])
        metadata = {
            **metadata,
            "uid": metadata.get("uid") or fresh,
            "creationTimestamp": metadata.get("creationTimestamp") or stamp(self.now),
        }
        if has_generation(resource):
            metadata.setdefault("generation", 1)
        if resource == JOBS:
            obj = defaults.job_identified({**obj, "metadata": metadata}, metadata["uid"])
            metadata = obj["metadata"]
        head = {"apiVersion": kinds.api_version(resource), "kind": resource.kind}
        rest = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
        return {**head, "metadata": metadata, **rest}

    def update(self, resource: Resource, before: Object, after: Object) -> Object:
        """Store another spec or other metadata, if there is a difference."""
        if before == after:
            return before
        return self.store.put(resource, {**after, "metadata": advanced(resource, before, after)})

    def set_status(self, resource: Resource, obj: Object, status: Object) -> Object:
        """Store another status, if it is another."""
        if obj.get("status") == status:
            return obj
        return self.store.put(resource, {**obj, "status": status})

    def delete(
        self, resource: Resource, obj: Object, *, grace_s: int | None = None, orphan: bool = False
    ) -> Object | None:
        """Delete an object as the API server does; None when it is gone at once.

        A pod that runs on a node gets time to stop; finalizers hold whatever has them.
        """
        if orphan:
            self._release_dependents(obj)
            obj = self.store.get(resource, *key_of(obj)) or obj
        grace = self.grace_of(resource, obj, grace_s)
        if going(obj) and grace:
            return obj  # it is going already
        if not grace and not obj["metadata"].get("finalizers"):
            self.store.remove(resource, obj)
            return None
        marked = {**obj, "metadata": self.marked(resource, obj, grace)}
        return marked if marked == obj else self.store.put(resource, marked)

    def marked(self, resource: Resource, obj: Object, grace_s: int) -> Object:
        """Return the metadata of an object that is being deleted."""
        metadata = obj["metadata"]
        return {
            **metadata,
            **(
                {"generation": metadata.get("generation", 0) + 1}
                if has_generation(resource) and not going(obj)
                else {}
            ),
            "deletionTimestamp": metadata.get("deletionTimestamp")
            or stamp(self.now + timedelta(seconds=grace_s)),
            "deletionGracePeriodSeconds": grace_s,
        }

    def grace_of(self, resource: Resource, obj: Object, given_s: int | None) -> int:
        """Return how many seconds a deletion leaves an object."""
        if resource != PODS:
            return 0
        spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
        if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
            return 0
        if given_s is not None:
            return given_s
        return int(spec.get("terminationGracePeriodSeconds", 30))

    def _release_dependents(self, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for kind, dependent in self.store.owned_with_kinds(uid):
            metadata = dependent["metadata"]
            left = [o for o in metadata["ownerReferences"] if o.get("uid") != uid]
            rest = {k: v for k, v in metadata.items() if k != "ownerReferences"}
            owned = {**rest, "ownerReferences": left} if left else rest
            self.store.put(kind, {**dependent, "metadata": owned})

    def _changed(self, resource: Resource, before: Object | None, after: Object | None) -> None:
        for obj in (before, after):
            if obj is None:
                continue
            owner = controller_of(obj)
            found = self.store.by_uid(str(owner.get("uid"))) if owner else None
            if found:
                self.look_at(found[0], key_of(found[1]))
            for related in self.related:
                related(self, resource, obj)
        if after is not None:
            self.look_at(resource, key_of(after))
        elif before is not None:
            self._collect(before)

    def _collect(self, owner: Object) -> None:
        """Delete, as the garbage collector does, what has no owner left."""
        for kind, dependent in self.store.owned_with_kinds(owner["metadata"]["uid"]):
            owners = dependent["metadata"].get("ownerReferences") or []
            if not any(self.store.by_uid(str(other.get("uid"))) for other in owners):
                self.delete(kind, dependent)


TEMPLATES = "deprecated.daemonset.template.generation"
"""On a DaemonSet: how many templates it has had."""

_WITHOUT_GENERATION = frozenset(
    {
        "Node",
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Namespace",
        "ConfigMap",
        "Secret",
        "Service",
        "ServiceAccount",
        "Event",
        "Endpoints",
        "ControllerRevision",
        "HorizontalPodAutoscaler",
        "Lease",
        "ResourceQuota",
        "LimitRange",
        "StorageClass",
        "Role",
        "RoleBinding",
        "ClusterRole",
    }
)


def has_generation(resource: Resource) -> bool:
    """Whether the API server counts the specs of this kind."""
    return resource.kind not in _WITHOUT_GENERATION


def advanced(resource: Resource, before: Object, after: Object) -> Object:
    """Return the metadata after a write: the generation counts specs, and more for some kinds."""
    metadata: Object = after["metadata"]
    if not has_generation(resource):
        return metadata
    apart = ("metadata", "status", "apiVersion", "kind")
    moved = {k: v for k, v in before.items() if k not in apart} != {
        k: v for k, v in after.items() if k not in apart
    }
    if resource.kind == "Deployment":
        was = before["metadata"].get("annotations") or {}
        moved = moved or was != (metadata.get("annotations") or {})
    if resource == DAEMON_SETS and before["spec"].get("template") != after["spec"].get("template"):
        notes = before["metadata"].get("annotations") or {}
        count = str(int(notes.get(TEMPLATES) or 0) + 1)
        metadata = {
            **metadata,
            "annotations": {**metadata.get("annotations", {}), TEMPLATES: count},
        }
    generation = int(before["metadata"].get("generation", 1)) + moved
    return {**metadata, "generation": generation}


def stamp(time: datetime) -> str:
    """Return a time as the API writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_stamp(text: str) -> datetime:
    """Return a time that the API wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)
