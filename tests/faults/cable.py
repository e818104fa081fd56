"""A way to a server over a network of its own, whose packets a test can lose.

The server's side is a listener in a network namespace, joined to this one by a pair of virtual
interfaces. Cut, every packet is sent to a network card that nobody has: nothing is refused and
nothing comes back, as with a pulled cable or a firewall that drops, so that time-outs are met and
not closed ports. Both ends go with the namespace's holder, however a test ends. Needs root.
"""

import ipaddress
import secrets
import socket
import subprocess
from pathlib import Path

from tests.faults.namespace import within
from tests.servers.binaries import find
from tests.servers.link import Link
from tests.servers.process import Process, Server

_OURS_MAC, _THEIRS_MAC, _NOBODYS_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:ff"


class Cable(Server):
    """From here to `target_port` on this machine's loopback, through the namespace."""

    def __init__(self, folder: Path, target_port: int) -> None:
        folder.mkdir(parents=True)
        # One of the networks of four addresses in 10.240.0.0/13.
        number = secrets.randbelow(2**17)
        first = ipaddress.IPv4Address("10.240.0.0") + 4 * number
        self._ours, self._theirs = str(first + 1), str(first + 2)
        self._interface = f"fault-{number:x}"
        self._target_port = target_port
        self._link: Link | None = None
        self._holder = Process(
            "namespace",
            [find("unshare"), "--net", "sleep", "infinity"],
            log=folder / "namespace.log",
            ready=self._apart,
        )

    @property
    def address(self) -> str:
        """Host and port for the clients."""
        assert self._link is not None, "this cable was not laid"
        return f"{self._theirs}:{self._link.port}"

    def start(self) -> None:
        """Lays it."""
        self._holder.start()
        ours, theirs = self._interface, f"{self._interface}b"
        pid = str(self._holder.pid)
        self._ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", pid)
        self._plug(ours, f"{self._ours}/30", _OURS_MAC)
        within(
            self._holder.pid, "net", lambda: self._plug(theirs, f"{self._theirs}/30", _THEIRS_MAC)
        )
        self.heal()
        within(self._holder.pid, "net", lambda: self._neighbour(theirs, self._ours, _OURS_MAC))
        listener = within(self._holder.pid, "net", lambda: socket.create_server((self._theirs, 0)))
        self._link = Link(self._target_port, listener=listener)  # its threads stay here

    def stop(self) -> None:
        """Takes it away."""
        if self._link is not None:
            self._link.close()
        self._holder.kill()

    def cut(self) -> None:
        """From now on every packet from here is lost."""
        self._neighbour(self._interface, self._theirs, _NOBODYS_MAC)

    def heal(self) -> None:
        """Packets arrive again; those lost are sent again by the kernel, if it still wants to."""
        self._neighbour(self._interface, self._theirs, _THEIRS_MAC)

    def _apart(self) -> bool:
        """Whether the holder is in a namespace of its own by now."""
        mine, its = (Path(f"/proc/{who}/ns/net").readlink() for who in ("self", self._holder.pid))
        return mine != its

    def _plug(self, interface: str, address: str, mac: str) -> None:
        self._ip("link", "set", interface, "address", mac, "up")
        self._ip("address", "add", address, "dev", interface)

    def _neighbour(self, interface: str, address: str, mac: str) -> None:
        """Who has the address is told, so that nobody asks around."""
        self._ip(
            "neighbour", "replace", address, "lladdr", mac, "nud", "permanent", "dev", interface
        )

    @staticmethod
    def _ip(*arguments: str) -> None:
        done = subprocess.run([find("ip"), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}; it needs root"
