"""Proves of the stand-ins that only read: nothing but reads reaches a server, no command starts,
and a dry run is answered as the API server would."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from remediator.clients.errors import Conflict, Missing, Refused
from remediator.clients.http import HttpClient
from remediator.clients.kubernetes import Kubernetes, patches, readonly
from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import DEPLOYMENTS, PODS
from remediator.clients.readonly import Ledger, NoProcesses, NotHere, ReadOnlyHttp
from remediator.settings import ExecSettings, KubernetesSettings

LIMITS: dict[str, Any] = {"timeout_s": 5, "max_bytes": 1000}


class Server:
    """Answers everything, and keeps what came."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(f"{request.method} {request.path}")
        return web.Response(text="hello")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_only_reads_leave_the_http_stand_in(server: Server) -> None:
    ledger = Ledger()
    query = f"{server.url}/api/v1/query"
    http = ReadOnlyHttp(HttpClient(), ledger, [query])
    try:
        for method in ("GET", "HEAD", "get"):
            await http.request(method, f"{server.url}/page", **LIMITS)
        await http.request("POST", query, form={"query": "up"}, **LIMITS)
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "MOVE", "", "P\nX"):
            with pytest.raises(NotHere):
                await http.request(method, f"{server.url}/page", **LIMITS)
        for more in (
            {"method": "GET", "body": b"x"},
            {"method": "GET", "form": {"a": "b"}},
            {"method": "GET", "headers": {"x-HTTP-method-Override": "DELETE"}},
            {"method": "POST", "url": query, "body": b"query=up"},
            {"method": "POST", "url": query, "form": {"match[]": "up"}},
            {"method": "POST", "url": f"{query}/../admin/tsdb", "form": {"query": "up"}},
        ):
            with pytest.raises(NotHere):
                await http.request(**{"url": f"{server.url}/page", **LIMITS, **more})
    finally:
        await http.close()
    assert server.seen == ["GET /page", "HEAD /page", "GET /page", "POST /api/v1/query"]
    assert len(ledger.withheld) == 15
    assert ledger.of_today == 3, "a query to Prometheus is for the time that is meant"


async def test_a_password_in_a_url_is_not_put_down(server: Server) -> None:
    ledger = Ledger()
    http = ReadOnlyHttp(HttpClient(), ledger)
    with pytest.raises(NotHere) as raised:
        await http.request("POST", "http://ann:s3cret@shop/x?token=s3cret", **LIMITS)
    assert "s3cret" not in str(raised.value) + str(ledger.withheld)


async def test_no_command_is_started(tmp_path: Path) -> None:
    ledger = Ledger()
    runner = NoProcesses(ExecSettings(allow=("/usr/bin/touch",), host="box"), ledger)
    command = ["/usr/bin/touch", str(tmp_path / "made"), "--password", "hunter2hunter2"]
    done = await runner.run(command, environment={}, cwd="/", timeout_s=5)
    assert (done.exit_code, done.stdout, runner.host) == (1, "", "box")
    assert not (tmp_path / "made").exists()
    assert len(ledger.assumed) == 1
    assert "hunter2" not in ledger.assumed[0]
    with pytest.raises(Refused):
        await runner.run(["/bin/rm", "x"], environment={}, cwd="/", timeout_s=5)


class Recorded:
    """A link that holds a few objects, and keeps what was asked of it."""

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self.objects = objects
        self.asked: list[str] = []

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
        self.asked.append(f"{method} {path}")
        found = self.objects.get(path)
        return Answer(200 if found else 404, json.dumps(found or {}).encode(), None)

    async def retire(self) -> None:
        """Nothing is open."""


def _deployment(name: str = "api") -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "uid": "u1", "resourceVersion": "7"},
        "spec": {"replicas": 4, "template": {"metadata": {"annotations": {"a": "1"}}}},
    }


def _client(link: Recorded) -> tuple[Kubernetes, Ledger]:
    ledger = Ledger()

    async def connect(_: KubernetesSettings) -> Recorded:
        return link

    return Kubernetes(KubernetesSettings(), readonly.connecting(ledger, connect)), ledger


PATH = "/apis/apps/v1/namespaces/shop/deployments/api"


async def test_a_dry_run_is_answered_from_what_is_read() -> None:
    link = Recorded({PATH: _deployment(), f"{PATH}/scale": _deployment()})
    client, ledger = _client(link)
    patch = {"spec": {"replicas": 6, "paused": None}, "metadata": {"resourceVersion": "7"}}
    after = await client.patch(DEPLOYMENTS, "shop", "api", patch, sub="scale", dry_run=True)
    assert after["spec"]["replicas"] == 6
    replacing = [{"op": "replace", "path": "/spec/template", "value": {"new": True}}]
    after = await client.patch(DEPLOYMENTS, "shop", "api", replacing, dry_run=True)
    assert after["spec"] == {"replicas": 4, "template": {"new": True}}
    await client.delete(DEPLOYMENTS, "shop", "api", uid="u1", dry_run=True)
    with pytest.raises(Conflict):
        await client.delete(DEPLOYMENTS, "shop", "api", uid="other", dry_run=True)
    stale = {"metadata": {"resourceVersion": "6"}}
    with pytest.raises(Conflict):
        await client.patch(DEPLOYMENTS, "shop", "api", stale, dry_run=True)
    wrong = [{"op": "test", "path": "/spec/replicas", "value": 1}]
    with pytest.raises(Refused):
        await client.patch(DEPLOYMENTS, "shop", "api", wrong, dry_run=True)
    with pytest.raises(Missing):
        await client.patch(DEPLOYMENTS, "shop", "gone", {}, dry_run=True)
    assert all(asked.startswith("GET ") for asked in link.asked)
    assert ledger.withheld == []


async def test_only_reads_leave_the_link() -> None:
    link = Recorded({PATH: _deployment()})
    client, ledger = _client(link)
    with pytest.raises(NotHere):
        await client.patch(DEPLOYMENTS, "shop", "api", {"spec": {"replicas": 0}})
    with pytest.raises(NotHere):
        await client.delete(DEPLOYMENTS, "shop", "api", uid="u1")
    for method, path, query, body in (
        ("POST", PATH, [("dryRun", "All")], {}),
        ("PUT", PATH, [], {}),
        ("patch", PATH, [("dryRun", "None")], {}),
        ("DELETE", PATH, [("dryrun", "All")], None),
        ("GET", PATH, [], {"kind": "x"}),
        ("GET", "/api/v1/namespaces/shop/pods/web-1/exec", [("command", "rm")], None),
        ("GET", "/api/v1/namespaces/shop/pods/web-1%2Fexec", [], None),
        ("GET", "/api/v1/namespaces/shop/services/web/proxy/reset", [], None),
        ("GET", "/api/v1/nodes/node-1/proxy/run", [], None),
        ("GET", "/api/v1/proxy/namespaces/shop/services/web/reset", [], None),
        ("GET", "/api/v1/namespaces/shop/pods/x/../web-1/exec", [], None),
        ("GET", "//api/v1/namespaces/shop/pods/web-1/exec", [], None),
        ("GET", "/api/v1/namespaces/shop/pods/web-1/exec?command=rm", [], None),
    ):
        only = readonly.ReadOnlyLink(link, ledger)
        with pytest.raises(NotHere):
            await only.send(method, path, query, accept="", content_type=None, body=body)
    assert link.asked == []
    assert len(ledger.withheld) == 15


async def test_an_object_may_be_called_proxy() -> None:
    path = "/api/v1/namespaces/exec/pods/proxy"
    link = Recorded({path: {"kind": "Pod"}})
    client, _ = _client(link)
    assert await client.get(PODS, "exec", "proxy") == {"kind": "Pod"}


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"b": {"c": 2, "d": 3}}, {"b": {"c": None, "e": 4}}, {"b": {"d": 3, "e": 4}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": {"c": None, "d": 1}}}, {"a": {"b": {"d": 1}}}),
    ],
)  # fmt: skip
def test_merge_patches(target: Any, patch: Any, merged: Any) -> None:
    before = json.dumps(target)
    assert patches.merge(target, patch) == merged
    assert json.dumps(target) == before


@pytest.mark.parametrize(
    ("operations", "after"),
    [
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3], "x/y": "z"}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2], "x/y": "z"}),
        ([{"op": "remove", "path": "/a/0"}], {"a": [2], "x/y": "z"}),
        ([{"op": "replace", "path": "/x~1y", "value": 1}], {"a": [1, 2], "x/y": 1}),
        ([{"op": "move", "from": "/x~1y", "path": "/b"}], {"a": [1, 2], "b": "z"}),
        ([{"op": "copy", "from": "/a/1", "path": "/b"}], {"a": [1, 2], "x/y": "z", "b": 2}),
        ([{"op": "replace", "path": "", "value": 5}], 5),
    ],
)
def test_json_patches(operations: Any, after: Any) -> None:
    assert patches.json_patch({"a": [1, 2], "x/y": "z"}, operations) == after


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "remove", "path": "/a/7"},
        {"op": "add", "path": "/a/9", "value": 1},
        {"op": "test", "path": "/a", "value": 1},
        {"op": "add", "path": "b", "value": 1},
        {"op": "burn", "path": "/a"},
    ],
)
def test_what_does_not_fit_is_refused(operation: Any) -> None:
    with pytest.raises(patches.BadPatch):
        patches.json_patch({"a": [1, 2]}, [operation])
