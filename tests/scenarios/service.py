"""The small service that the scenarios repair, as a program: `python -m tests.scenarios.service`.

Its pods are the Deployment's, whose count and rollout it reads from the API server at each scrape;
the time that a request takes then follows from the load on each of them as in a queue. So it gets
faster when, and only when, pods really become available. Besides the latency it exposes what
kube-state-metrics says of a rollout that is stuck.
"""

import argparse
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.endpoint import Endpoint, QuietHandler
from tests.servers.kubernetes import ControlPlane
from tests.servers.process import Process, Server, free_port, launch
from tests.servers.rest import answers, request

TOKEN = "SERVICE_KUBERNETES_TOKEN"
"""The variable with the token for the API server."""
SERVICE_TIME_S = 0.05
"""What a request takes in a pod that has nothing else to do."""
POD_CAPACITY = 10.0
"""Requests a second at which a pod is busy all the time."""
SLOWEST_S = 5.0
"""Where clients give up."""


def latency_s(load: float, pods: int) -> float:
    """The mean time in an M/M/1 queue for each pod, its share of the load coming in at random."""
    if pods == 0:
        return SLOWEST_S
    busy = load / pods / POD_CAPACITY
    return min(SLOWEST_S, SERVICE_TIME_S / (1 - busy)) if busy < 1 else SLOWEST_S


@dataclass
class Load:
    """Requests a second of all clients together."""

    per_s: float


class Reading:
    """Reads the Deployment as the API server holds it."""

    def __init__(self, api: str, ca: Path, namespace: str, deployment: str) -> None:
        self._url = f"{api}/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        self._labels = f'{{namespace="{namespace}",deployment="{deployment}"}}'
        self._ca = ca
        self._token = os.environ[TOKEN]

    def exposition(self, load: float) -> str:
        """What a scrape gets."""
        answer = request("GET", self._url, token=self._token, ca=self._ca, timeout_s=2.0)
        found: dict[str, Any] = answer.json()
        status = found.get("status", {})
        pods = int(status.get("availableReplicas", 0))
        stuck = any(
            condition["type"] == "Progressing" and condition["status"] == "False"
            for condition in status.get("conditions", [])
        )
        samples = {
            "service_request_latency_seconds": latency_s(load, pods),
            "service_pods_available": pods,
            "service_rollout_stuck": int(stuck),
        }
        return "".join(f"{name}{self._labels} {value}\n" for name, value in samples.items())


def main() -> None:
    """Serves /metrics until it is killed; `PUT /load` sets how much there is to do."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("--ca", type=Path, required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--deployment", required=True)
    parser.add_argument("--load", type=float, required=True)
    told = parser.parse_args()
    load = Load(told.load)
    reading = Reading(told.api, told.ca, told.namespace, told.deployment)

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the base calls it so
            if self.path != "/metrics":
                self.answer(200)
                return
            try:
                text = reading.exposition(load.per_s)
            except (OSError, KeyError, ValueError) as problem:
                self.answer(503, repr(problem).encode())
            else:
                self.answer(200, text.encode(), "text/plain; version=0.0.4")

        def do_PUT(self) -> None:  # noqa: N802 - likewise
            load.per_s = float(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(204)

    with Endpoint(Handler, told.port):
        threading.Event().wait()


class Service(Server):
    """The program as a process of the test's own."""

    def __init__(
        self, folder: Path, cluster: ControlPlane, namespace: str, deployment: str, *, load: float
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "service.log"
        self._env = {TOKEN: cluster.token()}
        self._arguments = [
            *("--api", cluster.url, "--ca", str(cluster.ca)),
            *("--namespace", namespace, "--deployment", deployment, "--load", str(load)),
        ]
        self._port = 0
        self._process: Process | None = None

    @property
    def address(self) -> str:
        """The scrape target."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it, and returns when it can be scraped."""
        self._process = launch(self._make)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.stop()

    def load(self, per_s: float) -> None:
        """From now on its clients ask so often."""
        answer = request("PUT", f"http://{self.address}/load", str(per_s).encode())
        assert answer.status == 204, answer.text

    def _make(self) -> Process:
        self._port = free_port()
        return Process(
            "service",
            [
                *(sys.executable, "-m", "tests.scenarios.service"),
                *("--port", str(self._port), *self._arguments),
            ],
            log=self._log,
            ready=lambda: answers(f"http://{self.address}/"),
            env=self._env,
        )


if __name__ == "__main__":
    main()
