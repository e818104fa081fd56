"""Loopback servers in the API server's place, and one between us and the real one."""

import asyncio
import json
import ssl
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
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


class Between:
    """Passes requests on to the real API server; a test has it strike at the first real write.

    `before_write` runs when the write has arrived and before it is passed on: somebody else is
    faster. `lose_answer` passes it on and then hangs up: the change is made, and nobody is told.
    """

    def __init__(
        self, before_write: Callable[[], None] | None = None, *, lose_answer: bool = False
    ) -> None:
        self._before_write = before_write
        self._lose_answer = lose_answer
        self._struck = False
        self.writes = 0

    @asynccontextmanager
    async def to(self, cp: ControlPlane, folder: Path) -> AsyncIterator[Path]:
        """A kubeconfig through which the API server is reached by way of this."""
        context = ssl.create_default_context(cafile=str(cp.ca))
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def pass_on(request: web.Request) -> web.StreamResponse:
                body = await request.read()
                real = self._is_write(request, body)
                strike = real and not self._struck
                self.writes += real
                self._struck = self._struck or real
                if strike and self._before_write is not None:
                    await asyncio.to_thread(self._before_write)
                headers = {
                    name: request.headers[name] for name in _PASSED_ON if name in request.headers
                }
                headers["Authorization"] = f"Bearer {cp.token()}"
                url = cp.url + request.raw_path
                async with session.request(
                    request.method, url, data=body or None, headers=headers
                ) as answer:
                    text = await answer.read()
                    if strike and self._lose_answer:
                        assert request.transport is not None
                        request.transport.abort()
                    return web.Response(
                        body=text, status=answer.status, content_type="application/json"
                    )

            async with api_that(pass_on) as url:
                yield kubeconfig_for(folder, url)

    @staticmethod
    def _is_write(request: web.Request, body: bytes) -> bool:
        dry = "dryRun" in request.query_string or b"dryRun" in body
        return request.method != "GET" and not dry
