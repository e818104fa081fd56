"""A connection that a test can cut and heal: a proxy on loopback in front of a server.

It needs no privileges, so it works where network namespaces do not (in containers, and for other
users than root), and it stands in front of anything: gossip, the API server, PostgreSQL. A cut is
a cut cable: datagrams are lost, and connections hang instead of being refused.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Self

from .process import free_port

_CHUNK = 65_536
_POLL_S = 0.2
"""How often a thread that waits looks whether the link was closed."""


class Link:
    """Passes TCP on to `target_port`; with `udp`, datagrams too (towards the target only).

    Each piece of TCP is held for `delay_s` on its way.
    """

    def __init__(
        self,
        target_port: int,
        *,
        udp: bool = False,
        delay_s: float = 0.0,
        listener: socket.socket | None = None,
    ) -> None:
        """A `listener` is where else than on loopback the clients connect."""
        self._delay_s = delay_s
        self._target = ("127.0.0.1", target_port)
        self._whole = threading.Event()
        self._whole.set()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = listener or socket.create_server(("127.0.0.1", free_port()))
        address = self._listener.getsockname()
        self.port = int(address[1])
        """Where the clients connect."""
        self._listener.settimeout(_POLL_S)
        self._run(self._accept)
        if udp:
            self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._datagrams.settimeout(_POLL_S)
            self._datagrams.bind(address)
            self._run(self._pass_datagrams)

    @property
    def address(self) -> str:
        """Host and port for the clients."""
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """From now on nothing passes."""
        self._whole.clear()

    def heal(self) -> None:
        """What waits in connections passes now; the lost datagrams stay lost."""
        self._whole.set()

    def close(self) -> None:
        """Ends every connection, and the link."""
        self._closed.set()
        self._whole.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Callable[..., None], *arguments: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with self._listener:
            while not self._closed.is_set():
                with contextlib.suppress(TimeoutError):
                    self._run(self._connect, self._listener.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        with client:
            self._whole.wait()
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                return  # the client sees what it would see of a server that is down
            with server:
                back = self._run(self._pump, server, client)
                self._pump(client, server)
                back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Copies one direction until it ends, and passes the end on."""
        source.settimeout(_POLL_S)
        with contextlib.suppress(OSError):  # either side may have gone
            while not self._closed.is_set():
                try:
                    chunk = source.recv(_CHUNK)
                except TimeoutError:
                    continue
                self._whole.wait()
                time.sleep(self._delay_s)
                if not chunk:
                    break
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def _pass_datagrams(self) -> None:
        with self._datagrams:
            while not self._closed.is_set():
                with contextlib.suppress(OSError):
                    datagram = self._datagrams.recv(_CHUNK)
                    if self._whole.is_set():
                        self._datagrams.sendto(datagram, self._target)
