"""A Slack on loopback: the Web API's methods that we use, signed clicks, limits and outages.

Checks what the real one checks: the token and its scopes, the channel and the app's place in it,
the message and the thread, Block Kit (`blockkit`), about one post a second for each channel, the
five uses of a `response_url`. Tests read `channel("C01").messages` as a person would.
"""

import asyncio
import json
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp
from aiohttp import web

from tests.slack import blockkit, payloads
from tests.slack.clock import Clock
from tests.slack.errors import ApiError
from tests.slack.socket_mode import SocketMode
from tests.slack.workspace import (
    Bucket,
    Channel,
    Click,
    Message,
    Private,
    ResponseUrl,
    message_json,
    page,
)

BOT_TOKEN = "xoxb-loopback-1"
APP_TOKEN = "xapp-1-A01-loopback"
APP_ID = "A01"
SIGNING_SECRET = "loopback-signing-secret"
BOT_USER = "U0REMEDI8"

_RESPONSE_URL_S = 30 * 60
_RESPONSE_URL_USES = 5
_LONGEST_TEXT = 40_000

Outage = Literal["refuse", "500", "hang"]
Method = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Slack:
    """One workspace with one app. Start it, give the app `api_url`, then read and click."""

    def __init__(
        self, *channels: str, token: str = BOT_TOKEN, signing_secret: str = SIGNING_SECRET
    ) -> None:
        self.token = token
        self.app_token = APP_TOKEN
        self.app_scopes = {"connections:write"}
        """What the app-level token may do."""
        self.signing_secret = signing_secret
        self.scopes = {"chat:write"}
        self.app_url = ""
        """Where clicks go: the app's interactivity request URL."""
        self.socket_mode = False
        """Whether clicks, commands and events go over Socket Mode instead of to `app_url`."""
        self.clock = Clock()
        self.socket = SocketMode(self.clock, APP_ID)
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        """The time that clicks are signed with."""
        self.private: list[Private] = []
        self.calls: list[str] = []
        """The methods that were called and let in, in order."""
        self.turned_away = 0
        """How many calls were answered 429."""
        self._channels = {name: Channel(name) for name in channels or ("C0123456789",)}
        self._response_urls: dict[str, ResponseUrl] = {}
        self._buckets: dict[str, Bucket] = {}
        self._burst: float | None = 20.0
        self._throttled_s: int | None = None
        self._outage: Outage | None = None
        self._back = asyncio.Event()
        self._answering = asyncio.Event()
        self._answering.set()
        self._last_ts = 0
        self._methods: Mapping[str, tuple[str | None, Method]] = {
            "apps.connections.open": ("connections:write", self._connections_open),
            "auth.test": (None, self._auth_test),
            "chat.postMessage": ("chat:write", self._post),
            "chat.update": ("chat:write", self._update),
            "chat.postEphemeral": ("chat:write", self._post_ephemeral),
            "conversations.history": ("channels:history", self._history),
            "conversations.replies": ("channels:history", self._replies),
        }
        application = web.Application(middlewares=[self._outages])
        application.router.add_route("*", "/api/{method}", self._api)
        application.router.add_post("/actions/{key}", self._respond)
        application.router.add_get("/link/", self.socket.serve)
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
        self._port = 0
        self._session: aiohttp.ClientSession | None = None

    # -- what a test does

    async def start(self) -> "Slack":
        """Listen on a free loopback port."""
        await self._runner.setup()
        await self._listen()
        self._session = aiohttp.ClientSession()
        return self

    async def stop(self) -> None:
        """Stop listening."""
        self._back.set()
        self._answering.set()
        await self.socket.close()
        if self._session is not None:
            await self._session.close()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """What `slack.api_url` must be set to."""
        return f"{self.url}/api/"

    def channel(self, name: str) -> Channel:
        """Return a channel by its id."""
        return self._channels[name]

    def add(self, name: str) -> None:
        """Make a channel, unless it is there, and invite the app to it."""
        self._channels.setdefault(name, Channel(name))

    def limit(self, burst: float | None) -> None:
        """Take about one post a second for each channel after `burst`; None: no limit."""
        self._burst = burst
        self._buckets.clear()

    def throttle(self, retry_after_s: int | None) -> None:
        """Answer every call with 429 and this `Retry-After`, until called with None."""
        self._throttled_s = retry_after_s

    def hold_answers(self) -> None:
        """Do what is asked at once, and answer only after `answer`."""
        self._answering.clear()

    def answer(self) -> None:
        """Answer what was held, and all that follows."""
        self._answering.set()

    async def outage(self, kind: Outage) -> None:
        """Break down: refuse connections, answer 500, or take requests and never answer."""
        self._outage = kind
        self._back.clear()
        if kind == "hang":
            self.socket.silence()
        if kind == "refuse":
            for site in list(self._runner.sites):
                await site.stop()
            self.socket.drop()

    async def recover(self) -> None:
        """Work again, at the same address."""
        self._outage = None
        self.socket.silence(False)
        self._back.set()
        if not self._runner.sites:
            await self._listen()

    async def click(
        self,
        message: Message,
        label: str,
        *,
        user: str,
        headers: Mapping[str, str] | None = None,
        **tampering: Any,
    ) -> Click:
        """Press a button as a user: post Slack's signed payload to the app and time its answer.

        Args:
            message: the message, or `message.as_seen()` from earlier.
            label: what stands on the button.
            user: the user's id.
            headers: sent as well, `X-Slack-Retry-Num` for instance.
            tampering: handed to `send`.
        """
        pressed = message.button(label)
        key = secrets.token_hex(8)
        self._response_urls[key] = ResponseUrl(
            message.channel, message.ts, user, time.monotonic() + _RESPONSE_URL_S
        )
        response_url = f"{self.url}/actions/{key}"
        payload = payloads.pressed(message, pressed, user=user, response_url=response_url)
        if self.socket_mode:
            return await self._by_socket(payload, response_url)
        body = payloads.form(payload)
        return await self.send(body, response_url=response_url, headers=headers, **tampering)

    async def _by_socket(self, payload: Mapping[str, Any], response_url: str) -> Click:
        envelope = await self.socket.deliver("interactive", payload)
        answer = json.dumps(envelope.response).encode() if envelope.response else b""
        took_s = envelope.took_s if envelope.took_s is not None else math.inf
        return Click(200 if envelope.acks else 0, took_s, answer, response_url)

    async def send(
        self,
        body: bytes,
        *,
        response_url: str = "",
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        timestamp: str | None = None,
        signature: str | None = None,
    ) -> Click:
        """Post a body to the app, signed as Slack signs unless told otherwise."""
        assert self._session is not None, "start the server first"
        assert self.app_url, "tell the server where clicks go: slack.app_url = …"
        stamp = str(int(self.now().timestamp())) if timestamp is None else timestamp
        signed = payloads.signature(body, stamp, secret or self.signing_secret)
        started = time.monotonic()
        async with self._session.post(
            self.app_url,
            data=body,
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
                "X-Slack-Request-Timestamp": stamp,
                "X-Slack-Signature": signed if signature is None else signature,
                **(headers or {}),
            },
        ) as response:
            answer = await response.read()
            return Click(response.status, time.monotonic() - started, answer, response_url)

    def expire_response_urls(self) -> None:
        """Let thirty minutes pass for every click so far."""
        for known in self._response_urls.values():
            known.expires_at = time.monotonic()

    # -- HTTP

    async def _listen(self) -> None:
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        if not self._port:
            self._port = self._runner.addresses[0][1]

    @web.middleware
    async def _outages(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if self._outage == "refuse" and request.transport is not None:
            request.transport.abort()  # a connection from before the outage
        if self._outage in ("refuse", "hang"):
            await self._back.wait()
            return web.Response(status=503)  # whoever asked has gone; it must not be done now
        if self._outage == "500":
            return web.Response(status=500, text="<html>oops</html>", content_type="text/html")
        return await handler(request)

    async def _api(self, request: web.Request) -> web.Response:
        if self._throttled_s is not None:
            self.turned_away += 1
            return _too_many(self._throttled_s)
        try:
            scope, method = self._method(request)
            self._authenticate(request, scope)
            arguments = await _arguments(request)
            wait_s = self._pace(request.match_info["method"], str(arguments.get("channel", "")))
            if wait_s > 0:
                self.turned_away += 1
                return _too_many(math.ceil(wait_s))
            answer = method(arguments)
        except ApiError as error:
            return web.json_response(error.body)
        self.calls.append(request.match_info["method"])
        await self._answering.wait()
        return web.json_response({"ok": True, **answer})

    def _method(self, request: web.Request) -> tuple[str | None, Method]:
        name = request.match_info["method"]
        if name not in self._methods:
            raise ApiError("unknown_method", req_method=name)
        return self._methods[name]

    def _authenticate(self, request: web.Request, scope: str | None) -> None:
        given = request.headers.get("Authorization", "")
        if not given.startswith("Bearer "):
            raise ApiError("not_authed")
        token = given.removeprefix("Bearer ")
        if token not in (self.token, self.app_token):
            raise ApiError("invalid_auth")
        if (token == self.app_token) != (scope == "connections:write"):
            raise ApiError("not_allowed_token_type")
        scopes = self.app_scopes if token == self.app_token else self.scopes
        if scope is not None and scope not in scopes:
            raise ApiError("missing_scope", needed=scope, provided=",".join(sorted(scopes)))

    def _pace(self, method: str, channel: str) -> float:
        """Return how long the caller must wait: one post a second and channel, edits by the app."""
        if self._burst is None or not method.startswith("chat."):
            return 0.0
        key, per_s = (channel, 1.0) if method == "chat.postMessage" else (method, 50 / 60)
        return self._buckets.setdefault(key, Bucket(self._burst, per_s)).take()

    async def _respond(self, request: web.Request) -> web.Response:
        known = self._response_urls.get(request.match_info["key"])
        if known is None or time.monotonic() >= known.expires_at:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if known.uses >= _RESPONSE_URL_USES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        known.uses += 1
        body = await request.json()
        if body.get("replace_original"):
            try:
                self._edit(known.channel, known.message_ts, body)
            except ApiError as error:
                return web.json_response(error.body, status=400)
        else:
            self.private.append(Private(known.channel, known.user, body["text"]))
        return web.Response(text="ok")

    # -- the Web API's methods

    def _connections_open(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"url": f"ws://127.0.0.1:{self._port}/link/?{self.socket.ticket()}"}

    def _auth_test(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"url": self.url, "team_id": "T01", "user_id": BOT_USER, "bot_id": "B0REMEDI8"}

    def _post(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        channel = self._writable(arguments)
        text, blocks = _content(arguments)
        under = arguments.get("thread_ts")
        if under is not None and channel.find(str(under)) is None:
            raise ApiError("thread_not_found")
        message = Message(
            channel=channel.id,
            ts=self._new_ts(),
            user=BOT_USER,
            text=text,
            blocks=blocks,
            thread_ts=under,
            broadcast=bool(under and arguments.get("reply_broadcast")),
        )
        channel.everything.append(message)
        return {"channel": channel.id, "ts": message.ts, "message": message_json(message)}

    def _update(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        channel = self._writable(arguments)
        text, _ = _content(arguments)
        self._edit(channel.id, str(arguments.get("ts", "")), arguments)
        return {"channel": channel.id, "ts": arguments["ts"], "text": text}

    def _edit(self, channel: str, ts: str, arguments: Mapping[str, Any]) -> None:
        message = self._channels[channel].find(ts)
        if message is None:
            raise ApiError("message_not_found")
        if message.user != BOT_USER:
            raise ApiError("cant_update_message")
        message.text, message.blocks = _content(arguments)
        message.edits += 1

    def _post_ephemeral(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        channel = self._writable(arguments)
        text, _ = _content(arguments)
        self.private.append(Private(channel.id, str(arguments.get("user", "")), text))
        return {"message_ts": self._new_ts()}

    def _history(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        channel = self._readable(arguments)
        newest_first = channel.messages[::-1]
        return {"messages": page(newest_first, int(arguments.get("limit", 100)))}

    def _replies(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        channel = self._readable(arguments)
        ts = str(arguments.get("ts", ""))
        parent = channel.find(ts)
        if parent is None:
            raise ApiError("thread_not_found")
        return {"messages": page([parent, *channel.thread(ts)], int(arguments.get("limit", 1000)))}

    def _readable(self, arguments: Mapping[str, Any]) -> Channel:
        channel = self._channels.get(str(arguments.get("channel", "")))
        if channel is None:
            raise ApiError("channel_not_found")
        return channel

    def _writable(self, arguments: Mapping[str, Any]) -> Channel:
        channel = self._readable(arguments)
        if channel.archived:
            raise ApiError("is_archived")
        if not channel.invited:
            raise ApiError("not_in_channel")
        return channel

    def _new_ts(self) -> str:
        self._last_ts = max(self._last_ts + 1, time.time_ns() // 1000)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"


def _content(arguments: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    text, blocks = str(arguments.get("text") or ""), arguments.get("blocks") or []
    if isinstance(blocks, str):
        blocks = json.loads(blocks)
    if not text and not blocks:
        raise ApiError("no_text")
    if len(text) > _LONGEST_TEXT:
        raise ApiError("msg_too_long")
    found = blockkit.faults(blocks)
    if found:
        metadata = {"messages": [f"[ERROR] {one}" for one in found]}
        raise ApiError("invalid_blocks", errors=found, response_metadata=metadata)
    if blockkit.too_long(blocks):
        raise ApiError("msg_blocks_too_long")
    return text, blocks


async def _arguments(request: web.Request) -> Mapping[str, Any]:
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise ApiError("invalid_json") from None
        if not isinstance(body, dict):
            raise ApiError("json_not_object")
        return body
    return {**request.query, **(await request.post())}


def _too_many(retry_after_s: int) -> web.Response:
    return web.json_response(
        {"ok": False, "error": "ratelimited"},
        status=429,
        headers={"Retry-After": str(retry_after_s)},
    )
