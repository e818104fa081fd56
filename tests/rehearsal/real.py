"""A test's world with a real API server in it, and a daemon that gives it time.

Everything but Kubernetes is simulated as ever, and so is the daemon's time; the real controllers
need some of ours, so the daemon waits for answers, and a moment before it lets its own time go on.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from remediator.clients.kubernetes import Kubernetes, connection
from remediator.clients.kubernetes.connection import Answer, Link
from remediator.rehearsal.play import Theatre
from remediator.settings import KubernetesSettings
from remediator.simulated.spec import Object, WorldChange, WorldSpec, split_reference
from remediator.simulated.world import World
from remediator.testing.clock import ManualClock
from remediator.testing.daemon import InProcessDaemon
from tests.servers.kubernetes import ControlPlane

_ROLLED_OUT = ("Deployment", "StatefulSet")
_LISTED = "deployments,statefulsets,pods,horizontalpodautoscalers"
# The real controllers' time for each look of the daemon's; a rollout takes them two or three.
_PATIENCE_S = 0.5


class Busy(Link):
    """A real connection that says how many requests are under way."""

    def __init__(self, inner: Link) -> None:
        self._inner = inner
        self.under_way = 0

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
        self.under_way += 1
        try:
            return await self._inner.send(
                method, path, query, accept=accept, content_type=content_type, body=body
            )
        finally:
            self.under_way -= 1

    async def retire(self) -> None:
        await self._inner.retire()


class RealWorld(World):
    """A world whose Kubernetes objects are in a namespace of a real cluster."""

    now: "RealWorld | None" = None
    """The one that is played in; the daemon asks it whether answers are waited for."""

    def __init__(
        self, spec: WorldSpec, clock: ManualClock, cluster: ControlPlane, namespace: str
    ) -> None:
        super().__init__(spec.model_copy(update={"kubernetes": ()}), clock)
        RealWorld.now = self
        self._real = cluster
        self._namespace = namespace
        self._link: Busy | None = None
        settings = KubernetesSettings(kubeconfig=cluster.kubeconfig())
        self._clients[Kubernetes] = Kubernetes(settings, connect=self._connect)
        cluster.apply(*spec.kubernetes)
        for one in spec.kubernetes:
            if one["kind"] in _ROLLED_OUT:
                cluster.wait_rollout(f"{one['kind']}/{one['metadata']['name']}", namespace)

    async def _connect(self, settings: KubernetesSettings) -> Link:
        self._link = Busy(await connection.connect(settings))
        return self._link

    @property
    def busy(self) -> bool:
        """Whether the API server owes an answer."""
        return self._link is not None and self._link.under_way > 0

    def change(self, change: WorldChange) -> None:
        for reference in change.delete:
            kind, namespace, name = split_reference(reference)
            self._real.kubectl("delete", kind, name, "--namespace", namespace, "--now")
        self._real.apply(*change.kubernetes)
        super().change(change.model_copy(update={"kubernetes": (), "delete": ()}))

    def objects(self) -> Sequence[Object]:
        return self._real.items(_LISTED, self._namespace)


class PatientDaemon(InProcessDaemon):
    """One that waits for the API server's answers, and for what its controllers do meanwhile."""

    async def settle(self) -> None:
        await super().settle()
        while RealWorld.now is not None and RealWorld.now.busy:
            await asyncio.sleep(0.005)
            await super().settle()

    async def _next_moment(self) -> datetime | None:
        if self._worker.in_hand:
            await asyncio.sleep(_PATIENCE_S)
        return await super()._next_moment()


def theatre(cluster: ControlPlane, namespace: str) -> Theatre:
    """Return where a test is played with this cluster in its world."""
    make: Callable[[WorldSpec, ManualClock], World] = lambda spec, clock: RealWorld(  # noqa: E731
        spec, clock, cluster, namespace
    )
    return Theatre(make, PatientDaemon, asyncio.SelectorEventLoop)
