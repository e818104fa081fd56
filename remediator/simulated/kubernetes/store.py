"""Holds the objects, each under a version, and tells who asks of every change.

Objects are never altered in place: a write puts a new mapping, which shares what did not change.
Must not decide what a write may do; that is `server`'s for requests and the controllers' own.
"""

from collections.abc import Callable, Iterator
from typing import Any

from remediator.clients.kubernetes.resources import Object, Resource

Key = tuple[str, str]
"""Namespace and name; the namespace is empty for what is cluster-wide."""
Changed = Callable[[Resource, Object | None, Object | None], None]
_FIRST_VERSION = 1000


class Store:
    """All objects of one cluster."""

    def __init__(self, changed: Changed) -> None:
        """Make it empty; `changed` hears of each write: the resource, before, after."""
        self._changed = changed
        self._held: dict[Resource, dict[Key, Object]] = {}
        self._by_uid: dict[str, tuple[Resource, Key]] = {}
        self._owned: dict[str, dict[tuple[Resource, Key], None]] = {}
        self._orphans: dict[Resource, dict[Key, None]] = {}
        self.version = _FIRST_VERSION
        """The version of the newest write."""

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object, or None."""
        return self._held.get(resource, {}).get((namespace, name))

    def by_uid(self, uid: str) -> tuple[Resource, Object] | None:
        """Return an object by its uid, or None."""
        found = self._by_uid.get(uid)
        return (found[0], self._held[found[0]][found[1]]) if found else None

    def items(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind, in one namespace or in all, in the order of the API."""
        held = self._held.get(resource, {})
        keys = sorted(held) if namespace is None else sorted(k for k in held if k[0] == namespace)
        return [held[key] for key in keys]

    def owned(self, uid: str, resource: Resource | None = None) -> list[Object]:
        """Return the objects that name an owner, in the order of their making."""
        return [
            self._held[kind][key]
            for kind, key in self._owned.get(uid, {})
            if resource is None or kind == resource
        ]

    def owned_with_kinds(self, uid: str) -> list[tuple[Resource, Object]]:
        """Return the objects that name an owner, each with its resource."""
        return [(kind, self._held[kind][key]) for kind, key in self._owned.get(uid, {})]

    def orphans(self, resource: Resource, namespace: str) -> list[Object]:
        """Return the objects of a kind that no controller has, and that are not going."""
        held = self._held.get(resource, {})
        found = [held[key] for key in self._orphans.get(resource, {}) if key[0] == namespace]
        return [obj for obj in found if not going(obj)]

    def everything(self) -> Iterator[tuple[Resource, Object]]:
        """Return all objects, kind by kind."""
        for resource in sorted(self._held, key=lambda r: (r.group, r.plural, r.version)):
            for item in self.items(resource):
                yield resource, item

    def put(self, resource: Resource, obj: Object) -> Object:
        """Write an object under the next version; returns it as it is held."""
        self.version += 1
        held = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        key = key_of(held)
        before = self._held.get(resource, {}).get(key)
        self._held.setdefault(resource, {})[key] = held
        self._by_uid[held["metadata"]["uid"]] = (resource, key)
        owners = owners_of(held)
        if controller_of(held) is None:
            self._orphans.setdefault(resource, {})[key] = None
        else:
            self._orphans.get(resource, {}).pop(key, None)
        if before is None or owners != owners_of(before):
            for uid in owners_of(before) if before else []:
                self._owned.get(uid, {}).pop((resource, key), None)
            for uid in owners:
                self._owned.setdefault(uid, {})[resource, key] = None
        self._changed(resource, before, held)
        return held

    def remove(self, resource: Resource, obj: Object) -> None:
        """Remove an object."""
        self.version += 1
        key = key_of(obj)
        before = self._held[resource].pop(key)
        self._by_uid.pop(before["metadata"]["uid"], None)
        self._orphans.get(resource, {}).pop(key, None)
        for uid in owners_of(before):
            self._owned.get(uid, {}).pop((resource, key), None)
        self._changed(resource, before, None)


def key_of(obj: Object) -> Key:
    """Return an object's key."""
    metadata = obj["metadata"]
    return (metadata.get("namespace") or "", metadata["name"])


def owners_of(obj: Object) -> list[str]:
    """Return the uids that an object names as its owners."""
    return [str(owner.get("uid")) for owner in obj["metadata"].get("ownerReferences") or []]


def controller_of(obj: Object) -> dict[str, Any] | None:
    """Return the reference to an object's controller."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            found: dict[str, Any] = owner
            return found
    return None


def labels_of(obj: Object) -> dict[str, str]:
    """Return an object's labels."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    """Return an object's annotations."""
    return obj["metadata"].get("annotations") or {}


def going(obj: Object) -> bool:
    """Whether an object is being deleted."""
    return "deletionTimestamp" in obj["metadata"]
