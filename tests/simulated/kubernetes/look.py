"""A simulated cluster, its clock, and short looks into it; and objects as authors write them."""

import json
from datetime import timedelta
from typing import Any

from remediator.clients.kubernetes.resources import PODS, Resource
from remediator.simulated.kubernetes import Cluster
from remediator.testing.clock import ManualClock

WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}
CRASHING = {
    "phase": "Running",
    "containerStatuses": [{"name": "app", "ready": False, "restartCount": 9, "state": WAITING}],
}


def pod(name: str, status: Any = None, **metadata: Any) -> dict[str, Any]:
    """A Pod as an author writes it."""
    head = {"apiVersion": "v1", "kind": "Pod"}
    given = {} if status is None else {"status": status}
    return {**head, "metadata": {"name": name, "namespace": "shop", **metadata}, **given}


def node(name: str, ready: str = "True", **spec: Any) -> dict[str, Any]:
    """A Node as an author writes it."""
    conditions = [{"type": "Ready", "status": ready}]
    head = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    return {**head, "spec": spec, "status": {"conditions": conditions}}


class World:
    """A cluster, its clock, and short looks into it."""

    def __init__(self, *objects: Any) -> None:
        self.clock = ManualClock()
        self.cluster = Cluster(self.clock, objects)

    def after(self, **span: float) -> "World":
        """Let time pass."""
        self.clock.advance(timedelta(**span))
        return self

    def get(self, resource: Resource, name: str) -> Any:
        """One object, or the code that is answered in its place."""
        answer = self.cluster.answer("GET", resource.path("shop", name))
        return json.loads(answer.body) if answer.status == 200 else answer.status

    def items(self, resource: Resource) -> list[Any]:
        """All objects of a kind in the namespace."""
        found: list[Any]
        found = json.loads(self.cluster.answer("GET", resource.path("shop")).body)["items"]
        return found

    def status(self, resource: Resource, name: str) -> Any:
        """An object's status."""
        return self.get(resource, name)["status"]

    def ready(self) -> dict[str, bool]:
        """Which pods are ready."""
        return {item["metadata"]["name"]: is_ready(item) for item in self.items(PODS)}

    def patch(self, resource: Resource, name: str, body: Any) -> None:
        """A merge patch that must be accepted."""
        answer = self.cluster.answer(
            "PATCH",
            resource.path("shop", name),
            content_type="application/merge-patch+json",
            body=body,
        )
        assert answer.status == 200, answer.body

    def delete(self, resource: Resource, name: str) -> None:
        """A deletion as a client asks for it."""
        assert self.cluster.answer("DELETE", resource.path("shop", name)).status == 200


def is_ready(item: Any) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"]["conditions"])


def image(name: str) -> dict[str, Any]:
    """A merge patch to an image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": name}]}}}}
