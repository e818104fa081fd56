"""The listener: opens the socket, stops gracefully. Called by `app`.

Refuses to be reached from outside while anyone who reaches it would be let in, or nobody could.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

from aiohttp import web

from remediator import settings
from remediator.observe import logs, metrics
from remediator.web import keys, routes, tls
from remediator.web.services import Services

DEFAULT_PORT = 9095
# A request in hand ends with its commit, well within this; then its connection is cut.
_GRACE_S = 10.0
# Above Alertmanager's and load balancers' 60 seconds, so that they close first and no notification
# meets a connection that we are closing.
_KEEPALIVE_S = 75.0
# Connections that wait for accept() while the loop is busy with a storm.
_BACKLOG = 512
# Senders, browsers and scrapers keep a few each. Below the 1024 files that a process may have open
# where nobody raised that, so that the journal and the clients always find room.
MOST_CONNECTIONS = 800

log = logs.get(__name__)


class ListenError(Exception):
    """The address can't be served; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port to listen on; the port is the real one after the start."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Server:
    """One listener. `start` once, `stop` once."""

    def __init__(self, services: Services, configured: settings.Settings) -> None:
        """Make it ready; nothing is opened yet.

        Raises:
            ListenError: the address is none, or open to strangers without any authentication.
            TlsError: the certificates can't be used.
        """
        self._wanted = parse_listen(configured.listen)
        refuse_open(self._wanted, configured)
        self._tls = tls.server_context(configured.tls) if configured.tls else None
        self._app = routes.build_app(services, configured)
        self._authenticated = bool(configured.api.tokens)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> Address:
        """Listen; returns the real address.

        Raises:
            ListenError: the address is taken or not ours.
        """
        runner = web.AppRunner(
            self._app,
            access_log=None,  # `observation` logs requests, with identities and without queries
            auto_decompress=False,  # `bodies` unpacks, under its limits
            shutdown_timeout=_GRACE_S,
            keepalive_timeout=_KEEPALIVE_S,
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - `setup` has made it
        turnstile = _Turnstile(runner.server)
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                turnstile.protocol,
                self._wanted.host,
                self._wanted.port,
                ssl=self._tls,
                backlog=_BACKLOG,
                reuse_address=True,
            )
        except (OSError, socket.gaierror) as error:
            await runner.cleanup()
            raise ListenError(
                f"cannot listen on {self._wanted}: {error.strerror or error}; "
                "change `listen`, or stop what uses the address"
            ) from None
        self._runner = runner
        metrics.CONNECTIONS.set_function(turnstile.count)
        address = Address(self._wanted.host, self._listener.sockets[0].getsockname()[1])
        scheme = "https" if self._tls else "http"
        log.info("listening", url=f"{scheme}://{address}")
        if not self._authenticated:
            log.warning(
                "no API token is configured, so the API is served to this machine only",
                setting="api.tokens",
            )
        return address

    async def stop(self) -> None:
        """Stop taking requests, let those in hand finish, close. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        # On connections that stay open: senders are told to come again, elsewhere or later.
        self._app[keys.CLOSING].begun = True
        if self._listener is not None:
            self._listener.close()
        await runner.cleanup()


class _Turnstile:
    """Lets so many connections in; one more is closed, and its sender tries again."""

    def __init__(self, server: web.Server) -> None:
        self._server = server

    def count(self) -> float:
        """Return how many are open."""
        return len(self._server.connections)

    def protocol(self) -> asyncio.Protocol:
        """Return what speaks on a new connection."""
        if self.count() < MOST_CONNECTIONS:
            return self._server()
        metrics.LIMIT_HIT.labels(limit="http_connections").inc()
        return _Full()


class _Full(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def parse_listen(text: str) -> Address:
    """Parse `127.0.0.1:9095`, `[::1]:9095`, `:9095` (all addresses) or a host alone.

    Raises:
        ListenError: it is none of these.
    """
    host, separator, port = text.rpartition(":")
    if not separator or "]" in port:
        host, port = text, str(DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ListenError(f"listen: {text} has no port from 0 to 65535; write 127.0.0.1:9095")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise ListenError(f"listen: {text}: write an IPv6 address in brackets, like [::1]:9095")
    return Address(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - as `:9095` asks


def refuse_open(address: Address, configured: settings.Settings) -> None:
    """Refuse an address beyond this machine while nothing asks for authentication.

    Raises:
        ListenError: says what to configure.
    """
    if address.loopback or configured.api.tokens:
        return
    if any(sender.authenticates for sender in configured.senders.values()):
        return
    raise ListenError(
        f"listen: {address} is open to other machines, and neither api.tokens nor a sender's "
        "bearer_token, basic_password or client_names is configured; configure one, "
        f"or listen on 127.0.0.1:{address.port}"
    )
