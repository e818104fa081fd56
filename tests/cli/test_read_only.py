"""Proves on a real API server that `simulate`, `replay` and `record` change nothing, with
credentials that may change everything, and with third-party actions whose plans try hard.

What reached the API server is in its audit log, which it writes before it does anything.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from remediator.clients.http import HttpClient
from remediator.clients.kubernetes.connection import USER_AGENT
from tests.actions.kubernetes.worlds import deployment, start
from tests.cli.commands import notification, remediator
from tests.servers.kubernetes import ControlPlane
from tests.servers.webhook import WebhookReceiver

# A distribution of a stranger, as pip would install it. Its plan tries every way to change
# something, and hides that it failed.
ROGUE = """
import os
import socket
import subprocess
import sys
import threading
import urllib.request

from remediator.clients.http import HttpClient
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.kubernetes.resources import DEPLOYMENTS, PODS, Resource
from remediator.clients.process import ProcessRunner
from remediator.clients.slack.client import SlackClient
from remediator.model.plans import Change, Impact, Plan, Target
from remediator.plugin.action import Action, ActionParams

LIMITS = {"timeout_s": 5, "max_bytes": 1000}


async def tried(call):
    try:
        await call
    except Exception as error:
        print("TRIED", type(error).__name__, error, file=sys.stderr)
    else:
        print("TRIED done", file=sys.stderr)


async def by_itself(function, *args, **more):
    function(*args, **more)


async def in_a_thread(touch):
    failed = []

    def run():
        try:
            subprocess.run(["touch", touch])
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


class Headers(dict):
    def __init__(self, touch):
        super().__init__(a="b")
        self.touch = touch

    def items(self):
        subprocess.run(["touch", self.touch])
        return super().items()


class Rogue(Action["Rogue.Params"]):
    name = "rogue.change"
    summary = "Changes what it is asked to plan."
    example = "{namespace: shop, url: http://example.org, touch: /tmp/x}"

    class Params(ActionParams):
        namespace: str
        url: str
        touch: str

    async def plan(self, params, ctx):
        kube, http = ctx.client(Kubernetes), ctx.client(HttpClient)
        where = params.namespace
        api = await kube.get(DEPLOYMENTS, where, "api")
        uid = api["metadata"]["uid"]
        link = await kube._connect()
        path = DEPLOYMENTS.path(where, "api")
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}}
        odd = Resource("", "v1", "pods/x/exec", "Pod")
        calls = [
            kube.patch(DEPLOYMENTS, where, "api", {"spec": {"replicas": 0}}),
            kube.patch(DEPLOYMENTS, where, "api", [{"op": "remove", "path": "/spec"}], sub="scale"),
            kube.delete(DEPLOYMENTS, where, "api", uid=uid),
            kube.get(odd, where, "y"),
            kube._send("PUT", _request(where), body=api),
            *(
                link.send(m, p, q, accept="application/json", content_type=t, body=b)
                for m, p, q, t, b in (
                    ("POST", f"/api/v1/namespaces/{where}/secrets", (), "application/json", secret),
                    ("DELETE", path, (("dryRun", ""),), "application/json", {}),
                    ("PATCH", path, (), "application/merge-patch+json", {"spec": {"paused": True}}),
                    ("post", f"/api/v1/namespaces/{where}/pods/a/eviction", (), None, {}),
                    ("GET", f"/api/v1/namespaces/{where}/pods/a/exec", (), None, None),
                )
            ),
            http.request("POST", params.url, body=b"x", **LIMITS),
            http.request("DELETE", params.url, **LIMITS),
            http.request("GET", params.url, headers={"X-HTTP-Method-Override": "PUT"}, **LIMITS),
            ctx.client(ProcessRunner).run(
                ["/usr/bin/touch", params.touch], environment={}, cwd="/", timeout_s=5
            ),
            ctx.prove_alive(),
            by_itself(subprocess.run, ["touch", params.touch]),
            by_itself(os.system, "touch " + params.touch),
            by_itself(os.posix_spawn, "/usr/bin/touch", ["touch", params.touch], {}),
            by_itself(open, params.touch, "w"),
            by_itself(os.open, params.touch, os.O_CREAT | os.O_WRONLY),
            by_itself(os.remove, params.touch + ".there"),
            by_itself(urllib.request.urlopen, params.url, b"x"),
            in_a_thread(params.touch),
            http.request("GET", params.url, headers=Headers(params.touch), **LIMITS),
        ]
        for call in calls:
            await tried(call)
        try:
            ctx.client(SlackClient)
        except Exception:
            pass
        else:
            raise AssertionError("there is a client that tells people")
        target = Target("kubernetes", "Deployment", where, "api", uid)
        change = (Change("spec.replicas", 2, 0),)
        return Plan(self.name, target, change, Impact(pods=2, of_pods=2), "replicas 2 to 0")

    async def apply(self, plan, ctx):
        raise AssertionError("nothing is applied")

    async def settled(self, plan, ctx):
        raise AssertionError("nothing is applied")


def _request(where):
    from remediator.clients.kubernetes.answers import Request

    return Request("update", DEPLOYMENTS, where, "api")
"""

RUNBOOKS = """\
name: rogue
description: Tries to change something in its plan.
match: ['alertname="Rogue"']
mode: auto
steps:
  - id: change
    action: rogue.change
    with: {{namespace: {namespace}, url: "{url}", touch: "{folder}/touched"}}
---
name: honest
description: Uses every action of ours.
match: ['alertname="Honest"']
mode: auto
steps:
  - id: restart
    action: kubernetes.rollout_restart
    with: {{namespace: {namespace}, deployment: api}}
  - id: scale
    action: kubernetes.scale
    with: {{namespace: {namespace}, deployment: api, by: "+1", max: 5}}
  - id: back
    action: kubernetes.rollout_undo
    with: {{namespace: {namespace}, deployment: api}}
  - id: pod
    action: kubernetes.delete_pod
    with: {{namespace: {namespace}, pod: "${{{{ labels.pod }}}}"}}
  - id: touch
    action: exec
    with: {{command: [/usr/bin/touch, "{folder}/touched"], plan_text: touch a file}}
"""


class Place:
    """A folder with the rogue installed, settings with the admin's credentials, and runbooks."""

    def __init__(self, folder: Path, control_plane: ControlPlane, namespace: str, url: str) -> None:
        self.folder = folder
        self.control_plane = control_plane
        self.namespace = namespace
        site = folder / "site"
        (site / "rogue-1.0.dist-info").mkdir(parents=True)
        (site / "rogue.py").write_text(ROGUE, encoding="utf-8")
        (folder / "touched.there").touch()
        (site / "rogue-1.0.dist-info" / "METADATA").write_text("Name: rogue\nVersion: 1.0\n")
        (site / "rogue-1.0.dist-info" / "entry_points.txt").write_text(
            "[remediator.plugins]\nrogue = rogue:Rogue\n"
        )
        books = folder / "books.yaml"
        books.write_text(
            RUNBOOKS.format(namespace=namespace, url=url, folder=folder), encoding="utf-8"
        )
        self.config = folder / "config.yaml"
        self.config.write_text(
            f"journal: sqlite:///{folder}/journal.db\nrunbooks: [{books}]\n"
            f"kubernetes: {{kubeconfig: {control_plane.kubeconfig()}}}\n"
            "exec: {allow: [/usr/bin/touch]}\n"
            "policy: {mode: auto, cooldown: 0s}\n",
            encoding="utf-8",
        )

    def alert(self, name: str, **labels: str) -> Path:
        """Write a notification."""
        body = notification(name, "x")
        body["alerts"][0]["labels"] |= labels
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        return file

    def run(self, *arguments: str) -> Any:
        """Run a command with the rogue installed."""
        root = Path(__file__).parents[2]
        return remediator(
            *arguments,
            "--config",
            str(self.config),
            cwd=self.folder,
            env={"PYTHONPATH": f"{root}:{self.folder / 'site'}"},
        )

    def versions(self) -> dict[str, tuple[str, int]]:
        """What there is in the namespace: each object and its generation.

        Controllers write statuses at any time; what was asked of an object they leave alone.
        """
        found = {}
        for kind in ("deployments", "replicasets", "pods", "secrets"):
            for one in self.control_plane.items(kind, self.namespace):
                meta = one["metadata"]
                found[f"{kind}/{meta['name']}"] = (meta["uid"], meta.get("generation", 0))
        return found


@pytest.fixture
def place(
    control_plane: ControlPlane, namespace: str, webhook_receiver: WebhookReceiver, tmp_path: Path
) -> Place:
    for image in ("app:v1", "app:v2"):
        start(control_plane, deployment("api", namespace, replicas=2, image=image))
    return Place(tmp_path, control_plane, namespace, webhook_receiver.url)


def _nothing_changed(place: Place, before: dict[str, tuple[str, int]], writes: int) -> None:
    assert len(place.control_plane.writes(USER_AGENT)) == writes
    assert place.versions() == before
    assert not (place.folder / "touched").exists()


@pytest.mark.parametrize("command", ["simulate", "replay"])
def test_a_rogue_plan_changes_nothing(
    place: Place, webhook_receiver: WebhookReceiver, command: str
) -> None:
    before, writes = place.versions(), len(place.control_plane.writes(USER_AGENT))
    shown = place.run(command, str(place.alert("Rogue")))
    assert shown.returncode == 0, shown.stderr + shown.stdout
    assert "replicas 2 to 0" in shown.stdout, "the plan came to its end, and thinks it succeeded"
    _nothing_changed(place, before, writes)
    assert webhook_receiver.notifications == []
    tried = [line for line in shown.stderr.splitlines() if line.startswith("TRIED ")]
    stopped = [line for line in tried if "only read" in line]
    assert len(tried) == 24
    assert len(stopped) == 23, tried
    assert tried.count("TRIED done") == 1, "a command is taken to have ended, and was not started"
    assert (place.folder / "touched.there").exists()
    assert "PATCH /apis/apps/v1/namespaces/" in shown.stdout
    assert "here everything is only read" in shown.stdout or "not done" in shown.stdout


def test_the_same_credentials_would_have_changed_it(
    place: Place, webhook_receiver: WebhookReceiver
) -> None:
    """The way the rogue takes leads to the server, were it not for the stand-in."""

    async def patch() -> None:
        from remediator.clients.kubernetes import Kubernetes  # noqa: PLC0415 - beside its use
        from remediator.clients.kubernetes.resources import DEPLOYMENTS  # noqa: PLC0415
        from remediator.settings import KubernetesSettings  # noqa: PLC0415

        access = KubernetesSettings(kubeconfig=place.control_plane.kubeconfig())
        client, http = Kubernetes(access), HttpClient()
        try:
            await client.patch(DEPLOYMENTS, place.namespace, "api", {"spec": {"replicas": 1}})
            await http.request("POST", webhook_receiver.url, body=b"{}", timeout_s=5, max_bytes=9)
        finally:
            await client.close()
            await http.close()

    writes = len(place.control_plane.writes(USER_AGENT))
    asyncio.run(patch())
    assert len(place.control_plane.writes(USER_AGENT)) == writes + 1
    assert len(webhook_receiver.notifications) == 1


@pytest.mark.parametrize("command", ["simulate", "replay"])
def test_our_own_plans_need_no_write_either(place: Place, command: str) -> None:
    """Not even the dry runs by which admission is asked otherwise."""
    pod = place.control_plane.items("pods", place.namespace)[0]["metadata"]["name"]
    before, audit = place.versions(), _asked(place)
    shown = place.run(command, str(place.alert("Honest", pod=pod)), "-o", "json")
    assert shown.returncode == 0, shown.stderr + shown.stdout
    for plan in (
        "replicas 2 → 3",
        "revision 2 (template",
        f"pod {place.namespace}/{pod}",
        "touch a file",
    ):
        assert plan in shown.stdout, shown.stdout
    assert _asked(place) == audit
    assert place.versions() == before
    assert not (place.folder / "touched").exists()


def _asked(place: Place) -> int:
    """Every request of ours that the server's audit log holds, dry runs too."""
    lines = (place.control_plane.folder / "audit.jsonl").read_text().splitlines()
    events = map(json.loads, lines)
    return sum(1 for event in events if event.get("userAgent", "").startswith(USER_AGENT))
