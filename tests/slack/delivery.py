"""How what people do reaches the app: a signed POST, or an envelope over Socket Mode; and what the
app may answer afterwards at a `response_url`.

Owns the response URLs and what people were told because of a bad answer (`faults`).
"""

import asyncio
import json
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
from aiohttp import web

from tests.slack import payloads
from tests.slack.app import App
from tests.slack.arguments import content
from tests.slack.clock import Clock
from tests.slack.errors import ApiError
from tests.slack.socket_mode import ACK_S, RETRIES_S, SocketMode
from tests.slack.web_api import WebApi
from tests.slack.workspace import BOT_USER, Message, Private, Workspace

RESPONSE_URL_S = 30 * 60.0
RESPONSE_URL_USES = 5


@dataclass(frozen=True)
class Click:
    """What became of one press of a button, one command, one event."""

    status: int
    took_s: float
    body: bytes
    response_url: str

    @property
    def acknowledged(self) -> bool:
        """Whether Slack would show no warning: a 200 with no body to speak of within 3 seconds."""
        return self.status == 200 and self.took_s < ACK_S

    @property
    def answer(self) -> Any:
        """The body as JSON, or as it is; None where it is empty."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return self.body.decode(errors="replace")


@dataclass
class ResponseUrl:
    """Where an app may answer one act: 5 times within 30 minutes."""

    channel: str
    ts: str
    user: str
    expires_at: float
    uses: int = 0


class Delivery:
    """The way to the app."""

    def __init__(
        self, workspace: Workspace, app: App, api: WebApi, socket: SocketMode, clock: Clock
    ) -> None:
        self.url = ""
        """Where this server listens."""
        self.now: Callable[[], datetime] = workspace.now
        self._workspace = workspace
        self._app = app
        self._api = api
        self._socket = socket
        self._clock = clock
        self._urls: dict[str, ResponseUrl] = {}
        self._session: aiohttp.ClientSession | None = None
        self._retries: set[asyncio.Task[None]] = set()

    async def start(self, url: str) -> None:
        self.url = url
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        for task in self._retries:
            task.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def response_url(self, channel: str, ts: str, user: str) -> str:
        """Return an address for answers to what this person did there."""
        key = secrets.token_hex(8)
        expires_at = self._clock.now() + RESPONSE_URL_S
        self._urls[key] = ResponseUrl(channel, ts, user, expires_at)
        return f"{self.url}/actions/{key}"

    def expire_response_urls(self) -> None:
        """Let thirty minutes pass for every address so far."""
        for known in self._urls.values():
            known.expires_at = self._clock.now()

    async def interactive(self, payload: Mapping[str, Any], **tampering: Any) -> Click:
        """Hand over a click, a submission, a shortcut."""
        response_url = str(payload.get("response_url", ""))
        if self._app.socket_mode:
            listens = payload["type"] == "view_submission"
            return await self._by_socket("interactive", payload, response_url, listens)
        assert self._app.interactivity, "interactivity is off in the app's settings"
        body = payloads.form(payload)
        return await self.send(body, response_url=response_url, **tampering)

    async def command(self, given: Mapping[str, str], **tampering: Any) -> Click:
        """Hand over a slash command."""
        if self._app.socket_mode:
            return await self._by_socket("slash_commands", given, given["response_url"], True)
        return await self.send(
            payloads.fields(given),
            response_url=given["response_url"],
            url=self._app.commands_url or self._app.interactivity_url,
            **tampering,
        )

    async def event(self, event: Mapping[str, Any], **tampering: Any) -> Click:
        """Hand over an event; it is sent again as documented where it is not acknowledged."""
        payload = payloads.event(event, int(self.now().timestamp()))
        if self._app.socket_mode:
            return await self._by_socket("events_api", payload, "", False)
        click = await self._post_event(payload, **tampering)
        if not click.acknowledged:
            task = asyncio.create_task(self._retry(payload))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)
        return click

    async def verify(self) -> bool:
        """Ask the events URL for proof that it is the app's, as Slack does when it is saved."""
        asked = {"token": "x", "challenge": secrets.token_hex(16), "type": "url_verification"}
        click = await self._post_event(asked)
        answer = click.answer
        given = answer.get("challenge") if isinstance(answer, dict) else answer
        return click.acknowledged and given == asked["challenge"]

    async def _post_event(self, payload: Mapping[str, Any], **tampering: Any) -> Click:
        return await self.send(
            json.dumps(payload).encode(),
            content_type="application/json",
            url=self._app.events_url or self._app.interactivity_url,
            **tampering,
        )

    async def _retry(self, payload: Mapping[str, Any]) -> None:
        failed_at = self._clock.now()
        for attempt, after_s in enumerate(RETRIES_S, start=1):
            await self._clock.until(failed_at + after_s)
            headers = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_error"}
            if (await self._post_event(payload, headers=headers)).acknowledged:
                return

    async def send(
        self,
        body: bytes,
        *,
        response_url: str = "",
        url: str = "",
        content_type: str = "application/x-www-form-urlencoded",
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        timestamp: str | None = None,
        signature: str | None = None,
    ) -> Click:
        """Post a body to the app, signed as Slack signs unless told otherwise."""
        assert self._session is not None, "start the server first"
        url = url or self._app.interactivity_url
        assert url, "tell the server where clicks go: slack.app_url = …"
        stamp = str(int(self.now().timestamp())) if timestamp is None else timestamp
        signed = payloads.signature(body, stamp, secret or self._app.signing_secret)
        started = time.monotonic()
        async with self._session.post(
            url,
            data=body,
            headers={
                "Content-Type": content_type,
                "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
                "X-Slack-Request-Timestamp": stamp,
                "X-Slack-Signature": signed if signature is None else signature,
                **(headers or {}),
            },
        ) as response:
            answer = await response.read()
            return Click(response.status, time.monotonic() - started, answer, response_url)

    async def respond(self, request: web.Request) -> web.Response:
        """The app answers at a `response_url`."""
        known = self._urls.get(request.match_info["key"])
        if known is None or self._clock.now() >= known.expires_at:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if known.uses >= RESPONSE_URL_USES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        known.uses += 1
        try:
            self.answer(known.channel, known.ts, known.user, await request.json())
        except ApiError as error:
            return web.json_response(error.body, status=400)
        return web.Response(text="ok")

    def answer(self, channel: str, ts: str, user: str, body: Mapping[str, Any]) -> None:
        """Show what an app answers: in place, to the person alone, or to the channel."""
        if body.get("delete_original"):
            shown = self._original(channel, ts)
            if isinstance(shown, Message):
                self._workspace.channels[channel].delete(shown)
            else:
                self._workspace.private.remove(shown)
            return
        if body.get("replace_original"):
            shown = self._original(channel, ts)
            if isinstance(shown, Message):
                self._api.edit(channel, ts, body)
            else:
                shown.text, shown.blocks = content(body)
            return
        text, blocks = content(body)
        stamp, reader = self._workspace.stamp(), self._workspace.reader
        if body.get("response_type") == "in_channel":
            message = Message(channel, stamp, BOT_USER, text, blocks, reader=reader)
            self._workspace.post(message)
            return
        self._workspace.private.append(
            Private(channel, stamp, user, text, blocks, body.get("thread_ts"), reader=reader)
        )

    def _original(self, channel: str, ts: str) -> Message | Private:
        message = self._workspace.channels[channel].find(ts)
        if message is not None:
            return message
        for private in self._workspace.private:
            if private.ts == ts:
                return private
        raise ApiError("message_not_found")

    async def _by_socket(
        self, kind: Any, payload: Mapping[str, Any], response_url: str, listens: bool
    ) -> Click:
        envelope = await self._socket.deliver(kind, payload, accepts_response_payload=listens)
        answer = json.dumps(envelope.response).encode() if envelope.response else b""
        took_s = envelope.took_s if envelope.took_s is not None else math.inf
        return Click(200 if envelope.acks else 0, took_s, answer, response_url)
