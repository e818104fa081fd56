"""Loopback servers in the API server's place, and one between us and the real one."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.servers.kubernetes import ControlPlane

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PASSED_ON = ("Content-Type", "Accept")


def kubeconfig_for(folder: Path, url: str) -> Path:
    """A kubeconfig for a server."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


@asynccontextmanager
async def api_that(answers: Handler) -> AsyncIterator[str]:
    """A server that answers every request by one function."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers)
    runner = web.AppRunner(app, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


Pass = Callable[[], Awaitable[web.Response]]
Strike = Callable[[web.Request, Pass], Awaitable[web.StreamResponse]]
"""What happens to a request in place of passing it on, which it may do itself."""


class Between:
    """Passes requests on to the real API server; a test has it strike at real writes.

    A dry run is no write.
    """

    def __init__(self, strike: Strike | None = None) -> None:
        """`strike` at the first write."""
        self._strike = strike
        self._left = 1 if strike else 0
        self._reads_too = False
        self.written_at: list[float] = []
        """When each write came, on the clock that never goes back."""
        self.made = 0
        """How many changes the API server has made for them, whoever was told."""
        self.struck = 0
        """At how many requests it has struck."""

    @property
    def writes(self) -> int:
        """How many have come."""
        return len(self.written_at)

    def strike(self, strike: Strike, *, times: int = 1, reads_too: bool = False) -> None:
        """Strike at the next so many writes, or at whatever comes."""
        self._strike, self._left, self._reads_too = strike, times, reads_too

    def calm(self) -> None:
        """Strike no more."""
        self._left = 0

    @asynccontextmanager
    async def to(self, cp: ControlPlane, folder: Path) -> AsyncIterator[Path]:
        """A kubeconfig through which the API server is reached by way of this."""
        context = ssl.create_default_context(cafile=str(cp.ca))
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def answer(request: web.Request) -> web.StreamResponse:
                body = await request.read()
                write = self._is_write(request, body)
                if write:
                    self.written_at.append(time.monotonic())

                async def pass_on() -> web.Response:
                    said = await _passed_on(session, cp, request, body)
                    self.made += write and said.status < 300
                    return said

                if self._left and self._strike is not None and (write or self._reads_too):
                    self._left -= 1
                    self.struck += 1
                    return await self._strike(request, pass_on)
                return await pass_on()

            async with api_that(answer) as url:
                yield kubeconfig_for(folder, url)

    @staticmethod
    def _is_write(request: web.Request, body: bytes) -> bool:
        dry = "dryRun" in request.query_string or b"dryRun" in body
        return request.method != "GET" and not dry


async def _passed_on(
    session: aiohttp.ClientSession, cp: ControlPlane, request: web.Request, body: bytes
) -> web.Response:
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    headers["Authorization"] = f"Bearer {cp.token()}"
    url = cp.url + request.raw_path
    try:
        async with session.request(
            request.method, url, data=body or None, headers=headers
        ) as answer:
            text = await answer.read()
    except aiohttp.ClientConnectionError:
        _hang_up(request)  # as the client would see it without us
        raise
    return web.Response(body=text, status=answer.status, content_type="application/json")


def faster(theirs: Callable[[], None]) -> Strike:
    """Somebody else does something when the request has come and before it is passed on."""

    async def strike(request: web.Request, pass_on: Pass) -> web.StreamResponse:
        await asyncio.to_thread(theirs)
        return await pass_on()

    return strike


def refused(status: int, reason: str, **headers: str) -> Strike:
    """The API server refuses, by a Status as it sends them; nothing is changed."""

    async def strike(request: web.Request, pass_on: Pass) -> web.StreamResponse:
        said = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": f"injected: {reason}",
            "reason": reason,
            "code": status,
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(said, status=status, headers=named)

    return strike


async def lost_answer(request: web.Request, pass_on: Pass) -> web.StreamResponse:
    """The change is made, and nobody is told."""
    answer = await pass_on()
    _hang_up(request)
    return answer


async def lost_request(request: web.Request, pass_on: Pass) -> web.StreamResponse:
    """The connection breaks before the request has arrived: nothing is changed."""
    _hang_up(request)
    return web.Response()


async def half_answer(request: web.Request, pass_on: Pass) -> web.StreamResponse:
    """The change is made, and the connection breaks in the middle of the answer."""
    whole = await pass_on()
    assert isinstance(whole.body, bytes)
    half = web.StreamResponse(headers={"Content-Type": "application/json"})
    half.content_length = len(whole.body)
    await half.prepare(request)
    await half.write(whole.body[: len(whole.body) // 2])
    _hang_up(request)
    return half


async def no_answer(request: web.Request, pass_on: Pass) -> web.StreamResponse:
    """The change is made, and the answer takes longer than anybody waits."""
    answer = await pass_on()
    await asyncio.Event().wait()  # until the client has gone
    return answer


def _hang_up(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
