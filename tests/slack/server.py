"""A Slack on loopback: one workspace with one app. README.md beside it says what it enforces.

Wires the parts together and breaks them on demand. What the app may call is in `web_api` and
`view_api`, how things reach the app in `delivery` and `socket_mode`, what people do in `person`,
what they read in `workspace`, what they see in `page`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from tests.slack import arguments
from tests.slack import manifest as manifests
from tests.slack.app import APP_ID, APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, App
from tests.slack.clock import Clock
from tests.slack.delivery import Click, Delivery
from tests.slack.errors import ApiError
from tests.slack.limits import Limits
from tests.slack.page_web import Pages
from tests.slack.person import Person
from tests.slack.socket_mode import SocketMode
from tests.slack.view_api import ViewApi
from tests.slack.web_api import Method, WebApi
from tests.slack.workspace import BOT_USER, Channel, Message, Private, UserGroup, Workspace

__all__ = ["APP_ID", "APP_TOKEN", "BOT_TOKEN", "BOT_USER", "SIGNING_SECRET", "Outage", "Slack"]

Outage = Literal["refuse", "500", "502", "503", "hang", "html", "reset"]
"""Refuse connections; answer with such a status; never answer; answer a page with status 200; do
what is asked and cut the connection instead of answering."""

_PAGE = "<html><body><h1>Something went wrong</h1></body></html>"


@dataclass
class _Trouble:
    kind: Outage
    left: int | None


class Slack:
    """One workspace with one app. Start it, give the app `api_url`, then read and click."""

    def __init__(
        self, *channels: str, token: str = BOT_TOKEN, signing_secret: str = SIGNING_SECRET
    ) -> None:
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        """The time of messages, and that clicks are signed with."""
        self.clock = Clock()
        """What expires by; `clock.advance` lets time pass."""
        self.app = App(token=token, signing_secret=signing_secret)
        self.calls: list[str] = []
        """The methods that were called and let in, in order."""
        self.workspace = Workspace(channels or ("C0123456789",), self._time)
        self.limits = Limits(self.clock)
        self.socket = SocketMode(self.clock, APP_ID)
        self.api = WebApi(self.workspace, self.app)
        self.views = ViewApi(self.workspace, self.app, self.clock)
        self.delivery = Delivery(self.workspace, self.app, self.api, self.socket, self.clock)
        self._methods: Mapping[str, Method] = {
            "apps.connections.open": self._connections_open,
            **self.api.methods,
            **self.views.methods,
        }
        self._people: dict[str, Person] = {}
        self._troubles: dict[str | None, _Trouble] = {}
        self._slow_s: dict[str | None, float] = {}
        self._back = asyncio.Event()
        self._answering = asyncio.Event()
        self._answering.set()
        self._held: str | None = None
        application = web.Application()
        application.router.add_route("*", "/api/{method}", self._api)
        application.router.add_post("/actions/{key}", self._guarded(self.delivery.respond))
        application.router.add_get("/link/", self._guarded(self.socket.serve))
        self.pages = Pages(self)
        application.add_routes(self.pages.routes)
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
        self._port = 0

    # -- its life

    async def start(self, *, port: int = 0) -> "Slack":
        """Listen on this loopback port; 0: on a free one."""
        self._port = port
        await self._runner.setup()
        await self._listen()
        await self.delivery.start(self.url)
        return self

    async def stop(self) -> None:
        """Stop listening."""
        self._back.set()
        self._answering.set()
        await self.socket.close()
        await self.delivery.stop()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """What `slack.api_url` must be set to."""
        return f"{self.url}/api/"

    # -- the app's settings

    @property
    def token(self) -> str:
        """The bot token."""
        return self.app.token

    @property
    def app_token(self) -> str:
        """The app-level token."""
        return self.app.app_token

    @property
    def signing_secret(self) -> str:
        """What requests to the app are signed with."""
        return self.app.signing_secret

    @property
    def scopes(self) -> set[str]:
        """What the bot token may do."""
        return self.app.scopes

    @property
    def app_scopes(self) -> set[str]:
        """What the app-level token may do."""
        return self.app.app_scopes

    @property
    def app_url(self) -> str:
        """Where clicks go: the app's interactivity request URL."""
        return self.app.interactivity_url

    @app_url.setter
    def app_url(self, url: str) -> None:
        self.app.interactivity_url = url

    @property
    def socket_mode(self) -> bool:
        """Whether clicks, commands and events go over Socket Mode."""
        return self.app.socket_mode

    @socket_mode.setter
    def socket_mode(self, on: bool) -> None:
        self.app.socket_mode = on

    def install(self, manifest: Path) -> "Slack":
        """Make the app what a user gets from this manifest; URLs are still the test's to set."""
        manifests.install(self.app, manifests.load(manifest))
        return self

    # -- the workspace

    @property
    def private(self) -> list[Private]:
        """What single people were told."""
        return self.workspace.private

    def channel(self, name: str) -> Channel:
        """Return a channel by its id."""
        return self.workspace.channels[name]

    def add(self, channel: str, *, name: str = "oncall", private: bool = False) -> Channel:
        """Make a channel, unless it is there, and invite the app to it."""
        made = Channel(channel, name=name, private=private)
        return self.workspace.channels.setdefault(channel, made)

    def add_group(self, group: str, handle: str, users: Iterable[str] = ()) -> UserGroup:
        """Make a user group of these people."""
        members = [self.workspace.person(one).id for one in users]
        made = UserGroup(group, handle, members)
        self.workspace.groups[group] = made
        return made

    def person(self, user: str, name: str = "") -> Person:
        """Return a person, who joins the workspace if need be."""
        if user not in self._people:
            self._people[user] = Person(user, self.workspace, self.app, self.delivery, self.views)
        if name:
            self.workspace.person(user).name = name
        return self._people[user]

    async def click(
        self,
        message: Message | Private,
        label: str,
        *,
        user: str,
        **tampering: Any,
    ) -> Click:
        """Press a button as a user; `person(user).press` with what `Delivery.send` takes."""
        click = await self.person(user).press(message, label, **tampering)
        assert click is not None
        return click

    async def send(self, body: bytes, **tampering: Any) -> Click:
        """Post a body to the app, signed as Slack signs unless told otherwise."""
        return await self.delivery.send(body, **tampering)

    def expire_response_urls(self) -> None:
        """Let thirty minutes pass for every click so far."""
        self.delivery.expire_response_urls()

    # -- trouble

    @property
    def turned_away(self) -> int:
        """How many calls were answered 429."""
        return self.limits.turned_away

    def limit(self, burst: float | None) -> None:
        """Take so many calls of a kind at once and then as documented; None: no limit."""
        self.limits.limit(burst)

    def throttle(self, retry_after_s: int | None, method: str | None = None) -> None:
        """Answer every call (of one method) with 429 and this `Retry-After`, until None."""
        self.limits.throttle(retry_after_s, method)

    def hold_answers(self, method: str | None = None) -> None:
        """Do what is asked (of one method) at once, and answer only after `answer`."""
        self._held = method
        self._answering.clear()

    def answer(self) -> None:
        """Answer what was held, and all that follows."""
        self._answering.set()

    def slow(self, seconds: float, method: str | None = None) -> None:
        """Do what is asked, and answer so much later; 0: at once."""
        self._slow_s[method] = seconds

    async def outage(
        self, kind: Outage, method: str | None = None, *, times: int | None = None
    ) -> None:
        """Break down, as a whole or in one method, for so many calls or until `recover`."""
        self._troubles[method] = _Trouble(kind, times)
        self._back.clear()
        if method is not None:
            return
        if kind == "hang":
            self.socket.silence()
        if kind == "refuse":
            for site in list(self._runner.sites):
                await site.stop()
            self.socket.drop()

    async def recover(self) -> None:
        """Work again, at the same address."""
        self._troubles.clear()
        self.socket.silence(False)
        self._back.set()
        if not self._runner.sites:
            await self._listen()

    # -- HTTP

    def _time(self) -> datetime:
        return self.now()

    async def _listen(self) -> None:
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        if not self._port:
            self._port = self._runner.addresses[0][1]

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Let a handler of something else than a method take part in the whole's outages."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            broken = await self._breakdown(request, self._trouble(None))
            return broken or await handler(request)

        return guarded

    def _trouble(self, method: str | None) -> Outage | None:
        for name in {method, None}:
            found = self._troubles.get(name)
            if found is None or found.left == 0:
                continue
            if found.left is not None:
                found.left -= 1
            return found.kind
        return None

    async def _breakdown(self, request: web.Request, kind: Outage | None) -> web.Response | None:
        """What is answered in place of an answer, where nothing is done."""
        if kind == "refuse" and request.transport is not None:
            request.transport.abort()  # a connection from before
        if kind in ("refuse", "hang"):
            await self._back.wait()
            return web.Response(status=503)  # whoever asked has gone; it must not be done now
        if kind in ("500", "502", "503"):
            return web.Response(status=int(kind), text=_PAGE, content_type="text/html")
        if kind == "html":
            return web.Response(text=_PAGE, content_type="text/html")
        return None

    async def _api(self, request: web.Request) -> web.Response:
        name = request.match_info["method"]
        trouble = self._trouble(name)
        broken = await self._breakdown(request, trouble)
        if broken is not None:
            return broken
        headers = {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
        try:
            if name not in self._methods:
                raise ApiError("unknown_method", req_method=name)
            self._authenticate(request, name)
            given = await arguments.read(request)
            wait_s = self.limits.wait_s(name, str(given.get("channel", "")))
            if wait_s:
                return _too_many(wait_s)
            answer = {"ok": True, **self._methods[name](given)}
            self.calls.append(name)
        except ApiError as error:
            return web.json_response(error.body, headers=headers)
        if trouble == "reset" and request.transport is not None:
            request.transport.abort()  # taken, but nobody learns it
        if self._held in (None, name):
            await self._answering.wait()
        slow_s = self._slow_s.get(name, self._slow_s.get(None, 0.0))
        await self.clock.until(self.clock.now() + slow_s)
        return web.json_response(answer, headers=headers)

    def _authenticate(self, request: web.Request, method: str) -> None:
        given = request.headers.get("Authorization", "")
        if not given.startswith("Bearer "):
            raise ApiError("not_authed")
        token = given.removeprefix("Bearer ")
        if token not in (self.token, self.app_token):
            raise ApiError("invalid_auth")
        if (token == self.app_token) != (method == "apps.connections.open"):
            raise ApiError("not_allowed_token_type")

    def _connections_open(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        scope = "connections:write"
        if scope not in self.app_scopes:
            provided = ",".join(sorted(self.app_scopes))
            raise ApiError("missing_scope", needed=scope, provided=provided)
        return {"url": f"ws://127.0.0.1:{self._port}/link/?{self.socket.ticket()}"}


def _too_many(retry_after_s: int) -> web.Response:
    return web.json_response(
        {"ok": False, "error": "ratelimited"},
        status=429,
        headers={"Retry-After": str(retry_after_s)},
    )
