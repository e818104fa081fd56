"""What the loopback services have in common: a free port, outages, throttles, and their end."""

from dataclasses import dataclass, field
from typing import Self

from aiohttp import web


@dataclass
class Loopback:
    """A service on loopback. Start it, give the client `url`."""

    fail_with: int | None = None
    """Answer every request with this status: 429, 500 …"""
    retry_after_s: int | None = None
    lose_answers: int = 0
    """Take so many of the next requests, and break off before the answer."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    _runner: web.AppRunner = field(init=False)

    def __post_init__(self) -> None:
        application = web.Application(client_max_size=8 * 2**20, middlewares=[self._trouble])
        self.routes(application.router)
        self._runner = web.AppRunner(application, shutdown_timeout=1)

    def routes(self, router: web.UrlDispatcher) -> None:
        """Add what is served."""
        raise NotImplementedError

    async def start(self) -> Self:
        """Listen on a free loopback port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def stop(self) -> None:
        """Stop listening. Idempotent."""
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    @web.middleware
    async def _trouble(self, request: web.Request, handler: object) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        if self.fail_with is not None:
            wait = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
            return web.Response(status=self.fail_with, headers=wait)
        assert callable(handler)
        answer: web.StreamResponse = await handler(request)
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return answer
