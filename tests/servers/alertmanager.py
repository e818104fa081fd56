"""Real Alertmanagers, alone or in a high-availability cluster whose gossip can be cut."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .binaries import find
from .link import Link
from .process import Process, Server, free_port, launch
from .rest import answers, request
from .waiting import eventually

Alert = dict[str, Any]


def webhook_config(
    url: str,
    *,
    group_by: Sequence[str] = ("alertname",),
    group_wait: str = "100ms",
    group_interval: str = "1s",
    repeat_interval: str = "1h",
    bearer_token: str | None = None,
    max_alerts: int = 0,
) -> str:
    """A configuration that sends every alert to one webhook (JSON, which YAML contains)."""
    webhook: dict[str, Any] = {"url": url, "send_resolved": True, "max_alerts": max_alerts}
    if bearer_token is not None:
        webhook["http_config"] = {"authorization": {"credentials": bearer_token}}
    return json.dumps(
        {
            "route": {
                "receiver": "webhook",
                "group_by": list(group_by),
                "group_wait": group_wait,
                "group_interval": group_interval,
                "repeat_interval": repeat_interval,
            },
            "receivers": [{"name": "webhook", "webhook_configs": [webhook]}],
        }
    )


class Alertmanager(Server):
    """One Alertmanager. With `cluster` (or `peers`) it gossips, through a link of its own."""

    def __init__(
        self,
        folder: Path,
        config_text: str,
        *,
        cluster: bool = False,
        peers: Sequence[str] = (),
        peer_timeout: str = "1s",
    ) -> None:
        """`peers` are other instances' `gossip_address`; `peer_timeout` is how long the second
        waits for the first one's notification before it sends its own.
        """
        self.folder = folder
        self._config_text = config_text
        self._cluster = cluster or bool(peers)
        self._peers = peers
        self._peer_timeout = peer_timeout
        self._port = 0
        self._gossip: Link | None = None
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """The address of its web interface and API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def process(self) -> Process:
        """The process: to kill, to freeze, or to read its log."""
        assert self._process is not None, "this Alertmanager was not started"
        return self._process

    @property
    def gossip(self) -> Link:
        """The link by which its peers reach it; `cut` makes it deaf to them."""
        assert self._gossip is not None, "this Alertmanager is not in a cluster"
        return self._gossip

    def start(self) -> None:
        """Starts it, and returns when it takes alerts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(self._config_text)
        self._process = launch(self._make)

    def stop(self) -> None:
        """Stops it politely: it tells its peers that it leaves, and writes its state."""
        if self._process is not None:
            self._process.stop()
        self._close_gossip()

    def reload(self, config_text: str | None = None) -> None:
        """Loads its configuration again, or another one."""
        if config_text is not None:
            self._config.write_text(config_text)
        answer = request("POST", f"{self.url}/-/reload")
        assert answer.status == 200, f"Alertmanager refused the configuration: {answer.text}"

    def post_alerts(self, alerts: Sequence[Alert]) -> None:
        """What Prometheus does: each has `labels`, perhaps `annotations`, `startsAt`, `endsAt`."""
        answer = request("POST", f"{self.url}/api/v2/alerts", list(alerts))
        assert answer.status == 200, f"Alertmanager refused the alerts: {answer.text}"

    def alerts(self) -> list[Alert]:
        """The alerts that it holds now."""
        found: list[Alert] = request("GET", f"{self.url}/api/v2/alerts").json()
        return found

    def members(self) -> int:
        """How many instances it believes to be in the cluster, itself included."""
        cluster = request("GET", f"{self.url}/api/v2/status").json()["cluster"]
        return len(cluster.get("peers", []))

    def metric(self, name: str) -> float:
        """The sum of all series of one of its own metrics."""
        lines = request("GET", f"{self.url}/metrics").text.splitlines()
        samples = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return sum(float(value) for series, _, value in samples if series.split("{")[0] == name)

    @property
    def _config(self) -> Path:
        return self.folder / "alertmanager.yml"

    def _close_gossip(self) -> None:
        if self._gossip is not None:
            self._gossip.close()
            self._gossip = None

    def _make(self) -> Process:
        self._port = free_port()
        return Process(
            "alertmanager",
            [
                find("alertmanager"),
                f"--config.file={self._config}",
                f"--storage.path={self.folder / 'storage'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                *(self._cluster_flags() if self._cluster else ["--cluster.listen-address="]),
            ],
            log=self.folder / "alertmanager.log",
            ready=lambda: answers(f"{self.url}/-/ready"),
        )

    def _cluster_flags(self) -> list[str]:
        """Peers know the link's address alone, so that every packet to it passes the link."""
        self._close_gossip()
        port = free_port()
        self._gossip = Link(port, udp=True)
        return [
            f"--cluster.listen-address=127.0.0.1:{port}",
            f"--cluster.advertise-address={self._gossip.address}",
            f"--cluster.peer-timeout={self._peer_timeout}",
            "--cluster.settle-timeout=0s",
            "--cluster.tcp-timeout=1s",
            "--cluster.probe-timeout=200ms",
            "--cluster.probe-interval=400ms",
            "--cluster.pushpull-interval=2s",
            "--cluster.reconnect-interval=500ms",
            *(f"--cluster.peer={peer}" for peer in self._peers),
        ]


class AlertmanagerCluster(Server):
    """Two Alertmanagers with one configuration, as a high-availability pair."""

    def __init__(self, folder: Path, config_text: str, *, peer_timeout: str = "1s") -> None:
        self._folder = folder
        self._config_text = config_text
        self._peer_timeout = peer_timeout
        self.members: list[Alertmanager] = []

    def start(self) -> None:
        """Starts both, and returns when each knows the other."""
        for number in (1, 2):
            member = Alertmanager(
                self._folder / f"alertmanager-{number}",
                self._config_text,
                cluster=True,
                peers=[peer.gossip.address for peer in self.members],
                peer_timeout=self._peer_timeout,
            )
            self.members.append(member)
            member.start()
        self.wait_members(2)

    def stop(self) -> None:
        """Stops both."""
        while self.members:
            self.members.pop().stop()

    def cut(self) -> None:
        """Neither hears the other any more; both still reach their receivers."""
        for member in self.members:
            member.gossip.cut()

    def heal(self) -> None:
        """They hear each other again, and join within seconds (see `wait_members`)."""
        for member in self.members:
            member.gossip.heal()

    def wait_members(self, count: int, timeout_s: float = 30.0) -> None:
        """Returns when each believes the cluster to have `count` members."""
        eventually(
            lambda: all(member.members() == count for member in self.members),
            timeout_s,
            what=f"each Alertmanager to count {count} members of the cluster",
        )
