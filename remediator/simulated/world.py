"""A world in memory, brought to life: the clients that actions get, and how it changes.

Puts the simulated servers where the real clients have their connections. Decides nothing; a world's
models are `spec`. Used by `rehearsal` for tests and by `simulate --world`.
"""

from collections.abc import Mapping, Sequence

from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.http import HttpClient
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.process import ProcessRunner
from remediator.clients.prometheus import PrometheusClient
from remediator.clients.silences import AlertmanagerSilences
from remediator.model.clock import Clock
from remediator.settings import KubernetesSettings, PrometheusSettings, Sender
from remediator.simulated.alertmanager import ALERTMANAGER_URL, Alertmanager
from remediator.simulated.commands import Commands
from remediator.simulated.http import PROMETHEUS_URL, Web
from remediator.simulated.kubernetes import Cluster
from remediator.simulated.prometheus import Prometheus
from remediator.simulated.spec import Object, WorldChange, WorldSpec, split_reference

SENDER = "default"
"""Whose Alertmanager there is."""


class World:
    """Everything that actions and probes see.

    Args:
        spec: what it holds at first; its files are resolved already.
        clock: its time.

    Raises:
        ValueError: an object or a series can't be used; the text says which, and why.
    """

    def __init__(self, spec: WorldSpec, clock: Clock) -> None:
        self.alertmanager = Alertmanager(clock)
        self.web = Web(spec.http, clock, {ALERTMANAGER_URL: self.alertmanager})
        self._clock = clock
        self._prometheus: Prometheus | None = None
        self._observe(spec)
        self.commands = Commands(spec.exec, clock, self.web)
        senders = {SENDER: Sender(alertmanager=(ALERTMANAGER_URL,))}
        self.alertmanagers = Alertmanagers(senders, self.web)
        """The real client of the simulated Alertmanager; the engine asks through it, too."""
        self.silencer = AlertmanagerSilences(senders, clock, self.web)
        self.cluster = Cluster(clock, spec.kubernetes)
        self._clients: dict[type, object] = {
            HttpClient: self.web,
            ProcessRunner: self.commands,
            Alertmanagers: self.alertmanagers,
            Kubernetes: Kubernetes(KubernetesSettings(), connect=self.cluster.connect),
            PrometheusClient: PrometheusClient(PrometheusSettings(url=PROMETHEUS_URL), self.web),
        }

    def clients(self) -> Mapping[type, object]:
        """Return the clients by class, as `Context.client` looks them up."""
        return dict(self._clients)

    def change(self, change: WorldChange) -> None:
        """Let the world change by itself, now: what is gone goes first.

        Raises:
            ValueError: an object or a series can't be used, or what is to go is not there.
        """
        for reference in change.delete:
            kind, namespace, name = split_reference(reference)
            if not self.cluster.delete(kind, namespace, name):
                raise ValueError(f"there is no {reference} that could go")
        for manifest in change.kubernetes:
            self.cluster.apply(manifest)
        self._observe(change)
        self.web.change(change.http)
        self.commands.change(change.exec)

    def _observe(self, spec: WorldSpec) -> None:
        """Let Prometheus have these series from now on; a world without any has none."""
        if spec.prometheus is None:
            return
        if self._prometheus is not None:
            self._prometheus.change(spec.prometheus)
            return
        self._prometheus = Prometheus(spec.prometheus, self._clock)
        self.web.serve(PROMETHEUS_URL, self._prometheus)

    async def close(self) -> None:
        """Let go of what the clients hold. Idempotent."""
        for client in self._clients.values():
            close = getattr(client, "close", None)
            if close is not None:
                await close()

    def objects(self) -> Sequence[Object]:
        """Return the Kubernetes objects that there are now."""
        return self.cluster.objects()

    @property
    def requests(self) -> Sequence[str]:
        """The HTTP requests so far, in order, as `GET URL`."""
        return self.web.asked

    @property
    def started(self) -> Sequence[tuple[str, ...]]:
        """The commands that were started so far, in order."""
        return self.commands.asked
