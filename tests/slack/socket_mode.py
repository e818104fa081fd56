"""Socket Mode as the real one does it, over a real WebSocket: hello, envelopes, acks, goodbyes.

Owns an app's connections and every envelope that was sent. `server` hands it what people do;
tests break it: `disconnect`, `drop`, `silence`, `duplicates`, `redeliver`.

Source: Slack's «Using Socket Mode» and «Events API» (retries).
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import WSMsgType, web

from tests.slack.clock import Clock

Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]
EnvelopeType = Literal["interactive", "slash_commands", "events_api"]

ACK_S = 3.0
"""How long Slack waits for an acknowledgement."""
RETRIES_S = (0.0, 60.0, 300.0)
"""When an event is sent again that was not acknowledged: nearly at once, after 1 and 5 minutes."""
GRACE_S = 10.0
"""How long a connection lives on after its warning."""
MOST_CONNECTIONS = 10


@dataclass(eq=False)
class Connection:
    """One WebSocket of the app."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport
    warned: bool = False
    silent: bool = False
    pings: int = 0
    """How often the app pinged."""
    pongs: int = 0
    """How often the app answered a ping of ours."""
    envelopes: list["Envelope"] = field(default_factory=list)
    """What was sent over this one."""

    @property
    def open(self) -> bool:
        return not self.socket.closed


@dataclass(eq=False)
class Envelope:
    """One delivery to the app, and what the app said to it."""

    type: EnvelopeType
    payload: Mapping[str, Any]
    accepts_response_payload: bool = False
    attempt: int = 0
    reason: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    frames: int = 0
    """How often it was written to a connection."""
    acks: list[Mapping[str, Any] | None] = field(default_factory=list)
    """The payload of each acknowledgement; None where it had none."""
    sent_at: float = 0.0
    took_s: float | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def acknowledged(self) -> bool:
        """Whether an acknowledgement came in time: the person sees no warning."""
        return self.took_s is not None and self.took_s < ACK_S

    @property
    def response(self) -> Mapping[str, Any] | None:
        """What the first acknowledgement carried."""
        return self.acks[0] if self.acks and self.accepts_response_payload else None

    def frame(self) -> str:
        body: dict[str, Any] = {
            "envelope_id": self.id,
            "type": self.type,
            "payload": self.payload,
            "accepts_response_payload": self.accepts_response_payload,
        }
        if self.type == "events_api":
            body |= {"retry_attempt": self.attempt, "retry_reason": self.reason}
        return json.dumps(body)


class SocketMode:
    """The app's side of Slack's WebSocket service."""

    def __init__(self, clock: Clock, app_id: str) -> None:
        self.enabled = True
        """Whether Socket Mode is on in the app's settings; else a connection is sent away."""
        self.duplicates = 0
        """Every envelope is sent so many times more, over another connection where there is one."""
        self.delivered: list[Envelope] = []
        """Every envelope, in the order of sending."""
        self.faults: list[str] = []
        """What the app wrote that Slack would pass over."""
        self.opened = 0
        """How many connections there ever were."""
        self._clock = clock
        self._app_id = app_id
        self._tickets: set[str] = set()
        self._connections: list[Connection] = []
        self._turn = 0
        self._retries: set[asyncio.Task[None]] = set()
        self._silent = False
        self._changed = asyncio.Event()

    # -- what a test does

    @property
    def connections(self) -> Sequence[Connection]:
        """Those that are open, the oldest first."""
        return [one for one in self._connections if one.open]

    @property
    def acks(self) -> int:
        """How many acknowledgements came."""
        return sum(len(one.acks) for one in self.delivered)

    async def connected(self, count: int = 1, timeout_s: float = 10.0) -> Sequence[Connection]:
        """Wait until so many connections are open, and return them."""
        async with asyncio.timeout(timeout_s):
            while len(self.connections) != count:
                await self._changed.wait()
        return self.connections

    async def disconnect(self, reason: Reason = "refresh_requested", *, which: int = 0) -> None:
        """Say goodbye to one connection, and close it unless it is only a warning.

        Args:
            reason: `link_disabled` turns Socket Mode off and concerns every connection.
            which: the connection's place in `connections`.
        """
        if reason == "link_disabled":
            self.enabled = False
            for one in self.connections:
                await self._goodbye(one, reason)
            return
        await self._goodbye(self.connections[which], reason)

    async def refresh(self, which: int = 0) -> None:
        """Renew a connection as Slack does every few hours: a warning, and the goodbye when the app
        has another connection, or after ten seconds.
        """
        connection = self.connections[which]
        others, until = self.opened, self._clock.now() + GRACE_S
        await self._goodbye(connection, "warning")
        tired = asyncio.ensure_future(self._clock.until(until))
        while connection.open and self.opened == others and not tired.done():
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait((changed, tired), return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        tired.cancel()
        await self._goodbye(connection, "refresh_requested")

    def drop(self, *which: int) -> None:
        """Cut connections without a close frame; all unless told which."""
        for number, one in enumerate(self.connections):
            if not which or number in which:
                one.transport.abort()

    def silence(self, silent: bool = True) -> None:
        """Keep connections open and neither say nor hear anything: a half-open connection."""
        self._silent = silent
        for one in self.connections:
            one.silent = silent

    async def ping(self) -> None:
        """Ping every connection; `Connection.pongs` counts the answers."""
        for one in self.connections:
            await one.socket.ping(b"Ping from loopback")

    async def deliver(
        self,
        kind: EnvelopeType,
        payload: Mapping[str, Any],
        *,
        accepts_response_payload: bool = False,
    ) -> Envelope:
        """Send what happened to one of the connections, and wait for the acknowledgement.

        An event that is not acknowledged within three seconds is sent again, as documented; a click
        or a command is not, and the person sees a warning.
        """
        envelope = Envelope(kind, payload, accepts_response_payload)
        await self._send(envelope)
        if not envelope.acknowledged and kind == "events_api":
            task = asyncio.create_task(self._retry(envelope))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)
        return envelope

    async def redeliver(self, envelope: Envelope, *, reason: str = "timeout") -> Envelope:
        """Send something once more, as Slack does when an acknowledgement was lost on the way."""
        again = Envelope(
            envelope.type,
            envelope.payload,
            envelope.accepts_response_payload,
            envelope.attempt + 1,
            reason,
        )
        await self._send(again)
        return again

    # -- what the server does

    def ticket(self) -> str:
        """Return the query of a URL that can be connected to once."""
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        return f"ticket={ticket}&app_id={self._app_id}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its handshake to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403, text="invalid ticket")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=False, timeout=1.0)
        await socket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        connection = Connection(socket, request.transport, silent=self._silent)
        if len(self.connections) >= MOST_CONNECTIONS:
            await self._goodbye(connection, "too_many_websockets")
            return socket
        if not self.enabled:
            await self._goodbye(connection, "link_disabled")
            return socket
        self._connections.append(connection)
        self.opened += 1
        try:
            await socket.send_json(self._hello())
            self._notice()
            await self._hear(connection)
        except ConnectionError:
            pass  # the app has gone
        finally:
            self._connections.remove(connection)
            self._notice()
        return socket

    async def close(self) -> None:
        """Cut every connection, and send nothing again."""
        for task in self._retries:
            task.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)
        for one in self.connections:
            one.transport.abort()

    # -- inside

    def _hello(self) -> Mapping[str, Any]:
        return {
            "type": "hello",
            "num_connections": len(self.connections),
            "debug_info": {
                "host": "applink-loopback",
                "build_number": 1,
                "approximate_connection_time": 18060,
            },
            "connection_info": {"app_id": self._app_id},
        }

    async def _hear(self, connection: Connection) -> None:
        async for message in connection.socket:
            if connection.silent:
                continue
            if message.type is WSMsgType.PING:
                connection.pings += 1
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.pongs += 1
            elif message.type is WSMsgType.TEXT:
                self._acknowledged(message.data)

    def _acknowledged(self, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict) or "envelope_id" not in body:
            self.faults.append(f"no acknowledgement: {text}")
            return
        known = [one for one in self.delivered if one.id == body["envelope_id"]]
        if not known:
            self.faults.append(f"no such envelope: {body['envelope_id']}")
            return
        envelope, payload = known[0], body.get("payload")
        if payload and not envelope.accepts_response_payload:
            self.faults.append(f"{envelope.type}: a payload that nobody asked for: {payload}")
        envelope.acks.append(payload)
        if envelope.took_s is None:
            envelope.took_s = self._clock.now() - envelope.sent_at
        envelope.answered.set()

    async def _send(self, envelope: Envelope) -> None:
        """Send one envelope and wait for its acknowledgement, or for three seconds."""
        self.delivered.append(envelope)
        envelope.sent_at = self._clock.now()
        for _ in range(1 + self.duplicates):
            await self._write(envelope)
        if not envelope.frames:
            return
        waiting = [
            asyncio.ensure_future(envelope.answered.wait()),
            asyncio.ensure_future(self._clock.until(envelope.sent_at + ACK_S)),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _write(self, envelope: Envelope) -> None:
        """Write to the next connection; to one that was warned only if there is no other."""
        able = self.connections
        able = [one for one in able if not one.warned] or able
        if not able:
            return
        connection = able[self._turn % len(able)]
        self._turn += 1
        connection.envelopes.append(envelope)
        envelope.frames += 1
        if not connection.silent:
            with contextlib.suppress(ConnectionError):
                await connection.socket.send_str(envelope.frame())

    async def _retry(self, envelope: Envelope) -> None:
        failed_at = self._clock.now()
        for attempt, after_s in enumerate(RETRIES_S, start=1):
            await self._clock.until(failed_at + after_s)
            reason = "timeout" if envelope.frames else "connection_failed"
            envelope = Envelope("events_api", envelope.payload, False, attempt, reason)
            await self._send(envelope)
            if envelope.acknowledged:
                return

    async def _goodbye(self, connection: Connection, reason: Reason) -> None:
        connection.warned = True
        with contextlib.suppress(ConnectionError):
            await connection.socket.send_json(
                {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-loopback"}}
            )
            if reason != "warning":
                await connection.socket.close()

    def _notice(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
