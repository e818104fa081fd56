"""Clients that only read, for `simulate`, `replay` and `record`: made apart from the daemon's, and
never with anything that tells people. Called by `cli`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from remediator.app.parts import Closable
from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.http import Http, HttpClient
from remediator.clients.kubernetes import Kubernetes, connection, readonly
from remediator.clients.kubernetes.client import Connect
from remediator.clients.process import ProcessRunner
from remediator.clients.prometheus import PrometheusClient
from remediator.clients.readonly import AtThatTime, Ledger, NoProcesses, ReadOnlyHttp
from remediator.settings import Settings


@dataclass(frozen=True, slots=True)
class Reading:
    """Clients by the class by which plugins ask for them, and what was withheld from them."""

    clients: Mapping[type, object]
    ledger: Ledger

    async def close(self) -> None:
        """Let every connection go."""
        for client in self.clients.values():
            await cast(Closable, client).close()


def reading_clients(
    settings: Settings,
    *,
    at: Callable[[], datetime] | None = None,
    connect: Connect = connection.connect,
    http: Callable[[bool], Http] = lambda keep_alive: HttpClient(keep_alive=keep_alive),
    processes: Callable[[Ledger], object] | None = None,
) -> Reading:
    """Make the clients.

    Args:
        at: the time for which Prometheus is asked; None for now.
        connect: what finds the cluster; below the stand-in.
        http: makes what carries requests, told whether to keep connections; below the stand-in.
        processes: what stands in the place of `ProcessRunner`; it starts nothing.
    """
    ledger = Ledger()
    queries = [query_url(settings)] if settings.prometheus.url else []

    def carrier(keep_alive: bool) -> Http:
        below = http(keep_alive)
        return ReadOnlyHttp(AtThatTime(below, queries, at) if at else below, ledger, queries)

    clients: dict[type, object] = {
        Kubernetes: Kubernetes(settings.kubernetes, readonly.connecting(ledger, connect)),
        PrometheusClient: PrometheusClient(settings.prometheus, carrier(True)),
        Alertmanagers: Alertmanagers(settings.senders, carrier(True)),
        HttpClient: carrier(False),
        ProcessRunner: processes(ledger) if processes else NoProcesses(settings.exec, ledger),
    }
    return Reading(clients, ledger)


def query_url(settings: Settings) -> str:
    """Return where Prometheus answers instant queries."""
    return f"{(settings.prometheus.url or '').rstrip('/')}/api/v1/query"
