"""A Kubernetes cluster in memory, for clients that are given it in a connection's place.

    cluster = Cluster(clock, objects)
    client = Kubernetes(settings, connect=cluster.connect)

It has no tasks of its own: before it answers, it lets everything happen that was due by then on its
clock. The same objects, clock and requests give the same answers, to the letter.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
)
from remediator.model.clock import Clock
from remediator.settings import KubernetesSettings
from remediator.simulated.kubernetes import beginning, relations, server
from remediator.simulated.kubernetes.autoscalers import Autoscalers
from remediator.simulated.kubernetes.budgets import Budgets
from remediator.simulated.kubernetes.control_plane import ControlPlane
from remediator.simulated.kubernetes.daemon_sets import DaemonSets
from remediator.simulated.kubernetes.deployments import Deployments
from remediator.simulated.kubernetes.jobs import Jobs
from remediator.simulated.kubernetes.nodes import Nodes
from remediator.simulated.kubernetes.pods import Pods
from remediator.simulated.kubernetes.replica_sets import ReplicaSets
from remediator.simulated.kubernetes.stateful_sets import StatefulSets


class Cluster:
    """One simulated cluster; also the link over which a client reaches it."""

    def __init__(
        self,
        clock: Clock,
        objects: Iterable[Mapping[str, Any]] = (),
        *,
        images: Mapping[str, str] | None = None,
    ) -> None:
        """Make a cluster that has held these objects for a day, and has come to rest.

        Args:
            clock: virtual time.
            objects: manifests; what they say wins over what controllers would make of it.
            images: what pods of an image come to, as the annotation `remediator.dev/simulated`
                would say it.

        Raises:
            ValueError: a manifest can't be used; the message says which, and why.
        """
        self._clock = clock
        self._pods = Pods(images or {})
        self._plane = ControlPlane(clock.now() - beginning.AGE)
        self._plane.controllers = {
            PODS: self._pods,
            REPLICA_SETS: ReplicaSets(),
            DEPLOYMENTS: Deployments(),
            STATEFUL_SETS: StatefulSets(),
            DAEMON_SETS: DaemonSets(),
            JOBS: Jobs(),
            AUTOSCALERS: Autoscalers(),
            BUDGETS: Budgets(),
            NODES: Nodes(self._pods),
        }
        self._plane.related.append(relations.look_at_related)
        beginning.settle(self._plane, self._pods, list(objects), clock.now())

    # --- the world's side ---------------------------------------------------------------------

    def apply(self, obj: Mapping[str, Any]) -> Object:
        """Create an object, or lay a manifest over the one of its name, as a merge patch does;
        returns it as the API then serves it. A status that it gives stands until it is replaced.

        Raises:
            ValueError: the manifest can't be used.
        """
        self._catch_up()
        applied = beginning.apply(self._plane, self._pods, obj)
        self._catch_up()
        resource = self._plane.catalogue.of(applied)
        metadata = applied["metadata"]
        now = self._plane.store.get(resource, metadata.get("namespace", ""), metadata["name"])
        return now or applied

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        """Delete an object at once, as if by force; False when there is none of this name.

        Args:
            kind: as people say it: `pod`, `Deployment`, `hpa`.
            namespace: where it is; not looked at for what is cluster-wide.
            name: its name.

        Raises:
            ValueError: nothing in this cluster is of this kind.
        """
        self._catch_up()
        resource = self._plane.catalogue.named(kind)
        found = self._plane.store.get(resource, namespace if resource.namespaced else "", name)
        if found is None:
            return False
        bare = {k: v for k, v in found["metadata"].items() if k != "finalizers"}
        if bare != found["metadata"]:
            found = self._plane.store.put(resource, {**found, "metadata": bare})
        self._plane.delete(resource, found, grace_s=0)
        self._catch_up()
        return True

    def objects(self) -> list[Object]:
        """Return everything that the API serves now, kind by kind and by name."""
        self._catch_up()
        return [obj for _, obj in self._plane.store.everything()]

    # --- the client's side --------------------------------------------------------------------

    async def connect(self, settings: KubernetesSettings) -> "Cluster":
        """Stand in for `remediator.clients.kubernetes.connection.connect`."""
        return self

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        *,
        accept: str,
        content_type: str | None,
        body: object,
    ) -> Answer:
        """See `Connection.send`."""
        return self.answer(method, path, query, accept=accept, content_type=content_type, body=body)

    async def retire(self) -> None:
        """See `Connection.retire`: there is nothing to close."""

    def answer(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        accept: str = "application/json",
        content_type: str | None = None,
        body: object = None,
    ) -> Answer:
        """Answer one request as it would be at the clock's time."""
        self._catch_up()
        return server.respond(
            self._plane, method, path, query, accept=accept, content_type=content_type, body=body
        )

    def _catch_up(self) -> None:
        self._plane.catch_up(self._clock.now())
