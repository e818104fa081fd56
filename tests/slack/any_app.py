"""An app that does as a test says: hears what Slack sends, over HTTP or Socket Mode, and answers.

For the tests of the loopback Slack itself. Checks signatures by slack_sdk's verifier, so that the
signing is proved by somebody else's code.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from tests.slack.server import APP_TOKEN, Slack

Heard = dict[str, Any]


class AnyApp:
    """Keeps what it hears in `heard`; answers the next entry of `answers`, else with nothing."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.heard: list[Heard] = []
        self.answers: list[Any] = []
        self.does: Callable[[Heard], Awaitable[None]] | None = None
        """What it does before it answers."""
        self.status = 200
        self.retries: list[tuple[str, str]] = []
        """What Slack said about each thing that it sent again by HTTP."""
        self.web = AsyncWebClient(token=slack.token, base_url=slack.api_url, retry_handlers=[])
        self.web.proxy = None
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._listening: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Hear by HTTP."""
        application = web.Application()
        application.router.add_post("/slack", self._receive)
        self._runner = web.AppRunner(application, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.slack.app_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/slack"

    async def connect(self) -> None:
        """Hear over Socket Mode."""
        self.slack.socket_mode = True
        self._session = aiohttp.ClientSession()
        url = (await self.web.apps_connections_open(app_token=APP_TOKEN))["url"]
        self._socket = await self._session.ws_connect(str(url))
        await self._socket.receive_json()
        self._listening = asyncio.create_task(self._hear(self._socket))

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        verifier = SignatureVerifier(self.slack.signing_secret)
        if not verifier.is_valid_request(body, dict(request.headers)):
            return web.Response(status=401)
        if request.content_type == "application/json":
            heard = json.loads(body)
        else:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
            heard = json.loads(fields["payload"]) if "payload" in fields else fields
        if "X-Slack-Retry-Num" in request.headers:
            self.retries.append(
                (request.headers["X-Slack-Retry-Num"], request.headers["X-Slack-Retry-Reason"])
            )
        answer = await self._answer(heard)
        if answer is None:
            return web.Response(status=self.status)
        if isinstance(answer, str):
            return web.Response(text=answer, status=self.status)
        return web.json_response(answer, status=self.status)

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            envelope = json.loads(message.data)
            answer = await self._answer(envelope["payload"])
            body = {"envelope_id": envelope["envelope_id"]}
            await socket.send_json(body if answer is None else body | {"payload": answer})

    async def _answer(self, heard: Heard) -> Any:
        self.heard.append(heard)
        if self.does is not None:
            await self.does(heard)
        return self.answers.pop(0) if self.answers else None


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(label: str, **more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain(label), "action_id": label.lower(), **more}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def asks(label: str, block_id: str, element: dict[str, Any] | None = None, **more: Any) -> Any:
    """An input block; for text unless another element is given."""
    given = element or {"type": "plain_text_input"}
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {"action_id": "given", **given},
        **more,
    }


def modal(*blocks: Any, title: str = "A modal", **more: Any) -> dict[str, Any]:
    """A modal; one that asks has a submit button."""
    submit = {"submit": plain("Send")} if any(b["type"] == "input" for b in blocks) else {}
    return {"type": "modal", "title": plain(title), "blocks": list(blocks), **submit, **more}


def home(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"type": "home", "blocks": list(blocks), **more}
