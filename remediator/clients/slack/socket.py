"""Socket Mode: what people do in Slack, over a connection that we open; needs no public address.

Owns the connection and its replacement. Slack closes each after some hours and says so before:
the next one is open before the old one goes, so that nobody's click falls between two. An envelope
is acknowledged when `handle` returned, which is after it was stored; where that fails it is not,
and the person sees that. An envelope that Slack sends again is answered as before, and done once.

Not slack_sdk's client: it reads envelopes into a queue without a bound, answers before anybody
knows what became of them, closes the old connection first, and its waits follow no stop.
Source: Slack's «Using Socket Mode». Called by `client`.
"""

import asyncio
import json
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp

from remediator.clients.errors import RETRY_AT_MOST, Unavailable, retry_after
from remediator.clients.slack import faults
from remediator.model.canonical import JSONObject
from remediator.observe import logs, metrics

log = logs.get(__name__)

_CONNECT_WITHIN_S = 10.0
# aiohttp gives the connection up when a ping is not answered within half of this.
_PING_EVERY_S = 10.0
# People can't click faster; what comes meanwhile waits at Slack.
_AT_ONCE = 32
# An old connection may still bring answers to what it delivered.
_DRAIN_WITHIN_S = 10.0
_REMEMBERED = 1000
_MAX_ENVELOPE_BYTES = 4 * 1024 * 1024
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
# A connection that lived so long was a good one: the next is opened without waiting.
_GOOD_AFTER_S = 10.0


def _show(standing: bool) -> None:
    metrics.SLACK_CONNECTED.labels(mode="socket").set(standing)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One thing that somebody did.

    Args:
        id: by which it is acknowledged.
        kind: `interactive`, `slash_commands` or `events_api`.
        payload: what Slack would have posted over HTTP.
        takes_answer: whether the acknowledgement may carry one.
    """

    id: str
    kind: str
    payload: JSONObject
    takes_answer: bool


Handle = Callable[[Envelope], Awaitable[JSONObject | None]]
"""Stores what came; returns what the acknowledgement carries. Raises where it was not stored."""


class Socket:
    """Keeps one connection open, or two while one replaces the other."""

    def __init__(
        self, api_url: str, app_token: str, handle: Handle, *, first_wait_s: float = _FIRST_WAIT_S
    ) -> None:
        self._url = f"{api_url.rstrip('/')}/apps.connections.open"
        self._token = app_token
        self._handle = handle
        self._first_wait_s = first_wait_s
        self._seen: OrderedDict[str, asyncio.Future[JSONObject | None]] = OrderedDict()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._old: set[asyncio.Task[None]] = set()
        _show(False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Stay connected until told to stop."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN_S)
        async with aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
        ) as session:
            try:
                await self._keep(session, stopping)
            finally:
                _show(False)
                for task in self._old:
                    task.cancel()
                await asyncio.gather(*self._old, return_exceptions=True)

    async def _keep(self, session: aiohttp.ClientSession, stopping: asyncio.Event) -> None:
        failures = 0
        while not stopping.is_set():
            try:
                connection = await self._connect(session)
            except Unavailable as error:
                _show(False)
                failures += 1
                wait_s = self._wait_s(failures, error.after)
                log.warning("no Socket Mode connection", error=str(error), retry_in_s=wait_s)
                await _until(stopping, wait_s)
                continue
            reason = await self._serve(connection, stopping)
            if stopping.is_set():
                return
            failures = 0 if connection.good else failures + 1
            metrics.SLACK_RECONNECTS.labels(reason=reason).inc()
            disabled = reason == "link_disabled"
            if disabled:
                log.error("Socket Mode is switched off for the app; switch it on at api.slack.com")
            else:
                log.info("the Socket Mode connection is replaced", reason=reason)
            if failures or disabled:
                after = faults.REPAIRED_AFTER if disabled else None
                await _until(stopping, self._wait_s(max(failures, 1), after))

    async def _serve(self, connection: "_Connection", stopping: asyncio.Event) -> str:
        """Read from a connection until another is needed; returns why."""
        reader = asyncio.create_task(connection.read(), name="slack socket")
        stop = asyncio.create_task(stopping.wait())
        over = asyncio.create_task(connection.over.wait())
        try:
            await asyncio.wait({reader, stop, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            over.cancel()
        if reader.done():
            _show(False)
        old = asyncio.create_task(connection.drain(reader), name="old slack socket")
        self._old.add(old)
        old.add_done_callback(self._old.discard)
        if stopping.is_set():
            await old
        return connection.reason

    async def _connect(self, session: aiohttp.ClientSession) -> "_Connection":
        """Open a connection, and wait for Slack's hello.

        Raises:
            Unavailable: with what to do where an operator must.
        """
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                url = await self._address(session)
                socket = await session.ws_connect(
                    url, heartbeat=_PING_EVERY_S, max_msg_size=_MAX_ENVELOPE_BYTES
                )
                try:
                    hello = await socket.receive_json()
                    if not isinstance(hello, dict) or hello.get("type") != "hello":
                        raise Unavailable(_refusal(hello))
                except BaseException:
                    await socket.close()
                    raise
        except TimeoutError:
            raise Unavailable(f"Slack did not answer within {_CONNECT_WITHIN_S:g}s") from None
        except (aiohttp.ClientError, OSError, ValueError, TypeError) as error:
            raise Unavailable(f"Slack: {type(error).__name__}") from None
        _show(True)
        log.info("connected to Slack over Socket Mode")
        return _Connection(socket, self._answer, self._room)

    async def _address(self, session: aiohttp.ClientSession) -> str:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with session.post(self._url, headers=headers) as response:
            what = "Slack apps.connections.open"
            if response.status != 200:
                after = retry_after(response.headers.get("Retry-After"))
                raise Unavailable(f"{what}: HTTP {response.status}", after)
            answer = await response.json(content_type=None)
        if not isinstance(answer, dict):
            raise Unavailable(f"{what}: the answer is not Slack's")
        if not answer.get("ok"):
            code = str(answer.get("error", ""))[:100]
            raise faults.of_app(code, f"{what}: {code}")
        return str(answer.get("url", ""))

    async def _answer(self, envelope: Envelope) -> JSONObject | None:
        """Hand an envelope over once, however often it comes; raises where it was not stored."""
        key = _key(envelope)
        known = self._seen.get(key)
        if known is not None:
            metrics.SLACK_ENVELOPES.labels(kind=envelope.kind, result="repeated").inc()
            return await asyncio.shield(known)
        done: asyncio.Future[JSONObject | None] = asyncio.get_running_loop().create_future()
        self._seen[key] = done
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        try:
            answer = await self._handle(envelope)
        except BaseException as error:
            # The next delivery of it may succeed.
            self._seen.pop(key, None)
            done.set_exception(Unavailable(f"not stored: {type(error).__name__}"))
            done.exception()
            metrics.SLACK_ENVELOPES.labels(kind=envelope.kind, result="failed").inc()
            raise
        done.set_result(answer)
        metrics.SLACK_ENVELOPES.labels(kind=envelope.kind, result="handled").inc()
        return answer

    def _wait_s(self, failures: int, after: timedelta | None) -> float:
        if after is not None:
            return min(after, RETRY_AT_MOST).total_seconds()
        wait_s = min(self._first_wait_s * 2.0 ** min(failures - 1, 10), _LONGEST_WAIT_S)
        # Replicas that lost Slack together must not come back together.
        return wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class _Connection:
    """One WebSocket: reads, and acknowledges what was handled."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        answer: Handle,
        room: asyncio.Semaphore,
    ) -> None:
        self.over = asyncio.Event()
        """Set when another connection is needed."""
        self.reason = "closed"
        self._socket = socket
        self._answer = answer
        self._room = room
        self._handling: set[asyncio.Task[None]] = set()
        self._since_s = asyncio.get_running_loop().time()

    @property
    def good(self) -> bool:
        """Whether it was of use: else the next one is not opened at once."""
        lived_s = asyncio.get_running_loop().time() - self._since_s
        return self.reason in ("warning", "refresh_requested") or lived_s >= _GOOD_AFTER_S

    async def read(self) -> None:
        """Read until the connection ends."""
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(message.data)
                elif message.type is aiohttp.WSMsgType.ERROR:
                    self.reason = "broken"
        finally:
            self.over.set()

    async def drain(self, reader: "asyncio.Task[None]") -> None:
        """Let what was delivered be acknowledged, then close."""
        try:
            if self.reason in ("warning", "refresh_requested"):
                # Slack closes it; until then it may still deliver.
                await asyncio.wait({reader}, timeout=_DRAIN_WITHIN_S)
            else:
                reader.cancel()
            if self._handling:
                await asyncio.wait(self._handling, timeout=_DRAIN_WITHIN_S)
        finally:
            reader.cancel()
            for task in self._handling:
                task.cancel()
            await asyncio.gather(reader, *self._handling, return_exceptions=True)
            await self._socket.close()

    async def _take(self, text: str) -> None:
        said = _object(text)
        match said.get("type"):
            case "disconnect":
                known = ("warning", "refresh_requested", "link_disabled", "too_many_websockets")
                reason = str(said.get("reason", ""))
                self.reason = reason if reason in known else "asked"
                self.over.set()
            case "interactive" | "slash_commands" | "events_api":
                envelope = _envelope(said)
                if envelope is None:
                    log.warning("Slack sent an envelope without id or payload")
                    return
                await self._room.acquire()
                task = asyncio.create_task(self._acknowledge(envelope))
                self._handling.add(task)
                task.add_done_callback(self._finished)
            case other:
                log.debug("nothing that concerns us", kind=str(other)[:40])

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._handling.discard(task)
        self._room.release()

    async def _acknowledge(self, envelope: Envelope) -> None:
        try:
            answer = await self._answer(envelope)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # Slack shows the person that it did not work, and may send it again.
            log.warning(
                "not stored, so not acknowledged", kind=envelope.kind, error=type(error).__name__
            )
            return
        said: dict[str, Any] = {"envelope_id": envelope.id}
        if answer is not None and envelope.takes_answer:
            said["payload"] = answer
        try:
            await self._socket.send_json(said)
        except (ConnectionError, RuntimeError, aiohttp.ClientError):
            log.info("an acknowledgement was lost; Slack sends the envelope again")


def _envelope(said: JSONObject) -> Envelope | None:
    name, payload = said.get("envelope_id"), said.get("payload")
    if not isinstance(name, str) or not name or not isinstance(payload, dict):
        return None
    return Envelope(name, str(said["type"]), payload, bool(said.get("accepts_response_payload")))


def _key(envelope: Envelope) -> str:
    """Return what is the same whenever Slack sends this again, in an envelope of another id too."""
    for name in ("trigger_id", "event_id"):
        if isinstance(found := envelope.payload.get(name), str) and found:
            return found
    return envelope.id


def _object(text: str) -> JSONObject:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refusal(said: Any) -> str:
    if isinstance(said, dict) and said.get("type") == "disconnect":
        return f"Slack: it closes the connection at once: {str(said.get('reason', ''))[:100]}"
    return "Slack: the connection did not begin with a hello"


async def _until(stopping: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
