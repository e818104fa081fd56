"""Proves the client's watch: resumed, cancelled, refused, cut; on the real API server where it can
be brought about there, else on a loopback server that answers as the API documents."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from remediator.clients.errors import Missing, Refused, Unavailable
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import PODS, RUNBOOKS, Resource
from remediator.clients.kubernetes.watching import Event, Gone, Kind
from remediator.settings import KubernetesSettings
from tests.actions.kubernetes.loopback import api_that, kubeconfig_for
from tests.servers.kubernetes import ControlPlane
from tests.servers.waiting import eventually_async

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


@asynccontextmanager
async def _client(kubeconfig: Path, **more: Any) -> AsyncIterator[Kubernetes]:
    client = Kubernetes(KubernetesSettings(kubeconfig=kubeconfig, **more))
    try:
        yield client
    finally:
        await client.close()


def _config_map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def _next(events: AsyncIterator[Event], name: str) -> Event:
    """The next event about an object of this name."""
    async with asyncio.timeout(20):
        async for event in events:
            if event.object["metadata"].get("name") == name:
                return event
    raise LookupError(f"the watch ended before {name} came")


async def test_it_goes_on_where_a_listing_or_an_earlier_watch_stopped(
    control_plane: ControlPlane, namespace: str
) -> None:
    async with _client(control_plane.kubeconfig()) as client:
        before = await client.listing(CONFIG_MAPS, namespace)
        control_plane.apply(_config_map("a", namespace, x="1"))
        async with client.watch(CONFIG_MAPS, namespace, since=before.version) as events:
            added = await _next(events, "a")
            assert added.kind is Kind.ADDED
            assert added.object["data"] == {"x": "1"}
        control_plane.apply(_config_map("a", namespace, x="2"))
        control_plane.kubectl("delete", "configmap", "a", "--namespace", namespace)
        async with client.watch(CONFIG_MAPS, namespace, since=added.version) as events:
            kinds = [(await _next(events, "a")).kind for _ in range(2)]
        assert kinds == [Kind.MODIFIED, Kind.DELETED], "nothing is lost between two watches"
        async with client.watch(CONFIG_MAPS, None, since=added.version) as events:
            everywhere = await _next(events, "a")
            assert everywhere.object["metadata"]["namespace"] == namespace


async def test_what_is_not_allowed_or_not_there(
    control_plane: ControlPlane, namespace: str
) -> None:
    async with _client(control_plane.kubeconfig("nobody")) as client:
        with pytest.raises(Refused, match=r"may not watch pod .* lack watch on pods"):
            async with client.watch(PODS, namespace, since="1"):
                pass
    async with _client(control_plane.kubeconfig()) as client:
        unknown = Resource("nobody.example", "v1", "things", "Thing")
        with pytest.raises(Missing):
            await client.listing(unknown, None)
        with pytest.raises(Missing):
            async with client.watch(unknown, None, since="1"):
                pass


async def test_more_than_wanted_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    del namespace
    async with _client(control_plane.kubeconfig()) as client:
        roles = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
        assert len((await client.listing(roles, None, most=10_000)).items) > 10


# --------------------------------------------------------------------------- what servers do


class Server:
    """Answers watches with what a test puts into it."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.asked: list[dict[str, str]] = []
        self.open = 0
        self.statuses: list[int] = []
        """Answered first, one a request."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One watch."""
        self.asked.append(dict(request.query))
        if self.statuses:
            return web.json_response({"kind": "Status"}, status=self.statuses.pop(0))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self.open += 1
        try:
            while (line := await self.lines.get()) is not None:
                await response.write(line)
        finally:
            self.open -= 1
        return response

    def say(self, kind: str, version: str, **more: Any) -> None:
        """Send an event."""
        told = {"metadata": {"name": "a", "namespace": "n", "resourceVersion": version}, **more}
        self.lines.put_nowait(json.dumps({"type": kind, "object": told}).encode() + b"\n")


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[tuple[Server, Kubernetes]]:
    server = Server()
    async with (
        api_that(server.answer) as url,
        _client(kubeconfig_for(folder, url), timeout_s=5) as client,
    ):
        yield server, client


async def _all(client: Kubernetes) -> list[Event]:
    """Every event of a watch, to its end."""
    async with client.watch(RUNBOOKS, None, since="1") as events:
        return [event async for event in events]


async def test_it_asks_for_bookmarks_and_an_end(tmp_path: Path) -> None:
    async with _served(tmp_path) as (server, client):
        server.say("BOOKMARK", "17")
        server.lines.put_nowait(None)
        async with client.watch(RUNBOOKS, "shop", since="7") as events:
            seen = [event async for event in events]
        assert [(one.kind, one.version) for one in seen] == [(Kind.BOOKMARK, "17")]
        (asked,) = server.asked
        assert asked["resourceVersion"] == "7"
        assert asked["allowWatchBookmarks"] == "true"
        assert 200 <= int(asked["timeoutSeconds"]) < 300


async def test_events_come_whole_however_they_are_cut(tmp_path: Path) -> None:
    async with _served(tmp_path) as (server, client):
        server.say("ADDED", "1", spec={"text": "ä" * 200_000})
        server.say("ADDED", "2")
        whole = b"".join(server.lines.get_nowait() or b"" for _ in range(2))
        for at in range(0, len(whole), 70_001):
            server.lines.put_nowait(whole[at : at + 70_001])
        server.lines.put_nowait(None)
        async with client.watch(RUNBOOKS, None, since="0") as events:
            assert [event.version async for event in events] == ["1", "2"]


@pytest.mark.parametrize("how", ["status", "event"])
async def test_410_means_that_all_must_be_listed_anew(tmp_path: Path, how: str) -> None:
    async with _served(tmp_path) as (server, client):
        if how == "status":
            server.statuses = [410]
        else:
            expired = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            server.lines.put_nowait(
                json.dumps({"type": "ERROR", "object": expired}).encode() + b"\n"
            )
        with pytest.raises(Gone):
            await _all(client)


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b'{"type": "ADDED"}\n',
        b'{"type": "NEW", "object": {"metadata": {"resourceVersion": "1"}}}\n',
        b'{"type": "ERROR", "object": {"code": 500, "message": "etcd is slow"}}\n',
        b"[1]\n",
        b"x" * (9 * 1024 * 1024),
    ],
    ids=["no json", "no object", "unknown kind", "error", "list", "endless"],
)
async def test_what_is_no_event_ends_the_watch(tmp_path: Path, line: bytes) -> None:
    async with _served(tmp_path) as (server, client):
        server.lines.put_nowait(line)
        with pytest.raises(Unavailable):
            await _all(client)
        await eventually_async(lambda: not server.open, what="the connection to be closed")


async def test_cancelled_while_it_waits_it_leaves_nothing_behind(tmp_path: Path) -> None:
    async with _served(tmp_path) as (server, client):
        begun = asyncio.Event()

        async def follow() -> None:
            async with client.watch(RUNBOOKS, None, since="1") as events:
                begun.set()
                async for _ in events:
                    pass

        tasks = [asyncio.create_task(follow()) for _ in range(5)]
        await eventually_async(lambda: server.open == 5, what="the watches")
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError)
            for one in await asyncio.gather(*tasks, return_exceptions=True)
        )
        await eventually_async(lambda: not server.open, what="the connections to be closed")


async def test_what_nobody_takes_is_not_read_ahead(tmp_path: Path) -> None:
    """A consumer that is slow makes the server wait; nothing piles up here."""
    async with _served(tmp_path) as (server, client):
        for version in range(200):
            server.say("ADDED", str(version), spec={"text": "x" * 200_000})
        async with client.watch(RUNBOOKS, None, since="1") as events:
            assert (await anext(aiter(events))).version == "0"
            for _ in range(200):
                await asyncio.sleep(0)
            assert server.lines.qsize() > 100, "40 MB are waiting at the server, not here"
            server.lines.put_nowait(None)


async def test_expired_credentials_are_renewed_once(tmp_path: Path) -> None:
    async with _served(tmp_path) as (server, client):
        server.statuses = [401]
        server.lines.put_nowait(None)
        async with client.watch(RUNBOOKS, None, since="1") as events:
            assert [event async for event in events] == []
        server.statuses = [401, 401]
        with pytest.raises(Refused, match="does not accept the credentials"):
            async with client.watch(RUNBOOKS, None, since="1"):
                pass


async def test_a_connection_that_can_not_stream_says_so() -> None:
    class Plain:
        async def send(self, *_: Any, **__: Any) -> Answer:
            raise AssertionError("nothing is sent")

        async def retire(self) -> None:
            pass

    async def connect(_: KubernetesSettings) -> Any:
        return Plain()

    client = Kubernetes(KubernetesSettings(), connect=connect)
    with pytest.raises(Refused, match="nothing can be watched"):
        async with client.watch(RUNBOOKS, None, since="1"):
            pass
